package ui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/policy"
)

// bindings is the key map as it comes, in the order of the help.
func bindings() []binding {
	return slices.Concat(
		decideKeys(),
		listKeys(),
		lookKeys(),
		moveKeys(),
		programKeys(),
	)
}

func decideKeys() []binding {
	const group = "decide"
	return []binding{
		{"approve", []string{"a"}, group, "approve", "approve the highlighted proposal: it is blocked as shown",
			only((*Model).onProposal, "nothing to approve on this row"), (*Model).approve},
		{"deny", []string{"d"}, group, "deny", "deny the highlighted proposal",
			only((*Model).onProposal, "nothing to deny on this row"), (*Model).deny},
		{"unblock", []string{"u"}, group, "unblock", "unblock the highlighted block (asks first)",
			only((*Model).onActive, "nothing to unblock on this row"), (*Model).revoke},
		{"restore", []string{"r"}, group, "restore", "write back an entry that somebody removed (asks first)",
			only((*Model).onDrift, "nothing to restore on this row"), (*Model).restore},
		{"pin", []string{"P"}, group, "pin", "pin the highlighted block, or unpin it: a pinned one comes before everything and does not expire",
			only((*Model).onPinnable, "nothing to pin on this row"), (*Model).pin},
		{"undo", []string{"U"}, group, "undo", "take back the last decision about the highlighted row (shows the effect, asks first)",
			only((*Model).onDecided, "nothing to undo on this row"), (*Model).undo},
		{"mode", []string{"m"}, group, "mode", "change the mode; auto needs the typed word", nil, (*Model).openMode},
	}
}

func listKeys() []binding {
	const group = "look"
	open := func(t tab) func(*Model) tea.Cmd { return func(m *Model) tea.Cmd { return m.open(t) } }
	return []binding{
		{"alerts", []string{"1"}, group, "", "alerts", nil, open(tabAlerts)},
		{"proposals", []string{"2"}, group, "", "proposals", nil, open(tabProposals)},
		{"blocks", []string{"3"}, group, "", "blocks", nil, open(tabBlocks)},
		{"log", []string{"4"}, group, "", "log of what was decided and done", nil, open(tabLog)},
	}
}

func lookKeys() []binding {
	const group = "look"
	return []binding{
		{"next-pane", []string{"tab"}, group, "pane", "move between list, network ACL and detail", nil,
			func(m *Model) tea.Cmd { m.pane = (m.pane + 1) % paneCount; return nil }},
		{"previous-pane", []string{"shift+tab"}, group, "", "the same backwards", nil,
			func(m *Model) tea.Cmd { m.pane = (m.pane + paneCount - 1) % paneCount; return nil }},
		{"next-acl", []string{"]"}, group, "", "next network ACL", nil, func(m *Model) tea.Cmd { return m.nextACL(1) }},
		{"previous-acl", []string{"["}, group, "", "previous network ACL", nil, func(m *Model) tea.Cmd { return m.nextACL(-1) }},
		{"filter", []string{"/"}, group, "filter", "show only rows that contain a text", nil, func(m *Model) tea.Cmd { m.filtering = true; return nil }},
		{"back", []string{"esc"}, group, "", "clear the filter, go back to the list", nil, (*Model).escape},
		{"pause", []string{"p"}, group, "pause", "freeze the view; data keeps coming", nil, (*Model).pause},
		{"problems", []string{"!"}, group, "", "what is wrong now", nil, func(m *Model) tea.Cmd { m.overlay = overlayProblems; return nil }},
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
		{"help", []string{"?"}, group, "help", "this help", nil, func(m *Model) tea.Cmd { m.overlay = overlayHelp; return nil }},
		{"quit", []string{"q"}, group, "quit", "quit; blocks stay as they are", nil, (*Model).quit},
		{"quit-now", []string{"ctrl+c"}, group, "", "quit at once", nil, func(*Model) tea.Cmd { return tea.Quit }},
	}
}

// key handles one key press.
func (m *Model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case m.dialog != nil:
		return m.dialogKey(k)
	case m.filtering:
		return m.filterKey(k)
	case m.overlay != overlayNone:
		return m.overlayKey(name)
	}
	return m.press(name)
}

func (m *Model) onProposal() bool {
	return m.drawn.target != nil && m.drawn.target.state == blocklist.Pending
}

func (m *Model) onActive() bool {
	return m.drawn.target != nil && m.drawn.target.state == blocklist.Active
}

func (m *Model) onPinnable() bool { return m.onActive() && !m.drawn.target.cover }

func (m *Model) onDrift() bool { return m.onActive() && m.drawn.target.drifted }

