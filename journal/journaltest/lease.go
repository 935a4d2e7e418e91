package journaltest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/journal"
)

type checkpointer interface {
	Handle
	journal.Checkpoints
}

func save(t *testing.T, c checkpointer, seq journal.Seq, state string) {
	t.Helper()
	if err := c.SaveCheckpoint(t.Context(), seq, []byte(state)); err != nil {
		t.Fatalf("save at %d: %v", seq, err)
	}
}

// wantCheckpoint wants none when state is "".
func wantCheckpoint(t *testing.T, c checkpointer, seq journal.Seq, state string) {
	t.Helper()
	gotSeq, got, ok, err := c.LoadCheckpoint(t.Context())
	if err != nil || ok != (state != "") || gotSeq != seq || string(got) != state {
		t.Errorf("load: got %d %q %v %v, want %d %q", gotSeq, got, ok, err, seq, state)
	}
}

func testCheckpoints(t *testing.T, s Store) {
	c, ok := s.Open(t).(checkpointer)
	if !ok {
		return // the log has no checkpoints, which it need not
	}
	wantCheckpoint(t, c, 0, "")
	save(t, c, 0, "at nothing")
	wantCheckpoint(t, c, 0, "at nothing")
	add(t, c, 0, "1", "2", "3", "4")
	if err := c.SaveCheckpoint(t.Context(), 5, []byte("future")); err == nil {
		t.Error("a checkpoint of a record that does not exist was saved")
	}
	save(t, c, 2, "old")
	save(t, c, 3, "new")
	wantCheckpoint(t, c, 3, "new")
	save(t, c, 3, "newer")
	wantCheckpoint(t, c, 3, "newer")
	save(t, c, 1, "late")
	wantCheckpoint(t, c, 3, "newer")
	big := strings.Repeat("state", 1<<20)
	save(t, c, 4, big)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	wantCheckpoint(t, open(t, s).(checkpointer), 4, big)
}

func testCheckpointChain(t *testing.T, s Store) {
	c, ok := s.Open(t).(checkpointer)
	if !ok {
		return
	}
	add(t, c, 0, "1", "2", "3", "4")
	save(t, c, 2, "old")
	save(t, c, 4, "new")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		damaged journal.Seq
		seq     journal.Seq
		state   string
	}{{4, 2, "old"}, {2, 0, ""}} {
		s.Tamper(t, step.damaged, func(p []byte) []byte { p[0] ^= 1; return p })
		c := s.Open(t).(checkpointer)
		wantCheckpoint(t, c, step.seq, step.state)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runLeases runs in virtual time.
func runLeases(t *testing.T, fresh func(t *testing.T) Store) {
	t.Run("lease", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { testLease(t, fresh(t)) })
	})
	t.Run("lease has one holder", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { testLeaseRace(t, fresh(t)) })
	})
}

type leases struct {
	t *testing.T
	journal.Log
}

// want asks for the lease "x" and checks the answer: the owner, and its end as a
// time from now.
func (l leases) want(holder string, ttl time.Duration, held bool, owner string, end time.Duration) {
	l.t.Helper()
	l.wantNamed("x", holder, ttl, held, owner, end)
}

func (l leases) wantNamed(name, holder string, ttl time.Duration, held bool, owner string, end time.Duration) {
	l.t.Helper()
	h, o, until, err := l.Lease(l.t.Context(), name, holder, ttl)
	if err != nil || h != held || o != owner || !until.Equal(time.Now().Add(end)) {
		l.t.Errorf("lease %s for %s, %v: got %v %q %v %v, want %v %q %v", name, holder, ttl, h, o, time.Until(until), err, held, owner, end)
	}
}

func testLease(t *testing.T, s Store) {
	one, two := open(t, s), open(t, s)
	a, b := leases{t, one}, leases{t, two}
	const ttl = 20 * time.Second
	a.want("a", 0, false, "", 0) // nobody has it
	a.want("a", ttl, true, "a", ttl)
	b.want("b", ttl, false, "a", ttl)
	b.wantNamed("y", "b", ttl, true, "b", ttl) // another name is another lease
	time.Sleep(15 * time.Second)
	b.want("b", ttl, false, "a", 5*time.Second)
	b.want("b", 0, false, "a", 5*time.Second) // not b's to give back
	a.want("a", ttl, true, "a", ttl)          // renewed
	time.Sleep(ttl - 1)
	b.want("b", ttl, false, "a", 1)
	time.Sleep(time.Nanosecond)
	b.want("b", ttl, true, "b", ttl) // it has run out
	a.want("a", ttl, false, "b", ttl)
	b.want("b", -1, false, "", 0) // given back
	b.want("b", 0, false, "", 0)
	a.want("a", time.Nanosecond, true, "a", 1)
	time.Sleep(time.Hour)
	b.want("b", 0, false, "", 0) // a's has run out: nobody has it
	a.want("a", ttl, true, "a", ttl)
	for _, bad := range [][2]string{{"", "a"}, {"x", ""}} {
		if held, _, _, err := one.Lease(t.Context(), bad[0], bad[1], ttl); err == nil || held {
			t.Errorf("lease %q for %q: got %v, %v, want an error", bad[0], bad[1], held, err)
		}
	}
	if err := one.Close(); err != nil { // a lease outlives the handle
		t.Fatal(err)
	}
	leases{t, open(t, s)}.want("c", ttl, false, "a", ttl)
}

// testLeaseRace lets many ask at the same instant, round after round.
func testLeaseRace(t *testing.T, s Store) {
	l := open(t, s)
	const ttl = time.Second
	for range 20 {
		got := make(chan string, 8)
		for _, holder := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			go func() {
				held, owner, _, err := l.Lease(t.Context(), "x", holder, ttl)
				if err != nil {
					t.Errorf("lease: %v", err)
				}
				if held != (owner == holder) {
					t.Errorf("%s: held %v, but the owner is %s", holder, held, owner)
				}
				got <- owner
			}()
		}
		owners := map[string]bool{}
		for range cap(got) {
			owners[<-got] = true
		}
		if len(owners) != 1 {
			t.Errorf("at one instant the lease had the owners %v", owners)
		}
		time.Sleep(ttl)
	}
}
