// Package journaltest holds the suite that every log must pass, and a log in
// memory with faults for the tests of others.
package journaltest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"selfprotect/journal"
)

// Fault is what a call of the memory log does.
type Fault int

const (
	// None: the call works.
	None Fault = iota
	// NotPersisted: the call fails and nothing was written.
	NotPersisted
	// Persisted: the call fails, but what it should write was written: the answer
	// was lost.
	Persisted
)

// ErrFault is the error of a call that was made to fail.
var ErrFault = errors.New("the disk failed (injected)")

// Memory is a log in memory. It starts no goroutine and takes its time from
// package time, so it works in a synctest bubble.
type Memory struct {
	// Hook, when set, is asked before each call; op is append, read, lease, save
	// or load, and call counts from 1 for each op.
	Hook func(op string, call int) Fault

	mu     sync.Mutex
	calls  map[string]int
	recs   [][]byte
	hashes []journal.Hash
	leases map[string]lease
	state  []byte
	at     journal.Seq
}

type lease struct {
	holder string
	until  time.Time
}

var _ journal.Log = (*Memory)(nil)

// NewMemory gives an empty log.
func NewMemory() *Memory {
	return &Memory{calls: map[string]int{}, leases: map[string]lease{}}
}

// Cut gives a copy that ends with record n and has no leases or checkpoints, as
// a machine that died then would leave it.
func (m *Memory) Cut(n journal.Seq) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMemory()
	c.recs = append(c.recs, m.recs[:n]...)
	c.hashes = append(c.hashes, m.hashes[:n]...)
	return c
}

// Records gives a copy of all payloads.
func (m *Memory) Records() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([][]byte(nil), m.recs...)
}

func (m *Memory) fault(op string) Fault {
	m.calls[op]++
	if m.Hook == nil {
		return None
	}
	return m.Hook(op, m.calls[op])
}

// Append implements journal.Log.
func (m *Memory) Append(ctx context.Context, after journal.Seq, payloads ...[]byte) (journal.Seq, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.fault("append")
	if f == NotPersisted {
		return 0, ErrFault
	}
	if journal.Seq(len(m.recs)) != after {
		return 0, journal.ErrConflict
	}
	for _, p := range payloads {
		var prev journal.Hash
		if n := len(m.hashes); n > 0 {
			prev = m.hashes[n-1]
		}
		m.recs = append(m.recs, append([]byte(nil), p...))
		m.hashes = append(m.hashes, journal.Chain(prev, journal.Seq(len(m.recs)), p))
	}
	if f == Persisted {
		return 0, ErrFault
	}
	return journal.Seq(len(m.recs)), nil
}

// Read implements journal.Log.
func (m *Memory) Read(ctx context.Context, after journal.Seq, fn func(journal.Seq, []byte) error) error {
	m.mu.Lock()
	if m.fault("read") != None {
		m.mu.Unlock()
		return ErrFault
	}
	recs := append([][]byte(nil), m.recs...)
	m.mu.Unlock()
	if after > journal.Seq(len(recs)) {
		return &journal.CorruptError{Seq: after, Why: "it is missing"}
	}
	for i := after; i < journal.Seq(len(recs)); i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(i+1, recs[i]); err != nil {
			return err
		}
	}
	return nil
}

// Lease implements journal.Log.
func (m *Memory) Lease(_ context.Context, name, holder string, ttl time.Duration) (bool, string, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault("lease") != None {
		return false, "", time.Time{}, fmt.Errorf("lease %s: %w", name, ErrFault)
	}
	t := time.Now()
	if l := m.leases[name]; l.holder != "" && l.holder != holder && t.Before(l.until) {
		return false, l.holder, l.until, nil
	}
	if ttl <= 0 {
		delete(m.leases, name)
		return false, "", t, nil
	}
	m.leases[name] = lease{holder, t.Add(ttl)}
	return true, holder, t.Add(ttl), nil
}

// SaveCheckpoint keeps the newest state.
func (m *Memory) SaveCheckpoint(_ context.Context, seq journal.Seq, state []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault("save") != None {
		return ErrFault
	}
	m.at, m.state = seq, append([]byte(nil), state...)
	return nil
}

// LoadCheckpoint gives the newest state.
func (m *Memory) LoadCheckpoint(context.Context) (journal.Seq, []byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault("load") != None {
		return 0, nil, false, ErrFault
	}
	return m.at, m.state, m.state != nil, nil
}
