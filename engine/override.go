package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"selfprotect/blocklist"
)

// Overrider takes a person's word against an entry of the guard.
type Overrider interface {
	// Override lets exactly one prefix past the entries of the guard that can be
	// overridden, until its end, 24 hours at most. It refuses while anything that
	// must be guarded is not known. What nobody can lift is a *policy.GuardedError,
	// what needs no override wraps policy.ErrNoOverride.
	Override(ctx context.Context, o blocklist.Override) error
	// Enforce ends that; an entry of ours for the prefix is removed.
	Enforce(ctx context.Context, p netip.Prefix, actor, reason string) error
}

var _ Overrider = (*Engine)(nil)

// Override implements Overrider.
func (e *Engine) Override(ctx context.Context, o blocklist.Override) error {
	return e.ask(ctx, func(ctx context.Context) error { return e.loop.override(ctx, o) })
}

// Enforce implements Overrider.
func (e *Engine) Enforce(ctx context.Context, p netip.Prefix, actor, reason string) error {
	return e.ask(ctx, func(ctx context.Context) error { return e.loop.enforce(ctx, p, actor, reason) })
}

func (l *loop) override(ctx context.Context, o blocklist.Override) error {
	return l.record(ctx, func() ([]blocklist.Event, error) {
		if err := named(o.Actor); err != nil {
			return nil, err
		}
		if err := l.mayOverride(o.Prefix); err != nil {
			return nil, err
		}
		return l.list.Override(l.now(), o)
	})
}

func (l *loop) enforce(ctx context.Context, p netip.Prefix, actor, reason string) error {
	return l.record(ctx, func() ([]blocklist.Event, error) {
		if err := named(actor); err != nil {
			return nil, err
		}
		return l.list.Enforce(l.now(), p, actor, reason)
	})
}

// mayOverride asks the guard, once all of it is known: what is not known yet may be
// what nobody can lift.
func (l *loop) mayOverride(p netip.Prefix) error {
	switch {
	case !l.guardKnown:
		return errors.New("what must be guarded has not been looked up yet")
	case l.guardErr != "":
		return fmt.Errorf("some addresses that must be guarded could not be looked up: %s", l.guardErr)
	case l.guardShrunk != "":
		return errors.New(l.guardShrunk)
	case l.clock.doubt != "":
		return fmt.Errorf("the clock is in doubt: %s", l.clock.doubt)
	}
	for _, a := range l.acls {
		if a.readAt.IsZero() || a.err != "" || a.live.Partial {
			return fmt.Errorf("%s and the networks of its VPC were not read whole, so not all that must be guarded is known", a.cfg.ID)
		}
	}
	return l.guard.MayOverride(p)
}

// keepOverrides takes back what is overridden when its time is up, and records
// that. The guard does not wait for the journal.
func (l *loop) keepOverrides(ctx context.Context, t time.Time) {
	if !slices.Equal(l.overridden, overriddenPrefixes(l.overrides(t))) {
		l.refreshGuard()
	}
	if len(l.list.LapseOverrides(t)) > 0 {
		l.note(l.record(ctx, func() ([]blocklist.Event, error) { return l.list.LapseOverrides(l.now()), nil }))
	}
}

// overrides gives what is overridden now: nothing while the clock is in doubt, as
// nobody can say whether the time is up.
func (l *loop) overrides(t time.Time) []blocklist.Override {
	if l.clock.doubt != "" {
		return nil
	}
	return l.list.Overrides(t)
}

func overriddenPrefixes(all []blocklist.Override) []netip.Prefix {
	var out []netip.Prefix
	for _, o := range all {
		out = append(out, o.Prefix)
	}
	return out
}

func tellOverridden(ln *LogLine, e blocklist.Event) {
	ln.Prefix, ln.Severity = e.Prefix, Warning
	if e.Kind == blocklist.Enforced {
		ln.Event, ln.Text = "enforced", fmt.Sprintf("%s is guarded again, says %s", e.Prefix, ln.Actor)
		return
	}
	ln.Event, ln.Text = "overridden", fmt.Sprintf("the guard is overridden for %s by %s until %s", e.Prefix, ln.Actor, e.Expires.UTC().Format(tellTime))
}
