package firewall

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// list is the plan of one direction and family while it is made.
type list struct {
	*planner
	dir    Direction
	fam    Family
	used   map[int]bool // numbers that a create must not take
	ours   []mine       // by number
	cands  []cand       // the candidates that need a slot
	order  []int32      // their places, best first
	held   []cand       // those for which nothing may be made now
	barred []cand       // those that the caller lets wait
	why    map[int32]string
	bud    Budget
	k      int // slots that are open to choice

	// What is chosen from: distinct prefixes by address. Item i stands for the
	// candidates byKey[first[i]:first[i+1]].
	items  []item
	byKey  []int32
	first  []int32
	limits []int32 // of each item: its entry's number must be below
	pickOf []int32
	chosen []chosen
	next   []pick // the choice with one slot more
}

// mine is a live entry of ours.
type mine struct {
	Entry
	key
	sure  bool // no write may still change it, so it serves
	fixed bool // it must not be touched now
	stays bool // it is chosen
	gone  bool // the plan has replaced or deleted it
}

// cand is a candidate that needs a slot.
type cand struct {
	c      *Candidate
	key    key
	weight int64 // a pin included
	// limit is the lowest number of an allow that could match first.
	limit  int32
	by     int32 // entry of ours that denies it now, by its place; -1 for none
	turn   int32 // its place in the order
	status status
	next   bool // it comes in with one slot more
}

type status uint8

const (
	isOpen       status = iota // not served
	isServed                   // by an entry of the choice
	isFixed                    // by an entry that must not be touched now
	isVoid                     // its entry is there, and an allow matches first
	isNumberless               // others took the few numbers below an allow
	isShadowed                 // there is no number below an allow
)

// chosen is a prefix that shall have an entry.
type chosen struct {
	pick
	limit    int
	entry    Entry
	innocent int64
	place    place
}

// place says how a chosen prefix gets its entry.
type place uint8

const (
	nowhere place = iota // not yet
	there                // it has it
	coming               // a change of this plan makes it
	later                // when a delete of this plan has freed its slot
)

// gather finds our entries and the candidates, and leaves out those that need no
// slot.
func (l *list) gather(want []Candidate) {
	l.findOurs()
	allows, denies := l.others()
	l.cands = make([]cand, 0, l.count(want))
	for i := range want {
		if l.concerns(&want[i]) {
			l.admit(&want[i], allows, denies)
		}
	}
	l.sortCands()
}

func (l *list) concerns(c *Candidate) bool {
	return c.Direction == l.dir && c.Prefix.IsValid() && FamilyOf(c.Prefix) == l.fam
}

func (l *list) count(want []Candidate) int {
	n := 0
	for i := range want {
		if l.concerns(&want[i]) {
			n++
		}
	}
	return n
}

// admit takes one candidate unless the guard forbids it or others deny it.
func (l *list) admit(c *Candidate, allows, denies []mine) {
	c = c.masked()
	if err := l.lim.Guard(c.Prefix); err != nil {
		l.plan.Refused = append(l.plan.Refused, Left{Candidate: c, Why: err.Error()})
		return
	}
	l.bud.Wanted++
	k := cand{c: c, key: keyOf(c.Prefix), weight: weightOf(c), limit: MaxNumber + 1, by: -1}
	for i := range allows {
		if a := &allows[i]; a.covers(k.key) || k.key.covers(a.key) {
			k.limit = int32(a.Number)
			break
		}
	}
	for i := range denies {
		if d := &denies[i]; d.Number < int(k.limit) && d.covers(k.key) {
			l.bud.Covered++
			l.plan.Covered = append(l.plan.Covered, Placed{Candidate: c, Entry: d.Entry, Note: fmt.Sprintf("already denied by entry %d", d.Number)})
			return
		}
	}
	k.by = l.denier(&k)
	switch {
	case c.Waits != "" && k.by < 0:
		l.barred = append(l.barred, k)
	case c.Held:
		l.held = append(l.held, k)
	default:
		l.cands = append(l.cands, k)
	}
}

