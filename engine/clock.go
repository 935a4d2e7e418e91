package engine

import (
	"context"
	"fmt"
	"time"

	"selfprotect/blocklist"
)

// maxJump is how far the wall clock may move against the monotonic one, from one
// turn of the loop to the next and against the source's clock, before it counts
// as wrong.
const maxJump = 30 * time.Second

// watchWindow is how far back the two clocks are compared, so that one that runs
// fast or slow is found too.
const watchWindow = 5 * time.Minute

// clock watches the wall clock. A step of it, or a machine that slept, would make
// evidence look older than it is, and blocks expire too soon.
type clock struct {
	read      func() time.Time
	monotonic func() time.Time
	wall      time.Time // at some moment of the last minutes
	mono      time.Time // the same moment by the monotonic clock
	// anchor is since when the clock has run steadily, as far as this process saw.
	anchor time.Time
	// ahead is the latest time that the clock showed before it was set back.
	ahead time.Time
	// doubt says why the clock is not believed.
	doubt string
	// surplus is how much of the time that it shows is not believed; what expires
	// does so without it.
	surplus time.Duration
	// unconfirmed says that this process has not compared it with the source's yet.
	unconfirmed bool
	// jumps counts; what was begun before a jump proves nothing after it.
	jumps int
}

func newClock(read func() time.Time) clock {
	c := clock{read: read, monotonic: time.Now}
	c.mono = c.monotonic()
	c.wall = c.now()
	c.anchor = c.wall
	return c
}

// now is the wall clock without its monotonic part, so that what is applied and
// what is read back from the journal are the same.
func (c *clock) now() time.Time { return c.read().Round(0).UTC() }

// jumped tells how far the wall clock has left the monotonic one in the last
// minutes; 0: not worth speaking of.
func (c *clock) jumped() time.Duration {
	wall, mono := c.now(), c.monotonic()
	past := mono.Sub(c.mono)
	shown := c.wall.Add(past) // had it not jumped
	by := wall.Sub(shown)
	switch {
	case by.Abs() > maxJump:
		c.anchor = wall
		c.jumps++
		if by < 0 {
			c.ahead = latest(c.ahead, shown.Add(maxJump))
		}
	case past < watchWindow:
		return 0
	default:
		by = 0
	}
	c.wall, c.mono = wall, mono
	return by
}

func (l *loop) now() time.Time { return l.clock.now() }

// watchClock looks for a jump. After one, auto mode stops, every read and every
// window of evidence begins anew, leases count as lost, and blocks expire by the
// time before.
func (l *loop) watchClock(ctx context.Context) {
	by := l.clock.jumped()
	if by == 0 {
		return
	}
	t := l.clock.wall
	way := "forward"
	if by < 0 {
		way = "back"
	}
	why := fmt.Sprintf("the clock jumped %s by %s", way, by.Abs().Round(time.Second))
	l.doubtClock(why, l.clock.surplus+by)
	l.stopAuto(ctx, why)
	l.reads = readState{due: t}
	l.source.NextPoll, l.tick = t, t
	l.view.publishedAt = time.Time{}
	for _, a := range l.acls {
		a.distrust(t, by)
	}
	l.replan()
}

// distrust begins the evidence about an ACL anew and moves what is planned by how
// far the clock has jumped.
func (a *aclState) distrust(t time.Time, by time.Duration) {
	a.readAt, a.held, a.renewAt = time.Time{}, false, t
	clear(a.since)
	clear(a.missing)
	for id, ans := range a.answers {
		ans.At = earlier(ans.At, t)
		a.answers[id] = ans
	}
	for i := range a.reads {
		a.reads[i] = a.reads[i].Add(by)
	}
	for s, until := range a.avoid {
		a.avoid[s] = until.Add(by)
	}
	// Never later than it could be set to now, whatever the clocks have done.
	a.retryAt = earlier(a.retryAt.Add(by), t.Add(maxBackoff))
	a.quotaUntil = earlier(a.quotaUntil.Add(by), t.Add(learnedFor))
}

// doubtClock holds back what expires until the source's clock has confirmed ours.
func (l *loop) doubtClock(why string, surplus time.Duration) {
	l.clock.surplus = max(0, surplus)
	if l.clock.doubt != why {
		l.line(LogLine{Severity: Fault, Event: "fault", Text: why, Reason: "blocks expire by the time before, until the alert source's clock confirms ours"})
	}
	l.clock.doubt = why
}

// confirmWithin is how long a new process waits for the source before it believes
// its clock.
const confirmWithin = 10 * time.Minute

// expiryTime is the time by which blocks expire. In a process that has just begun
// none does before the source has confirmed the clock.
func (l *loop) expiryTime(t time.Time) time.Time {
	if l.clock.unconfirmed && t.Sub(l.startedAt) < confirmWithin {
		return time.Time{}
	}
	return t.Add(-l.clock.surplus)
}

// confirmClock compares our clock with the source's after a poll that succeeded.
func (l *loop) confirmClock() {
	if l.clock.unconfirmed {
		l.clock.unconfirmed = false
		l.replan()
	}
	switch by := l.source.ClockOffset; {
	case by.Abs() > maxJump:
		l.doubtClock(fmt.Sprintf("the clock is %s off the alert source's", by.Abs().Round(time.Second)), -by)
	case l.clock.doubt != "":
		l.clock.doubt, l.clock.surplus = "", 0
		l.line(LogLine{Severity: Info, Event: "fault", Text: "the alert source's clock confirms ours"})
	default:
		return
	}
	l.replan()
}

// rules are the windows of the write protocol, as far as the clock can be
// believed.
func (l *loop) rules() blocklist.Rules {
	return blocklist.Rules{Settle: l.cfg.Settle, RequestExpiry: l.cfg.RequestExpiry, Steady: l.clock.anchor, Ahead: l.clock.ahead}
}
