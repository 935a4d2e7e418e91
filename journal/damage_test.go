package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"selfprotect/journal"
)

// long makes a closed journal with n records and checkpoints, and gives its bytes
// and payloads.
func long(t testing.TB, n int) (file []byte, payloads []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	s := openJournal(t, path)
	for i := range n {
		p := fmt.Sprintf(`{"n":%d,"text":"%s"}`, i, strings.Repeat("abc", i*7%100))
		payloads = append(payloads, p)
		if _, err := s.Append(t.Context(), journal.Seq(i), []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	must(t, s.SaveCheckpoint(t.Context(), 1, []byte("early")))
	must(t, s.SaveCheckpoint(t.Context(), journal.Seq(n-1), []byte("late")))
	must(t, s.Close())
	file, err := os.ReadFile(path)
	must(t, err)
	return file, payloads
}

// outcome reads a file that may be damaged.
func outcome(path string) (got []string, checkpoint string, err error) {
	s, err := journal.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer s.Close()
	ctx := context.Background()
	err = s.Read(ctx, 0, func(_ journal.Seq, p []byte) error { got = append(got, string(p)); return nil })
	seq, state, ok, cerr := s.LoadCheckpoint(ctx)
	if ok {
		checkpoint = fmt.Sprintf("%d %s", seq, state)
	}
	return got, checkpoint, errors.Join(err, cerr)
}

// wantSound holds that damage is found, or did not touch what is read: what comes
// is a prefix of what was written, and all of it when there is no error.
func wantSound(t testing.TB, path, what string, payloads []string) (found bool) {
	t.Helper()
	got, checkpoint, err := outcome(path)
	if len(got) > len(payloads) || !slices.Equal(got, payloads[:len(got)]) {
		t.Errorf("%s: something was read that was not written", what)
	}
	if err == nil && len(got) != len(payloads) {
		t.Errorf("%s: %d of %d records, and no error", what, len(got), len(payloads))
	}
	if late := fmt.Sprintf("%d late", len(payloads)-1); checkpoint != "" && checkpoint != "1 early" && checkpoint != late {
		t.Errorf("%s: the checkpoint is %q", what, checkpoint)
	}
	return err != nil
}

// place puts a file where it can be opened.
func place(t testing.TB, path string, file []byte) {
	t.Helper()
	for _, side := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + side); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	must(t, os.WriteFile(path, file, 0o600))
}

// TestAnyByteOfAPayload changes each byte of one payload on the disk.
func TestAnyByteOfAPayload(t *testing.T) {
	file, payloads := long(t, 40)
	path := filepath.Join(t.TempDir(), "journal.db")
	const victim = 20
	payload := []byte(payloads[victim-1])
	if !bytes.Contains(file, payload) {
		t.Fatal("the payload is not in the file as it is")
	}
	for i := range payload {
		other := slices.Clone(payload)
		other[i] ^= 1 << rand.IntN(8)
		// Pages that were split may hold old copies of it.
		bad := bytes.ReplaceAll(file, payload, other)
		place(t, path, bad)
		got, _, err := outcome(path)
		var c *journal.CorruptError
		if !errors.As(err, &c) || c.Seq != victim || len(got) != victim-1 {
			t.Fatalf("byte %d: got %d records and %v", i, len(got), err)
		}
	}
}

// TestAnyByteOfTheFile changes bytes anywhere in the file.
func TestAnyByteOfTheFile(t *testing.T) {
	file, payloads := long(t, 40)
	path := filepath.Join(t.TempDir(), "journal.db")
	found := 0
	for i := range 1500 {
		at := rand.IntN(len(file))
		if i < 200 {
			at = i // the header and the first cells
		}
		bad := slices.Clone(file)
		bad[at] ^= byte(1 + rand.IntN(255))
		place(t, path, bad)
		if wantSound(t, path, fmt.Sprintf("byte %d is %#x instead of %#x", at, bad[at], file[at]), payloads) {
			found++
		}
	}
	if found == 0 {
		t.Error("no damage was found")
	}
	t.Logf("found %d of 1500, the others changed nothing that is read", found)
}

func TestCutFile(t *testing.T) {
	file, payloads := long(t, 40)
	path := filepath.Join(t.TempDir(), "journal.db")
	sizes := []int{0, 1, 15, 16, 99, 100, 511, len(file) - 1}
	for size := 4096; size < len(file); size += 4096 {
		sizes = append(sizes, size-1, size, size+1, size+rand.IntN(4096))
	}
	for _, size := range sizes {
		if size >= len(file) {
			continue
		}
		place(t, path, file[:size])
		if !wantSound(t, path, fmt.Sprintf("cut to %d of %d bytes", size, len(file)), payloads) {
			t.Errorf("cut to %d of %d bytes: no error", size, len(file))
		}
	}
}

// TestChangedRows edits the tables as somebody with a database tool might.
func TestChangedRows(t *testing.T) {
	tests := map[string]struct {
		change string
		seq    journal.Seq // 0: ErrNewer
	}{
		"payload":          {"UPDATE record SET payload = x'7b7d' WHERE seq = 20", 20},
		"time":             {"UPDATE record SET at = at + 1 WHERE seq = 20", 20},
		"hash":             {"UPDATE record SET hash = zeroblob(32) WHERE seq = 20", 20},
		"short hash":       {"UPDATE record SET hash = x'00' WHERE seq = 20", 20},
		"old version":      {"UPDATE record SET version = 0 WHERE seq = 20", 20},
		"new version":      {"UPDATE record SET version = 2 WHERE seq = 20", 0},
		"new version, end": {"UPDATE record SET version = 2 WHERE seq = 40", 0},
		"hole":             {"DELETE FROM record WHERE seq = 20", 20},
		"no beginning":     {"DELETE FROM record WHERE seq <= 20", 1},
		"no end":           {"DELETE FROM record WHERE seq >= 20", 20},
		"nothing":          {"DELETE FROM record", 1},
		"moved":            {"UPDATE record SET seq = 41 WHERE seq = 20", 20},
		"one too many":     {"INSERT INTO record SELECT 41, version, at, hash, payload FROM record WHERE seq = 40", 41},
		"exchanged":        {"UPDATE record SET payload = (SELECT payload FROM record WHERE seq = 21) WHERE seq = 20", 20},
		"no tail":          {"DELETE FROM tail", 1},
		"other tail":       {"UPDATE tail SET hash = zeroblob(32)", 40},
		"negative":         {"INSERT INTO record SELECT -1, version, at, hash, payload FROM record WHERE seq = 40; UPDATE tail SET seq = -1", 41},
	}
	file, payloads := long(t, 40)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			place(t, path, file)
			db := raw(t, path)
			execute(t, db, test.change)
			must(t, db.Close())
			wantSound(t, path, name, payloads)
			s := openJournal(t, path)
			err := s.Verify(t.Context())
			var c *journal.CorruptError
			if test.seq == 0 && !errors.Is(err, journal.ErrNewer) || test.seq > 0 && (!errors.As(err, &c) || c.Seq != test.seq) {
				t.Errorf("got %v, want record %d", err, test.seq)
			}
			wantPrefix(t, s, payloads)
		})
	}
}