// masked gives the candidate without host bits, itself when there are none.
func (c *Candidate) masked() *Candidate {
	p := c.Prefix.Masked()
	if p == c.Prefix {
		return c
	}
	m := *c
	m.Prefix = p
	return &m
}

func (l *list) findOurs() {
	for _, e := range l.acl.Entries {
		if e.Direction == l.dir && e.Prefix.IsValid() && FamilyOf(e.Prefix) == l.fam && l.lim.owns(e) {
			l.ours = append(l.ours, mine{Entry: e, key: keyOf(e.Prefix), sure: !l.lim.Unsure[l.dir][e.Number], fixed: l.lim.Resting[l.dir][e.Number] || l.lim.Unsure[l.dir][e.Number]})
		}
	}
	slices.SortFunc(l.ours, func(a, b mine) int { return cmp.Compare(a.Number, b.Number) })
}

// others gives the allows of the list and the denies of others of all protocols,
// each by number.
func (l *list) others() (allows, denies []mine) {
	for _, e := range l.acl.Entries {
		if e.Direction != l.dir || !e.Prefix.IsValid() || FamilyOf(e.Prefix) != l.fam {
			continue
		}
		switch {
		case !e.Deny:
			allows = append(allows, mine{Entry: e, key: keyOf(e.Prefix)})
		case e.Protocol == AllProtocols && !e.Default() && !l.lim.owns(e):
			denies = append(denies, mine{Entry: e, key: keyOf(e.Prefix)})
		}
	}
	byNumber := func(a, b mine) int { return cmp.Compare(a.Number, b.Number) }
	slices.SortFunc(allows, byNumber)
	slices.SortFunc(denies, byNumber)
	return allows, denies
}

// denier gives the first entry of ours that denies a candidate now, -1 for none.
func (l *list) denier(c *cand) int32 {
	for i := range l.ours {
		if e := &l.ours[i]; e.sure && e.Number < int(c.limit) && e.covers(c.key) {
			return int32(i)
		}
	}
	return -1
}

// sortCands orders the candidates, the best first. Only what does not change
// while a plan is carried out counts, so that its end does not change either.
func (l *list) sortCands() {
	type rank struct {
		early uint64 // pin, weight and seconds in one number, the best lowest
		at    int32
	}
	ranks := make([]rank, len(l.cands))
	for i := range l.cands {
		c := &l.cands[i]
		since := min(max(c.c.Since.Unix(), 0), 1<<36-1)
		ranks[i] = rank{uint64(maxWeight-c.weight%onePin)<<36 | uint64(since), int32(i)}
		if !c.c.Pinned {
			ranks[i].early |= 1 << 60
		}
	}
	slices.SortFunc(ranks, func(a, b rank) int {
		if a.early != b.early {
			return cmp.Compare(a.early, b.early)
		}
		x, y := &l.cands[a.at], &l.cands[b.at]
		return cmp.Or(x.c.Since.Compare(y.c.Since), x.key.compare(y.key), cmp.Compare(x.c.Ref, y.c.Ref))
	})
	l.order = make([]int32, len(ranks))
	for i, r := range ranks {
		l.order[i] = r.at
		l.cands[r.at].turn = int32(i)
	}
}

// weightOf gives the weight of a candidate, a pin included.
func weightOf(c *Candidate) int64 {
	w := min(max(int64(c.Weight), 0), maxWeight)
	if c.Pinned {
		w += onePin
	}
	return w
}

func (l *list) budget() {
	total := l.acl.Count(l.dir, l.fam)
	b := &l.bud
	b.Direction, b.Family, b.Quota = l.dir, l.fam, l.lim.Quota
	b.Foreign, b.Ours, b.Pending = total-len(l.ours), len(l.ours), l.lim.Pending[l.dir][l.fam]
	b.Slots = max(0, b.Quota-b.Foreign)
	b.Free = max(0, b.Quota-total-b.Pending)
}

