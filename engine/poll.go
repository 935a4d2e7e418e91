package engine

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/policy"
)

// poller iterates over the source when the loop tells it to.
type poller struct {
	source Source
	now    func() time.Time
	start  chan time.Time // since
	items  chan pollItem
}

// pollItem is one alert, or the end of a poll.
type pollItem struct {
	alert *alert.Alert
	done  bool
	err   error
	began time.Time
	// open is the time of the oldest alert that was not read to its end; zero
	// when all were.
	open time.Time
}

// pollQueue is how many alerts may wait for the loop; while it writes one batch
// to the journal the next gathers.
const pollQueue = 256

func newPoller(s Source, now func() time.Time) *poller {
	return &poller{source: s, now: now, start: make(chan time.Time, 1), items: make(chan pollItem, pollQueue)}
}

func (p *poller) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case since := <-p.start:
			p.poll(ctx, since)
		}
	}
}

func (p *poller) poll(ctx context.Context, since time.Time) {
	end := pollItem{done: true, began: p.now()}
	waiting := map[string]time.Time{}
	for a, err := range p.source.Alerts(ctx, since) {
		if err != nil {
			end.err = err
			break
		}
		if a.Complete {
			delete(waiting, a.ID)
		} else {
			waiting[a.ID] = a.CreatedAt
		}
		if !p.send(ctx, pollItem{alert: &a}) {
			return
		}
	}
	for _, t := range waiting {
		if end.open.IsZero() || t.Before(end.open) {
			end.open = t
		}
	}
	p.send(ctx, end)
}

func (p *poller) send(ctx context.Context, it pollItem) bool {
	select {
	case p.items <- it:
		return true
	case <-ctx.Done():
		return false
	}
}

// startPoll begins a poll when it is time.
func (l *loop) startPoll(t time.Time) {
	if l.cfg.NoPoll || l.source.Polling || t.Before(l.source.NextPoll) {
		return
	}
	since := l.list.Mark(l.cfg.SourceName)
	switch {
	case since.IsZero():
		since = t // the source's overlap reaches back from here
	case since.Sub(t) > maxJump:
		since = t.Add(-markDoubt) // a clock that was ahead has made it
	}
	l.source.Polling, l.source.LastTry, l.pollJumps = true, t, l.clock.jumps
	l.view.dirty = true
	l.poller.start <- since
}

// pollNow makes the next poll and the next read due.
func (l *loop) pollNow() {
	t := l.now()
	if !l.source.Polling && l.failures == 0 && !l.cfg.NoPoll {
		l.source.NextPoll = t
	}
	l.reads.due = t
}

// polled takes one item of the poller, and with it all alerts that wait behind.
func (l *loop) polled(ctx context.Context, it pollItem) {
	l.watchClock(ctx)
	var batch []alert.Alert
	for {
		if it.done {
			l.observe(ctx, batch)
			l.pollEnded(ctx, it)
			return
		}
		batch = append(batch, *it.alert)
		select {
		case it = <-l.poller.items:
			continue
		default:
		}
		l.observe(ctx, batch)
		return
	}
}

// finding is an alert with its indicators.
type finding struct {
	alert      alert.Alert
	indicators []alert.Indicator
}

// judge says what shall become of an indicator of an alert.
type judge func(alert.Alert, alert.Indicator) policy.Verdict

// observe records what alerts name.
func (l *loop) observe(ctx context.Context, alerts []alert.Alert) {
	found := make([]finding, len(alerts))
	for i, a := range alerts {
		found[i] = finding{alert: a, indicators: alert.Indicators(a)}
	}
	// The policy is asked anew for each attempt to record: the mode may have been set
	// by another process meanwhile.
	judge := func(a alert.Alert, in alert.Indicator) policy.Verdict { return l.policy.Judge(a, in) }
	if err := l.judge(ctx, found, judge); err != nil {
		l.note(err)
		l.pollBroken = true // what was not recorded must be read again
	}
}

// judge records findings in chunks in which no two speak of the same alert or
// address, so that each is judged on what is durable.
func (l *loop) judge(ctx context.Context, found []finding, by judge) error {
	var errs []error
	var chunk []finding
	ids, addrs := map[string]bool{}, map[netip.Addr]bool{}
	flush := func() {
		if len(chunk) > 0 {
			errs = append(errs, l.judgeChunk(ctx, chunk, by))
		}
		chunk = nil
		clear(ids)
		clear(addrs)
	}
	for _, f := range found {
		clash := ids[f.alert.ID]
		for _, in := range f.indicators {
			clash = clash || addrs[in.Addr]
		}
		if clash {
			flush()
		}
		ids[f.alert.ID] = true
		for _, in := range f.indicators {
			addrs[in.Addr] = true
		}
		chunk = append(chunk, f)
	}
	flush()
	return errors.Join(errs...)
}

