package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

type checkpoint struct {
	seq              Seq
	hash, sum, state []byte
}

// load reads what the number stands for.
func (c *checkpoint) load(ctx context.Context, q querier) error {
	return q.QueryRowContext(ctx, "SELECT hash, sum, state FROM checkpoint WHERE seq = ?", int64(c.seq)).Scan(&c.hash, &c.sum, &c.state)
}

// intact says whether it is what was saved.
func (c *checkpoint) intact() bool {
	sum := c.total()
	return len(c.hash) == len(Hash{}) && string(sum[:]) == string(c.sum)
}

func (c *checkpoint) total() Hash {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], c.seq)
	h.Write(n[:])
	h.Write(c.hash)
	h.Write(c.state)
	return Hash(h.Sum(nil))
}

// checkpoints gives the numbers of those that are kept, newest first.
func (s *SQLite) checkpoints(ctx context.Context) iter.Seq2[checkpoint, error] {
	return func(yield func(checkpoint, error) bool) {
		var seqs []Seq
		rows, err := s.db.QueryContext(ctx, "SELECT seq FROM checkpoint ORDER BY seq DESC")
		if err == nil {
			defer rows.Close()
			var seq int64
			for rows.Next() && err == nil {
				err = rows.Scan(&seq)
				seqs = append(seqs, Seq(seq))
			}
			err = errors.Join(err, rows.Err(), rows.Close())
		}
		if err != nil {
			yield(checkpoint{}, err)
			return
		}
		for _, seq := range seqs {
			if !yield(checkpoint{seq: seq}, nil) {
				return
			}
		}
	}
}

// SaveCheckpoint implements Checkpoints.
func (s *SQLite) SaveCheckpoint(ctx context.Context, seq Seq, state []byte) error {
	_, err := s.write(ctx, func(tx *sql.Tx) (Seq, error) {
		hash, err := hashOf(ctx, tx, seq)
		if err != nil {
			return 0, err
		}
		if state == nil {
			state = []byte{} // a nil slice would be NULL
		}
		c := checkpoint{seq: seq, hash: hash[:], state: state}
		sum := c.total()
		if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO checkpoint (seq, hash, sum, state) VALUES (?, ?, ?, ?)", int64(seq), hash[:], sum[:], state); err != nil {
			return 0, err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM checkpoint WHERE seq NOT IN (SELECT seq FROM checkpoint ORDER BY seq DESC LIMIT 2)")
		return seq, err
	})
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", explain(err, seq))
	}
	return nil
}

// LoadCheckpoint implements Checkpoints. It looks at the record of the checkpoint
// and at the link to the one before, and at nothing else of the log.
func (s *SQLite) LoadCheckpoint(ctx context.Context) (seq Seq, state []byte, ok bool, err error) {
	for c, err := range s.checkpoints(ctx) {
		if err == nil {
			err = s.usable(ctx, &c)
		}
		switch err = explain(err, c.seq); {
		case err == nil:
			return c.seq, c.state, true, nil
		case !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer):
			return 0, nil, false, fmt.Errorf("load checkpoint: %w", err)
		}
	}
	return 0, nil, false, nil
}

// usable loads a checkpoint and holds it against the chain.
func (s *SQLite) usable(ctx context.Context, c *checkpoint) error {
	err := c.load(ctx, s.db)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !c.intact() {
		return &CorruptError{Seq: c.seq, Why: "its checkpoint was changed"}
	}
	if err != nil || c.seq == 0 {
		return err
	}
	prev, err := hashOf(ctx, s.db, c.seq-1)
	if err != nil {
		return err
	}
	r, err := s.record(ctx, c.seq)
	if err != nil {
		return err
	}
	if err := r.Verify(c.seq-1, prev); err != nil {
		return err
	}
	if string(r.Hash[:]) != string(c.hash) {
		return &CorruptError{Seq: c.seq, Why: "it is not the record of which the checkpoint was made"}
	}
	return nil
}

func (s *SQLite) record(ctx context.Context, seq Seq) (Record, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT seq, version, at, hash, payload FROM record WHERE seq = ?", int64(seq))
	if err != nil {
		return Record{}, err
	}
	defer rows.Close()
	if !rows.Next() {
		return Record{}, errors.Join(rows.Err(), &CorruptError{Seq: seq, Why: "it is missing"})
	}
	row := newRow()
	err = row.scan(rows)
	r := row.record
	r.Payload = bytes.Clone(r.Payload)
	return r, errors.Join(err, rows.Close())
}
