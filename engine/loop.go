package engine

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"selfprotect/blocklist"
	"selfprotect/policy"
)

const (
	tickInterval   = time.Second
	publishSpacing = 50 * time.Millisecond
	// checkpointEvery is how many records are folded before a new checkpoint.
	checkpointEvery = 5_000
	// writeBurst and writeRate bound the writes to AWS: EC2 allows 50 at once and
	// 5 a second for each account, and operators need their share.
	writeBurst = 20
	writeRate  = 1
)

// loop owns all state. Only its goroutine touches it.
type loop struct {
	cfg     Config
	clock   clock
	tick    time.Time // when what only time brings about is looked at next
	list    *blocklist.List
	seq     uint64 // last record that is folded
	saved   uint64 // last record in a checkpoint
	behind  bool   // the journal may hold more than is folded: read on first
	runID   string // makes the write ids of this run unique: who, and the record it began after
	writeNo int

	guardBase *policy.Guard    // of the configuration
	extra     []policy.Guarded // of the keeper
	guard     *policy.Guard    // all together
	policy    *policy.Policy
	base      policy.Mode
	modesNew  bool // a mode may have risen: see offerObserved

	applier *applier
	poller  *poller
	keeper  *keeper
	// dismissal tells the source what is dealt with.
	dismissal *dismissal
	busy      bool // the applier is at work
	acls      []*aclState
	reads     readState
	writes    *rate.Limiter

	source    SourceStatus
	failures  int // polls that failed in a row
	pollJumps int // of the clock when the running poll was begun
	// pollBroken: something of the running poll could not be recorded.
	pollBroken bool
	journal    journalState
	guardErr   string
	// guardShrunk says that the guard is not believed; guardAccepted that a person
	// has said since that it is right.
	guardShrunk   string
	guardAccepted bool
	// guardKnown: the keeper has reported; before that nothing is written.
	guardKnown bool
	mending    []Problem // what a person must mend
	access     []Access
	// guardStale says that what people allow has changed; allowEnds is when the next
	// allowance ends, zero for never.
	guardStale bool
	allowEnds  time.Time
	overridden []netip.Prefix // for which a person overrides the guard
	stopSoon   string         // why auto mode stops as soon as that can be recorded
	crash      crash
	startedAt  time.Time
	view       viewState
	updates    chan *Snapshot
}

type journalState struct {
	err   string // why the last append or read failed
	since time.Time
}

func newLoop(cfg Config, updates chan *Snapshot) *loop {
	base, _ := cfg.Policy.Modes()
	l := &loop{
		cfg: cfg, updates: updates, base: base, policy: cfg.Policy,
		guardBase: cfg.Policy.GuardSet(), guard: cfg.Policy.GuardSet(),
		clock:  newClock(cfg.Now),
		crash:  make(crash, 1),
		keeper: newKeeper(cfg), dismissal: newDismissal(cfg),
		writes: rate.NewLimiter(writeRate, writeBurst),
		source: SourceStatus{Name: cfg.SourceName, Budget: -1},

		guardKnown: cfg.Guarded == nil,
	}
	l.startedAt = l.clock.anchor
	l.applier, l.poller = newApplier(cfg.Firewall, l.clock.now), newPoller(cfg.Source, l.clock.now)
	l.list = blocklist.New(l.listConfig())
	for _, c := range cfg.ACLs {
		l.acls = append(l.acls, newACLState(c))
	}
	l.view = newViewState()
	return l
}

func (l *loop) listConfig() blocklist.Config {
	return blocklist.Config{MaxTTL: l.cfg.MaxTTL, DenyMemory: l.cfg.DenyMemory, MaxAlerts: l.cfg.MaxAlerts}
}

