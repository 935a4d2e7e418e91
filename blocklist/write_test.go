package blocklist

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"selfprotect/alert"
	"selfprotect/policy"
)

var rules = Rules{Settle: 5 * time.Minute, RequestExpiry: 15 * time.Minute}

// TestJudge is the table of how a write is settled.
func TestJudge(t *testing.T) {
	answered := t0.Add(time.Second)
	done, refused, gone, none := Answer{Done: true, At: answered}, Answer{Refused: true, At: answered}, Answer{Refused: true, Gone: true, At: answered}, Answer{}
	soon, settled, expired := t0.Add(2*time.Second), t0.Add(6*time.Minute), t0.Add(21*time.Minute)
	first := t0.Add(2 * time.Second) // when reads began to agree
	for _, tc := range []struct {
		op    string
		a     Answer
		there bool
		now   time.Time
		want  WriteOutcome // empty: not yet
	}{
		{OpCreate, done, true, soon, Present},
		{OpCreate, none, true, soon, Present}, // proof at once, whatever the answer
		{OpCreate, refused, true, soon, Present},
		{OpCreate, refused, false, soon, Absent},
		{OpCreate, done, false, soon, ""},
		{OpCreate, done, false, settled, Absent},
		{OpCreate, none, false, soon, ""},
		{OpCreate, none, false, settled, ""}, // it may still land
		{OpCreate, none, false, expired, Absent},
		{OpReplace, none, true, soon, Present},
		{OpReplace, none, false, settled, ""},
		{OpReplace, none, false, expired, Absent},
		{OpDelete, done, false, soon, ""}, // absence in one read proves nothing
		{OpDelete, done, false, settled, Absent},
		{OpDelete, done, true, soon, ""}, // a stale read
		{OpDelete, done, true, settled, Present},
		{OpDelete, none, false, settled, ""},
		{OpDelete, none, false, expired, Absent},
		{OpDelete, none, true, settled, ""},
		{OpDelete, none, true, expired, Present},
		{OpDelete, refused, true, soon, Present},
		{OpDelete, refused, false, soon, Present}, // the read lags
		{OpDelete, gone, false, soon, Absent},
		{OpDelete, gone, true, soon, ""}, // the two disagree: wait
	} {
		w := PendingWrite{At: t0, Write: Write{Op: tc.op}}
		got, _ := rules.judge(w, tc.a, tc.there, first, tc.now)
		if got != tc.want {
			t.Errorf("%s, answer %+v, there %v, %s later: %q, want %q", tc.op, tc.a, tc.there, tc.now.Sub(t0), got, tc.want)
		}
	}
}

func started(id, op string, number int, p netip.Prefix) Event {
	return Event{Kind: Started, At: t0, WriteID: id, Write: &Write{ACL: "acl-1", Op: op, Direction: alert.Outbound, Number: number, Prefix: p}}
}

func reading(at time.Time, seen map[int]netip.Prefix) Reading {
	r := Reading{ACL: "acl-1", At: at, Seen: map[Slot]netip.Prefix{}, Since: map[string]time.Time{}}
	for n, p := range seen {
		r.Seen[Slot{alert.Outbound, n}] = p
	}
	return r
}

// owner gives a list that has one active block whose entry 1 was read back.
func owner(t *testing.T) *List {
	t.Helper()
	l := prepared(t, Active)
	tell(t, l, []Event{started("w1", OpCreate, 1, bad)})
	tell(t, l, l.Reconcile(t0.Add(time.Second), reading(t0.Add(time.Second), map[int]netip.Prefix{1: bad}), nil, rules))
	return l
}

func TestReadBackMakesItOurs(t *testing.T) {
	l := owner(t)
	if o := l.Owned("acl-1"); len(o) != 1 || o[0].Number != 1 || o[0].Prefixes[0] != bad {
		t.Errorf("owned %+v", o)
	}
	if n := len(l.Pending("acl-1")); n != 0 {
		t.Errorf("%d writes pending", n)
	}
}

