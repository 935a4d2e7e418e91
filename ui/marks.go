package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
)

// maxMarked bounds the marks of a list, and with them what one decision does.
const maxMarked = 500

func markKeys() []binding {
	const group = "mark"
	here := only((*Model).markable, "nothing to mark here")
	return []binding{
		{"mark", []string{"x"}, group, "mark", "mark the highlighted row, or take its mark away; a decision acts on all that is marked", here, (*Model).mark},
		{"mark-range", []string{"X"}, group, "", "mark the rows from the last mark to the highlighted row", here, (*Model).markRange},
		{"mark-all", []string{"* a"}, group, "", "mark all rows that the list shows", here, (*Model).markAll},
		{"mark-none", []string{"* n"}, group, "", "take all marks away", here, (*Model).markNone},
		{"mark-rule", []string{"* 1"}, group, "", "mark all rows shown of the rule of the highlighted one", here, (*Model).markRule},
		{"mark-host", []string{"* s"}, group, "", "mark all rows shown from the host of the highlighted one", here, (*Model).markHost},
	}
}

// marks are the rows of a list that the operator has marked, by id. A value is
// never changed: each change makes a new one, so a frame may keep what it showed.
type marks struct {
	set  map[string]bool
	last string // marked last: a range begins there
}

func (k marks) len() int            { return len(k.set) }
func (k marks) has(row string) bool { return k.set[row] }

// with gives the marks with some more rows, as far as the bound allows.
func (k marks) with(rows ...string) marks {
	set := make(map[string]bool, len(k.set)+len(rows))
	for r := range k.set {
		set[r] = true
	}
	for _, r := range rows {
		if len(set) < maxMarked || set[r] {
			set[r] = true
			k.last = r
		}
	}
	return marks{set, k.last}
}

// without gives the marks less those that drop names.
func (k marks) without(drop func(string) bool) marks {
	set := make(map[string]bool, len(k.set))
	for r := range k.set {
		if !drop(r) {
			set[r] = true
		}
	}
	return marks{set, k.last}
}

// prune forgets the marks of rows that are gone.
func (m *Model) prune() {
	for t := range tabCount {
		gone := func(row string) bool { return !m.ix.has(t, row) }
		for row := range m.marks[t].set {
			if gone(row) {
				m.marks[t] = m.marks[t].without(gone)
				break
			}
		}
	}
}

// has says whether a list has a row, filtered or not.
func (ix *index) has(t tab, row string) bool {
	switch t {
	case tabAlerts:
		return ix.alerts[row] != nil
	case tabProposals:
		return ix.proposals[blocklist.ID(row)] != nil
	case tabBlocks:
		return ix.blocks[blocklist.ID(row)] != nil
	}
	return false
}

// isShown says whether a row is in the list as the last frame showed it.
func (d *drawn) isShown(row string) bool {
	return slices.ContainsFunc(d.ids, func(id string) bool { return id == row || slices.Contains(d.members[id], row) })
}

// single gives the rows that stand behind a row: the members of a group, else it
// alone.
func (d *drawn) single(row string) []string {
	if rows, ok := d.members[row]; ok {
		return rows
	}
	return []string{row}
}

// hiddenWhy is why a marked row that was not on the screen is left out.
const hiddenWhy = "the filter hides it"

// markedRows are the marked rows that are shown, in the order of the list, and those
// that the filter hides, sorted.
func (d *drawn) markedRows() (rows, hidden []string) {
	shown := map[string]bool{}
	for _, id := range d.ids {
		for _, r := range d.single(id) {
			if d.marks.has(r) && !shown[r] {
				shown[r] = true
				rows = append(rows, r)
			}
		}
	}
	for r := range d.marks.set {
		if !shown[r] {
			hidden = append(hidden, r)
		}
	}
	slices.Sort(hidden)
	return rows, hidden
}

// markedTargets are the targets of the marked rows, in the order of the list. What
// the filter hides was not on the screen: it is left out, and keeps its mark.
func (d *drawn) markedTargets() (out []target, hidden []leftOut) {
	rows, unseen := d.markedRows()
	seen := map[blocklist.ID]bool{}
	for _, r := range rows {
		for _, t := range d.ix.targets(d.tab, r, nil) {
			if !seen[t.block] {
				seen[t.block] = true
				out = append(out, t)
			}
		}
	}
	for _, r := range unseen {
		for _, t := range d.ix.targets(d.tab, r, nil) {
			if !seen[t.block] {
				seen[t.block] = true
				hidden = append(hidden, leftOut{t.cidr, hiddenWhy})
			}
		}
	}
	slices.SortFunc(hidden, func(a, b leftOut) int { return cmp.Compare(a.cidr, b.cidr) })
	return out, hidden
}

// isMarked says whether a row is marked; a group is when all of it is.
func (m *Model) isMarked(row string) bool {
	k := m.marks[m.tab]
	if k.len() == 0 {
		return false
	}
	rows, ok := m.list().members[row]
	if !ok {
		return k.has(row)
	}
	return len(rows) > 0 && !slices.ContainsFunc(rows, func(r string) bool { return !k.has(r) })
}

func (m *Model) markable() bool { return m.tab != tabLog && m.pane != paneACL }

// decidable says whether something can be decided about a row: any alert can be
// archived.
func (d *drawn) decidable(row string) bool {
	return d.tab == tabAlerts && d.ix.alerts[row] != nil || len(d.ix.blocksOf(d.tab, row)) > 0
}

