package ui

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// shelved is a snapshot with an archived and an escalated alert; the last of the
// list, which the guard refused, is not archived.
func shelved() *engine.Snapshot {
	s := full()
	s.Alerts[6].Archive = &blocklist.Archive{At: t0.Add(-time.Hour), Actor: "bob@soc", Reason: "a scan of ours"}
	s.Alerts[7].Archive = &blocklist.Archive{At: t0.Add(-2 * time.Hour), Actor: "carol@soc", Reason: "ticket 4711", Escalated: true}
	return s
}

// filed gives what was asked of alerts.
func (s *screen) filed() []string {
	var out []string
	for _, c := range s.con.calls {
		for _, f := range c.filings {
			switch {
			case c.archive == nil:
				out = append(out, "unarchive "+f.Alert)
			case c.archive.Escalated:
				out = append(out, "escalate "+f.Alert+": "+c.archive.Reason)
			default:
				out = append(out, "archive "+f.Alert)
			}
		}
	}
	return out
}

func expectFiled(t *testing.T, s *screen, want ...string) {
	t.Helper()
	if got := s.filed(); !slices.Equal(got, want) {
		t.Fatalf("asked for %q, want %q", got, want)
	}
}

// TestArchiveOne: e archives the highlighted alert as it was shown, unless one of its
// addresses waits; on an archived one it brings it back.
func TestArchiveOne(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(shelved())
	s.press("e")
	s.expect("one of its addresses waits, decide first")
	s.press("E")
	s.expect("one of its addresses waits, decide first")
	expectFiled(t, s)
	s.press("G", "e")
	expectFiled(t, s, "archive alert-10.1.2.3/32")
	if c := s.con.calls[0]; c.filings[0].Shown != full().Alerts[9].Extent() || c.archive.Actor != "alice@soc" {
		t.Errorf("asked for %+v", c)
	}
	s.expect("archived 10.1.2.3")
	s.press("2", "e")
	s.expect("nothing to archive on this row")
	s.press("1", "/")
	for _, r := range "state:archived" {
		s.press(string(r))
	}
	s.press("enter", "e")
	expectFiled(t, s, "archive alert-10.1.2.3/32", "unarchive alert-203.0.113.1/32")
	s.press("down", "e")
	expectFiled(t, s, "archive alert-10.1.2.3/32", "unarchive alert-203.0.113.1/32", "unarchive alert-203.0.113.2/32")
}

// TestArchivedLeaveTheList: they are counted apart, shown by the filter with who and
// why, and listed again when an address of theirs waits for a decision.
func TestArchivedLeaveTheList(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(shelved())
	s.expect("Alerts 8", "2 archived", "→ 203.0.113.3")
	s.expectNot("→ 203.0.113.1")
	s.expectNot("→ 203.0.113.2")
	s.press("/")
	for _, r := range "state:escalated" {
		s.press(string(r))
	}
	s.press("enter")
	s.expect("→ 203.0.113.2", "escalated", "escalated and archived by carol@soc 2h ago: ticket 4711")
	s.expectNot("→ 203.0.113.1 ")
	s.press("/", "ctrl+u")
	for _, r := range "state:archived" {
		s.press(string(r))
	}
	s.press("enter")
	s.expect("→ 203.0.113.1", "→ 203.0.113.2", "archived by bob@soc 1h ago: a scan of ours")
	s.press("esc")
	again := shelved()
	p := proposal("203.0.113.1/32")
	again.Proposals = append(again.Proposals, p)
	again.Alerts[6].Sightings[0].Block = p.ID
	s.show(again)
	s.expect("Alerts 9", "1 archived", "→ 203.0.113.1")
}

// TestArchiveSeveral: marks of alerts are archived together, what waits is left out
// and named, what fails is named, and U brings back what was done.
func TestArchiveSeveral(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(shelved())
	s.con.fail = map[string]error{"alert-10.1.2.3/32": fmt.Errorf("alert alert-10.1.2.3/32: %w", blocklist.ErrGrown)}
	s.press("*", "a", "e")
	s.expect("Archive 2: 203.0.113.3 to 10.1.2.3?", "203.0.113.3, Network: Outbound Connection", "left out: 198.51.100.1")
	s.press("up")
	s.expect("archive 2 alerts")
	s.press("y")
	expectFiled(t, s, "archive alert-203.0.113.3/32", "archive alert-10.1.2.3/32")
	s.expect("1 archived, 7 not", "it has grown since it was shown", "one of its addresses waits")
	next := shelved()
	next.Alerts[8].Archive = &blocklist.Archive{At: t0, Actor: "alice@soc"}
	s.show(next)
	s.press("U")
	s.expect("Unarchive 203.0.113.3?")
	s.press("y")
	expectFiled(t, s, "archive alert-203.0.113.3/32", "archive alert-10.1.2.3/32", "unarchive alert-203.0.113.3/32")
}

// TestEscalate: E needs a reason, on one and on several.
func TestEscalate(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(shelved())
	s.press("G", "E")
	s.expect("Escalate 10.1.2.3?")
	s.press("enter")
	expectFiled(t, s)
	s.press("t", "4", "2", "enter")
	expectFiled(t, s, "escalate alert-10.1.2.3/32: t42")
	s.expect("escalated 10.1.2.3")
	s.con.calls = nil
	s.press("x", "up", "x", "E", "o", "u", "r", "s", "enter")
	expectFiled(t, s, "escalate alert-203.0.113.3/32: ours", "escalate alert-10.1.2.3/32: ours")
}

// TestArchiveActsOnWhatWasShown: an alert that grew behind a frozen frame, or was
// archived by somebody else, is not archived; nor is a neighbour that came under the
// cursor by itself.
func TestArchiveActsOnWhatWasShown(t *testing.T) {
	for name, edit := range map[string]func(a *engine.AlertRow){
		"more events": func(a *engine.AlertRow) { a.Events++ },
		"another address": func(a *engine.AlertRow) {
			a.Sightings = append(a.Sightings, shelved().Alerts[8].Sightings...)
		},
		"archived elsewhere": func(a *engine.AlertRow) { a.Archive = shelved().Alerts[6].Archive },
	} {
		for _, keys := range [][]string{{"e"}, {"E", "o", "u", "r", "s", "enter"}} {
			s := newScreen(t, 120, 40)
			s.show(shelved())
			s.press("G", "p")
			next := shelved()
			edit(next.Alerts[9])
			s.show(next)
			s.press(keys...)
			if got := s.filed(); len(got) != 0 && (name != "archived elsewhere" || keys[0] != "E") {
				t.Errorf("%s: %v: asked for %v", name, keys, got)
			}
		}
	}
	s := newScreen(t, 120, 40)
	s.show(shelved())
	s.press("G", "up")
	next := shelved()
	next.Alerts = slices.Delete(next.Alerts, 8, 9)
	s.show(next)
	s.clock.advance(100 * time.Millisecond)
	s.send(keyMsg("e"))
	expectFiled(t, s)
	s.expect("look again")
}

// TestArchiveIsRefused: what the engine refuses is said, and a console without an
// archive or that is read-only says so.
func TestArchiveIsRefused(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(shelved())
	s.con.err = errors.New("the journal fails")
	s.press("G", "e")
	s.expect("the journal fails")
	s.con.err = nil
	s.m.cfg.Console = struct{ engine.Console }{s.con}
	s.press("e")
	s.expect("this console cannot archive alerts")
	only := shelved()
	only.ReadOnly = true
	s.show(only)
	s.press("e")
	s.expect("read-only")
	if len(s.con.calls) != 1 {
		t.Errorf("asked for %v", s.filed())
	}
}