func TestReadBegunBeforeTheWriteProvesNothing(t *testing.T) {
	l := prepared(t, Active)
	tell(t, l, []Event{started("w1", OpCreate, 1, bad)})
	old := reading(t0.Add(-time.Second), map[int]netip.Prefix{1: bad})
	if ev := l.Reconcile(t0.Add(time.Hour), old, nil, rules); len(ev) != 0 {
		t.Errorf("an old read settles %+v", ev)
	}
}

// TestAnOldReadOfAReplacedEntryProvesNothing: an entry that stood at a number
// before, and is to stand there again, may be what an old read shows.
func TestAnOldReadOfAReplacedEntryProvesNothing(t *testing.T) {
	wide := netip.MustParsePrefix("203.0.113.6/31")
	l := owner(t)
	replace := func(id string, at time.Time, from, to netip.Prefix) {
		e := started(id, OpReplace, 1, to)
		e.At, e.Write.Old = at, from
		tell(t, l, []Event{e})
	}
	read := func(at time.Time, shows netip.Prefix, want int) {
		t.Helper()
		ev := l.Reconcile(at, reading(at, map[int]netip.Prefix{1: shows}), nil, rules)
		if len(ev) != want {
			t.Errorf("a read of %s after %s gives %+v", shows, at.Sub(t0), ev)
		}
		tell(t, l, ev)
	}
	widened := t0.Add(time.Minute)
	replace("w2", widened, bad, wide)
	read(widened.Add(time.Second), wide, 1)
	narrowed := widened.Add(time.Minute)
	replace("w3", narrowed, wide, bad)
	read(narrowed.Add(time.Second), bad, 0) // may be as old as the first minute
	if p := l.Owned("acl-1")[0].Prefixes; len(p) != 2 {
		t.Errorf("ours is %v, want both until it is proven", p)
	}
	read(widened.Add(rules.Settle+2*time.Second), bad, 1)
}

func TestDriftAndReturn(t *testing.T) {
	l := owner(t)
	at := t0.Add(time.Minute)
	tell(t, l, l.Reconcile(at, reading(at, nil), nil, rules))
	if len(l.Drifts("acl-1")) != 1 || len(l.Wanted(at)) != 0 {
		t.Fatalf("a missing entry is no drift")
	}
	if l.Resting(at, "acl-1", rules)[alert.Outbound][1].IsZero() {
		t.Errorf("the number of a missing entry is used again at once")
	}
	if ev := l.Reconcile(at, reading(at, nil), nil, rules); len(ev) != 0 {
		t.Errorf("drift is told twice")
	}
	back := at.Add(time.Minute)
	tell(t, l, l.Reconcile(back, reading(back, map[int]netip.Prefix{1: bad}), nil, rules))
	if len(l.Drifts("acl-1")) != 0 || len(l.Wanted(back)) != 1 {
		t.Errorf("an entry that is there after all is still drift")
	}
}

func TestDriftIsNotOursForEver(t *testing.T) {
	l := owner(t)
	at := t0.Add(time.Minute)
	tell(t, l, l.Reconcile(at, reading(at, nil), nil, rules))
	late := at.Add(rules.Settle)
	if ev := l.Reconcile(late, reading(late, nil), nil, rules); len(ev) != 0 {
		t.Errorf("one read long ago and one now prove nothing: %+v", ev)
	}
	early := reading(at.Add(time.Second), nil)
	early.Missing = map[Slot]time.Time{{alert.Outbound, 1}: at.Add(-rules.Settle)}
	if ev := l.Reconcile(at.Add(time.Second), early, nil, rules); len(ev) != 0 {
		t.Errorf("reads from before it was there prove that it is gone: %+v", ev)
	}
	rd := reading(late, nil)
	rd.Missing = map[Slot]time.Time{{alert.Outbound, 1}: at}
	tell(t, l, l.Reconcile(late, rd, nil, rules))
	if o := l.Owned("acl-1"); len(o) != 0 {
		t.Errorf("still ours after the settle window: %+v", o)
	}
	if ev := l.Reconcile(late, reading(late, map[int]netip.Prefix{1: bad}), nil, rules); len(ev) != 0 {
		t.Errorf("what somebody made later came back as ours: %+v", ev)
	}
	if err := decide(t, l, late, Restore); err != nil {
		t.Fatal(err)
	}
	if len(l.Wanted(late)) != 1 || len(l.Drifts("acl-1")) != 0 {
		t.Errorf("restore does not make it wanted")
	}
	if err := decide(t, l, late, Restore); err == nil {
		t.Errorf("a second restore is no error")
	}
}