// mark marks the row that the last frame highlighted, or takes its mark away, and
// goes on to the next.
func (m *Model) mark() tea.Cmd {
	d := &m.drawn
	if d.row == "" || d.tab != m.tab || !m.markable() {
		m.say("nothing to mark here", true)
		return nil
	}
	k := m.marks[m.tab]
	rows := d.single(d.row)
	if !slices.ContainsFunc(rows, d.decidable) {
		m.say("no block is behind this row: nothing to decide", true)
		return nil
	}
	if !slices.ContainsFunc(rows, func(r string) bool { return !k.has(r) }) {
		m.marks[m.tab] = k.without(func(r string) bool { return slices.Contains(rows, r) })
	} else {
		m.addMarks(rows)
	}
	l := m.list()
	l.follow = false
	if l.cursor == d.row {
		l.move(1)
	}
	return nil
}

// markRange marks the rows from the last mark to the highlighted row, as shown.
func (m *Model) markRange() tea.Cmd {
	d := &m.drawn
	k := m.marks[m.tab]
	from := slices.IndexFunc(d.ids, func(id string) bool { return slices.Contains(d.single(id), k.last) })
	to := slices.Index(d.ids, d.row)
	if d.tab != m.tab || k.len() == 0 || from < 0 || to < 0 || !k.has(k.last) {
		m.say("mark the first row of the range with x", true)
		return nil
	}
	m.markRows(d.ids[min(from, to) : max(from, to)+1])
	m.list().follow = false
	return nil
}

// markRows marks rows of the list as shown that a decision can be about.
func (m *Model) markRows(ids []string) {
	d := &m.drawn
	var rows []string
	for _, id := range ids {
		for _, r := range d.single(id) {
			if d.decidable(r) {
				rows = append(rows, r)
			}
		}
		if len(rows) > maxMarked {
			break
		}
	}
	m.addMarks(rows)
}

func (m *Model) addMarks(rows []string) {
	m.marks[m.tab] = m.marks[m.tab].with(rows...)
	n := m.marks[m.tab].len()
	text := fmt.Sprintf("%d marked", n)
	if n == maxMarked {
		text += ", which is the most that one decision takes"
	}
	m.say(text, false)
}

func (m *Model) markAll() tea.Cmd {
	if m.drawn.tab == m.tab && m.markable() {
		m.markRows(m.drawn.ids)
	}
	return nil
}

func (m *Model) markNone() tea.Cmd {
	m.marks[m.tab] = marks{}
	m.say("no marks", false)
	return nil
}

func (m *Model) markRule() tea.Cmd {
	return m.markAlike(func(ix *index, row string) []string { return ix.ruleOf(m.tab, row) })
}

func (m *Model) markHost() tea.Cmd {
	return m.markAlike(func(ix *index, row string) []string { return ix.hostsOf(m.tab, row) })
}

// markAlike marks the rows shown that share something with the highlighted row.
func (m *Model) markAlike(of func(*index, string) []string) tea.Cmd {
	d := &m.drawn
	if d.tab != m.tab || d.ix == nil || !m.markable() {
		return nil
	}
	mine := map[string]bool{}
	for _, r := range d.single(d.row) {
		for _, v := range of(d.ix, r) {
			mine[v] = true
		}
	}
	var rows []string
	for _, id := range d.ids {
		for _, r := range d.single(id) {
			if slices.ContainsFunc(of(d.ix, r), func(v string) bool { return v != "" && mine[v] }) {
				rows = append(rows, r)
			}
		}
	}
	if len(rows) == 0 {
		m.say("nothing like this row", true)
		return nil
	}
	// The members are rows already: each stands for itself.
	var fit []string
	for _, r := range rows {
		if len(fit) <= maxMarked && d.decidable(r) {
			fit = append(fit, r)
		}
	}
	m.addMarks(fit)
	return nil
}

// ruleOf gives the rule of a row.
func (ix *index) ruleOf(t tab, row string) []string {
	if a := ix.alerts[row]; t == tabAlerts && a != nil {
		return []string{a.RuleID}
	}
	if b := ix.block(blocklist.ID(row)); t != tabAlerts && b != nil {
		return []string{b.RuleID}
	}
	return nil
}

// hostsOf gives the hosts of a row: of an alert the one that raised it.
func (ix *index) hostsOf(t tab, row string) []string {
	if a := ix.alerts[row]; t == tabAlerts && a != nil {
		if a.AgentID != "" {
			return []string{a.AgentID}
		}
		return []string{string(a.Host)}
	}
	if b := ix.block(blocklist.ID(row)); t != tabAlerts && b != nil {
		return b.Hosts
	}
	return nil
}

// block gives a block, waiting or decided.
func (ix *index) block(id blocklist.ID) *blocklist.Block {
	if p := ix.proposals[id]; p != nil {
		return &p.Block
	}
	if b := ix.blocks[id]; b != nil {
		return &b.Block
	}
	return nil
}

// markedSegs shows the mark of a row in its first cell.
func (m *Model) markedSegs(row string, segs []seg) []seg {
	if len(segs) == 0 || !m.isMarked(row) {
		return segs
	}
	rest := seg{segs[0].p, strings.TrimPrefix(segs[0].s, " ")}
	return append([]seg{{m.th.focus, m.markSign()}, rest}, segs[1:]...)
}

func (m *Model) markSign() string {
	if m.gl.ascii {
		return "*"
	}
	return "■"
}

// markCount says how many rows are marked.
func (m *Model) markCount() []seg {
	n := m.marks[m.tab].len()
	if n == 0 {
		return nil
	}
	return []seg{{m.th.focus, fmt.Sprintf(" %d marked ", n)}}
}
