package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/alert"
	"selfprotect/engine"
	"selfprotect/policy"
)

// TestHeaderAtEveryWidth holds that the mode stands in the header at every width,
// and account, region and ages wherever they fit, whole.
func TestHeaderAtEveryWidth(t *testing.T) {
	modes := map[string]func(*engine.Snapshot){
		"REVIEW":                func(*engine.Snapshot) {},
		"AUTO":                  func(s *engine.Snapshot) { s.Base, s.Sources[0].Watches[0].Mode = policy.Auto, policy.Auto },
		"AUTO STOPPED → REVIEW": func(s *engine.Snapshot) { s.Stopped = true },
		"READ-ONLY":             func(s *engine.Snapshot) { s.ReadOnly = true },
	}
	for word, edit := range modes {
		for w := tooSmallW; w <= 220; w++ {
			for _, h := range []int{12, 30} {
				s := newScreen(t, w, h, func(c *Config) { c.Production = []string{"1234*"} })
				snap := full()
				edit(snap)
				s.show(snap)
				top := strings.Join(strings.Split(s.frame(), "\n")[:3], "\n")
				want := []string{"selfprotect", " " + word + " "}
				if h == 30 || w >= 80 {
					want = append(want, "alerts 3s", "ACL 2s")
				}
				if w >= 120 || w < 80 && h == 30 {
					want = append(want, "123456789012")
				}
				if w >= 120 || w < 80 && w > 42 && h == 30 {
					want = append(want, "us-east-1")
				}
				if w >= 45 && word != "AUTO STOPPED → REVIEW" {
					want = append(want, "PRODUCTION")
				}
				for _, x := range want {
					if !strings.Contains(top, x) {
						t.Errorf("%dx%d, %s: %q is missing:\n%s", w, h, word, x, top)
					}
				}
			}
		}
	}
}

func TestProduction(t *testing.T) {
	for pattern, want := range map[string]bool{"prod*": true, "123456789012": true, "web": true, demoACL: true, "staging*": false, "*": true} {
		s := newScreen(t, 120, 40, func(c *Config) { c.Production, c.Profiles = []string{pattern}, []string{"prod-eu"} })
		s.show(full())
		if got := strings.Contains(s.frame(), "PRODUCTION"); got != want {
			t.Errorf("%s: %v", pattern, got)
		}
	}
}

// TestStaleIsSaid: data that has become old is called stale, and nothing is
// approved on it, also when the engine sends nothing any more.
func TestStaleIsSaid(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.clock.advance(engine.DefaultStale + time.Minute)
	s.send(tickMsg{})
	s.expect("alerts STALE 3m", "ACL STALE 3m")
	s.press("2", "a")
	if len(s.con.calls) != 0 {
		t.Fatalf("approved on stale data: %+v", s.con.calls)
	}
	s.expect("not now: what is known of " + demoACL + " is stale")
}

// TestReadOnlySaysWhy: no key of a read-only console asks anything of the
// engine, and each says why.
func TestReadOnlySaysWhy(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := full()
	snap.ReadOnly = true
	s.show(snap)
	s.expect(" READ-ONLY ")
	for _, tab := range []string{"1", "2", "3"} {
		for _, b := range decideKeys() {
			s.press(tab, b.keys[0])
			s.expect(b.keys[0] + ": this console is read-only")
		}
	}
	if len(s.con.calls) != 0 || s.m.dialog != nil {
		t.Errorf("asked for %+v", s.con.calls)
	}
	s.expectNot("approve ", "unblock ")
	s.press("?")
	s.expect("not in a read-only console: approve")
}

// raw gives what a command writes to the terminal beside the frame.
func raw(cmd tea.Cmd) string {
	if cmd == nil {
		return ""
	}
	if msg, ok := cmd().(tea.RawMsg); ok {
		return fmt.Sprint(msg.Msg)
	}
	return ""
}

