package ui

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall"
	"selfprotect/policy"
)

var t0 = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

// clock is the console's clock in tests. A program may read it while a test sets
// it.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func (c *clock) advance(d time.Duration) { c.set(c.now().Add(d)) }

// console records what is asked of the engine.
type console struct {
	mu    sync.Mutex
	calls []call
	err   error
	fail  map[string]error // by prefix
}

type call struct {
	id   blocklist.ID
	d    blocklist.Decision
	mode policy.Mode
	// Of alerts that were archived, or brought back when archive is nil.
	filings []blocklist.Filing
	archive *blocklist.Archive
}

func (c *console) Decide(_ context.Context, id blocklist.ID, d blocklist.Decision) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call{id: id, d: d})
	for p, err := range c.fail {
		if strings.Contains(string(id), p) {
			return err
		}
	}
	return c.err
}

func (c *console) SetMode(_ context.Context, m policy.Mode, actor, reason string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call{mode: m, d: blocklist.Decision{Actor: actor, Reason: reason}})
	return c.err
}

func (c *console) Archive(_ context.Context, files []blocklist.Filing, a blocklist.Archive) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call{filings: files, archive: &a})
	for _, f := range files {
		if err := c.fail[f.Alert]; err != nil {
			return err
		}
	}
	return c.err
}

func (c *console) Unarchive(_ context.Context, ids []string, actor, reason string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := call{d: blocklist.Decision{Actor: actor, Reason: reason}}
	for _, id := range ids {
		l.filings = append(l.filings, blocklist.Filing{Alert: id})
	}
	c.calls = append(c.calls, l)
	return c.err
}

func (c *console) Poll() {}

// screen drives a model as a terminal would: every key comes after a frame.
type screen struct {
	t     testing.TB
	m     *Model
	clock *clock
	con   *console
	last  string // the last frame that was drawn
}

func newScreen(t testing.TB, w, h int, change ...func(*Config)) *screen {
	t.Helper()
	s := &screen{t: t, clock: &clock{t: t0}, con: &console{}}
	cfg := Config{Console: s.con, Actor: "alice@soc", Title: "demo", Theme: "dark", Now: s.clock.now, Location: time.UTC,
		LogPath: "/state/selfprotect.log", JournalPath: "/state/journal.db", Notice: "a notice"}
	for _, f := range change {
		f(&cfg)
	}
	s.m = New(cfg)
	s.m.wake = func(time.Duration) tea.Cmd { return nil }
	s.send(tea.WindowSizeMsg{Width: w, Height: h})
	return s
}

// send delivers a message and draws a frame; commands run at once.
func (s *screen) send(msg tea.Msg) {
	_, cmd := s.m.Update(msg)
	s.frame()
	if cmd == nil {
		return
	}
	if _, ok := msg.(tea.KeyPressMsg); !ok {
		return // ticks and waits for snapshots
	}
	for cmd != nil {
		out := cmd()
		if _, quit := out.(tea.QuitMsg); quit || out == nil {
			return
		}
		_, cmd = s.m.Update(out)
		s.frame()
	}
}

func (s *screen) show(snap *engine.Snapshot) { s.send(snapshotMsg{snap}) }

func keyMsg(name string) tea.KeyPressMsg {
	switch name {
	case "enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case "esc":
		return tea.KeyPressMsg{Code: tea.KeyEscape}
	case "tab":
		return tea.KeyPressMsg{Code: tea.KeyTab}
	case "pgdown":
		return tea.KeyPressMsg{Code: tea.KeyPgDown}
	case "pgup":
		return tea.KeyPressMsg{Code: tea.KeyPgUp}
	case "ctrl+u":
		return tea.KeyPressMsg{Code: 'u', Mod: tea.ModCtrl}
	case "space":
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	case "backspace":
		return tea.KeyPressMsg{Code: tea.KeyBackspace}
	case "down":
		return tea.KeyPressMsg{Code: tea.KeyDown}
	case "up":
		return tea.KeyPressMsg{Code: tea.KeyUp}
	}
	r := []rune(name)[0]
	return tea.KeyPressMsg{Code: r, Text: name}
}

// press types keys half a second apart.
func (s *screen) press(keys ...string) {
	for _, k := range keys {
		s.clock.advance(500 * time.Millisecond)
		s.send(keyMsg(k))
	}
}

