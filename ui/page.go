package ui

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
)

// openPage shows everything about the row that the last frame highlighted. The
// page stays with that row, whatever comes and goes in the list.
func (m *Model) openPage() tea.Cmd {
	if m.pane == paneACL {
		return m.jump()
	}
	if m.drawn.row == "" || m.drawn.tab != m.tab {
		return nil
	}
	m.overlay, m.pageRow, m.scroll[paneList] = overlayRow, m.drawn.row, 0
	return nil
}

// pageKey moves the page; other keys act on its row as they do in the list.
func (m *Model) pageKey(name string) tea.Cmd {
	at := &m.scroll[paneList]
	switch name {
	case "j", "down":
		*at++
	case "k", "up":
		*at = max(*at-1, 0)
	case "pgdown", "space", "ctrl+d":
		*at += m.bodyHeight() - 2
	case "pgup", "ctrl+u":
		*at = max(*at-m.bodyHeight()+2, 0)
	case "g", "home":
		*at = 0
	case "G", "end":
		*at = 1 << 20
	case "esc", "enter", "q":
		m.closePage()
	default:
		if b := m.keys.byKey[name]; b != nil && b.group == "decide" {
			return m.run(b, name)
		}
	}
	return nil
}

// rowPage is the page of a row.
func (m *Model) rowPage() []string {
	row := m.pageRow
	if !m.ix.has(m.tab, row) && m.ix.lines[row] == nil && m.list().members[row] == nil {
		m.notePage(nil)
		return []string{line(m.w, seg{m.th.warn, "  This row is gone: it was decided, or it ended. esc goes back."})}
	}
	m.notePage(m.targetsOf(row))
	_, out := m.detailOf(m.w, row)
	addrs := m.addressesOf(row)
	for _, p := range addrs[:min(len(addrs), 16)] {
		out = append(out, m.evidenceOf(p)...)
		out = append(out, m.historyOf(p)...)
	}
	if more := len(addrs) - 16; more > 0 {
		out = append(out, line(m.w, seg{m.th.dim, fmt.Sprintf("  and %d more addresses", more)}))
	}
	return out
}

// notePage makes the row of the page what keys act on.
func (m *Model) notePage(ts []target) {
	m.noteDrawn()
	m.drawn.row, m.drawn.targets, m.drawn.target, m.drawn.marks = m.pageRow, ts, nil, marks{}
	if len(ts) == 1 {
		m.drawn.target = &ts[0]
	}
}

