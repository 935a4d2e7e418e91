package ui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/policy"
)

// bindings is the key map as it comes, in the order of the help.
func bindings() []binding {
	return slices.Concat(
		decideKeys(),
		markKeys(),
		listKeys(),
		viewKeys(),
		findKeys(),
		lookKeys(),
		moveKeys(),
		presenceKeys(),
		programKeys(),
	)
}

func listKeys() []binding {
	const group = "lists"
	open := func(t tab) func(*Model) tea.Cmd { return func(m *Model) tea.Cmd { return m.open(t) } }
	return []binding{
		{"alerts", []string{"1"}, group, "", "alerts", nil, open(tabAlerts)},
		{"proposals", []string{"2"}, group, "", "proposals", nil, open(tabProposals)},
		{"blocks", []string{"3"}, group, "", "blocks", nil, open(tabBlocks)},
		{"log", []string{"4"}, group, "", "log of what was decided and done", nil, open(tabLog)},
	}
}

func findKeys() []binding {
	const group = "find"
	return []binding{
		{"filter", []string{"/"}, group, "filter", "show only rows that match, while you type: words, col:value, !not, >= and cidr:", nil, (*Model).openFilter},
		{"sort", []string{"o"}, group, "", "sort by the next column, in the end in the usual order", nil, func(m *Model) tea.Cmd { m.nextSort(); return nil }},
		{"sort-reverse", []string{"O"}, group, "", "sort the other way round", only((*Model).sorted, "the list is not sorted by a column; o sorts it"),
			func(m *Model) tea.Cmd { m.sortBy(m.look[m.tab].Sort, !m.look[m.tab].Reverse); return nil }},
		{"group", []string{"t"}, group, "", "rows of the same rule and address become one, which acts for all; again for every row", nil, (*Model).toggleGroups},
		{"unfold", []string{"space"}, group, "unfold", "open the highlighted group, or close it", only((*Model).onGroup, "no group on this row"), (*Model).toggleFold},
		{"palette", []string{":"}, group, "", "do anything by its name, with completion", nil, (*Model).openPalette},
	}
}

func lookKeys() []binding {
	const group = "look"
	return []binding{
		{"open", []string{"enter"}, group, "open", "everything about the highlighted row, on a page; in the network ACL: go to the block of the entry", nil, (*Model).openRow},
		{"next-pane", []string{"tab"}, group, "pane", "move between list, network ACL and detail", nil,
			func(m *Model) tea.Cmd { return m.nextPane(1) }},
		{"previous-pane", []string{"shift+tab"}, group, "", "the same backwards", nil,
			func(m *Model) tea.Cmd { return m.nextPane(paneCount - 1) }},
		{"next-acl", []string{"]"}, group, "", "next network ACL", nil, func(m *Model) tea.Cmd { return m.nextACL(1) }},
		{"previous-acl", []string{"["}, group, "", "previous network ACL", nil, func(m *Model) tea.Cmd { return m.nextACL(-1) }},
		{"back", []string{"esc"}, group, "", "clear the filter, go back to the list", nil, (*Model).escape},
		{"pause", []string{"p"}, group, "pause", "freeze the view; data keeps coming", nil, (*Model).pause},
		{"poll", []string{"R"}, group, "", "poll and read the network ACLs now", nil,
			func(m *Model) tea.Cmd { m.cfg.Console.Poll(); m.say("asked for a poll", false); return nil }},
	}
}

func moveKeys() []binding {
	const group = "move"
	return []binding{
		{"down", []string{"j", "down"}, group, "", "down", nil, func(m *Model) tea.Cmd { return m.move(1) }},
		{"up", []string{"k", "up"}, group, "", "up", nil, func(m *Model) tea.Cmd { return m.move(-1) }},
		{"page-down", []string{"pgdown", "ctrl+d"}, group, "", "page down", nil, func(m *Model) tea.Cmd { return m.move(m.page()) }},
		{"page-up", []string{"pgup", "ctrl+u"}, group, "", "page up", nil, func(m *Model) tea.Cmd { return m.move(-m.page()) }},
		{"top", []string{"g", "home"}, group, "", "to the top; alerts, blocks and log then follow the newest", nil, (*Model).first},
		{"bottom", []string{"G", "end"}, group, "", "to the end", nil, func(m *Model) tea.Cmd { return m.move(1 << 30) }},
	}
}

