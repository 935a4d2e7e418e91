package ui

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// TestGoldenTriage draws what a person meets while deciding, at four sizes.
func TestGoldenTriage(t *testing.T) {
	states := map[string]func(s *screen){
		"marked": func(s *screen) { s.show(full()); s.press("2", "x", "down", "x") },
		"bulk":   func(s *screen) { s.show(mixed()); s.press("2", "*", "a", "a"); s.press("up") },
		"bulk-done": func(s *screen) {
			s.show(mixed())
			s.con.fail = map[string]error{"198.51.100.3/32": errors.New("already decided: approved by bob@soc")}
			s.press("2", "*", "a", "a", "y")
		},
		"wide": func(s *screen) {
			f := full()
			f.Proposals[0] = proposal("198.18.0.0/20")
			s.show(f)
			s.press("2", "a", "1", "9", "8")
		},
		"reason": func(s *screen) {
			f := full()
			f.Proposals[0].Severity = 1
			s.show(f)
			s.press("2", "d", "o", "u", "r", "s")
		},
		"recent": func(s *screen) {
			s.m.cfg.Console = &planner{console: s.con, snap: lately()}
			s.show(lately())
			s.press("z", "down", "enter", "y")
			next := undone(0, false)
			next.ACLs[0].ReadAt = t0.Add(11 * time.Second)
			next.Log = append(next.Log, engine.LogLine{ID: 5, At: t0.Add(2 * time.Second), Event: "undone", Text: "the last decision about 203.0.113.1/32 is taken back by alice@soc: it is proposed again", Actor: "alice@soc", Reason: "taken back in the console", Block: lately().Blocks[0].ID})
			s.show(next)
			s.press("g")
		},
		"snooze": func(s *screen) { s.show(full()); s.press("2", "s") },
		"snoozed": func(s *screen) {
			s.show(napping())
			s.press("2", "/", "s", "t", "a", "t", "e", ":", "s", "n", "o", "o", "z", "e", "d", "enter")
		},
		"archived": func(s *screen) {
			s.show(shelved())
			s.press("/", "s", "t", "a", "t", "e", ":", "a", "r", "c", "h", "i", "v", "e", "d", "enter")
		},
		"escalate": func(s *screen) { s.show(shelved()); s.press("G", "E", "t", "i", "c", "k", "e", "t") },
		"allow":    func(s *screen) { s.show(full()); s.press("3", "A") },
		"allowed": func(s *screen) {
			f := full()
			f.Allowances = []blocklist.Allowance{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Actor: "bob@soc", Reason: "partner", At: t0.Add(-time.Hour)},
				{Prefix: netip.MustParsePrefix("198.51.100.0/28"), Actor: "carol@soc", Reason: "scan of ours, ticket 4711", At: t0, Expires: t0.Add(5 * time.Hour)}}
			s.show(f)
			s.press("N", "down")
		},
		"menu":  func(s *screen) { s.show(serving()); s.press("3", ".", "down") },
		"page":  func(s *screen) { s.show(serving()); s.press("enter") },
		"entry": func(s *screen) { s.show(serving()); s.press("tab", "down") },
	}
	for name, set := range states {
		for _, size := range [][2]int{{45, 20}, {80, 24}, {120, 40}, {200, 60}} {
			name := fmt.Sprintf("triage-%s-%dx%d", name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				s := newScreen(t, size[0], size[1])
				set(s)
				golden(t, name, s.frame())
			})
		}
	}
}

// mixed is a snapshot whose proposals differ: one is wide, one cannot be approved
// now, one would take a slot from another.
func mixed() *engine.Snapshot {
	s := full()
	s.Proposals[1] = proposal("192.0.0.0/20")
	s.Proposals[3].Blocked = "what is known of " + demoACL + " is stale: it was last read 4m0s ago"
	s.Proposals[4].Steps[0].Displaces = append(s.Proposals[4].Steps[0].Displaces, s.Blocks[0].Prefix)
	s.Proposals[4].Steps[0].SlotsAfter = 0
	return s
}
