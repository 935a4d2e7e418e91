package engine

import (
	"net/netip"
	"slices"
	"time"

	"selfprotect/firewall"
)

// next gives the change of a plan that is made next: the first. While the guard is
// not believed nothing is created or widened, and nobody whose unblocking was asked
// for waits behind that: the first change that only opens what nobody wants blocked
// is made ahead of its turn. What shares an entry with a wanted address waits when
// that takes a new entry.
func (l *loop) next(a *aclState, plan firewall.Plan, t time.Time) (firewall.Change, bool) {
	switch {
	case len(plan.Changes) == 0:
		return firewall.Change{}, false
	case l.guardShrunk == "" || plan.Changes[0].Op == firewall.Delete:
		return plan.Changes[0], true
	}
	want := l.wanted(a, t)
	i := slices.IndexFunc(plan.Changes, func(c firewall.Change) bool { return a.onlyOpens(c, want) })
	if i < 0 {
		return firewall.Change{}, false
	}
	return plan.Changes[i], true
}

// onlyOpens says that a change takes away from what is denied now, and nothing of
// that is wanted.
func (a *aclState) onlyOpens(c firewall.Change, want []firewall.Candidate) bool {
	old, left := c.Prefix, netip.Prefix{}
	if c.Op == firewall.Replace {
		old, left = c.Old, c.Prefix
	}
	if c.Op == firewall.Create || left.IsValid() && !inside(old, left) || !a.shows(c.Direction, c.Number, old) {
		return false
	}
	return !slices.ContainsFunc(want, func(w firewall.Candidate) bool {
		return w.Direction == c.Direction && w.Prefix.Overlaps(old) && !(left.IsValid() && inside(left, w.Prefix))
	})
}