// attentive gives a screen that notifies, with what it rings.
func attentive(t *testing.T, n Notify) (*screen, func() string) {
	s := newScreen(t, 120, 40, func(c *Config) { c.Notify = n })
	s.show(full())
	return s, func() string { return raw(s.m.ring()) }
}

func TestRingsOnlyWhenNobodyLooks(t *testing.T) {
	s, ring := attentive(t, Notify{Bell: true, OSC: true})
	more := full()
	more.Proposals = append(more.Proposals, proposal("192.0.2.9/32"))
	s.m.live = more
	s.send(tea.FocusMsg{})
	if got := ring(); got != "" {
		t.Errorf("rings while somebody looks: %q", got)
	}
	s.send(tea.BlurMsg{})
	if got := ring(); got != "" {
		t.Errorf("rings for what was seen: %q", got)
	}
	again := full()
	again.Proposals = append(more.Proposals, proposal("192.0.2.10/32"))
	s.m.live = again
	if got, want := ring(), "\x1b]9;1 proposal waits for you: 192.0.2.10/32\x07\a"; got != want {
		t.Errorf("rings %q, want %q", got, want)
	}
	// At most one in ringPause; what came meanwhile is told with the next.
	for i := range 5 {
		next := full()
		next.Proposals = append(again.Proposals, proposal(fmt.Sprintf("192.0.2.%d/32", 20+i)))
		again = next
		s.m.live = next
		if got := ring(); got != "" {
			t.Errorf("rings again at once: %q", got)
		}
	}
	s.clock.advance(ringPause)
	s.m.now = s.clock.now()
	if got := ring(); !strings.Contains(got, "5 proposals wait for you: 192.0.2.20/32") {
		t.Errorf("rings %q", got)
	}
}

// TestWhatRings: high severity, a stop of auto mode and stale data ring; a
// terminal that says nothing of its focus counts as left after a minute.
func TestWhatRings(t *testing.T) {
	for name, x := range map[string]struct {
		edit func(*engine.Snapshot)
		want string
	}{
		"high": {func(s *engine.Snapshot) {
			a := alertRow("192.0.2.1/32", "\x1b]0;x")
			a.Severity, a.SeenAt = 1, t0.Add(time.Minute)
			s.Alerts = append([]*engine.AlertRow{a}, s.Alerts...)
		}, "1 alert of high severity: 192.0.2.1"},
		"stopped": {func(s *engine.Snapshot) { s.Stopped = true }, "auto mode stopped itself"},
		"one ACL": {func(s *engine.Snapshot) { s.StoppedFor = []string{demoACL} }, "auto mode stopped itself"},
		"stale":   {func(s *engine.Snapshot) { s.Sources[0].Err = "owned\a" }, "the alerts are stale"},
	} {
		s, ring := attentive(t, Notify{OSC: true})
		s.send(keyMsg("j"))
		next := full()
		next.Sources[0].NextPoll, next.ACLs[0].ReadAt = t0.Add(time.Hour), t0.Add(time.Hour)
		s.m.live = next
		s.clock.advance(30 * time.Second)
		s.m.now = s.clock.now()
		if got := ring(); got != "" {
			t.Errorf("%s: rings %q", name, got)
		}
		s.clock.advance(31 * time.Second)
		s.m.now = s.clock.now()
		edited := *next
		edited.Sources = []engine.SourceStatus{next.Sources[0]}
		x.edit(&edited)
		s.m.live = &edited
		if got, want := ring(), "\x1b]9;"+x.want+"\x07"; got != want {
			t.Errorf("%s: rings %q, want %q", name, got, want)
		}
	}
}

