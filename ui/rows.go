package ui

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
)

func visibleWidth(s string) int { return ansi.StringWidth(s) }

// listPane draws the tabs, the column heads and the visible rows.
func (m *Model) listPane(w, h int) []string {
	if m.carded() {
		return m.cardPane(w, h)
	}
	l := m.list()
	l.resize(h - 2)
	out := make([]string, 0, h)
	out = append(out, m.tabs(w), line(w, seg{m.th.header, m.heads(w)}))
	from, to := m.visibleRows(l)
	for i := from; i < to; i++ {
		out = append(out, m.row(w, l.ids[i], i == l.idx))
	}
	if len(l.ids) == 0 && h > 2 {
		out = append(out, line(w, seg{m.th.dim, "  " + m.emptyText()}))
	}
	for len(out) < h {
		out = append(out, strings.Repeat(" ", w))
	}
	return out[:h]
}

func (m *Model) emptyText() string {
	if m.filter != "" {
		return "nothing matches the filter; esc clears it"
	}
	switch m.tab {
	case tabAlerts:
		if src := m.snap.Sources; len(src) > 0 && src[0].LastOK.IsZero() {
			return "the alerts could not be read yet"
		}
		if m.ix.filed > 0 {
			return fmt.Sprintf("no alert is in the list; %d archived: /state:archived shows them", m.ix.filed)
		}
		return "no alert of a watched rule yet"
	case tabProposals:
		if _, later := m.queue(m.snap); later > 0 {
			return fmt.Sprintf("no proposal waits for a decision now; %d snoozed: /state:snoozed shows them", later)
		}
		return "no proposal waits for a decision"
	case tabBlocks:
		return "nothing is blocked"
	}
	return "nothing has happened yet"
}

// tabTitle is the title of a list or view.
type tabTitle struct {
	number string
	name   string
	count  int // -1 is none
	on     bool
	warn   bool
	// builtin says that it is a list, not a view.
	builtin bool
}

func (m *Model) tabTitles() []tabTitle {
	names := [tabCount]string{"Alerts", "Proposals", "Blocks", "Log"}
	waiting, _ := m.queue(m.snap)
	counts := [tabCount]int{len(m.snap.Alerts) - m.ix.filed, waiting, len(m.snap.Blocks), -1}
	var out []tabTitle
	for t := range tabCount {
		out = append(out, tabTitle{fmt.Sprint(int(t) + 1), names[t], counts[t], t == m.tab && m.view == 0, t == tabProposals && counts[t] > 0, true})
	}
	for i, n := range m.viewCounts() {
		number, on := "", m.view == i+1
		if i < numberedViews {
			number = fmt.Sprint(firstView + i)
		} else if !on {
			continue // it has no number: it is opened by its name
		}
		name := m.views[i].Name
		if on && m.changedView() {
			name += "*"
		}
		out = append(out, tabTitle{number, name, n, on, false, false})
	}
	return out
}

// tabs are the titles of the lists and views with their counts. When there is no
// room for all, names give way to their numbers.
func (m *Model) tabs(w int) string {
	titles := m.tabTitles()
	var right []seg
	if m.filter != "" && (m.view == 0 || m.filter != m.viewFilter()) {
		right = []seg{{m.th.warn, " /" + cut(clean(m.filter), max(w/2-2, 8)) + " "}}
	}
	right = append(append(m.markCount(), m.laterCount()...), right...)
	var segs []seg
	for short := range 5 {
		if segs = m.titleSegs(titles, short); segWidth(segs)+segWidth(right) <= w {
			break
		}
	}
	if n := w - segWidth(segs) - segWidth(right); n > 0 {
		edge, rule, _ := m.edge()
		segs = append(segs, seg{edge, strings.Repeat(rule, n)})
	}
	return spread(w, segs, right)
}

// titleSegs draws the titles: in full, with a short name for the proposals, without
// lines between them, without the names of lists that are not open, in the end with
// those of the open one and the proposals alone.
func (m *Model) titleSegs(titles []tabTitle, short int) []seg {
	edge, rule, _ := m.edge()
	segs := []seg{{edge, rule}}
	for _, t := range titles {
		name := t.name
		switch {
		case short > 0 && name == "Proposals":
			name = "Props"
		case short == 3 && !t.on && t.count >= 0 && t.builtin, short > 3 && !t.on:
			name = ""
		}
		text := t.number + " " + name
		if t.count >= 0 {
			text = strings.TrimRight(text, " ") + fmt.Sprintf(" %d", t.count)
			if name == "" {
				text = fmt.Sprintf("%s:%d", t.number, t.count)
			}
		}
		text = strings.TrimSpace(text)
		p := m.th.title
		switch {
		case t.on && m.pane == paneList:
			p, text = m.th.focus, " "+m.gl.pick+text
		case t.on:
			p, text = m.th.focus, " "+text
		case t.warn:
			p, text = m.th.warn, " "+text
		default:
			text = " " + text
		}
		segs = append(segs, seg{p, text + " "})
		if short < 2 {
			segs = append(segs, seg{edge, rule})
		}
	}
	return segs
}

