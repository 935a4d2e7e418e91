package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// Request is what a person asks to be blocked.
type Request struct {
	Prefix    netip.Prefix
	Direction alert.Direction // outbound: it is a destination; inbound: a source
	ACLs      []string        // empty: every ACL that takes the direction
	TTL       time.Duration   // 0: as blocks live by default
	Actor     string
	Reason    string
}

// Proposer takes what people ask for. It becomes a proposal like any other, and is
// approved with Decide and the digest of its effect.
type Proposer interface {
	// PlanBlock gives the proposal as it would be, and records nothing. What the
	// guard forbids is a *policy.GuardedError, what is in force already wraps
	// blocklist.ErrDecided.
	PlanBlock(ctx context.Context, r Request) (*Proposal, error)
	// Propose records it; when it waits already that one is meant. The errors are
	// those of PlanBlock.
	Propose(ctx context.Context, r Request) (blocklist.ID, error)
}

// Allower keeps what people want never blocked.
type Allower interface {
	// Allow makes a prefix an entry of the guard until its end, and ends every
	// proposal and block that it touches.
	Allow(ctx context.Context, a blocklist.Allowance) error
	// Disallow ends that; blocks that it ended do not come back.
	Disallow(ctx context.Context, p netip.Prefix, actor, reason string) error
}

// Adoption is an entry of somebody else that shall be ours.
type Adoption struct {
	ACL       string
	Direction firewall.Direction
	Number    int
	Prefix    netip.Prefix
	TTL       time.Duration // 0: the longest that a block may live
	Actor     string
	Reason    string
}

// Adopter makes entries of others ours.
type Adopter interface {
	// Adopt refuses unless the newest read shows exactly that deny of all protocols
	// at a number of our range, and the guard lets its prefix pass.
	Adopt(ctx context.Context, a Adoption) (blocklist.ID, error)
}

var (
	_ Proposer = (*Engine)(nil)
	_ Allower  = (*Engine)(nil)
	_ Adopter  = (*Engine)(nil)
)

// PlanBlock implements Proposer.
func (e *Engine) PlanBlock(ctx context.Context, r Request) (p *Proposal, err error) {
	err = e.ask(ctx, func(context.Context) error {
		t := e.loop.now()
		b, _, err := e.loop.askedFor(r, t)
		if err != nil {
			return err
		}
		p = e.loop.preview(b, t)
		return nil
	})
	return p, err
}

// Propose implements Proposer.
func (e *Engine) Propose(ctx context.Context, r Request) (id blocklist.ID, err error) {
	err = e.ask(ctx, func(ctx context.Context) error {
		id, err = e.loop.proposeFor(ctx, r)
		return err
	})
	return id, err
}

func (l *loop) proposeFor(ctx context.Context, r Request) (id blocklist.ID, err error) {
	err = l.record(ctx, func() ([]blocklist.Event, error) {
		b, events, err := l.askedFor(r, l.now())
		id = b.ID
		return events, err
	})
	return id, err
}

// Allow implements Allower.
func (e *Engine) Allow(ctx context.Context, a blocklist.Allowance) error {
	return e.ask(ctx, func(ctx context.Context) error { return e.loop.allow(ctx, a) })
}

func (l *loop) allow(ctx context.Context, a blocklist.Allowance) error {
	return l.record(ctx, func() ([]blocklist.Event, error) {
		if err := named(a.Actor); err != nil {
			return nil, err
		}
		return l.list.Allow(l.now(), a)
	})
}

// Disallow implements Allower.
func (e *Engine) Disallow(ctx context.Context, p netip.Prefix, actor, reason string) error {
	return e.ask(ctx, func(ctx context.Context) error { return e.loop.disallow(ctx, p, actor, reason) })
}

func (l *loop) disallow(ctx context.Context, p netip.Prefix, actor, reason string) error {
	return l.record(ctx, func() ([]blocklist.Event, error) {
		if err := named(actor); err != nil {
			return nil, err
		}
		return l.list.Disallow(l.now(), p, actor, reason)
	})
}

// Adopt implements Adopter.
func (e *Engine) Adopt(ctx context.Context, a Adoption) (id blocklist.ID, err error) {
	err = e.ask(ctx, func(ctx context.Context) error {
		id, err = e.loop.adopt(ctx, a)
		return err
	})
	return id, err
}

func (l *loop) adopt(ctx context.Context, a Adoption) (id blocklist.ID, err error) {
	err = l.record(ctx, func() ([]blocklist.Event, error) {
		t := l.now()
		if err := l.mayAdopt(a, t); err != nil {
			return nil, err
		}
		var events []blocklist.Event
		w := blocklist.Write{ACL: a.ACL, Op: "adopt", Direction: toAlert(a.Direction), Number: a.Number, Prefix: a.Prefix}
		id, events, err = l.list.Adopt(t, w, a.TTL, handWeight, a.Actor, a.Reason)
		return events, err
	})
	return id, err
}