// frame draws and holds what every frame must: exactly the lines and cells of the
// terminal, and no control byte but colours.
func (s *screen) frame() string {
	s.t.Helper()
	content := s.m.View().Content
	s.last = content
	plain := ansi.Strip(content)
	for i := range len(content) {
		if c := content[i]; c < 0x20 && c != '\n' && c != 0x1b || c == 0x7f {
			s.t.Fatalf("control byte %#x in the frame", c)
		}
	}
	if strings.Contains(plain, "\x1b") || strings.Contains(content, "\x1b]") {
		s.t.Fatalf("a sequence that is not a colour is in the frame")
	}
	w, h := s.m.w, s.m.h
	lines := strings.Split(plain, "\n")
	if w >= tooSmallW && h >= tooSmallH && len(lines) != h {
		s.t.Fatalf("%d lines on a terminal of %d", len(lines), h)
	}
	for i, l := range lines {
		if n := ansi.StringWidth(l); n > w {
			s.t.Fatalf("line %d is %d cells wide on a terminal of %d:\n%s", i, n, w, l)
		}
	}
	return plain
}

func (s *screen) expect(texts ...string) {
	s.t.Helper()
	f := s.frame()
	for _, x := range texts {
		if !strings.Contains(f, x) {
			s.t.Errorf("the screen does not show %q:\n%s", x, f)
		}
	}
}

func (s *screen) expectNot(texts ...string) {
	s.t.Helper()
	f := s.frame()
	for _, x := range texts {
		if strings.Contains(f, x) {
			s.t.Errorf("the screen shows %q:\n%s", x, f)
		}
	}
}

const demoACL = "acl-0123456789abcdef0"

var demoTargets = []policy.Target{{ACL: demoACL, Directions: []alert.Direction{alert.Outbound}}}

func block(p string, state blocklist.State, n int) blocklist.Block {
	prefix := netip.MustParsePrefix(p)
	b := blocklist.Block{ID: blocklist.MakeID(alert.Outbound, prefix, demoTargets), State: state, ProposedAt: t0.Add(-time.Minute), Sightings: n, LastSeen: t0.Add(-10 * time.Second),
		Proposal: blocklist.Proposal{Direction: alert.Outbound, Prefix: prefix, Targets: demoTargets, TTL: 24 * time.Hour, Weight: 100, RuleID: "rule-1", Reasons: []string{"watched rule in review mode"}},
		Alerts:   []string{"alert-" + p}, Hosts: []string{"agent-1"}}
	if state != blocklist.Pending {
		b.DecidedAt, b.DecidedBy, b.Expires = t0.Add(-time.Minute), "bob@soc", t0.Add(23*time.Hour)
	}
	return b
}

func proposal(p string) *engine.Proposal {
	b := block(p, blocklist.Pending, 2)
	return &engine.Proposal{Block: b, Score: b.Score(t0), RuleName: "Outbound to WAN", Digest: "digest of " + p,
		Steps: []engine.Step{{ACL: demoACL, Direction: firewall.Egress, Prefix: b.Prefix, Op: firewall.Create, Number: 4, SlotsAfter: 12}}}
}

func active(p string, number int) *engine.BlockView {
	b := block(p, blocklist.Active, 3)
	return &engine.BlockView{Block: b, Score: b.Score(t0), RuleName: "Outbound to WAN", Presence: []engine.Presence{{ACL: demoACL, Direction: firewall.Egress, Number: number, Status: "present"}}}
}

func alertRow(p string, title string) *engine.AlertRow {
	b := block(p, blocklist.Pending, 1)
	return &engine.AlertRow{AlertNote: blocklist.AlertNote{ID: "alert-" + p, RuleID: "rule-1", Title: alert.Clean(title), Severity: 2, CreatedAt: t0.Add(-90 * time.Second), Host: "web-1", Events: 1, Complete: true},
		RuleName: "Outbound to WAN", SeenAt: t0.Add(-80 * time.Second),
		Sightings: []blocklist.Sighting{{Alert: "alert-" + p, Addr: b.Prefix.Addr(), Direction: alert.Outbound, Outcome: blocklist.OutcomeProposed, Block: b.ID, Events: 1,
			Evidence: []alert.Evidence{{Event: "e", Time: t0.Add(-95 * time.Second), Peer: netip.MustParseAddr("10.1.1.5"), Port: 443, Host: "web-1", Process: "/usr/bin/curl", User: "root", PID: 4711, Container: "9b8d314dd335aa"}}}}}
}

