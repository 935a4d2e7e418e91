package ui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// asked gives the blocks that were decided on.
func (s *screen) asked() []string {
	var out []string
	for _, c := range s.con.calls {
		out = append(out, fmt.Sprintf("%s %s", c.d.Verb, netip32(c.id)))
	}
	return out
}

// netip32 gives the prefix of a block from its id.
func netip32(id blocklist.ID) string {
	var p string
	fmt.Sscanf(string(id), "outbound:%s", &p)
	for i := range p {
		if p[i] == '@' {
			return p[:i]
		}
	}
	return p
}

func expectAsked(t *testing.T, s *screen, want ...string) {
	t.Helper()
	if got := s.asked(); !slices.Equal(got, want) {
		t.Fatalf("asked for %q, want %q", got, want)
	}
}

func TestMarks(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2", "x", "down", "x")
	s.expect("2 marked", "■")
	s.press("g", "a") // the highlighted row is marked, and so is another
	s.expect("Approve 2: 198.51.100.1/32 to 198.51.100.3/32?", "deny 198.51.100.3/32  egress, entry 4, 12 slots left")
	s.press("n")
	expectAsked(t, s)
	s.expect("cancelled")
	s.press("a", "y")
	expectAsked(t, s, "approve 198.51.100.1/32", "approve 198.51.100.3/32")
	if e := s.con.calls[1].d.Effect; e != full().Proposals[2].Digest {
		t.Errorf("approved the effect %q", e)
	}
	s.expect("2 approved", "What was done")
	s.press("esc", "a") // the marks are used up
	expectAsked(t, s, "approve 198.51.100.1/32", "approve 198.51.100.3/32", "approve 198.51.100.1/32")
}

func TestRange(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2", "X")
	s.expect("mark the first row")
	s.press("down", "x", "down", "X") // the second to the fourth
	s.expect("3 marked")
	s.press("g", "down", "x") // not the second
	s.press("d", "y")
	expectAsked(t, s, "deny 198.51.100.3/32", "deny 198.51.100.4/32")
}

func TestMarkAlike(t *testing.T) {
	snap := full()
	snap.Proposals[1].RuleID, snap.Proposals[4].RuleID = "rule-2", "rule-2"
	snap.Proposals[2].Hosts, snap.Proposals[3].Hosts = []string{"agent-7", "agent-8"}, []string{"agent-8"}
	for keys, want := range map[string]int{"*a": 6, "*1": 4, "*s": 4, "jj*s": 2, "j*1": 2, "*a*n": 0, "*q": 0} {
		s := newScreen(t, 120, 40)
		s.show(snap)
		s.press("2")
		for _, k := range keys {
			s.press(string(k))
		}
		if n := s.m.marks[tabProposals].len(); n != want {
			t.Errorf("%s marks %d, want %d", keys, n, want)
		}
		if len(s.con.calls) > 0 {
			t.Errorf("%s decided", keys)
		}
	}
	// Only what is shown is marked.
	s := newScreen(t, 120, 40)
	s.show(snap)
	s.press("2", "/", "1", "0", "0", ".", "3", "enter", "*", "a")
	if n := s.m.marks[tabProposals].len(); n != 1 {
		t.Errorf("%d marked of one row shown", n)
	}
	s.press("esc")
	if n := s.m.marks[tabProposals].len(); n != 1 {
		t.Errorf("%d marked after the filter", n)
	}
	s.press("g", "*", "X") // cancels, marks nothing
	if n := s.m.marks[tabProposals].len(); n != 1 {
		t.Errorf("%d marked", n)
	}
}

// TestMarksVanish: a mark goes with its row, and does not come back with it.
func TestMarksVanish(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2", "x", "x")
	next := full()
	next.Proposals = next.Proposals[1:]
	s.show(next)
	s.show(full())
	s.press("a", "y")
	expectAsked(t, s, "approve 198.51.100.2/32")
}

// TestBulkLeavesOut: what has changed since it was drawn, what the decision does
// not fit and what is too wide is left out and named; what fails is listed.
func TestBulkLeavesOut(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := full()
	snap.Proposals[5] = proposal("192.0.0.0/20")
	snap.Proposals[5].Digest = "wide"
	s.show(snap)
	s.press("2", "*", "a", "p") // the view stands still
	next := full()
	next.Proposals[5] = snap.Proposals[5]
	next.Proposals[1].Digest = "another"
	next.Proposals[2].Blocked = "what is known is stale"
	s.show(next)
	s.press("a")
	s.expect("Approve 3: 198.51.100.1/32 to 198.51.100.5/32?", "left out: 198.51.100.2/32: row changed", "left out: 198.51.100.3/32: not now: what is known is stale", "left out: 192.0.0.0/20: so wide")
	third := full()
	third.Proposals[3].Digest = "another too" // while the question is open
	s.show(third)
	s.con.fail = map[string]error{"198.51.100.5/32": errors.New("already decided: approved by bob@soc")}
	s.press("y")
	expectAsked(t, s, "approve 198.51.100.1/32", "approve 198.51.100.5/32")
	s.expect("1 approved, 5 not", "not approved: already decided: approved by bob@soc", "left out: row changed, look again")
	s.press("j", "k")
	s.expect("What was done")
	s.press("q")
	s.expectNot("What was done")
}