func TestNotifySequences(t *testing.T) {
	env := func(kv map[string]string) func(string) string { return func(k string) string { return kv[k] } }
	for _, x := range []struct {
		setting string
		env     map[string]string
		want    string
	}{
		{"auto", map[string]string{"TERM": "xterm-256color"}, "\x1b]9;a;b\x07\a"},
		{"auto", map[string]string{"TERM": "tmux-256color", "TMUX": "/tmp/x"}, "\x1bPtmux;\x1b\x1b]9;a;b\x07\x1b\\\a"},
		{"osc", map[string]string{"TERM": "xterm-256color", "VTE_VERSION": "7600"}, "\x1b]777;notify;selfprotect;a,b\x07"},
		{"bell", map[string]string{"TERM": "xterm-256color"}, "\a"},
		{"auto", map[string]string{"TERM": "linux"}, "\a"},
		{"off", map[string]string{"TERM": "xterm-256color"}, ""},
	} {
		if got := NewNotify(x.setting, env(x.env)).sequence("a;b"); got != x.want {
			t.Errorf("%s %v: %q, want %q", x.setting, x.env, got, x.want)
		}
	}
}

func TestProgramStatus(t *testing.T) {
	for name, x := range map[string]struct {
		edit func(*engine.Snapshot)
		want tea.ProgramState
	}{
		"waits for a person": {func(*engine.Snapshot) {}, tea.ProgramStateBlocked},
		"nothing to do":      {func(s *engine.Snapshot) { s.Proposals = nil }, tea.ProgramStateIdle},
		"writing":            {func(s *engine.Snapshot) { s.Proposals, s.ACLs[0].InFlight = nil, 1 }, tea.ProgramStateWorking},
		"failing": {func(s *engine.Snapshot) {
			s.Proposals, s.Problems = nil, []engine.Problem{{Severity: engine.Fault, Text: "x"}}
		}, tea.ProgramStateError},
	} {
		s := newScreen(t, 120, 40)
		snap := full()
		x.edit(snap)
		s.show(snap)
		if got := s.m.View().ProgramStatus; got == nil || got.State != x.want {
			t.Errorf("%s: %+v", name, got)
		}
		s.send(leaveMsg{})
		if got := s.m.View().ProgramStatus; got == nil || got.State != tea.ProgramStateIdle {
			t.Errorf("%s: leaves %+v behind", name, got)
		}
	}
}

// TestSessionLog: what was wrong and is right again stays findable, once, with
// its times; numbers that change make no new line.
func TestSessionLog(t *testing.T) {
	s := newScreen(t, 120, 40)
	for i := range 10 {
		snap := full()
		if i > 1 && i < 8 {
			snap.Problems = []engine.Problem{{Severity: engine.Warning, Text: fmt.Sprintf("%d entries were removed", i)}, {Severity: engine.Fault, Text: "the key is wrong", Hint: "look at it"}}
		}
		s.clock.advance(time.Minute)
		s.show(snap)
	}
	s.press("!")
	s.expect("nothing is wrong now", "earlier in this session", "7 entries were removed", "the key is wrong", "03:03:00, for 6m")
	if n := strings.Count(s.frame(), "entries were removed"); n != 1 {
		t.Errorf("%d lines", n)
	}
	s.press("/", "k", "e", "y", "enter")
	s.expect("the key is wrong", "look at it")
	s.expectNot("entries were removed")
	s.press("esc")
	s.expect("entries were removed")
	for i := range 3 * pastKept {
		s.m.past.add(fmt.Sprint("failure ", i), t0)
	}
	if n := len(s.m.past.list); n != pastKept {
		t.Errorf("%d kept", n)
	}
}

