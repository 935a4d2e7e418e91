package firewall

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Diff gives the changes that lead from the live ACL to the wanted prefixes.
//
// For each direction and family, on its own budget: candidates that the guard
// forbids or that somebody else's entry denies already take no slot. Of the rest
// those are chosen that together weigh most within the slots, exactly (see
// optimum): pinned ones before everything, then by weight, where what is denied
// already has Margin more, then the older. Prefixes that are wanted whole are
// joined where that saves a slot or a write; a wider one, which denies innocent
// addresses too, is taken only within Collateral or Covers, at a Price, never
// shorter than the limit and never where the guard is touched.
//
// What is there and chosen stays where it is. New entries are created while a
// slot is free; when none is, they take the place of entries of ours that are not
// chosen; what is left of those is deleted last, and what the guard has come to
// forbid first. An entry goes only when
// everything that it denies and that is still wanted is denied by another, so
// nothing wanted is open between two steps. Only numbers of our range are used,
// below every allow that could match first, never one that somebody else holds or
// that must rest.
//
// The same input gives the same plan, and a plan that was carried out in part
// continues to the same end.
func Diff(acl ACL, want []Candidate, lim Limits) Plan {
	p := planner{acl: acl, lim: lim.withDefaults(), unguarded: lim.Guard == nil, plan: Plan{ACL: acl.ID}, urgent: map[Change]bool{}}
	for _, dir := range []Direction{Egress, Ingress} {
		used := p.usedNumbers(dir)
		for _, f := range []Family{IPv4, IPv6} {
			p.list(dir, f, want, used)
		}
	}
	p.order()
	return p.plan
}

func (l Limits) withDefaults() Limits {
	l.Quota = max(0, l.Quota)
	if l.Quota == 0 {
		l.Quota = DefaultQuota
	}
	if l.Low <= 0 && l.High <= 0 {
		l.Low, l.High = 1, 99
	}
	if l.Guard == nil {
		l.Guard = func(netip.Prefix) error { return fmt.Errorf("there is no guard") }
	}
	if l.AskFirst == nil {
		l.AskFirst = func(netip.Prefix) bool { return false }
	}
	l.MinBits4 = cmp.Or(l.MinBits4, DefaultMinBits4)
	l.MinBits6 = cmp.Or(l.MinBits6, DefaultMinBits6)
	return l
}

func (l Limits) minBits(f Family) int {
	if f == IPv4 {
		return l.MinBits4
	}
	return l.MinBits6
}

type planner struct {
	acl  ACL
	lim  Limits
	plan Plan
	// unguarded: there is no guard, so nothing may be made, and what it would
	// refuse is not known, so nothing that is wanted may be removed either.
	unguarded bool
	urgent    map[Change]bool // deletes that come first
	// widened is told of each entry that denies innocents, for Widenings.
	widened func(*list, chosen)
}

// owns says that the entry is ours: number, direction, prefix, deny and all
// protocols together match what the journal says.
func (l Limits) owns(e Entry) bool {
	if !e.Deny || e.Protocol != AllProtocols || e.Default() {
		return false
	}
	for _, o := range l.Owned {
		if o.Number == e.Number && o.Direction == e.Direction && slices.Contains(o.Prefixes, e.Prefix) {
			return true
		}
	}
	return false
}

// Owns says whether an entry of the live ACL is ours under these limits.
func (l Limits) Owns(e Entry) bool { return l.owns(e) }

// usedNumbers are the numbers of a direction that a create must not take.
func (p *planner) usedNumbers(dir Direction) map[int]bool {
	used := map[int]bool{}
	for _, e := range p.acl.Entries {
		if e.Direction == dir {
			used[e.Number] = true
		}
	}
	for n, rest := range p.lim.Resting[dir] {
		if rest {
			used[n] = true
		}
	}
	for _, o := range p.lim.Owned { // what this read does not show may be there
		if o.Direction == dir {
			used[o.Number] = true
		}
	}
	return used
}

// list plans one direction and family.
func (p *planner) list(dir Direction, f Family, want []Candidate, used map[int]bool) {
	l := &list{planner: p, dir: dir, fam: f, used: used}
	l.gather(want)
	l.budget()
	l.fix()
	l.choose()
	l.move()
	l.report()
}

// order puts deletes of what the guard forbids first, then creates, replaces, and
// deletes; within each kind the order of the lists stays, which is safe at every
// step.
func (p *planner) order() {
	rank := func(c Change) int {
		switch {
		case p.urgent[c]:
			return 0
		case c.Op == Create:
			return 1
		case c.Op == Replace:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(p.plan.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Direction, b.Direction))
	})
}

func (p *planner) change(c Change) { p.plan.Changes = append(p.plan.Changes, c) }
