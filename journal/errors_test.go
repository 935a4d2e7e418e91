package journal

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestEveryCallSaysWhenItFails: with an ended context, and on a closed file, no
// call succeeds.
func TestEveryCallSaysWhenItFails(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for name, prepare := range map[string]func(s *SQLite) context.Context{
		"ended context": func(*SQLite) context.Context { return ended },
		"closed file":   func(s *SQLite) context.Context { _ = s.Close(); return context.Background() },
		"a record is gone": func(s *SQLite) context.Context {
			if _, err := s.db.Exec("DELETE FROM record WHERE seq = 2"); err != nil {
				t.Fatal(err)
			}
			return context.Background()
		},
	} {
		s, err := Open(filepath.Join(t.TempDir(), "journal.db"))
		if err != nil {
			t.Fatal(err)
		}
		seq, err := s.Append(context.Background(), 0, []byte("1"), []byte("2"))
		if err != nil {
			t.Fatal(err)
		}
		ctx := prepare(s)
		nothing := func(Seq, []byte) error { return nil }
		if err := s.Read(ctx, 0, nothing); err == nil {
			t.Errorf("%s: Read succeeds", name)
		}
		if err := s.Read(ctx, 1, nothing); err == nil {
			t.Errorf("%s: Read from 1 succeeds", name)
		}
		if err := s.Verify(ctx); err == nil {
			t.Errorf("%s: Verify succeeds", name)
		}
		if _, err := s.Append(ctx, seq, []byte("3")); err == nil {
			t.Errorf("%s: Append succeeds", name)
		}
		if name != "a record is gone" {
			if _, _, _, err := s.Lease(ctx, "x", "me", time.Second); err == nil {
				t.Errorf("%s: Lease succeeds", name)
			}
			if err := s.SaveCheckpoint(ctx, 1, []byte("{}")); err == nil {
				t.Errorf("%s: SaveCheckpoint succeeds", name)
			}
			if _, err := s.Head(ctx); err == nil {
				t.Errorf("%s: Head succeeds", name)
			}
			if _, _, ok, err := s.LoadCheckpoint(ctx); ok || err == nil {
				t.Errorf("%s: LoadCheckpoint gives %v, %v", name, ok, err)
			}
		}
		_ = s.Close()
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", filepath.Join(file, "journal.db"), filepath.Join(file, "a", "journal.db"), dir} {
		if s, err := Open(path); err == nil {
			t.Errorf("Open(%q) succeeds", path)
			_ = s.Close()
		}
		if s, err := OpenReadOnly(path); err == nil {
			t.Errorf("OpenReadOnly(%q) succeeds", path)
			_ = s.Close()
		}
	}
	if ErrConflict.Error() == "" {
		t.Error("a conflict says nothing")
	}
}

// TestDamageIsNeverRead: whatever is wrong in the file, the call that needs it
// fails, and none gives something else instead.
func TestDamageIsNeverRead(t *testing.T) {
	nothing := func(Seq, []byte) error { return nil }
	read := func(after Seq) func(*SQLite) error {
		return func(s *SQLite) error { return s.Read(context.Background(), after, nothing) }
	}
	appendTo := func(s *SQLite) error {
		_, err := s.Append(context.Background(), 3, []byte("4"))
		return err
	}
	for _, tc := range []struct {
		damage string
		call   func(*SQLite) error
	}{
		{"DELETE FROM record WHERE seq = 2", read(2)},
		{"UPDATE record SET hash = x'00' WHERE seq = 2", read(2)},
		{"DROP TABLE record", read(0)},
		{"DROP TABLE record", appendTo},
		{"DROP TABLE lease", func(s *SQLite) error {
			_, _, _, err := s.Lease(context.Background(), "x", "me", time.Second)
			return err
		}},
		{"DROP TABLE checkpoint", func(s *SQLite) error { return s.SaveCheckpoint(context.Background(), 3, nil) }},
		{"DELETE FROM record WHERE seq = 3", func(s *SQLite) error { return s.SaveCheckpoint(context.Background(), 3, nil) }},
		{"DROP TABLE tail", appendTo},
	} {
		s, err := Open(filepath.Join(t.TempDir(), "journal.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Append(context.Background(), 0, []byte("1"), []byte("2"), []byte("3")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.db.Exec(tc.damage); err != nil {
			t.Fatal(err)
		}
		if err := tc.call(s); err == nil {
			t.Errorf("after %s it succeeds", tc.damage)
		}
		_ = s.Close()
	}
}
