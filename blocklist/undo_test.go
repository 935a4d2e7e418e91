package blocklist

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"selfprotect/policy"
)

// TestUndo is the table of what taking back the last decision leads to.
func TestUndo(t *testing.T) {
	for _, tc := range []struct {
		verbs []Verb
		want  State
		pin   bool
	}{
		{[]Verb{Approve}, Pending, false},
		{[]Verb{Deny}, Pending, false},
		{[]Verb{Approve, Revoke}, Active, false},
		{[]Verb{Approve, Pin}, Active, false},
		{[]Verb{Approve, Pin, Unpin}, Active, true},
		{[]Verb{Approve, Pin, Revoke}, Active, true},
		{[]Verb{Approve, Undo}, Active, false},
		{[]Verb{Approve, Revoke, Undo}, Undone, false},
	} {
		l := prepared(t, Pending)
		for i, v := range tc.verbs {
			if err := decide(t, l, t0.Add(time.Duration(i)*time.Minute), v); err != nil {
				t.Fatal(tc.verbs, err)
			}
		}
		if err := decide(t, l, t0.Add(time.Hour), Undo); err != nil {
			t.Errorf("%v: %v", tc.verbs, err)
			continue
		}
		if b := l.Blocks()[0]; b.State != tc.want || b.Pinned != tc.pin {
			t.Errorf("%v, undone: %s, pinned %v; want %s, %v", tc.verbs, b.State, b.Pinned, tc.want, tc.pin)
		}
	}
}

func TestUndoGivesNoMoreTime(t *testing.T) {
	l := prepared(t, Active)
	end := l.Blocks()[0].Expires
	if err := decide(t, l, t0.Add(time.Hour), Revoke); err != nil {
		t.Fatal(err)
	}
	if err := decide(t, l, end.Add(time.Second), Undo); !errors.Is(err, ErrNothingToUndo) {
		t.Errorf("after its end: %v", err)
	}
	if err := decide(t, l, end.Add(-time.Second), Undo); err != nil || !l.Blocks()[0].Expires.Equal(end) {
		t.Errorf("%v, it ends %v, before %v", err, l.Blocks()[0].Expires, end)
	}
}

func TestNothingToUndo(t *testing.T) {
	l := prepared(t, Pending)
	if err := decide(t, l, t0, Undo); !errors.Is(err, ErrNothingToUndo) {
		t.Errorf("a proposal: %v", err)
	}
	l = prepared(t, Active)
	tell(t, l, l.Expire(l.Blocks()[0].Expires))
	if err := decide(t, l, t0, Undo); !errors.Is(err, ErrNothingToUndo) {
		t.Errorf("an expired block: %v", err)
	}
}

// TestAutoLeavesAloneWhatWasTakenBack: the alert comes again with every poll.
func TestAutoLeavesAloneWhatWasTakenBack(t *testing.T) {
	l := prepared(t, Active)
	if err := decide(t, l, t0.Add(time.Minute), Undo); err != nil {
		t.Fatal(err)
	}
	b := l.Blocks()[0]
	a := anAlert("again")
	a.CreatedAt = t0.Add(2 * time.Minute)
	in := anIndicator(1)
	v := aVerdict(policy.Block)
	v.Prefix = b.Prefix
	tell(t, l, append(l.Note(t0.Add(2*time.Minute), a, ""), l.Observe(t0.Add(2*time.Minute), a, in, v)...))
	if got := l.Blocks()[0].State; got != Pending {
		t.Errorf("it is %s again", got)
	}
}

// TestUndoIsItsOwnInverse: undo takes back exactly what the decision changed, and
// undo of undo what the undo changed, as far as what is wanted goes.
func TestUndoIsItsOwnInverse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := prepared(t, Pending)
		now := t0
		for range rapid.IntRange(1, 8).Draw(rt, "decisions") {
			now = now.Add(time.Minute)
			before, count := l.Wanted(now), len(l.past)
			verb := rapid.SampledFrom([]Verb{Approve, Deny, Revoke, Pin, Unpin, Undo}).Draw(rt, "verb")
			if decide(t, l, now, verb) != nil {
				continue
			}
			after := l.Wanted(now)
			for i, want := range [][]Candidate{before, after} {
				if err := decide(t, l, now, Undo); err != nil {
					rt.Fatal(err)
				}
				got := l.Wanted(now)
				if len(got) != len(want) || len(got) > 0 && (got[0].Prefix != want[0].Prefix || got[0].Pinned != want[0].Pinned || !got[0].Expires.Equal(want[0].Expires) || !got[0].Since.Equal(want[0].Since)) {
					rt.Fatalf("%s, undo %d: wanted %+v, was %+v", verb, i+1, got, want)
				}
				if i == 0 && len(l.past) != count {
					rt.Fatalf("%s, undone: the repeats are %v", verb, l.past)
				}
			}
		}
	})
}
