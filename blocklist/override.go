package blocklist

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Override is the word of a person that one prefix, exactly as it is, may be
// blocked though an entry of the guard that can be overridden forbids it. It blocks
// nothing by itself.
type Override struct {
	Prefix  netip.Prefix `json:"prefix"`
	Actor   string       `json:"actor"`
	Reason  string       `json:"reason"`
	At      time.Time    `json:"at"`
	Expires time.Time    `json:"expires"`
}

const (
	// LongestOverride is how long an override may last.
	LongestOverride = 24 * time.Hour
	// overrideSkew is how far the clocks of two processes may differ. An override
	// that lies further in the future is not believed.
	overrideSkew = 5 * time.Minute
)

// ErrNotOverridden says that the guard is not overridden for a prefix.
var ErrNotOverridden = errors.New("the guard is not overridden for it")

func (o Override) inForce(now time.Time) bool {
	return now.Before(o.Expires) && now.After(o.At.Add(-overrideSkew))
}

// Override gives the event of an override. The caller has asked the guard whether
// one is possible. Overriding again changes the end and the reason.
func (l *List) Override(now time.Time, o Override) ([]Event, error) {
	p, err := plainPrefix(o.Prefix, ShortestAsked4, ShortestAsked6)
	if err != nil {
		return nil, err
	}
	switch left := o.Expires.Sub(now); {
	case strings.TrimSpace(o.Reason) == "":
		return nil, errors.New("an override of the guard needs a reason")
	case left <= 0:
		return nil, errors.New("an override must end at a time to come")
	case left > LongestOverride:
		return nil, fmt.Errorf("an override lasts %d hours at most", LongestOverride/time.Hour)
	}
	return []Event{{Kind: Overridden, At: now, Actor: o.Actor, Reason: o.Reason, Prefix: p, Expires: o.Expires.UTC()}}, nil
}

// Enforce gives the event by which a person ends an override.
func (l *List) Enforce(now time.Time, p netip.Prefix, actor, reason string) ([]Event, error) {
	p, err := plainPrefix(p, 0, 0)
	if err != nil {
		return nil, err
	}
	if o, ok := l.overrides[p]; !ok || !o.inForce(now) {
		return nil, fmt.Errorf("%s: %w", p, ErrNotOverridden)
	}
	return []Event{{Kind: Enforced, At: now, Actor: actor, Reason: reason, Prefix: p}}, nil
}

// LapseOverrides gives the events that end the overrides whose time is up, so that
// a clock that goes back later brings none of them back.
func (l *List) LapseOverrides(now time.Time) []Event {
	var out []Event
	for _, o := range l.allOverrides() {
		if !now.Before(o.Expires) {
			out = append(out, Event{Kind: Enforced, At: now, Actor: EngineActor, Prefix: o.Prefix, Reason: "its time is up"})
		}
	}
	return out
}

// Overrides gives what is overridden at a time, sorted by prefix.
func (l *List) Overrides(now time.Time) []Override {
	return slices.DeleteFunc(l.allOverrides(), func(o Override) bool { return !o.inForce(now) })
}

func (l *List) allOverrides() []Override {
	out := make([]Override, 0, len(l.overrides))
	for _, o := range l.overrides {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b Override) int { return a.Prefix.Compare(b.Prefix) })
	return out
}

func (l *List) applyOverridden(e Event) error {
	if !e.Prefix.IsValid() {
		return fmt.Errorf("%s event without a prefix", e.Kind)
	}
	if e.Kind == Enforced {
		delete(l.overrides, e.Prefix)
		return nil
	}
	o := Override{Prefix: e.Prefix, Actor: e.Actor, Reason: e.Reason, At: e.At, Expires: e.Expires}
	if latest := e.At.Add(LongestOverride); o.Expires.After(latest) {
		o.Expires = latest // whatever the record says
	}
	l.overrides[e.Prefix] = o
	return nil
}
