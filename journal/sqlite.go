package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
)

// What marks the file as ours: the application id ("slfp") and the version of
// the tables.
const (
	applicationID = 0x736c6670
	schemaVersion = 1
)

const schema = `
CREATE TABLE record (
	seq     INTEGER PRIMARY KEY,
	version INTEGER NOT NULL,
	at      INTEGER NOT NULL, -- nanoseconds since 1970 UTC
	hash    BLOB    NOT NULL,
	payload BLOB    NOT NULL
) STRICT;
CREATE TABLE tail (         -- the last record again, so that a lost end shows
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	seq  INTEGER NOT NULL,
	hash BLOB    NOT NULL
) STRICT;
INSERT INTO tail VALUES (1, 0, zeroblob(32));
CREATE TABLE lease (
	name   TEXT PRIMARY KEY,
	holder TEXT    NOT NULL,  -- '' when it was given back
	taken  INTEGER NOT NULL,  -- nanoseconds since 1970 UTC
	until  INTEGER NOT NULL,
	epoch  INTEGER NOT NULL   -- counts the changes of hands, never goes back
) STRICT;
CREATE TABLE checkpoint (
	seq   INTEGER PRIMARY KEY,
	hash  BLOB NOT NULL,      -- that of the record
	sum   BLOB NOT NULL,      -- SHA-256 of seq as 8 bytes big-endian, hash and state
	state BLOB NOT NULL
) STRICT;`

// SQLite is a Log in one file, in WAL mode with full synchronization: what Append
// has acknowledged survives a crash and a power failure.
type SQLite struct {
	db   *sql.DB
	path string
	file os.FileInfo // what path named when it was opened
}

var (
	_ Log         = (*SQLite)(nil)
	_ Checkpoints = (*SQLite)(nil)
)

// Open opens the file, or makes it. The directory is made 0700 and the file 0600,
// whatever the umask. Refused, with a sentence that says why, are: a file that
// others may read or write, a symbolic link, a directory where others may
// exchange files, a file that is no journal, an empty file, and (ErrNewer) one of
// a newer version.
func Open(path string) (*SQLite, error) {
	path, err := absolute(path)
	if err != nil {
		return nil, err
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return open(path, "rw")
}

// OpenReadOnly opens a file that exists, to read it. SQLite needs to write beside
// it even then: a file in a directory that is read-only must be copied first.
func OpenReadOnly(path string) (*SQLite, error) {
	path, err := absolute(path)
	if err != nil {
		return nil, err
	}
	return open(path, "ro")
}

func absolute(path string) (string, error) {
	if path == "" {
		return "", errors.New("journal: no path given")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("journal %s: %w", path, err)
	}
	return abs, nil
}

func open(path, mode string) (*SQLite, error) {
	if err := checkFiles(path); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	st, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if st.Size() == 0 {
		return nil, fmt.Errorf("journal %s: %w", path, &CorruptError{Seq: 1, Why: "the file is empty: restore it from a copy, or delete it to begin a new journal"})
	}
	db, err := connect(path, mode)
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	s := &SQLite{db: db, path: path, file: st}
	if err := s.identify(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", path, explain(err, 1)), db.Close())
	}
	return s, nil
}

func connect(path, mode string) (*sql.DB, error) {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}}
	pragmas := []string{"busy_timeout(5000)", "synchronous(FULL)", "fullfsync(ON)", "trusted_schema(OFF)", "cell_size_check(ON)"}
	if mode == "rw" {
		pragmas = append(pragmas, "journal_mode(WAL)")
	}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	// The escaping keeps ? and # of a path out of the URI's own syntax.
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // one writer; its statements queue here instead of meeting locks
	return db, nil
}

// initialize makes the tables in a new file.
func initialize(path string) error {
	db, err := connect(path, "rw")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), fmt.Sprintf("BEGIN; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", schema, applicationID, schemaVersion))
	return errors.Join(err, db.Close())
}

// identify refuses a file that is not a journal of a version that we know.
func (s *SQLite) identify(ctx context.Context) error {
	var id, version int
	if err := s.db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id != applicationID {
		return errors.New("this is a database, but not a journal of this program: use another file")
	}
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("file version %d: %w", version, ErrNewer)
	}
	if version != schemaVersion {
		return &CorruptError{Seq: 1, Why: fmt.Sprintf("the file has version %d, which never was", version)}
	}
	return nil
}

// Close ends the use of the file.
func (s *SQLite) Close() error { return s.db.Close() }

// Path gives the file.
func (s *SQLite) Path() string { return s.path }

// Append implements Log.
func (s *SQLite) Append(ctx context.Context, after Seq, payloads ...[]byte) (Seq, error) {
	last, err := s.write(ctx, func(tx *sql.Tx) (Seq, error) {
		return appendTo(ctx, tx, after, payloads)
	})
	if errors.Is(err, ErrConflict) {
		return 0, ErrConflict
	}
	if err != nil {
		return 0, fmt.Errorf("append to the journal: %w", explain(err, after+1))
	}
	return last, nil
}

