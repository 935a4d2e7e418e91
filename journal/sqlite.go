package journal

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// schemaVersion is the version of the file; recordVersion that of a record's
// envelope.
const (
	schemaVersion = 1
	recordVersion = 1
)

const schema = `
CREATE TABLE IF NOT EXISTS record (
	seq     INTEGER PRIMARY KEY,
	version INTEGER NOT NULL,
	at      TEXT    NOT NULL,
	hash    BLOB    NOT NULL,
	payload BLOB    NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS lease (
	name   TEXT PRIMARY KEY,
	holder TEXT    NOT NULL,
	until  INTEGER NOT NULL,
	epoch  INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS checkpoint (
	seq   INTEGER PRIMARY KEY,
	hash  BLOB NOT NULL,
	sum   BLOB NOT NULL,
	state BLOB NOT NULL
) STRICT;`

// SQLite is a Log in one file, in WAL mode with full synchronization: what Append
// has acknowledged survives a crash and a power failure.
type SQLite struct {
	db   *sql.DB
	path string
}

var _ Log = (*SQLite)(nil)

// Open opens or makes the file. The directory is made 0700 and the file 0600,
// whatever the umask; a file that others may read or write, or a symbolic link,
// is refused.
func Open(path string) (*SQLite, error) {
	if err := prepare(path); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	s, err := open(path, "rwc")
	if err != nil {
		return nil, err
	}
	if err := s.migrate(context.Background()); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return s, nil
}

// OpenReadOnly opens a file that exists, to read it.
func OpenReadOnly(path string) (*SQLite, error) {
	if err := private(path); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	s, err := open(path, "ro")
	if err != nil {
		return nil, err
	}
	if err := s.checkVersion(context.Background()); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return s, nil
}

func open(path, mode string) (*SQLite, error) {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}}
	for _, p := range []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "trusted_schema(OFF)"} {
		if mode == "ro" && p == "journal_mode(WAL)" {
			continue
		}
		q.Add("_pragma", p)
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: escapePath(path), RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	db.SetMaxOpenConns(1) // one writer; its statements queue here instead of meeting locks
	return &SQLite{db: db, path: path}, nil
}

// escapePath keeps ? and # of a path out of the URI's own syntax.
func escapePath(path string) string { return (&url.URL{Path: path}).EscapedPath() }

func prepare(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	err := private(path)
	if errors.Is(err, os.ErrNotExist) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		// SQLite gives its side files the permissions of this one.
		return errors.Join(f.Chmod(0o600), f.Close())
	}
	return err
}

// private refuses a file that is not ours alone.
func private(path string) error {
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file: links are not followed", path)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s may be read or written by others (%#o): run chmod 600 %s", path, st.Mode().Perm(), path)
	}
	return nil
}

func (s *SQLite) migrate(ctx context.Context) error {
	if err := s.checkVersion(ctx); err != nil {
		return err
	}
	if _, err := s.db.ExecContext(ctx, schema); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	return err
}

func (s *SQLite) checkVersion(ctx context.Context) error {
	var v int
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	if v > schemaVersion {
		return fmt.Errorf("file version %d: %w", v, ErrNewer)
	}
	return nil
}

// Close ends the use of the file.
func (s *SQLite) Close() error { return s.db.Close() }

// Path gives the file.
func (s *SQLite) Path() string { return s.path }