// addressesOf gives the prefixes that a row is about, sorted.
func (m *Model) addressesOf(row string) []netip.Prefix {
	rows := m.list().members[row]
	if rows == nil {
		rows = []string{row}
	}
	var out []netip.Prefix
	for _, r := range rows {
		if a := m.ix.alerts[r]; m.tab == tabAlerts && a != nil {
			for _, s := range a.Sightings {
				out = append(out, netip.PrefixFrom(s.Addr, s.Addr.BitLen()))
			}
		}
		if b := m.ix.block(blocklist.ID(r)); b != nil {
			out = append(out, b.Prefix)
		}
		if l := m.ix.lines[r]; m.tab == tabLog && l != nil && l.Prefix.IsValid() {
			out = append(out, l.Prefix)
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// shownAddresses is addressesOf without those that a mask stands in for: nothing is
// decided about an address that is not on the screen.
func (m *Model) shownAddresses(row string) []netip.Prefix {
	list := m.addressesOf(row)
	if m.mask == nil {
		return list
	}
	return slices.DeleteFunc(list, func(p netip.Prefix) bool {
		_, internal := internalAddr(p.Addr())
		return internal
	})
}

func (m *Model) heading(text string) string {
	return m.rule(m.w, text, false, "")
}

// evidenceOf shows every event that names an address inside a prefix, newest
// first.
func (m *Model) evidenceOf(p netip.Prefix) []string {
	type found struct {
		e alert.Evidence
		s blocklist.Sighting
	}
	var all []found
	for _, a := range m.snap.Alerts {
		for _, s := range a.Sightings {
			if !p.Contains(s.Addr) {
				continue
			}
			for _, e := range s.Evidence {
				all = append(all, found{e, s})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return b.e.Time.Compare(a.e.Time) })
	out := []string{m.heading(fmt.Sprintf("Evidence about %s: %s", p, plural(len(all), "event", "events")))}
	const most = 100
	for _, f := range all[:min(len(all), most)] {
		out = append(out, m.eventLines(f.s, f.e)...)
	}
	if more := len(all) - most; more > 0 {
		out = append(out, line(m.w, seg{m.th.dim, fmt.Sprintf("   and %s before", plural(more, "event", "events"))}))
	}
	return out
}

func (m *Model) eventLines(s blocklist.Sighting, e alert.Evidence) []string {
	head := fmt.Sprintf("  %s  %s ", e.Time.In(m.cfg.Location).Format("2006-01-02 15:04:05"), directionWord(s.Direction))
	port := ""
	if e.Port >= 0 {
		port = fmt.Sprintf(" port %d", e.Port)
	}
	if e.Protocol != "" {
		port += " " + string(e.Protocol)
	}
	out := []string{line(m.w, seg{m.th.dim, head}, seg{m.th.bold, s.Addr.String()}, seg{m.th.plain, port})}
	row := func(k, v string) {
		if v == "" {
			return
		}
		for i, part := range wrap(v, max(m.w-18, 10)) {
			if i > 0 {
				k = ""
			}
			out = append(out, line(m.w, seg{m.th.dim, "      " + fit(k, 11)}, seg{m.th.plain, part}))
		}
	}
	pid := ""
	if e.PID > 0 {
		pid = fmt.Sprintf("  pid %d", e.PID)
	}
	row("process", string(e.Process)+pid)
	row("command", string(e.Command))
	row("user", string(e.User))
	row("host", string(e.Host))
	row("container", string(e.Container))
	row("image", string(e.Image))
	if e.Peer.IsValid() {
		row("our end", e.Peer.String())
	}
	row("event", clean(e.Event))
	return out
}

// moment is one thing in the history of an address.
type moment struct {
	at   time.Time
	p    paint
	what string
	text string
}

// historyOf is every decision and sighting about a prefix that is known, newest
// first.
func (m *Model) historyOf(p netip.Prefix) []string {
	var all []moment
	told := map[string]bool{} // the log tells more of the same
	for _, l := range m.snap.Log {
		if l.Prefix.IsValid() && l.Prefix.Overlaps(p) {
			told[fmt.Sprint(l.Block, l.At.UnixNano())] = true
			all = append(all, moment{l.At, m.th.plain, clean(l.Event), because(l.Text, l.Reason)})
		}
	}
	for _, b := range m.snap.Proposals {
		if told[fmt.Sprint(b.ID, b.ProposedAt.UnixNano())] {
			continue
		}
		if b.Prefix.Overlaps(p) {
			all = append(all, moment{b.ProposedAt, m.th.warn, "proposed", fmt.Sprintf("%s %s: %s", b.What(), b.Direction, clean(firstOf(b.Reasons)))})
		}
	}
	for _, b := range m.snap.Blocks {
		if b.Prefix.Overlaps(p) {
			for _, x := range m.blockMoments(b) {
				if !told[fmt.Sprint(b.ID, x.at.UnixNano())] {
					all = append(all, x)
				}
			}
		}
	}
	for _, a := range m.snap.Alerts {
		for _, s := range a.Sightings {
			if p.Contains(s.Addr) {
				_, st := m.sightingState(s)
				all = append(all, moment{a.CreatedAt, m.th.dim, "alert", fmt.Sprintf("%s %s on %s: %s", s.Addr, st.word, a.Host, a.Title)})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return b.at.Compare(a.at) })
	out := []string{m.heading("History of " + p.String())}
	for _, x := range all[:min(len(all), 200)] {
		for i, part := range wrap(x.text, max(m.w-36, 12)) {
			when, what := x.at.In(m.cfg.Location).Format("2006-01-02 15:04:05"), x.what
			if m.w < 60 {
				when = x.at.In(m.cfg.Location).Format("15:04:05")
			}
			if i > 0 {
				when, what = "", ""
			}
			out = append(out, line(m.w, seg{m.th.dim, "  " + fit(when, min(m.w/4, 21))}, seg{x.p, fit(what, 10) + " "}, seg{m.th.plain, part}))
		}
	}
	return out
}

func (m *Model) blockMoments(b *engine.BlockView) []moment {
	out := []moment{{b.DecidedAt, m.th.bold, string(b.State), because(fmt.Sprintf("%s by %s", b.What(), clean(b.DecidedBy)), clean(b.Why))},
		{b.ProposedAt, m.th.warn, "proposed", fmt.Sprintf("%s: %s", b.What(), clean(firstOf(b.Reasons)))}}
	if w := b.Before; w != nil && w.State != blocklist.Pending {
		out = append(out, moment{w.DecidedAt, m.th.bold, string(w.State), because(fmt.Sprintf("%s by %s", b.What(), clean(w.DecidedBy)), clean(w.Why))})
	}
	return out
}

func because(text, reason string) string {
	if reason == "" {
		return text
	}
	return text + ": " + reason
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// pageTitle names the row of the page.
func (m *Model) pageTitle() string {
	addrs := m.addressesOf(m.pageRow)
	switch len(addrs) {
	case 0:
		return "Detail"
	case 1:
		return addrs[0].String()
	}
	return fmt.Sprintf("%s and %d more", addrs[0], len(addrs)-1)
}
