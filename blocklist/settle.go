package blocklist

import (
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
)

// Rules are the two windows of the write protocol.
type Rules struct {
	// Settle is how long every read must lack an entry before it counts as absent.
	Settle time.Duration
	// RequestExpiry is how long a request that was signed may still be accepted.
	RequestExpiry time.Duration
	// Steady is since when the clock is known to run steadily: what was written
	// before may have been written a moment before. Zero: always.
	Steady time.Time
	// Ahead is the latest time that the clock may have shown before it was set
	// back, which was at Steady. Zero: it was not.
	Ahead time.Time
}

// Begun is the latest time at which a write can have been signed, by the clock as
// it runs now.
func (r Rules) Begun(w PendingWrite, now time.Time) time.Time {
	if w.At.Before(r.Steady) || w.At.After(now) && !w.At.After(r.Ahead) {
		return r.Steady
	}
	return w.At
}

// Answer is what this process knows of the answer to a write. A process that
// was not there when it came knows nothing: the zero value.
type Answer struct {
	Done    bool // the service said that it was carried out
	Refused bool // the service said that it was not and will not be
	Gone    bool // refused, because the entry is not there
	At      time.Time
}

// Reading is one read of an ACL: the deny entries of all protocols that it
// showed, and since when every read of this process agrees about each unsettled
// write.
type Reading struct {
	ACL string
	// At is when the read was begun. It says nothing about writes answered later.
	At   time.Time
	Seen map[Slot]netip.Prefix
	// Since tells, by write id, since when every read shows what Seen shows for
	// the number of the write. Missing: since At.
	Since map[string]time.Time
	// Missing tells, by number, since when every read of this process lacks an
	// entry of ours.
	Missing map[Slot]time.Time
}

// Slot is a place in an ACL.
type Slot struct {
	Direction alert.Direction
	Number    int
}

// Reconcile gives the events that a read of an ACL proves: writes that are
// settled, entries of ours that are gone, and such that came back. Answers are by
// write id.
func (l *List) Reconcile(now time.Time, rd Reading, answers map[string]Answer, r Rules) []Event {
	var out []Event
	busy := map[Slot]bool{}
	for _, w := range l.Pending(rd.ACL) {
		at := Slot{w.Direction, w.Number}
		busy[at] = true
		a := answers[w.ID]
		if rd.At.Before(r.Begun(w, now)) || rd.At.Before(a.At) {
			continue
		}
		since, ok := rd.Since[w.ID]
		if !ok {
			since = rd.At
		}
		there := rd.Seen[at] == w.Prefix
		if there && w.Op != OpDelete && !a.Done && rd.At.Before(l.ledger.leftAt(w.Write).Add(r.Settle)) {
			continue // it stood there before: this may be an old read
		}
		outcome, done := r.judge(w, a, there, since, now)
		if !done {
			continue
		}
		out = append(out, Event{Kind: Settled, At: now, Actor: EngineActor, WriteID: w.ID, Outcome: outcome})
		if a.Done && w.Op != OpDelete && outcome == Absent {
			// It was carried out and is not there: somebody removed it at once.
			out = append(out, driftEvent(Drifted, now, rd.ACL, at, w.Prefix))
		}
	}
	return append(out, l.drift(now, rd, busy, r)...)
}

// drift compares the entries that are settled as ours with what the read shows.
func (l *List) drift(now time.Time, rd Reading, busy map[Slot]bool, r Rules) []Event {
	var out []Event
	for k, s := range l.ledger.slots {
		at := Slot{k.Direction, k.Number}
		if k.ACL != rd.ACL || busy[at] {
			continue
		}
		since, known := rd.Missing[at]
		there := rd.Seen[at] == s.Prefix
		switch {
		case there && !s.Drifted.IsZero():
			out = append(out, driftEvent(Returned, now, rd.ACL, at, s.Prefix))
		case there:
		case s.Drifted.IsZero():
			out = append(out, driftEvent(Drifted, now, rd.ACL, at, s.Prefix))
		case known && rd.At.Sub(latest(since, s.Drifted)) >= r.Settle: // a read before may have been too early to show it
			out = append(out, driftEvent(Gone, now, rd.ACL, at, s.Prefix))
		}
	}
	slices.SortFunc(out, func(a, b Event) int {
		return compareSlots(a.Write.slot(), b.Write.slot())
	})
	return out
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func compareSlots(a, b slotKey) int {
	if a.Direction != b.Direction {
		return int(a.Direction) - int(b.Direction)
	}
	return a.Number - b.Number
}

func driftEvent(k Kind, now time.Time, acl string, at Slot, p netip.Prefix) Event {
	return Event{Kind: k, At: now, Actor: EngineActor,
		Write: &Write{ACL: acl, Direction: at.Direction, Number: at.Number, Prefix: p}}
}

// judge says how a write is settled by a read that shows its exact entry or not,
// and has done so since a time.
func (r Rules) judge(w PendingWrite, a Answer, there bool, since, now time.Time) (WriteOutcome, bool) {
	if w.Op != OpDelete && there {
		return Present, true // proof at once
	}
	switch {
	case a.Refused && w.Op != OpDelete:
		return Absent, true
	case a.Refused && !a.Gone:
		return Present, true // it was not deleted; a read that lacks it may lag
	case a.Refused && !there:
		return Absent, true
	}
	agreed := now.Sub(since) >= r.Settle
	landed := a.Done || a.Refused || !now.Before(r.Begun(w, now).Add(r.RequestExpiry+r.Settle))
	if !agreed || !landed {
		return "", false
	}
	if there {
		return Present, true
	}
	return Absent, true
}
