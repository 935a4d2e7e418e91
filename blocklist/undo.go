package blocklist

import (
	"errors"
	"fmt"
	"time"

	"selfprotect/alert"
)

// Standing is where a block stood before the last decision about it, which can be
// taken back.
type Standing struct {
	State     State     `json:"state"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
	DecidedBy string    `json:"decided_by,omitempty"`
	Why       string    `json:"why,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
	Pinned    bool      `json:"pinned,omitempty"`
	PinnedBy  string    `json:"pinned_by,omitempty"`
}

// ErrNothingToUndo says that no decision about a block can be taken back.
var ErrNothingToUndo = errors.New("there is no decision to take back")

func (b *Block) standing() *Standing {
	return &Standing{b.State, b.DecidedAt, b.DecidedBy, b.Why, b.Expires, b.Pinned, b.PinnedBy}
}

// Undone gives a block as it would be after its last decision is taken back.
func (b Block) Undone() (Block, error) {
	was := b.Before
	if was == nil {
		return b, fmt.Errorf("%s: %w", b.ID, ErrNothingToUndo)
	}
	b.Before = b.standing()
	b.State, b.DecidedAt, b.DecidedBy, b.Why = was.State, was.DecidedAt, was.DecidedBy, was.Why
	b.Expires, b.Pinned, b.PinnedBy = was.Expires, was.Pinned, was.PinnedBy
	return b, nil
}

// undo gives the event that takes the last decision back. What comes into force
// again has the end that it had.
func (l *List) undo(now time.Time, b *Block, d Decision) ([]Event, error) {
	to, err := b.Undone()
	if err != nil {
		return nil, err
	}
	if to.State == Active && !to.inForce(now) {
		return nil, fmt.Errorf("%s: %w: its time ran out at %s", b.ID, ErrNothingToUndo, to.Expires.UTC().Format("2006-01-02 15:04 MST"))
	}
	return []Event{{Kind: Undid, At: now, Actor: d.Actor, Reason: d.Reason, Block: b.ID, Effect: d.Effect}}, nil
}

func (l *List) applyUndid(e Event) error {
	b := l.blocks[e.Block]
	if b == nil {
		return fmt.Errorf("%s event for %s, which was never proposed", e.Kind, e.Block)
	}
	to, err := b.Undone()
	if err != nil {
		return err
	}
	if !b.Cover && (b.State == Active) != (to.State == Active) {
		key, n := pastKey{b.Direction, b.Prefix}, 1
		switch {
		case b.State == Active && to.State == Pending:
			n = -1
		case b.State != Pending:
			n = 0 // it was counted when it was approved
		}
		l.past[key] += n
		if l.past[key] <= 0 {
			delete(l.past, key)
		}
	}
	to.ByHand = true
	*b = to
	if b.State != Active {
		l.ledger.forgetDrift(b)
	}
	return nil
}

// PendingOn gives the unsettled writes of an ACL that touch a block.
func (l *List) PendingOn(acl string, d alert.Direction, b Block) []PendingWrite {
	var out []PendingWrite
	for _, w := range l.Pending(acl) {
		if w.Direction == d && (w.Prefix.Overlaps(b.Prefix) || w.Old.IsValid() && w.Old.Overlaps(b.Prefix)) {
			out = append(out, w)
		}
	}
	return out
}
