package ui

import (
	"time"

	tea "charm.land/bubbletea/v2"
)

// presenceKeys are the keys that decide nothing and look at no list.
func presenceKeys() []binding {
	const group = "share"
	return []binding{
		{"copy-cidr", []string{"c"}, group, "", "copy the CIDR of the highlighted row (OSC 52)", nil, (*Model).copyCIDR},
		{"copy-evidence", []string{"C"}, group, "", "copy the evidence of the highlighted row as Markdown, and show what was copied", nil, (*Model).copyEvidence},
		{"mask", []string{"M"}, group, "", "mask internal addresses and hosts, on the screen and in copies; again shows them", nil, (*Model).toggleMask},
		{"problems", []string{"!"}, group, "", "what is wrong now, and what was in this session", nil, func(m *Model) tea.Cmd { return m.openOverlay(overlayProblems) }},
		{"calls", []string{"ctrl+l"}, group, "", "the calls that changed an ACL, as AWS CLI commands", nil, func(m *Model) tea.Cmd { return m.openOverlay(overlayCalls) }},
		{"suspend", []string{"ctrl+z"}, group, "", "suspend the program: nothing is watched until it goes on",
			only(func(m *Model) bool { return m.cfg.Suspend }, "there is no shell here to come back from"), (*Model).suspend},
	}
}

// other handles what is neither a key nor a snapshot.
func (m *Model) other(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.FocusMsg:
		m.att.focus(true)
	case tea.BlurMsg:
		m.att.focus(false)
	case tea.ResumeMsg:
		m.resumed()
		return tea.RequestBackgroundColor
	case tea.MouseWheelMsg:
		m.wheel(msg)
	case leaveMsg:
		return m.leave()
	}
	return nil // a click never does anything, nor the move that gives focus
}

// wheel scrolls as the arrow keys do. It moves no cursor while a question is open.
func (m *Model) wheel(msg tea.MouseWheelMsg) {
	if m.cfg.Mouse != "wheel" || m.dialog != nil {
		return
	}
	d := 0
	switch msg.Button {
	case tea.MouseWheelDown:
		d = 3
	case tea.MouseWheelUp:
		d = -3
	default:
		return
	}
	m.now, m.frame = m.cfg.Now(), ""
	if m.overlay != overlayNone {
		m.scroll[paneList] = max(0, m.scroll[paneList]+d)
		return
	}
	m.move(d)
}

// leaveMsg asks the console to end, as a signal does.
type leaveMsg struct{}

// leave ends the console; the last frame reports that nothing is under way.
func (m *Model) leave() tea.Cmd {
	m.leaving, m.frame = true, ""
	return tea.Quit
}

// suspend stops the program as a shell's ctrl+z does. While a write to AWS is
// under way it asks for a second press: the write could not be read back.
func (m *Model) suspend() tea.Cmd {
	if m.live != nil && (inFlight(m.live) > 0 || len(m.deciding) > 0) && m.now.Sub(m.suspendAsked) > toastTime {
		m.suspendAsked = m.now
		m.say("a write to AWS is under way; ctrl+z again suspends all the same", true)
		return nil
	}
	m.suspendedAt = m.now
	return tea.Suspend
}

// resumed says how long nothing was watched.
func (m *Model) resumed() {
	m.now, m.frame = m.cfg.Now(), ""
	if d := m.now.Sub(m.suspendedAt); !m.suspendedAt.IsZero() {
		m.say("went on after "+spanLong(d.Round(time.Second))+" in which nothing was watched", true)
		m.past.add("the program was suspended for "+spanLong(d.Round(time.Second))+": nothing was watched", m.now)
	}
	m.suspendedAt = time.Time{}
}
