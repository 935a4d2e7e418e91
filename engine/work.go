package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

const (
	// fresh is how old a read may be for a change to be planned from it.
	fresh = 10 * time.Second
	// leaseTTL is how long a lease lasts when its holder is gone.
	leaseTTL = 30 * time.Second
	// callWindow and callBudget bound the calls to EC2 for each ACL, whatever
	// fails; reads of VPC data, six or twelve in the window, come on top.
	callWindow = blocklist.WriteWindow
	callBudget = 105
	// deniedLimit is how many refusals in a row for want of permission stop auto.
	deniedLimit = 3
	// learnedFor is how long a quota that the service taught is believed.
	learnedFor = time.Hour
)

// readState is when the next read is due.
type readState struct {
	due      time.Time // zero: at once
	failures int
	quick    int // reads in a row that looked for writes not yet settled
}

func leaseName(acl string) string { return "acl/" + acl }

// leases takes and renews the right to write to each ACL.
func (l *loop) leases(ctx context.Context, t time.Time) {
	if l.cfg.ReadOnly {
		return
	}
	for _, a := range l.acls {
		if a.held && t.Before(a.renewAt) {
			continue
		}
		held, owner, until, err := l.cfg.Journal.Lease(ctx, leaseName(a.cfg.ID), l.cfg.Holder, leaseTTL)
		if err != nil {
			held = false
			l.journalFailed(err)
		}
		if held != a.held || owner != a.holder {
			l.view.dirty = true
		}
		if a.held && !held && owner != "" && owner != l.cfg.Holder {
			l.stopAuto(ctx, fmt.Sprintf("%s took over %s while this process was at work", clean(owner), a.cfg.ID))
		}
		if held && !a.held {
			l.reads.due = t // another one may have written since
			a.readAt = time.Time{}
		}
		a.held, a.holder, a.leaseUntil, a.renewAt = held, owner, until, t.Add(leaseTTL/3)
		if held {
			a.holder = ""
		}
	}
}

// work gives the applier its next job when there is one.
func (l *loop) work(ctx context.Context, t time.Time) {
	if l.busy || ctx.Err() != nil {
		return
	}
	if !t.Before(l.reads.due) && l.mayCall(t) {
		l.start(job{})
		return
	}
	for _, a := range l.acls {
		if l.workOn(ctx, a, t) {
			return
		}
	}
}

func (l *loop) start(j job) {
	l.busy = true
	j.jumps = l.clock.jumps
	t := l.now()
	for _, a := range l.acls {
		if !j.write {
			a.reads = append(a.reads, t)
		}
	}
	l.applier.jobs <- j
}

// mayCall says whether the budget of calls leaves room for every ACL.
func (l *loop) mayCall(t time.Time) bool {
	for _, a := range l.acls {
		if !l.mayCallFor(a, t) {
			return false
		}
	}
	return true
}

// mayCallFor counts the reads of this process and the writes of every one: those
// are in the journal, so that a program that is started again and again stays
// within the budget too.
func (l *loop) mayCallFor(a *aclState, t time.Time) bool {
	a.reads = slices.DeleteFunc(a.reads, func(c time.Time) bool { return t.Sub(c) >= callWindow })
	return len(a.reads)+l.list.Writes(t, a.cfg.ID) < callBudget
}

// mayWrite says whether changes to an ACL are possible now.
func (l *loop) mayWrite(a *aclState, t time.Time) bool {
	// A process that was asleep must not trust a lease that has run out.
	held := a.held && t.Add(callTimeout).Before(a.leaseUntil)
	return !l.cfg.ReadOnly && held && l.guardKnown && a.err == "" && !a.readAt.IsZero() && l.journal.err == "" && !t.Before(a.retryAt)
}

// workOn starts the next change of an ACL; it says whether it did.
func (l *loop) workOn(ctx context.Context, a *aclState, t time.Time) bool {
	if a.readAt.IsZero() || a.err != "" {
		return false
	}
	plan := l.planFor(a, t)
	l.tellWaiting(a, plan)
	if len(plan.Changes) == 0 || !l.mayWrite(a, t) {
		return false
	}
	next, ok := l.next(a, plan, t)
	if !ok {
		return false
	}
	if t.Sub(a.readAt) > fresh {
		l.reads.due = t
		if !l.mayCall(t) {
			return false
		}
		l.start(job{})
		return true
	}
	if !l.mayCallFor(a, t) || !l.writes.AllowN(t, 1) {
		return false
	}
	return l.startWrite(ctx, a, next, t)
}

