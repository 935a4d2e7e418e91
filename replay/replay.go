// Package replay plays the past of watched rules through the policy, the block list
// and the planner that a run uses, in the time of the alerts, so that a rule can be
// judged before it is armed.
//
// The protocol. [Run] takes the alerts oldest first. Each is judged when it fired, as
// if nobody had dismissed it since; what a verdict wants becomes a block, in auto mode
// by itself, in review mode as if a person had approved it at once; blocks expire when
// their time is up. The plan for each ACL, as it is now, is made again and again and
// carried out on a copy. Auto mode is held to its rates; when it would have stopped
// itself it asks for an hour, and goes on as if a person had set it again.
//
// Left out is what only a run can know: widenings, the pauses that auto mode makes
// before it gives a slot to another block, and how much of an ACL one rule may have.
//
// The package is pure: no I/O, no clock, sorted output.
package replay

import (
	"fmt"
	"net/netip"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// Config is what a replay is made from.
type Config struct {
	// Policy has the whole guard, and the mode that is replayed.
	Policy *policy.Policy
	List   blocklist.Config
	ACLs   []ACL
	Auto   AutoLimits
	From   time.Time
	Until  time.Time
	Period time.Duration // of one line of the report; 0: a day (UTC), or an hour for up to two days
}

// ACL is a network ACL without entries of ours, and the bounds of a plan for it. Its
// guard is the policy's.
type ACL struct {
	Live   firewall.ACL
	Limits firewall.Limits
}

// AutoLimits are the rates at which auto mode stops itself; 0 is no bound.
type AutoLimits struct {
	PerMinute, PerHour int // for each ACL
	Overall            int // an hour, for all
	GuardHits          int // addresses that the guard refused within ten minutes
}

const (
	// pause is how long auto mode asks after it has stopped itself.
	pause = time.Hour
	// evaluations bounds how often plans are made.
	evaluations = 1500
	person      = "replay"
)

// run is a replay on its way.
type run struct {
	cfg   Config
	list  *blocklist.List
	acls  []*aclRun
	found map[key]*Outcome
	refs  map[blocklist.ID]key
	out   Report

	start  time.Time // of the first period
	resume time.Time // auto mode asks until then
	step   time.Duration
	evalAt time.Time // no plan before
	stale  bool      // the list has changed since the last plan
}

type key struct {
	dir  alert.Direction
	addr netip.Addr
}

// Run replays alerts, which must be sorted by time of creation.
func Run(cfg Config, alerts []alert.Alert) (Report, error) {
	span := cfg.Until.Sub(cfg.From)
	if span <= 0 {
		return Report{}, fmt.Errorf("replay: it ends before it begins")
	}
	if cfg.Period <= 0 {
		cfg.Period = 24 * time.Hour
		if span <= 48*time.Hour {
			cfg.Period = time.Hour
		}
	}
	cfg.List.MaxAlerts = max(cfg.List.MaxAlerts, len(alerts)+1)
	r := &run{cfg: cfg, list: blocklist.New(cfg.List), found: map[key]*Outcome{}, refs: map[blocklist.ID]key{},
		step: max(span/evaluations, time.Second)}
	base, _ := cfg.Policy.Modes()
	r.out = Report{From: cfg.From.UTC(), Until: cfg.Until.UTC(), Mode: base.String()}
	for i := range cfg.ACLs {
		r.acls = append(r.acls, newACLRun(cfg.ACLs[i], cfg.Policy))
	}
	r.start = cfg.From.Truncate(cfg.Period)
	for t := r.start; t.Before(cfg.Until); t = t.Add(cfg.Period) {
		r.out.Periods = append(r.out.Periods, Period{From: t.UTC()})
	}
	for _, a := range alerts {
		if a.CreatedAt.Before(cfg.From) || a.CreatedAt.After(cfg.Until) {
			continue
		}
		if err := r.take(a); err != nil {
			return Report{}, err
		}
	}
	if err := r.advance(cfg.Until); err != nil {
		return Report{}, err
	}
	r.evaluate(cfg.Until, true)
	r.finish()
	return r.out, nil
}

func (r *run) apply(events []blocklist.Event) error {
	for _, e := range events {
		if err := r.list.Apply(e); err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		switch e.Kind {
		case blocklist.Approved, blocklist.Expired:
			r.stale = true
		}
	}
	return nil
}

// advance lets blocks expire up to a time, each at its own.
func (r *run) advance(t time.Time) error {
	for {
		at, ok := r.list.NextExpiry()
		if !ok || at.After(t) {
			return nil
		}
		events := r.list.Expire(at)
		if len(events) == 0 {
			return nil
		}
		if err := r.apply(events); err != nil {
			return err
		}
		r.evaluate(at, false)
	}
}

// take plays one alert.
func (r *run) take(a alert.Alert) error {
	t := a.CreatedAt
	if err := r.advance(t); err != nil {
		return err
	}
	dismissed := a.Dismissed
	a.Dismissed = false
	r.out.Alerts++
	p := r.period(t)
	p.Alerts++
	if dismissed {
		r.out.Dismissed++
	}
	if err := r.apply(r.list.Note(t, a, "")); err != nil {
		return err
	}
	indicators := alert.Indicators(a)
	if len(indicators) == 0 {
		r.out.WithoutAddress++
	}
	for _, in := range indicators {
		v := r.gate(t, r.cfg.Policy.Judge(a, in))
		events := r.list.Observe(t, a, in, v)
		if err := r.apply(events); err != nil {
			return err
		}
		if err := r.approve(t, events); err != nil {
			return err
		}
		r.tally(t, a, in, v, events, dismissed, p)
	}
	r.evaluate(t, false)
	return nil
}

// approve gives the word of the person who would have been asked in review mode.
func (r *run) approve(t time.Time, events []blocklist.Event) error {
	if base, _ := r.cfg.Policy.Modes(); base != policy.Review {
		return nil
	}
	for _, e := range events {
		if e.Kind != blocklist.Proposed {
			continue
		}
		evs, err := r.list.Decide(t, e.Block, blocklist.Decision{Verb: blocklist.Approve, Actor: person, Reason: "replay"})
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		if err := r.apply(evs); err != nil {
			return err
		}
	}
	return nil
}

// gate holds auto mode to its rates.
func (r *run) gate(t time.Time, v policy.Verdict) policy.Verdict {
	if v.Action != policy.Block {
		return v
	}
	if !t.Before(r.resume) {
		if why := r.reached(t, v); why != "" {
			r.out.Stops = append(r.out.Stops, Stop{At: t.UTC(), Why: why})
			r.resume = t.Add(pause)
		}
	}
	if t.Before(r.resume) {
		v.Action = policy.Ask
		v.Reasons = append([]string{"auto mode had stopped itself"}, v.Reasons...)
	}
	return v
}

func (r *run) reached(t time.Time, v policy.Verdict) string {
	lim := r.cfg.Auto
	over := func(most int, d time.Duration, acl string) bool {
		return most > 0 && r.list.AutoSince(t, d, acl) >= most
	}
	if lim.GuardHits > 0 && len(r.list.GuardHits(t)) >= lim.GuardHits {
		return fmt.Sprintf("alerts named %d addresses in ten minutes that must not be blocked", lim.GuardHits)
	}
	for _, target := range v.Targets {
		switch {
		case over(lim.PerMinute, time.Minute, target.ACL):
			return fmt.Sprintf("limit of %d blocks a minute on %s", lim.PerMinute, target.ACL)
		case over(lim.PerHour, time.Hour, target.ACL):
			return fmt.Sprintf("limit of %d blocks an hour on %s", lim.PerHour, target.ACL)
		}
	}
	if over(lim.Overall, time.Hour, "") {
		return fmt.Sprintf("limit of %d blocks an hour in all", lim.Overall)
	}
	return ""
}
