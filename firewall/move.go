package firewall

import (
	"cmp"
	"fmt"
	"slices"
)

// move orders the changes: creates while a slot is free, then replaces, then
// deletes. A replace takes a spare entry only when everything that the entry
// denies, and that is chosen, is denied by another entry or by the new one.
//
// With the numbers left aside such a replace is always found: a spare entry that
// none may take protects at least two missing prefixes, spare entries that are not
// nested protect different ones, and there are never more missing prefixes than
// spare entries once no slot is free.
func (l *list) move() {
	missing := l.missing()
	free := l.bud.Free + l.removeForbidden()
	for _, m := range missing {
		n, ok := l.freeNumber(m.limit)
		if free <= 0 || !ok {
			continue
		}
		l.used[n] = true
		free--
		l.make(m, Change{Op: Create, Number: n})
	}
	for l.replaceOne(missing) {
	}
	freed := l.removeSpare()
	for _, m := range missing {
		if _, ok := l.freeNumber(m.limit); m.place == nowhere && freed > 0 && ok {
			m.place = later
			freed--
		}
	}
}

// removeForbidden deletes first of all what the guard forbids now, unless it also
// denies something that is wanted and has no other entry yet. It gives how many
// slots that frees.
func (l *list) removeForbidden() int {
	n := 0
	for i := range l.ours {
		s := &l.ours[i]
		if l.unguarded || s.fixed || s.stays || l.lim.Guard(s.Prefix) == nil || !l.safe(s, nil) {
			continue
		}
		s.gone = true
		n++
		c := Change{Op: Delete, Direction: l.dir, Number: s.Number, Prefix: s.Prefix, Reason: l.whyGone(s)}
		l.urgent[c] = true
		l.change(c)
	}
	return n
}

// missing gives the chosen prefixes without an entry: those first for which the
// fewest numbers work, then the best.
func (l *list) missing() []*chosen {
	var out []*chosen
	for i := range l.chosen {
		if l.chosen[i].place == nowhere {
			out = append(out, &l.chosen[i])
		}
	}
	slices.SortFunc(out, func(a, b *chosen) int {
		return cmp.Or(cmp.Compare(a.limit, b.limit), cmp.Compare(l.bestOf(*a), l.bestOf(*b)))
	})
	return out
}

// freeNumber gives the lowest number of our range that is free and below a limit.
func (l *list) freeNumber(limit int) (int, bool) {
	for n := l.lim.Low; n <= l.lim.High && n < limit; n++ {
		if !l.used[n] {
			return n, true
		}
	}
	return 0, false
}

// make adds the change that gives a chosen prefix its entry.
func (l *list) make(m *chosen, c Change) {
	c.Direction, c.Prefix, c.Reason = l.dir, m.key.prefix(l.fam), l.reason(*m)
	m.place, m.entry = coming, c.Entry()
	l.change(c)
}

// reason says for whom an entry is made.
func (l *list) reason(m chosen) string {
	cs := l.servedBy(m.pick)
	if len(cs) == 1 {
		return cs[0].Reason
	}
	s := fmt.Sprintf("one entry for %s", prefixes(cs))
	if m.innocent > 0 {
		s += fmt.Sprintf("; denies %s", Innocent(m.innocent, l.fam))
	}
	return s
}

// Innocent says in words how many addresses an entry denies that nobody wants
// denied.
func Innocent(n int64, f Family) string {
	unit := "address"
	if f == IPv6 {
		unit = "/64"
	}
	switch {
	case n == 1:
		return "1 innocent " + unit
	case f == IPv6:
		return fmt.Sprintf("%d innocent /64s", n)
	}
	return fmt.Sprintf("%d innocent addresses", n)
}

// replaceOne finds one safe replace; it gives false when there is none.
func (l *list) replaceOne(missing []*chosen) bool {
	for _, m := range missing {
		if m.place != nowhere {
			continue
		}
		for i := range l.ours {
			s := &l.ours[i]
			if s.fixed || s.stays || s.gone || !l.inRange(s.Number) || s.Number >= m.limit || !l.safe(s, m) {
				continue
			}
			s.gone = true
			l.make(m, Change{Op: Replace, Number: s.Number, Old: s.Prefix})
			return true
		}
	}
	return false
}

// safe says whether an entry may go, with m in its place (nil: with nothing):
// what it denies and is chosen must be denied by another.
func (l *list) safe(s *mine, m *chosen) bool {
	if !s.sure {
		return true
	}
	from, _ := slices.BinarySearchFunc(l.items, s.key, func(it item, k key) int { return it.key.compare(k) })
	for i := from; i < len(l.items) && s.covers(l.items[i].key); i++ {
		p := l.pickOf[i]
		if p < 0 || s.Number >= int(l.limits[i]) {
			continue
		}
		c := &l.chosen[p]
		if c != m && c.place != there && c.place != coming && !l.deniedBeside(s, i) {
			return false
		}
	}
	return true
}

// deniedBeside says whether an entry of ours other than s denies an item.
func (l *list) deniedBeside(s *mine, i int) bool {
	return slices.ContainsFunc(l.ours, func(o mine) bool {
		return o.Number != s.Number && o.sure && !o.gone && o.Number < int(l.limits[i]) && o.covers(l.items[i].key)
	})
}

// removeSpare deletes what is not chosen and protects nothing. It gives how many
// slots that frees.
func (l *list) removeSpare() int {
	n := 0
	for i := range l.ours {
		s := &l.ours[i]
		if s.fixed || s.stays || s.gone || !l.safe(s, nil) || l.unguarded && l.refusedBy(s) {
			continue
		}
		s.gone = true
		n++
		l.change(Change{Op: Delete, Direction: l.dir, Number: s.Number, Prefix: s.Prefix, Reason: l.whyGone(s)})
	}
	return n
}

func (l *list) refusedBy(s *mine) bool {
	return slices.ContainsFunc(l.plan.Refused, func(r Left) bool {
		return r.Candidate.Direction == l.dir && covers(s.Prefix, r.Candidate.Prefix)
	})
}

// whyGone says why an entry is deleted.
func (l *list) whyGone(s *mine) string {
	for _, c := range l.chosen {
		switch p := c.key.prefix(l.fam); {
		case c.place == nowhere || c.place == later:
		case c.key == s.key:
			return fmt.Sprintf("entry %d denies the same", c.entry.Number)
		case c.covers(s.key):
			return fmt.Sprintf("joined into %s", p)
		case s.covers(c.key):
			return fmt.Sprintf("narrowed to %s", p)
		}
	}
	if err := l.lim.Guard(s.Prefix); err != nil && !l.unguarded {
		return err.Error()
	}
	return "no longer wanted"
}
