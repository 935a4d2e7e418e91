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
	case Pin, Unpin:
		if b.State != Active || b.Cover {
			return nil, fmt.Errorf("%s: %w: only what is in force can be pinned", id, ErrNotActive)
		}
		if b.Pinned == (d.Verb == Pin) {
			return nil, fmt.Errorf("%s: %w: pinned is %t", id, ErrDecided, b.Pinned)
		}
		e.Kind = Pinned
		if d.Verb == Unpin {
			e.Kind, e.Expires = Unpinned, b.Expires
			if again := now.Add(b.TTL).UTC(); again.After(b.Expires) {
				e.Expires = again
			}
		}
	case Snooze:
		return snooze(now, b, d, e)
	case Wake:
		return wake(now, b, e)
	case Undo:
		return l.undo(now, b, d)
	default:
		return nil, fmt.Errorf("%s: unknown decision %q", id, d.Verb)
	}
	return []Event{e}, nil
}

// Expire gives an event for each block whose time has run out.
func (l *List) Expire(now time.Time) []Event {
	var out []Event
	for _, b := range l.Blocks() {
		if b.State == Active && !b.inForce(now) {
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
	Pinned    bool
	Since     time.Time
	Expires   time.Time // not for a pinned one
	Reason    string
}

// Wanted gives what should be denied at a time, sorted by ACL, direction, prefix
// and block. Entries that somebody removed are not wanted until a person says so.
func (l *List) Wanted(now time.Time) []Candidate { return l.WantedBy(now, now) }

// WantedBy is Wanted with another time by which blocks expire.
func (l *List) WantedBy(now, expiry time.Time) []Candidate {
	var out []Candidate
	for _, b := range l.blocks {
		if b.Cover || !b.inForce(expiry) {
			continue
		}
		for _, t := range b.Targets {
			for _, d := range t.Directions {
				if l.ledger.isDrifted(t.ACL, d, b.Prefix) {
					continue
				}
				out = append(out, candidate(*b, t.ACL, d, now))
			}
		}
	}
	slices.SortFunc(out, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.ACL, b.ACL), cmp.Compare(a.Direction, b.Direction),
			a.Prefix.Compare(b.Prefix), cmp.Compare(a.Block, b.Block))
	})
	return out
}

func candidate(b Block, acl string, d alert.Direction, now time.Time) Candidate {
	return Candidate{Block: b.ID, ACL: acl, Direction: d, Prefix: b.Prefix, Weight: b.Score(now).Total(), Pinned: b.Pinned,
		Since: b.DecidedAt, Expires: b.Expires, Reason: "approved by " + b.DecidedBy}
}
