package cli

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall"
)

// shortEffect is how much of a digest is shown, and the least that binds an
// approval.
const shortEffect = 16

// short gives the part of a digest that is shown.
func short(digest string) string { return digest[:min(len(digest), shortEffect)] }

// age gives a duration in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// moment gives a time as people read it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// column fits text into a column.
func column(s string, width int) string {
	s = ansi.Truncate(s, width, "…")
	return s + strings.Repeat(" ", width-ansi.StringWidth(s))
}

// list names the first of several things.
func list(names []string, most int) string {
	s := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// wrap breaks a line where it would leave 80 columns; what follows is indented.
func wrap(s, indent string) string {
	first, rest, more := strings.Cut(ansi.Wordwrap(s, 79, ""), "\n")
	if !more {
		return first
	}
	return first + "\n" + indent + strings.ReplaceAll(ansi.Wordwrap(strings.ReplaceAll(rest, "\n", " "), 79-len(indent), ""), "\n", "\n"+indent)
}

func prefixes(ps []netip.Prefix) string {
	names := make([]string, len(ps))
	for i, p := range ps {
		names[i] = p.String()
	}
	return list(names, 3)
}

// stepLines says what an approval would do on one ACL, in short lines.
func stepLines(s engine.Step) []string {
	if s.Op == 0 {
		return []string{fmt.Sprintf("= %s of %s: %s", s.Direction, s.ACL, s.Note)}
	}
	entry := s.Prefix
	if s.Entry.IsValid() {
		entry = s.Entry
	}
	out := []string{fmt.Sprintf("%s %s %d deny %s on %s", s.Op, s.Direction, s.Number, entry, s.ACL)}
	if s.Innocent > 0 {
		out = append(out, "  denies "+firewall.Innocent(s.Innocent, firewall.FamilyOf(s.Prefix))+" too")
	}
	if len(s.Displaces) > 0 {
		out = append(out, "  takes the slot of "+prefixes(s.Displaces))
	}
	if len(s.Admits) > 0 {
		out = append(out, "  lets in "+prefixes(s.Admits))
	}
	return out
}

// costly says that an effect takes something from somebody else: a slot, or the
// way to addresses that nobody named.
func costly(p *engine.Proposal) bool {
	for _, s := range p.Steps {
		if len(s.Displaces) > 0 || s.Innocent > 0 {
			return true
		}
	}
	return false
}

// waits says that an approval would change nothing on some ACL, for want of a slot.
func waits(p *engine.Proposal) bool {
	for _, s := range p.Steps {
		if s.Op == 0 && s.Number == 0 {
			return true
		}
	}
	return false
}

// denied says how many addresses a prefix covers.
func denied(p netip.Prefix) string {
	bits := p.Addr().BitLen() - p.Bits()
	switch {
	case bits == 0:
		return "one address"
	case bits < 63:
		return fmt.Sprintf("%d addresses", uint64(1)<<bits)
	}
	return fmt.Sprintf("2^%d addresses", bits)
}

// decidedBy says who has decided a block, and when.
func decidedBy(b blocklist.Block) string {
	s := fmt.Sprintf("%s is already decided: %s", b.Prefix, b.State)
	if b.DecidedBy != "" {
		s += " by " + clean(b.DecidedBy)
	}
	return s + " at " + moment(b.DecidedAt)
}

// parsePrefix reads an address or a CIDR without host bits.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, usageError(fmt.Errorf("%q is no address and no CIDR", clean(s)))
	}
	if p != p.Masked() {
		return netip.Prefix{}, usageError(fmt.Errorf("%s has host bits: say %s for the network, or %s for the address alone", p, p.Masked(), p.Addr()))
	}
	return p, nil
}

// names says that a word of the command line means a block.
func names(word string, b blocklist.Block) bool {
	if word == string(b.ID) || word == b.Prefix.String() {
		return true
	}
	a, err := netip.ParseAddr(word)
	return err == nil && b.Prefix.IsSingleIP() && b.Prefix.Addr() == a.Unmap()
}
