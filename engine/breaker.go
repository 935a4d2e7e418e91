package engine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// Auto mode stops itself, for all ACLs or for one. The stop is an event, so it
// outlives restarts and upgrades; only a person ends it, by setting the mode.

// stopAuto lowers the ceiling to review, once.
func (l *loop) stopAuto(ctx context.Context, why string) {
	if !l.autoOn() {
		return
	}
	l.note(l.record(ctx, func() ([]blocklist.Event, error) {
		if c := l.list.Ceiling().Mode; c != 0 && c < policy.Auto {
			return nil, nil // another process was first
		}
		return []blocklist.Event{stopEvent(l.now(), "", why)}, nil
	}))
}

// autoOn says whether auto mode is on for any watched rule. Where it is not there is
// nothing to stop, and to say so would frighten for nothing; another process in which
// it is on has limits of its own.
func (l *loop) autoOn() bool {
	return slices.ContainsFunc(l.policy.Watches(), func(w policy.Watch) bool { return l.policy.ModeOf(w.RuleID) == policy.Auto })
}

func stopEvent(t time.Time, acl, why string) blocklist.Event {
	return blocklist.Event{Kind: blocklist.ModeSet, At: t, Actor: blocklist.EngineActor, Mode: policy.Review, ACL: acl, Reason: why}
}

// revertStops stops auto mode for an ACL from which the same entry of ours has
// vanished twice in a day: something puts the ACL back.
func (l *loop) revertStops(t time.Time, events []blocklist.Event) []blocklist.Event {
	for _, e := range events {
		if e.Kind != blocklist.Gone {
			continue
		}
		w := e.Write
		_, stopped := l.list.Stopped(w.ACL)
		if !stopped && l.list.Vanished(t, w.ACL, w.Direction, w.Prefix) > 0 {
			return []blocklist.Event{stopEvent(t, w.ACL, fmt.Sprintf("entry %d (%s) vanished twice in 24 hours; "+
				"a Terraform aws_default_network_acl resource or AWS Firewall Manager may put the ACL back", w.Number, w.Prefix))}
		}
	}
	return nil
}

// findStrangers looks for entries of others among our numbers, and tells of each
// new one: they are never touched, but whoever makes them does not know of us.
func (l *loop) findStrangers(a *aclState) {
	low, high := a.numbers()
	owned := map[blocklist.Slot]bool{}
	for _, o := range l.list.Owned(a.cfg.ID) {
		owned[blocklist.Slot{Direction: o.Direction, Number: o.Number}] = true
	}
	var found []firewall.Entry
	for _, e := range a.live.Entries {
		if e.Number < low || e.Number > high || owned[blocklist.Slot{Direction: toAlert(e.Direction), Number: e.Number}] {
			continue
		}
		found = append(found, e)
		if !slices.Contains(a.strangers, e) {
			l.line(LogLine{Severity: Warning, Event: "drift", ACL: a.cfg.ID, Direction: e.Direction, Number: e.Number, Prefix: e.Prefix,
				Text: fmt.Sprintf("entry %d (%s) of %s is in our number range and not ours; it is not touched", e.Number, e.Prefix, a.cfg.ID)})
		}
	}
	a.strangers = found
}

// autoGate holds auto mode to its limits while one chunk of alerts is judged.
type autoGate struct {
	loop *loop
	now  time.Time
	used map[string]int      // approvals of this chunk by ACL; "" for all
	hits map[netip.Addr]bool // refused by the guard, lately
	stop string              // why auto mode stops for all
}

func newAutoGate(l *loop, t time.Time) *autoGate {
	return &autoGate{loop: l, now: t, used: map[string]int{}, hits: map[netip.Addr]bool{}}
}

// limit turns auto into ask when a limit is reached.
func (g *autoGate) limit(a alert.Alert, in alert.Indicator, v policy.Verdict) policy.Verdict {
	if v.Action != policy.Block {
		return v
	}
	why := g.stop
	for _, t := range v.Targets {
		if why == "" {
			g.stop = g.reached(t.ACL)
			why = g.stop
		}
		if why == "" {
			why = g.askFor(t, a, in, v.Prefix)
		}
	}
	if why != "" {
		v.Action = policy.Ask
		v.Reasons = append([]string{why}, v.Reasons...)
	}
	return v
}

