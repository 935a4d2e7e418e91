package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
)

// Defaults of a watch.
const (
	DefaultTTL    = 24 * time.Hour
	DefaultWeight = 10
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
	p := &Policy{watches: map[string]Watch{}, ttl: cfg.TTL, guard: cfg.Guard, base: cfg.Mode, ceiling: Auto}
	if p.ttl == 0 {
		p.ttl = DefaultTTL
	}
	if p.base == 0 {
		p.base = Review
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.base > Auto {
		fail("mode %d does not exist", p.base)
	}
	if p.ttl < 0 {
		fail("time to live %s is negative", p.ttl)
	}
	if p.guard == nil || len(p.guard.entries) == 0 {
		errs = append(errs, ErrEmptyGuard)
	}
	known := map[string]bool{}
	for _, t := range cfg.Targets {
		if t.ACL == "" || known[t.ACL] {
			fail("ACL %q is empty or named twice", t.ACL)
		}
		if len(t.Directions) == 0 {
			fail("ACL %s has no direction", t.ACL)
		}
		known[t.ACL] = true
		t.Directions = slices.Clone(t.Directions)
		slices.Sort(t.Directions)
		p.targets = append(p.targets, t)
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

func (p *Policy) addWatch(w Watch, known map[string]bool) error {
	if w.RuleID == "" {
		return errors.New("a watch names no rule")
	}
	if _, dup := p.watches[w.RuleID]; dup {
		return fmt.Errorf("rule %s is watched twice", w.RuleID)
	}
	if w.Mode > Auto || w.TTL < 0 || w.Weight < 0 {
		return fmt.Errorf("rule %s: mode, time to live or weight is out of range", w.RuleID)
	}
	for _, id := range w.ACLs {
		if !known[id] {
			return fmt.Errorf("rule %s names ACL %s, which is not configured", w.RuleID, id)
		}
	}
	w.TTL = cmp.Or(w.TTL, p.ttl)
	w.Weight = cmp.Or(w.Weight, DefaultWeight)
	p.watches[w.RuleID] = w
	p.order = append(p.order, w)
	return nil
}

// Judge says what shall become of one indicator of one alert.
func (p *Policy) Judge(a alert.Alert, in alert.Indicator) Verdict {
	w, watched := p.watches[a.RuleID]
	v := Verdict{Action: Ignore, TTL: w.TTL, Weight: weight(w, a), Prefix: netip.PrefixFrom(in.Addr, in.Addr.BitLen())}
	because := func(act Action, format string, args ...any) Verdict {
		v.Action, v.Reasons = act, append(v.Reasons, fmt.Sprintf(format, args...))
		return v
	}
	switch {
	case !watched:
		return because(Ignore, "its rule is not watched")
	case !in.Addr.IsValid():
		return because(Ignore, "no address")
	case a.Dismissed:
		return because(Ignore, "the alert was dismissed at the source")
	}
	if err := p.guard.Check(v.Prefix); err != nil {
		var g *GuardedError
		if errors.As(err, &g) {
			return because(Refuse, "guarded: %s (%s)", g.By.Why, g.By.Prefix)
		}
		return because(Refuse, "%s", err)
	}
	if in.ProbeOnly {
		return because(Ignore, "only connect probes to port 0, no traffic")
	}
	if v.Targets = p.targetsFor(w, in.Direction); len(v.Targets) == 0 {
		list := "egress"
		if in.Direction == alert.Inbound {
			list = "ingress"
		}
		return because(Ignore, "no ACL takes %s addresses: add %q to directions of an [[acl]]", in.Direction, list)
	}
	return p.byMode(w, v)
}

// byMode turns what could be done into what may be done.
func (p *Policy) byMode(w Watch, v Verdict) Verdict {
	mode := p.ModeOf(w.RuleID)
	soft, isSoft := p.guard.Soft(v.Prefix)
	switch {
	case mode == Observe:
		v.Action, v.Reasons = Ignore, append(v.Reasons, "observe mode: it would be proposed")
	case isSoft:
		v.Action, v.Reasons = Ask, append(v.Reasons, fmt.Sprintf("never without asking: %s (%s)", soft.Why, soft.Prefix))
	case mode == Auto:
		v.Action, v.Reasons = Block, append(v.Reasons, "watched rule in auto mode")
	default:
		v.Action, v.Reasons = Ask, append(v.Reasons, "watched rule in review mode")
	}
	return v
}

// weight is ten times the watch's weight, and 20, 10 or 0 more for an alert of
// severity 1, 2 or 3.
func weight(w Watch, a alert.Alert) int {
	bonus := 0
	switch a.Severity {
	case 1:
		bonus = 20
	case 2:
		bonus = 10
	}
	return 10*w.Weight + bonus
}

// targetsFor gives the ACLs of a watch that take the direction, each with all of
// its directions: an ACL that is configured for both cuts an address off both
// ways.
func (p *Policy) targetsFor(w Watch, d alert.Direction) []Target {
	var out []Target
	for _, t := range p.targets {
		if slices.Contains(t.Directions, d) && (len(w.ACLs) == 0 || slices.Contains(w.ACLs, t.ACL)) {
			out = append(out, t)
		}
	}
	return out
}

// ModeOf gives the mode in effect for a rule: the watch's own or the base, but
// never above the ceiling.
func (p *Policy) ModeOf(ruleID string) Mode {
	return min(cmp.Or(p.watches[ruleID].Mode, p.base), p.ceiling)
}

// Modes gives the base and the ceiling.
func (p *Policy) Modes() (base, ceiling Mode) { return p.base, p.ceiling }

// WithModes gives a policy with another base and ceiling.
func (p *Policy) WithModes(base, ceiling Mode) *Policy {
	q := *p
	q.base, q.ceiling = base, ceiling
	return &q
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
func (p *Policy) Watches() []Watch { return slices.Clone(p.order) }

// Targets gives the ACLs, sorted by id.
func (p *Policy) Targets() []Target { return slices.Clone(p.targets) }