func (l *loop) judgeChunk(ctx context.Context, chunk []finding, by judge) error {
	return l.record(ctx, func() ([]blocklist.Event, error) {
		t := l.now()
		var events []blocklist.Event
		gate := newAutoGate(l, t)
		for _, f := range chunk {
			events = append(events, l.list.Note(t, f.alert, noteFor(f))...)
			for _, in := range f.indicators {
				v := gate.limit(f.alert, in, by(f.alert, in))
				evs := l.list.Observe(t, f.alert, in, v)
				l.markLeftOut(evs, t)
				gate.count(evs, in, v)
				events = append(events, evs...)
			}
		}
		if gate.stop != "" {
			events = append(events, blocklist.Event{Kind: blocklist.ModeSet, At: t, Actor: blocklist.EngineActor, Mode: policy.Review, Reason: gate.stop})
		}
		return events, nil
	})
}

func noteFor(f finding) string {
	if len(f.indicators) == 0 && f.alert.Complete {
		return "no address in it"
	}
	return ""
}

// markEvery is how far the mark moves before it is recorded; the source's overlap
// covers what lies between.
const markEvery = 5 * time.Minute

// markDoubt is how far back the source is read when the mark lies in the future.
const markDoubt = 24 * time.Hour

// pollEnded settles the poll: the mark moves only when everything was read and
// recorded.
func (l *loop) pollEnded(ctx context.Context, it pollItem) {
	t := l.now()
	broken := l.pollBroken
	l.pollBroken = false
	if again, ok := l.cfg.Source.(Repeater); broken && ok {
		again.Again()
	}
	l.source.Polling = false
	l.view.dirty = true
	l.view.counts.Polls++
	if h := l.cfg.Health; h != nil {
		s := h()
		l.source.Requests = s.Requests
		l.source.Budget, l.source.Skipped, l.source.Unsigned, l.source.ClockOffset = s.Budget, s.Skipped, s.Unsigned, s.ClockOffset
	}
	if it.err != nil {
		l.pollFailed(t, it.err)
		return
	}
	if l.failures > 0 {
		l.line(LogLine{Severity: Info, Event: "poll", Text: "the alert source answers again"})
	}
	l.confirmClock()
	l.failures = 0
	l.source.Err, l.source.LastOK = "", t
	l.source.NextPoll = latest(t, it.began.Add(l.cfg.PollInterval))
	l.line(LogLine{Severity: Info, Event: "poll", Text: "polled"})
	if broken {
		return
	}
	if l.base > policy.Observe {
		l.note(l.record(ctx, func() ([]blocklist.Event, error) { return l.offerCovers(t), nil }))
	}
	through := it.began
	if !it.open.IsZero() && it.open.Before(through) {
		through = it.open
	}
	if l.clock.doubt != "" || l.pollJumps != l.clock.jumps {
		return
	}
	if through.Sub(l.list.Mark(l.cfg.SourceName)) < markEvery {
		return
	}
	l.note(l.record(ctx, func() ([]blocklist.Event, error) {
		return []blocklist.Event{{Kind: blocklist.Marked, At: t, Actor: blocklist.EngineActor, Source: l.cfg.SourceName, Through: through.UTC()}}, nil
	}))
}

// maxBackoff is the longest pause after failures of the source or of reads.
const maxBackoff = time.Minute

func (l *loop) pollFailed(t time.Time, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	l.failures++
	wait := backoff(l.cfg.PollInterval, l.failures)
	var r interface{ RetryIn() time.Duration }
	if errors.As(err, &r) && r.RetryIn() > wait {
		wait = min(r.RetryIn(), 5*time.Minute)
	}
	l.source.NextPoll = t.Add(wait)
	text := string(alert.Clean(err.Error()))
	if text != l.source.Err {
		l.view.counts.Faults++
		l.line(LogLine{Severity: Fault, Event: "fault", Text: "alerts could not be read", Reason: text})
	}
	l.source.Err = text
}

// backoff doubles a pause for each failure, up to maxBackoff or the pause itself
// when that is longer.
func backoff(d time.Duration, failures int) time.Duration {
	bound := max(d, maxBackoff)
	for range min(failures-1, 10) {
		d *= 2
	}
	return min(max(d, time.Second), bound)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