// TestRestoreLeavesWhatStandsThereNow: the number of a removed entry may have been
// given to another one before a person asks for the first back.
func TestRestoreLeavesWhatStandsThereNow(t *testing.T) {
	l := owner(t)
	at := t0.Add(time.Minute)
	tell(t, l, l.Reconcile(at, reading(at, nil), nil, rules))
	late := at.Add(rules.Settle)
	rd := reading(late, nil)
	rd.Missing = map[Slot]time.Time{{alert.Outbound, 1}: at}
	tell(t, l, l.Reconcile(late, rd, nil, rules))
	other := netip.MustParsePrefix("203.0.113.99/32")
	e := started("w2", OpCreate, 1, other)
	e.At = late
	tell(t, l, []Event{e})
	tell(t, l, l.Reconcile(late.Add(time.Second), reading(late.Add(time.Second), map[int]netip.Prefix{1: other}), nil, rules))
	if err := decide(t, l, late.Add(time.Minute), Restore); err != nil {
		t.Fatal(err)
	}
	if o := l.Owned("acl-1"); len(o) != 1 || o[0].Prefixes[0] != other {
		t.Errorf("ours is %+v", o)
	}
}

// TestRestoreDoesNotForget: what a read lacked may be there all the same when a
// person asks for it back at once.
func TestRestoreDoesNotForget(t *testing.T) {
	l := owner(t)
	at := t0.Add(time.Minute)
	tell(t, l, l.Reconcile(at, reading(at, nil), nil, rules))
	if err := decide(t, l, at, Restore); err != nil {
		t.Fatal(err)
	}
	if len(l.Wanted(at)) != 1 || len(l.Owned("acl-1")) != 1 || l.Resting(at, "acl-1", rules)[alert.Outbound][1].IsZero() {
		t.Errorf("wanted %v, ours %v", l.Wanted(at), l.Owned("acl-1"))
	}
	tell(t, l, l.Reconcile(at, reading(at.Add(time.Second), map[int]netip.Prefix{1: bad}), nil, rules))
	if len(l.Resting(at, "acl-1", rules)[alert.Outbound]) != 0 {
		t.Errorf("an entry that is there after all still rests")
	}
}

func TestDoneButRemovedAtOnceIsDrift(t *testing.T) {
	l := prepared(t, Active)
	tell(t, l, []Event{started("w1", OpCreate, 1, bad)})
	at := t0.Add(6 * time.Minute)
	rd := reading(at, nil)
	rd.Since["w1"] = t0.Add(2 * time.Second)
	tell(t, l, l.Reconcile(at, rd, map[string]Answer{"w1": {Done: true, At: t0.Add(time.Second)}}, rules))
	if len(l.Drifts("acl-1")) != 1 || len(l.Wanted(at)) != 0 {
		t.Errorf("it would be written again without asking")
	}
}

