package replay

import (
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// aclRun is the copy of an ACL on which plans are carried out.
type aclRun struct {
	live  firewall.ACL
	lim   firewall.Limits
	lists []List
}

func newACLRun(a ACL, p *policy.Policy) *aclRun {
	x := &aclRun{live: a.Live, lim: a.Limits}
	x.live.Entries = slices.Clone(a.Live.Entries)
	x.live.Sort()
	x.lim.Guard, x.lim.Owned = p.Guard, nil
	x.lim.AskFirst = func(pfx netip.Prefix) bool { _, soft := p.GuardSet().Soft(pfx); return soft }
	return x
}

// evaluate makes the plan for each ACL and carries it out on the copy, when
// something has changed and the last time was long enough ago, or when it must be.
func (r *run) evaluate(t time.Time, must bool) {
	if !must && (!r.stale || t.Before(r.evalAt)) {
		return
	}
	r.stale, r.evalAt = false, t.Add(r.step)
	wanted := r.list.Wanted(t)
	waiting, used, slots := 0, 0, 0
	for _, a := range r.acls {
		var want []firewall.Candidate
		for _, c := range wanted {
			if c.ACL == a.live.ID {
				want = append(want, firewall.Candidate{Direction: toFirewall(c.Direction), Prefix: c.Prefix, Weight: c.Weight, Pinned: c.Pinned,
					Since: c.Since, Reason: c.Reason, Ref: string(c.Block)})
			}
		}
		plan := firewall.Diff(a.live, want, a.lim)
		a.carryOut(plan.Changes)
		r.noteLeft(plan.Left, must)
		for _, b := range plan.Budgets {
			n := a.note(b, t)
			waiting += b.Waiting
			if tighter(n, b.Slots, used, slots) {
				used, slots = n, b.Slots
			}
		}
	}
	r.period(t).evaluated(waiting, used, slots)
}

// tighter says whether n of slots is nearer to its end than used of most.
func tighter(n, slots, used, most int) bool { return most == 0 || n*most > used*slots }

// carryOut makes the changes of a plan, as AWS would.
func (a *aclRun) carryOut(changes []firewall.Change) {
	for _, c := range changes {
		at := func(d firewall.Direction, n int) bool { return d == c.Direction && n == c.Number }
		a.live.Entries = slices.DeleteFunc(a.live.Entries, func(e firewall.Entry) bool { return at(e.Direction, e.Number) })
		a.lim.Owned = slices.DeleteFunc(a.lim.Owned, func(o firewall.Owned) bool { return at(o.Direction, o.Number) })
		if c.Op != firewall.Delete {
			a.live.Entries = append(a.live.Entries, c.Entry())
			a.lim.Owned = append(a.lim.Owned, firewall.Owned{Direction: c.Direction, Number: c.Number, Prefixes: []netip.Prefix{c.Prefix}})
		}
	}
	a.live.Sort()
}

// note keeps the peaks of a list, and gives how many entries of it are ours.
func (a *aclRun) note(b firewall.Budget, t time.Time) int {
	n := 0
	for _, o := range a.lim.Owned {
		if o.Direction == b.Direction && firewall.FamilyOf(o.Prefixes[0]) == b.Family {
			n++
		}
	}
	i := slices.IndexFunc(a.lists, func(l List) bool { return l.Direction == b.Direction && l.Family == b.Family })
	if i < 0 {
		a.lists = append(a.lists, List{ACL: a.live.ID, Direction: b.Direction, Family: b.Family})
		i = len(a.lists) - 1
	}
	l := &a.lists[i]
	l.Slots, l.PeakUsed, l.PeakWanted = b.Slots, max(l.PeakUsed, n), max(l.PeakWanted, b.Wanted)
	if b.Waiting > l.PeakWaiting {
		l.PeakWaiting, l.PeakAt = b.Waiting, t.UTC()
	}
	return n
}

// noteLeft notes who waits for a slot.
func (r *run) noteLeft(left []firewall.Left, last bool) {
	for _, l := range left {
		o := r.found[r.refs[blocklist.ID(l.Candidate.Ref)]]
		if o == nil {
			continue
		}
		o.Waited = true
		o.WaitsAtEnd = o.WaitsAtEnd || last
		o.WhyWaits = l.Why
	}
}

func toFirewall(d alert.Direction) firewall.Direction {
	if d == alert.Inbound {
		return firewall.Ingress
	}
	return firewall.Egress
}
