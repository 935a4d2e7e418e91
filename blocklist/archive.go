package blocklist

import (
	"errors"
	"fmt"
	"time"
)

// Archive is the word of a person that an alert needs no look any more. It decides
// nothing about the addresses of the alert.
type Archive struct {
	At        time.Time `json:"at"`
	Actor     string    `json:"actor"`
	Reason    string    `json:"reason,omitempty"`
	Escalated bool      `json:"escalated,omitempty"` // handed to somebody else
}

// Extent is how much is known of an alert: what grows when there is more to see.
type Extent struct{ Events, Addresses, Named int }

// ExtentOf measures an alert.
func ExtentOf(n AlertNote, sightings []Sighting) Extent {
	x := Extent{Events: n.Events, Addresses: len(sightings)}
	for _, s := range sightings {
		x.Named += s.Events
	}
	return x
}

// Filing is an alert to archive, as it was shown: one that has grown since is not.
type Filing struct {
	Alert string
	Shown Extent
}

// Errors of Archive and Unarchive. Each is wrapped with the id of the alert.
var (
	ErrUnknownAlert = errors.New("no such alert")
	ErrGrown        = errors.New("it has grown since it was shown; look again")
	ErrWaiting      = errors.New("an address of it waits for a decision: decide first")
	ErrArchived     = errors.New("it is archived")
	ErrNotArchived  = errors.New("it is not archived")
)

// Archive gives the events that take alerts out of the list of those to look at:
// all, or none with an error that names each that cannot be. What is archived can
// still be escalated.
func (l *List) Archive(now time.Time, files []Filing, a Archive) ([]Event, error) {
	var out []Event
	var errs []error
	for _, f := range files {
		if err := l.mayArchive(f, a); err != nil {
			errs = append(errs, fmt.Errorf("alert %s: %w", f.Alert, err))
			continue
		}
		out = append(out, Event{Kind: Archived, At: now, Actor: a.Actor, Reason: a.Reason, Alert: &AlertNote{ID: f.Alert}, Escalated: a.Escalated})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return out, nil
}

func (l *List) mayArchive(f Filing, a Archive) error {
	st := l.alerts[f.Alert]
	switch {
	case st == nil:
		return ErrUnknownAlert
	case st.Archive != nil && (st.Archive.Escalated || !a.Escalated):
		return fmt.Errorf("%w by %s", ErrArchived, st.Archive.Actor)
	case ExtentOf(st.Note, st.Sightings) != f.Shown:
		return ErrGrown
	}
	for _, s := range st.Sightings {
		if b := l.blocks[s.Block]; b != nil && b.State == Pending {
			return ErrWaiting
		}
	}
	return nil
}

// Unarchive gives the events that bring alerts back, all or none.
func (l *List) Unarchive(now time.Time, ids []string, actor, reason string) ([]Event, error) {
	var out []Event
	var errs []error
	for _, id := range ids {
		switch st := l.alerts[id]; {
		case st == nil:
			errs = append(errs, fmt.Errorf("alert %s: %w", id, ErrUnknownAlert))
		case st.Archive == nil:
			errs = append(errs, fmt.Errorf("alert %s: %w", id, ErrNotArchived))
		default:
			out = append(out, Event{Kind: Unarchived, At: now, Actor: actor, Reason: reason, Alert: &AlertNote{ID: id}})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return out, nil
}

// applyArchived keeps the word of a person. An alert that was dropped meanwhile
// needs none.
func (l *List) applyArchived(e Event) error {
	if e.Alert == nil || e.Alert.ID == "" {
		return fmt.Errorf("%s event without an alert", e.Kind)
	}
	old := l.alerts[e.Alert.ID]
	if old == nil {
		return nil
	}
	st := *old // one that was handed out must not change under its reader
	st.Archive = nil
	if e.Kind == Archived {
		st.Archive = &Archive{At: e.At, Actor: e.Actor, Reason: e.Reason, Escalated: e.Escalated}
	}
	l.alerts[e.Alert.ID] = &st
	return nil
}

// archiveAfter says what is left of the word of a person once an alert is known as
// st: nothing when it has grown, so that somebody looks again.
func (old *AlertState) archiveAfter(st *AlertState) *Archive {
	if old.Archive == nil || st.Note.Events > old.Note.Events {
		return nil
	}
	for _, s := range st.Sightings {
		if was, ok := old.named(s); !ok || s.Events > was.Events || s.Outcome == OutcomeProposed && was.Outcome != OutcomeProposed {
			return nil
		}
	}
	return old.Archive
}

// named gives the sighting of the same address in the same direction.
func (old *AlertState) named(s Sighting) (Sighting, bool) {
	for _, o := range old.Sightings {
		if o.Addr == s.Addr && o.Direction == s.Direction {
			return o, true
		}
	}
	return Sighting{}, false
}
