package firewall

import (
	"cmp"
	"net/netip"
	"slices"
)

// Widening is a prefix that would serve several candidates with one entry, at the
// price of innocent addresses. It needs somebody's word.
type Widening struct {
	Direction Direction
	Prefix    netip.Prefix
	Innocent  int64       // addresses, for IPv6 /64s, that nobody wants denied
	Serves    []Candidate // best first
	Waiting   int         // of these, how many have no entry without it
}

// Widenings gives the wider prefixes that would let more be denied than the plan
// can: those of the best choice if one entry might deny up to most innocent
// addresses (or /64s). It gives none for a direction and family in which nothing
// waits. The plan is the one that Diff gives for the same input.
func Widenings(plan Plan, acl ACL, want []Candidate, lim Limits, most int) []Widening {
	if len(plan.Left) == 0 || most <= lim.Collateral {
		return nil
	}
	type where struct {
		dir Direction
		fam Family
	}
	type who struct {
		dir Direction
		pfx netip.Prefix
		ref string
	}
	short, waits := map[where]bool{}, map[who]bool{}
	for _, l := range plan.Left {
		c := l.Candidate
		short[where{c.Direction, FamilyOf(c.Prefix)}] = true
		waits[who{c.Direction, c.Prefix, c.Ref}] = true
	}
	var out []Widening
	p := planner{acl: acl, lim: lim.withDefaults(), plan: Plan{ACL: acl.ID}, unguarded: lim.Guard == nil, urgent: map[Change]bool{}}
	p.lim.Collateral = most
	// What must not be widened over without asking is asked here.
	p.lim.AskFirst = func(netip.Prefix) bool { return false }
	p.widened = func(l *list, c chosen) {
		if !short[where{l.dir, l.fam}] || c.innocent <= int64(lim.Collateral) || l.covered(c.key) {
			return
		}
		w := Widening{Direction: l.dir, Prefix: c.key.prefix(l.fam), Innocent: c.innocent}
		for _, x := range l.servedBy(c.pick) {
			w.Serves = append(w.Serves, *x)
			if waits[who{x.Direction, x.Prefix, x.Ref}] {
				w.Waiting++
			}
		}
		out = append(out, w)
	}
	for _, dir := range []Direction{Egress, Ingress} {
		used := p.usedNumbers(dir)
		for _, f := range []Family{IPv4, IPv6} {
			p.list(dir, f, want, used)
		}
	}
	slices.SortFunc(out, func(a, b Widening) int {
		return cmp.Or(cmp.Compare(a.Direction, b.Direction), a.Prefix.Compare(b.Prefix))
	})
	return out
}
