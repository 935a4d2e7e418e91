package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Guarded is one prefix that must not be blocked, and why.
type Guarded struct {
	Prefix netip.Prefix
	Why    string // such as "RFC 1918 private", "VPC vpc-1 (own network)", "never_block in the config"
	// Ask softens the entry: it is not refused, but never blocked without asking.
	Ask bool
}

// Guard is the set of prefixes that must not be blocked. It never changes; With
// gives a larger one. The zero value and nil refuse everything.
type Guard struct {
	entries []Guarded    // sorted, each once
	hard    [2][]Guarded // of the entries that refuse, by family, outermost first
	soft    [2][]Guarded
}

// GuardedError says which entry of the guard forbids a prefix.
type GuardedError struct {
	Prefix netip.Prefix
	By     Guarded
}

// Error names both, and the reason.
func (e *GuardedError) Error() string {
	return fmt.Sprintf("%s must not be blocked: it touches %s, %s", e.Prefix, e.By.Prefix, e.By.Why)
}

// ErrEmptyGuard says that there is no guard, so nothing may be blocked.
var ErrEmptyGuard = errors.New("the guard is empty: nothing is blocked without one")

// Shortest prefixes that anything may ever ask for. Wider ones are mistakes.
const (
	minBits4 = 8
	minBits6 = 16
)

// NewGuard makes a guard. Invalid prefixes are left out; IPv4-mapped ones are
// taken as the IPv4 prefix that they name.
func NewGuard(entries []Guarded) *Guard {
	g := &Guard{}
	for _, e := range entries {
		p, ok := unmap(e.Prefix)
		if !ok {
			continue
		}
		e.Prefix = p
		g.entries = append(g.entries, e)
	}
	slices.SortFunc(g.entries, compareGuarded)
	g.entries = slices.Compact(g.entries)
	for _, e := range g.entries {
		f := family(e.Prefix)
		if e.Ask {
			g.soft[f] = append(g.soft[f], e)
		} else {
			g.hard[f] = append(g.hard[f], e)
		}
	}
	return g
}

func compareGuarded(a, b Guarded) int {
	ask := func(g Guarded) int {
		if g.Ask {
			return 1
		}
		return 0
	}
	return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()), cmp.Compare(ask(a), ask(b)), cmp.Compare(a.Why, b.Why))
}

func family(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}

// unmap gives the prefix that is meant, without host bits.
func unmap(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return p, false
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p.Masked(), true
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// With gives a guard with more entries.
func (g *Guard) With(entries ...Guarded) *Guard {
	if g == nil {
		return NewGuard(entries)
	}
	return NewGuard(append(slices.Clone(g.entries), entries...))
}

// Entries gives what is guarded, sorted.
func (g *Guard) Entries() []Guarded {
	if g == nil {
		return nil
	}
	return slices.Clone(g.entries)
}

// Check gives nil when a prefix may be blocked, a *GuardedError when it contains
// a guarded address or lies in a guarded prefix. The IPv4 addresses that
// IPv4-mapped, NAT64 (64:ff9b::/96) and 6to4 (2002::/16) forms carry are looked at
// too.
func (g *Guard) Check(p netip.Prefix) error {
	if g == nil || len(g.entries) == 0 {
		return ErrEmptyGuard
	}
	forms, err := forms(p)
	if err != nil {
		return err
	}
	for _, f := range forms {
		if e, ok := overlapping(g.hard[family(f)], f); ok {
			return &GuardedError{Prefix: p, By: e}
		}
	}
	return nil
}

// Soft gives the entry, if any, for whose sake a prefix is never blocked without
// asking.
func (g *Guard) Soft(p netip.Prefix) (Guarded, bool) {
	if g == nil {
		return Guarded{}, false
	}
	forms, err := forms(p)
	if err != nil {
		return Guarded{}, false
	}
	for _, f := range forms {
		if e, ok := overlapping(g.soft[family(f)], f); ok {
			return e, true
		}
	}
	return Guarded{}, false
}

// forms gives a prefix and the IPv4 prefixes that hide in it.
func forms(p netip.Prefix) ([]netip.Prefix, error) {
	m, ok := unmap(p)
	if !ok {
		return nil, fmt.Errorf("%v is no prefix", p)
	}
	if m.Addr().Is4() && m.Bits() < minBits4 || !m.Addr().Is4() && m.Bits() < minBits6 {
		return nil, fmt.Errorf("%s is too wide: nothing wider than /%d (IPv4) or /%d (IPv6) is ever blocked", p, minBits4, minBits6)
	}
	out := []netip.Prefix{m}
	if m.Addr().Is4() {
		return out, nil
	}
	b := m.Addr().As16()
	switch {
	case m.Bits() >= 96 && [12]byte(b[:12]) == [12]byte{0x00, 0x64, 0xff, 0x9b}:
		out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte(b[12:16])), m.Bits()-96).Masked())
	case b[0] == 0x20 && b[1] == 0x02:
		out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte(b[2:6])), min(max(m.Bits()-16, 0), 32)).Masked())
	}
	return out, nil
}

// overlapping finds an entry that overlaps p. Entries are sorted by address, so
// those inside p are neighbours; those around p are found by their own lengths.
func overlapping(entries []Guarded, p netip.Prefix) (Guarded, bool) {
	at := func(q netip.Prefix) (int, bool) {
		return slices.BinarySearchFunc(entries, q, func(e Guarded, q netip.Prefix) int {
			return cmp.Or(e.Prefix.Addr().Compare(q.Addr()), cmp.Compare(e.Prefix.Bits(), q.Bits()))
		})
	}
	for bits := range p.Bits() + 1 {
		if i, ok := at(netip.PrefixFrom(p.Addr(), bits).Masked()); ok {
			return entries[i], true
		}
	}
	if i, _ := at(p); i < len(entries) && p.Contains(entries[i].Prefix.Addr()) {
		return entries[i], true
	}
	return Guarded{}, false
}
