// Package journaltest holds the suite that every log must pass, and a log in
// memory with faults for the tests of others.
package journaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
// package time, so it works in a synctest bubble. It is strict: the bytes that
// Read gives are overwritten after each call of fn.
type Memory struct {
	// Hook, when set, is asked at the start of each call; op is append, read,
	// lease, save or load, and call counts from 1 for each op. It may use the log
	// and may sleep. It must not be changed while calls are under way.
	Hook func(op string, call int) Fault
	// Now is the clock of the machine; nil: time.Now.
	Now func() time.Time

	mu     sync.Mutex
	calls  map[string]int
	recs   []journal.Record
	leases map[string]lease
	saved  []checkpoint // ascending, at most 2
}

type lease struct {
	holder       string
	taken, until time.Time
}

type checkpoint struct {
	seq   journal.Seq
	state []byte
}

var (
	_ journal.Log         = (*Memory)(nil)
	_ journal.Checkpoints = (*Memory)(nil)
)

// NewMemory gives an empty log.
func NewMemory() *Memory {
	return &Memory{calls: map[string]int{}, leases: map[string]lease{}}
}

// Cut gives a log that ends with record n and has no leases or checkpoints, as a
// machine that died then would leave it. It panics when there is no record n > 0.
func (m *Memory) Cut(n journal.Seq) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMemory()
	c.recs = slices.Clone(m.recs[:n])
	return c
}

// Len is the number of records.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.recs)
}

// Records gives a copy of all payloads.
func (m *Memory) Records() [][]byte { return m.Since(0) }

// Since gives a copy of the payloads after record n.
func (m *Memory) Since(n int) [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all [][]byte
	for _, r := range m.recs[n:] {
		all = append(all, slices.Clone(r.Payload))
	}
	return all
}

// Tamper exchanges the payload of a record behind the back of the chain.
func (m *Memory) Tamper(seq journal.Seq, change func(payload []byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recs = slices.Clone(m.recs) // a Read under way keeps what it has
	m.recs[seq-1].Payload = change(slices.Clone(m.recs[seq-1].Payload))
}

func (m *Memory) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

func (m *Memory) fault(ctx context.Context, op string) (Fault, error) {
	if err := ctx.Err(); err != nil {
		return None, err
	}
	m.mu.Lock()
	m.calls[op]++
	call, hook := m.calls[op], m.Hook
	m.mu.Unlock()
	f := None
	if hook != nil {
		f = hook(op, call)
	}
	if f == NotPersisted {
		return f, fmt.Errorf("%s: %w", op, ErrFault)
	}
	return f, nil
}

// answer is the end of a call that has had its effect.
func answer(f Fault, op string) error {
	if f == Persisted {
		return fmt.Errorf("%s: %w", op, ErrFault)
	}
	return nil
}

// Append implements journal.Log.
func (m *Memory) Append(ctx context.Context, after journal.Seq, payloads ...[]byte) (journal.Seq, error) {
	f, err := m.fault(ctx, "append")
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if journal.Seq(len(m.recs)) != after {
		return 0, journal.ErrConflict
	}
	at := m.now().UnixNano()
	for _, p := range payloads {
		r := journal.Record{Seq: journal.Seq(len(m.recs)) + 1, Version: journal.Version, At: at, Payload: slices.Clone(p)}
		r.Seal(m.hash(r.Seq - 1))
		m.recs = append(m.recs, r)
	}
	if err := answer(f, "append"); err != nil {
		return 0, err
	}
	return journal.Seq(len(m.recs)), nil
}

func (m *Memory) hash(seq journal.Seq) journal.Hash {
	if seq == 0 {
		return journal.Hash{}
	}
	return m.recs[seq-1].Hash
}

// Read implements journal.Log.
func (m *Memory) Read(ctx context.Context, after journal.Seq, fn func(journal.Seq, []byte) error) error {
	f, err := m.fault(ctx, "read")
	if err == nil {
		err = answer(f, "read")
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	recs := m.recs
	m.mu.Unlock()
	last := journal.Seq(len(recs))
	if after > last {
		return &journal.CorruptError{Seq: last + 1, Why: "it is missing"}
	}
	var prev journal.Hash
	if after > 0 {
		prev = recs[after-1].Hash
	}
	for _, r := range recs[after:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.Verify(after, prev); err != nil {
			return err
		}
		p := slices.Clone(r.Payload)
		if err := fn(r.Seq, p); err != nil {
			return err
		}
		for i := range p {
			p[i] = 0xff // who kept it shall notice
		}
		after, prev = r.Seq, r.Hash
	}
	return nil
}

// Lease implements journal.Log.
func (m *Memory) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, string, time.Time, error) {
	if name == "" || holder == "" {
		return false, "", time.Time{}, errors.New("a lease needs a name and a holder")
	}
	f, err := m.fault(ctx, "lease")
	if err != nil {
		return false, "", time.Time{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	l := m.leases[name]
	free := l.holder == "" || !now.Before(l.until) || now.Before(l.taken)
	switch {
	case l.holder != holder && !free:
	case ttl > 0:
		l = lease{holder, now, now.Add(ttl)}
		m.leases[name] = l
	default:
		l = lease{until: now}
		delete(m.leases, name)
	}
	if err := answer(f, "lease"); err != nil {
		return false, "", time.Time{}, err
	}
	return l.holder == holder, l.holder, l.until, nil
}

// SaveCheckpoint implements journal.Checkpoints.
func (m *Memory) SaveCheckpoint(ctx context.Context, seq journal.Seq, state []byte) error {
	f, err := m.fault(ctx, "save")
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if seq > journal.Seq(len(m.recs)) {
		return &journal.CorruptError{Seq: seq, Why: "it is missing"}
	}
	m.saved = slices.DeleteFunc(m.saved, func(c checkpoint) bool { return c.seq == seq })
	m.saved = append(m.saved, checkpoint{seq, slices.Clone(state)})
	slices.SortFunc(m.saved, func(a, b checkpoint) int { return int(int64(a.seq) - int64(b.seq)) })
	m.saved = m.saved[max(0, len(m.saved)-2):]
	return answer(f, "save")
}

// LoadCheckpoint implements journal.Checkpoints.
func (m *Memory) LoadCheckpoint(ctx context.Context) (journal.Seq, []byte, bool, error) {
	f, err := m.fault(ctx, "load")
	if err == nil {
		err = answer(f, "load")
	}
	if err != nil {
		return 0, nil, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range slices.Backward(m.saved) {
		if c.seq == 0 || m.recs[c.seq-1].Verify(c.seq-1, m.hash(c.seq-1)) == nil {
			return c.seq, slices.Clone(c.state), true, nil
		}
	}
	return 0, nil, false, nil
}
