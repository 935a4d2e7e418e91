package engine

import (
	"context"
	"time"

	"selfprotect/policy"
)

// keepEvery is how often the addresses that must be guarded are looked up anew.
const keepEvery = 10 * time.Minute

// keeper looks up what must be guarded; it may take long, so it has a goroutine.
type keeper struct {
	look  func(context.Context) ([]policy.Guarded, error)
	found chan guardNews
}

type guardNews struct {
	entries []policy.Guarded
	err     error
}

func newKeeper(look func(context.Context) ([]policy.Guarded, error)) *keeper {
	return &keeper{look: look, found: make(chan guardNews)}
}

func (k *keeper) run(ctx context.Context) {
	if k.look == nil {
		return
	}
	for {
		entries, err := k.look(ctx)
		select {
		case k.found <- guardNews{entries, err}:
		case <-ctx.Done():
			return
		}
		pause := keepEvery
		if err != nil {
			pause = time.Minute
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// guarded takes what the keeper found. What it found before stays guarded when
// this time it could not look everything up.
func (l *loop) guarded(g guardNews) {
	l.guardErr, l.guardKnown = "", true
	if g.err != nil {
		l.guardErr = errText(g.err)
		g.entries = append(g.entries, l.extra...)
	}
	l.extra = g.entries
	l.refreshGuard()
}
