package sim

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Call is one request to an [EC2].
type Call struct {
	Time   time.Time
	Action string
	DryRun bool
	ACL    string // of a write, as sent
	Egress bool
	Number int
	CIDR   string // of a create or replace, as sent
	Code   string // error code of the answer; empty when it succeeded or nothing came back
	// Answered says that the caller got an answer, Applied that a write took
	// effect, then or later.
	Answered bool
	Applied  bool
}

// Prefix gives the prefix of a create or replace; invalid if the text is none.
func (c Call) Prefix() netip.Prefix {
	p, _ := netip.ParsePrefix(c.CIDR)
	return p
}

// IsWrite tells whether the action changes a network ACL.
func (c Call) IsWrite() bool { return isWrite(c.Action) }

// Calls is what an [EC2] was asked, refused and failed requests included.
type Calls struct {
	Total    int
	Writes   int // without those for a dry run
	ByAction map[string]int
	Log      []Call // in order of arrival, the newest 20,000 at least
}

// Since gives the calls of the log that came at t or later.
func (c Calls) Since(t time.Time) []Call {
	i, _ := slices.BinarySearchFunc(c.Log, t, func(c Call, t time.Time) int { return c.Time.Compare(t) })
	return c.Log[i:]
}

// Calls gives the requests so far.
func (s *EC2) Calls() Calls {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(time.Now())
	out := Calls{Total: s.calls.total, Writes: s.calls.writes, ByAction: maps.Clone(s.calls.actions)}
	for _, c := range s.calls.log {
		out.Log = append(out.Log, *c)
	}
	return out
}

const callsKept = 20_000

type callLog struct {
	total, writes int
	actions       map[string]int
	log           []*Call
}

func (l *callLog) add(c Call) *Call {
	l.total++
	l.actions[c.Action]++
	if c.IsWrite() && !c.DryRun {
		l.writes++
	}
	if len(l.log) == 2*callsKept {
		l.log = slices.Clone(l.log[callsKept:])
	}
	l.log = append(l.log, &c)
	return &c
}

func isWrite(action string) bool {
	switch action {
	case actionCreate, actionReplace, actionDelete:
		return true
	}
	return false
}