func view(number int, deny bool, p string, owner engine.Owner) engine.EntryView {
	v := engine.EntryView{Entry: firewall.Entry{Number: number, Direction: firewall.Egress, Deny: deny, Protocol: -1, Prefix: netip.MustParsePrefix(p)}, Owner: owner, InRange: number < 100}
	if owner == engine.Ours {
		v.Expires = t0.Add(23 * time.Hour)
	}
	return v
}

// full is a snapshot with something of everything.
func full() *engine.Snapshot {
	s := &engine.Snapshot{Version: 1, At: t0, Base: policy.Review, Ceiling: policy.Auto, Guarded: true,
		Sources: []engine.SourceStatus{{Name: "threatstack", LastOK: t0.Add(-3 * time.Second), NextPoll: t0.Add(7 * time.Second), Watches: []engine.WatchView{{RuleID: "rule-1", Name: "Outbound to WAN", Mode: policy.Review}}}}}
	acl := &engine.ACLView{ID: demoACL, Name: "web", Account: "123456789012", Region: "us-east-1", ReadAt: t0.Add(-2 * time.Second),
		Budgets: []firewall.Budget{{Direction: firewall.Egress, Family: firewall.IPv4, Quota: 20, Foreign: 3, Ours: 3, Slots: 17, Free: 14}, {Direction: firewall.Egress, Family: firewall.IPv6, Quota: 20, Foreign: 2, Ours: 0, Slots: 18, Free: 18},
			{Direction: firewall.Ingress, Family: firewall.IPv4, Quota: 20, Foreign: 2, Slots: 18, Free: 18}, {Direction: firewall.Ingress, Family: firewall.IPv6, Quota: 20, Foreign: 2, Slots: 18, Free: 18}}}
	for i := range 3 {
		p := fmt.Sprintf("203.0.113.%d/32", i+1)
		s.Blocks = append(s.Blocks, active(p, i+1))
		acl.Entries = append(acl.Entries, view(i+1, true, p, engine.Ours))
	}
	acl.Entries = append(acl.Entries, view(50, true, "198.51.100.250/32", engine.Foreign), view(100, false, "0.0.0.0/0", engine.Foreign), view(101, false, "::/0", engine.Foreign),
		view(32767, true, "0.0.0.0/0", engine.SystemOwn), view(32768, true, "::/0", engine.SystemOwn))
	s.ACLs = []*engine.ACLView{acl}
	for i := range 6 {
		p := fmt.Sprintf("198.51.100.%d/32", i+1)
		s.Proposals = append(s.Proposals, proposal(p))
		s.Alerts = append(s.Alerts, alertRow(p, fmt.Sprintf("Network: Outbound Connection (Connects) to WAN: /usr/bin/curl to 198.51.100.%d", i+1)))
	}
	for i := range 3 {
		s.Alerts = append(s.Alerts, alertRow(fmt.Sprintf("203.0.113.%d/32", i+1), "Network: Outbound Connection"))
	}
	refused := alertRow("10.1.2.3/32", "Network: Outbound Connection")
	refused.Sightings[0].Outcome, refused.Sightings[0].Block = blocklist.OutcomeRefused, ""
	refused.Sightings[0].Reasons = []string{"guarded: private (RFC 1918) (10.0.0.0/8)"}
	s.Alerts = append(s.Alerts, refused)
	s.Log = []engine.LogLine{{ID: 1, At: t0.Add(-time.Minute), Severity: engine.Info, Event: "blocked", Text: "203.0.113.1/32 denied by entry 1 of " + demoACL + " (egress), read back", Actor: "engine"},
		{ID: 2, At: t0.Add(-time.Second), Severity: engine.Fault, Event: "fault", Text: "alerts could not be read", Reason: "the key is wrong"}}
	return s
}

// unwrapped gives the text of a frame without its lines, borders and spaces.
func unwrapped(frame string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \n|│─+", r) {
			return -1
		}
		return r
	}, frame)
}

// contains looks for a text in an unwrapped frame.
func contains(frame, text string) bool { return strings.Contains(frame, unwrapped(text)) }
