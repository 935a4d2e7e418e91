package firewall

import (
	"cmp"
	"slices"
)

// choose finds the best use of the slots. When a chosen prefix finds no number,
// because allows leave too few below them, the choice is made again without it.
func (l *list) choose() {
	for range maxSlots {
		l.makeItems()
		o := solve(l.items, l.k+1, l.rules())
		l.take(o.picks(l.k))
		if l.enoughNumbers() {
			if len(l.chosen) >= l.k {
				l.next = o.picks(l.k + 1)
			}
			break
		}
	}
	l.markServed()
	l.keepVoid()
}

// makeItems groups the open candidates by prefix.
func (l *list) makeItems() {
	l.byKey = l.byKey[:0]
	for i := range l.cands {
		if l.cands[i].status == isOpen && len(l.byKey) < maxItems {
			l.byKey = append(l.byKey, int32(i))
		}
	}
	slices.SortFunc(l.byKey, func(a, b int32) int {
		if c := l.cands[a].key.compare(l.cands[b].key); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	installed := l.existing()
	l.items = make([]item, 0, len(l.byKey))
	l.first, l.limits = l.first[:0], l.limits[:0]
	for at, i := range l.byKey {
		c := &l.cands[i]
		n := len(l.items)
		if n == 0 || l.items[n-1].key != c.key {
			l.items = append(l.items, item{key: c.key, installed: len(installed) > 0 && installed[c.key]})
			l.first, l.limits = append(l.first, int32(at)), append(l.limits, c.limit)
			n++
		}
		it := &l.items[n-1]
		it.count++
		it.weight += l.weight(c)
		it.age += max(0, maxAge-int64(i))
	}
	l.first = append(l.first, int32(len(l.byKey)))
}

// weight is what serving a candidate is worth: what is denied already has the
// margin more.
func (l *list) weight(c *cand) int64 {
	w := weightOf(c.c)
	if c.by >= 0 {
		w += min(max(int64(l.lim.Margin), 0), maxWeight-min(maxWeight, w%onePin))
	}
	return w
}

// existing gives the prefixes of our entries that may stay.
func (l *list) existing() map[key]bool {
	out := map[key]bool{}
	for _, e := range l.ours {
		if e.sure && !e.fixed {
			out[e.key] = true
		}
	}
	return out
}

func (l *list) rules() rules {
	return rules{family: l.fam, price: int64(max(0, l.lim.Price)), minBits: l.lim.minBits(l.fam), cap: int64(max(0, l.lim.Collateral)),
		covers: l.coverKeys(), allowed: l.allowed, existing: l.existing()}
}

// take finds for each pick the entry that is there.
func (l *list) take(picks []pick) {
	l.chosen = l.chosen[:0]
	for i := range l.ours {
		l.ours[i].stays = false
	}
	for _, p := range picks {
		c := chosen{pick: p, limit: slices.Min(l.limits[p.from:p.to])}
		for i := range l.ours {
			if e := &l.ours[i]; e.key == p.key && e.sure && !e.fixed && !e.stays && e.Number < c.limit {
				e.stays, c.entry, c.place = true, e.Entry, there
				break
			}
		}
		l.chosen = append(l.chosen, c)
	}
}

// enoughNumbers says whether every chosen prefix can have a number below its
// allow. It takes the lightest out that cannot.
func (l *list) enoughNumbers() bool {
	var missing []*chosen
	for i := range l.chosen {
		if l.chosen[i].place == nowhere {
			missing = append(missing, &l.chosen[i])
		}
	}
	slices.SortStableFunc(missing, func(a, b *chosen) int { return cmp.Compare(a.limit, b.limit) })
	usable := l.usable()
	for i, m := range missing {
		below, _ := slices.BinarySearch(usable, m.limit)
		if below > i {
			continue
		}
		worst := slices.MaxFunc(missing[:i+1], func(a, b *chosen) int { return cmp.Compare(l.bestOf(*a), l.bestOf(*b)) })
		for _, at := range l.candsOf(worst.pick) {
			c := &l.cands[at]
			c.status, c.why = isNumberless, l.noNumber(worst.limit)
		}
		return false
	}
	return true
}

// candsOf gives the candidates that a pick serves, by their places.
func (l *list) candsOf(p pick) []int32 { return l.byKey[l.first[p.from]:l.first[p.to]] }

// bestOf gives the place of the best candidate of a choice.
func (l *list) bestOf(c chosen) int32 { return slices.Min(l.candsOf(c.pick)) }

// markServed says of each candidate which choice serves it.
func (l *list) markServed() {
	l.pickOf = make([]int32, len(l.items))
	for i := range l.pickOf {
		l.pickOf[i] = -1
	}
	for n := range l.chosen {
		c := &l.chosen[n]
		for i := c.from; i < c.to; i++ {
			l.pickOf[i] = int32(n)
		}
		for _, at := range l.candsOf(c.pick) {
			l.cands[at].status = isServed
		}
		if c.innocent = l.innocentsOf(c.pick); c.innocent > 0 && l.widened != nil {
			l.widened(l, *c)
		}
	}
}

// innocentsOf counts the addresses, or /64s, that a pick denies without need.
func (l *list) innocentsOf(p pick) int64 {
	if l.items[p.from].key == p.key {
		return 0
	}
	o := optimum{items: l.items, k: 1, r: rules{family: l.fam, allowed: func(key) bool { return false }}}
	_, s := o.node(p.from, p.to)
	return innocents(l.fam, p.bits, s)
}

// keepVoid leaves entries in place that an allow shadows wholly, as long as
// nobody needs their slots: the allow may go again.
func (l *list) keepVoid() {
	room := l.k - len(l.chosen)
	for i := range l.cands {
		c := &l.cands[i]
		if c.status != isShadowed && c.status != isNumberless || room <= 0 {
			continue
		}
		for j := range l.ours {
			if e := &l.ours[j]; e.key == c.key && !e.fixed && !e.stays && e.sure {
				e.stays, c.status, c.by = true, isVoid, int32(j)
				room--
				break
			}
		}
	}
}
