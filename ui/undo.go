package ui

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// undoMsg is what taking a decision back would do.
type undoMsg struct {
	t    target
	plan engine.UndoPlan
	err  error
}

func (m *Model) onDecided() bool { return m.drawn.target != nil && m.drawn.target.decided }

// undo asks what taking back the last decision about the highlighted row would
// do; the answer opens the question.
func (m *Model) undo() tea.Cmd {
	t := m.intended()
	u, ok := m.cfg.Console.(engine.Undoer)
	if t == nil || !ok {
		return nil
	}
	m.say("looking what taking it back would do"+m.gl.dots, false)
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), decideTimeout)
		defer cancel()
		p, err := u.PlanUndo(ctx, t.block)
		return undoMsg{*t, p, err}
	}
}

// askUndo opens the question, or says why nothing can be taken back.
func (m *Model) askUndo(msg undoMsg) {
	switch {
	case msg.err != nil:
		m.say(msg.err.Error(), true)
		return
	case m.dialog != nil:
		return // another question is open
	case len(msg.plan.Conflicts) > 0:
		m.say("not undone, nothing was written: "+msg.plan.Conflicts[0], true)
		return
	}
	text := []string{msg.plan.Text()}
	for _, s := range msg.plan.Steps {
		text = append(text, fmt.Sprintf("%s %s: entry %d", s.ACL, s.Direction, s.Number))
	}
	t := msg.t
	t.digest = msg.plan.Digest
	m.dialog = newDialog(m.now, "Take back: "+t.cidr, text, "y", "take it back",
		func(m *Model) tea.Cmd {
			return m.decide(t, blocklist.Undo, "taken back in the console", "taken back")
		})
}