func named(actor string) error {
	if strings.TrimSpace(actor) == "" {
		return errors.New("a decision needs the name of whoever makes it")
	}
	return nil
}

// handWeight is what a block weighs that a person asked for: as much as one of a
// plain watch.
const handWeight = 10 * policy.DefaultWeight

// askedFor gives the block that a person asks for and the events that propose it.
func (l *loop) askedFor(r Request, t time.Time) (blocklist.Block, []blocklist.Event, error) {
	if err := named(r.Actor); err != nil {
		return blocklist.Block{}, nil, err
	}
	for _, id := range r.ACLs {
		if l.acl(id) == nil {
			return blocklist.Block{}, nil, fmt.Errorf("%s is not in the configuration", clean(id))
		}
	}
	if r.TTL == 0 {
		r.TTL = l.policy.TTL()
	}
	b, events, err := l.list.Ask(t, blocklist.Wanting{Prefix: r.Prefix, Direction: r.Direction, Targets: l.policy.TargetsFor(r.Direction, r.ACLs),
		TTL: r.TTL, Weight: handWeight, Actor: r.Actor, Reason: r.Reason})
	if err != nil {
		return b, nil, err
	}
	if err := l.policy.Guard(b.Prefix); err != nil {
		return b, nil, err
	}
	return b, events, nil
}

// mayAdopt checks that an entry can become ours.
func (l *loop) mayAdopt(x Adoption, t time.Time) error {
	if err := named(x.Actor); err != nil {
		return err
	}
	a := l.acl(x.ACL)
	switch {
	case a == nil:
		return fmt.Errorf("%s is not in the configuration", clean(x.ACL))
	case l.cfg.ReadOnly:
		return errors.New("this process is read-only")
	case a.readAt.IsZero() || a.err != "" || t.Sub(a.readAt) > l.cfg.Stale:
		return fmt.Errorf("%s was not read lately", x.ACL)
	}
	if low, high := a.numbers(); x.Number < low || x.Number > high {
		return fmt.Errorf("entry %d lies outside our numbers %d to %d: change rule_numbers first", x.Number, low, high)
	}
	if !a.shows(x.Direction, x.Number, x.Prefix) {
		return fmt.Errorf("%s %s has no deny of all protocols for %s at number %d", x.ACL, x.Direction, x.Prefix, x.Number)
	}
	if !slices.Contains(l.directionsOf(x.ACL), toAlert(x.Direction)) {
		return fmt.Errorf("the %s list of %s is not configured: change directions first", x.Direction, x.ACL)
	}
	return l.policy.Guard(x.Prefix)
}

func (l *loop) directionsOf(acl string) []alert.Direction {
	for _, t := range l.policy.Targets() {
		if t.ACL == acl {
			return t.Directions
		}
	}
	return nil
}

// allowed gives what people want never blocked as entries of the guard, and notes
// when the next of them ends.
func (l *loop) allowed(t time.Time) []policy.Guarded {
	var out []policy.Guarded
	l.allowEnds = time.Time{}
	for _, a := range l.list.Allowances(l.expiryTime(t)) { // a clock that jumps ends none
		why := "never to be blocked, says " + a.Actor
		if a.Reason != "" {
			why += ": " + a.Reason
		}
		out = append(out, policy.Guarded{Prefix: a.Prefix, Why: clean(why), Overridable: true})
		if !a.Expires.IsZero() && (l.allowEnds.IsZero() || a.Expires.Before(l.allowEnds)) {
			l.allowEnds = a.Expires
		}
	}
	return out
}

func tellAllowed(ln *LogLine, e blocklist.Event) {
	ln.Prefix = e.Prefix
	if e.Kind == blocklist.Disallowed {
		ln.Event, ln.Text = "disallowed", fmt.Sprintf("%s may be blocked again, says %s", e.Prefix, ln.Actor)
		return
	}
	ln.Event, ln.Text = "allowed", fmt.Sprintf("%s is never to be blocked, says %s", e.Prefix, ln.Actor)
	if !e.Expires.IsZero() {
		ln.Text += ", until " + e.Expires.UTC().Format(tellTime)
	}
}

func (l *loop) tellAdopted(ln *LogLine, e blocklist.Event) {
	w := e.Write
	ln.Event, ln.ACL, ln.Direction, ln.Number, ln.Prefix = "adopted", w.ACL, toFirewall(w.Direction), w.Number, w.Prefix
	ln.Text = fmt.Sprintf("entry %d (%s) of %s is ours from now on, says %s", w.Number, w.Prefix, clean(w.ACL), ln.Actor)
}