// wantPrefix holds that what is copied is what was written, up to where it ends in
// an error.
func wantPrefix(t *testing.T, s *journal.SQLite, payloads []string) {
	t.Helper()
	n := 0
	for r, err := range s.Records(t.Context(), journal.Seq(len(payloads))) {
		if err != nil {
			return
		}
		if string(r.Payload) != payloads[n] {
			t.Errorf("record %d is copied as %s", r.Seq, r.Payload)
		}
		n++
	}
	if n != len(payloads) {
		t.Errorf("%d of %d records are copied, without an error", n, len(payloads))
	}
}

// TestAppendToADamagedEnd holds that nothing is chained to an end that is not the
// one that was written.
func TestAppendToADamagedEnd(t *testing.T) {
	for _, change := range []string{
		"DELETE FROM record WHERE seq = 3",
		"UPDATE record SET hash = zeroblob(32) WHERE seq = 3",
		"UPDATE record SET version = 2 WHERE seq = 3",
		"DELETE FROM record",
	} {
		path := closed(t)
		db := raw(t, path)
		execute(t, db, change)
		must(t, db.Close())
		s := openJournal(t, path)
		for after := range journal.Seq(4) {
			_, err := s.Append(t.Context(), after, []byte("{}"))
			if !errors.Is(err, journal.ErrCorrupt) && !errors.Is(err, journal.ErrNewer) {
				t.Errorf("%s, append after %d: got %v", change, after, err)
			}
		}
		if _, err := s.Head(t.Context()); err == nil {
			t.Errorf("%s: the head says nothing", change)
		}
		if _, _, err := s.Tail(t.Context()); err == nil {
			t.Errorf("%s: the tail says nothing", change)
		}
		if _, err := s.Extend(t.Context(), 3, func(func(journal.Record, error) bool) {}); err == nil {
			t.Errorf("%s: it is extended", change)
		}
	}
}

