package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

var errNoHolder = errors.New("a lease needs a name and a holder")

type lease struct {
	owner        string
	taken, until int64
	epoch        int64
}

// free says whether another may take the lease. A lease that seems to have been
// taken in the future is free: the clock was set back, and its end means nothing.
func (l lease) free(now int64) bool {
	return l.owner == "" || now >= l.until || now < l.taken
}

// Lease implements Log. Its time is the wall clock of this machine.
func (s *SQLite) Lease(ctx context.Context, name, holder string, ttl time.Duration) (held bool, owner string, until time.Time, err error) {
	if name == "" || holder == "" {
		return false, "", time.Time{}, errNoHolder
	}
	var l lease
	_, err = s.write(ctx, func(tx *sql.Tx) (Seq, error) {
		err := tx.QueryRowContext(ctx, "SELECT holder, taken, until, epoch FROM lease WHERE name = ?", name).Scan(&l.owner, &l.taken, &l.until, &l.epoch)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, err
		}
		now := time.Now()
		if !l.change(holder, now, ttl) {
			return 0, nil
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO lease (name, holder, taken, until, epoch) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, taken = excluded.taken, until = excluded.until, epoch = excluded.epoch`,
			name, l.owner, l.taken, l.until, l.epoch)
		return 0, err
	})
	if err != nil {
		return false, "", time.Time{}, fmt.Errorf("lease %s: %w", name, explain(err, 1))
	}
	return l.owner == holder, l.owner, time.Unix(0, l.until), nil
}

// Holder says who has a lease now, and until when; "" for nobody.
func (s *SQLite) Holder(ctx context.Context, name string) (owner string, until time.Time, err error) {
	var l lease
	err = s.db.QueryRowContext(ctx, "SELECT holder, taken, until, epoch FROM lease WHERE name = ?", name).Scan(&l.owner, &l.taken, &l.until, &l.epoch)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && l.free(time.Now().UnixNano()):
		return "", time.Time{}, nil
	case err != nil:
		return "", time.Time{}, fmt.Errorf("lease %s: %w", name, explain(err, 1))
	}
	return l.owner, time.Unix(0, l.until), nil
}

// change makes the step that the holder asks for, and says whether there is
// something to store.
func (l *lease) change(holder string, now time.Time, ttl time.Duration) bool {
	t := now.UnixNano()
	switch {
	case l.owner != holder && !l.free(t):
		return false
	case ttl > 0:
		if l.owner != holder {
			l.epoch++
		}
		l.owner, l.taken, l.until = holder, t, now.Add(ttl).UnixNano()
		return true
	case l.owner == holder:
		l.owner, l.until = "", t
		return true
	}
	l.owner, l.until = "", t // it has run out, and stays as it is
	return false
}
