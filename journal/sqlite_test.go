package journal_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"selfprotect/journal"
	"selfprotect/journal/journaltest"
)

type sqliteStore struct{ path string }

func newStore(t *testing.T) journaltest.Store {
	return sqliteStore{filepath.Join(t.TempDir(), "state", "journal.db")}
}

func (s sqliteStore) Open(t *testing.T) journaltest.Handle {
	t.Helper()
	return openJournal(t, s.path)
}

func (s sqliteStore) Tamper(t *testing.T, seq journal.Seq, change func([]byte) []byte) {
	t.Helper()
	db := raw(t, s.path)
	defer db.Close()
	var payload []byte
	if err := db.QueryRow("SELECT payload FROM record WHERE seq = ?", int64(seq)).Scan(&payload); err != nil {
		t.Fatal(err)
	}
	execute(t, db, "UPDATE record SET payload = ? WHERE seq = ?", change(payload), int64(seq))
}

func TestSQLite(t *testing.T) { journaltest.Run(t, newStore) }

// openJournal opens a journal, which the caller may close before the test ends.
func openJournal(t testing.TB, path string) *journal.SQLite {
	t.Helper()
	s, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// raw opens the file as a plain database.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func execute(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}
