package ui

import (
	"errors"
	"fmt"
	"testing"
	"time"

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
