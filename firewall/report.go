package firewall

import (
	"fmt"
	"slices"
)

// report puts every candidate into one part of the plan, best first.
func (l *list) report() {
	out := &l.plan
	pickOf := l.picksByCand()
	waits := 0
	for _, i := range l.order {
		c := &l.cands[i]
		switch c.status {
		case isServed:
			l.reportServed(c, l.chosen[pickOf[i]])
		case isFixed:
			l.kept(c, Placed{Entry: l.ours[c.by].Entry})
		case isVoid:
			e := l.ours[c.by].Entry
			out.Void = append(out.Void, Placed{Candidate: c.c, Entry: e, Note: l.acl.EffectOf(e).String()})
			l.bud.Waiting++
		default:
			waits++
		}
	}
	l.reportHeld()
	for i := range l.barred {
		l.left(&l.barred[i], l.barred[i].c.Waits)
	}
	l.reportWaiting(waits)
	out.Budgets = append(out.Budgets, l.bud)
}

// picksByCand gives the place of the choice that serves each candidate.
func (l *list) picksByCand() []int32 {
	out := make([]int32, len(l.cands))
	for n, c := range l.chosen {
		for _, at := range l.candsOf(c.pick) {
			out[at] = int32(n)
		}
	}
	return out
}

func (l *list) kept(c *cand, p Placed) {
	l.bud.Kept++
	p.Candidate = c.c
	l.plan.Kept = append(l.plan.Kept, p)
}

// reportServed: what is denied now is kept, though its entry may be about to
// change; else it is coming.
func (l *list) reportServed(c *cand, by chosen) {
	switch {
	case by.place == there:
		l.kept(c, Placed{Entry: by.entry, Innocent: by.innocent})
	case c.by >= 0 && by.place == coming:
		l.kept(c, Placed{Entry: l.ours[c.by].Entry, Innocent: by.innocent, Note: fmt.Sprintf("moves to entry %d, %s", by.entry.Number, by.entry.Prefix)})
	case c.by >= 0:
		l.kept(c, Placed{Entry: l.ours[c.by].Entry, Note: "stays until a slot is free"})
	case by.place == coming:
		l.bud.Kept++
		l.plan.Coming = append(l.plan.Coming, Placed{Candidate: c.c, Entry: by.entry, Innocent: by.innocent})
	case by.place == later:
		l.bud.Kept++
		l.plan.Coming = append(l.plan.Coming, Placed{Candidate: c.c, Entry: Entry{Direction: l.dir, Deny: true, Protocol: AllProtocols,
			Prefix: by.key.prefix(l.fam)}, Note: "as soon as the entry whose slot it takes is deleted"})
	case !l.hasNumber(by.limit):
		l.left(c, l.noNumber(by.limit))
	default:
		l.left(c, fmt.Sprintf("waits: a write to this ACL is not settled yet, and no %s %s slot is free until it is", l.dir, l.fam))
	}
}

func (l *list) hasNumber(limit int) bool {
	_, ok := l.freeNumber(limit)
	return ok
}

func (l *list) reportHeld() {
	for i := range l.held {
		c := &l.held[i]
		if c.by >= 0 {
			l.kept(c, Placed{Entry: l.ours[c.by].Entry, Note: "a write for it is not settled yet"})
			continue
		}
		l.bud.Kept++
		l.plan.Coming = append(l.plan.Coming, Placed{Candidate: c.c, Note: "a write for it is not settled yet"})
	}
}

// reportWaiting says of each candidate without an entry why.
func (l *list) reportWaiting(n int) {
	if n == 0 {
		return
	}
	l.plan.Left = slices.Grow(l.plan.Left, n)
	if n > len(l.why) {
		l.bud.CutOff = l.cutOff()
	}
	noSlot := l.noSlot()
	l.markNext()
	for _, i := range l.order {
		switch c := &l.cands[i]; c.status {
		case isOpen:
			l.left(c, noSlot)
		case isShadowed, isNumberless:
			l.left(c, l.why[i])
		}
	}
}

func (l *list) left(c *cand, why string) {
	l.bud.Waiting++
	l.plan.Left = append(l.plan.Left, Left{Candidate: c.c, Why: why, Next: c.next, Shadowed: c.status == isShadowed})
}

func (l *list) noSlot() string {
	b := l.bud
	what := fmt.Sprintf("%s %s", l.dir, l.fam)
	switch {
	case b.Slots <= 0:
		return fmt.Sprintf("no slot: entries of others fill the quota of %d %s entries", b.Quota, what)
	case l.k == 0:
		return fmt.Sprintf("no slot: all %d %s slots are held by writes that are not settled", b.Slots, what)
	case l.lim.Margin > 0:
		return fmt.Sprintf("no slot: all %d %s slots are taken; the lightest entry weighs %d, a newcomer needs %d more", max(0, b.Slots-b.Pending), what, b.CutOff, l.lim.Margin)
	}
	return fmt.Sprintf("no slot: all %d %s slots are taken; the lightest entry weighs %d", max(0, b.Slots-b.Pending), what, b.CutOff)
}

// markNext finds who comes in with one slot more.
func (l *list) markNext() {
	for _, p := range l.next {
		for _, at := range l.candsOf(p) {
			l.cands[at].next = l.cands[at].status == isOpen
		}
	}
}

// cutOff gives the weight of the lightest entry that keeps its slot.
func (l *list) cutOff() int {
	weights := make([]int64, 0, len(l.chosen)+len(l.ours))
	for _, c := range l.chosen {
		w := -cost(c.innocent, int64(l.lim.Price))
		for _, at := range l.candsOf(c.pick) {
			w += l.cands[at].weight
		}
		weights = append(weights, w)
	}
	byFixed := map[int32]int64{}
	for i := range l.cands {
		if c := &l.cands[i]; c.status == isFixed {
			byFixed[c.by] += c.weight
		}
	}
	for _, w := range byFixed {
		weights = append(weights, w)
	}
	weights = slices.DeleteFunc(weights, func(w int64) bool { return w >= onePin-maxCost })
	if len(weights) == 0 {
		return 0
	}
	return int(max(0, slices.Min(weights)))
}