// reached gives the limit of a rate that stops auto mode.
func (g *autoGate) reached(acl string) string {
	lim, list := g.loop.cfg.Limits, g.loop.list
	switch {
	case list.AutoSince(g.now, time.Minute, acl)+g.used[acl] >= lim.PerMinute:
		return fmt.Sprintf("auto mode reached its limit of %d blocks a minute on %s", lim.PerMinute, acl)
	case list.AutoSince(g.now, time.Hour, acl)+g.used[acl] >= lim.PerHour:
		return fmt.Sprintf("auto mode reached its limit of %d blocks an hour on %s", lim.PerHour, acl)
	case list.AutoSince(g.now, time.Hour, "")+g.used[""] >= lim.Overall:
		return fmt.Sprintf("auto mode reached its limit of %d blocks an hour in all", lim.Overall)
	}
	return ""
}

// askFor says why auto mode leaves one block to a person.
func (g *autoGate) askFor(t policy.Target, a alert.Alert, in alert.Indicator, p netip.Prefix) string {
	l := g.loop
	if c, stopped := l.list.Stopped(t.ACL); stopped {
		return fmt.Sprintf("auto mode has stopped for %s: %s", t.ACL, c.Reason)
	}
	state := l.acl(t.ACL)
	if l.cfg.Limits.Share <= 0 || state == nil {
		return ""
	}
	for _, d := range t.Directions {
		if why := g.share(state, d, a, in, p); why != "" {
			return why
		}
	}
	return ""
}

// share says whether one rule, host or network has had its share of the slots.
func (g *autoGate) share(s *aclState, d alert.Direction, a alert.Alert, in alert.Indicator, p netip.Prefix) string {
	l := g.loop
	most := s.slots(d, p) * l.cfg.Limits.Share / 100
	if most == 0 {
		return ""
	}
	family := firewall.FamilyOf(p)
	over := func(alike func(blocklist.Block) bool) bool {
		n := l.list.AutoShare(g.now, s.cfg.ID, d, func(b blocklist.Block) bool {
			return firewall.FamilyOf(b.Prefix) == family && b.Prefix != p && alike(b)
		})
		return n >= most
	}
	near := network(in.Addr)
	switch {
	case over(func(b blocklist.Block) bool { return near.Contains(b.Prefix.Addr()) }):
		return fmt.Sprintf("auto mode has given %d%% of the slots of %s to %s", l.cfg.Limits.Share, s.cfg.ID, near)
	case a.AgentID != "" && over(func(b blocklist.Block) bool { return slices.Contains(b.Hosts, a.AgentID) }):
		return fmt.Sprintf("auto mode has given %d%% of the slots of %s to alerts of one host", l.cfg.Limits.Share, s.cfg.ID)
	case len(l.policy.Watches()) > 1 && over(func(b blocklist.Block) bool { return b.RuleID == a.RuleID }):
		return fmt.Sprintf("auto mode has given %d%% of the slots of %s to one rule", l.cfg.Limits.Share, s.cfg.ID)
	}
	return ""
}

// network is what belongs together for the share: a /24, an IPv6 /48.
func network(a netip.Addr) netip.Prefix {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}

// slots is how many deny entries a list of the ACL has room for, ours included;
// 0 when that is not known yet.
func (s *aclState) slots(d alert.Direction, p netip.Prefix) int {
	for _, b := range s.plan.Budgets {
		if b.Direction == toFirewall(d) && b.Family == firewall.FamilyOf(p) {
			return b.Slots
		}
	}
	return 0
}

// count counts what came of an indicator.
func (g *autoGate) count(events []blocklist.Event, in alert.Indicator, v policy.Verdict) {
	for _, e := range events {
		switch {
		case e.Kind == blocklist.Approved:
			g.used[""]++
			for _, t := range v.Targets {
				g.used[t.ACL]++
			}
		case e.Kind == blocklist.Sighted && e.Sighting.Outcome == blocklist.OutcomeRefused && !e.Sighting.Again:
			g.hits[in.Addr] = true
		}
	}
	if g.stop != "" || !g.loop.autoOn() || len(g.hits) == 0 {
		return
	}
	for _, a := range g.loop.list.GuardHits(g.now) {
		g.hits[a] = true
	}
	if limit := g.loop.cfg.Limits.GuardHits; len(g.hits) >= limit {
		g.stop = fmt.Sprintf("alerts named %d addresses in ten minutes that must not be blocked", limit)
	}
}

