package ui

import (
	"errors"
	"fmt"
	"testing"

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
