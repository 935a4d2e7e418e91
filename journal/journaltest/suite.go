package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"selfprotect/journal"
)

// Handle is one way to a log, as one process has it.
type Handle interface {
	journal.Log
	Close() error
}

// Store is a log that can be opened more than once.
type Store interface {
	// Open gives another handle, which sees all that was acknowledged before. The
	// suite closes it.
	Open(t *testing.T) Handle
	// Tamper exchanges the payload of a record without the means of the log, as
	// damage would. No handle is open then.
	Tamper(t *testing.T, seq journal.Seq, change func(payload []byte) []byte)
}

// Run holds a log to the contract. fresh gives a new, empty store; it is also
// called in synctest bubbles, so a store must leave no goroutine behind after its
// handles are closed. A handle that has Checkpoints is held to that contract too.
func Run(t *testing.T, fresh func(t *testing.T) Store) {
	tests := []struct {
		name string
		run  func(t *testing.T, s Store)
	}{
		{"empty", testEmpty},
		{"append and read", testAppendRead},
		{"conflict", testConflict},
		{"all or none", testAllOrNone},
		{"append of nothing", testNothing},
		{"two handles", testTwoHandles},
		{"reopen", testReopen},
		{"many writers", testWriters},
		{"error of the reader", testReaderError},
		{"reader uses the log", testReaderAppends},
		{"cancelled", testCancelled},
		{"big payloads", testBig},
		{"any bytes", testBytes},
		{"past the end", testPastEnd},
		{"chain", testChain},
		{"checkpoints", testCheckpoints},
		{"checkpoint of a changed record", testCheckpointChain},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, fresh(t)) })
	}
	runLeases(t, fresh)
}

// open gives a handle that is closed at the end of the test.
func open(t *testing.T, s Store) Handle {
	t.Helper()
	h := s.Open(t)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func add(t *testing.T, l journal.Log, after journal.Seq, payloads ...string) journal.Seq {
	t.Helper()
	var b [][]byte
	for _, p := range payloads {
		b = append(b, []byte(p))
	}
	seq, err := l.Append(t.Context(), after, b...)
	if err != nil {
		t.Fatalf("append after %d: %v", after, err)
	}
	return seq
}

// contents reads the log and checks that the numbers have no gap.
func contents(t *testing.T, l journal.Log, after journal.Seq) []string {
	t.Helper()
	var all []string
	err := l.Read(t.Context(), after, func(seq journal.Seq, p []byte) error {
		if want := after + journal.Seq(len(all)) + 1; seq != want {
			t.Fatalf("record %d comes where %d should", seq, want)
		}
		all = append(all, string(p))
		return nil
	})
	if err != nil {
		t.Fatalf("read after %d: %v", after, err)
	}
	return all
}

func wantContents(t *testing.T, l journal.Log, after journal.Seq, want ...string) {
	t.Helper()
	if got := contents(t, l, after); !slices.Equal(got, want) {
		t.Errorf("read after %d: got %d records %.100q, want %d %.100q", after, len(got), got, len(want), want)
	}
}

func wantConflict(t *testing.T, err error) {
	t.Helper()
	var c interface{ Conflict() bool }
	if !errors.Is(err, journal.ErrConflict) || !errors.As(err, &c) || !c.Conflict() {
		t.Errorf("got %v, want ErrConflict with Conflict() true", err)
	}
}

func testEmpty(t *testing.T, s Store) {
	l := open(t, s)
	wantContents(t, l, 0)
	_, err := l.Append(t.Context(), 1, []byte(`{}`))
	wantConflict(t, err)
	wantContents(t, l, 0)
}

func testAppendRead(t *testing.T, s Store) {
	l := open(t, s)
	if seq := add(t, l, 0, `{"n":1}`); seq != 1 {
		t.Errorf("the first record has number %d", seq)
	}
	if seq := add(t, l, 1, `{"n":2}`, `{"n":3}`, `{"n":4}`); seq != 4 {
		t.Errorf("the last of four records has number %d", seq)
	}
	wantContents(t, l, 0, `{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`)
	wantContents(t, l, 2, `{"n":3}`, `{"n":4}`)
	wantContents(t, l, 4)
}

func testConflict(t *testing.T, s Store) {
	l := open(t, s)
	add(t, l, 0, "1", "2", "3")
	for _, after := range []journal.Seq{0, 1, 2, 4, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		_, err := l.Append(t.Context(), after, []byte("x"))
		wantConflict(t, err)
	}
	wantContents(t, l, 0, "1", "2", "3")
	add(t, l, 3, "4")
	wantContents(t, l, 0, "1", "2", "3", "4")
}

func testAllOrNone(t *testing.T, s Store) {
	l := open(t, s)
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint(i))
	}
	if seq := add(t, l, 0, many...); seq != 1000 {
		t.Errorf("got %d, want 1000", seq)
	}
	for _, after := range []journal.Seq{0, 500, 999} {
		_, err := l.Append(t.Context(), after, []byte("a"), []byte("b"))
		wantConflict(t, err)
	}
	wantContents(t, l, 0, many...)
}

func testNothing(t *testing.T, s Store) {
	l := open(t, s)
	if seq, err := l.Append(t.Context(), 0); seq != 0 || err != nil {
		t.Errorf("to an empty log: got %d, %v", seq, err)
	}
	add(t, l, 0, "1")
	if seq, err := l.Append(t.Context(), 1); seq != 1 || err != nil {
		t.Errorf("at the end: got %d, %v", seq, err)
	}
	_, err := l.Append(t.Context(), 0)
	wantConflict(t, err)
	wantContents(t, l, 0, "1")
}

