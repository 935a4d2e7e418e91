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

// spot is a candidate by its prefix.
type spot struct {
	key
	at int32
}

// makeItems groups the open candidates by prefix and leaves out those that cannot
// be chosen.
func (l *list) makeItems() {
	spots := l.spots()
	groups := l.group(spots)
	l.items = make([]item, 0, len(groups))
	l.byKey, l.first, l.limits = l.byKey[:0], l.first[:0], l.limits[:0]
	for _, g := range groups {
		l.items = append(l.items, g.item)
		l.first, l.limits = append(l.first, int32(len(l.byKey))), append(l.limits, l.cands[spots[g.from].at].limit)
		for _, s := range spots[g.from:g.to] {
			l.byKey = append(l.byKey, s.at)
		}
	}
	l.first = append(l.first, int32(len(l.byKey)))
}

// spots gives the open candidates sorted by prefix; of more than maxItems the best.
func (l *list) spots() []spot {
	out := make([]spot, 0, min(len(l.cands), maxItems))
	for n := range l.cands {
		i := int32(n)
		if len(l.cands) > maxItems {
			i = l.order[n]
		}
		if l.cands[i].status == isOpen && len(out) < maxItems {
			out = append(out, spot{l.cands[i].key, i})
		}
	}
	if l.fam == IPv4 {
		return sortIPv4(out)
	}
	slices.SortFunc(out, func(a, b spot) int { return cmp.Or(a.key.compare(b.key), cmp.Compare(a.at, b.at)) })
	return out
}

// sortIPv4 sorts by way of one number for each: address, length and place fit
// into 64 bits, and numbers sort several times faster.
func sortIPv4(spots []spot) []spot {
	packed := make([]uint64, len(spots))
	for i, s := range spots {
		packed[i] = s.hi>>32<<24 | uint64(s.bits)<<18 | uint64(i)
	}
	slices.Sort(packed)
	out := make([]spot, len(spots))
	for i, p := range packed {
		out[i] = spots[p&(1<<18-1)]
	}
	return out
}

// group is an item and the spots that it stands for.
type group struct {
	item
	from, to int32
}

// group puts candidates of the same prefix together. Of those that nothing can be
// joined with, because no other lies in the shortest prefix around them, it gives
// only the best, as many as there are slots and one more: others are never chosen.
func (l *list) group(spots []spot) []group {
	installed := l.existing()
	best := top{most: l.k + 1}
	wide := key{bits: -1} // the last item that covers others though it is too short to be joined
	minBits := l.lim.minBits(l.fam)
	pairs := 0
	for i := 1; i < len(spots); i++ {
		if near(spots[i-1].key, spots[i].key, minBits) {
			pairs++
		}
	}
	out := make([]group, 0, min(2*pairs, len(spots))+best.most)
	for from := 0; from < len(spots); {
		g := l.one(spots, from, installed)
		joins := wide.bits >= 0 && wide.covers(g.key) ||
			from > 0 && near(spots[from-1].key, g.key, minBits) || int(g.to) < len(spots) && near(g.key, spots[g.to].key, minBits)
		if g.bits < minBits && (wide.bits < 0 || !wide.covers(g.key)) {
			wide = g.key
		}
		from = int(g.to)
		if !joins {
			best.offer(g)
			continue
		}
		out = append(out, g)
	}
	out = append(out, best.groups...)
	slices.SortFunc(out, func(a, b group) int { return cmp.Compare(a.from, b.from) })
	return out
}

// near says that a prefix which may be taken could cover both.
func near(a, b key, minBits int) bool {
	return a.covers(b) || a.common(b).bits >= minBits
}

// one gives the group that begins at a spot.
func (l *list) one(spots []spot, from int, installed map[key]bool) group {
	g := group{from: int32(from), item: item{key: spots[from].key}}
	g.installed = l.cands[spots[from].at].by >= 0 && installed[g.key]
	to := from
	for ; to < len(spots) && spots[to].key == g.key; to++ {
		c := &l.cands[spots[to].at]
		g.count++
		g.weight += l.weight(c)
		g.age += max(0, maxAge-int64(c.turn))
	}
	g.to = int32(to)
	return g
}

// top keeps the groups of the highest value, the highest first.
type top struct {
	most   int
	groups []group
}

func (t *top) offer(g group) {
	i := len(t.groups)
	for i > 0 && g.worth().over(t.groups[i-1].worth()) {
		i--
	}
	if i >= t.most {
		return
	}
	t.groups = slices.Insert(t.groups, i, g)
	t.groups = t.groups[:min(len(t.groups), t.most)]
}

// weight is what serving a candidate is worth: what is denied already has the
// margin more.
func (l *list) weight(c *cand) int64 {
	w := c.weight
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
		c := chosen{pick: p, limit: int(slices.Min(l.limits[p.from:p.to]))}
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
			l.numberless(at, isNumberless)
		}
		return false
	}
	return true
}

// candsOf gives the candidates that a pick serves, by their places.
func (l *list) candsOf(p pick) []int32 { return l.byKey[l.first[p.from]:l.first[p.to]] }

// bestOf gives the turn of the best candidate of a choice.
func (l *list) bestOf(c chosen) int32 {
	best := int32(len(l.cands))
	for _, at := range l.candsOf(c.pick) {
		best = min(best, l.cands[at].turn)
	}
	return best
}

// servedBy gives the candidates of a choice, best first.
func (l *list) servedBy(p pick) []*Candidate {
	at := slices.Clone(l.candsOf(p))
	slices.SortFunc(at, func(a, b int32) int { return cmp.Compare(l.cands[a].turn, l.cands[b].turn) })
	out := make([]*Candidate, len(at))
	for i, a := range at {
		out[i] = l.cands[a].c
	}
	return out
}

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
	if len(l.why) == 0 {
		return
	}
	for _, i := range l.order {
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
