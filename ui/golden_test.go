package ui

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall"
	"selfprotect/policy"
)

var update = flag.Bool("update", false, "write the golden frames anew")

// golden compares a frame with the one that was reviewed.
func golden(t *testing.T, name, got string) {
	t.Helper()
	lines := strings.Split(got, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	got = strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; look at it, then run with -update:\n%s", path, got)
	}
}

// TestGoldenFrames draws the states of the console at four sizes.
func TestGoldenFrames(t *testing.T) {
	states := map[string]func(s *screen){
		"loading": func(*screen) {},
		"empty": func(s *screen) {
			e := full()
			e.Alerts, e.Proposals, e.Blocks, e.Log = nil, nil, nil, nil
			e.ACLs[0].Entries = e.ACLs[0].Entries[3:]
			s.show(e)
		},
		"alerts":    func(s *screen) { s.show(full()) },
		"proposals": func(s *screen) { s.show(full()); s.press("2") },
		"blocks":    func(s *screen) { s.show(full()); s.press("3") },
		"log":       func(s *screen) { s.show(full()); s.press("4") },
		"failing": func(s *screen) {
			f := full()
			f.Sources[0].Err, f.Sources[0].LastOK = "alert API: check TS_API_KEY", t0.Add(-10*time.Minute)
			f.ACLs[0].Err, f.ACLs[0].ReadAt = "no AWS credentials: set AWS_PROFILE", time.Time{}
			f.ACLs[0].Entries, f.ACLs[0].Budgets = nil, nil
			f.Problems = []engine.Problem{{Severity: engine.Fault, Text: f.Sources[0].Err, Hint: "polling goes on"}, {Severity: engine.Fault, Text: f.ACLs[0].Err}}
			s.show(f)
		},
		"stale": func(s *screen) {
			s.show(full())
			s.clock.advance(4 * time.Minute)
			s.send(tickMsg{})
		},
		"masked": func(s *screen) { s.show(full()); s.press("M") },
		"copied": func(s *screen) { s.show(full()); s.press("C") },
		"problems": func(s *screen) {
			f := full()
			f.Problems = []engine.Problem{{Severity: engine.Fault, Text: "alert API: no answer", Hint: "polling goes on"}}
			s.show(f)
			s.clock.advance(2 * time.Minute)
			s.show(full())
			s.press("!")
		},
		"full-acl": func(s *screen) { s.show(crowded()) },
		"widening": func(s *screen) { s.show(widening()); s.press("2") },
		"pinned": func(s *screen) {
			f := crowded()
			f.Blocks[0].Pinned, f.Blocks[0].PinnedBy, f.Blocks[0].Score.Pinned = true, "bob@soc", true
			s.show(f)
			s.press("3")
		},
		"auto": func(s *screen) {
			f := full()
			f.Base = policy.Auto
			f.Sources[0].Watches[0].Mode = policy.Auto
			s.show(f)
		},
		"stopped": func(s *screen) {
			f := full()
			f.Stopped, f.Ceiling, f.CeilingWhy = true, policy.Review, "auto mode reached its limit of 20 blocks a minute"
			f.Problems = []engine.Problem{{Severity: engine.Fault, Text: "auto mode stopped itself: " + f.CeilingWhy, Hint: "look at the proposals, then set the mode again"}}
			s.show(f)
		},
		"hostile": func(s *screen) { s.show(hostile()) },
		"dialog":  func(s *screen) { s.show(full()); s.press("3", "u") },
		"mode":    func(s *screen) { s.show(full()); s.press("m", "a", "u") },
		"help":    func(s *screen) { s.show(full()); s.press("?") },
	}
	for name, set := range states {
		for _, size := range [][2]int{{45, 20}, {80, 24}, {120, 40}, {200, 60}} {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				s := newScreen(t, size[0], size[1])
				set(s)
				golden(t, fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), s.frame())
				// The words are the same in every theme: nothing is told by colour alone.
				for _, theme := range []string{"light", "mono", "safe", "ansi"} {
					other := newScreen(t, size[0], size[1], func(c *Config) { c.Theme = theme })
					set(other)
					if other.frame() != s.frame() {
						t.Errorf("%s reads otherwise in %s", name, theme)
					}
				}
			})
		}
	}
}

