package blocklist

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
)

// Decide gives the events of a decision. A second decision on the same proposal
// is ErrDecided; the caller has checked the effect that was shown.
func (l *List) Decide(now time.Time, id ID, d Decision) ([]Event, error) {
	b := l.blocks[id]
	if b == nil {
		return nil, fmt.Errorf("%s: %w", id, ErrUnknownBlock)
	}
	e := Event{At: now, Actor: d.Actor, Reason: d.Reason, Block: id}
	switch d.Verb {
	case Approve, Deny:
		if b.State != Pending {
			return nil, fmt.Errorf("%s: %w: %s by %s", id, ErrDecided, b.State, b.DecidedBy)
		}
		if d.Verb == Approve {
			return []Event{l.approval(now, *b, d.Actor, d.Reason, d.Effect)}, nil
		}
		e.Kind, e.Expires = Denied, now.Add(l.cfg.DenyMemory).UTC()
	case Revoke:
		if b.State != Active {
			return nil, fmt.Errorf("%s: %w: it is %s", id, ErrNotActive, b.State)
		}
		e.Kind = Revoked
	case Restore:
		if b.State != Active {
			return nil, fmt.Errorf("%s: %w: it is %s", id, ErrNotActive, b.State)
		}
		if !l.ledger.hasDrift(b) {
			return nil, fmt.Errorf("%s: %w: none of its entries was removed", id, ErrDecided)
		}
		e.Kind = Restored
	default:
		return nil, fmt.Errorf("%s: unknown decision %q", id, d.Verb)
	}
	return []Event{e}, nil
}

// Expire gives an event for each block whose time has run out.
func (l *List) Expire(now time.Time) []Event {
	var out []Event
	for _, b := range l.Blocks() {
		if b.State == Active && !now.Before(b.Expires) {
			out = append(out, Event{Kind: Expired, At: now, Actor: EngineActor, Block: b.ID, Reason: "its time ran out"})
		}
	}
	return out
}

// Candidate is one prefix that should be denied on one ACL in one direction.
type Candidate struct {
	Block     ID
	ACL       string
	Direction alert.Direction // Outbound is egress, Inbound is ingress
	Prefix    netip.Prefix
	Weight    int
	Since     time.Time
	Expires   time.Time
	Reason    string
}

// Wanted gives what should be denied at a time, sorted by ACL, direction, prefix
// and block. Entries that somebody removed are not wanted until a person says so.
func (l *List) Wanted(now time.Time) []Candidate {
	var out []Candidate
	for _, b := range l.blocks {
		if b.State != Active || !now.Before(b.Expires) {
			continue
		}
		for _, t := range b.Targets {
			for _, d := range t.Directions {
				if l.ledger.isDrifted(t.ACL, d, b.Prefix) {
					continue
				}
				out = append(out, candidate(*b, t.ACL, d))
			}
		}
	}
	slices.SortFunc(out, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.ACL, b.ACL), cmp.Compare(a.Direction, b.Direction),
			a.Prefix.Compare(b.Prefix), cmp.Compare(a.Block, b.Block))
	})
	return out
}

func candidate(b Block, acl string, d alert.Direction) Candidate {
	return Candidate{Block: b.ID, ACL: acl, Direction: d, Prefix: b.Prefix, Weight: b.Weight + rank(b),
		Since: b.DecidedAt, Expires: b.Expires, Reason: "approved by " + b.DecidedBy}
}

// rank is what a block weighs beyond its rule: 1 for each alert that named it
// after the first, up to 20, and 5 for each time it was blocked before, up to 25.
func rank(b Block) int {
	return min(max(b.Sightings-1, 0), 20) + 5*min(b.Repeat, 5)
}

// Rank gives the weight that a block has when slots are scarce.
func (b Block) Rank() int { return b.Weight + rank(b) }
