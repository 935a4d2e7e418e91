package ui

import (
	"context"
	"errors"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/policy"
)

// openedMsg is the engine behind the console, or why there is none.
type openedMsg struct {
	console engine.Console
	updates <-chan *engine.Snapshot
	err     error
}

// opening waits for the engine beside the screen.
func (m *Model) opening() tea.Cmd {
	open := m.cfg.Open
	return func() tea.Msg {
		c, updates, err := open()
		return openedMsg{c, updates, err}
	}
}

// opened goes on with the engine, or ends the console.
func (m *Model) opened(msg openedMsg) tea.Cmd {
	if msg.err != nil {
		m.failed = msg.err
		return m.leave()
	}
	m.cfg.Console, m.cfg.Updates = msg.console, msg.updates
	return m.waitSnapshot()
}

// notYet is the engine while there is none.
type notYet struct{}

var errNotYet = errors.New("not yet: the journal is still being read")

func (notYet) Decide(context.Context, blocklist.ID, blocklist.Decision) error { return errNotYet }

func (notYet) SetMode(context.Context, policy.Mode, string, string) error { return errNotYet }

func (notYet) Poll() {}
