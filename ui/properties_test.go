package ui

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall"
)

var addressText = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+(/\d+)?`)

// onScreen reads from the frame alone what a key would act on: the rows that bear
// a mark, else what is painted as the cursor, else the row that a page names.
func (s *screen) onScreen() (prefixes []netip.Prefix, marked bool) {
	lines := strings.Split(s.last, "\n")
	th := s.m.th
	if s.m.overlay == overlayRow {
		for _, l := range lines {
			if p, ok := firstPrefix(stripped(l)); ok {
				return []netip.Prefix{p}, false
			}
		}
		return nil, false
	}
	painted := func(on, off string) (out []string) {
		for _, l := range lines {
			if _, rest, ok := strings.Cut(l, on); ok && on != "" {
				text, _, _ := strings.Cut(rest, off)
				out = append(out, stripped(text))
			}
		}
		return out
	}
	cursor := painted(th.cursor.on, th.cursor.off)
	inACL := slices.ContainsFunc(cursor, func(t string) bool { return strings.Contains(t, " deny ") || strings.Contains(t, " allow ") })
	if !inACL {
		for _, l := range lines {
			if p, ok := firstPrefix(stripped(l)); ok && strings.HasPrefix(stripped(l), s.m.markSign()) {
				prefixes = append(prefixes, p)
			}
		}
		if len(prefixes) > 0 {
			return prefixes, true
		}
	}
	for _, t := range append(cursor, painted(th.cursorIdle.on, th.cursorIdle.off)...) {
		if p, ok := firstPrefix(t); ok {
			return []netip.Prefix{p}, false
		}
	}
	return nil, false
}

func firstPrefix(text string) (netip.Prefix, bool) {
	found := addressText.FindString(text)
	if found == "" {
		return netip.Prefix{}, false
	}
	if !strings.Contains(found, "/") {
		found += "/32"
	}
	p, err := netip.ParsePrefix(found)
	return p, err == nil
}

// TestActedOnIsWhatTheFrameShowed: under random snapshots, sizes, filters and keys
// a decision names only what the last frame before its key showed as marked, or as
// highlighted; with its effect of now; and what a question decides was named in it.
func TestActedOnIsWhatTheFrameShowed(t *testing.T) { wander(t, keysOfWorld) }

// TestArchivedIsWhatTheFrameShowed is the same with the keys by which alerts are
// archived, so that they come often.
func TestArchivedIsWhatTheFrameShowed(t *testing.T) {
	wander(t, strings.Fields("e e e e E E enter y y Y j j j k g G x x X *a *n t space esc p / 2 1 1 . U A w o i f"))
}

func wander(t *testing.T, keys []string) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{rt: rt, keys: keys, fatalf: rt.Fatalf, s: newScreen(t, rapid.IntRange(40, 200).Draw(rt, "w"), 60)}
		w.s.show(w.snapshot())
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			w.s.clock.advance(time.Duration(rapid.IntRange(0, 900).Draw(rt, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0, 1:
				w.s.show(w.snapshot())
			case 2, 4: // a key may come before it is drawn
				w.s.m.Update(snapshotMsg{w.snapshot()})
			case 3:
				w.s.send(tea.WindowSizeMsg{Width: rapid.IntRange(40, 200).Draw(rt, "w"), Height: 60})
			default:
				w.press()
			}
		}
	})
}

// world drives a console with random input and holds what it does against frames.
type world struct {
	rt     *rapid.T
	keys   []string // that are pressed
	fatalf func(string, ...any)
	s      *screen
	shown  []netip.Prefix // what the frame showed before the key that led here
	marked bool
	named  string // what the question says, when one is open
}

var keysOfWorld = strings.Fields("a a a a a d d d u u P P j j k g G 1 2 3 4 tab p / esc enter y y Y ? m r P x x X *a *1 *s *n . s w z A U 5 0 b t o O space M down up pgdown q o O t e e E E i f")

func (w *world) press() { w.strike(rapid.SampledFrom(w.keys).Draw(w.rt, "key")) }

// strike presses a key, or the two of a sequence, and holds what comes of it.
func (w *world) strike(name string) {
	s := w.s
	keys := []string{name}
	if len(name) == 2 && name[0] == '*' {
		keys = []string{"*", name[1:]}
	}
	for _, k := range keys {
		before := len(s.con.calls)
		if s.m.dialog == nil {
			w.shown, w.marked = s.onScreen()
			w.named = ""
		} else {
			w.named = s.m.dialog.title + "\n" + strings.Join(s.m.dialog.text, "\n")
		}
		s.send(keyMsg(k))
		for _, c := range s.con.calls[before:] {
			w.check(k, c)
		}
	}
}

func (w *world) check(key string, c call) {
	if c.mode != 0 {
		return
	}
	if c.filings != nil {
		w.checkFiled(key, c)
		return
	}
	p := netip.MustParsePrefix(netip32(c.id))
	if !slices.ContainsFunc(w.shown, func(x netip.Prefix) bool { return x.Contains(p.Addr()) }) {
		w.fatalf("key %s decided %s %s, the frame showed %v:\n%s", key, c.d.Verb, c.id, w.shown, w.s.frame())
	}
	if w.marked && !strings.Contains(w.named, p.String()) {
		w.fatalf("key %s decided %s, which the question did not name:\n%s", key, c.id, w.named)
	}
	if live := newIndex(w.s.m.live).target(c.id); live == nil || live.digest != c.d.Effect {
		w.fatalf("key %s decided what is not there any more: %s (%s)", key, c.id, c.d.Effect)
	}
	if high := newIndex(w.s.m.live).block(c.id); high.Severity == 1 && c.d.Verb == blocklist.Deny && c.d.Reason == "" {
		w.fatalf("key %s denied %s without a reason", key, c.id)
	}
}

// checkFiled is check for alerts that were archived or brought back.
func (w *world) checkFiled(key string, c call) {
	for _, f := range c.filings {
		p := netip.MustParsePrefix(strings.TrimPrefix(f.Alert, "alert-"))
		if !slices.ContainsFunc(w.shown, func(x netip.Prefix) bool { return x.Contains(p.Addr()) }) {
			w.fatalf("key %s archived %s, the frame showed %v:\n%s", key, f.Alert, w.shown, w.s.frame())
		}
		if w.marked && !strings.Contains(w.named, p.Addr().String()+", ") {
			w.fatalf("key %s archived %s, which the question did not name:\n%s", key, f.Alert, w.named)
		}
		live := newIndex(w.s.m.live)
		a := live.alerts[f.Alert]
		if a == nil || c.archive == nil && a.Archive == nil {
			w.fatalf("key %s acted on what is not there any more: %s", key, f.Alert)
		}
		if c.archive == nil {
			continue
		}
		if live.waits(a) || f.Shown != a.Extent() || c.archive.Escalated && c.archive.Reason == "" {
			w.fatalf("key %s archived %s, of which an address waits, or not as it is, or without a reason: %+v", key, f.Alert, c.archive)
		}
	}
}

// snapshot draws up to nine blocks, some pending and some decided, in any order,
// with an alert for each.
func (w *world) snapshot() *engine.Snapshot {
	rt := w.rt
	s := full()
	s.Proposals, s.Alerts, s.Blocks = nil, nil, nil
	acl := s.ACLs[0]
	acl.Entries = acl.Entries[3:]
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 9), 0, 9, rapid.ID[int]).Draw(rt, "rows") {
		p := fmt.Sprintf("198.51.100.%d/32", n)
		if n == 9 {
			p = "198.18.0.0/20"
		}
		a := alertRow(p, "an alert")
		a.Events += rapid.IntRange(0, 1).Draw(rt, "more events")
		if rapid.IntRange(0, 3).Draw(rt, "archived") == 0 {
			a.Archive = &blocklist.Archive{At: t0, Actor: "bob@soc", Escalated: rapid.Bool().Draw(rt, "escalated")}
		}
		s.Alerts = append(s.Alerts, a)
		if rapid.Bool().Draw(rt, "pending") {
			b := proposal(p)
			b.Digest += fmt.Sprint(rapid.IntRange(0, 1).Draw(rt, "digest"))
			b.Severity = n % 3
			b.Alerts = []string{"alert-" + p}
			s.Proposals = append(s.Proposals, b)
			continue
		}
		b := active(p, n)
		b.Pinned = rapid.Bool().Draw(rt, "pinned")
		b.Alerts = []string{"alert-" + p}
		s.Blocks = append(s.Blocks, b)
		e := view(n, true, p, engine.Ours)
		e.Serves = []blocklist.ID{b.ID}
		acl.Entries = slices.Insert(acl.Entries, 0, e)
		if rapid.IntRange(0, 3).Draw(rt, "drift") == 0 {
			acl.Drifted = append(acl.Drifted, engine.DriftView{Block: b.ID, Prefix: b.Prefix, Direction: firewall.Egress, Number: n, Since: t0})
		}
	}
	return s
}

// FuzzKeys presses any keys, at any size, while snapshots change: nothing breaks,
// every frame fits, and on a screen that shows every row a decision is about what
// the frame before its key showed.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("2jjad"), uint8(80), uint8(60))
	f.Add([]byte{0, 200, 3, 210, 40, 41, 42, 13, 220, 30, 18, 18}, uint8(45), uint8(20))
	f.Add([]byte{16, 16, 30, 31, 0, 19, 255, 0, 19, 35, 36}, uint8(200), uint8(60))
	f.Fuzz(func(t *testing.T, keys []byte, width, height uint8) {
		w := &world{fatalf: t.Fatalf, s: newScreen(t, int(width), int(height))}
		w.s.show(hostile())
		w.s.show(shifting(0))
		for i, b := range keys[:min(len(keys), 80)] {
			w.s.clock.advance(time.Duration(b%10) * 100 * time.Millisecond)
			switch {
			case b >= 224:
				w.s.m.Update(snapshotMsg{shifting(int(b))}) // and no frame before the next key
			case b >= 200:
				w.s.show(shifting(int(b)))
			case height >= 60 && width >= tooSmallW:
				w.strike(keysOfWorld[int(b)%len(keysOfWorld)])
			default:
				w.s.send(keyMsg(keysOfWorld[(int(b)+i)%len(keysOfWorld)]))
			}
		}
	})
}

// shifting gives snapshots that differ in what they hold, its order and effects.
func shifting(n int) *engine.Snapshot {
	s := serving()
	if n%2 == 1 {
		slices.Reverse(s.Proposals)
		slices.Reverse(s.Alerts)
	}
	if k := n % 5; k < len(s.Proposals) {
		s.Proposals = slices.Delete(s.Proposals, k, k+1)
	}
	s.Proposals[0].Severity = 1
	if n%3 == 1 {
		s.Proposals[1].Digest = "another"
		s.Blocks = s.Blocks[1:]
	}
	return s
}

// TestScrollStaysInPlace: while the list does not follow, the highlighted row
// keeps its line when rows come above it.
func TestScrollStaysInPlace(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var l list
		l.resize(rapid.IntRange(1, 30).Draw(rt, "height"))
		ids := rapid.SliceOfNDistinct(rapid.IntRange(0, 999), 1, 200, rapid.ID[int]).Draw(rt, "ids")
		l.set(names(ids))
		l.move(rapid.IntRange(0, len(ids)).Draw(rt, "to"))
		l.move(-rapid.IntRange(0, 10).Draw(rt, "back"))
		cursor, screen := l.cursor, l.idx-l.top
		above := rapid.IntRange(0, 50).Draw(rt, "above")
		next := slices.Clone(ids)
		for i := range above {
			next = slices.Insert(next, 0, 1000+i)
		}
		if l.set(names(next)); l.cursor != cursor {
			rt.Fatalf("the cursor went from %s to %s", cursor, l.cursor)
		}
		if at := l.idx - l.top; at != screen && l.top > 0 && l.top+l.height < len(next) {
			rt.Fatalf("the row moved from line %d to %d", screen, at)
		}
		if l.ids[l.idx] != l.cursor || l.idx < l.top || l.idx >= l.top+l.height {
			rt.Fatalf("the cursor is not on the screen: %+v", l)
		}
	})
}

func names(ids []int) []string {
	out := make([]string, len(ids))
	for i, n := range ids {
		out[i] = fmt.Sprint(n)
	}
	return out
}

// FuzzFrameText: whatever stands in a text from outside, every frame and every
// question is exactly as large as the terminal and holds no other sequence than
// colours; no line of it stands beside the CIDR that is approved.
func FuzzFrameText(f *testing.F) {
	f.Add("\x1b]52;c;aGk=\x07", uint8(80), uint8(24))
	f.Add("\u202e\u2066evil\u2069 \r\n+ deny 0.0.0.0/0", uint8(45), uint8(20))
	f.Add("日本語 \u0301\u200d👩‍👩‍👧 \U000e0041", uint8(120), uint8(40))
	f.Fuzz(func(t *testing.T, text string, w, h uint8) {
		s := newScreen(t, max(int(w), 1), max(int(h), 1))
		snap := full()
		for _, a := range snap.Alerts {
			a.Title, a.Host, a.AgentID, a.Note = alert.Clean(text), alert.Clean(text), text, string(alert.Clean(text))
			e := &a.Sightings[0].Evidence[0]
			e.Process, e.Command, e.User, e.Container, e.Image, e.Event = alert.Clean(text), alert.Clean(text), alert.Clean(text), alert.Clean(text), alert.Clean(text), text
			a.Sightings[0].Reasons = []string{text}
		}
		snap.Alerts[1].ID = text
		snap.Proposals[0].Reasons, snap.Proposals[0].Hosts, snap.Proposals[0].Severity = []string{text}, []string{text}, 1
		snap.Blocks[0].DecidedBy, snap.Blocks[0].Why, snap.Blocks[0].PinnedBy = text, text, text
		snap.Log[0].Text, snap.Log[0].Alert, snap.Log[0].Actor, snap.Log[0].Reason = string(alert.Clean(text)), text, string(alert.Clean(text)), string(alert.Clean(text))
		snap.Log[0].Event, snap.Log[0].Block, snap.Log[0].Prefix = "approved", snap.Blocks[0].ID, snap.Blocks[0].Prefix
		snap.Problems = []engine.Problem{{Severity: engine.Fault, Text: string(alert.Clean(text)), Hint: string(alert.Clean(text))}}
		s.con.fail = map[string]error{"198.51.100.2": fmt.Errorf("%s", text)}
		s.show(snap)
		s.press("enter", "G", "esc", "2", "d", "esc", ".", "esc", "*", "a", "a", "down", "y", "esc", "z", "down", "esc", "3", "enter", "esc", "tab", "down", "esc", "!", "esc", "4", "enter", "esc", "?")
		s.send(tea.PasteMsg{Content: text})
		s.press("esc", "3", "u")
		s.send(tea.PasteMsg{Content: text})
		s.press("x", "enter", "2")
		if w >= 100 && h >= 24 {
			s.expect("+ deny 198.51.100.1/32  egress, entry 4, 12 slots left")
		}
	})
}

// TestOver: a line with a piece put over it is as wide as before, whatever
// stands under the edges of the piece.
func TestOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		under := rapid.StringOfN(rapid.SampledFrom([]rune("a·│日👩e\u0301가")), 0, 60, -1).Draw(t, "under")
		w := max(visibleWidth(under), 1)
		piece := strings.Repeat("x", rapid.IntRange(0, w).Draw(t, "piece"))
		got := over(under, piece, w)
		if visibleWidth(got) != w || !strings.Contains(got, piece) {
			t.Fatalf("%q over %q is %d cells wide, not %d: %q", piece, under, visibleWidth(got), w, got)
		}
	})
}