// TestThemes holds the colours of some frames in each theme.
func TestThemes(t *testing.T) {
	states := map[string]*engine.Snapshot{"": full(), "-hostile": hostile(), "-full": crowded()}
	auto := full()
	auto.Base, auto.Sources[0].Watches[0].Mode = policy.Auto, policy.Auto
	states["-auto"] = auto
	failing := full()
	failing.Sources[0].Err, failing.ACLs[0].ReadAt = "alert API: no answer", t0.Add(-10*time.Minute)
	failing.Problems = []engine.Problem{{Severity: engine.Fault, Text: "alert API: no answer", Hint: "polling goes on"}}
	states["-failing"] = failing
	for _, name := range []string{"dark", "light", "mono", "safe", "ansi"} {
		for state, snap := range states {
			s := newScreen(t, 80, 24, func(c *Config) { c.Theme, c.Production = name, []string{"no match"} })
			s.show(snap)
			golden(t, "theme-"+name+state, strings.ReplaceAll(s.m.View().Content, "\x1b", "␛"))
		}
		s := newScreen(t, 80, 24, func(c *Config) { c.Theme, c.Production = name, []string{"*"} })
		s.show(full())
		golden(t, "theme-"+name+"-production", strings.ReplaceAll(s.m.View().Content, "\x1b", "␛"))
	}
}

// crowded is an ACL without a free slot, with blocks that wait, drift and a deny
// that has no effect.
func crowded() *engine.Snapshot {
	s := full()
	a := s.ACLs[0]
	for i := 3; i < 17; i++ {
		a.Entries = append(a.Entries, view(i+1, true, fmt.Sprintf("203.0.113.%d/32", i+1), engine.Ours))
	}
	a.Entries[0].Effect = firewall.Effect{Kind: firewall.Shadowed, By: 1}
	a.Budgets[0].Ours, a.Budgets[0].Free = 17, 0
	a.Budgets[0].Wanted, a.Budgets[0].Kept, a.Budgets[0].Waiting, a.Budgets[0].CutOff = 25, 22, 3, 115
	wide := view(18, true, "203.0.113.64/29", engine.Ours)
	wide.Serves, wide.Innocent, wide.Weight = []blocklist.ID{"a", "b", "c", "d", "e"}, 3, 575
	a.Entries = append(a.Entries, wide)
	for i := range 3 {
		p := proposal(fmt.Sprintf("192.0.2.%d/32", i+1))
		a.Waiting = append(a.Waiting, engine.WaitingView{Block: p.ID, Prefix: p.Prefix, Direction: firewall.Egress, Weight: 110 - i, Missed: i, Next: i == 0, Why: "no slot: all 17 egress IPv4 slots are taken"})
	}
	a.Waiting = append(a.Waiting, engine.WaitingView{Prefix: netip.MustParsePrefix("192.0.2.99/32"), Weight: 100, Shadowed: true, Why: "not effective: allow 1 matches before any number of our range 1-99"})
	a.Drifted = []engine.DriftView{{Block: s.Blocks[1].ID, Prefix: s.Blocks[1].Prefix, Number: 2, Since: t0.Add(-time.Minute)}}
	s.Blocks[1].Presence[0].Status = "drifted"
	a.InFlight = 2
	return s
}

// widening is a full ACL with the proposal to widen an entry.
func widening() *engine.Snapshot {
	s := crowded()
	p := proposal("192.0.2.0/29")
	p.Cover, p.Weight, p.ID = true, 360, "widen:outbound:192.0.2.0/29@"+demoACL
	p.Score, p.RuleName = p.Block.Score(t0), ""
	p.Reasons = []string{"one entry would serve 3 blocks, 3 of which wait for a slot", "it would also deny 5 innocent addresses"}
	step := &p.Steps[0]
	step.Op, step.Number, step.Entry, step.Innocent, step.SlotsAfter = firewall.Replace, 9, p.Prefix, 5, 0
	step.Displaces = []netip.Prefix{netip.MustParsePrefix("203.0.113.9/32")}
	for i := range 3 {
		step.Admits = append(step.Admits, netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", i+1)))
	}
	s.Proposals = append([]*engine.Proposal{p}, s.Proposals...)
	return s
}

// hostile is a snapshot whose texts and ids were written by an attacker.
func hostile() *engine.Snapshot {
	bad := "\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\nAPPROVED \u202egnirts\u200b\u2028 \xff\xfe " + strings.Repeat("long ", 200)
	s := full()
	for _, a := range s.Alerts {
		a.Title, a.Host, a.Note = alert.Clean(bad), alert.Clean(bad), ""
		a.Sightings[0].Evidence[0].Command = alert.Clean(bad)
		a.Sightings[0].Reasons = []string{bad}
	}
	s.Alerts[0].ID = "id " + bad
	s.Proposals[0].Reasons = []string{bad}
	s.Log[0].Alert, s.Log[0].Actor = bad, string(alert.Clean(bad))
	s.Blocks[0].DecidedBy, s.Blocks[0].Why = bad, bad
	return s
}
