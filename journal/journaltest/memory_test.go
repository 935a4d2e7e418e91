package journaltest_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"selfprotect/journal"
	"selfprotect/journal/journaltest"
)

type memoryStore struct{ m *journaltest.Memory }

type memoryHandle struct{ *journaltest.Memory }

func (memoryHandle) Close() error { return nil }

func (s memoryStore) Open(*testing.T) journaltest.Handle { return memoryHandle{s.m} }

func (s memoryStore) Tamper(_ *testing.T, seq journal.Seq, change func([]byte) []byte) {
	s.m.Tamper(seq, change)
}

func TestMemory(t *testing.T) {
	journaltest.Run(t, func(*testing.T) journaltest.Store { return memoryStore{journaltest.NewMemory()} })
}

func TestMemoryFaults(t *testing.T) {
	m := journaltest.NewMemory()
	fault := journaltest.None
	var ops []string
	m.Hook = func(op string, call int) journaltest.Fault {
		ops = append(ops, op)
		if call < 1 {
			t.Errorf("%s: call %d", op, call)
		}
		return fault
	}
	do := map[string]func() error{
		"append": func() error { _, err := m.Append(t.Context(), journal.Seq(len(m.Records())), []byte("x")); return err },
		"read":   func() error { return m.Read(t.Context(), 0, func(journal.Seq, []byte) error { return nil }) },
		"lease":  func() error { _, _, _, err := m.Lease(t.Context(), "x", "a", time.Hour); return err },
		"save":   func() error { return m.SaveCheckpoint(t.Context(), 1, []byte("s")) },
		"load":   func() error { _, _, _, err := m.LoadCheckpoint(t.Context()); return err },
	}
	effect := func() (records int, owner string, saved bool) {
		was := fault
		fault = journaltest.None
		defer func() { fault = was }()
		_, owner, _, _ = m.Lease(t.Context(), "x", "b", 0)
		_, _, saved, _ = m.LoadCheckpoint(t.Context())
		return len(m.Records()), owner, saved
	}
	for _, step := range []struct {
		fault   journaltest.Fault
		records int
		owner   string
		saved   bool
	}{{journaltest.NotPersisted, 0, "", false}, {journaltest.Persisted, 1, "a", true}} {
		fault = step.fault
		for _, op := range []string{"append", "read", "lease", "save", "load"} {
			ops = nil
			if err := do[op](); !errors.Is(err, journaltest.ErrFault) {
				t.Errorf("%s with fault %d: got %v", op, fault, err)
			}
			if !slices.Equal(ops, []string{op}) {
				t.Errorf("%s: the hook was asked for %q", op, ops)
			}
		}
		if records, owner, saved := effect(); records != step.records || owner != step.owner || saved != step.saved {
			t.Errorf("after fault %d: %d records, owner %q, checkpoint %v", step.fault, records, owner, saved)
		}
	}
}

// TestMemoryIsStrict holds that a payload kept beyond the call shows.
func TestMemoryIsStrict(t *testing.T) {
	m := journaltest.NewMemory()
	if _, err := m.Append(t.Context(), 0, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	var kept []byte
	if err := m.Read(t.Context(), 0, func(_ journal.Seq, p []byte) error { kept = p; return nil }); err != nil {
		t.Fatal(err)
	}
	if string(kept) == "abc" {
		t.Error("the payload is still there after the call")
	}
	if got := m.Records(); len(got) != 1 || string(got[0]) != "abc" {
		t.Errorf("the log has %q", got)
	}
}

func TestMemoryCut(t *testing.T) {
	m := journaltest.NewMemory()
	if _, err := m.Append(t.Context(), 0, []byte("1"), []byte("2"), []byte("3")); err != nil {
		t.Fatal(err)
	}
	c := m.Cut(2)
	if _, err := c.Append(t.Context(), 2, []byte("other")); err != nil {
		t.Fatal(err)
	}
	if got := m.Records(); string(got[2]) != "3" {
		t.Errorf("the cut log writes into the first: %q", got)
	}
	if err := c.Read(t.Context(), 0, func(journal.Seq, []byte) error { return nil }); err != nil {
		t.Errorf("the chain of the cut log: %v", err)
	}
}
