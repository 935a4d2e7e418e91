package ui

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"selfprotect/engine"
)

// arrangement is how a list is shown. Empty columns are the usual ones, an empty
// sort is the engine's order.
type arrangement struct {
	Sort    string   `json:"sort,omitempty"`
	Reverse bool     `json:"reverse,omitempty"`
	Columns []string `json:"columns,omitempty"`
	Grouped bool     `json:"grouped,omitempty"`
}

// facts are what is known of an alert for good: they are made once for each
// version of it.
type facts struct {
	row  *engine.AlertRow
	text string // for bare words
	key  string // alerts of one group share it
}

// factsOf gives the facts of the alerts of the snapshot, in its order. Rows are
// never changed, so one that was there before has the facts that it had; most
// stand where they stood, below those that are new.
func (m *Model) factsOf() []facts {
	if m.factsAt == m.snap {
		return m.facts
	}
	old := m.facts
	m.facts, m.factsAt = make([]facts, len(m.snap.Alerts)), m.snap
	next := 0 // of the old ones
	for i, a := range m.snap.Alerts {
		if k := findFacts(old, next, a); k >= 0 {
			m.facts[i], next = old[k], k+1
			continue
		}
		m.facts[i] = newFacts(a)
		if next < len(old) && old[next].row.ID == a.ID { // a new version of it
			next++
		}
	}
	return m.facts
}

// factsNear is how far from their place the facts of a row are looked for. What
// moved farther is made anew.
const factsNear = 8

// findFacts finds the facts of a row near a place; -1 when they are not there.
func findFacts(old []facts, at int, a *engine.AlertRow) int {
	for k := at; k < min(at+factsNear, len(old)); k++ {
		if old[k].row == a {
			return k
		}
	}
	return -1
}

func newFacts(a *engine.AlertRow) facts {
	return facts{row: a, text: alertText(a), key: groupKey(&record{alert: a})}
}

// alertWords are the states of the alerts of the snapshot, in its order. They hang on
// its blocks, so they are made once for each snapshot.
func (m *Model) alertWords() []string {
	if m.wordsAt == m.snap && len(m.words) == len(m.snap.Alerts) {
		return m.words
	}
	m.words, m.wordsAt = make([]string, len(m.snap.Alerts)), m.snap
	for i, a := range m.snap.Alerts {
		m.words[i] = m.alertWord(a)
	}
	return m.words
}

// count is how many rows a list has before any filter.
func (m *Model) count(t tab) int {
	switch {
	case m.snap == nil:
		return 0
	case t == tabAlerts:
		return len(m.snap.Alerts)
	case t == tabProposals:
		return len(m.snap.Proposals)
	case t == tabBlocks:
		return len(m.snap.Blocks)
	}
	return len(m.logLines())
}

// logLines are the lines that the log list shows, newest first.
func (m *Model) logLines() []*engine.LogLine {
	if m.linesAt == m.snap {
		return m.lines
	}
	m.lines, m.linesAt = m.lines[:0:0], m.snap
	for i := len(m.snap.Log) - 1; i >= 0; i-- {
		if l := &m.snap.Log[i]; l.Event != "poll" || l.Severity != engine.Info {
			m.lines = append(m.lines, l)
		}
	}
	return m.lines
}

// at is the row at a place of a list before any filter or sort.
func (m *Model) at(t tab, i int) record {
	switch t {
	case tabAlerts:
		return record{alert: m.snap.Alerts[i]}
	case tabProposals:
		return record{proposal: m.snap.Proposals[i]}
	case tabBlocks:
		return record{block: m.snap.Blocks[i]}
	}
	return record{line: m.logLines()[i]}
}

