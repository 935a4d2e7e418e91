package ui

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// planner is a console whose engine says what an undo would do.
type planner struct {
	*console
	snap *engine.Snapshot
	fail map[blocklist.ID]error
}

func (p *planner) PlanUndo(_ context.Context, id blocklist.ID) (engine.UndoPlan, error) {
	if err := p.fail[id]; err != nil {
		return engine.UndoPlan{}, err
	}
	b := newIndex(p.snap).block(id)
	after, err := b.Undone()
	return engine.UndoPlan{Block: *b, After: after, Digest: "undo " + string(id)}, err
}

// lately is a snapshot in which three blocks were approved one after the other.
func lately() *engine.Snapshot {
	s := full()
	for i, b := range s.Blocks {
		b.DecidedAt = t0.Add(-time.Duration(i+1) * time.Minute)
		b.Before = &blocklist.Standing{State: blocklist.Pending}
	}
	s.Log = append(s.Log, engine.LogLine{ID: 3, At: t0.Add(-2 * time.Minute), Event: "approved", Text: "203.0.113.2/32 approved by carol@soc", Actor: "carol@soc", Block: s.Blocks[1].ID},
		engine.LogLine{ID: 4, At: t0.Add(-30 * time.Second), Event: "mode", Text: "mode review, says bob@soc", Actor: "bob@soc", Reason: "lunch"})
	return s
}

// undone is lately after the approval of one block was taken back, as far as the
// ACL shows it.
func undone(i int, entries bool) *engine.Snapshot {
	s := lately()
	b := s.Blocks[i]
	p := &engine.Proposal{Block: b.Block, Digest: "again", RuleName: b.RuleName}
	p.State, p.DecidedAt, p.Before = blocklist.Pending, time.Time{}, &blocklist.Standing{State: blocklist.Active, DecidedBy: "bob@soc"}
	s.Blocks = append(s.Blocks[:i:i], s.Blocks[i+1:]...)
	s.Proposals = append(s.Proposals, p)
	if !entries {
		s.ACLs[0].Entries = append(s.ACLs[0].Entries[:i:i], s.ACLs[0].Entries[i+1:]...)
	}
	return s
}

// TestRecent: the last decisions are listed, from there they are taken back, and
// what was read back after it is shown.
func TestRecent(t *testing.T) {
	s := newScreen(t, 120, 40)
	p := &planner{console: s.con, snap: lately()}
	s.m.cfg.Console = p
	s.show(lately())
	s.press("z")
	s.expect("What was decided lately", "mode review, says bob@soc: lunch", "carol@soc", "203.0.113.3/32 outbound")
	s.press("U") // the mode is no decision about a block
	s.expect("nothing to undo")
	s.press("down", "enter")
	s.expect("Take back: 203.0.113.1/32", "the deny entries of 203.0.113.1/32 are removed")
	s.press("y")
	if len(s.con.calls) != 1 || s.con.calls[0].d.Verb != blocklist.Undo || s.con.calls[0].d.Effect != "undo "+string(lately().Blocks[0].ID) {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	still := undone(0, true)
	still.ACLs[0].ReadAt = s.clock.t.Add(time.Second)
	s.show(still)
	s.expectNot("read back at")
	old := undone(0, false)
	s.show(old) // a read from before the decision proves nothing
	s.expectNot("read back at")
	next := undone(0, false)
	next.ACLs[0].ReadAt = time.Date(2026, 11, 24, 3, 0, 11, 0, time.UTC)
	next.Log = append(next.Log, engine.LogLine{ID: 5, At: s.clock.t, Event: "undone", Text: "the last decision about 203.0.113.1/32 is taken back", Actor: "alice@soc", Block: lately().Blocks[0].ID})
	s.show(next)
	s.expect("203.0.113.1/32 undone, read back at 03:00:11: absent")
	s.press("g")
	s.expect("undone, read back at 03:00:11: absent")
	s.press("esc")
	s.expectNot("What was decided lately")
}

// TestUndoOfAll: what one decision about several has done is taken back together;
// what cannot be is named.
func TestUndoOfAll(t *testing.T) {
	s := newScreen(t, 120, 40)
	p := &planner{console: s.con, snap: lately(), fail: map[blocklist.ID]error{lately().Blocks[2].ID: errors.New("a write is not settled yet")}}
	s.m.cfg.Console = p
	s.show(lately())
	s.press("3", "*", "a", "P", "y") // pins all three
	s.expect("3 pinned")
	s.press("U")
	s.expect("Take back 2: 203.0.113.1/32 to 203.0.113.2/32?", "left out: 203.0.113.3/32: a write is not settled yet")
	s.press("y")
	expectAsked(t, s, "pin 203.0.113.1/32", "pin 203.0.113.2/32", "pin 203.0.113.3/32", "undo 203.0.113.1/32", "undo 203.0.113.2/32")
	s.expect("2 taken back, 1 not")
}

// TestUndoOpensAtOnce: the question is there before the engine has answered, so
// nothing opens by itself; what is cancelled stays so.
func TestUndoOpensAtOnce(t *testing.T) {
	s := newScreen(t, 120, 40)
	p := &planner{console: s.con, snap: lately()}
	s.m.cfg.Console = p
	s.show(lately())
	s.clock.advance(time.Second)
	s.m.Update(keyMsg("3"))
	s.frame()
	_, cmd := s.m.Update(keyMsg("U"))
	s.expect("looking what taking it back would do")
	s.clock.advance(10 * time.Second)
	s.send(keyMsg("y"))
	s.send(keyMsg("y"))
	expectAsked(t, s)
	answer := cmd()
	s.m.Update(answer)
	s.expect("the deny entries of 203.0.113.1/32 are removed")
	s.clock.advance(100 * time.Millisecond)
	s.send(keyMsg("y")) // too early
	expectAsked(t, s)
	s.press("esc")
	s.m.Update(answer)
	if s.m.dialog != nil {
		t.Errorf("a cancelled question opens again")
	}
}

// TestRecentIsBounded: of many decisions the last fifty are shown.
func TestRecentIsBounded(t *testing.T) {
	s := newScreen(t, 80, 24)
	snap := lately()
	for i := range 300 {
		snap.Log = append(snap.Log, engine.LogLine{ID: uint64(i + 10), At: t0.Add(time.Duration(i) * time.Second), Event: "denied", Text: fmt.Sprint("number ", i), Actor: "dave@soc", Block: blocklist.ID(fmt.Sprint("b", i))})
	}
	s.show(snap)
	s.press("z", "G")
	s.expect("number 250")
	s.expectNot("number 249")
	s.press("up", "pgup", "g")
	s.expect("number 299")
}