// startWrite makes the intent durable and hands the change to the applier.
func (l *loop) startWrite(ctx context.Context, a *aclState, c firewall.Change, t time.Time) bool {
	l.writeNo++
	id := fmt.Sprintf("%s/%d", l.runID, l.writeNo)
	err := l.record(ctx, func() ([]blocklist.Event, error) {
		// The state may have moved on since the plan was made.
		again := firewall.Diff(a.live, l.wanted(a, t), l.limits(a, t))
		if next, ok := l.next(a, again, t); !ok || next != c {
			return nil, errReplan
		}
		return []blocklist.Event{{Kind: blocklist.Started, At: l.now(), Actor: blocklist.EngineActor, WriteID: id, Reason: c.Reason,
			Write: &blocklist.Write{ACL: a.cfg.ID, Op: c.Op.Verb(), Direction: toAlert(c.Direction), Number: c.Number, Prefix: c.Prefix, Old: c.Old,
				Undo: firewall.Inverse(a.live.Region, a.cfg.ID, c)}}}, nil
	})
	if err != nil {
		if !errors.Is(err, errReplan) {
			l.note(err)
		}
		l.replan()
		return false
	}
	l.view.counts.Writes++
	l.noteEviction(a, c, t)
	l.start(job{write: true, acl: a.cfg.ID, change: c, writeID: id, guard: l.policy.Guard})
	return true
}

var errReplan = errors.New("the plan has changed")

// nextWork says when work must be looked for again, beside the usual tick.
func (l *loop) nextWork(t time.Time) time.Time {
	if l.mayCall(t) {
		return l.reads.due
	}
	return time.Time{}
}

// applied takes the answer of the applier.
func (l *loop) applied(ctx context.Context, r result) {
	l.replan()
	l.watchClock(ctx)
	jumped := r.jumps != l.clock.jumps
	if jumped {
		r.ended = l.now()
	}
	switch {
	case r.write:
		l.wrote(ctx, r)
	case jumped:
		l.reads.due = r.ended // nobody knows how old it is
	default:
		l.readBack(ctx, r)
	}
}

// wrote takes the answer to a change. Only the next read says what is true.
func (l *loop) wrote(ctx context.Context, r result) {
	a := l.acl(r.acl)
	ans := blocklist.Answer{At: r.ended}
	var refused *firewall.RefusedError
	switch {
	case r.notSent:
		l.answered(ctx, r, blocklist.NotSent)
		a.retryAt = r.ended.Add(maxBackoff)
		return
	case r.err == nil:
		ans.Done = true
		a.failures, a.denied, a.fault = 0, 0, ""
		a.optimistic(r.change)
	case errors.As(r.err, &refused):
		ans.Refused, ans.Gone = true, refused.Gone
		l.refused(ctx, a, r, refused)
	default:
		l.answered(ctx, r, blocklist.Unknown)
		l.failed(a, r, "the answer to a write was lost; its number rests until the request can no longer land: "+errText(r.err))
	}
	a.answers[r.writeID] = ans
	if r.err != nil || len(l.planFor(a, r.ended).Changes) == 0 {
		l.reads.due, l.reads.quick = r.ended, 0
	}
}

// answered records what an answer says of a write, unless another process's read
// has settled it before.
func (l *loop) answered(ctx context.Context, r result, outcome blocklist.WriteOutcome) {
	l.note(l.record(ctx, func() ([]blocklist.Event, error) {
		if !l.list.IsPending(r.writeID) {
			return nil, nil
		}
		return []blocklist.Event{{Kind: blocklist.Settled, At: l.now(), Actor: blocklist.EngineActor, WriteID: r.writeID, Outcome: outcome, Reason: errText(r.err)}}, nil
	}))
}

func errText(err error) string { return string(alert.Clean(err.Error())) }

