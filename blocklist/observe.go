package blocklist

import (
	"fmt"
	"slices"
	"time"

	"selfprotect/alert"
	"selfprotect/policy"
)

// Note gives the event for an alert that is new or has changed, else none. It
// comes before the events of Observe for the same alert.
func (l *List) Note(now time.Time, a alert.Alert, why string) []Event {
	n := noteOf(a, why)
	if st := l.alerts[a.ID]; st != nil {
		old := st.Note
		if !n.Complete { // a later look at the list alone knows less, not more
			n.Events, n.Complete, n.Skipped = old.Events, old.Complete, max(old.Skipped, n.Skipped)
		}
		if n.Host == "" {
			n.Host = old.Host
		}
		if n.Note == "" || !a.Complete && old.Complete {
			n.Note = old.Note
		}
		if n == old {
			return nil
		}
	}
	return []Event{{Kind: Observed, At: now, Actor: EngineActor, Alert: &n}}
}

func noteOf(a alert.Alert, why string) AlertNote {
	n := AlertNote{ID: a.ID, RuleID: a.RuleID, Title: a.Title, Severity: a.Severity, CreatedAt: a.CreatedAt.UTC(),
		AgentID: a.AgentID, Events: len(a.Events), Skipped: a.Skipped, Complete: a.Complete, Note: why}
	if a.Agent != nil {
		n.Host = a.Agent.Hostname
	}
	for _, e := range a.Events {
		if n.Host == "" {
			n.Host = e.Host
		}
	}
	return n
}

// Observe says what follows from one indicator of one alert: events to append,
// none when it adds nothing to what is known.
func (l *List) Observe(now time.Time, a alert.Alert, in alert.Indicator, v policy.Verdict) []Event {
	s := Sighting{Alert: a.ID, Addr: in.Addr, Direction: in.Direction, Events: in.Events,
		Reasons: v.Reasons, Evidence: in.Evidence, Weight: v.Weight, Observing: v.Observing}
	old, seen := l.sighting(a.ID, in)
	s.Again = seen
	if seen && old.Events >= in.Events && old.Outcome != OutcomeIgnored && old.Outcome != OutcomeRefused {
		return nil
	}
	var more []Event
	switch v.Action {
	case policy.Refuse:
		s.Outcome = OutcomeRefused
	case policy.Ask, policy.Block:
		s.Block = MakeID(in.Direction, v.Prefix, v.Targets)
		s.Outcome, more = l.propose(now, a, in, v, s.Block, seen)
		if seen && old.Block == s.Block {
			s.Outcome = old.Outcome // more evidence for the same sighting
		}
	default:
		s.Outcome = OutcomeIgnored
	}
	if seen && len(more) == 0 && old.Outcome == s.Outcome && old.Events >= s.Events && slices.Equal(old.Reasons, s.Reasons) {
		return nil
	}
	ev := Event{Kind: Sighted, At: now, Actor: EngineActor, Sighting: &s}
	return append(more, ev)
}

// Named is an address of an alert as the list keeps it, to be judged anew. Of the
// alert there is what its note holds, and no events.
type Named struct {
	Alert     alert.Alert
	Indicator alert.Indicator
}

// Observing gives the addresses that only observe mode has kept from a proposal, of
// alerts made after a time, the newest first.
func (l *List) Observing(after time.Time) []Named {
	var open []*AlertState // few of all alerts, so they are sorted apart
	for _, st := range l.alerts {
		if st.Note.CreatedAt.After(after) && st.Archive == nil && st.Dismissed.IsZero() &&
			slices.ContainsFunc(st.Sightings, func(s Sighting) bool { return s.Observing }) {
			open = append(open, st)
		}
	}
	slices.SortFunc(open, newestFirst)
	var out []Named
	for _, st := range open {
		n := st.Note
		a := alert.Alert{ID: n.ID, RuleID: n.RuleID, Title: n.Title, Severity: n.Severity, CreatedAt: n.CreatedAt, AgentID: n.AgentID}
		for _, s := range st.Sightings {
			if s.Observing {
				out = append(out, Named{a, alert.Indicator{Addr: s.Addr, Direction: s.Direction, Events: s.Events, Evidence: s.Evidence}})
			}
		}
	}
	return out
}

func (l *List) sighting(id string, in alert.Indicator) (Sighting, bool) {
	st := l.alerts[id]
	if st == nil {
		return Sighting{}, false
	}
	for _, s := range st.Sightings {
		if s.Addr == in.Addr && s.Direction == in.Direction {
			return s, true
		}
	}
	return Sighting{}, false
}

// propose gives what becomes of an address that policy wants blocked.
func (l *List) propose(now time.Time, a alert.Alert, in alert.Indicator, v policy.Verdict, id ID, seen bool) (Outcome, []Event) {
	if b := l.blocks[id]; b != nil {
		switch {
		case b.State == Pending && v.Action == policy.Block && !b.ByHand && !b.Snoozed(now):
			return OutcomeKnown, []Event{l.approval(now, *b, AutoActor, "auto mode", "")}
		case b.State == Pending, b.State == Active:
			return OutcomeKnown, nil
		case b.State == Refused && now.Before(b.Expires):
			return OutcomeDenied, nil
		case seen:
			// The same sighting that led to a block which has ended since: one
			// approval, one effect.
			return OutcomeKnown, nil
		}
	}
	byItself := v.Action == policy.Block
	p := Proposal{Direction: in.Direction, Prefix: v.Prefix, Targets: v.Targets, Weight: v.Weight,
		RuleID: a.RuleID, Severity: a.Severity, Reasons: v.Reasons}
	if b := l.blocks[id]; b != nil && b.State == Undone {
		// People outrank the program: what a person took back is not done again
		// without asking.
		byItself = false
		p.Reasons = append(slices.Clone(p.Reasons), "revoked before by "+b.DecidedBy)
	}
	p.Repeat = l.past[pastKey{in.Direction, v.Prefix}]
	p.TTL = l.lifetime(v.TTL, p.Repeat)
	if p.Repeat > 0 {
		p.Reasons = append(slices.Clone(p.Reasons), fmt.Sprintf("blocked %d times before", p.Repeat))
	}
	out := []Event{{Kind: Proposed, At: now, Actor: EngineActor, Block: id, Proposal: &p}}
	if byItself {
		b := Block{ID: id, Proposal: p, State: Pending}
		out = append(out, l.approval(now, b, AutoActor, "auto mode", ""))
	}
	return OutcomeProposed, out
}

// lifetime doubles the time to live for each repeat, up to the maximum.
func (l *List) lifetime(ttl time.Duration, repeat int) time.Duration {
	for range repeat {
		if ttl >= l.cfg.MaxTTL {
			break
		}
		ttl *= 2
	}
	return min(ttl, l.cfg.MaxTTL)
}

func (l *List) approval(now time.Time, b Block, actor, reason, effect string) Event {
	return Event{Kind: Approved, At: now, Actor: actor, Reason: reason, Block: b.ID,
		Expires: now.Add(b.TTL).UTC(), Effect: effect}
}
