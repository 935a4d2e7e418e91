package ui

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"selfprotect/engine"
)

// undoMsg is what taking decisions back would do.
type undoMsg struct {
	d     *dialog // the question that waits for it
	c     choice
	plans []undoPlan // of each target that c.ok names
}

type undoPlan struct {
	plan engine.UndoPlan
	err  error
}

// undo asks what taking back the last decision about what is marked, else about
// the highlighted row, would do.
func (m *Model) undo() tea.Cmd {
	c, ok := m.choose(undoing())
	if !ok {
		return nil
	}
	return m.planUndo(c)
}

// planUndo opens the question at once and fills it in when the engine has worked
// out the effect: nothing opens by itself later.
func (m *Model) planUndo(c choice) tea.Cmd {
	u, ok := m.cfg.Console.(engine.Undoer)
	if !ok {
		m.say("this console cannot undo", true)
		return nil
	}
	d := newDialog(m.now, undoTitle(c), nil, "", "", nil)
	d.waiting = "looking what taking it back would do"
	m.dialog = d
	return func() tea.Msg {
		msg := undoMsg{d: d, c: c}
		for _, t := range c.ok {
			ctx, cancel := context.WithTimeout(context.Background(), decideTimeout)
			p, err := u.PlanUndo(ctx, t.block)
			cancel()
			msg.plans = append(msg.plans, undoPlan{p, err})
		}
		return msg
	}
}

func undoTitle(c choice) string {
	if len(c.ok) == 1 {
		return "Take back: " + c.ok[0].cidr
	}
	return fmt.Sprintf("Take back %d: %s to %s?", len(c.ok), c.ok[0].cidr, c.ok[len(c.ok)-1].cidr)
}

// askUndo fills in the question, or says why nothing can be taken back. A question
// that was cancelled meanwhile stays so.
func (m *Model) askUndo(msg undoMsg) tea.Cmd {
	if m.dialog != msg.d {
		return nil
	}
	m.now = m.cfg.Now()
	c := choice{marked: msg.c.marked, left: msg.c.left}
	var text []string
	for i, p := range msg.plans {
		t := msg.c.ok[i]
		switch {
		case p.err != nil:
			c.left = append(c.left, leftOut{t.cidr, clean(p.err.Error())})
			continue
		case len(p.plan.Conflicts) > 0:
			c.left = append(c.left, leftOut{t.cidr, "not undone, nothing was written: " + clean(p.plan.Conflicts[0])})
			continue
		}
		t.seal, t.after = p.plan.Digest, p.plan.After.State
		c.ok = append(c.ok, t)
		text = append(text, p.plan.Text())
		for _, s := range p.plan.Steps {
			text = append(text, "  "+stepText(s))
		}
	}
	if len(c.ok) == 0 {
		m.closeDialog()
		m.say(c.left[0].why, true)
		return nil
	}
	for _, l := range c.left {
		text = append(text, "left out: "+l.cidr+": "+l.why)
	}
	d := msg.d
	d.waiting, d.title, d.text, d.yes, d.verb = "", undoTitle(c), text, "y", "take it back"
	d.opened, d.last, d.heard = m.now, m.now, false
	d.act = func(m *Model) tea.Cmd { return m.takeBack(c) }
	return m.wake(quiet)
}

func (m *Model) takeBack(c choice) tea.Cmd {
	m.watch(c.ok...)
	if !c.marked && len(c.ok) == 1 {
		return m.decideStill(undoing(), c.ok[0], "taken back in the console")
	}
	return m.startJob(undoing(), c, "taken back in the console")
}

// undoJob asks what taking back all that a decision about several has done would
// do.
func (m *Model) undoJob() tea.Cmd {
	c := choice{marked: true}
	switch {
	case m.job == nil || m.live == nil:
		return nil
	case m.job.a.alerts:
		return m.bringBack()
	}
	for _, it := range m.job.items {
		if t := m.liveIndex().target(it.t.block); it.done && t != nil && t.decided {
			c.ok = append(c.ok, *t)
		}
	}
	if len(c.ok) == 0 {
		m.say("nothing of it can be taken back yet", true)
		return nil
	}
	return m.planUndo(c)
}
