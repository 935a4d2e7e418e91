package ui

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
)

// mask hides internal addresses and the names of hosts, for a screen that others
// see. It makes masked copies of snapshots, so that whatever is drawn, filtered or
// copied is masked. The prefix of a proposal or a block stays: it is what a person
// decides about.
type mask struct {
	hosts map[string]string // the stand-in of each name, kept while masked
	rows  map[*engine.AlertRow]*engine.AlertRow
}

func newMask() *mask {
	return &mask{hosts: map[string]string{}, rows: map[*engine.AlertRow]*engine.AlertRow{}}
}

// internalNets are addresses that say something about the inside of a network.
var internalNets = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
}

// internalAddr gives the network that an internal address belongs to.
func internalAddr(a netip.Addr) (netip.Prefix, bool) {
	a = a.Unmap().WithZone("")
	i := slices.IndexFunc(internalNets, func(p netip.Prefix) bool { return p.Contains(a) })
	if i < 0 {
		return netip.Prefix{}, false
	}
	return internalNets[i], true
}

// addr gives an internal address without its host; all others as they are.
func (k *mask) addr(a netip.Addr) netip.Addr {
	if p, ok := internalAddr(a); ok {
		return p.Addr()
	}
	return a
}

func (k *mask) prefix(p netip.Prefix) netip.Prefix {
	if n, ok := internalAddr(p.Addr()); ok && p.IsValid() {
		return netip.PrefixFrom(n.Addr(), p.Bits())
	}
	return p
}

// host gives the stand-in of a name.
func (k *mask) host(name string) string {
	if name == "" {
		return ""
	}
	if k.hosts[name] == "" {
		k.hosts[name] = fmt.Sprintf("host-%d", len(k.hosts)+1)
	}
	return k.hosts[name]
}

// addrLike finds what may be an address inside a text.
var (
	addrLike = regexp.MustCompile(`[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:.]*[0-9A-Fa-f:]`)
	awsHost  = regexp.MustCompile(`\bip-(?:10|172|192|100)(?:-[0-9]{1,3}){3}[A-Za-z0-9.-]*`)
)

// text masks what a text names. Longer names go first, so that no rest of a name
// stays.
func (k *mask) text(s string) string {
	if s == "" {
		return s
	}
	if strings.Contains(s, "ip-") {
		s = awsHost.ReplaceAllStringFunc(s, k.host)
	}
	if !strings.ContainsAny(s, ".:") {
		return k.replaceNames(s)
	}
	s = addrLike.ReplaceAllStringFunc(s, func(x string) string {
		a, err := netip.ParseAddr(x)
		if err != nil {
			return x
		}
		return k.addr(a).String()
	})
	return k.replaceNames(s)
}

func (k *mask) replaceNames(s string) string {
	for _, name := range k.names() {
		if strings.Contains(s, name) {
			s = strings.ReplaceAll(s, name, k.hosts[name])
		}
	}
	return s
}

