package ui

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/policy"
)

func TestApproveWithOneKey(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2", "down", "a")
	want := full().Proposals[1]
	if len(s.con.calls) != 1 || s.con.calls[0].id != want.ID || s.con.calls[0].d.Verb != blocklist.Approve ||
		s.con.calls[0].d.Effect != want.Digest || s.con.calls[0].d.Actor != "alice@soc" {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	s.expect("approved 198.51.100.2/32")
}

func TestApproveFromTheAlert(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("a")
	if len(s.con.calls) != 1 || s.con.calls[0].id != full().Proposals[0].ID {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	s.press("G", "a") // the refused one has nothing to approve
	if len(s.con.calls) != 1 {
		t.Errorf("approved a refused address: %+v", s.con.calls)
	}
	s.expect("nothing to approve on this row")
}

// TestPin: P pins a block in force and takes the pin back, of what was shown.
func TestPin(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("3", "down", "P")
	want := full().Blocks[1]
	if len(s.con.calls) != 1 || s.con.calls[0].id != want.ID || s.con.calls[0].d.Verb != blocklist.Pin {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	pinned := full()
	pinned.Blocks[1].Pinned, pinned.Blocks[1].PinnedBy = true, "alice@soc"
	s.show(pinned)
	s.expect("pinned by alice@soc")
	s.press("P")
	if len(s.con.calls) != 2 || s.con.calls[1].d.Verb != blocklist.Unpin {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	s.press("2", "P")
	s.expect("nothing to pin on this row")
	grant := full()
	grant.Blocks[0].Cover = true
	s.show(grant)
	s.press("3", "g", "P")
	if len(s.con.calls) != 2 {
		t.Errorf("a grant to widen is pinned: %+v", s.con.calls)
	}
}

func TestErrorsAreShown(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.con.err = errors.New("already decided: approved by bob@soc")
	s.show(full())
	s.press("2", "d")
	s.expect("already decided: approved by bob@soc")
}

// TestRowChanged: what was decided on is not what was shown.
func TestRowChanged(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*engine.Snapshot)
		say  string
	}{
		{"another effect", func(s *engine.Snapshot) { s.Proposals[0].Digest = "another" }, "row changed"},
		{"decided by somebody else", func(s *engine.Snapshot) { s.Proposals = s.Proposals[1:] }, "row changed"},
		{"stale data", func(s *engine.Snapshot) { s.Proposals[0].Blocked = "what is known is stale" }, "not now"},
	} {
		s := newScreen(t, 120, 40)
		s.show(full())
		s.press("2", "p") // paused: the frame stays, the data moves on
		next := full()
		tc.edit(next)
		s.show(next)
		s.press("a")
		if len(s.con.calls) != 0 {
			t.Errorf("%s: asked for %+v", tc.name, s.con.calls)
		}
		s.expect(tc.say, "PAUSED")
	}
}

// TestNeighbourIsNotDecided: a row that came under the cursor by itself is not
// decided by a key that was on its way.
func TestNeighbourIsNotDecided(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2")
	next := full()
	next.Proposals = next.Proposals[1:]
	s.clock.advance(time.Second)
	s.show(next)
	s.clock.advance(100 * time.Millisecond)
	s.send(keyMsg("a"))
	if len(s.con.calls) != 0 {
		t.Fatalf("decided %+v", s.con.calls)
	}
	s.press("a")
	if len(s.con.calls) != 1 || s.con.calls[0].id != next.Proposals[0].ID {
		t.Errorf("asked for %+v", s.con.calls)
	}
}

func TestInsertsDoNotMoveTheRow(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2", "down", "down")
	before := strings.Split(s.frame(), "\n")
	next := full()
	next.Proposals = slices.Insert(next.Proposals, 0, proposal("192.0.2.77/32"))
	s.show(next)
	s.press("a")
	if s.con.calls[0].id != full().Proposals[2].ID {
		t.Errorf("decided %s", s.con.calls[0].id)
	}
	_ = before
}

func TestDialogs(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := full()
	snap.ACLs[0].Drifted = []engine.DriftView{{Block: snap.Blocks[0].ID, Prefix: snap.Blocks[0].Prefix, Number: 1, Since: t0}}
	s.show(snap)
	s.press("3", "r")
	s.expect("Write 203.0.113.1/32 back?")
	for range 2 { // keys that were meant for something else
		s.clock.advance(100 * time.Millisecond)
		s.send(keyMsg("y"))
	}
	if len(s.con.calls) != 0 {
		t.Fatalf("a key that came too early confirmed")
	}
	s.press("n")
	s.expectNot("Write 203.0.113.1/32 back?")
	if len(s.con.calls) != 0 {
		t.Fatalf("another key confirmed")
	}
	s.press("r", "y")
	if len(s.con.calls) != 1 || s.con.calls[0].d.Verb != blocklist.Restore {
		t.Errorf("asked for %+v", s.con.calls)
	}
	// It listens after 1.5 s at most, however busy the keyboard is.
	s.press("r")
	for range 20 {
		s.clock.advance(100 * time.Millisecond)
		s.send(keyMsg("n"))
	}
	s.expectNot("Write 203")
}

// TestReasons: an unblock, and the denial of what a high alert named, need a
// reason; it is cleaned, bounded and written with the decision.
func TestReasons(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := full()
	snap.Proposals[0].Severity = 1
	s.show(snap)
	s.press("3", "u")
	s.expect("Unblock 203.0.113.1/32?")
	s.press("enter")
	s.expect("a reason is needed")
	if len(s.con.calls) != 0 {
		t.Fatalf("unblocked without a reason")
	}
	s.press("o", "k", "a", "y")
	s.send(tea.PasteMsg{Content: "\x1b]0;owned\x07 see\nticket" + strings.Repeat("x", 400)})
	s.press("enter")
	if len(s.con.calls) != 1 || s.con.calls[0].d.Verb != blocklist.Revoke {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	if r := s.con.calls[0].d.Reason; !strings.HasPrefix(r, "okay") || len([]rune(r)) > maxReason || strings.ContainsAny(r, "\x1b\x07\n") {
		t.Errorf("the reason is %q", r)
	}
	s.press("2", "d")
	s.expect("Deny 198.51.100.1/32?", "high severity")
	s.press("n", "o", "enter")
	if len(s.con.calls) != 2 || s.con.calls[1].d.Reason != "no" {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	s.press("down", "d") // the next is not of high severity
	if len(s.con.calls) != 3 || s.con.calls[2].id != snap.Proposals[1].ID {
		t.Errorf("asked for %+v", s.con.calls)
	}
}

func TestMode(t *testing.T) {
	for keys, want := range map[string]policy.Mode{"o": policy.Observe, "r": policy.Review, "a u t o enter": policy.Auto, "a enter": 0, "a u t enter": 0, "x enter": 0, "a esc": 0} {
		s := newScreen(t, 120, 40)
		s.show(full())
		s.press("m")
		s.press(strings.Fields(keys)...)
		got := policy.Mode(0)
		if len(s.con.calls) > 0 {
			got = s.con.calls[0].mode
		}
		if got != want || s.m.dialog != nil {
			t.Errorf("%q sets %v, want %v", keys, got, want)
		}
	}
}

func TestPasteDecidesNothing(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2")
	s.send(tea.PasteMsg{Content: "aaaadddy\n"})
	s.press("3", "u", "w", "h", "y")
	s.send(tea.PasteMsg{Content: "y\n\r"})
	s.press("esc", "m")
	s.send(tea.PasteMsg{Content: "auto\n"})
	s.press("enter")
	if len(s.con.calls) != 0 {
		t.Errorf("a paste decided %+v", s.con.calls)
	}
}

func TestFilter(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2", "/", "1", "0", "0", ".", "3", "enter")
	s.expect("198.51.100.3/32")
	s.press("a")
	if len(s.con.calls) != 1 || s.con.calls[0].id != full().Proposals[2].ID {
		t.Errorf("asked for %+v", s.con.calls)
	}
	s.press("esc")
	s.expect("198.51.100.6/32")
}

// TestProgram runs the real program: a key approves, and the end of the context
// ends it.
func TestProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		updates := make(chan *engine.Snapshot, 1)
		updates <- full()
		con := &console{}
		var out bytes.Buffer
		done := make(chan error, 1)
		m := New(Config{Updates: updates, Console: con, Actor: "alice@soc", Theme: "dark"})
		p := tea.NewProgram(m, tea.WithInput(nil), tea.WithOutput(&out), tea.WithColorProfile(colorprofile.TrueColor), tea.WithWindowSize(120, 40), tea.WithoutSignalHandler())
		go func() { _, err := p.Run(); done <- err }()
		stop := context.AfterFunc(ctx, p.Quit)
		defer stop()
		time.Sleep(2 * time.Second)
		p.Send(keyMsg("2"))
		time.Sleep(time.Second)
		p.Send(keyMsg("a"))
		time.Sleep(time.Second)
		synctest.Wait()
		if len(con.calls) != 1 || con.calls[0].id != full().Proposals[0].ID {
			t.Errorf("asked for %+v", con.calls)
		}
		close(updates)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		time.Sleep(2 * time.Second)
		if !strings.Contains(out.String(), "198.51.100.1/32") {
			t.Errorf("nothing was drawn")
		}
	})
}
