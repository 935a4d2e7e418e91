package cli

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"selfprotect/policy"
	"selfprotect/replay"
)

func mustPrefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// text is the form for people, in at most 80 columns but for reasons; at most so many
// addresses of each kind are listed.
func (r *pastReport) text(most int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "replay of %s to %s, %s mode; nothing was written\n", stamp(r.From), stamp(r.Until), r.Mode)
	for _, rule := range r.Rules {
		fmt.Fprintf(&b, "  %s of rule %s\n", count(rule.Alerts, "alert", "alerts"), rule.ID)
		if rule.Name != "" {
			fmt.Fprintf(&b, "    %s\n", rule.Name)
		}
	}
	verb := "would have been blocked"
	if r.Mode != policy.Auto.String() {
		verb = "blocked"
	}
	fmt.Fprintf(&b, "\n%d alerts, %d of them dismissed at the source, %d without an address\n", r.Alerts, r.Dismissed, r.WithoutAddress)
	fmt.Fprintf(&b, "%d addresses: %d %s, %d asked about, %d refused, %d ignored\n", len(r.Addresses), r.Blocked, verb, r.Asked, r.Refused, r.Ignored)
	if r.FalseAlarms > 0 {
		fmt.Fprintf(&b, "%d of the blocked and asked were named only by alerts that were dismissed: look at them first\n", r.FalseAlarms)
	}
	if r.Waited > 0 {
		fmt.Fprintf(&b, "%d had no slot for a time\n", r.Waited)
	}
	r.periods(&b)
	r.lists(&b)
	for i, s := range r.Stops {
		if i == 0 {
			fmt.Fprintf(&b, "\nauto mode would have stopped itself %d times (and waited for a person; here it goes on after an hour)\n", len(r.Stops))
		}
		if i < most {
			fmt.Fprintf(&b, "  %s  %s\n", stamp(s.At), s.Why)
		}
	}
	for _, result := range []string{replay.Blocked, replay.Asked, replay.Refused, replay.Ignored} {
		r.addresses(&b, result, most)
	}
	for i, n := range r.Notes {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// periods is the course of time; periods without alerts are left out.
func (r *pastReport) periods(b *strings.Builder) {
	fmt.Fprintf(b, "\n%-17s %7s %8s %6s %8s %8s %7s\n", "from (UTC)", "alerts", "blocked", "asked", "refused", "waiting", "slots")
	quiet := 0
	for _, p := range r.Periods {
		if p.Alerts == 0 && p.Waiting == 0 && p.Used == 0 {
			quiet++
			continue
		}
		fmt.Fprintf(b, "%-17s %7d %8d %6d %8d %8d %7s\n", stamp(p.From), p.Alerts, p.Blocked, p.Asked, p.Refused, p.Waiting, fmt.Sprintf("%d/%d", p.Used, p.Slots))
	}
	if quiet > 0 {
		fmt.Fprintf(b, "%s without anything left out\n", count(quiet, "line", "lines"))
	}
}

// lists is how the slots were used.
func (r *pastReport) lists(b *strings.Builder) {
	first := true
	for _, l := range r.Lists {
		if l.PeakWanted == 0 {
			continue
		}
		if first {
			b.WriteString("\n")
		}
		first = false
		fmt.Fprintf(b, "%s %s %s: at most %d of %d slots used, %d wanted at a time", l.ACL, l.Direction, l.Family, l.PeakUsed, l.Slots, l.PeakWanted)
		if l.PeakWaiting > 0 {
			fmt.Fprintf(b, "\n  short of slots for %d at the worst, %s", l.PeakWaiting, stamp(l.PeakAt))
		}
		b.WriteString("\n")
	}
}

// addresses lists those of one result: the reasons with their counts, then the
// addresses, the heaviest first.
func (r *pastReport) addresses(b *strings.Builder, result string, most int) {
	var of []replay.Outcome
	why := map[string]int{}
	for _, o := range r.Addresses {
		if o.Result == result {
			of = append(of, o)
			why[clean(strings.Join(o.Reasons, "; "))]++
		}
	}
	if len(of) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s: %d\n", result, len(of))
	reasons := slices.SortedFunc(maps.Keys(why), func(x, y string) int { return cmp.Or(cmp.Compare(why[y], why[x]), cmp.Compare(x, y)) })
	for i, text := range reasons {
		if i < most {
			fmt.Fprintf(b, "  %5d  %s\n", why[text], text)
		}
	}
	if len(reasons) > most {
		fmt.Fprintf(b, "  and %d more reasons\n", len(reasons)-most)
	}
	for i, o := range of {
		if i < most {
			address(b, o)
		}
	}
	if len(of) > most {
		fmt.Fprintf(b, "  and %d more: --all lists them\n", len(of)-most)
	}
}

func address(b *strings.Builder, o replay.Outcome) {
	fmt.Fprintf(b, "  %s %s: %s, %s", o.CIDR, o.Direction, count(o.Alerts, "alert", "alerts"), stamp(o.First))
	if o.Alerts > 1 {
		fmt.Fprintf(b, " to %s", stamp(o.Last))
	}
	if o.Dismissed > 0 {
		fmt.Fprintf(b, ", %d dismissed", o.Dismissed)
	}
	if o.Blocks > 1 {
		fmt.Fprintf(b, ", %d times", o.Blocks)
	}
	b.WriteString("\n")
	if o.Weight > 0 {
		fmt.Fprintf(b, "    weight %s\n", o.Score)
	}
	if o.Waited {
		fmt.Fprintf(b, "    %s\n", waitText(o))
	}
}

func waitText(o replay.Outcome) string {
	if o.WaitsAtEnd {
		return "without a slot at the end: " + clean(o.WhyWaits)
	}
	return "without a slot for a time: " + clean(o.WhyWaits)
}