// TestSeveralAddresses: an alert with several addresses that wait acts as one,
// after a question.
func TestSeveralAddresses(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := full()
	snap.Alerts[0].Sightings = append(snap.Alerts[0].Sightings, snap.Alerts[1].Sightings...)
	s.show(snap)
	s.press("a")
	s.expect("Approve 2: 198.51.100.1/32 to 198.51.100.2/32?")
	s.press("y")
	expectAsked(t, s, "approve 198.51.100.1/32", "approve 198.51.100.2/32")
}

// TestGroupActsAsOne: a row that stands for several is marked and decided whole.
func TestGroupActsAsOne(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2")
	ids := s.m.lists[tabProposals].ids
	s.m.lists[tabProposals].members = map[string][]string{ids[0]: {ids[0], ids[1], ids[2]}}
	s.m.lists[tabProposals].ids = append([]string{ids[0]}, ids[3:]...)
	s.send(tea.FocusMsg{})
	s.m.frame = ""
	s.frame()
	s.press("x")
	if n := s.m.marks[tabProposals].len(); n != 3 || !s.m.isMarked(ids[0]) {
		t.Fatalf("%d marked", n)
	}
	s.press("d", "y")
	expectAsked(t, s, "deny 198.51.100.1/32", "deny 198.51.100.2/32", "deny 198.51.100.3/32")
}

// TestReadOnlyDecidesNothing: the action is refused, not only its key hidden.
func TestReadOnlyDecidesNothing(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := full()
	snap.ReadOnly = true
	snap.Blocks[0].Before = &blocklist.Standing{State: blocklist.Pending}
	s.show(snap)
	s.press("2", "a", "d", "x", "x", "a", "d", "3", "u", "P", "U")
	expectAsked(t, s)
	if s.m.dialog != nil {
		t.Errorf("a question is open")
	}
	s.expect("read-only")
}

// TestWideIsTyped: what is shorter than /24 needs its CIDR typed.
func TestWideIsTyped(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := full()
	snap.Proposals = []*engine.Proposal{proposal("198.18.0.0/20"), proposal("198.51.100.0/24")}
	s.show(snap)
	s.press("2", "a", "y", "enter")
	s.expect("Approve 198.18.0.0/20? It is wide: 4096 addresses")
	expectAsked(t, s)
	s.send(tea.PasteMsg{Content: "198.18.0.0/20"})
	s.press("enter", "backspace")
	expectAsked(t, s)
	for _, r := range "198.18.0.0/20" {
		s.press(string(r))
	}
	s.press("enter")
	expectAsked(t, s, "approve 198.18.0.0/20")
	s.press("down", "a")
	expectAsked(t, s, "approve 198.18.0.0/20", "approve 198.51.100.0/24")
}

// TestOpenQuestionFreezesTheLists: what comes meanwhile is shown afterwards.
func TestOpenQuestionFreezesTheLists(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2", "*", "a", "d")
	next := full()
	next.Proposals = append([]*engine.Proposal{proposal("192.0.2.200/32")}, next.Proposals[1:]...)
	s.show(next)
	s.expectNot("192.0.2.200")
	s.press("esc")
	s.expect("192.0.2.200")
}

// TestConfirmIsNotTheOpeningKey: whatever key opened a question, another confirms.
func TestConfirmIsNotTheOpeningKey(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.m.pressed = "y"
	done := false
	s.m.ask("Do it?", nil, "do it", func(*Model) tea.Cmd { done = true; return nil })
	s.press("y")
	if done {
		t.Errorf("confirmed by the key that opened it")
	}
}

// TestDialogsAreWhole: at any size from the smallest up, the question, its keys
// and its border are on the screen, and its text can be scrolled to its end.
func TestDialogsAreWhole(t *testing.T) {
	long := proposal("2001:db8:1111:2222:3333:4444:5555:6666/128")
	for _, size := range [][2]int{{40, 10}, {41, 11}, {45, 20}, {60, 12}, {80, 24}, {200, 60}} {
		s := newScreen(t, size[0], size[1])
		snap := full()
		snap.Proposals = append([]*engine.Proposal{long}, snap.Proposals...)
		s.show(snap)
		s.press("2", "*", "a", "a")
		f := unwrapped(s.frame())
		for _, x := range []string{"Approve 7: 2001:db8:1111:2222:3333:4444:5555:6666/128 to 198.51.100.6/32?", "keys count in a moment"} {
			if !contains(f, x) {
				t.Errorf("%v: %q is not shown:\n%s", size, x, s.frame())
			}
		}
		for range 60 {
			s.press("down")
		}
		s.expect("y: approve 7 blocks")
		if f := s.frame(); !strings.Contains(f, "after") || strings.Contains(f, "pgdown") {
			t.Errorf("%v: the last item is not reached:\n%s", size, f)
		}
		s.press("y")
		if len(s.con.calls) != 7 {
			t.Errorf("%v: asked for %q", size, s.asked())
		}
	}
}