func testTwoHandles(t *testing.T, s Store) {
	a, b := open(t, s), open(t, s)
	add(t, a, 0, "a1")
	wantContents(t, b, 0, "a1")
	_, err := b.Append(t.Context(), 0, []byte("b"))
	wantConflict(t, err)
	add(t, b, 1, "b2")
	wantContents(t, a, 1, "b2")
	_, err = a.Append(t.Context(), 1, []byte("a"))
	wantConflict(t, err)
}

func testReopen(t *testing.T, s Store) {
	var want []string
	for round := range journal.Seq(5) {
		l := s.Open(t)
		wantContents(t, l, 0, want...)
		p := fmt.Sprintf("round %d", round)
		add(t, l, round, p)
		want = append(want, p)
		if err := l.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	wantContents(t, open(t, s), 0, want...)
}

func testReaderError(t *testing.T, s Store) {
	l := open(t, s)
	add(t, l, 0, "1", "2", "3")
	stop := errors.New("enough")
	calls := 0
	err := l.Read(t.Context(), 0, func(seq journal.Seq, _ []byte) error {
		calls++
		if seq == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || calls != 2 {
		t.Errorf("got %v after %d calls, want the reader's error after 2", err, calls)
	}
	wantContents(t, l, 0, "1", "2", "3")
}

func testReaderAppends(t *testing.T, s Store) {
	l := open(t, s)
	add(t, l, 0, "1", "2")
	var seen []string
	last := journal.Seq(2)
	err := l.Read(t.Context(), 0, func(_ journal.Seq, p []byte) error {
		seen = append(seen, string(p))
		seq, err := l.Append(t.Context(), last, append([]byte("after "), p...))
		last = seq
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []string{"1", "2"}) {
		t.Errorf("the reader saw %q, want what was there when it began", seen)
	}
	wantContents(t, l, 0, "1", "2", "after 1", "after 2")
}

func testCancelled(t *testing.T, s Store) {
	l := open(t, s)
	add(t, l, 0, "1", "2", "3")
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := l.Read(ctx, 0, func(journal.Seq, []byte) error { calls++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("read: got %v after %d calls, want context.Canceled after 1", err, calls)
	}
	if _, err := l.Append(ctx, 3, []byte("4")); !errors.Is(err, context.Canceled) {
		t.Errorf("append: got %v, want context.Canceled", err)
	}
	if _, _, _, err := l.Lease(ctx, "name", "a", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("lease: got %v, want context.Canceled", err)
	}
	wantContents(t, l, 0, "1", "2", "3")
	add(t, l, 3, "4")
}

func testBig(t *testing.T, s Store) {
	l := open(t, s)
	var want []string
	for i, size := range []int{0, 1, 4096, 70_000, 3 << 20, 5, 1<<20 + 1} {
		p := strings.Repeat(string(rune('a'+i)), size)
		add(t, l, journal.Seq(i), p)
		want = append(want, p)
	}
	got := contents(t, l, 0)
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("payload %d of %d bytes is not what was appended", i+1, len(want[i]))
		}
	}
}

func testBytes(t *testing.T, s Store) {
	l := open(t, s)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	mine := bytes.Clone(all)
	if _, err := l.Append(t.Context(), 0, mine, nil, []byte{}, []byte("\x00"), []byte("'; DROP TABLE record; --")); err != nil {
		t.Fatal(err)
	}
	clear(mine) // the log has a copy
	wantContents(t, l, 0, string(all), "", "", "\x00", "'; DROP TABLE record; --")
}

func testPastEnd(t *testing.T, s Store) {
	l := open(t, s)
	add(t, l, 0, "1", "2")
	for _, after := range []journal.Seq{3, 1 << 62, 1<<64 - 1} {
		err := l.Read(t.Context(), after, func(journal.Seq, []byte) error { t.Error("a record past the end"); return nil })
		wantCorrupt(t, err, 3)
	}
}

func wantCorrupt(t *testing.T, err error, at journal.Seq) {
	t.Helper()
	var c *journal.CorruptError
	if !errors.As(err, &c) || !errors.Is(err, journal.ErrCorrupt) {
		t.Errorf("got %v, want a *CorruptError", err)
	} else if c.Seq != at {
		t.Errorf("got %v, want record %d to be named", err, at)
	}
}

// testChain changes one payload in each of several ways: reads that begin before
// it give all before it, then name it; those that begin after it do not look.
func testChain(t *testing.T, s Store) {
	l := s.Open(t)
	add(t, l, 0, "one", "two", "three", "four")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func([]byte) []byte{
		func(p []byte) []byte { p[0] ^= 1; return p },
		func(p []byte) []byte { return p[:len(p)-1] },
		func(p []byte) []byte { return append(p, 0) },
		func([]byte) []byte { return []byte("two") },
	} {
		var old []byte
		s.Tamper(t, 3, func(p []byte) []byte { old = bytes.Clone(p); return change(p) })
		l := s.Open(t)
		for after := range journal.Seq(3) {
			next := after
			err := l.Read(t.Context(), after, func(seq journal.Seq, _ []byte) error { next = seq; return nil })
			wantCorrupt(t, err, 3)
			if next != 2 {
				t.Errorf("read after %d: gave records up to %d, want 2", after, next)
			}
		}
		wantContents(t, l, 3, "four")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		s.Tamper(t, 3, func([]byte) []byte { return old })
	}
	wantContents(t, open(t, s), 0, "one", "two", "three", "four")
}