// failed backs off after a write that did not succeed.
func (l *loop) failed(a *aclState, r result, meaning string) {
	a.failures++
	a.fault = meaning
	a.retryAt = r.ended.Add(backoff(time.Second, a.failures))
	l.view.counts.Faults++
	l.line(LogLine{Severity: Fault, Event: "fault", ACL: r.acl, Direction: r.change.Direction, Number: r.change.Number,
		Prefix: r.change.Prefix, Text: fmt.Sprintf("%s of %s on %s failed", r.change.Op.Verb(), r.change.Prefix, r.acl), Reason: meaning})
}

// refused learns from a definite no.
func (l *loop) refused(ctx context.Context, a *aclState, r result, e *firewall.RefusedError) {
	l.failed(a, r, errText(e))
	switch {
	case e.Permission:
		a.denied++
		a.retryAt = r.ended.Add(maxBackoff)
		if a.denied >= deniedLimit {
			l.stopAuto(ctx, fmt.Sprintf("AWS refused %d writes to %s in a row: %s", a.denied, a.cfg.ID, e.Meaning))
		}
	case e.Quota:
		f := firewall.FamilyOf(r.change.Prefix)
		a.quota, a.quotaUntil = max(1, a.live.Count(r.change.Direction, f)), r.ended.Add(learnedFor)
	case e.Throttled:
		a.retryAt = r.ended.Add(backoff(5*time.Second, a.failures))
	case e.Taken, e.Gone:
		if e.Taken {
			a.avoid[blocklist.Slot{Direction: toAlert(r.change.Direction), Number: r.change.Number}] = r.ended.Add(l.cfg.Settle)
		}
		a.failures, a.retryAt = 0, r.ended // the read that follows explains it
	}
}

// readBack takes a read: it settles writes, finds drift, and renews the guard.
func (l *loop) readBack(ctx context.Context, r result) {
	seen := map[string]bool{}
	for _, acl := range r.acls {
		a := l.acl(acl.ID)
		if a == nil {
			continue
		}
		seen[acl.ID] = true
		t := l.now()
		rd := a.take(acl, r.began, t, l.list, l.rules())
		l.note(l.record(ctx, func() ([]blocklist.Event, error) {
			events := l.list.Reconcile(t, rd, a.answers, l.rules())
			return append(events, l.revertStops(t, events)...), nil
		}))
		l.tellRemoved(a, rd)
		l.findStrangers(a)
	}
	l.readErrors(ctx, r, seen)
	l.refreshGuard()
	l.scheduleRead(r, len(seen) < len(l.acls))
}

// readErrors keeps for each ACL why it could not be read.
func (l *loop) readErrors(ctx context.Context, r result, seen map[string]bool) {
	for _, a := range l.acls {
		if seen[a.cfg.ID] {
			continue
		}
		text := "AWS did not show it"
		if r.err != nil {
			text = errText(targetError(r.err, a.cfg.ID))
		}
		var refused *firewall.RefusedError
		if errors.As(r.err, &refused) && refused.Permission {
			if a.blind++; a.blind == deniedLimit {
				l.stopAuto(ctx, fmt.Sprintf("AWS refused %d reads of %s in a row: %s", a.blind, a.cfg.ID, errText(refused)))
			}
		}
		if text != a.err {
			l.view.counts.Faults++
			l.line(LogLine{Severity: Fault, Event: "fault", ACL: a.cfg.ID, Text: a.cfg.ID + " could not be read", Reason: text})
		}
		a.err = text
	}
}

// targetError finds the part of a joined error that concerns an ACL.
func targetError(err error, acl string) error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range j.Unwrap() {
			var t *firewall.TargetError
			if errors.As(e, &t) && t.ACL == acl {
				return t.Err
			}
		}
	}
	var t *firewall.TargetError
	if errors.As(err, &t) && t.ACL == acl {
		return t.Err
	}
	return err
}

// scheduleRead looks again soon while writes are not settled, else at the usual
// interval, later after failures.
func (l *loop) scheduleRead(r result, failed bool) {
	if failed {
		l.reads.failures++
		l.reads.due = r.ended.Add(backoff(2*time.Second, l.reads.failures))
		return
	}
	l.reads.failures = 0
	l.reads.due = r.ended.Add(l.cfg.ReadInterval)
	if !l.lacksNews(r.ended) {
		l.reads.quick = 0
		return
	}
	l.reads.quick++
	if quick := time.Second << min(l.reads.quick, 8); quick < l.cfg.ReadInterval {
		l.reads.due = r.ended.Add(quick)
	}
}