// write runs fn in a transaction that has the right to write from its start.
func (s *SQLite) write(ctx context.Context, fn func(*sql.Tx) (Seq, error)) (Seq, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	if err := s.inPlace(); err != nil {
		return 0, err
	}
	seq, err := fn(tx)
	if err != nil {
		return 0, err
	}
	return seq, tx.Commit()
}

// inPlace refuses to go on when the file was moved, deleted or exchanged: what
// is written then would be lost with it.
func (s *SQLite) inPlace() error {
	st, err := os.Lstat(s.path)
	if err != nil {
		return fmt.Errorf("the file was taken away while in use: %w", err)
	}
	if !os.SameFile(st, s.file) {
		return fmt.Errorf("%s was exchanged while in use: restart to use the new file", s.path)
	}
	return nil
}

func appendTo(ctx context.Context, tx *sql.Tx, after Seq, payloads [][]byte) (Seq, error) {
	h, err := readHead(ctx, tx)
	if err == nil {
		err = h.check()
	}
	if err != nil {
		return 0, err
	}
	seq, hash := h.seq, h.hash
	if seq != after {
		return 0, ErrConflict
	}
	if len(payloads) == 0 {
		return seq, nil
	}
	if uint64(len(payloads)) > math.MaxInt64-seq {
		return 0, errors.New("the numbers are used up")
	}
	stmt, err := tx.PrepareContext(ctx, "INSERT INTO record (seq, version, at, hash, payload) VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return 0, err
	}
	defer stmt.Close()
	at := time.Now().UnixNano()
	for _, p := range payloads {
		if p == nil {
			p = []byte{} // a nil slice would be NULL
		}
		seq++
		r := Record{Seq: seq, Version: Version, At: at, Payload: p}
		r.Seal(hash)
		hash = r.Hash
		if _, err := stmt.ExecContext(ctx, int64(seq), Version, at, hash[:], p); err != nil {
			return 0, err
		}
	}
	_, err = tx.ExecContext(ctx, "UPDATE tail SET seq = ?, hash = ?", int64(seq), hash[:])
	return seq, err
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// head is the end of the log: what the tail remembers, and what is there.
type head struct {
	seq     Seq // as the tail has it
	hash    Hash
	last    Seq // of the last record that is there
	version uint32
	there   bool // whether the hash of that record is that of the tail
}

func readHead(ctx context.Context, q querier) (head, error) {
	var seq int64
	var hash, lastHash []byte
	var last, version sql.NullInt64
	err := q.QueryRowContext(ctx, `SELECT tail.seq, tail.hash, r.seq, r.version, r.hash FROM tail
		LEFT JOIN (SELECT seq, version, hash FROM record ORDER BY seq DESC LIMIT 1) AS r`).Scan(&seq, &hash, &last, &version, &lastHash)
	if errors.Is(err, sql.ErrNoRows) || err == nil && len(hash) != len(Hash{}) {
		return head{}, &CorruptError{Seq: 1, Why: "the mark of the end is missing"}
	}
	if err != nil {
		return head{}, err
	}
	h := head{seq: Seq(seq), hash: Hash(hash), last: Seq(last.Int64), version: uint32(version.Int64)}
	h.there = string(lastHash) == string(hash) || !last.Valid && h.hash == Hash{}
	return h, nil
}

// check tells whether the log ends where it should.
func (h head) check() error {
	switch {
	case h.version > Version:
		return fmt.Errorf("record %d has version %d: %w", h.last, h.version, ErrNewer)
	case h.last < h.seq:
		return &CorruptError{Seq: h.last + 1, Why: fmt.Sprintf("it is missing, as are all up to %d: the end was cut off", h.seq)}
	case h.last > h.seq:
		return &CorruptError{Seq: h.seq + 1, Why: "it was not written by an append"}
	case !h.there:
		return &CorruptError{Seq: h.seq, Why: "it is not the record that was last"}
	}
	return nil
}

// Head gives the number of the last record, 0 for an empty log. It takes some
// microseconds, so it may be asked each second.
func (s *SQLite) Head(ctx context.Context) (Seq, error) {
	h, err := readHead(ctx, s.db)
	if err == nil {
		err = h.check()
	}
	if err != nil {
		return 0, fmt.Errorf("read the end of the journal: %w", explain(err, 1))
	}
	return h.seq, nil
}

// Result codes of SQLite that we can say more about (https://www.sqlite.org/rescode.html).
const (
	codeBusy     = 5
	codeReadOnly = 8
	codeIOErr    = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// explain puts a sentence before an error of SQLite; at is the record that it
// concerns, if any.
func explain(err error, at Seq) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff { // the low byte; the others refine it
	case codeBusy:
		return fmt.Errorf("another process has the file locked: %w", err)
	case codeReadOnly:
		return fmt.Errorf("the file or its directory cannot be written: %w", err)
	case codeIOErr:
		return fmt.Errorf("the disk failed: %w", err)
	case codeFull:
		return fmt.Errorf("the disk is full: %w", err)
	case codeCantOpen:
		return fmt.Errorf("the file or one beside it cannot be opened, check the permissions of the directory: %w", err)
	case codeCorrupt, codeNotADB:
		return &CorruptError{Seq: at, Why: e.Error()}
	}
	return err
}
