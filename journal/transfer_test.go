package journal_test

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"selfprotect/journal"
)

// logOf gives a journal with n records, and its path.
func logOf(t *testing.T, n int) *journal.SQLite {
	t.Helper()
	j, err := journal.Open(filepath.Join(t.TempDir(), "j.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	for i := range n {
		if _, err := j.Append(t.Context(), journal.Seq(i), fmt.Appendf(nil, `{"v":1,"n":%d}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// after gives the records with a higher number.
func after(n journal.Seq, all iter.Seq2[journal.Record, error]) iter.Seq2[journal.Record, error] {
	return func(yield func(journal.Record, error) bool) {
		for r, err := range all {
			if (err != nil || r.Seq > n) && !yield(r, err) {
				return
			}
		}
	}
}

func TestExtendIsACopy(t *testing.T) {
	from := logOf(t, 5)
	n, head, err := from.Tail(t.Context())
	if err != nil || n != 5 {
		t.Fatal(n, err)
	}
	for _, has := range []int{0, 3, 5} { // of the same records
		to := logOf(t, 0)
		if _, err := to.Extend(t.Context(), 0, from.Records(t.Context(), journal.Seq(has))); err != nil {
			t.Fatal(err)
		}
		last, err := to.Extend(t.Context(), journal.Seq(has), after(journal.Seq(has), from.Records(t.Context(), n)))
		if err != nil || last != n {
			t.Fatalf("%d records before: %d, %v", has, last, err)
		}
		if _, got, err := to.Tail(t.Context()); err != nil || got != head {
			t.Errorf("%d records before: head %x, %v; want %x", has, got, err, head)
		}
		if err := to.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := to.Append(t.Context(), n, []byte("goes on")); err != nil {
			t.Errorf("it does not go on: %v", err)
		}
	}
}

// TestExtendRefuses: what does not follow is refused, and nothing of it is kept.
func TestExtendRefuses(t *testing.T) {
	from := logOf(t, 5)
	change := func(what func(*journal.Record)) iter.Seq2[journal.Record, error] {
		return func(yield func(journal.Record, error) bool) {
			for r, err := range from.Records(t.Context(), 5) {
				if r.Seq == 4 {
					what(&r)
				}
				if !yield(r, err) {
					return
				}
			}
		}
	}
	for name, records := range map[string]iter.Seq2[journal.Record, error]{
		"changed payload": change(func(r *journal.Record) { r.Payload = []byte("{}") }),
		"changed time":    change(func(r *journal.Record) { r.At++ }),
		"changed hash":    change(func(r *journal.Record) { r.Hash[0]++ }),
		"left out":        change(func(r *journal.Record) { r.Seq++ }),
		"not from 1":      after(1, from.Records(t.Context(), 5)),
		"newer":           change(func(r *journal.Record) { r.Version = journal.Version + 1 }),
		"broken off":      func(yield func(journal.Record, error) bool) { yield(journal.Record{}, errors.New("cut off")) },
	} {
		to := logOf(t, 0)
		if _, err := to.Extend(t.Context(), 0, records); err == nil {
			t.Errorf("%s: taken", name)
		} else if name == "newer" != errors.Is(err, journal.ErrNewer) {
			t.Errorf("%s: %v", name, err)
		}
		if n, _, err := to.Tail(t.Context()); n != 0 || err != nil {
			t.Errorf("%s: %d records are left, %v", name, n, err)
		}
	}
	other := logOf(t, 2)
	if _, err := other.Extend(t.Context(), 0, from.Records(t.Context(), 5)); !errors.Is(err, journal.ErrConflict) {
		t.Errorf("into another journal: %v", err)
	}
}

func TestHolder(t *testing.T) {
	j := logOf(t, 0)
	is := func(want string) {
		t.Helper()
		if owner, _, err := j.Holder(t.Context(), "acl"); owner != want || err != nil {
			t.Errorf("%q has it, %v; want %q", owner, err, want)
		}
	}
	is("")
	lease := func(ttl time.Duration) {
		if _, _, _, err := j.Lease(t.Context(), "acl", "me", ttl); err != nil {
			t.Fatal(err)
		}
	}
	lease(time.Hour)
	is("me")
	lease(0)
	is("")
	lease(time.Nanosecond)
	is("") // it has run out
}

func TestRecordsAreReadOneByOne(t *testing.T) {
	j := logOf(t, 5)
	var seen []journal.Record
	for r, err := range j.Records(t.Context(), 5) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, r); len(seen) == 3 {
			break
		}
	}
	for _, r := range seen {
		if h, err := j.Hash(t.Context(), r.Seq); err != nil || h != r.Hash {
			t.Errorf("record %d: hash %x, %v; want %x", r.Seq, h, err, r.Hash)
		}
	}
	if h, err := j.Hash(t.Context(), 0); err != nil || h != (journal.Hash{}) {
		t.Errorf("before the first: %x, %v", h, err)
	}
	var corrupt *journal.CorruptError
	if _, err := j.Hash(t.Context(), 6); !errors.As(err, &corrupt) {
		t.Errorf("after the last: %v", err)
	}
	var last error
	n := 0
	for _, err := range j.Records(t.Context(), 9) { // of which it has five
		if last = err; err == nil {
			n++
		}
	}
	if n != 5 || !errors.As(last, &corrupt) || corrupt.Seq != 6 {
		t.Errorf("%d records, then %v", n, last)
	}
}

// TestAClosedJournalIsAnError wherever it is asked.
func TestAClosedJournalIsAnError(t *testing.T) {
	from, j := logOf(t, 3), logOf(t, 3)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, tail := j.Tail(t.Context())
	_, hash := j.Hash(t.Context(), 1)
	_, extend := j.Extend(t.Context(), 3, from.Records(t.Context(), 3))
	_, _, holder := j.Holder(t.Context(), "acl/a")
	var read error
	for _, err := range j.Records(t.Context(), 3) {
		read = err
	}
	for name, err := range map[string]error{"Tail": tail, "Hash": hash, "Extend": extend, "Holder": holder, "Records": read} {
		if err == nil {
			t.Errorf("%s gives no error", name)
		}
	}
}
