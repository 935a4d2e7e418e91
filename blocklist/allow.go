package blocklist

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Allowance is the word of a person that a prefix must never be blocked. The
// engine makes it an entry of the guard.
type Allowance struct {
	Prefix  netip.Prefix `json:"prefix"`
	Actor   string       `json:"actor"`
	Reason  string       `json:"reason,omitempty"`
	At      time.Time    `json:"at"`
	Expires time.Time    `json:"expires,omitzero"` // zero: without an end
}

func (a Allowance) inForce(now time.Time) bool {
	return a.Expires.IsZero() || now.Before(a.Expires)
}

// ErrNotAllowed says that no person has allowed a prefix.
var ErrNotAllowed = errors.New("nobody has said that it must never be blocked")

// shortestAllowed are the widest prefixes that can be allowed. Wider ones would
// turn the program off, and are taken for a mistake.
const (
	shortestAllowed4 = 8
	shortestAllowed6 = 16
)

// Allow gives the events of an allowance, and of the end of every proposal and
// block that it touches: those that wait are denied, without a memory of it, those
// in force are revoked. Allowing a prefix again changes its end and its reason.
func (l *List) Allow(now time.Time, a Allowance) ([]Event, error) {
	p, err := plainPrefix(a.Prefix, shortestAllowed4, shortestAllowed6)
	if err != nil {
		return nil, err
	}
	if !a.inForce(now) {
		return nil, errors.New("an allowance must end at a time to come")
	}
	out := []Event{{Kind: Allowed, At: now, Actor: a.Actor, Reason: a.Reason, Prefix: p, Expires: a.Expires}}
	why := fmt.Sprintf("%s is never to be blocked", p)
	for _, b := range l.Blocks() {
		if !b.Prefix.Overlaps(p) {
			continue
		}
		e := Event{At: now, Actor: a.Actor, Reason: why, Block: b.ID}
		switch b.State {
		case Pending:
			e.Kind, e.Expires = Denied, now.UTC()
		case Active:
			e.Kind = Revoked
		default:
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

// Disallow gives the event that ends an allowance. Nothing that it ended comes
// back by that.
func (l *List) Disallow(now time.Time, p netip.Prefix, actor, reason string) ([]Event, error) {
	p, err := plainPrefix(p, 0, 0)
	if err != nil {
		return nil, err
	}
	if a, ok := l.allowed[p]; !ok || !a.inForce(now) {
		return nil, fmt.Errorf("%s: %w", p, ErrNotAllowed)
	}
	return []Event{{Kind: Disallowed, At: now, Actor: actor, Reason: reason, Prefix: p}}, nil
}

// Allowances gives what must never be blocked at a time, sorted by prefix.
func (l *List) Allowances(now time.Time) []Allowance {
	return slices.DeleteFunc(l.allAllowances(), func(a Allowance) bool { return !a.inForce(now) })
}

// allAllowances gives the ended ones too, for a checkpoint: the same fold gives the
// same bytes.
func (l *List) allAllowances() []Allowance {
	out := make([]Allowance, 0, len(l.allowed))
	for _, a := range l.allowed {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Allowance) int { return a.Prefix.Compare(b.Prefix) })
	return out
}

func (l *List) applyAllowed(e Event) error {
	if !e.Prefix.IsValid() {
		return fmt.Errorf("%s event without a prefix", e.Kind)
	}
	for p, a := range l.allowed {
		if !a.inForce(e.At) {
			delete(l.allowed, p)
		}
	}
	if e.Kind == Disallowed {
		delete(l.allowed, e.Prefix)
		return nil
	}
	l.allowed[e.Prefix] = Allowance{Prefix: e.Prefix, Actor: e.Actor, Reason: e.Reason, At: e.At, Expires: e.Expires}
	return nil
}

// plainPrefix gives a prefix without host bits, IPv4 unmapped; one that is shorter
// than the bounds is an error.
func plainPrefix(p netip.Prefix, least4, least6 int) (netip.Prefix, error) {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if !p.IsValid() || p.Addr().Zone() != "" {
		return p, errors.New("that is no CIDR")
	}
	least := least6
	if p.Addr().Is4() {
		least = least4
	}
	if p.Bits() < least {
		return p, fmt.Errorf("%s is too wide: /%d is the widest", p, least)
	}
	return p.Masked(), nil
}
