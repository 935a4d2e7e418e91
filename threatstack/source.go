package threatstack

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"selfprotect/alert"
)

// eventPhase bounds how long one poll goes on reading events, so that the next
// list is not late; what is left waits for the next poll.
const eventPhase = 10 * time.Second

// poll is one run of Alerts.
type poll struct {
	c     *Client
	ctx   context.Context
	since time.Time
	begun time.Time
	yield func(alert.Alert, error) bool
}

// errStopped says that the consumer wants no more.
var errStopped = errors.New("stopped")

// Alerts polls once and gives what is new: each new alert as soon as a list names
// it, without events, and again when its events were read or changed. since is
// when the last poll began that ended without error; zero means now. An error
// comes last and means that the poll was not whole. An alert whose events could
// not be read stays incomplete, is tried again by a later poll, and is no error.
// What was yielded counts as kept, unless the loop ended with it or Again says
// otherwise.
func (c *Client) Alerts(ctx context.Context, since time.Time) iter.Seq2[alert.Alert, error] {
	return func(yield func(alert.Alert, error) bool) {
		if !c.polling.TryLock() {
			yield(alert.Alert{}, &Error{Kind: BadRequest, Op: "poll", Message: "another poll is running"})
			return
		}
		defer c.polling.Unlock()
		p := &poll{c: c, ctx: ctx, since: since, begun: time.Now(), yield: yield}
		if since.IsZero() || since.After(p.begun) {
			p.since = p.begun
		}
		if err := p.run(); err != nil && !errors.Is(err, errStopped) {
			yield(alert.Alert{}, err)
		}
	}
}

// Resume tells the client which alerts are known already, before the first poll:
// complete ones are neither delivered nor read again because of the restart, the
// others have their events read. It reads ID, RuleID, CreatedAt, Complete and
// Fields; the rest is delivered with the alert until a list names it again.
func (c *Client) Resume(known []alert.Alert) {
	c.polling.Lock()
	defer c.polling.Unlock()
	now := time.Now()
	for _, a := range known {
		if _, twice := c.book.alerts[a.ID]; twice || !usableID(a.ID) || !c.watches(a.RuleID) {
			continue
		}
		a.Events, a.Agent = nil, nil
		t := c.book.add(a, now)
		t.resumed, t.thin, t.due = true, a.Fields == nil, time.Time{}
		if a.Complete {
			t.complete = true
			c.book.waiting--
		}
	}
}

// Again makes the next poll deliver anew what the last one delivered: for a
// consumer that could not keep it. What it delivered complete is read again.
func (c *Client) Again() {
	c.polling.Lock()
	defer c.polling.Unlock()
	c.book.redo(time.Now())
}

func (c *Client) watches(rule string) bool {
	for _, id := range c.cfg.RuleIDs {
		if id == rule {
			return true
		}
	}
	return false
}

// run lists every rule, then reads events, then agents. A failure of one rule
// does not keep the others from being read; it is reported at the end.
func (p *poll) run() error {
	p.c.book.schedule(p.since, p.begun)
	p.c.book.polls++
	for _, t := range p.c.book.anew() {
		if err := p.deliver(t.a); err != nil {
			return err
		}
		t.again = false
	}
	var first error
	for _, rule := range p.c.cfg.RuleIDs {
		err := p.list(rule)
		if err != nil && (errors.Is(err, errStopped) || everyRequest(err)) {
			p.report()
			return err
		}
		if first == nil {
			first = err
		}
	}
	if first == nil && p.c.book.waiting > maxWaiting {
		first = &Error{Kind: RateLimited, Op: "poll", Message: fmt.Sprintf("more than %d alerts wait for their events", maxWaiting),
			Hint: "watch a narrower rule, or raise the requests a minute"}
	}
	err := p.events()
	if err == nil {
		err = p.agents()
	}
	p.report()
	if err != nil {
		return err
	}
	return first
}

// report puts the counts of the book into the status.
func (p *poll) report() {
	_, open, dropped := p.c.book.ready(p.begun)
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	h := &p.c.health
	h.waiting, h.open = p.c.book.waiting, open
	h.dropped += dropped
	if h.lastErrAt.Before(p.begun) {
		h.lastErr, h.lastErrAt = nil, time.Time{}
	}
}

// deliver yields a, with its agent when it is known.
func (p *poll) deliver(a alert.Alert) error {
	a.Agent = p.c.agent(a.AgentID)
	if !p.yield(a, nil) {
		return errStopped
	}
	if t := p.c.book.alerts[a.ID]; t != nil {
		t.poll = p.c.book.polls
	}
	return nil
}