// fix finds the entries that must not be touched now, and what they serve.
func (l *list) fix() {
	for _, h := range l.held {
		for i := range l.ours {
			if l.ours[i].covers(h.key) {
				l.ours[i].fixed = true
			}
		}
	}
	anyFixed := slices.ContainsFunc(l.ours, func(e mine) bool { return e.fixed })
	for i := range l.cands {
		if !anyFixed {
			break
		}
		c := &l.cands[i]
		for j := range l.ours {
			if e := &l.ours[j]; e.fixed && e.sure && e.Number < int(c.limit) && e.covers(c.key) {
				c.status, c.by = isFixed, int32(j)
				break
			}
		}
	}
	l.findShadowed()
	l.k = l.bud.Slots - l.bud.Pending
	for _, e := range l.ours {
		if e.fixed {
			l.k--
		}
	}
	l.k = max(0, l.k)
}

// findShadowed marks the candidates below whose allow no number is left. An entry
// that is there and works in part stays.
func (l *list) findShadowed() {
	lowest := MaxNumber + 1
	if usable := l.usable(); len(usable) > 0 {
		lowest = usable[0]
	}
	for i := range l.cands {
		c := &l.cands[i]
		if c.status != isOpen || c.by >= 0 || int(c.limit) > lowest {
			continue
		}
		l.numberless(int32(i), isShadowed)
		for j := range l.ours {
			e := &l.ours[j]
			if e.key != c.key || e.fixed || !e.sure {
				continue
			}
			if l.acl.EffectOf(e.Entry).Kind == PartlyShadowed {
				e.fixed, c.status, c.by = true, isVoid, int32(j)
			}
			break
		}
	}
}

// numberless takes a candidate out and says why.
func (l *list) numberless(i int32, s status) {
	c := &l.cands[i]
	c.status = s
	if l.why == nil {
		l.why = map[int32]string{}
	}
	l.why[i] = l.noNumber(int(c.limit))
}

// usable gives the numbers of our range that a new entry could have, ascending:
// free ones, and those of entries of ours that may go.
func (l *list) usable() []int {
	var out []int
	for n := l.lim.Low; n <= l.lim.High; n++ {
		if !l.used[n] {
			out = append(out, n)
		}
	}
	for _, e := range l.ours {
		if !e.fixed && !e.stays && l.inRange(e.Number) {
			out = append(out, e.Number)
		}
	}
	slices.Sort(out)
	return out
}

func (l *list) inRange(n int) bool { return n >= l.lim.Low && n <= l.lim.High }

// noNumber says why no number works below an allow.
func (l *list) noNumber(limit int) string {
	if limit <= l.lim.Low {
		return fmt.Sprintf("not effective: allow %d matches before any number of our range %d-%d", limit, l.lim.Low, l.lim.High)
	}
	return fmt.Sprintf("no free rule number below %d in our range %d-%d", min(limit, l.lim.High+1), l.lim.Low, l.lim.High)
}

// allowed says whether an entry that denies innocents may have this prefix.
func (l *list) allowed(k key) bool {
	p := k.prefix(l.fam)
	return l.lim.Guard(p) == nil && (l.covered(k) || !l.lim.AskFirst(p))
}

func (l *list) covered(k key) bool {
	return slices.ContainsFunc(l.coverKeys(), func(c key) bool { return c.covers(k) })
}

func (l *list) coverKeys() []key {
	var out []key
	for _, c := range l.lim.Covers {
		if c.Direction == l.dir && c.Prefix.IsValid() && FamilyOf(c.Prefix) == l.fam {
			out = append(out, keyOf(c.Prefix))
		}
	}
	return out
}

// prefixes lists candidates for people, the first few by name.
func prefixes(cs []*Candidate) string {
	const named = 3
	out := ""
	for i, c := range cs {
		if i == named {
			return fmt.Sprintf("%s and %d more", out, len(cs)-named)
		}
		if i > 0 {
			out += ", "
		}
		out += short(c.Prefix)
	}
	return out
}

// short leaves the length of a single address out.
func short(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.Masked().String()
}
