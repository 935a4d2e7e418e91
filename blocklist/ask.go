package blocklist

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"selfprotect/alert"
	"selfprotect/policy"
)

// Wanting is what a person asks to be blocked.
type Wanting struct {
	Prefix    netip.Prefix
	Direction alert.Direction
	Targets   []policy.Target
	TTL       time.Duration
	Weight    int
	Actor     string
	Reason    string
}

// The widest prefixes that a person may ask for: anything wider is taken for a
// mistake, whatever the guard says.
const (
	ShortestAsked4 = 16
	ShortestAsked6 = 32
)

// Ask gives the block that a person asks for, as it would wait for a decision, and
// the events that propose it: none when it waits already. What is in force is
// ErrDecided. That somebody said no before is told, and does not stand in the way.
func (l *List) Ask(now time.Time, w Wanting) (Block, []Event, error) {
	p, err := plainPrefix(w.Prefix, ShortestAsked4, ShortestAsked6)
	if err != nil {
		return Block{}, nil, err
	}
	if len(w.Targets) == 0 {
		return Block{}, nil, errors.New("no network ACL takes that direction")
	}
	id := MakeID(w.Direction, p, w.Targets)
	reasons := []string{"asked for by " + w.Actor}
	if w.Reason != "" {
		reasons[0] += ": " + w.Reason
	}
	if b := l.blocks[id]; b != nil {
		switch {
		case b.State == Pending:
			return *b, nil, nil
		case b.State == Active:
			return *b, nil, fmt.Errorf("%s: %w: %s by %s", id, ErrDecided, b.State, b.DecidedBy)
		case b.State == Refused && now.Before(b.Expires):
			reasons = append(reasons, "denied before by "+b.DecidedBy)
		}
	}
	prop := Proposal{Direction: w.Direction, Prefix: p, Targets: w.Targets, TTL: min(w.TTL, l.cfg.MaxTTL), Weight: w.Weight,
		Repeat: l.past[pastKey{w.Direction, p}], Reasons: reasons}
	if prop.TTL <= 0 {
		return Block{}, nil, errors.New("a block needs a time to live")
	}
	e := Event{Kind: Proposed, At: now, Actor: w.Actor, Reason: w.Reason, Block: id, Proposal: &prop}
	return Block{ID: id, Proposal: prop, State: Pending, ProposedAt: now}, []Event{e}, nil
}

// Adopt gives the event by which an entry of somebody else becomes ours: from then
// on it serves a block of that prefix on that ACL. The caller has just read it.
func (l *List) Adopt(now time.Time, entry Write, ttl time.Duration, weight int, actor, reason string) (ID, []Event, error) {
	if _, ours := l.ledger.slots[entry.slot()]; ours {
		return "", nil, fmt.Errorf("entry %d of %s: %w: it is ours", entry.Number, entry.ACL, ErrDecided)
	}
	for _, w := range l.ledger.pending {
		if w.slot() == entry.slot() {
			return "", nil, fmt.Errorf("a write to entry %d of %s is not settled yet", entry.Number, entry.ACL)
		}
	}
	targets := []policy.Target{{ACL: entry.ACL, Directions: []alert.Direction{entry.Direction}}}
	id := MakeID(entry.Direction, entry.Prefix, targets)
	e := Event{Kind: Adopted, At: now, Actor: actor, Reason: reason, Block: id, Write: &entry}
	if b := l.blocks[id]; b != nil && b.State == Active {
		return id, []Event{e}, nil // it serves the block that is there
	}
	ttl = min(cmp.Or(max(ttl, 0), l.cfg.MaxTTL), l.cfg.MaxTTL)
	e.Expires = now.Add(ttl).UTC()
	e.Proposal = &Proposal{Direction: entry.Direction, Prefix: entry.Prefix, Targets: targets, TTL: ttl, Weight: weight,
		Repeat: l.past[pastKey{entry.Direction, entry.Prefix}], Reasons: []string{"adopted by " + actor}}
	return id, []Event{e}, nil
}

func (l *List) applyAdopted(e Event) error {
	if e.Write == nil || e.Block == "" {
		return fmt.Errorf("%s event without an entry", e.Kind)
	}
	b := l.blocks[e.Block]
	active := b != nil && b.State == Active
	if active == (e.Proposal != nil) {
		return fmt.Errorf("%s event for %s, which is in force: %t", e.Kind, e.Block, active)
	}
	l.ledger.adopt(*e.Write)
	if active {
		return nil
	}
	p := *e.Proposal
	l.blocks[e.Block] = &Block{ID: e.Block, Proposal: p, State: Active, ProposedAt: e.At, DecidedAt: e.At, DecidedBy: e.Actor, Why: e.Reason, Expires: e.Expires}
	l.past[pastKey{p.Direction, p.Prefix}]++
	return nil
}

// adopt takes an entry as ours, and with it what was missing at that place.
func (g *ledger) adopt(w Write) {
	k := w.slot()
	g.slots[k] = slot{Prefix: w.Prefix}
	delete(g.drifts, driftKey{w.ACL, w.Direction, w.Prefix})
	if ps := g.left[k]; ps != nil {
		delete(ps, w.Prefix)
	}
}