func programKeys() []binding {
	const group = "program"
	return []binding{
		{"help", []string{"?"}, group, "help", "this help", nil, func(m *Model) tea.Cmd { return m.openOverlay(overlayHelp) }},
		{"quit", []string{"q"}, group, "quit", "quit; blocks stay as they are", nil, (*Model).quit},
		{"quit-now", []string{"ctrl+c"}, group, "", "quit at once", nil, (*Model).leave},
	}
}

// key handles one key press.
func (m *Model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	m.pressed = name
	switch {
	case name == "ctrl+c":
		return m.leave()
	case m.dialog != nil:
		return m.dialogKey(k)
	case m.prompt != nil:
		return m.promptKey(k)
	case m.overlay != overlayNone:
		return m.overlayKey(k)
	}
	return m.press(name)
}

func (m *Model) open(t tab) tea.Cmd {
	m.leaveView()
	if m.tab != t {
		m.tab, m.pane = t, paneList
		m.scroll[paneDetail] = 0
	}
	if m.stale[t] {
		m.refillOne(t)
	}
	return nil
}

func (m *Model) nextPane(d pane) tea.Cmd {
	m.pane = (m.pane + d) % paneCount
	if m.pane == paneACL {
		m.enterACL()
	}
	return nil
}

func (m *Model) nextACL(d int) tea.Cmd {
	if m.snap != nil && len(m.snap.ACLs) > 0 {
		n := len(m.snap.ACLs)
		m.acl = (m.acl + d + n) % n
		m.aclAt = ""
		m.enterACL()
	}
	return nil
}

func (m *Model) page() int { return max(m.list().height-1, 1) }

func (m *Model) move(d int) tea.Cmd {
	if m.pane == paneACL {
		m.moveACL(d)
		return nil
	}
	if m.pane != paneList {
		m.scroll[m.pane] = max(0, min(m.scroll[m.pane]+d, 1<<20))
		return nil
	}
	l := m.list()
	l.follow, m.movedAt = false, time.Time{}
	l.move(max(-1<<30, d))
	m.scroll[paneDetail] = 0
	return nil
}

func (m *Model) first() tea.Cmd {
	if m.pane == paneACL {
		m.moveACL(-1 << 20)
		return nil
	}
	if m.pane != paneList {
		m.scroll[m.pane] = 0
		return nil
	}
	l := m.list()
	m.movedAt = time.Time{}
	l.to(0)
	l.follow = m.tab != tabProposals
	m.scroll[paneDetail] = 0
	return nil
}

func (m *Model) escape() tea.Cmd {
	m.pane = paneList
	m.setFilter(m.viewFilter())
	return nil
}

func (m *Model) pause() tea.Cmd {
	m.paused = !m.paused
	m.thaw()
	return nil
}

func (m *Model) quit() tea.Cmd {
	n := 0
	if m.live != nil {
		for _, a := range m.live.ACLs {
			n += a.InFlight
		}
	}
	if n == 0 && len(m.deciding) == 0 {
		return m.leave()
	}
	return m.ask("Quit?", []string{"Writes to AWS are not settled yet. The one in flight is finished first;", "the next start continues with the rest."}, "quit",
		(*Model).leave)
}

// setMode sends the mode without waiting for it.
func (m *Model) setMode(mode policy.Mode) tea.Cmd {
	c, actor := m.cfg.Console, m.cfg.Actor
	m.say("mode "+mode.String()+m.gl.dots, false)
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), decideTimeout)
		defer cancel()
		return decidedMsg{text: "mode " + mode.String(), err: c.SetMode(ctx, mode, actor, "set in the console")}
	}
}

// openRow opens the highlighted group, or the page of the highlighted row.
func (m *Model) openRow() tea.Cmd {
	if m.pane == paneList && m.drawn.tab == m.tab && m.drawn.members[m.drawn.row] != nil {
		return m.toggleFold()
	}
	return m.openPage()
}

func (m *Model) sorted() bool { return m.look[m.tab].Sort != "" }