// lacksNews says that a write was made whose effect the reads do not show yet.
func (l *loop) lacksNews(t time.Time) bool {
	for _, a := range l.acls {
		for _, w := range l.list.Pending(a.cfg.ID) {
			there := a.shows(toFirewall(w.Direction), w.Number, w.Prefix)
			if there == (w.Op == blocklist.OpDelete) && t.Sub(l.rules().Begun(w, t)) < l.cfg.Settle {
				return true
			}
		}
	}
	return false
}

// modeSet takes the mode of an event, ours or another process's.
func (l *loop) modeSet(e blocklist.Event) {
	if e.Actor != blocklist.EngineActor && e.At.After(l.startedAt) {
		l.base = e.Mode // a person's choice holds for this run; after a restart the configuration does
	}
	l.refreshModes()
}

func (l *loop) refreshModes() {
	ceiling := l.list.Ceiling().Mode
	if ceiling == 0 {
		ceiling = policy.Auto
	}
	l.policy = l.policy.WithModes(l.base, ceiling)
	l.modesNew, l.view.dirty = true, true
}

// OwnNetworks gives what must not be blocked because an ACL was read to belong to
// it: its VPC's networks, those it is linked to, and our public addresses.
func OwnNetworks(a firewall.ACL) []policy.Guarded {
	var own []policy.Guarded
	for _, p := range a.CIDRs {
		own = append(own, policy.Guarded{Prefix: p, Why: "the VPC's own network (" + a.VPC + ")"})
	}
	for _, p := range a.Own {
		own = append(own, policy.Guarded{Prefix: p, Why: "an address of our own (elastic IP or NAT gateway)"})
	}
	for _, n := range a.Linked {
		own = append(own, policy.Guarded{Prefix: n.Prefix, Why: "a network that " + a.VPC + " reaches by " + n.Via})
	}
	return own
}

// refreshGuard puts together what must not be blocked.
func (l *loop) refreshGuard() {
	var own []policy.Guarded
	for _, a := range l.acls {
		own = append(own, OwnNetworks(a.live)...)
	}
	own = append(own, l.allowed(l.now())...)
	l.guardStale = false
	l.overridden = overriddenPrefixes(l.overrides(l.now()))
	l.guard = l.guardBase.With(append(own, l.extra...)...).Overriding(l.overridden...)
	l.policy = l.policy.WithGuard(l.guard)
	l.replan()
}

func (l *loop) decide(ctx context.Context, id blocklist.ID, d blocklist.Decision) error {
	if strings.TrimSpace(d.Actor) == "" {
		return errors.New("a decision needs the name of whoever makes it")
	}
	l.watchClock(ctx)
	return l.record(ctx, func() ([]blocklist.Event, error) {
		t := l.now()
		if d.Verb == blocklist.Approve {
			if b, ok := l.list.Block(id); ok && b.State == blocklist.Pending {
				if err := l.mayApprove(b, d, t); err != nil {
					return nil, fmt.Errorf("%s: %w", b.Prefix, err)
				}
			}
		}
		if d.Verb == blocklist.Undo {
			if err := l.mayUndo(id, d, t); err != nil {
				return nil, err
			}
		}
		return l.list.Decide(t, id, d)
	})
}

// mayApprove checks that an approval means what is true now.
func (l *loop) mayApprove(b blocklist.Block, d blocklist.Decision, t time.Time) error {
	if err := l.policy.Guard(b.Prefix); err != nil {
		return err
	}
	p := l.preview(b, t)
	if p.Blocked != "" {
		return errors.New(p.Blocked)
	}
	if d.Effect != p.Digest {
		return blocklist.ErrEffectChanged
	}
	return nil
}

func (l *loop) setMode(ctx context.Context, m policy.Mode, actor, reason string) error {
	if m < policy.Observe || m > policy.Auto {
		return fmt.Errorf("there is no such mode")
	}
	err := l.record(ctx, func() ([]blocklist.Event, error) {
		return []blocklist.Event{{Kind: blocklist.ModeSet, At: l.now(), Actor: actor, Mode: m, Reason: reason}}, nil
	})
	if err == nil && l.guardShrunk != "" {
		l.guardAccepted = true
		l.sizeGuard(ctx)
	}
	return err
}