// names are the known names, longest first; short ones would match inside words.
func (k *mask) names() []string {
	var out []string
	for name := range k.hosts {
		if len(name) >= 4 {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return out
}

func (k *mask) texts(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = k.text(s)
	}
	return out
}

// snapshot gives a masked copy.
func (k *mask) snapshot(s *engine.Snapshot) *engine.Snapshot {
	c := *s
	k.learn(s)
	c.Alerts = k.alerts(s.Alerts)
	c.Proposals = make([]*engine.Proposal, len(s.Proposals))
	for i, p := range s.Proposals {
		q := *p
		q.Block, q.Blocked = k.block(p.Block), k.text(p.Blocked)
		c.Proposals[i] = &q
	}
	c.Blocks = make([]*engine.BlockView, len(s.Blocks))
	for i, b := range s.Blocks {
		q := *b
		q.Block = k.block(b.Block)
		c.Blocks[i] = &q
	}
	c.ACLs = make([]*engine.ACLView, len(s.ACLs))
	for i, a := range s.ACLs {
		c.ACLs[i] = k.acl(a)
	}
	c.Log = slices.Clone(s.Log)
	for i := range c.Log {
		c.Log[i].Text, c.Log[i].Reason = k.text(c.Log[i].Text), k.text(c.Log[i].Reason)
	}
	c.Problems = slices.Clone(s.Problems)
	for i := range c.Problems {
		c.Problems[i].Text, c.Problems[i].Hint = k.text(c.Problems[i].Text), k.text(c.Problems[i].Hint)
	}
	return &c
}

// learn notes every host that a snapshot names.
func (k *mask) learn(s *engine.Snapshot) {
	for _, a := range s.Alerts {
		if k.rows[a] != nil {
			continue
		}
		k.host(string(a.Host))
		for _, x := range a.Sightings {
			for _, e := range x.Evidence {
				k.host(string(e.Host))
			}
		}
	}
}

// alerts gives masked rows; those that it has made before it gives again.
func (k *mask) alerts(rows []*engine.AlertRow) []*engine.AlertRow {
	out := make([]*engine.AlertRow, len(rows))
	kept := make(map[*engine.AlertRow]*engine.AlertRow, len(rows))
	for i, a := range rows {
		c := k.rows[a]
		if c == nil {
			c = k.row(a)
		}
		kept[a], out[i] = c, c
	}
	k.rows = kept
	return out
}

func (k *mask) row(a *engine.AlertRow) *engine.AlertRow {
	c := *a
	c.Host, c.Title, c.Note = alert.Text(k.host(string(a.Host))), alert.Text(k.text(string(a.Title))), k.text(a.Note)
	c.AgentID = k.host(a.AgentID)
	c.Sightings = slices.Clone(a.Sightings)
	for i := range c.Sightings {
		x := &c.Sightings[i]
		if x.Block == "" {
			x.Addr = k.addr(x.Addr) // nothing is decided about it
		}
		x.Reasons = k.texts(x.Reasons)
		x.Evidence = slices.Clone(x.Evidence)
		for j := range x.Evidence {
			e := &x.Evidence[j]
			e.Host, e.Peer, e.Command = alert.Text(k.host(string(e.Host))), k.addr(e.Peer), alert.Text(k.text(string(e.Command)))
		}
	}
	return &c
}

func (k *mask) block(b blocklist.Block) blocklist.Block {
	b.Hosts, b.Reasons, b.Why = slices.Clone(b.Hosts), k.texts(b.Reasons), k.text(b.Why)
	for i, h := range b.Hosts {
		b.Hosts[i] = k.host(h)
	}
	return b
}

func (k *mask) acl(a *engine.ACLView) *engine.ACLView {
	c := *a
	c.Entries, c.Warnings, c.Err = slices.Clone(a.Entries), k.texts(a.Warnings), k.text(a.Err)
	for i := range c.Entries {
		if c.Entries[i].Owner == engine.Foreign {
			c.Entries[i].Prefix = k.prefix(c.Entries[i].Prefix)
		}
	}
	return &c
}

// masked masks a text when the screen is masked.
func (m *Model) masked(s string) string {
	if m.mask == nil {
		return s
	}
	return m.mask.text(s)
}

// seen is the snapshot that is drawn: masked when the screen is.
func (m *Model) seen(s *engine.Snapshot) *engine.Snapshot {
	if m.mask == nil {
		return s
	}
	return m.mask.snapshot(s)
}

// toggleMask masks the screen, or takes the mask off.
func (m *Model) toggleMask() tea.Cmd {
	if m.mask != nil {
		m.mask = nil
		m.say("internal addresses and hosts are shown again", false)
	} else {
		m.mask = newMask()
		m.say("internal addresses and hosts are masked, in copies too", false)
	}
	if m.source != nil {
		m.show(m.source)
	}
	return nil
}

// xed shows that the host of an internal address was taken away. Each stands in
// for a text of the same width.
var xed = strings.NewReplacer("10.0.0.0", "10.x.x.x", "172.16.0.0", "172.16.x.x", "192.168.0.0", "192.168.x.x", "100.64.0.0", "100.64.x.x", "169.254.0.0", "169.254.x.x", "fc00::", "fcxx::")
