package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"selfprotect/alert"
)

// Defaults of a watch.
const (
	DefaultTTL    = 24 * time.Hour
	DefaultWeight = 10
	// MaxWeight is the largest weight of a watch.
	MaxWeight = 1000
)

// Policy judges indicators. It never changes.
type Policy struct {
	watches       map[string]Watch
	order         []Watch
	targets       []Target
	ttl           time.Duration
	guard         *Guard
	base, ceiling Mode
}

// New makes a policy and names everything that is wrong with its configuration.
func New(cfg Config) (*Policy, error) {
	p := &Policy{watches: map[string]Watch{}, ttl: cmp.Or(cfg.TTL, DefaultTTL), guard: cfg.Guard, base: cmp.Or(cfg.Mode, Review), ceiling: Auto}
	var errs []error
	if p.base > Auto {
		errs = append(errs, fmt.Errorf("mode %d does not exist", p.base))
	}
	if p.ttl < 0 {
		errs = append(errs, fmt.Errorf("time to live %s is negative", p.ttl))
	}
	if err := p.guard.usable(); err != nil {
		errs = append(errs, err)
	}
	known := map[string]bool{}
	for _, t := range cfg.Targets {
		if known[t.ACL] {
			errs = append(errs, fmt.Errorf("ACL %s is named twice", t.ACL))
		}
		if err := p.addTarget(t); err != nil {
			errs = append(errs, err)
		}
		known[t.ACL] = true
	}
	slices.SortFunc(p.targets, func(a, b Target) int { return cmp.Compare(a.ACL, b.ACL) })
	for _, w := range cfg.Watches {
		if err := p.addWatch(w, known); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return p, nil
}

func (p *Policy) addTarget(t Target) error {
	if t.ACL == "" {
		return errors.New("an ACL has no id")
	}
	if len(t.Directions) == 0 {
		return fmt.Errorf("ACL %s has no direction", t.ACL)
	}
	for _, d := range t.Directions {
		if d != alert.Outbound && d != alert.Inbound {
			return fmt.Errorf("ACL %s: %s is no direction", t.ACL, d)
		}
	}
	t = t.clone()
	slices.Sort(t.Directions)
	t.Directions = slices.Compact(t.Directions)
	p.targets = append(p.targets, t)
	return nil
}

func (t Target) clone() Target {
	t.Directions = slices.Clone(t.Directions)
	return t
}

func (p *Policy) addWatch(w Watch, known map[string]bool) error {
	if w.RuleID == "" {
		return errors.New("a watch names no rule")
	}
	if _, dup := p.watches[w.RuleID]; dup {
		return fmt.Errorf("rule %s is watched twice", w.RuleID)
	}
	if w.Mode > Auto || w.TTL < 0 || w.Weight < 0 || w.Weight > MaxWeight {
		return fmt.Errorf("rule %s: mode, time to live or weight is out of range", w.RuleID)
	}
	for _, id := range w.ACLs {
		if !known[id] {
			return fmt.Errorf("rule %s names ACL %s, which is not configured", w.RuleID, id)
		}
	}
	w.TTL = cmp.Or(w.TTL, p.ttl)
	w.Weight = cmp.Or(w.Weight, DefaultWeight)
	w = w.clone()
	p.watches[w.RuleID] = w
	p.order = append(p.order, w)
	return nil
}

func (w Watch) clone() Watch {
	w.ACLs = slices.Clone(w.ACLs)
	return w
}

// Judge says what shall become of one indicator of one alert. The first of these
// that applies decides:
//
//   - its rule is not watched, there is no address, or the alert was dismissed: Ignore
//   - the guard forbids the address: Refuse
//   - only connect probes to port 0 name it: Ignore
//   - no ACL of the watch takes its direction: Ignore
//   - the rule is in observe mode: Ignore, and the reason says what would have been done
//   - the guard has an entry that asks: Ask, also in auto mode
//   - the rule is in review mode: Ask
//   - the rule is in auto mode: Block
func (p *Policy) Judge(a alert.Alert, in alert.Indicator) Verdict {
	w, watched := p.watches[a.RuleID]
	addr := in.Addr.Unmap().WithZone("")
	v := Verdict{TTL: w.TTL, Weight: weight(w, a), Prefix: netip.PrefixFrom(addr, addr.BitLen())}
	switch {
	case !watched:
		return v.with(Ignore, "its rule is not watched")
	case !addr.IsValid():
		return v.with(Ignore, "no address")
	case a.Dismissed:
		return v.with(Ignore, "the alert was dismissed at the source")
	}
	if err := p.guard.Check(v.Prefix); err != nil {
		var g *GuardedError
		if errors.As(err, &g) {
			return v.with(Refuse, "guarded: %s (%s)", g.By.Why, g.By.Prefix)
		}
		return v.with(Refuse, "%s", err)
	}
	if in.ProbeOnly {
		return v.with(Ignore, "only connect probes to port 0, no traffic")
	}
	if v.Targets = p.TargetsFor(in.Direction, w.ACLs); len(v.Targets) == 0 {
		return v.with(Ignore, "%s", noTarget(w, in.Direction))
	}
	return p.byMode(w, v)
}

// with gives the verdict with an action and one more reason, which may hold names
// from outside.
func (v Verdict) with(act Action, format string, args ...any) Verdict {
	v.Action, v.Reasons = act, append(v.Reasons, string(alert.Clean(fmt.Sprintf(format, args...))))
	return v
}

// noTarget names the key of the configuration that would change it.
func noTarget(w Watch, d alert.Direction) string {
	list := "egress"
	switch {
	case d == alert.Inbound:
		list = "ingress"
	case d != alert.Outbound:
		return "its direction is not known"
	}
	of := "an [[acl]]"
	if len(w.ACLs) > 0 {
		of = "the [[acl]] " + strings.Join(w.ACLs, " or ")
	}
	return fmt.Sprintf("no ACL takes %s addresses: add %q to directions of %s", d, list, of)
}

// byMode turns what could be done into what may be done.
func (p *Policy) byMode(w Watch, v Verdict) Verdict {
	soft, asks := p.guard.Soft(v.Prefix)
	never := fmt.Sprintf("never without asking: %s (%s)", soft.Why, soft.Prefix)
	switch mode := p.ModeOf(w.RuleID); {
	case mode < Review && asks:
		v.Observing = true
		return v.with(Ignore, "observe mode: would ask to block %s", v.Prefix).with(Ignore, "%s", never)
	case mode < Review:
		v.Observing = true
		return v.with(Ignore, "observe mode: would block %s", v.Prefix)
	case asks:
		return v.with(Ask, "%s", never)
	case mode == Auto:
		return v.with(Block, "watched rule in auto mode")
	default:
		return v.with(Ask, "watched rule in review mode")
	}
}

// weight is ten times the watch's weight, and 20 or 10 more for an alert of
// severity 1 or 2: a step of severity counts as much as one of the watch's weight.
func weight(w Watch, a alert.Alert) int {
	return 10*w.Weight + SeverityWeight(a.Severity)
}

// SeverityWeight is the part of a verdict's weight that an alert's severity gives:
// 20 for 1, 10 for 2, else none.
func SeverityWeight(severity int) int {
	switch severity {
	case 1:
		return 20
	case 2:
		return 10
	}
	return 0
}

// TargetsFor gives the ACLs that take a direction, each with all of its
// directions: an ACL that is configured for both cuts an address off both ways. With
// acls it gives only those.
func (p *Policy) TargetsFor(d alert.Direction, acls []string) []Target {
	var out []Target
	for _, t := range p.targets {
		if slices.Contains(t.Directions, d) && (len(acls) == 0 || slices.Contains(acls, t.ACL)) {
			out = append(out, t.clone())
		}
	}
	return out
}

// TTL gives how long a block lives that no watch is behind.
func (p *Policy) TTL() time.Duration { return p.ttl }

// ModeOf gives the mode in effect for a rule: the watch's own or the base, but
// never above the ceiling.
func (p *Policy) ModeOf(ruleID string) Mode {
	return min(cmp.Or(p.watches[ruleID].Mode, p.base), p.ceiling)
}

// Modes gives the base and the ceiling.
func (p *Policy) Modes() (base, ceiling Mode) { return p.base, p.ceiling }

// WithModes gives a policy with another base, for the watches that have no mode of
// their own, and another ceiling, for all. A value that is no mode counts as
// Observe.
func (p *Policy) WithModes(base, ceiling Mode) *Policy {
	q := *p
	q.base, q.ceiling = base.orObserve(), ceiling.orObserve()
	return &q
}

func (m Mode) orObserve() Mode {
	if m < Observe || m > Auto {
		return Observe
	}
	return m
}

// Guard gives nil when a prefix may be blocked, else why it must not be.
func (p *Policy) Guard(pfx netip.Prefix) error { return p.guard.Check(pfx) }

// GuardSet gives the guard itself.
func (p *Policy) GuardSet() *Guard { return p.guard }

// WithGuard gives a policy with another guard.
func (p *Policy) WithGuard(g *Guard) *Policy {
	q := *p
	q.guard = g
	return &q
}

// Watches gives the watched rules in the order of the configuration, defaults
// filled in.
func (p *Policy) Watches() []Watch {
	out := make([]Watch, 0, len(p.order))
	for _, w := range p.order {
		out = append(out, w.clone())
	}
	return out
}

// Targets gives the ACLs, sorted by id.
func (p *Policy) Targets() []Target {
	out := make([]Target, 0, len(p.targets))
	for _, t := range p.targets {
		out = append(out, t.clone())
	}
	return out
}
