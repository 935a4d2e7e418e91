// Package firewalltest stands in for EC2 in tests: a strict back end in memory
// with faults, and the suite that every back end must pass.
//
// Memory keeps the rules that AWS documents: quotas for each direction and family
// with the default deny counted, numbers from 1 to 32766 shared by the families,
// CIDRs without host bits, an identical create succeeds, default rules cannot be
// touched. It fails the test when somebody changes an entry that is marked as
// foreign, or denies a prefix that is guarded.
package firewalltest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"selfprotect/firewall"
)

// Call is one call of a back end, as a fault hook sees it.
type Call struct {
	N      int // from 1
	ACL    string
	Read   bool
	Change firewall.Change
}

// Fault is what becomes of a call. The zero value lets it work.
type Fault struct {
	// Err fails the call. A write is not carried out unless Lost or Late says so.
	Err error
	// Lost: the write is carried out, but its answer is Err.
	Lost bool
	// Late: the write is carried out this much later.
	Late time.Duration
	// Stale: a read shows the ACLs as they were this long ago.
	Stale time.Duration
	// Wait: the call takes this long.
	Wait time.Duration
}

// Reporter is the part of a testing.TB that misuse is reported to.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// Memory is the back end. Make it with New.
type Memory struct {
	// Quota for each direction and family; 0 is firewall.DefaultQuota.
	Quota int
	// Guarded prefixes must never be denied.
	Guarded []netip.Prefix

	t       Reporter
	mu      sync.Mutex
	hook    func(Call) Fault
	acls    map[string]*firewall.ACL
	foreign map[string][]firewall.Entry // entries that nobody but a person may change
	past    []moment
	late    []landing
	calls   int
	writes  []Call
}

type moment struct {
	at   time.Time
	acls map[string]firewall.ACL
}

type landing struct {
	at     time.Time
	acl    string
	change firewall.Change
}

// New gives a back end with these ACLs; everything in them is foreign.
func New(t Reporter, acls ...firewall.ACL) *Memory {
	m := &Memory{t: t, acls: map[string]*firewall.ACL{}, foreign: map[string][]firewall.Entry{}}
	for _, a := range acls {
		a.Entries = slices.Clone(a.Entries)
		a.Sort()
		m.acls[a.ID] = &a
		m.foreign[a.ID] = slices.Clone(a.Entries)
	}
	m.remember()
	return m
}

// Standard gives an ACL as AWS makes it: allow-all at 100 and 101, and the
// default denies, in both directions.
func Standard(id string, more ...firewall.Entry) firewall.ACL {
	a := firewall.ACL{ID: id, Region: "us-east-1", Account: "123456789012", VPC: "vpc-1",
		CIDRs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	all4, all6 := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")
	for _, d := range []firewall.Direction{firewall.Egress, firewall.Ingress} {
		a.Entries = append(a.Entries,
			firewall.Entry{Number: 100, Direction: d, Protocol: firewall.AllProtocols, Prefix: all4},
			firewall.Entry{Number: 101, Direction: d, Protocol: firewall.AllProtocols, Prefix: all6},
			firewall.Entry{Number: 32767, Direction: d, Deny: true, Protocol: firewall.AllProtocols, Prefix: all4},
			firewall.Entry{Number: 32768, Direction: d, Deny: true, Protocol: firewall.AllProtocols, Prefix: all6})
	}
	a.Entries = append(a.Entries, more...)
	a.Sort()
	return a
}

// Faults sets what becomes of each call; nil lets them all work.
func (m *Memory) Faults(hook func(Call) Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

// Edit changes an ACL as a person would: what is new is foreign, what is gone is
// gone for good.
func (m *Memory) Edit(id string, edit func(*firewall.ACL)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.land()
	a := m.acls[id]
	before := slices.Clone(a.Entries)
	edit(a)
	a.Sort()
	m.foreign[id] = slices.DeleteFunc(m.foreign[id], func(e firewall.Entry) bool { return !slices.Contains(a.Entries, e) })
	for _, e := range a.Entries {
		if !slices.Contains(before, e) {
			m.foreign[id] = append(m.foreign[id], e)
		}
	}
	m.remember()
}

// HandOver says that an entry is not foreign any more: whoever made it lets it be
// changed.
func (m *Memory) HandOver(id string, d firewall.Direction, number int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.foreign[id] = slices.DeleteFunc(m.foreign[id], func(e firewall.Entry) bool { return e.Direction == d && e.Number == number })
}

// ACL gives a copy of an ACL as it is.
func (m *Memory) ACL(id string) firewall.ACL {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.land()
	a := *m.acls[id]
	a.Entries = slices.Clone(a.Entries)
	return a
}

// Ours gives the entries of an ACL that came by Do.
func (m *Memory) Ours(id string) []firewall.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.land()
	return slices.DeleteFunc(slices.Clone(m.acls[id].Entries), func(e firewall.Entry) bool { return slices.Contains(m.foreign[id], e) })
}

// Writes gives the write calls so far.
func (m *Memory) Writes() []Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.writes)
}

// Calls counts the calls so far.
func (m *Memory) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func (m *Memory) remember() {
	now := time.Now()
	if n := len(m.past); n > 0 && m.unchanged(m.past[n-1]) {
		return
	}
	snap := map[string]firewall.ACL{}
	for id, a := range m.acls {
		c := *a
		c.Entries = slices.Clone(a.Entries)
		snap[id] = c
	}
	m.past = append(m.past, moment{now, snap})
	for len(m.past) > 1 && now.Sub(m.past[1].at) > time.Hour {
		m.past = m.past[1:]
	}
}

