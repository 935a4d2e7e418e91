package blocklist

import (
	"cmp"
	"fmt"
	"slices"
)

// Dealt is an alert every address of which a block in force denies.
type Dealt struct {
	Alert  string
	Blocks []ID // sorted
}

// Dealt gives the alerts that may be dismissed at the source once the entries of their
// blocks were read back, sorted: whole ones that were not dismissed, in which the guard
// refused nothing, nobody said no, and nothing waits.
func (l *List) Dealt() []Dealt {
	var out []Dealt
	for id, st := range l.alerts {
		if !st.Dismissed.IsZero() || !st.Note.Complete {
			continue
		}
		if blocks := l.blocksOf(st); len(blocks) > 0 {
			out = append(out, Dealt{Alert: id, Blocks: blocks})
		}
	}
	slices.SortFunc(out, func(a, b Dealt) int { return cmp.Compare(a.Alert, b.Alert) })
	return out
}

// blocksOf gives the blocks of an alert when all of them are in force, else nothing.
func (l *List) blocksOf(st *AlertState) (out []ID) {
	for _, s := range st.Sightings {
		if s.Outcome == OutcomeIgnored {
			continue
		}
		b := l.blocks[s.Block]
		if b == nil || b.State != Active || s.Outcome == OutcomeRefused || s.Outcome == OutcomeDenied {
			return nil
		}
		out = append(out, s.Block)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// applyDismissed notes that the source was told. An alert that was dropped meanwhile
// needs no note.
func (l *List) applyDismissed(e Event) error {
	if e.Alert == nil || e.Alert.ID == "" {
		return fmt.Errorf("dismissed event without an alert")
	}
	if old := l.alerts[e.Alert.ID]; old != nil {
		st := *old // one that was handed out must not change under its reader
		st.Dismissed = e.At
		l.alerts[e.Alert.ID] = &st
	}
	return nil
}
