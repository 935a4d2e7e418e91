package ui

import (
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// aclLine is one line of the network ACL. What can be moved to has a key, which
// names it as long as it is there.
type aclLine struct {
	key    string
	text   string
	blocks []blocklist.ID // that it serves, or that wait for it
}

// entryKey names an entry by all that it is.
func entryKey(e engine.EntryView) string {
	return fmt.Sprintf("%s %d %t %s %d", e.Direction, e.Number, e.Deny, e.Prefix, e.Protocol)
}

// servedBy gives the blocks behind an entry of ours.
func servedBy(e engine.EntryView) []blocklist.ID {
	if len(e.Serves) > 0 {
		return e.Serves
	}
	if e.Block != "" {
		return []blocklist.ID{e.Block}
	}
	return nil
}

// moveACL moves the cursor over the entries.
func (m *Model) moveACL(d int) {
	a := m.currentACL()
	if a == nil {
		return
	}
	keys := m.aclKeys(m.aclLines(40, a))
	if len(keys) == 0 {
		return
	}
	i := slices.Index(keys, m.aclAt)
	if i < 0 {
		i = min(m.aclIdx, len(keys)-1) // its neighbour, as it is gone
	} else {
		i = max(0, min(i+max(-1<<20, min(d, 1<<20)), len(keys)-1))
	}
	m.aclAt, m.aclIdx = keys[i], i
}

func (m *Model) aclKeys(lines []aclLine) []string {
	var keys []string
	for _, l := range lines {
		if l.key != "" {
			keys = append(keys, l.key)
		}
	}
	return keys
}

// enterACL puts the cursor on the entry of the highlighted row.
func (m *Model) enterACL() {
	a := m.currentACL()
	if a == nil {
		return
	}
	lines := m.aclLines(40, a)
	for _, pick := range m.targetsOf(m.list().cursor) {
		for _, l := range lines {
			if l.key != "" && slices.Contains(l.blocks, pick.block) {
				m.aclAt, m.aclIdx = l.key, slices.Index(m.aclKeys(lines), l.key)
				return
			}
		}
	}
	if keys := m.aclKeys(lines); m.aclAt == "" || !slices.Contains(keys, m.aclAt) {
		m.aclIdx = 0
		if len(keys) > 0 {
			m.aclAt = keys[0]
		}
	}
}

// pickedBlocks are the blocks of the entry under the cursor of the network ACL.
func (m *Model) pickedBlocks() []blocklist.ID {
	a := m.currentACL()
	if m.pane != paneACL || a == nil {
		return nil
	}
	for _, l := range m.aclLines(40, a) {
		if l.key == m.aclAt {
			return l.blocks
		}
	}
	return nil
}

// linkedRows are the rows of the list that belong to the entry under the cursor.
func (m *Model) linkedRows() map[string]bool {
	rows := map[string]bool{}
	for _, id := range m.pickedBlocks() {
		rows[string(id)] = true
		if b := m.ix.block(id); b != nil {
			for _, a := range b.Alerts {
				rows[a] = true
			}
		}
	}
	for g, members := range m.list().members {
		if slices.ContainsFunc(members, func(r string) bool { return rows[r] }) {
			rows[g] = true
		}
	}
	return rows
}

// linkage is what belongs to the entry under the cursor, worked out once for each
// entry, snapshot and list.
type linkage struct {
	entry string
	ix    *index
	first *string // of the list's rows
	rows  map[string]bool
	at    int // the first of them in the list; -1 when it has none
}

func (m *Model) linkageOf(l *list) linkage {
	if len(l.ids) == 0 {
		return linkage{at: -1}
	}
	if k := m.linkedTo; k.ix == m.ix && k.entry == m.aclAt && k.first == &l.ids[0] {
		return k
	}
	rows := m.linkedRows()
	at := -1
	if len(rows) > 0 {
		at = slices.IndexFunc(l.ids, func(id string) bool { return rows[id] })
	}
	m.linkedTo = linkage{m.aclAt, m.ix, &l.ids[0], rows, at}
	return m.linkedTo
}

// visibleRows are the rows on the screen. While the cursor is in the network ACL
// they are those around the rows that belong to its entry.
func (m *Model) visibleRows(l *list) (from, to int) {
	from, to = l.visible()
	m.linked = nil
	if m.pane != paneACL {
		return from, to
	}
	k := m.linkageOf(l)
	m.linked = k.rows
	if k.at < 0 || k.at >= from && k.at < to {
		return from, to
	}
	n := to - from
	from = max(0, min(k.at-n/2, len(l.ids)-n))
	return from, from + n
}

// rowPaint is how a row stands out, when it does.
func (m *Model) rowPaint(row string, picked bool) (paint, bool) {
	switch {
	case m.pane == paneACL && m.linked[row]:
		return m.th.linked, true
	case picked && m.pane == paneList:
		return m.th.cursor, true
	case picked:
		return m.th.cursorIdle, true
	}
	return paint{}, false
}

// jump goes from an entry to the row that it belongs to: in the list on the
// screen, else among the blocks or the proposals.
func (m *Model) jump() tea.Cmd {
	ids := m.pickedBlocks()
	if len(ids) == 0 {
		m.say("no block of ours is behind that entry", true)
		return nil
	}
	rows := m.linkedRows()
	tabs := []tab{m.tab, tabBlocks, tabProposals}
	for _, t := range tabs {
		if m.stale[t] {
			m.refillOne(t)
		}
		l := &m.lists[t]
		i := slices.IndexFunc(l.ids, func(id string) bool { return t != tabLog && rows[id] })
		if i < 0 {
			continue
		}
		id := l.ids[i]
		if t != m.tab {
			m.open(t) // out of any view, so the row may stand elsewhere
		}
		m.pane, l.follow = paneList, false
		if i = slices.Index(l.ids, id); i >= 0 {
			l.to(i)
		}
		m.scroll[paneDetail] = 0
		return nil
	}
	m.say("its block is not in the lists as they are filtered", true)
	return nil
}

// highlightsEntry says whether a line of the network ACL belongs to the
// highlighted row.
func highlightsEntry(l aclLine, picks []target) bool {
	return slices.ContainsFunc(picks, func(t target) bool { return slices.Contains(l.blocks, t.block) })
}

// paintACL gives the lines as they stand out, and the line that must be seen.
func (m *Model) paintACL(lines []aclLine, w int) (out []string, see int) {
	see = -1
	picks := m.targetsOf(m.list().cursor)
	for i, l := range lines {
		text := l.text
		switch {
		case m.pane == paneACL && l.key != "" && l.key == m.aclAt:
			text, see = m.th.cursor.text(fit(stripped(text), w)), i
		case m.pane != paneACL && highlightsEntry(l, picks):
			text = m.th.linked.text(fit(stripped(text), w))
			if see < 0 {
				see = i
			}
		}
		out = append(out, text)
	}
	return out, see
}
