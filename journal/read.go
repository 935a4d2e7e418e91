package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A page is what is read from the file at once. It is bounded in records and in
// bytes, and closed before fn sees it: fn may use the log, and others may write.
const (
	pageRecords = 2_000
	pageBytes   = 1 << 20
)

type page struct {
	payloads []byte // one after the other
	ends     []int
}

// Read implements Log. It begins at the record after which it was asked to, whose
// hash it takes as given, and does not look at those before.
func (s *SQLite) Read(ctx context.Context, after Seq, fn func(seq Seq, payload []byte) error) error {
	last, err := s.Head(ctx)
	if err != nil {
		return err
	}
	if err := s.whole(ctx, last, after); err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if last == after {
		return nil
	}
	prev, err := hashOf(ctx, s.db, after)
	if err != nil {
		return fmt.Errorf("read the journal: %w", explain(err, after))
	}
	var p page
	for after < last {
		next, hash, broken := s.fill(ctx, &p, after, last, prev)
		start := 0
		for i, end := range p.ends {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("read the journal: %w", err)
			}
			if err := fn(after+Seq(i)+1, p.payloads[start:end:end]); err != nil {
				return err
			}
			start = end
		}
		if broken != nil {
			return fmt.Errorf("read the journal: %w", explain(broken, next+1))
		}
		after, prev = next, hash
	}
	return nil
}

// whole finds a log whose end was cut off: it is shorter than the reader or a
// checkpoint remembers.
func (s *SQLite) whole(ctx context.Context, last, after Seq) error {
	if after > last {
		return &CorruptError{Seq: last + 1, Why: fmt.Sprintf("it is missing, as are all up to %d: the end was cut off", after)}
	}
	for c, err := range s.checkpoints(ctx) {
		if err != nil {
			return explain(err, last+1)
		}
		if c.seq <= last {
			return nil
		}
		if c.load(ctx, s.db) == nil && c.intact() {
			return &CorruptError{Seq: last + 1, Why: fmt.Sprintf("it is missing, as are all up to %d, of which there is a checkpoint: the end was cut off", c.seq)}
		}
	}
	return nil
}

// fill reads a page of verified records after the one with the number after, and
// gives the number and hash of its last. The error is about the record after that.
func (s *SQLite) fill(ctx context.Context, p *page, after, last Seq, prev Hash) (Seq, Hash, error) {
	p.payloads, p.ends = p.payloads[:0], p.ends[:0]
	rows, err := s.db.QueryContext(ctx, "SELECT seq, version, at, hash, payload FROM record WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", int64(after), int64(last), pageRecords)
	if err != nil {
		return after, prev, err
	}
	defer rows.Close()
	var r Record
	for len(p.payloads) < pageBytes && rows.Next() {
		if err := scan(rows, &r); err != nil {
			return after, prev, err
		}
		if err := r.Verify(after, prev); err != nil {
			return after, prev, err
		}
		after, prev = r.Seq, r.Hash
		p.payloads = append(p.payloads, r.Payload...)
		p.ends = append(p.ends, len(p.payloads))
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return after, prev, err
	}
	if len(p.ends) == 0 {
		return after, prev, &CorruptError{Seq: after + 1, Why: "it is missing"}
	}
	return after, prev, nil
}

type scanner interface{ Scan(dest ...any) error }

// scan reads the columns seq, version, at, hash and payload. The payload is valid
// until the next row.
func scan(row scanner, r *Record) error {
	var seq int64
	var hash, payload sql.RawBytes
	if err := row.Scan(&seq, &r.Version, &r.At, &hash, &payload); err != nil {
		return err
	}
	r.Seq, r.Payload = Seq(seq), payload
	if len(hash) != len(r.Hash) {
		return &CorruptError{Seq: r.Seq, Why: "its hash has the wrong length"}
	}
	copy(r.Hash[:], hash)
	return nil
}

// hashOf gives the stored hash of one record; that of record 0 is zero.
func hashOf(ctx context.Context, q querier, seq Seq) (Hash, error) {
	if seq == 0 {
		return Hash{}, nil
	}
	var hash []byte
	err := q.QueryRowContext(ctx, "SELECT hash FROM record WHERE seq = ?", int64(seq)).Scan(&hash)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Hash{}, &CorruptError{Seq: seq, Why: "it is missing"}
	case err != nil:
		return Hash{}, err
	case len(hash) != len(Hash{}):
		return Hash{}, &CorruptError{Seq: seq, Why: "its hash has the wrong length"}
	}
	return Hash(hash), nil
}

// Verify reads the whole log. A *CorruptError names the first record that does
// not fit.
func (s *SQLite) Verify(ctx context.Context) error {
	return s.Read(ctx, 0, func(Seq, []byte) error { return nil })
}
