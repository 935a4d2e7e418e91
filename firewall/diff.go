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
// forbids, that somebody else's entry denies already, or that a wider candidate
// covers take no slot. Of the rest the best stay within the slots: pinned first,
// then by weight, where an entry that is there has Margin more, then the older.
// What is there and chosen stays where it is. New entries are created while a
// slot is free; when none is, they take the place of entries of ours that are not
// chosen; what is left of those is deleted last, so that nothing wanted is open
// between two steps. Only numbers of our range are used, below every allow that
// could match first, never one that somebody else holds or that must rest.
func Diff(acl ACL, want []Candidate, lim Limits) Plan {
	p := planner{acl: acl, lim: lim.withDefaults(), unguarded: lim.Guard == nil, plan: Plan{ACL: acl.ID}}
	for _, dir := range []Direction{Egress, Ingress} {
		used := p.usedNumbers(dir)
		for _, f := range []Family{IPv4, IPv6} {
			p.one(dir, f, want, used)
		}
	}
	p.order()
	return p.plan
}

func (l Limits) withDefaults() Limits {
	if l.Quota <= 0 {
		l.Quota = DefaultQuota
	}
	if l.Low <= 0 && l.High <= 0 {
		l.Low, l.High = 1, 99
	}
	if l.Guard == nil {
		l.Guard = func(netip.Prefix) error { return fmt.Errorf("there is no guard") }
	}
	return l
}

type planner struct {
	acl  ACL
	lim  Limits
	plan Plan
	// unguarded: there is no guard, so nothing may be made, and what it would
	// refuse is not known, so nothing that is wanted may be removed either.
	unguarded bool
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
	return used
}

// one plans one direction and family.
func (p *planner) one(dir Direction, f Family, want []Candidate, used map[int]bool) {
	ours := p.ours(dir, f)
	b := p.budget(dir, f, len(ours))
	p.plan.Budgets = append(p.plan.Budgets, b)

	cands := p.needed(dir, f, want, ours)
	chosen, left := p.choose(cands, ours, b.Slots-b.Pending)
	p.plan.Left = append(p.plan.Left, left...)

	var missing []Candidate
	stay := map[int]bool{} // numbers of ours that stay
	for _, c := range chosen {
		e, ok := p.place(c, ours, stay)
		if !ok {
			missing = append(missing, c)
			continue
		}
		stay[e.Number] = true
		p.keep(c, e)
	}
	var spare []Entry // entries of ours that may go, if their number need not rest
	for _, e := range ours {
		if !stay[e.Number] && !p.lim.Resting[dir][e.Number] {
			spare = append(spare, e)
		}
	}
	p.fill(dir, missing, spare, b.Free, used)
}

