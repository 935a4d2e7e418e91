package ui

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

func TestSnooze(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2", "s")
	s.expect("Snooze 198.51.100.1/32?", "one hour, until 04:00", "a day, until Wed 25 Nov 03:00")
	s.press("8")
	if len(s.con.calls) != 1 || s.con.calls[0].d.Verb != blocklist.Snooze || !s.con.calls[0].d.Until.Equal(t0.Add(time.Second+8*time.Hour)) {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	s.press("s", "q")
	s.press("x", "x", "s", "d")
	expectAsked(t, s, "snooze 198.51.100.1/32", "snooze 198.51.100.1/32", "snooze 198.51.100.2/32")
	s.press("esc", "3", "s")
	s.expect("nothing to snooze on this row")
}

// napping is a snapshot with a proposal that was put off.
func napping() *engine.Snapshot {
	s := full()
	s.Proposals[0].SnoozedUntil, s.Proposals[0].SnoozedBy = t0.Add(time.Hour), "bob@soc"
	return s
}

// TestSnoozedLeaveTheQueue: they are counted, shown by the filter, and asked again
// at their time or when they are woken.
func TestSnoozedLeaveTheQueue(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(napping())
	s.press("2")
	s.expect("Proposals 5", "1 snoozed")
	s.expectNot("→ 198.51.100.1/32")
	s.press("w")
	s.expect("it is not snoozed")
	s.press("/")
	for _, r := range "state:snoozed" {
		s.press(string(r))
	}
	s.press("enter")
	s.expect("→ 198.51.100.1/32", "snoozed by bob@soc until 04:00")
	s.expectNot("→ 198.51.100.2/32")
	s.press("w")
	expectAsked(t, s, "wake 198.51.100.1/32")
	s.press("s", "w")
	expectAsked(t, s, "wake 198.51.100.1/32", "wake 198.51.100.1/32")
	s.press("esc")
	s.clock.advance(2 * time.Hour)
	s.show(napping()) // its time has come
	s.expect("Proposals 6", "→ 198.51.100.1/32")
}

// allower is a console whose engine keeps allowances.
type allower struct {
	*console
	allowed    []blocklist.Allowance
	disallowed []netip.Prefix
}

func (a *allower) Allow(_ context.Context, x blocklist.Allowance) error {
	a.allowed = append(a.allowed, x)
	return nil
}

func (a *allower) Disallow(_ context.Context, p netip.Prefix, _, _ string) error {
	a.disallowed = append(a.disallowed, p)
	return nil
}

// TestAllow: A asks for how long and why, and says what it ends.
func TestAllow(t *testing.T) {
	s := newScreen(t, 120, 40)
	a := &allower{console: s.con}
	s.m.cfg.Console = a
	s.show(full())
	s.press("A")
	s.expect("Never block 198.51.100.1/32?", "ends the proposal 198.51.100.1/32 outbound", "30 days, until Thu 24 Dec 03:00", "without an end")
	s.press("n")
	s.expect("Without an end")
	s.press("enter")
	if len(a.allowed) != 0 {
		t.Fatalf("allowed without a reason")
	}
	s.press("o", "u", "r", "s", "enter")
	if len(a.allowed) != 1 || a.allowed[0] != (blocklist.Allowance{Prefix: netip.MustParsePrefix("198.51.100.1/32"), Actor: "alice@soc", Reason: "ours"}) {
		t.Fatalf("allowed %+v", a.allowed)
	}
	s.press("3", "A", "c")
	s.press("backspace", "backspace", "2", "4", "enter")
	s.expect("Never block 203.0.113.0/24?", "ends the block 203.0.113.3/32 outbound: its deny entries are removed")
	s.press("7", "l", "a", "b", "enter")
	if len(a.allowed) != 2 || a.allowed[1].Prefix.String() != "203.0.113.0/24" || !a.allowed[1].Expires.After(t0.Add(7*24*time.Hour)) {
		t.Fatalf("allowed %+v", a.allowed)
	}
	s.press("1", "G", "A") // an address that was refused: no block is behind it
	s.expect("Never block 10.1.2.3/32?", "nothing blocks it now")
	s.press("esc", "2", "x", "x", "A", "1", "b", "o", "t", "h", "enter")
	if len(a.allowed) != 4 || a.allowed[3].Prefix.String() != "198.51.100.2/32" {
		t.Fatalf("allowed %+v", a.allowed)
	}
	s.expect("2 never blocked from now on")
}

// TestMaskedAddressIsNotAllowed: what stands in for an internal address is nothing
// that a decision may be about.
func TestMaskedAddressIsNotAllowed(t *testing.T) {
	s := newScreen(t, 120, 40)
	a := &allower{console: s.con}
	s.m.cfg.Console = a
	s.show(full())
	s.press("G")
	s.m.run(s.m.keys.byAction["mask"], "mask")
	s.m.frame = ""
	s.frame()
	s.expect("10.x.x.x")
	s.press("A")
	if s.m.dialog != nil {
		t.Fatalf("asks whether to allow the stand-in of a mask:\n%s", s.frame())
	}
	s.press("b")
	s.expectNot("CIDR> 10.")
}

// TestAllowedPage: what is never blocked is listed with its end, and is ended from
// there with a reason.
func TestAllowedPage(t *testing.T) {
	s := newScreen(t, 120, 40)
	a := &allower{console: s.con}
	s.m.cfg.Console = a
	snap := full()
	s.show(snap)
	s.press("N")
	s.expect("nobody has said")
	snap = full()
	snap.Allowances = []blocklist.Allowance{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Actor: "bob@soc", Reason: "partner", At: t0.Add(-time.Hour)},
		{Prefix: netip.MustParsePrefix("198.51.100.0/28"), Actor: "carol@soc", Reason: "scan of ours", At: t0, Expires: t0.Add(5 * time.Hour)}}
	s.show(snap)
	s.expect("192.0.2.0/24", "without an end", "bob@soc 1h ago: partner", "until 08:00")
	s.press("down", "d", "d", "o", "n", "e", "enter")
	if len(a.disallowed) != 1 || a.disallowed[0].String() != "198.51.100.0/28" {
		t.Fatalf("ended %v", a.disallowed)
	}
	s.press("esc")
	s.expectNot("Never blocked, says a person")
}