// passing gives the places of the rows that pass a filter.
func (m *Model) passing(t tab, q query) []int32 {
	n := m.count(t)
	out := make([]int32, 0, n)
	if q.empty() {
		for i := range n {
			if !m.putOff(t, i) {
				out = append(out, int32(i))
			}
		}
		return out
	}
	var known []facts
	if t == tabAlerts {
		known = m.factsOf()
	}
	s := &rowSubject{m: m}
	later := q.asksForPutOff(t)
	var words []string
	if known != nil {
		words = m.alertWords()
	}
	for i := range n {
		if known != nil {
			s.set(record{alert: known[i].row}, known[i].text, words[i])
		} else {
			s.set(m.at(t, i), "", "")
		}
		if q.match(s) && (later || !m.putOff(t, i)) {
			out = append(out, int32(i))
		}
	}
	return out
}

// counted says how many rows of a list pass a filter.
func (m *Model) counted(t tab, q query) int {
	switch {
	case q.empty() && t == tabAlerts:
		return m.count(t) - m.ix.filed
	case q.empty() && t != tabProposals:
		return m.count(t)
	}
	return len(m.passing(t, q))
}

// arrange gives the rows of a list as they are shown, filtered, sorted and
// grouped, and notes the groups.
func (m *Model) arrange(t tab) []string {
	m.groups[t], m.lists[t].members = nil, nil
	if m.snap == nil {
		return nil
	}
	look := m.look[t]
	rows := m.passing(t, m.query)
	if c := findColumn(t, look.Sort); c != nil {
		m.order(t, rows, c, c.down != look.Reverse)
	}
	if look.Grouped {
		return m.fold(t, rows)
	}
	ids := make([]string, len(rows))
	for i, at := range rows {
		r := m.at(t, int(at))
		ids[i] = r.id()
	}
	return ids
}

// order sorts rows by a column. Rows that are equal keep the engine's order, so
// the result depends on nothing but the rows.
func (m *Model) order(t tab, rows []int32, c *column, down bool) {
	type keyed struct {
		rank
		at int32
	}
	keys := make([]keyed, len(rows))
	for i, at := range rows {
		r := m.at(t, int(at))
		keys[i] = keyed{c.rank(m, &r), at}
		if keys[i].n == 0 {
			keys[i].n = leading(keys[i].s)
		}
	}
	slices.SortFunc(keys, func(a, b keyed) int {
		d := cmp.Compare(a.n, b.n)
		if d == 0 {
			d = strings.Compare(a.s, b.s)
		}
		if down {
			d = -d
		}
		if d == 0 {
			d = cmp.Compare(a.at, b.at)
		}
		return d
	})
	for i := range keys {
		rows[i] = keys[i].at
	}
}

// leading gives the first bytes of a text as a number that sorts as it does: most
// texts differ there, and numbers compare faster.
func leading(s string) int64 {
	if s == "" {
		return 0
	}
	var b [8]byte
	copy(b[:], s)
	return int64(binary.BigEndian.Uint64(b[:]) >> 1)
}

// nextSort sorts by the next column that is shown, in the end by none.
func (m *Model) nextSort() {
	names := []string{""}
	for _, c := range place(m.tab, m.look[m.tab].Columns, m.listWidth()) {
		names = append(names, c.name)
	}
	i := slices.Index(names, m.look[m.tab].Sort)
	m.sortBy(names[(i+1)%len(names)], false)
}

// sortBy sorts the list on the screen. The cursor stays on its row.
func (m *Model) sortBy(name string, reverse bool) {
	look := &m.look[m.tab]
	look.Sort, look.Reverse = name, reverse
	m.rearranged()
	switch c := findColumn(m.tab, name); {
	case c == nil:
		m.say("in the usual order", false)
	case c.down != reverse:
		m.say("sorted by "+c.name+", highest first", false)
	default:
		m.say("sorted by "+c.name, false)
	}
}

// rearranged shows the list on the screen as it is arranged now, the cursor on its
// row, and keeps that for the next session.
func (m *Model) rearranged() {
	m.list().follow = false
	m.refillOne(m.tab)
	m.keep()
}
