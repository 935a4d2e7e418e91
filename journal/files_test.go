//go:build unix

package journal_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"selfprotect/journal"
)

// withUmask runs fn under a umask. It is one for the whole process, so tests of
// this package do not run in parallel.
func withUmask(mask int, fn func()) {
	old := syscall.Umask(mask)
	defer syscall.Umask(old)
	fn()
}

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Error(err)
	} else if st.Mode().Perm() != want {
		t.Errorf("%s has mode %#o, want %#o", filepath.Base(path), st.Mode().Perm(), want)
	}
}

func TestModesWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077, 0o777} {
		dir := t.TempDir()
		path := filepath.Join(dir, "a", "b", "journal.db")
		withUmask(mask, func() {
			s := openJournal(t, path)
			if _, err := s.Append(t.Context(), 0, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			for _, side := range []string{"", "-wal", "-shm"} {
				wantMode(t, path+side, 0o600)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
		wantMode(t, filepath.Join(dir, "a"), 0o700)
		wantMode(t, filepath.Join(dir, "a", "b"), 0o700)
		wantMode(t, path, 0o600)
		left, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(left) != 1 {
			t.Errorf("umask %#o: left behind: %v, %v", mask, left, err)
		}
	}
}

// closed makes a journal with three records and closes it.
func closed(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	s := openJournal(t, path)
	if _, err := s.Append(t.Context(), 0, []byte(`{"n":1}`), []byte(`{"n":2}`), []byte(`{"n":3}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRefused(t *testing.T) {
	tests := map[string]struct {
		spoil func(t *testing.T, path string) string // gives the path to open
		says  string
		is    error
	}{
		"readable by the group": {func(t *testing.T, p string) string { must(t, os.Chmod(p, 0o640)); return p }, "run chmod 600", nil},
		"readable by others":    {func(t *testing.T, p string) string { must(t, os.Chmod(p, 0o604)); return p }, "run chmod 600", nil},
		"symbolic link": {func(t *testing.T, p string) string {
			must(t, os.Symlink(p, p+"2"))
			return p + "2"
		}, "symbolic link", nil},
		"dangling link": {func(t *testing.T, p string) string {
			must(t, os.Symlink(p+"3", p+"2"))
			return p + "2"
		}, "symbolic link", nil},
		"directory":                     {func(t *testing.T, p string) string { must(t, os.Mkdir(p+"2", 0o700)); return p + "2" }, "not a regular file", nil},
		"directory of a file":           {func(_ *testing.T, p string) string { return filepath.Join(p, "journal.db") }, "not a directory", nil},
		"directory others may write in": {func(t *testing.T, p string) string { must(t, os.Chmod(filepath.Dir(p), 0o777)); return p }, "run chmod go-w", nil},
		"write-ahead file is a link": {func(t *testing.T, p string) string {
			must(t, os.Symlink("/dev/null", p+"-wal"))
			return p
		}, "symbolic link", nil},
		"write-ahead file without the file": {func(t *testing.T, p string) string {
			must(t, os.Rename(p, p+"-wal"))
			return p
		}, "put the file back", nil},
		"empty file": {func(t *testing.T, p string) string { must(t, os.Truncate(p, 0)); return p }, "the file is empty", journal.ErrCorrupt},
		"not a database": {func(t *testing.T, p string) string {
			must(t, os.WriteFile(p, []byte(strings.Repeat("mode = \"review\"\n", 500)), 0o600))
			return p
		}, "not a database", journal.ErrCorrupt},
		"another database": {func(t *testing.T, p string) string {
			db := raw(t, p+"2")
			execute(t, db, "CREATE TABLE cookies (x)")
			must(t, errors.Join(db.Close(), os.Chmod(p+"2", 0o600)))
			return p + "2"
		}, "not a journal of this program", nil},
		"newer file": {func(t *testing.T, p string) string {
			db := raw(t, p)
			execute(t, db, "PRAGMA user_version = 2")
			must(t, db.Close())
			return p
		}, "newer version", journal.ErrNewer},
		"no path": {func(*testing.T, string) string { return "" }, "no path", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := test.spoil(t, closed(t))
			s, err := journal.Open(path)
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %q, want it to say %q", err, test.says)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %v, want %v", err, test.is)
			}
		})
	}
}

func TestStickyDirectoryIsGoodEnough(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o777|os.ModeSticky))
	openJournal(t, filepath.Join(dir, "journal.db"))
}

func TestPathsThatLookLikeURIs(t *testing.T) {
	for _, name := range []string{"a?mode=memory", "b#c", "d%41", "e f", "g&h=i", ":memory:", "ü;x"} {
		path := filepath.Join(t.TempDir(), name)
		s := openJournal(t, path)
		if _, err := s.Append(t.Context(), 0, []byte("{}")); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		wantMode(t, path, 0o600)
		if s.Path() != path {
			t.Errorf("%q: the path is %q", name, s.Path())
		}
		must(t, s.Close())
	}
	t.Chdir(t.TempDir())
	must(t, openJournal(t, "journal.db").Close())
	wantMode(t, "journal.db", 0o600)
}

// TestOpenAtOnce lets many make the same new file.
func TestOpenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "journal.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := journal.Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			for {
				last, err := s.Head(t.Context())
				if err == nil {
					_, err = s.Append(t.Context(), last, []byte("{}"))
				}
				if errors.Is(err, journal.ErrConflict) {
					continue
				}
				if err := errors.Join(err, s.Close()); err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	wg.Wait()
	if last, err := openJournal(t, path).Head(t.Context()); last != 8 || err != nil {
		t.Errorf("got %d records, %v, want one of each", last, err)
	}
	left, err := filepath.Glob(path + ".new-*")
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestTakenAway holds that nothing is acknowledged into a file that has no name
// any more, or that is not the one that was opened.
func TestTakenAway(t *testing.T) {
	path := closed(t)
	s := openJournal(t, path)
	must(t, os.Rename(path, path+".old"))
	if _, err := s.Append(t.Context(), 3, []byte("{}")); err == nil || !strings.Contains(err.Error(), "taken away") {
		t.Errorf("moved away: got %v", err)
	}
	must(t, os.WriteFile(path, nil, 0o600))
	if _, err := s.Append(t.Context(), 3, []byte("{}")); err == nil || !strings.Contains(err.Error(), "exchanged") {
		t.Errorf("exchanged: got %v", err)
	}
	must(t, os.Rename(path+".old", path))
	if _, err := s.Append(t.Context(), 3, []byte("{}")); err != nil {
		t.Errorf("put back: %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	path := closed(t)
	if _, err := journal.OpenReadOnly(path + "2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	for _, busy := range []bool{false, true} {
		if busy {
			w := openJournal(t, path)
			if _, err := w.Append(t.Context(), 3, []byte("4")); err != nil {
				t.Fatal(err)
			}
		}
		r, err := journal.OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		last, err := r.Head(t.Context())
		if want := map[bool]journal.Seq{false: 3, true: 4}[busy]; last != want || err != nil {
			t.Errorf("head: got %d, %v, want %d", last, err, want)
		}
		must(t, r.Verify(t.Context()))
		if _, err := r.Append(t.Context(), last, []byte("x")); err == nil || !strings.Contains(err.Error(), "cannot be written") {
			t.Errorf("append: got %v", err)
		}
		must(t, r.Close())
	}
}
