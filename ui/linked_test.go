package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"selfprotect/engine"
)

// serving gives the full snapshot with the blocks behind their entries, and an
// alert behind each.
func serving() *engine.Snapshot {
	s := full()
	for i, b := range s.Blocks {
		s.ACLs[0].Entries[i].Serves = append(s.ACLs[0].Entries[i].Serves, b.ID)
	}
	s.Log[0].Prefix = s.Blocks[0].Prefix
	return s
}

// lineWith gives the line of the frame, colours and all, that has a text.
func (s *screen) lineWith(text string) string {
	for l := range strings.SplitSeq(s.m.View().Content, "\n") {
		if strings.Contains(stripped(l), text) {
			return l
		}
	}
	return ""
}

// TestLinkedHighlight: an entry highlights what it belongs to, and the other way
// round; enter goes there.
func TestLinkedHighlight(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(serving())
	linked := s.m.th.linked.on
	s.press("3", "down")
	if l := s.lineWith("2 ● deny"); !strings.Contains(l, linked) {
		t.Errorf("the entry of the block does not stand out: %q", l)
	}
	s.press("1", "tab") // to the network ACL, at its first entry
	if l := s.lineWith("1 ● deny  203.0.113.1/32"); !strings.Contains(l, s.m.th.cursor.on) {
		t.Errorf("the cursor is not on the first entry: %q", l)
	}
	s.press("down")
	if l := s.lineWith("→ 203.0.113.2 "); !strings.Contains(l, linked) {
		t.Errorf("the alert of the entry does not stand out: %q", l)
	}
	if l := s.lineWith("→ 203.0.113.1 "); strings.Contains(l, linked) {
		t.Errorf("another alert stands out: %q", l)
	}
	s.press("enter")
	if s.m.pane != paneList || s.m.list().cursor != "alert-203.0.113.2/32" {
		t.Errorf("went to %q", s.m.list().cursor)
	}
	s.press("tab") // and back: the cursor is on the entry of the row
	if l := s.lineWith("2 ● deny  203.0.113.2/32"); !strings.Contains(l, s.m.th.cursor.on) {
		t.Errorf("the cursor is not on the entry of the row: %q", l)
	}
	s.press("2", "tab", "enter") // no proposal belongs to it
	if s.m.tab != tabBlocks || s.m.list().cursor != string(serving().Blocks[1].ID) {
		t.Errorf("went to %q", s.m.list().cursor)
	}
	s.press("tab", "G", "enter")
	s.expect("no block of ours is behind that entry")
}

// TestEntryCursorIsAnEntry: entries that come and go above it do not move the
// cursor to another.
func TestEntryCursorIsAnEntry(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(serving())
	s.press("tab", "down", "down")
	next := serving()
	next.ACLs[0].Entries = slices.Insert(next.ACLs[0].Entries[1:], 0, view(7, true, "192.0.2.7/32", engine.Ours), view(8, true, "192.0.2.8/32", engine.Ours))
	s.show(next)
	if l := s.lineWith("3 ● deny  203.0.113.3/32"); !strings.Contains(l, s.m.th.cursor.on) {
		t.Errorf("the cursor has left its entry: %q", l)
	}
	next = serving()
	next.ACLs[0].Entries = next.ACLs[0].Entries[:2] // its entry is gone
	s.show(next)
	s.press("up")
	s.press("enter")
	if s.m.pane != paneList {
		t.Errorf("lost after the entry has gone")
	}
}

// TestLinkedRowIsShown: the row of an entry is on the screen however far down it
// is in the list.
func TestLinkedRowIsShown(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := serving()
	for i := range 200 {
		a := *snap.Alerts[0]
		a.ID = fmt.Sprint("more ", i)
		snap.Alerts = append([]*engine.AlertRow{&a}, snap.Alerts...)
	}
	s.show(snap)
	s.expectNot("→ 203.0.113.1 ")
	s.press("tab")
	s.expect("→ 203.0.113.1 ")
}

// TestRowPage: enter opens everything about a row; keys act on that row, and the
// page stays with it.
func TestRowPage(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(serving())
	s.press("enter")
	s.expect("Evidence about 198.51.100.1/32: 1 event", "process", "/usr/bin/curl  pid 4711", "container  9b8d314dd335aa", "our end    10.1.1.5", "History of 198.51.100.1/32", "proposed")
	next := serving()
	next.Alerts = append([]*engine.AlertRow{alertRow("192.0.2.66/32", "newer")}, next.Alerts...)
	s.show(next)
	s.expect("Evidence about 198.51.100.1/32")
	s.press("a")
	expectAsked(t, s, "approve 198.51.100.1/32")
	gone := serving()
	gone.Alerts = gone.Alerts[1:]
	s.show(gone)
	s.expect("This row is gone")
	s.press("a", "d")
	expectAsked(t, s, "approve 198.51.100.1/32")
	s.press("esc", "3", "enter")
	s.expect("History of 203.0.113.1/32", "approved", "bob@soc", "denied by entry 1")
	s.press("G", "q")
	s.expectNot("History")
}

// TestMenu: it shows what can be decided and why the rest cannot, and does it.
func TestMenu(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2", ".")
	s.expect("198.51.100.1/32", "approve the highlighted proposal", "u  unblock  (it is waiting for a decision)")
	s.press("u")
	s.expect("unblock: it is waiting for a decision")
	expectAsked(t, s)
	s.press("d")
	expectAsked(t, s, "deny 198.51.100.1/32")
	s.press("down", ".", "down", "enter") // the first: approve
	expectAsked(t, s, "deny 198.51.100.1/32", "approve 198.51.100.2/32")
	s.press(".", "q")
	if s.m.dialog != nil || len(s.con.calls) != 2 {
		t.Errorf("asked for %q", s.asked())
	}
}

// TestPreviewNamesWhatIsShadowed: an approval says which entries it stands before,
// and that the guard is not known.
func TestPreviewNamesWhatIsShadowed(t *testing.T) {
	s := newScreen(t, 120, 40)
	snap := full()
	snap.Guarded = false
	snap.Proposals[0] = proposal("198.51.100.0/24")
	s.show(snap)
	s.press("2")
	s.expect("stands before entry 50, deny 198.51.100.250/32 (foreign), which then has no effect", "was not looked up yet", "256 addresses")
	s.press("down")
	s.expectNot("stands before")
}
