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
	h, err := readHead(ctx, s.db)
	if err != nil {
		return fmt.Errorf("read the journal: %w", explain(err, after+1))
	}
	last := min(h.seq, h.last) // what is wrong with the end is said at the end
	if after > last {
		if err = h.check(); err == nil {
			err = &CorruptError{Seq: last + 1, Why: fmt.Sprintf("it is missing, as are all up to %d, which the reader has seen", after)}
		}
		return fmt.Errorf("read the journal: %w", err)
	}
	if err := s.pages(ctx, after, last, fn); err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	return nil
}

// pages gives the records after the one with the number after up to last.
func (s *SQLite) pages(ctx context.Context, after, last Seq, fn func(seq Seq, payload []byte) error) error {
	if after == last {
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

// fill reads a page of verified records after the one with the number after, and
// gives the number and hash of its last. The error is about the record after that.
func (s *SQLite) fill(ctx context.Context, p *page, after, last Seq, prev Hash) (Seq, Hash, error) {
	p.payloads, p.ends = p.payloads[:0], p.ends[:0]
	rows, err := s.db.QueryContext(ctx, "SELECT seq, version, at, hash, payload FROM record WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", int64(after), int64(last), pageRecords)
	if err != nil {
		return after, prev, err
	}
	defer rows.Close()
	row := newRow()
	for r := &row.record; len(p.payloads) < pageBytes && rows.Next(); {
		if err := row.scan(rows); err != nil {
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

// row takes the columns seq, version, at, hash and payload. What it holds is valid
// until the next one.
type row struct {
	record        Record
	seq           int64
	hash, payload sql.RawBytes
	dest          []any // made once: this is where a long read spends its time
}

func newRow() *row {
	r := &row{}
	r.dest = []any{&r.seq, &r.record.Version, &r.record.At, &r.hash, &r.payload}
	return r
}

func (r *row) scan(rows *sql.Rows) error {
	if err := rows.Scan(r.dest...); err != nil {
		return err
	}
	r.record.Seq, r.record.Payload = Seq(r.seq), r.payload
	if len(r.hash) != len(r.record.Hash) {
		return &CorruptError{Seq: r.record.Seq, Why: "its hash has the wrong length"}
	}
	copy(r.record.Hash[:], r.hash)
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