// TestMask holds that no internal address and no host name is on any page or in
// any copy while the mask is on, and that decisions are the same.
func TestMask(t *testing.T) {
	secret := []string{"10.1.1.5", "10.1.2.3", "web-1", "agent-1", "db-primary", "192.168.7.7", "ip-10-1-1-5", "fd12:"}
	snap := full()
	a := snap.Alerts[0]
	a.Title = "connection of web-1 (ip-10-1-1-5.ec2.internal) from 192.168.7.7 and fd12:3456::1"
	a.Sightings[0].Evidence[0].Host, a.Sightings[0].Evidence[0].Command = "db-primary", "curl --interface 10.1.1.5 db-primary"
	snap.Proposals[0].Reasons = append(snap.Proposals[0].Reasons, "seen on db-primary")
	snap.Problems = []engine.Problem{{Severity: engine.Warning, Text: "10.1.1.5 is odd"}}
	snap.Log[0].Text += " for web-1"
	s := newScreen(t, 200, 60)
	s.show(snap)
	s.expect("10.1.2.3", "web-1")
	s.press("M")
	s.expect(" MASKED ", "10.x.x.x", "host-1")
	for _, keys := range [][]string{{"1"}, {"1", "G"}, {"2"}, {"3"}, {"4"}, {"!"}, {"esc", "?"}, {"esc", "1", "g", "C"}, {"esc", "2", "C"}, {"esc", "1", "G", "C"}} {
		s.press(keys...)
		frame := strings.ReplaceAll(s.frame()+strings.Join(s.m.copied, "\n"), "alert-10.1.2.3/32", "") // an id, a UUID in real life
		for _, x := range secret {
			if strings.Contains(frame, x) {
				t.Errorf("after %v: %q is shown:\n%s", keys, x, frame)
			}
		}
	}
	s.press("esc", "2", "a")
	if len(s.con.calls) != 1 || s.con.calls[0].d.Effect != full().Proposals[0].Digest {
		t.Errorf("asked for %+v", s.con.calls)
	}
	s.press("M", "1")
	s.expectNot("MASKED")
	s.expect("web-1")
	if snap.Alerts[0].Host != "web-1" {
		t.Error("the snapshot of the engine was changed")
	}
}

func TestCopy(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("c")
	s.expect("sent to the clipboard: 198.51.100.1/32")
	s.press("C")
	s.expect("Sent to the clipboard", "## 198.51.100.1/32 outbound", "would create entry 4", "`/usr/bin/curl`")
	got := s.m.evidenceMarkdown()
	for _, l := range strings.Split(got, "\n") {
		if n := strings.Count(l, "|"); n > 0 && n != 11 {
			t.Errorf("%d bars in %q", n, l)
		}
	}
}

// TestCopyOfHostileText: what an attacker wrote stays inside spans of code, holds
// no control character, and cannot make the copy grow without bound.
func TestCopyOfHostileText(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := hostile()
	for _, a := range snap.Alerts {
		a.Title = alert.Clean("`) | [x](http://evil.example) `\n# APPROVED")
		for range 2000 {
			a.Sightings[0].Evidence = append(a.Sightings[0].Evidence, a.Sightings[0].Evidence[0])
		}
	}
	s.show(snap)
	s.press("2", "down")
	text := shorten(s.m.evidenceMarkdown(), copyLimit)
	if len(text) > copyLimit || !strings.Contains(text, "lines more") {
		t.Errorf("%d bytes", len(text))
	}
	for _, r := range text {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x202e {
			t.Fatalf("%U is copied", r)
		}
	}
	for _, l := range strings.Split(text, "\n") {
		if strings.Contains(l, "APPROVED") && strings.Count(l, "`")%2 != 0 || strings.HasPrefix(l, "# ") {
			t.Errorf("a text breaks out: %q", l)
		}
	}
}

func TestSparkline(t *testing.T) {
	s := newScreen(t, 200, 40)
	snap := full()
	for h := range 24 {
		for range h {
			a := *snap.Alerts[0]
			a.ID, a.CreatedAt = fmt.Sprint(h, len(snap.Alerts)), t0.Add(-time.Duration(23-h)*time.Hour-30*time.Minute)
			snap.Alerts = append(snap.Alerts, &a)
		}
	}
	old := *snap.Alerts[0]
	old.ID, old.CreatedAt = "old", t0.Add(-25*time.Hour)
	snap.Alerts = append(snap.Alerts, &old)
	s.show(snap)
	s.expect(fmt.Sprintf(" %d  blocks", len(snap.Alerts)-1), "█ 3 ")
	var counts [dayHours]int
	for i := range counts {
		counts[i] = i
	}
	if got, n := s.m.sparkline(counts, dayHours); got != "▁▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▆▇▇▇▇██" || n != 276 {
		t.Errorf("%s %d", got, n)
	}
	if got, _ := s.m.sparkline([dayHours]int{}, 12); got != "▁▁▁▁▁▁▁▁▁▁▁▁" {
		t.Errorf("%q", got)
	}
}

