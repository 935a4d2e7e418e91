package engine

import (
	"context"
	"fmt"
	"time"

	"selfprotect/blocklist"
	"selfprotect/policy"
)

// keepEvery is how often the addresses that must be guarded are looked up anew.
const keepEvery = 10 * time.Minute

// keeper looks up what must be guarded, and what a person must mend; both may
// take long, so it has a goroutine.
type keeper struct {
	look   func(context.Context) ([]policy.Guarded, error)
	checks func(context.Context) []Problem
	access func(context.Context) []Access
	found  chan keeperNews
}

// keeperNews is one of the things that the keeper finds.
type keeperNews struct {
	guard    bool // entries and err are news, else problems are
	access   []Access
	entries  []policy.Guarded
	err      error
	problems []Problem
}

func newKeeper(cfg Config) *keeper {
	return &keeper{look: cfg.Guarded, checks: cfg.Checks, access: cfg.Access, found: make(chan keeperNews)}
}

func (k *keeper) run(ctx context.Context) {
	var guardAt, checkAt time.Time
	for {
		t := time.Now()
		if k.look != nil && !t.Before(guardAt) {
			entries, err := k.look(ctx)
			guardAt = t.Add(keepEvery)
			if err != nil {
				guardAt = t.Add(time.Minute)
			}
			if !k.tell(ctx, keeperNews{guard: true, entries: entries, err: err}) {
				return
			}
		}
		if k.checks != nil && !t.Before(checkAt) {
			problems := k.checks(ctx)
			checkAt = t.Add(time.Minute)
			if len(problems) == 0 {
				k.checks = nil
			}
			if !k.tell(ctx, keeperNews{problems: problems}) {
				return
			}
		}
		if k.access != nil {
			if a := k.access(ctx); len(a) > 0 && !k.tell(ctx, keeperNews{access: a}) {
				return
			}
		}
		if k.look == nil && k.checks == nil && k.access == nil {
			return
		}
		select {
		case <-time.After(time.Minute):
		case <-ctx.Done():
			return
		}
	}
}

func (k *keeper) tell(ctx context.Context, n keeperNews) bool {
	select {
	case k.found <- n:
		return true
	case <-ctx.Done():
		return false
	}
}

// kept takes what the keeper found. What it found before stays guarded when
// this time it could not look everything up.
func (l *loop) kept(ctx context.Context, g keeperNews) {
	switch {
	case len(g.access) > 0:
		l.access = g.access
		l.view.dirty = true
		return
	case !g.guard:
		l.mend(g.problems)
		return
	}
	l.guardErr, l.guardKnown = "", true
	if g.err != nil {
		l.guardErr = errText(g.err)
		g.entries = append(g.entries, l.extra...)
	}
	l.extra = g.entries
	l.refreshGuard()
	l.sizeGuard(ctx)
}

// sizeGuard compares the guard with the last one that was believed. One that has
// lost more than half of its prefixes is not: nothing is created or replaced until
// a person sets the mode, which says that it is right.
func (l *loop) sizeGuard(ctx context.Context) {
	now, last := len(l.guard.Entries()), l.list.Guarded()
	l.guardShrunk = ""
	switch {
	case 2*now < last && !l.guardAccepted:
		l.guardShrunk = fmt.Sprintf("the guard has shrunk from %d to %d prefixes", last, now)
		if !l.cfg.NoPoll { // what a command for one decision cannot look up stops nobody else
			l.stopAuto(ctx, l.guardShrunk)
		}
	case l.guardErr == "" && (now > last || 2*now < last) || l.guardAccepted:
		l.guardAccepted = false
		l.note(l.record(ctx, func() ([]blocklist.Event, error) {
			if l.list.Guarded() == now {
				return nil, nil
			}
			return []blocklist.Event{{Kind: blocklist.GuardSized, At: l.now(), Actor: blocklist.EngineActor, Count: now}}, nil
		}))
	}
	l.view.dirty = true
}

// mend takes what a person must mend, and tells each of it once.
func (l *loop) mend(problems []Problem) {
	for _, p := range problems {
		known := false
		for _, old := range l.mending {
			known = known || old.Text == p.Text
		}
		if !known {
			l.line(LogLine{Severity: p.Severity, Event: "fault", Text: p.Text, Reason: p.Hint})
		}
	}
	l.mending = problems
	l.view.dirty = true
}
