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
		return "no alert of a watched rule yet"
	case tabProposals:
		return "no proposal waits for a decision"
	case tabBlocks:
		return "nothing is blocked"
	}
	return "nothing has happened yet"
}

// tabs are the titles of the lists with their counts.
func (m *Model) tabs(w int) string {
	counts := [tabCount]int{len(m.snap.Alerts), len(m.snap.Proposals), len(m.snap.Blocks), -1}
	names := [tabCount]string{"Alerts", "Proposals", "Blocks", "Log"}
	if w < 56 {
		names = [tabCount]string{"Alerts", "Props", "Blocks", "Log"}
	}
	segs := []seg{{m.th.rule, m.gl.rule}}
	for t := range tabCount {
		text := fmt.Sprintf(" %d %s", t+1, names[t])
		if counts[t] >= 0 {
			text += fmt.Sprintf(" %d", counts[t])
		}
		p := m.th.title
		switch {
		case t == m.tab:
			p = m.th.focus
			if m.pane == paneList {
				text = " " + m.gl.pick + text[1:]
			}
		case t == tabProposals && counts[t] > 0:
			p = m.th.warn
		}
		segs = append(segs, seg{p, text + " "}, seg{m.th.rule, m.gl.rule})
	}
	var right []seg
	if m.filter != "" {
		right = []seg{{m.th.warn, " /" + clean(m.filter) + " "}}
	}
	right = append(m.markCount(), right...)
	if n := w - segWidth(segs) - segWidth(right); n > 0 {
		segs = append(segs, seg{m.th.rule, strings.Repeat(m.gl.rule, n)})
	}
	return spread(w, segs, right)
}

// columns are the widths of the alert list: state, age, severity, address, host,
// title. A width of 0 leaves a column out.
type columns struct{ state, age, sev, addr, host, title int }

func alertColumns(w int) columns {
	c := columns{state: 13, age: 5, addr: 18}
	switch {
	case w < 56:
		c.addr = w - c.state - c.age - 1
	case w < 84:
		c.sev, c.addr = 7, 22
	default:
		c.sev, c.addr, c.host = 7, 26, min(w/8, 20)
	}
	c.title = max(w-c.state-c.age-c.sev-c.addr-c.host-1, 0)
	return c
}

func (m *Model) heads(w int) string {
	switch m.tab {
	case tabAlerts:
		c := alertColumns(w)
		return " " + fit("STATE", c.state) + fit("AGE", c.age) + fit("SEV", c.sev) + fit("ADDRESS", c.addr) + fit("HOST", c.host) + fit("WHAT", c.title)
	case tabProposals:
		return " " + fit("WAITS", 7) + fit("WEIGHT", 8) + fit("PREFIX", 28) + fit("SEEN", 6) + fit("HOSTS", 7) + fit("RULE", max(w-57, 0))
	case tabBlocks:
		return " " + fit("STATE", 12) + fit("PREFIX", 28) + fit("EXPIRES", 9) + fit("WEIGHT", 7) + fit("BY", 12) + fit("RULE", max(w-69, 0))
	}
	return " " + fit("TIME", 10) + fit("EVENT", 11) + "WHAT"
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

func (m *Model) rowSegs(w int, id string) []seg {
	switch m.tab {
	case tabAlerts:
		if a := m.ix.alerts[id]; a != nil {
			return m.alertRow(w, a)
		}
	case tabProposals:
		if p := m.ix.proposals[blocklist.ID(id)]; p != nil {
			return m.proposalRow(w, p)
		}
	case tabBlocks:
		if b := m.ix.blocks[blocklist.ID(id)]; b != nil {
			return m.blockRow(w, b)
		}
	case tabLog:
		if l := m.ix.lines[id]; l != nil {
			return m.logRow(w, l)
		}
	}
	return nil
}

func (m *Model) alertRow(w int, a *engine.AlertRow) []seg {
	c := alertColumns(w)
	st := m.alertState(a)
	sev, sevPaint := m.severityWord(a.Severity)
	segs := []seg{{st.p, fit(" "+st.glyph+" "+st.word, c.state+1)}, {m.th.dim, fit(age(m.now, a.CreatedAt), c.age)}}
	if c.sev > 0 {
		segs = append(segs, seg{sevPaint, fit(sev, c.sev)})
	}
	segs = append(segs, seg{m.th.plain, fit(m.addresses(a), c.addr)})
	if c.host > 0 {
		segs = append(segs, seg{m.th.dim, fit(string(a.Host), c.host-1) + " "})
	}
	return append(segs, seg{m.th.plain, fit(what(a), c.title)})
}

// what names the process and user behind an alert, as far as they are known,
// before its title, which most alerts of a rule share.
func what(a *engine.AlertRow) string {
	for _, s := range a.Sightings {
		for _, e := range s.Evidence {
			if e.Process == "" {
				continue
			}
			text := string(e.Process)
			if i := strings.LastIndexByte(text, '/'); i >= 0 && i < len(text)-1 {
				text = text[i+1:]
			}
			if e.User != "" {
				text += " by " + string(e.User)
			}
			return text + ": " + string(a.Title)
		}
	}
	return string(a.Title)
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

func (m *Model) proposalRow(w int, p *engine.Proposal) []seg {
	prefix := m.arrow(p.Direction) + " " + p.What()
	style := m.th.bold
	if m.notNow(p) != "" {
		style = m.th.dim
	}
	wait := " " + fit(age(m.now, p.ProposedAt), 7)
	if m.deciding[p.ID] {
		wait = fit(" "+m.gl.dots, 8)
	}
	return []seg{{m.th.dim, wait}, {m.th.warn, fit(fmt.Sprint(p.Score.Total()), 8)}, {style, fit(prefix, 28)},
		{m.th.plain, fit(fmt.Sprint(p.Sightings), 6)}, {m.th.plain, fit(fmt.Sprint(len(p.Hosts)), 7)}, {m.th.dim, fit(p.RuleName, max(w-57, 0))}}
}

func (m *Model) blockRow(w int, b *engine.BlockView) []seg {
	st := m.blockState(b)
	left := "-"
	if b.State == blocklist.Active {
		left = spanLong(b.Expires.Sub(m.now))
	}
	if b.Pinned {
		left = "pinned"
	}
	return []seg{{st.p, fit(" "+st.glyph+" "+st.word, 13)}, {m.th.plain, fit(m.arrow(b.Direction)+" "+b.What(), 28)},
		{m.th.dim, fit(left, 9)}, {m.th.dim, fit(fmt.Sprint(b.Score.Total()), 7)}, {m.th.dim, fit(clean(b.DecidedBy), 11) + " "}, {m.th.dim, fit(b.RuleName, max(w-69, 0))}}
}

func (m *Model) logRow(w int, l *engine.LogLine) []seg {
	p := m.th.plain
	switch l.Severity {
	case engine.Warning:
		p = m.th.warn
	case engine.Fault:
		p = m.th.bad
	}
	text := l.Text
	if l.Reason != "" {
		text += ": " + l.Reason
	}
	return []seg{{m.th.dim, " " + fit(l.At.In(m.cfg.Location).Format("15:04:05"), 10)}, {p, fit(l.Event, 11)}, {m.th.plain, fit(text, max(w-22, 0))}}
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
