package ui

import (
	"fmt"
	"strings"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// cardLines is how many lines a row takes on a narrow screen.
const cardLines = 3

// carded says whether the rows of the list are cards: on a narrow screen columns
// would cut off what matters.
func (m *Model) carded() bool { return m.w < sideBySide && m.tab != tabLog }

// card is one row on a narrow screen: the CIDR, the severity and the state on
// lines of their own. It is nil for a row that is none of ours.
func (m *Model) card(w int, id string, p paint) []string {
	var head, mid, foot []seg
	switch m.tab {
	case tabAlerts:
		a := m.ix.alerts[m.lead(id)]
		if a == nil {
			return nil
		}
		head, mid, foot = m.alertCard(a)
	default:
		b := m.ix.block(blocklist.ID(m.lead(id)))
		if b == nil {
			return nil
		}
		head, mid, foot = m.blockCard(b)
	}
	if g := m.group(id); g != nil {
		head = append(append(head, seg{m.th.plain, "  "}), m.groupCells(g, 20, seg{})...)
	}
	sign := " "
	if m.isMarked(id) {
		sign = m.markSign()
	}
	out := []string{}
	for i, segs := range [][]seg{head, mid, foot} {
		lead := seg{m.th.focus, sign}
		if i > 0 {
			lead.s = " "
		}
		segs = append([]seg{lead}, segs...)
		if p == (paint{}) {
			out = append(out, line(w, segs...))
			continue
		}
		var b strings.Builder
		for _, g := range segs {
			b.WriteString(g.s)
		}
		out = append(out, p.text(fit(b.String(), w)))
	}
	return out
}

// cardPane is the list on a narrow screen.
func (m *Model) cardPane(w, h int) []string {
	l := m.list()
	l.resize((h - 1) / cardLines)
	out := []string{m.tabs(w)}
	from, to := m.visibleRows(l)
	for i := from; i < to; i++ {
		id := l.ids[i]
		p, _ := m.rowPaint(id, i == l.idx)
		card := m.card(w, id, p)
		if card == nil {
			card = []string{m.row(w, id, i == l.idx)}
		}
		out = append(out, card...)
	}
	if len(l.ids) == 0 && h > 1 {
		out = append(out, line(w, seg{m.th.dim, "  " + m.emptyText()}))
	}
	return m.filled(out, w, h)
}

// filled gives exactly h lines.
func (m *Model) filled(lines []string, w, h int) []string {
	for len(lines) < h {
		lines = append(lines, strings.Repeat(" ", w))
	}
	return lines[:max(h, 0)]
}

func (m *Model) alertCard(a *engine.AlertRow) (head, mid, foot []seg) {
	st := m.alertState(a)
	sev, p := m.severityWord(a.Severity)
	return []seg{{m.th.bold, m.addresses(a)}},
		[]seg{{p, "  " + fit(sev, 8)}, {m.th.dim, age(m.now, a.CreatedAt) + " ago on " + string(a.Host)}},
		[]seg{{st.p, "  " + st.glyph + " " + st.word}, {m.th.dim, "  " + what(a)}}
}

func (m *Model) blockCard(b *blocklist.Block) (head, mid, foot []seg) {
	sev, p := m.severityWord(b.Severity)
	head = []seg{{m.th.bold, m.arrow(b.Direction) + " " + b.What()}}
	mid = []seg{{p, "  " + fit(sev, 8)}, {m.th.dim, plural(b.Sightings, "time", "times") + " on " + plural(len(b.Hosts), "host", "hosts")}}
	if v := m.ix.blocks[b.ID]; v != nil {
		st := m.blockState(v)
		left := ""
		switch {
		case b.Pinned:
			left = "  pinned"
		case b.State == blocklist.Active:
			left = "  " + spanLong(b.Expires.Sub(m.now)) + " left"
		}
		return head, mid, []seg{{st.p, "  " + st.glyph + " " + st.word}, {m.th.dim, left + "  by " + clean(b.DecidedBy)}}
	}
	_, st := m.pendingState(b)
	wait := "  for " + age(m.now, b.ProposedAt)
	if m.snoozed(b) {
		wait = "  until " + m.until(b.SnoozedUntil)
	}
	if p := m.ix.proposals[b.ID]; p != nil {
		wait += fmt.Sprintf(", weight %d", p.Score.Total())
	}
	return head, mid, []seg{{st.p, "  " + st.glyph + " " + st.word}, {m.th.dim, wait + ", " + clean(firstOf(b.Reasons))}}
}
