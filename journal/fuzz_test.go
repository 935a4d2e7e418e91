package journal_test

import (
	"path/filepath"
	"testing"

	"selfprotect/journal"
)

// FuzzFile writes arbitrary bytes over a journal: damage is found, or did not
// touch what is read.
func FuzzFile(f *testing.F) {
	file, payloads := long(f, 12)
	f.Add(0, []byte("SQLite format 3"))
	f.Add(18, []byte{1, 1})
	f.Add(60, []byte{0, 0, 0, 9})
	f.Add(4096, []byte{13, 0, 0, 0, 1})
	f.Add(len(file)-100, make([]byte, 200))
	f.Fuzz(func(t *testing.T, at int, b []byte) {
		if at < 0 || at >= len(file) {
			return
		}
		bad := append([]byte(nil), file...)
		copy(bad[at:], b)
		path := filepath.Join(t.TempDir(), "journal.db")
		place(t, path, bad)
		wantSound(t, path, "overwritten", payloads)
	})
}

// FuzzCheckpoint puts arbitrary values into the row of a checkpoint: none of them
// is ever given as a state.
func FuzzCheckpoint(f *testing.F) {
	f.Add(int64(3), make([]byte, 32), make([]byte, 32), []byte("state"))
	f.Add(int64(-1), []byte{}, []byte{}, []byte{})
	f.Add(int64(1<<62), []byte{1}, []byte{2}, []byte{3})
	file, payloads := long(f, 4)
	f.Fuzz(func(t *testing.T, seq int64, hash, sum, state []byte) {
		path := filepath.Join(t.TempDir(), "journal.db")
		place(t, path, file)
		db := raw(t, path)
		execute(t, db, "DELETE FROM checkpoint")
		execute(t, db, "INSERT INTO checkpoint VALUES (?, ifnull(?, x''), ifnull(?, x''), ifnull(?, x''))", seq, hash, sum, state)
		must(t, db.Close())
		if wantSound(t, path, "a checkpoint of the fuzzer", payloads) {
			t.Error("a checkpoint, which is only a cache, stops the reader")
		}
		s := openJournal(t, path)
		defer s.Close()
		if got, state, ok, err := s.LoadCheckpoint(t.Context()); ok || err != nil {
			t.Errorf("got %d %q %v", got, state, err)
		}
		must(t, s.SaveCheckpoint(t.Context(), journal.Seq(len(payloads)), []byte("good")))
	})
}
