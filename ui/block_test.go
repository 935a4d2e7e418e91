package ui

import (
	"context"
	"errors"
	"testing"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
)

// asker is a console whose engine takes what people ask for.
type asker struct {
	*console
	asked []engine.Request
	err   error
}

func (a *asker) PlanBlock(_ context.Context, r engine.Request) (*engine.Proposal, error) {
	return proposal(r.Prefix.String()), a.err
}

func (a *asker) Propose(_ context.Context, r engine.Request) (blocklist.ID, error) {
	a.asked = append(a.asked, r)
	return proposal(r.Prefix.String()).ID, nil
}

// TestBlockByHand: b asks for address, direction and reason, shows the effect, and
// approves exactly that.
func TestBlockByHand(t *testing.T) {
	s := newScreen(t, 120, 40)
	a := &asker{console: s.con}
	s.m.cfg.Console = a
	s.show(full())
	s.press("1", "G", "b")
	s.expect("Block which address?", "address or CIDR> 10.1.2.3/32_")
	s.press("ctrl+u")
	s.press("x", "enter")
	s.expect("that is no address")
	s.press("backspace")
	for _, r := range "192.0.2.9" {
		s.press(string(r))
	}
	s.press("enter", "o")
	s.expect("Block 192.0.2.9/32 outbound?", "+ deny 192.0.2.9/32  egress, entry 4, 12 slots left after")
	s.press("enter")
	if len(a.asked) != 0 {
		t.Fatalf("asked for without a reason")
	}
	s.press("c", "2", "enter")
	if len(a.asked) != 1 || a.asked[0].Direction != alert.Outbound || a.asked[0].Prefix.String() != "192.0.2.9/32" || a.asked[0].Reason != "c2" {
		t.Fatalf("asked for %+v", a.asked)
	}
	if len(s.con.calls) != 1 || s.con.calls[0].d.Verb != blocklist.Approve || s.con.calls[0].d.Effect != "digest of 192.0.2.9/32" {
		t.Fatalf("decided %+v", s.con.calls)
	}
	s.expect("blocked 192.0.2.9/32")
	s.press("b", "ctrl+u")
	for _, r := range "192.0.0.0/20" { // as wide as that is typed once more
		s.press(string(r))
	}
	s.press("enter", "o", "w", "enter")
	s.expect("It is wide: 4096 addresses")
	s.press("enter", "esc")
	if len(a.asked) != 1 {
		t.Fatalf("asked for %+v", a.asked)
	}
	a.err = errors.New("guarded: the alert API")
	s.press("b", "enter", "i")
	s.expect("guarded: the alert API")
	if s.m.dialog != nil || len(a.asked) != 1 {
		t.Errorf("asked for %+v", a.asked)
	}
}
