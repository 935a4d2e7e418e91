package ui

import (
	"context"
	"testing"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// undoConsole is a console that plans what a test wants.
type undoConsole struct {
	*console
	plan engine.UndoPlan
}

func (u *undoConsole) PlanUndo(context.Context, blocklist.ID) (engine.UndoPlan, error) {
	return u.plan, nil
}

// TestUndoKey: U shows the effect, asks, and decides what was shown; a conflict is
// said and nothing is asked.
func TestUndoKey(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := full()
	snap.Blocks[1].Before = &blocklist.Standing{State: blocklist.Pending}
	s.show(snap)
	s.press("3", "U")
	s.expect("nothing to undo on this row")
	b := snap.Blocks[1].Block
	after, err := b.Undone()
	if err != nil {
		t.Fatal(err)
	}
	u := &undoConsole{s.con, engine.UndoPlan{Block: b, After: after, Digest: "seen"}}
	s.m.cfg.Console = u
	s.press("down", "U")
	s.expect("Take back: " + b.Prefix.String())
	s.expect("the deny entries of " + b.Prefix.String() + " are removed")
	if len(s.con.calls) != 0 {
		t.Fatalf("decided without asking: %+v", s.con.calls)
	}
	s.press("y")
	if len(s.con.calls) != 1 || s.con.calls[0].d.Verb != blocklist.Undo || s.con.calls[0].d.Effect != "seen" {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	u.plan.Conflicts = []string{"a write is not settled yet"}
	s.show(snap)
	s.press("U")
	s.expect("nothing was written: a write is not settled yet")
	if len(s.con.calls) != 1 {
		t.Errorf("a conflict is decided: %+v", s.con.calls)
	}
}