// restrained is why a block waits that auto mode may not make room for.
const restrained = "waits: the list is full, and auto mode takes no slot from what a person approved or what has not stood long"

// noteEviction keeps when auto mode gives a slot to another block.
func (l *loop) noteEviction(a *aclState, c firewall.Change, t time.Time) {
	if c.Op != firewall.Replace {
		return
	}
	for _, w := range l.wanted(a, t) {
		if w.Direction == c.Direction && inside(c.Prefix, w.Prefix) && !inside(c.Old, w.Prefix) && l.byAuto(w) {
			a.evictedAt = t
		}
	}
}

// restrainAuto holds back what auto mode wants where it would cost another entry
// its slot, and that one is not free to take: a person approved it, it has not
// stood long, or auto mode has taken a slot a short while ago.
func (l *loop) restrainAuto(a *aclState, want []firewall.Candidate, t time.Time) {
	if a.evictedAt.IsZero() {
		a.evictedAt = l.startedAt // nobody knows what the last run did
	}
	lim := l.cfg.Limits
	if lim.Residency <= 0 && lim.Pace <= 0 {
		return
	}
	for _, d := range []firewall.Direction{firewall.Egress, firewall.Ingress} {
		for _, f := range []firewall.Family{firewall.IPv4, firewall.IPv6} {
			l.restrainList(a, d, f, want, t)
		}
	}
}

func (l *loop) restrainList(a *aclState, d firewall.Direction, f firewall.Family, want []firewall.Candidate, t time.Time) {
	quota, _ := a.quotaNow(t)
	if a.live.Count(d, f) < max(1, quota-a.cfg.Reserve) {
		return // there is room
	}
	lightest, heaviest := -1, -1 // of what is denied, and of what auto mode wants besides
	for i, c := range want {
		if c.Direction != d || firewall.FamilyOf(c.Prefix) != f {
			continue
		}
		switch {
		case a.denies(d, c.Prefix):
			if lightest < 0 || c.Weight < want[lightest].Weight {
				lightest = i
			}
		case l.byAuto(c):
			if heaviest < 0 || c.Weight > want[heaviest].Weight {
				heaviest = i
			}
		}
	}
	if heaviest < 0 {
		return
	}
	free := lightest >= 0 && l.byAuto(want[lightest]) && t.Sub(want[lightest].Since) >= l.cfg.Limits.Residency && t.Sub(a.evictedAt) >= l.cfg.Limits.Pace
	for i := range want {
		c := &want[i]
		if c.Direction == d && firewall.FamilyOf(c.Prefix) == f && l.byAuto(*c) && !a.denies(d, c.Prefix) && (!free || i != heaviest) {
			c.Waits = restrained
		}
	}
}

// overriddenWaits is why auto mode does not use what a person has overridden.
const overriddenWaits = "waits: the guard is overridden for it, which auto mode must not use; a person may block it"

// restrainOverridden holds back what auto mode has approved, where only an override
// of the guard lets it pass.
func (l *loop) restrainOverridden(want []firewall.Candidate) {
	if len(l.overridden) == 0 {
		return
	}
	for i := range want {
		if slices.Contains(l.overridden, want[i].Prefix) && l.byAuto(want[i]) {
			want[i].Waits = overriddenWaits
		}
	}
}

// byAuto says that only auto mode stands behind a candidate.
func (l *loop) byAuto(c firewall.Candidate) bool {
	b, ok := l.list.Block(blocklist.ID(c.Ref))
	return ok && b.DecidedBy == blocklist.AutoActor && !b.Pinned
}

// denies says whether an entry that denies all of p stands in a list.
func (s *aclState) denies(d firewall.Direction, p netip.Prefix) bool {
	return slices.ContainsFunc(s.live.Entries, func(e firewall.Entry) bool {
		return e.Direction == d && e.Deny && e.Protocol == firewall.AllProtocols && !e.Default() && inside(e.Prefix, p)
	})
}