// run is the loop. It returns when ctx is done, after the write in flight has
// been answered.
func (l *loop) run(ctx context.Context, requests <-chan request, poke <-chan struct{}) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	l.begin()
	for {
		select {
		case <-ctx.Done():
			return l.finish(ctx)
		case p := <-l.crash:
			panic(p)
		case it := <-l.poller.items:
			l.polled(ctx, it)
		case r := <-l.applier.results:
			l.busy = false
			l.applied(ctx, r)
		case g := <-l.keeper.found:
			l.kept(ctx, g)
		case r := <-l.dismissal.results:
			l.dismissedNow(ctx, r)
		case r := <-requests:
			r.reply <- r.do(ctx)
		case <-poke:
			l.pollNow()
		case <-timer.C:
		}
		timer.Reset(l.turn(ctx))
	}
}

// begin makes everything due.
func (l *loop) begin() {
	l.tick = l.now()
	if !l.cfg.NoPoll {
		l.source.NextPoll = l.tick
	}
	l.refreshModes()
}

// turn does what is due and says after how long the loop must look again.
func (l *loop) turn(ctx context.Context) time.Duration {
	l.watchClock(ctx)
	t := l.now()
	if !t.Before(l.tick) {
		l.everySecond(ctx, t)
		l.tick = t.Add(tickInterval)
	}
	l.startPoll(t)
	l.work(ctx, t)
	return max(0, l.nextWake(t).Sub(t))
}

// nextWake publishes what is due and says when the loop must look again.
func (l *loop) nextWake(t time.Time) time.Time {
	wake := l.tick
	if l.view.dirty {
		due := l.view.publishedAt.Add(publishSpacing)
		if t.Before(due) {
			wake = earlier(wake, due)
		} else {
			l.publish(t)
		}
	}
	if !l.source.Polling && !l.cfg.NoPoll {
		wake = earlier(wake, l.source.NextPoll)
	}
	if !l.busy {
		wake = earlier(wake, l.nextWork(t))
	}
	return wake
}

func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

// everySecond does what only time brings about.
func (l *loop) everySecond(ctx context.Context, t time.Time) {
	if err := l.catchUp(ctx); err != nil {
		return
	}
	if next, ok := l.list.NextExpiry(); ok && !l.expiryTime(t).Before(next) {
		l.note(l.record(ctx, func() ([]blocklist.Event, error) { return l.list.Expire(l.expiryTime(t)), nil }))
	}
	if !l.allowEnds.IsZero() && !l.expiryTime(t).Before(l.allowEnds) {
		l.refreshGuard()
	}
	l.keepOverrides(ctx, t)
	l.offerObserved(ctx, t)
	if why := l.stopSoon; why != "" {
		l.stopSoon = ""
		l.stopAuto(ctx, why)
	}
	l.leases(ctx, t)
	l.dismiss(t)
	if l.seq-l.saved >= checkpointEvery {
		l.checkpoint(ctx)
	}
}

// finish waits for the write in flight and records how it ended.
func (l *loop) finish(ctx context.Context) error {
	if !l.busy {
		return nil
	}
	select {
	case r := <-l.applier.results:
		l.busy = false
		l.applied(context.WithoutCancel(ctx), r)
	case p := <-l.crash:
		panic(p)
	}
	return nil
}

// close gives back the leases and saves a checkpoint. The journal stays open: it
// belongs to the caller.
func (l *loop) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, a := range l.acls {
		if a.held {
			_, _, _, _ = l.cfg.Journal.Lease(ctx, leaseName(a.cfg.ID), l.cfg.Holder, 0)
			a.held = false
		}
	}
	if l.seq > l.saved {
		l.checkpoint(ctx)
	}
	l.publish(l.now())
}

func (l *loop) checkpoint(ctx context.Context) {
	if l.cfg.Checkpoints == nil || l.behind {
		return
	}
	state, err := l.list.Save()
	if err == nil {
		err = l.cfg.Checkpoints.SaveCheckpoint(ctx, l.seq, state)
	}
	if err != nil {
		l.line(LogLine{Severity: Warning, Event: "fault", Text: "a checkpoint could not be saved; the next start takes longer", Reason: err.Error()})
	}
	l.saved = l.seq // whatever happened: try again after as many records
}
