package blocklist

import (
	"errors"
	"fmt"
	"time"
)

// MaxSnooze is the longest time that a proposal can be put off.
const MaxSnooze = 30 * 24 * time.Hour

// Snoozed says whether a person has put the proposal off until later. It still
// waits for a decision; auto mode leaves it alone meanwhile.
func (b Block) Snoozed(now time.Time) bool { return b.State == Pending && now.Before(b.SnoozedUntil) }

// snooze gives the event that puts a proposal off.
func snooze(now time.Time, b *Block, d Decision, e Event) ([]Event, error) {
	if b.State != Pending {
		return nil, fmt.Errorf("%s: %w: %s by %s", b.ID, ErrDecided, b.State, b.DecidedBy)
	}
	switch left := d.Until.Sub(now); {
	case left <= 0:
		return nil, errors.New("a proposal can be put off only until a time to come")
	case left > MaxSnooze:
		return nil, fmt.Errorf("a proposal can be put off by %d days at most", MaxSnooze/(24*time.Hour))
	}
	e.Kind, e.Expires = Snoozed, d.Until.UTC()
	return []Event{e}, nil
}

// wake gives the event that ends that.
func wake(now time.Time, b *Block, e Event) ([]Event, error) {
	if !b.Snoozed(now) {
		return nil, fmt.Errorf("%s: %w: it is not put off", b.ID, ErrDecided)
	}
	e.Kind = Woken
	return []Event{e}, nil
}

func (l *List) applySnoozed(e Event) error {
	b := l.blocks[e.Block]
	if b == nil || b.State != Pending {
		return fmt.Errorf("%s event for %s, which does not wait for a decision", e.Kind, e.Block)
	}
	b.SnoozedUntil, b.SnoozedBy = e.Expires, e.Actor
	if e.Kind == Woken {
		b.SnoozedUntil, b.SnoozedBy = time.Time{}, ""
	}
	return nil
}