// ours are our live entries of one direction and family, by number.
func (p *planner) ours(dir Direction, f Family) []Entry {
	var out []Entry
	for _, e := range p.acl.Entries {
		if e.Direction == dir && e.Prefix.IsValid() && FamilyOf(e.Prefix) == f && p.lim.owns(e) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

func (p *planner) budget(dir Direction, f Family, ours int) Budget {
	total := p.acl.Count(dir, f)
	b := Budget{Direction: dir, Family: f, Quota: p.lim.Quota, Foreign: total - ours, Ours: ours,
		Pending: p.lim.Pending[dir][f]}
	b.Slots = max(0, b.Quota-b.Foreign)
	b.Free = max(0, b.Quota-total-b.Pending)
	return b
}

// needed leaves out what needs no slot and sorts the rest, best first.
func (p *planner) needed(dir Direction, f Family, want []Candidate, ours []Entry) []Candidate {
	var out []Candidate
	for _, c := range want {
		if c.Direction != dir || !c.Prefix.IsValid() || FamilyOf(c.Prefix) != f {
			continue
		}
		c.Prefix = c.Prefix.Masked()
		if err := p.lim.Guard(c.Prefix); err != nil {
			p.plan.Refused = append(p.plan.Refused, Left{Candidate: c, Why: err.Error()})
			continue
		}
		if e, ok := p.acl.Denied(dir, c.Prefix, p.lim.owns); ok {
			p.plan.Covered = append(p.plan.Covered, Placed{Candidate: c, Entry: e, Note: fmt.Sprintf("already denied by entry %d", e.Number)})
			continue
		}
		out = append(out, c)
	}
	there := map[netip.Prefix]bool{}
	for _, e := range ours {
		there[e.Prefix] = true
	}
	slices.SortStableFunc(out, func(a, b Candidate) int { return p.compare(a, b, there) })
	return out
}

// compare puts the better candidate first.
func (p *planner) compare(a, b Candidate, there map[netip.Prefix]bool) int {
	if a.Pinned != b.Pinned {
		if a.Pinned {
			return -1
		}
		return 1
	}
	wa, wb := a.Weight, b.Weight
	if there[a.Prefix] {
		wa += p.lim.Margin
	}
	if there[b.Prefix] {
		wb += p.lim.Margin
	}
	if c := cmp.Compare(wb, wa); c != 0 {
		return c
	}
	if there[a.Prefix] != there[b.Prefix] {
		if there[a.Prefix] {
			return -1
		}
		return 1
	}
	return cmp.Or(a.Since.Compare(b.Since), a.Prefix.Compare(b.Prefix), cmp.Compare(a.Ref, b.Ref))
}

// choose takes the best that fit, and says of the others why they wait. A
// candidate that a chosen wider one covers needs no slot.
func (p *planner) choose(cands []Candidate, ours []Entry, slots int) (chosen []Candidate, left []Left) {
	for _, c := range cands {
		if i := slices.IndexFunc(chosen, func(o Candidate) bool { return covers(o.Prefix, c.Prefix) }); i >= 0 {
			continue
		}
		if len(chosen) < slots {
			chosen = append(chosen, c)
			continue
		}
		left = append(left, Left{Candidate: c, Why: p.noSlot(c, slots, len(ours))})
	}
	return chosen, left
}

func (p *planner) noSlot(c Candidate, slots, ours int) string {
	if slots <= 0 {
		return fmt.Sprintf("no slot: entries of others fill the quota of %d %s %s entries", p.lim.Quota, c.Direction, FamilyOf(c.Prefix))
	}
	return fmt.Sprintf("no slot: all %d %s %s slots are taken by blocks that weigh as much or more", slots, c.Direction, FamilyOf(c.Prefix))
}

// place finds the entry of ours that serves the candidate now: the lowest number
// that works, else the lowest.
func (p *planner) place(c Candidate, ours []Entry, stay map[int]bool) (Entry, bool) {
	limit, _ := p.acl.ceiling(c.Direction, c.Prefix)
	var void *Entry
	for i, e := range ours {
		if e.Prefix != c.Prefix || stay[e.Number] || p.lim.Unsure[c.Direction][e.Number] {
			continue
		}
		if e.Number < limit {
			return e, true
		}
		if void == nil {
			void = &ours[i]
		}
	}
	if void == nil {
		return Entry{}, false
	}
	if _, ok := p.freeNumber(c.Direction, c.Prefix, p.usedNumbers(c.Direction)); ok {
		return Entry{}, false // it can be written anew below the allow
	}
	return *void, true
}

func (p *planner) keep(c Candidate, e Entry) {
	placed := Placed{Candidate: c, Entry: e}
	if note := p.acl.Effect(e); note != "" {
		placed.Note = note
		if limit, _ := p.acl.ceiling(c.Direction, c.Prefix); limit < e.Number {
			p.plan.Void = append(p.plan.Void, placed)
			return
		}
	}
	p.plan.Kept = append(p.plan.Kept, placed)
}

// freeNumber gives the lowest number of our range that is free and below every
// allow that could match the prefix first.
func (p *planner) freeNumber(dir Direction, pfx netip.Prefix, used map[int]bool) (int, bool) {
	limit, _ := p.acl.ceiling(dir, pfx)
	for n := p.lim.Low; n <= p.lim.High && n < limit; n++ {
		if !used[n] {
			return n, true
		}
	}
	return 0, false
}

// fill makes the missing entries and removes the spare ones.
func (p *planner) fill(dir Direction, missing []Candidate, spare []Entry, free int, used map[int]bool) {
	for _, c := range missing {
		if free > 0 {
			if n, ok := p.freeNumber(dir, c.Prefix, used); ok {
				used[n] = true
				free--
				p.change(Change{Op: Create, Direction: dir, Number: n, Prefix: c.Prefix, Reason: c.Reason})
				continue
			}
		}
		limit, by := p.acl.ceiling(dir, c.Prefix)
		i := slices.IndexFunc(spare, func(e Entry) bool { return e.Number < limit })
		if i < 0 {
			p.plan.Left = append(p.plan.Left, Left{Candidate: c, Why: p.noNumber(c, free, limit, by)})
			continue
		}
		p.change(Change{Op: Replace, Direction: dir, Number: spare[i].Number, Prefix: c.Prefix, Old: spare[i].Prefix, Reason: c.Reason})
		spare = slices.Delete(spare, i, i+1)
	}
	for _, e := range spare {
		if p.unguarded && slices.ContainsFunc(p.plan.Refused, func(l Left) bool { return l.Candidate.Prefix == e.Prefix }) {
			continue
		}
		p.change(Change{Op: Delete, Direction: dir, Number: e.Number, Prefix: e.Prefix, Reason: "no longer wanted"})
	}
}

func (p *planner) noNumber(c Candidate, free, limit int, by Entry) string {
	if limit <= p.lim.Low {
		return fmt.Sprintf("not effective: allow %d matches before any number of our range %d-%d", by.Number, p.lim.Low, p.lim.High)
	}
	if free <= 0 {
		return fmt.Sprintf("waits: a write to this ACL is not settled yet, and no %s %s slot is free until it is", c.Direction, FamilyOf(c.Prefix))
	}
	return fmt.Sprintf("no free rule number below %d in our range %d-%d", min(limit, p.lim.High+1), p.lim.Low, p.lim.High)
}

func (p *planner) change(c Change) { p.plan.Changes = append(p.plan.Changes, c) }

// order puts creates first, then replaces, then deletes, each sorted; a plan is
// the same for the same input.
func (p *planner) order() {
	rank := map[Op]int{Create: 0, Replace: 1, Delete: 2}
	slices.SortStableFunc(p.plan.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(rank[a.Op], rank[b.Op]), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Number, b.Number))
	})
}
