package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"selfprotect/alert"
)

// Guarded is one prefix that must not be blocked, and why.
type Guarded struct {
	Prefix netip.Prefix
	Why    string // such as "RFC 1918 private", "VPC vpc-1 (own network)", "never_block in the config"
	// Ask softens the entry: it is not refused, but never blocked without asking.
	Ask bool
	// Overridable says that a person may lift the entry for one prefix and a time;
	// see Overriding. Nobody can lift any other entry.
	Overridable bool
}

// Guard is the set of prefixes that must not be blocked. It never changes; With
// gives a larger one. The zero value and nil refuse everything.
type Guard struct {
	entries []Guarded             // sorted, each once
	hard    [2]index              // of the entries that refuse, by family
	yields  [2]index              // of those that refuse and can be overridden
	soft    [2]index              // of the entries that ask
	over    map[netip.Prefix]bool // the prefixes for which yields is overridden
	broken  error                 // an entry that could not be understood: everything is refused
}

// GuardedError says which entry of the guard forbids a prefix.
type GuardedError struct {
	Prefix netip.Prefix
	By     Guarded
}

// Error names both, and the reason.
func (e *GuardedError) Error() string {
	return fmt.Sprintf("%s must not be blocked: it touches %s, %s", e.Prefix, e.By.Prefix, alert.Clean(e.By.Why))
}

// ErrEmptyGuard says that there is no guard, so nothing may be blocked.
var ErrEmptyGuard = errors.New("the guard is empty: nothing is blocked without one")

// Shortest prefixes that anything may ever ask for. Wider ones are mistakes.
const (
	minBits4 = 8
	minBits6 = 16
)

// NewGuard makes a guard. IPv4-mapped prefixes are taken as the IPv4 prefix that
// they name, and host bits do not count. An entry without a valid prefix is
// something that somebody wanted guarded and nobody can tell what: such a guard
// refuses everything, and says so.
func NewGuard(entries []Guarded) *Guard {
	g := &Guard{}
	for _, e := range entries {
		if !e.Prefix.IsValid() {
			g.broken = fmt.Errorf("the guard is broken, so nothing is blocked: an entry (%s) has no valid prefix", cmp.Or(alert.Clean(e.Why), "without a reason"))
		} else {
			e.Prefix = unmap(e.Prefix)
		}
		g.entries = append(g.entries, e)
	}
	slices.SortFunc(g.entries, compareGuarded)
	g.entries = slices.Compact(g.entries)
	for _, e := range g.entries {
		switch f := family(e.Prefix); {
		case !e.Prefix.IsValid():
		case e.Ask:
			g.soft[f] = g.soft[f].append(e)
		case e.Overridable:
			g.yields[f] = g.yields[f].append(e)
		default:
			g.hard[f] = g.hard[f].append(e)
		}
	}
	return g
}

func compareGuarded(a, b Guarded) int {
	rank := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	return cmp.Or(a.Prefix.Compare(b.Prefix), cmp.Compare(rank(a.Ask), rank(b.Ask)), cmp.Compare(rank(a.Overridable), rank(b.Overridable)),
		cmp.Compare(a.Why, b.Why))
}

// With gives a guard with more entries.
func (g *Guard) With(entries ...Guarded) *Guard {
	if g == nil {
		return NewGuard(entries)
	}
	out := NewGuard(slices.Concat(g.entries, entries))
	out.over = g.over
	return out
}

// Overriding gives a guard with the same entries in which each of these prefixes,
// exactly as it is, passes the entries that can be overridden. A wider or a
// narrower one does not. It replaces what was overridden before.
func (g *Guard) Overriding(prefixes ...netip.Prefix) *Guard {
	if g == nil {
		return nil
	}
	out := *g
	out.over = map[netip.Prefix]bool{}
	for _, p := range prefixes {
		if p.IsValid() {
			out.over[unmap(p)] = true
		}
	}
	return &out
}

// ErrNoOverride says that an override of a prefix would change nothing.
var ErrNoOverride = errors.New("no entry of the guard that can be overridden forbids it")

// MayOverride gives nil when an override is what it takes to block a prefix. It
// gives a *GuardedError when an entry that nobody can lift forbids it, and
// ErrNoOverride when none forbids it.
func (g *Guard) MayOverride(p netip.Prefix) error {
	if err := g.usable(); err != nil {
		return err
	}
	meant, err := forms(p)
	if err != nil {
		return err
	}
	if e, ok := anyOverlap(&g.hard, meant); ok {
		return &GuardedError{Prefix: p, By: e}
	}
	if _, ok := anyOverlap(&g.yields, meant); !ok {
		return fmt.Errorf("%s: %w", p, ErrNoOverride)
	}
	return nil
}

// Entries gives what is guarded, sorted by family, address and length.
func (g *Guard) Entries() []Guarded {
	if g == nil {
		return nil
	}
	return slices.Clone(g.entries)
}

// usable gives why no prefix at all may be blocked, if that is so.
func (g *Guard) usable() error {
	switch {
	case g == nil || len(g.entries) == 0:
		return ErrEmptyGuard
	default:
		return g.broken
	}
}

// Check gives nil when a prefix may be blocked, and a *GuardedError when it
// contains a guarded address or lies in a guarded prefix, and is not overridden. The IPv4 addresses that
// the IPv4-mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96) and 6to4 (2002::/16) forms
// carry are looked at too. A prefix that is invalid, or wider than /8 or /16, is
// refused whatever is guarded; so is everything by a guard without entries.
func (g *Guard) Check(p netip.Prefix) error {
	if err := g.usable(); err != nil {
		return err
	}
	meant, err := forms(p)
	if err != nil {
		return err
	}
	if e, ok := anyOverlap(&g.hard, meant); ok {
		return &GuardedError{Prefix: p, By: e}
	}
	if e, ok := anyOverlap(&g.yields, meant); ok && !g.over[unmap(p)] {
		return &GuardedError{Prefix: p, By: e}
	}
	return nil
}

// Soft gives the entry, if any, for whose sake a prefix is never blocked without
// asking: one that asks, or one that is overridden. It does not look at the entries
// that refuse.
func (g *Guard) Soft(p netip.Prefix) (Guarded, bool) {
	if g == nil {
		return Guarded{}, false
	}
	meant, err := forms(p)
	if err != nil {
		return Guarded{}, false
	}
	if e, ok := anyOverlap(&g.soft, meant); ok {
		return e, true
	}
	if !g.over[unmap(p)] {
		return Guarded{}, false
	}
	e, ok := anyOverlap(&g.yields, meant)
	if ok {
		e.Why += ", overridden for this prefix"
	}
	return e, ok
}

func anyOverlap(by *[2]index, meant []netip.Prefix) (Guarded, bool) {
	for _, p := range meant {
		if e, ok := by[family(p)].overlap(p); ok {
			return e, true
		}
	}
	return Guarded{}, false
}