// Append implements Log.
func (s *SQLite) Append(ctx context.Context, after Seq, payloads ...[]byte) (Seq, error) {
	if len(payloads) == 0 {
		return after, nil
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	seq, hash, err := head(ctx, tx)
	if err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	if seq != after {
		return 0, ErrConflict
	}
	stmt, err := tx.PrepareContext(ctx, "INSERT INTO record (seq, version, at, hash, payload) VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	defer stmt.Close()
	at := time.Now().UTC().Format(time.RFC3339Nano)
	for _, p := range payloads {
		seq++
		hash = Chain(hash, seq, p)
		if _, err := stmt.ExecContext(ctx, int64(seq), recordVersion, at, hash[:], p); err != nil {
			return 0, fmt.Errorf("append: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	return seq, nil
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// head gives the last record's number and hash; 0 for an empty log.
func head(ctx context.Context, q querier) (Seq, Hash, error) {
	var seq int64
	var raw []byte
	err := q.QueryRowContext(ctx, "SELECT seq, hash FROM record ORDER BY seq DESC LIMIT 1").Scan(&seq, &raw)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, Hash{}, nil
	}
	if err != nil {
		return 0, Hash{}, err
	}
	if len(raw) != len(Hash{}) {
		return 0, Hash{}, &CorruptError{Seq: Seq(seq), Why: "its hash has the wrong length"}
	}
	return Seq(seq), Hash(raw), nil
}

// hashOf gives the hash of one record; that of record 0 is zero.
func hashOf(ctx context.Context, q querier, seq Seq) (Hash, error) {
	if seq == 0 {
		return Hash{}, nil
	}
	var raw []byte
	err := q.QueryRowContext(ctx, "SELECT hash FROM record WHERE seq = ?", int64(seq)).Scan(&raw)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Hash{}, &CorruptError{Seq: seq, Why: "it is missing"}
	case err != nil:
		return Hash{}, err
	case len(raw) != len(Hash{}):
		return Hash{}, &CorruptError{Seq: seq, Why: "its hash has the wrong length"}
	}
	return Hash(raw), nil
}

// Head gives the number of the last record; it is cheap.
func (s *SQLite) Head(ctx context.Context) (Seq, error) {
	var seq sql.NullInt64
	err := s.db.QueryRowContext(ctx, "SELECT max(seq) FROM record").Scan(&seq)
	return Seq(seq.Int64), err
}

// Read implements Log. It verifies the chain from the record after which it
// begins.
func (s *SQLite) Read(ctx context.Context, after Seq, fn func(seq Seq, payload []byte) error) error {
	last, err := s.Head(ctx)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if last <= after {
		if last < after {
			return fmt.Errorf("read: %w", &CorruptError{Seq: after, Why: "it is missing"})
		}
		return nil
	}
	prev, err := hashOf(ctx, s.db, after)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	for after < last {
		n, h, err := s.page(ctx, after, prev, fn)
		if err != nil {
			return err
		}
		after, prev = n, h
	}
	return nil
}

// pageSize is how many records are read at once; between pages others may write.
const pageSize = 5_000

func (s *SQLite) page(ctx context.Context, after Seq, prev Hash, fn func(Seq, []byte) error) (Seq, Hash, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT seq, version, hash, payload FROM record WHERE seq > ? ORDER BY seq LIMIT ?", int64(after), pageSize)
	if err != nil {
		return after, prev, fmt.Errorf("read: %w", err)
	}
	type row struct {
		seq     Seq
		payload []byte
	}
	var page []row // fn may itself use the log, so the rows are closed first
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var version int
		var hash, payload []byte
		if err := rows.Scan(&seq, &version, &hash, &payload); err != nil {
			return after, prev, fmt.Errorf("read: %w", err)
		}
		if prev, err = verify(prev, after, Seq(seq), version, hash, payload); err != nil {
			return after, prev, fmt.Errorf("read: %w", err)
		}
		after = Seq(seq)
		page = append(page, row{after, payload})
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return after, prev, fmt.Errorf("read: %w", err)
	}
	for _, r := range page {
		if err := fn(r.seq, r.payload); err != nil {
			return after, prev, err
		}
	}
	if len(page) == 0 {
		return after, prev, fmt.Errorf("read: %w", &CorruptError{Seq: after + 1, Why: "it is missing"})
	}
	return after, prev, nil
}

func verify(prev Hash, after, seq Seq, version int, hash, payload []byte) (Hash, error) {
	if seq != after+1 {
		return prev, &CorruptError{Seq: after + 1, Why: "it is missing"}
	}
	if version > recordVersion {
		return prev, fmt.Errorf("record %d has version %d: %w", seq, version, ErrNewer)
	}
	h := Chain(prev, seq, payload)
	if string(h[:]) != string(hash) {
		return prev, &CorruptError{Seq: seq, Why: "its hash does not fit: it, or one before it, was changed"}
	}
	return h, nil
}

// Verify reads the whole log. A *CorruptError names the first record that does
// not fit.
func (s *SQLite) Verify(ctx context.Context) error {
	return s.Read(ctx, 0, func(Seq, []byte) error { return nil })
}

// Lease implements Log.
func (s *SQLite) Lease(ctx context.Context, name, holder string, ttl time.Duration) (held bool, owner string, until time.Time, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false, "", time.Time{}, fmt.Errorf("lease %s: %w", name, err)
	}
	defer func() { _ = tx.Rollback() }()
	var end, epoch int64
	err = tx.QueryRowContext(ctx, "SELECT holder, until, epoch FROM lease WHERE name = ?", name).Scan(&owner, &end, &epoch)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, "", time.Time{}, fmt.Errorf("lease %s: %w", name, err)
	}
	t := time.Now()
	if owner != holder && owner != "" && t.UnixNano() < end {
		return false, owner, time.Unix(0, end), nil
	}
	if owner != holder {
		epoch++
	}
	owner, until = holder, t.Add(ttl)
	if ttl <= 0 {
		owner, until = "", t
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO lease (name, holder, until, epoch) VALUES (?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, epoch = excluded.epoch`, name, owner, until.UnixNano(), epoch)
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return false, "", time.Time{}, fmt.Errorf("lease %s: %w", name, err)
	}
	return ttl > 0, owner, until, nil
}

// SaveCheckpoint keeps a fold of the log up to a record; the last two are kept.
func (s *SQLite) SaveCheckpoint(ctx context.Context, seq Seq, state []byte) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	hash, err := hashOf(ctx, tx, seq)
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	sum := sha256.Sum256(state)
	if _, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO checkpoint (seq, hash, sum, state) VALUES (?, ?, ?, ?)", int64(seq), hash[:], sum[:], state); err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM checkpoint WHERE seq NOT IN (SELECT seq FROM checkpoint ORDER BY seq DESC LIMIT 2)")
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// LoadCheckpoint gives the newest checkpoint that is whole and whose record is
// still what it was; false when there is none.
func (s *SQLite) LoadCheckpoint(ctx context.Context) (seq Seq, state []byte, ok bool, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT seq, hash, sum, state FROM checkpoint ORDER BY seq DESC")
	if err != nil {
		return 0, nil, false, fmt.Errorf("load checkpoint: %w", err)
	}
	type saved struct {
		seq              Seq
		hash, sum, state []byte
	}
	var all []saved
	for rows.Next() {
		var n int64
		var c saved
		if err = rows.Scan(&n, &c.hash, &c.sum, &c.state); err != nil {
			break
		}
		c.seq = Seq(n)
		all = append(all, c)
	}
	if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return 0, nil, false, fmt.Errorf("load checkpoint: %w", err)
	}
	for _, c := range all {
		sum := sha256.Sum256(c.state)
		h, err := hashOf(ctx, s.db, c.seq)
		if err == nil && string(h[:]) == string(c.hash) && string(sum[:]) == string(c.sum) {
			return c.seq, c.state, true, nil
		}
	}
	return 0, nil, false, nil
}