// TestFoldIsTheState: random histories give the same state live, from records,
// from a checkpoint, and from a checkpoint with the rest of the records.
func TestFoldIsTheState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live := New(Config{MaxAlerts: 20})
		var records [][]byte
		now := t0
		apply := func(events []Event) {
			for _, e := range events {
				b, err := e.Encode()
				if err != nil {
					t.Fatal(err)
				}
				records = append(records, b)
				if err := live.Apply(e); err != nil {
					t.Fatalf("%s: %v", b, err)
				}
			}
		}
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "hours")) * time.Hour)
			apply(randomEvents(t, live, now, step))
		}
		want := saved(t, live)
		cutAt := rapid.IntRange(0, len(records)).Draw(t, "cut")
		folded := fold(t, New(Config{MaxAlerts: 20}), records[:cutAt])
		again, err := Load(Config{MaxAlerts: 20}, []byte(saved(t, folded)))
		if err != nil {
			t.Fatal(err)
		}
		if saved(t, again) != saved(t, folded) {
			t.Fatalf("a checkpoint changes the state")
		}
		for _, l := range []*List{folded, again} {
			if got := saved(t, fold(t, l, records[cutAt:])); got != want {
				t.Fatalf("the fold differs from what was lived through:\n%s\n%s", got, want)
			}
		}
	})
}

func saved(t *rapid.T, l *List) string {
	b, err := l.Save()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func fold(t *rapid.T, l *List, records [][]byte) *List {
	for _, r := range records {
		e, err := Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Apply(e); err != nil {
			t.Fatalf("%s: %v", r, err)
		}
	}
	return l
}

// randomEvents does one thing that an engine might do.
func randomEvents(t *rapid.T, l *List, now time.Time, step int) []Event {
	p := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(rapid.IntRange(1, 4).Draw(t, "address"))}), 32)
	id := MakeID(alert.Outbound, p, targets)
	switch rapid.IntRange(0, 7).Draw(t, "what") {
	case 0, 1:
		a := anAlert(fmt.Sprint("a", rapid.IntRange(0, 30).Draw(t, "alert")))
		a.CreatedAt = now
		v := aVerdict(rapid.SampledFrom([]policy.Action{policy.Ignore, policy.Refuse, policy.Ask, policy.Block}).Draw(t, "verdict"))
		v.Prefix = p
		in := alert.Indicator{Addr: p.Addr(), Direction: alert.Outbound, Events: rapid.IntRange(0, 3).Draw(t, "events")}
		return append(l.Note(now, a, ""), l.Observe(now, a, in, v)...)
	case 2:
		events, _ := l.Decide(now, id, Decision{Verb: rapid.SampledFrom([]Verb{Approve, Deny, Revoke, Restore}).Draw(t, "verb"), Actor: "alice@soc"})
		return events
	case 3:
		return l.Expire(now)
	case 4:
		e := started(fmt.Sprint("w", step), rapid.SampledFrom([]string{OpCreate, OpReplace, OpDelete}).Draw(t, "op"), rapid.IntRange(1, 4).Draw(t, "number"), p)
		e.At = now
		return []Event{e}
	case 5:
		seen := map[int]netip.Prefix{}
		for n := 1; n <= 4; n++ {
			if rapid.Bool().Draw(t, "there") {
				seen[n] = p
			}
		}
		return l.Reconcile(now, reading(now, seen), nil, rules)
	case 6:
		a := fmt.Sprint("a", rapid.IntRange(0, 30).Draw(t, "alert"))
		if st, ok := l.Alert(a); ok && st.Archive == nil {
			events, _ := l.Archive(now, []Filing{{a, ExtentOf(st.Note, st.Sightings)}}, Archive{Actor: "alice@soc", Reason: "ours", Escalated: rapid.Bool().Draw(t, "escalated")})
			return events
		}
		events, _ := l.Unarchive(now, []string{a}, "alice@soc", "look again")
		return events
	}
	return []Event{{Kind: ModeSet, At: now, Actor: "alice@soc", Mode: policy.Review}, {Kind: Marked, At: now, Source: "s", Through: now}}
}