func (m *Memory) unchanged(last moment) bool {
	for id, a := range m.acls {
		if !slices.Equal(last.acls[id].Entries, a.Entries) || !slices.Equal(last.acls[id].CIDRs, a.CIDRs) || !slices.Equal(last.acls[id].Own, a.Own) ||
			!slices.Equal(last.acls[id].Linked, a.Linked) || last.acls[id].Partial != a.Partial || last.acls[id].Quota != a.Quota {
			return false
		}
	}
	return true
}

// land carries out what was late and is due.
func (m *Memory) land() {
	now := time.Now()
	due := m.late
	m.late = nil
	for _, l := range due {
		if now.Before(l.at) {
			m.late = append(m.late, l)
		} else {
			_ = m.carryOut(l.acl, l.change)
		}
	}
}

func (m *Memory) fault(c Call) Fault {
	m.calls++
	c.N = m.calls
	if !c.Read {
		m.writes = append(m.writes, c)
	}
	if m.hook == nil {
		return Fault{}
	}
	return m.hook(c)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Read gives the ACLs, sorted by id.
func (m *Memory) Read(ctx context.Context) ([]firewall.ACL, error) {
	m.mu.Lock()
	m.land()
	f := m.fault(Call{Read: true})
	m.mu.Unlock()
	if err := wait(ctx, f.Wait); err != nil {
		return nil, err
	}
	if f.Err != nil {
		return nil, f.Err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.land()
	m.remember()
	shown := m.past[0]
	for _, p := range m.past {
		if !p.at.After(time.Now().Add(-f.Stale)) {
			shown = p
		}
	}
	var out []firewall.ACL
	for _, a := range shown.acls {
		a.Entries = slices.Clone(a.Entries)
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b firewall.ACL) int { return compare(a.ID, b.ID) })
	return out, nil
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Do makes one change.
func (m *Memory) Do(ctx context.Context, id string, c firewall.Change) error {
	m.mu.Lock()
	m.land()
	f := m.fault(Call{ACL: id, Change: c})
	m.check(id, c)
	m.mu.Unlock()
	if err := wait(ctx, f.Wait); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case f.Late > 0:
		m.late = append(m.late, landing{time.Now().Add(f.Late), id, c})
		return errOr(f.Err, errors.New("the request timed out"))
	case f.Lost:
		_ = m.carryOut(id, c)
		return errOr(f.Err, errors.New("connection reset"))
	case f.Err != nil:
		return f.Err
	}
	return m.carryOut(id, c)
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// check reports misuse: what no correct caller ever asks for.
func (m *Memory) check(id string, c firewall.Change) {
	m.t.Helper()
	if c.Number < 1 || c.Number > firewall.MaxNumber {
		m.t.Errorf("%s: %s: the number is out of range", id, c)
	}
	if c.Op != firewall.Delete {
		for _, g := range m.Guarded {
			if g.Overlaps(c.Prefix) {
				m.t.Errorf("%s: %s: denies the guarded %s", id, c, g)
			}
		}
	}
	for _, e := range m.foreign[id] {
		if c.Op != firewall.Create && e.Direction == c.Direction && e.Number == c.Number {
			m.t.Errorf("%s: %s: the entry is not ours: %v", id, c, e)
		}
	}
}

func refuse(code, meaning string, set func(*firewall.RefusedError)) error {
	e := &firewall.RefusedError{Code: code, Meaning: meaning, Err: errors.New(code)}
	set(e)
	return e
}

func (m *Memory) carryOut(id string, c firewall.Change) error {
	a := m.acls[id]
	if a == nil {
		return refuse("InvalidNetworkAclID.NotFound", "there is no such ACL", func(e *firewall.RefusedError) { e.Gone = true })
	}
	i := slices.IndexFunc(a.Entries, func(e firewall.Entry) bool { return e.Direction == c.Direction && e.Number == c.Number })
	fresh := c.Entry()
	fresh.Prefix = fresh.Prefix.Masked()
	switch c.Op {
	case firewall.Create:
		if i >= 0 {
			if a.Entries[i] == fresh {
				return nil
			}
			return refuse("NetworkAclEntryAlreadyExists", fmt.Sprintf("number %d is taken", c.Number), func(e *firewall.RefusedError) { e.Taken = true })
		}
		if a.Count(c.Direction, firewall.FamilyOf(fresh.Prefix)) >= m.quota() {
			return refuse("NetworkAclEntryLimitExceeded", "the ACL is full", func(e *firewall.RefusedError) { e.Quota = true })
		}
		a.Entries = append(a.Entries, fresh)
	case firewall.Replace, firewall.Delete:
		if i < 0 {
			return refuse("InvalidNetworkAclEntry.NotFound", fmt.Sprintf("there is no entry %d", c.Number), func(e *firewall.RefusedError) { e.Gone = true })
		}
		if c.Op == firewall.Delete {
			a.Entries = slices.Delete(a.Entries, i, i+1)
		} else {
			a.Entries[i] = fresh
		}
	}
	a.Sort()
	m.remember()
	return nil
}

func (m *Memory) quota() int {
	if m.Quota > 0 {
		return m.Quota
	}
	return firewall.DefaultQuota
}