// heads are the names of the columns, the one that the list is sorted by with a sign.
func (m *Model) heads(w int) string {
	look := m.look[m.tab]
	var b strings.Builder
	b.WriteString(" ")
	for _, c := range m.cellsOf(w) {
		head := c.head
		if c.name == look.Sort {
			sign := m.gl.down
			if c.down == look.Reverse {
				sign = m.gl.up
			}
			head = cut(head, c.cells-2) + sign
		}
		b.WriteString(fit(head, c.cells))
	}
	return b.String()
}

// row draws one row of the list on the screen.
func (m *Model) row(w int, id string, picked bool) string {
	segs := m.markedSegs(id, m.rowSegs(w, id))
	p, painted := m.rowPaint(id, picked)
	if !painted {
		return line(w, segs...)
	}
	var b strings.Builder
	for _, g := range segs {
		b.WriteString(g.s)
	}
	return p.text(fit(b.String(), w))
}

// rowSegs are the cells of a row, one of a group with what it stands for.
func (m *Model) rowSegs(w int, id string) []seg {
	r := m.record(m.tab, m.lead(id))
	if r.empty() {
		return nil
	}
	cells := m.cellsOf(w)
	out := make([]seg, 0, len(cells)+1)
	for i := range cells {
		c := &cells[i]
		g := c.cell(m, &r)
		if i == len(cells)-1 {
			out = append(out, m.lastCell(id, c.cells, g)...)
			continue
		}
		g.s = fit(g.s, c.cells-1) + " "
		if i == 0 {
			g.s = " " + g.s
		}
		out = append(out, g)
	}
	return out
}

// lastCell is the last cell of a row; before it stands what a group says of itself.
func (m *Model) lastCell(id string, w int, g seg) []seg {
	if gr := m.group(id); gr != nil {
		return m.groupCells(gr, w, g)
	}
	if m.inGroup(id) {
		g.s = m.gl.none + " " + g.s
	}
	g.s = fit(g.s, w)
	return []seg{g}
}

// what names the process and user behind an alert, as far as they are known,
// before its title, which most alerts of a rule share.
func what(a *engine.AlertRow) string {
	if why := refusedWhy(a); why != "" {
		return why + "; " + string(a.Title)
	}
	e := firstEvidence(a)
	if e.process == "" {
		return string(a.Title)
	}
	text := e.process
	if i := strings.LastIndexByte(text, '/'); i >= 0 && i < len(text)-1 {
		text = text[i+1:]
	}
	if e.user != "" {
		text += " by " + e.user
	}
	return text + ": " + string(a.Title)
}

// refusedWhy says why nothing of an alert may be blocked; empty when something may.
func refusedWhy(a *engine.AlertRow) string {
	why := ""
	for _, s := range a.Sightings {
		if s.Outcome != blocklist.OutcomeRefused || len(s.Reasons) == 0 {
			return ""
		}
		why = clean(s.Reasons[0])
	}
	return why
}

// doer is who did what an alert is about, as far as it is known.
type doer struct{ process, user string }

func firstEvidence(a *engine.AlertRow) doer {
	for _, s := range a.Sightings {
		for _, e := range s.Evidence {
			if e.Process != "" {
				return doer{string(e.Process), string(e.User)}
			}
		}
	}
	return doer{}
}

// addresses names the first address of an alert and counts the others.
func (m *Model) addresses(a *engine.AlertRow) string {
	if len(a.Sightings) == 0 {
		return "-"
	}
	s := a.Sightings[0]
	text := m.arrow(s.Direction) + " " + s.Addr.String()
	if n := len(a.Sightings) - 1; n > 0 {
		text += fmt.Sprintf(" +%d", n)
	}
	return text
}

// remaining says how long a block still lives.
func (m *Model) remaining(b *engine.BlockView) string {
	switch {
	case b.Pinned:
		return "pinned"
	case b.State == blocklist.Active:
		return spanLong(b.Expires.Sub(m.now))
	}
	return "-"
}

func (m *Model) severityPaint(l *engine.LogLine) paint {
	switch l.Severity {
	case engine.Warning:
		return m.th.warn
	case engine.Fault:
		return m.th.bad
	}
	return m.th.plain
}

func logText(l *engine.LogLine) string {
	if l.Reason != "" {
		return l.Text + ": " + l.Reason
	}
	return l.Text
}

// evidence says in one line what an event knows of an address.
func evidence(e alert.Evidence) string {
	var parts []string
	add := func(k, v string) {
		if v != "" {
			parts = append(parts, k+v)
		}
	}
	add("", string(e.Process))
	add("user ", string(e.User))
	if e.Port >= 0 {
		add("port ", fmt.Sprint(e.Port))
	}
	add("host ", string(e.Host))
	add("container ", cut(string(e.Container), 12))
	add("image ", string(e.Image))
	if e.PID > 0 {
		add("pid ", fmt.Sprint(e.PID))
	}
	if e.Peer.IsValid() {
		add("from ", e.Peer.String())
	}
	add("", string(e.Command))
	return strings.Join(parts, "  ")
}