// TestMouse: the wheel scrolls when it was asked for; no click ever acts.
func TestMouse(t *testing.T) {
	s := newScreen(t, 120, 40, func(c *Config) { c.Mouse = "wheel" })
	s.show(full())
	s.press("2")
	if s.m.View().MouseMode != tea.MouseModeCellMotion {
		t.Error("the wheel is not asked for")
	}
	before := s.m.list().cursor
	s.send(tea.MouseClickMsg{X: 5, Y: 8, Button: tea.MouseLeft})
	s.send(tea.MouseReleaseMsg{X: 5, Y: 8, Button: tea.MouseLeft})
	if s.m.list().cursor != before || len(s.con.calls) != 0 {
		t.Error("a click acts")
	}
	s.send(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	if s.m.list().cursor == before {
		t.Error("the wheel does not scroll")
	}
	off := newScreen(t, 120, 40)
	off.show(full())
	if off.m.View().MouseMode != tea.MouseModeNone {
		t.Error("the mouse is taken without being asked for")
	}
}

func TestSuspend(t *testing.T) {
	alone := newScreen(t, 120, 40)
	alone.show(full())
	if _, cmd := alone.m.Update(tea.KeyPressMsg{Code: 'z', Mod: tea.ModCtrl}); cmd != nil {
		t.Error("suspended without a shell to come back from")
	}
	alone.expect("there is no shell here to come back from")
	s := newScreen(t, 120, 40, func(c *Config) { c.Suspend = true })
	snap := full()
	snap.ACLs[0].InFlight = 1
	s.show(snap)
	z := tea.KeyPressMsg{Code: 'z', Mod: tea.ModCtrl}
	if _, cmd := s.m.Update(z); cmd != nil {
		t.Error("suspended in the middle of a write without asking")
	}
	s.expect("a write to AWS is under way")
	_, cmd := s.m.Update(z)
	if cmd == nil {
		t.Fatal("not suspended")
	}
	if _, ok := cmd().(tea.SuspendMsg); !ok {
		t.Error("not suspended")
	}
	s.clock.advance(5 * time.Minute)
	s.send(tea.ResumeMsg{})
	s.expect("went on after 5m in which nothing was watched", "ACL STALE 5m")
}

// FuzzTexts holds that no text from outside, wherever it stands, disturbs a frame,
// a copy or a call for attention, masked or not.
func FuzzTexts(f *testing.F) {
	f.Add("\x1b]0;owned\x07 10.1.2.3 web-1 `|\n# x", 80, 24)
	f.Add("漢字 fd12::1 \u202e ip-10-1-1-5", 45, 20)
	f.Fuzz(func(t *testing.T, text string, w, h int) {
		s := newScreen(t, w%250, h%80)
		snap := hostile()
		for _, a := range snap.Alerts {
			a.Title, a.Host, a.Note = alert.Clean(text), alert.Clean(text), string(alert.Clean(text))
			a.Sightings[0].Reasons = []string{text}
			a.Sightings[0].Evidence[0].Command, a.Sightings[0].Evidence[0].User = alert.Clean(text), alert.Clean(text)
		}
		snap.Blocks[0].Why, snap.Proposals[0].Reasons = text, []string{text}
		snap.Problems = []engine.Problem{{Severity: engine.Fault, Text: string(alert.Clean(text))}}
		s.show(snap)
		for _, key := range []string{"1", "C", "esc", "c", "M", "1", "C", "esc", "2", "3", "4", "!", "esc"} {
			s.press(key)
		}
		for _, r := range strings.Join(s.m.copied, "\n") {
			if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 {
				t.Fatalf("%U is copied", r)
			}
		}
		var a attention
		a.look(full(), t0)
		a.look(snap, t0)
		for _, r := range a.news.text() {
			if r < ' ' || r > '~' {
				t.Fatalf("%U would ring", r)
			}
		}
	})
}
