package blocklist

import (
	"errors"
	"testing"
	"time"

	"selfprotect/policy"
)

var byAlice = Archive{Actor: "alice@soc", Reason: "ours"}

// filing is an alert as it is now.
func filing(l *List, id string) Filing {
	st, ok := l.Alert(id)
	if !ok {
		return Filing{Alert: id}
	}
	return Filing{id, ExtentOf(st.Note, st.Sightings)}
}

func archive(t *testing.T, l *List, a Archive, ids ...string) error {
	t.Helper()
	var files []Filing
	for _, id := range ids {
		files = append(files, filing(l, id))
	}
	events, err := l.Archive(t0.Add(time.Minute), files, a)
	tell(t, l, events)
	return err
}

// TestArchive is the table of what may be archived, by the state of the block that
// the alert named.
func TestArchive(t *testing.T) {
	for _, tc := range []struct {
		state State
		want  error
	}{{Pending, ErrWaiting}, {Active, nil}, {Refused, nil}, {Undone, nil}, {Lapsed, nil}} {
		l := prepared(t, tc.state)
		before, _ := l.Block(badID)
		if err := archive(t, l, byAlice, "first"); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.state, err, tc.want)
		}
		st, _ := l.Alert("first")
		if (st.Archive != nil) != (tc.want == nil) {
			t.Errorf("%s: %+v", tc.state, st.Archive)
		}
		if after, _ := l.Block(badID); after.State != before.State || !after.Expires.Equal(before.Expires) {
			t.Errorf("%s: archiving made the block %+v", tc.state, after)
		}
	}
}

// TestArchiveIsBoundToWhatWasShown: an alert that has grown is refused, and of
// several all are when one is.
func TestArchiveIsBoundToWhatWasShown(t *testing.T) {
	l := New(Config{})
	see(t, l, t0, "a", policy.Ignore, 1)
	see(t, l, t0, "b", policy.Ignore, 1)
	shown := filing(l, "a")
	see(t, l, t0, "a", policy.Ignore, 2)
	events, err := l.Archive(t0, []Filing{filing(l, "b"), shown, {Alert: "unheard of"}}, byAlice)
	if len(events) != 0 || !errors.Is(err, ErrGrown) || !errors.Is(err, ErrUnknownAlert) {
		t.Errorf("%v, %v", events, err)
	}
}

// TestArchiveTwice: what is archived can be escalated, and no more than that.
func TestArchiveTwice(t *testing.T) {
	l := New(Config{})
	see(t, l, t0, "a", policy.Ignore, 1)
	escalated := byAlice
	escalated.Escalated = true
	for i, step := range []struct {
		a    Archive
		want error
	}{{byAlice, nil}, {byAlice, ErrArchived}, {escalated, nil}, {byAlice, ErrArchived}, {escalated, ErrArchived}} {
		if err := archive(t, l, step.a, "a"); !errors.Is(err, step.want) {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
	}
	if st, _ := l.Alert("a"); st.Archive == nil || !st.Archive.Escalated || st.Archive.Actor != "alice@soc" || st.Archive.Reason != "ours" {
		t.Errorf("%+v", st.Archive)
	}
	for i, want := range []error{nil, ErrNotArchived} {
		events, err := l.Unarchive(t0, []string{"a"}, "bob@soc", "look again")
		if tell(t, l, events); !errors.Is(err, want) {
			t.Errorf("unarchived %d times: %v", i, err)
		}
	}
	if st, _ := l.Alert("a"); st.Archive != nil {
		t.Errorf("still %+v", st.Archive)
	}
}

// TestArchiveEndsWhenItGrows: by more events, a new address, or a block that is
// proposed for one; not by what was known.
func TestArchiveEndsWhenItGrows(t *testing.T) {
	for _, tc := range []struct {
		name string
		grow func(l *List)
		back bool
	}{
		{"nothing new", func(l *List) { see(t, l, t0.Add(time.Hour), "a", policy.Ignore, 1) }, false},
		{"more events", func(l *List) {
			st, _ := l.Alert("a")
			n := st.Note
			n.Events++
			tell(t, l, []Event{{Kind: Observed, At: t0, Alert: &n}})
		}, true},
		{"another title", func(l *List) {
			st, _ := l.Alert("a")
			n := st.Note
			n.Title = "renamed"
			tell(t, l, []Event{{Kind: Observed, At: t0, Alert: &n}})
		}, false},
		{"more events about the address", func(l *List) { see(t, l, t0, "a", policy.Ignore, 2) }, true},
		{"another address", func(l *List) {
			in := anIndicator(1)
			in.Addr = in.Addr.Next()
			tell(t, l, l.Observe(t0, anAlert("a"), in, aVerdict(policy.Refuse)))
		}, true},
		{"a proposal", func(l *List) { see(t, l, t0, "a", policy.Ask, 1) }, true},
		{"another alert", func(l *List) { see(t, l, t0, "b", policy.Ask, 9) }, false},
		{"dismissed", func(l *List) {
			tell(t, l, []Event{{Kind: Dismissed, At: t0, Actor: EngineActor, Alert: &AlertNote{ID: "a"}}})
		}, false},
	} {
		l := New(Config{})
		see(t, l, t0, "a", policy.Ignore, 1)
		if err := archive(t, l, byAlice, "a"); err != nil {
			t.Fatal(err)
		}
		held, _ := l.Alert("a")
		tc.grow(l)
		saved, err := l.Save()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(Config{}, saved)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []*List{l, again} {
			if st, _ := l.Alert("a"); (st.Archive == nil) != tc.back {
				t.Errorf("%s: archived %v", tc.name, st.Archive)
			}
		}
		if held.Archive == nil {
			t.Errorf("%s: a state that was handed out has changed", tc.name)
		}
	}
}

// TestArchivedOfNothing: a record without an alert is refused, one about an alert
// that was dropped is not.
func TestArchivedOfNothing(t *testing.T) {
	for _, k := range []Kind{Archived, Unarchived} {
		l := New(Config{})
		if l.Apply(Event{Kind: k}) == nil {
			t.Errorf("%s of nothing is taken", k)
		}
		if err := l.Apply(Event{Kind: k, At: t0, Alert: &AlertNote{ID: "dropped"}}); err != nil || len(l.Alerts()) != 0 {
			t.Errorf("%s of a dropped alert: %v, %v", k, err, l.Alerts())
		}
	}
}
