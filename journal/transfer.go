package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
)

// Tail gives the number and the hash of the last record; zeros for an empty log.
func (s *SQLite) Tail(ctx context.Context) (Seq, Hash, error) {
	h, err := readHead(ctx, s.db)
	if err == nil {
		err = h.check()
	}
	if err != nil {
		return 0, Hash{}, fmt.Errorf("read the end of the journal: %w", explain(err, 1))
	}
	return h.seq, h.hash, nil
}

// Hash gives the hash of one record; zeros for record 0. A record that the log does
// not have is a *CorruptError.
func (s *SQLite) Hash(ctx context.Context, seq Seq) (Hash, error) {
	h, err := hashOf(ctx, s.db, seq)
	if err != nil {
		return Hash{}, fmt.Errorf("read the journal: %w", explain(err, seq))
	}
	return h, nil
}

// Records gives every record up to last with what seals it, and verifies the chain.
// An error ends it. A record is valid until the next one is asked for.
func (s *SQLite) Records(ctx context.Context, last Seq) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var prev Hash
		for after := Seq(0); after < last; {
			batch, err := s.batch(ctx, after, last, prev)
			for _, r := range batch {
				if !yield(r, nil) {
					return
				}
				after, prev = r.Seq, r.Hash
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("read the journal: %w", explain(err, after+1)))
				return
			}
		}
	}
}

// batch reads some verified records; others may write while they are looked at.
func (s *SQLite) batch(ctx context.Context, after, last Seq, prev Hash) (out []Record, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT seq, version, at, hash, payload FROM record WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", int64(after), int64(last), pageRecords)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	row := newRow()
	for size := 0; size < pageBytes && rows.Next(); size += len(row.payload) {
		if err := row.scan(rows); err != nil {
			return out, err
		}
		if err := row.record.Verify(after, prev); err != nil {
			return out, err
		}
		r := row.record
		r.Payload = append([]byte{}, r.Payload...)
		out, after, prev = append(out, r), r.Seq, r.Hash
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return out, err
	}
	if len(out) == 0 {
		return nil, &CorruptError{Seq: after + 1, Why: "it is missing"}
	}
	return out, nil
}

// Extend appends records of another log as they are, seals included, after the one
// with the number after: all or none, durable on return. Each is verified against
// the one before it; ErrConflict says that the log does not end there.
func (s *SQLite) Extend(ctx context.Context, after Seq, records iter.Seq2[Record, error]) (Seq, error) {
	last, err := s.write(ctx, func(tx *sql.Tx) (Seq, error) { return extend(ctx, tx, after, records) })
	if errors.Is(err, ErrConflict) {
		return 0, ErrConflict
	}
	if err != nil {
		return 0, fmt.Errorf("extend the journal: %w", explain(err, after+1))
	}
	return last, nil
}

func extend(ctx context.Context, tx *sql.Tx, after Seq, records iter.Seq2[Record, error]) (Seq, error) {
	h, err := readHead(ctx, tx)
	if err == nil {
		err = h.check()
	}
	switch {
	case err != nil:
		return 0, err
	case h.seq != after:
		return 0, ErrConflict
	}
	stmt, err := tx.PrepareContext(ctx, "INSERT INTO record (seq, version, at, hash, payload) VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return 0, err
	}
	defer stmt.Close()
	seq, hash := h.seq, h.hash
	for r, err := range records {
		if err != nil {
			return 0, err
		}
		if seq == math.MaxInt64 {
			return 0, errors.New("the numbers are used up")
		}
		if err := r.Verify(seq, hash); err != nil {
			return 0, err
		}
		if _, err := stmt.ExecContext(ctx, int64(r.Seq), r.Version, r.At, r.Hash[:], append([]byte{}, r.Payload...)); err != nil {
			return 0, err
		}
		seq, hash = r.Seq, r.Hash
	}
	_, err = tx.ExecContext(ctx, "UPDATE tail SET seq = ?, hash = ?", int64(seq), hash[:])
	return seq, err
}
