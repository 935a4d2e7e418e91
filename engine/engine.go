// Package engine is the loop: poll, judge, propose, plan, decide, journal,
// apply, read back. One engine serves the console, the same console in auto mode
// for weeks, review before block, and headless.
//
// The protocol. A poller iterates over the source and hands each alert to the
// loop. The loop asks policy about each indicator, turns the answers into events,
// appends them to the journal and only then applies them to the block list; when
// the log has moved on it reads on, folds, and decides again. For each ACL it
// plans from a fresh read and makes one change at a time: a started event is
// durable, then the applier sends the request, then the ACL is read back and a
// settled event follows. An error means that the outcome is unknown; the number
// rests until the request can no longer land. Nothing is written to an ACL without
// the lease that names this process, without a guard, or when the journal fails.
//
// Restart is no special case: fold the journal, read the ACLs, plan.
//
// Goroutines: the loop, which owns all state; the poller; the applier, which is
// the only one that talks to the firewall; a keeper of the guard; and the
// write-back, which tells the source what is dealt with. Run returns
// when all have ended. The screen gets immutable snapshots through a channel of
// one slot, newest wins; the engine never calls into it.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/policy"
)

// ErrStopped says that the engine is not running any more.
var ErrStopped = errors.New("the engine has stopped")

// Engine is a running or ready loop. Make it with New, start it with Run.
type Engine struct {
	loop     *loop
	updates  chan *Snapshot
	requests chan request
	poke     chan struct{}
	done     chan struct{}
}

var _ Console = (*Engine)(nil)

// New folds the journal and gives an engine that is ready to run. The first
// snapshot is waiting in Updates when it returns.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		updates:  make(chan *Snapshot, 1),
		requests: make(chan request),
		poke:     make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
	l := newLoop(cfg, e.updates)
	if err := l.fold(ctx); err != nil {
		return nil, err
	}
	for _, a := range l.acls {
		for _, w := range l.list.Pending(a.cfg.ID) {
			l.clock.ahead = latest(l.clock.ahead, w.At)
		}
	}
	l.clock.unconfirmed = true
	l.refreshGuard()
	l.runID = fmt.Sprintf("%s/%d", cfg.Holder, l.seq)
	if r, ok := cfg.Source.(Resumer); ok {
		r.Resume(l.known())
	}
	e.loop = l
	l.publish(l.now())
	return e, nil
}

// Updates gives the channel of snapshots. It has one slot, the newest wins, and
// it is closed when Run returns.
func (e *Engine) Updates() <-chan *Snapshot { return e.updates }

// Run works until ctx is done, then lets the write in flight finish and records
// its outcome. It returns when every goroutine has ended; the error tells why it
// had to stop, nil when it was asked to. A panic of any of them is one of Run's.
func (e *Engine) Run(ctx context.Context) error {
	l := e.loop
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	// The applier ends when the loop closes its jobs, so that a write in flight
	// is always answered to somebody.
	for _, work := range []func(context.Context){l.applier.run, l.poller.run, l.keeper.run, l.dismissal.run} {
		wg.Go(func() { defer l.crash.pass(); work(inner) })
	}
	err := l.run(inner, e.requests, e.poke)
	cancel()
	close(l.applier.jobs)
	wg.Wait()
	l.close(context.WithoutCancel(ctx))
	close(e.done)
	close(e.updates)
	return err
}

// request is something that a screen asks of the loop.
type request struct {
	do    func(ctx context.Context) error
	reply chan error
}

func (e *Engine) ask(ctx context.Context, do func(context.Context) error) error {
	r := request{do: do, reply: make(chan error, 1)}
	select {
	case e.requests <- r:
	case <-e.done:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.reply:
		return err
	case <-e.done:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Decide implements Console.
func (e *Engine) Decide(ctx context.Context, id blocklist.ID, d blocklist.Decision) error {
	return e.ask(ctx, func(ctx context.Context) error { return e.loop.decide(ctx, id, d) })
}

// SetMode implements Console.
func (e *Engine) SetMode(ctx context.Context, m policy.Mode, actor, reason string) error {
	return e.ask(ctx, func(ctx context.Context) error { return e.loop.setMode(ctx, m, actor, reason) })
}

// Poll implements Console.
func (e *Engine) Poll() {
	select {
	case e.poke <- struct{}{}:
	default:
	}
}

// fold reads the journal from the newest usable checkpoint on.
func (l *loop) fold(ctx context.Context) error {
	if c := l.cfg.Checkpoints; c != nil {
		seq, state, ok, err := c.LoadCheckpoint(ctx)
		if err == nil && ok {
			if list, err := blocklist.Load(l.listConfig(), state); err == nil {
				l.list, l.seq, l.saved = list, seq, seq
				for _, a := range l.acls {
					for _, w := range list.Pending(a.cfg.ID) {
						l.view.started[w.ID] = w.Write
					}
				}
			}
		}
	}
	if err := l.catchUp(ctx); err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	return nil
}

// known gives the alerts of the journal in the form that a Resumer wants.
func (l *loop) known() []alert.Alert {
	states := l.list.Alerts()
	out := make([]alert.Alert, 0, len(states))
	for _, st := range states {
		n := st.Note
		out = append(out, alert.Alert{ID: n.ID, RuleID: n.RuleID, AgentID: n.AgentID, Title: n.Title,
			Severity: n.Severity, CreatedAt: n.CreatedAt, Complete: n.Complete})
	}
	return out
}
