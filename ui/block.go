package ui

import (
	"context"
	"errors"
	"net/netip"

	tea "charm.land/bubbletea/v2"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
)

// blockMsg is what a block that a person asks for would do.
type blockMsg struct {
	d    *dialog // the question that waits for it
	r    engine.Request
	plan *engine.Proposal
	err  error
}

// blockByHand asks which address is to be blocked: that of the highlighted row,
// when it has one, or another that is typed.
func (m *Model) blockByHand() tea.Cmd {
	if m.live == nil || m.live.ReadOnly {
		m.say("this console is read-only", true)
		return nil
	}
	in := &input{label: "address or CIDR", max: 50, paste: true, lacks: func(s string) string {
		if _, err := parsePrefix(s); err != nil {
			return "that is no address and no CIDR; esc cancels"
		}
		return ""
	}}
	if list := m.shownAddresses(m.drawn.row); len(list) == 1 {
		in.text = []rune(list[0].String())
	}
	return m.askText("Block which address?", []string{"It is asked for like any other block: the guard has its say, and what it would do is shown first."}, in, "go on", func(m *Model, s string) tea.Cmd {
		p, err := parsePrefix(s)
		if err != nil {
			return nil
		}
		return m.askDirection(p)
	})
}

// parsePrefix reads an address or a CIDR.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

func (m *Model) askDirection(p netip.Prefix) tea.Cmd {
	plan := func(d alert.Direction) func(*Model) tea.Cmd {
		return func(m *Model) tea.Cmd { return m.planBlock(engine.Request{Prefix: p, Direction: d}) }
	}
	return m.askOne("Block "+p.String()+" in which direction?", nil, []option{
		{"o", "outbound: our hosts can not reach it (egress entries)", "", plan(alert.Outbound)},
		{"i", "inbound: it can not reach our hosts (ingress entries)", "", plan(alert.Inbound)},
	})
}

// planBlock opens the question at once and fills it in when the engine has worked
// out the effect.
func (m *Model) planBlock(r engine.Request) tea.Cmd {
	e, ok := m.cfg.Console.(engine.Proposer)
	if !ok {
		m.say("this console cannot ask for blocks", true)
		return nil
	}
	r.Actor = m.cfg.Actor
	d := newDialog(m.now, "Block "+r.Prefix.String()+" "+r.Direction.String()+"?", nil, "", "", nil)
	d.waiting = "looking what that would do"
	m.dialog = d
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), decideTimeout)
		defer cancel()
		p, err := e.PlanBlock(ctx, r)
		return blockMsg{d, r, p, err}
	}
}

// askBlock fills in the question, or says why it cannot be blocked.
func (m *Model) askBlock(msg blockMsg) tea.Cmd {
	d := msg.d
	if m.dialog != d {
		return nil // cancelled meanwhile
	}
	m.now = m.cfg.Now()
	why := ""
	switch {
	case msg.err != nil:
		why = clean(msg.err.Error())
	case msg.plan.Blocked != "":
		why = "not now: " + clean(msg.plan.Blocked)
	}
	if why != "" {
		m.closeDialog()
		m.say(why, true)
		return nil
	}
	in, t := reasonInput(), addressTarget(msg.r.Prefix)
	t.seal = msg.plan.Digest
	d.waiting, d.text, d.yes, d.verb, d.input = "", effectText(msg.plan), "enter", "block it", in
	d.opened, d.last, d.heard = m.now, m.now, false
	d.act = func(m *Model) tea.Cmd {
		if why := in.value(); wide(t.prefix) {
			return m.askText("Block "+t.cidr+"? It is wide: "+coveredBy(t.prefix)+".", d.text, wordInput(t.cidr, "type "+t.cidr+" exactly; esc cancels"), "block "+t.cidr,
				func(m *Model, _ string) tea.Cmd { return m.decide(t, blocking(msg.r), why) })
		}
		return m.decide(t, blocking(msg.r), in.value())
	}
	return m.wake(quiet)
}

// blocking proposes what a person asks for and approves exactly what was shown.
// When that has changed it is proposed all the same, and waits for a decision.
func blocking(r engine.Request) action {
	return action{name: "block", done: "blocked", exec: func(ctx context.Context, c engine.Console, t target, d blocklist.Decision) error {
		e, ok := c.(engine.Proposer)
		if !ok {
			return errors.New("this console cannot ask for blocks")
		}
		r.Reason = d.Reason
		id, err := e.Propose(ctx, r)
		if err != nil {
			return err
		}
		d.Verb = blocklist.Approve
		return c.Decide(ctx, id, d)
	}}
}