// intended checks that the row which the last frame highlighted is still what it
// was. It gives nil, and says why, when it is not.
func (m *Model) intended() *target {
	t := m.drawn.target
	if t == nil || m.live == nil {
		return nil
	}
	if m.now.Sub(m.movedAt) < settleTime {
		m.say("another row has just come under the cursor, look again", true)
		return nil
	}
	for _, p := range m.live.Proposals {
		if p.ID != t.block {
			continue
		}
		if t.state != blocklist.Pending || p.Digest != t.digest {
			m.say("row changed, look again", true)
			return nil
		}
		return t
	}
	for _, b := range m.live.Blocks {
		if b.ID == t.block && b.State == t.state && b.Pinned == t.pinned {
			return t
		}
	}
	m.say("row changed, look again", true)
	return nil
}

func (m *Model) approve() tea.Cmd {
	t := m.intended()
	if t == nil {
		return nil
	}
	if p := newIndex(m.live).proposals[t.block]; p != nil && p.Blocked != "" {
		m.say("not now: "+p.Blocked, true)
		return nil
	}
	return m.decide(*t, blocklist.Approve, "approved in the console", "approved")
}

func (m *Model) deny() tea.Cmd {
	t := m.intended()
	if t == nil {
		return nil
	}
	return m.decide(*t, blocklist.Deny, "denied in the console", "denied")
}

func (m *Model) revoke() tea.Cmd {
	t := m.intended()
	if t == nil {
		return nil
	}
	m.dialog = newDialog(m.now, "Unblock "+t.cidr+"?", []string{"Its deny entries are removed from every network ACL of this block.", "Traffic with it is possible again."}, "y", "unblock",
		func(m *Model) tea.Cmd { return m.decide(*t, blocklist.Revoke, "unblocked in the console", "unblocked") })
	return nil
}

// pin pins a block or takes its pin back.
func (m *Model) pin() tea.Cmd {
	t := m.intended()
	if t == nil {
		return nil
	}
	if t.pinned {
		return m.decide(*t, blocklist.Unpin, "unpinned in the console", "unpinned")
	}
	return m.decide(*t, blocklist.Pin, "pinned in the console", "pinned")
}

func (m *Model) restore() tea.Cmd {
	t := m.intended()
	if t == nil {
		return nil
	}
	m.dialog = newDialog(m.now, "Write "+t.cidr+" back?", []string{"Somebody removed its entry from the network ACL.", "Ask them first if you do not know why."}, "y", "write it back",
		func(m *Model) tea.Cmd { return m.decide(*t, blocklist.Restore, "restored in the console", "restored") })
	return nil
}

func (m *Model) open(t tab) tea.Cmd {
	if m.tab != t {
		m.tab, m.pane = t, paneList
		m.scroll[paneDetail] = 0
	}
	return nil
}

func (m *Model) nextACL(d int) tea.Cmd {
	if m.snap != nil && len(m.snap.ACLs) > 0 {
		n := len(m.snap.ACLs)
		m.acl = (m.acl + d + n) % n
		m.scroll[paneACL] = 0
	}
	return nil
}

func (m *Model) page() int { return max(m.list().height-1, 1) }

func (m *Model) move(d int) tea.Cmd {
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
	if m.filter != "" {
		m.filter = ""
		m.refill()
	}
	return nil
}

func (m *Model) pause() tea.Cmd {
	m.paused = !m.paused
	if !m.paused && m.live != nil {
		m.show(m.live)
	}
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
		return tea.Quit
	}
	m.dialog = newDialog(m.now, "Quit?", []string{"Writes to AWS are not settled yet. The one in flight is finished first;", "the next start continues with the rest."}, "y", "quit",
		func(*Model) tea.Cmd { return tea.Quit })
	return nil
}

func (m *Model) filterKey(k tea.KeyPressMsg) tea.Cmd {
	switch name := k.String(); name {
	case "enter":
		m.filtering = false
	case "esc":
		m.filtering, m.filter = false, ""
	case "backspace":
		if r := []rune(m.filter); len(r) > 0 {
			m.filter = string(r[:len(r)-1])
		}
	default:
		if t := typed(k); t != "" && len(m.filter) < 64 {
			m.filter += lower(t)
		}
	}
	m.refill()
	return nil
}

func (m *Model) overlayKey(name string) tea.Cmd {
	switch name {
	case "j", "down":
		m.scroll[paneList]++
	case "k", "up":
		m.scroll[paneList] = max(0, m.scroll[paneList]-1)
	default:
		m.overlay, m.scroll[paneList] = overlayNone, 0
	}
	return nil
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