func TestDamagedCheckpoint(t *testing.T) {
	for change, want := range map[string]string{
		"UPDATE checkpoint SET state = x'78' WHERE seq = 39":       "1 early",
		"UPDATE checkpoint SET hash = zeroblob(32) WHERE seq = 39": "1 early",
		"UPDATE checkpoint SET hash = x'' WHERE seq = 39":          "1 early",
		"UPDATE checkpoint SET seq = 38 WHERE seq = 39":            "1 early",
		"UPDATE checkpoint SET seq = 1000 WHERE seq = 39":          "1 early",
		"UPDATE checkpoint SET sum = zeroblob(32)":                 "",
		"DELETE FROM checkpoint":                                   "",
	} {
		file, payloads := long(t, 40)
		path := filepath.Join(t.TempDir(), "journal.db")
		place(t, path, file)
		db := raw(t, path)
		execute(t, db, change)
		must(t, db.Close())
		got, checkpoint, err := outcome(path)
		if err != nil || checkpoint != want || len(got) != len(payloads) {
			t.Errorf("%s: got %q, %d records, %v, want %q", change, checkpoint, len(got), err, want)
		}
	}
}

// TestLeaseRow holds what the table says beyond the contract: the epoch counts
// the changes of hands, and a lease from the future binds nobody.
func TestLeaseRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	s := openJournal(t, path)
	db := raw(t, path)
	defer db.Close()
	for i, step := range []struct {
		holder string
		ttl    time.Duration
		owner  string
		epoch  int
	}{
		{"a", time.Hour, "a", 1}, {"a", time.Hour, "a", 1}, {"b", time.Hour, "a", 1}, {"a", 0, "", 1},
		{"a", time.Hour, "a", 2}, {"a", 0, "", 2}, {"b", time.Hour, "b", 3}, {"b", 0, "", 3}, {"b", 0, "", 3},
	} {
		_, owner, _, err := s.Lease(t.Context(), "x", step.holder, step.ttl)
		if err != nil || owner != step.owner {
			t.Fatalf("step %d: owner %q, %v", i, owner, err)
		}
		var epoch int
		must(t, db.QueryRow("SELECT epoch FROM lease WHERE name = 'x'").Scan(&epoch))
		if epoch != step.epoch {
			t.Errorf("step %d: epoch %d, want %d", i, epoch, step.epoch)
		}
	}
	if held, _, _, err := s.Lease(t.Context(), "x", "a", time.Hour); !held || err != nil {
		t.Fatal(held, err)
	}
	execute(t, db, "UPDATE lease SET taken = taken + 86400000000000, until = until + 86400000000000")
	if held, owner, _, err := s.Lease(t.Context(), "x", "b", time.Hour); !held || err != nil {
		t.Errorf("taken tomorrow, and the clock was set back: got %v %q %v", held, owner, err)
	}
}
