package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
)

// aclState is what the loop knows of one ACL.
type aclState struct {
	cfg    ACLConfig
	live   firewall.ACL // as read, with our own answered writes since
	readAt time.Time    // when the read was begun; zero before the first
	// strangers are entries in our number range that are not ours.
	strangers []firewall.Entry
	err       string // why the last read failed
	// quota is learned down from the service, and tried anew after quotaUntil.
	quota      int
	quotaUntil time.Time
	// avoid are numbers that the service says are taken, though reads do not show
	// it yet, with the time until.
	avoid map[blocklist.Slot]time.Time

	held       bool   // we hold the lease
	holder     string // who holds it when we do not
	leaseUntil time.Time
	renewAt    time.Time

	answers map[string]blocklist.Answer // by write id
	since   map[string]sighted
	missing map[blocklist.Slot]gap

	failures  int               // writes that failed in a row
	denied    int               // of these, for want of permission
	blind     int               // reads in a row that were refused for want of permission
	evictedAt time.Time         // when auto mode last gave a slot to another block; at first when we began
	retryAt   time.Time         // no write before
	fault     string            // what the last write's failure means
	reads     []time.Time       // begun in the last callWindow
	waiting   map[string]string // block -> why, as last told
	plan      firewall.Plan
	planRev   uint64
	planReady bool
	places    map[placeKey]placement
	told      map[string]bool // writes whose line was printed
	shortfall map[string]toldShortfall
	lim       firewall.Limits
	limRev    uint64
}

// gap is since when every read lacks an entry of ours, any of these prefixes.
type gap struct {
	prefixes []netip.Prefix
	since    time.Time
}

// sighted is since when every read shows the entry of a write, or lacks it.
type sighted struct {
	there bool
	at    time.Time
}

func newACLState(c ACLConfig) *aclState {
	return &aclState{cfg: c, answers: map[string]blocklist.Answer{}, since: map[string]sighted{},
		told: map[string]bool{}, shortfall: map[string]toldShortfall{}, waiting: map[string]string{}, avoid: map[blocklist.Slot]time.Time{}, missing: map[blocklist.Slot]gap{}}
}

func (l *loop) acl(id string) *aclState {
	for _, a := range l.acls {
		if a.cfg.ID == id {
			return a
		}
	}
	return nil
}

// toFirewall gives the list of an ACL in which an address of that direction is
// looked at.
func toFirewall(d alert.Direction) firewall.Direction {
	if d == alert.Inbound {
		return firewall.Ingress
	}
	return firewall.Egress
}

func toAlert(d firewall.Direction) alert.Direction {
	if d == firewall.Ingress {
		return alert.Inbound
	}
	return alert.Outbound
}

// graceAfterUnknown is how long a prefix whose create was answered ambiguously is
// looked for before it is created at another number.
const graceAfterUnknown = time.Minute

// limits are the bounds of a plan for an ACL now. They are kept until anything
// changes; what only time changes is seen at the next read.
func (l *loop) limits(a *aclState, t time.Time) firewall.Limits {
	if a.limRev != l.view.rev {
		a.lim, a.limRev = l.makeLimits(a, t), l.view.rev
	}
	return a.lim
}

func (l *loop) makeLimits(a *aclState, t time.Time) firewall.Limits {
	x := l.cfg.Slots
	quota, _ := a.quotaNow(t)
	lim := firewall.Limits{Quota: max(1, quota-a.cfg.Reserve), Low: a.cfg.Low, High: a.cfg.High,
		Margin: x.Margin, Price: x.Price, Collateral: x.Collateral, MinBits4: x.MinBits4, MinBits6: x.MinBits6,
		AskFirst: func(p netip.Prefix) bool { _, soft := l.guard.Soft(p); return soft },
		Resting:  map[firewall.Direction]map[int]bool{}, Unsure: map[firewall.Direction]map[int]bool{}, Pending: map[firewall.Direction]map[firewall.Family]int{}}
	for _, c := range l.list.Covers(l.expiryTime(t)) {
		if c.ACL == a.cfg.ID {
			lim.Covers = append(lim.Covers, firewall.Cover{Direction: toFirewall(c.Direction), Prefix: c.Prefix})
		}
	}
	if len(l.guard.Entries()) > 0 {
		lim.Guard = l.policy.Guard
	}
	for _, o := range l.list.Owned(a.cfg.ID) {
		lim.Owned = append(lim.Owned, firewall.Owned{Direction: toFirewall(o.Direction), Number: o.Number, Prefixes: o.Prefixes})
	}
	for d, numbers := range l.list.Resting(t, a.cfg.ID, l.rules()) {
		dir := toFirewall(d)
		lim.Resting[dir] = map[int]bool{}
		for n := range numbers {
			lim.Resting[dir][n] = true
		}
	}
	for at, until := range a.avoid {
		if t.Before(until) {
			lim.Resting[toFirewall(at.Direction)][at.Number] = true
		}
	}
	for _, w := range l.list.Pending(a.cfg.ID) {
		dir := toFirewall(w.Direction)
		// A replace whose new entry is there has happened; a delete may still happen.
		if w.Op == blocklist.OpDelete || w.Op == blocklist.OpReplace && !a.shows(dir, w.Number, w.Prefix) {
			if lim.Unsure[dir] == nil {
				lim.Unsure[dir] = map[int]bool{}
			}
			lim.Unsure[dir][w.Number] = true
		}
		if w.Op == blocklist.OpCreate && !a.shows(dir, w.Number, w.Prefix) {
			if lim.Pending[dir] == nil {
				lim.Pending[dir] = map[firewall.Family]int{}
			}
			lim.Pending[dir][firewall.FamilyOf(w.Prefix)]++
		}
	}
	return lim
}

// quotaNow gives the quota of entries for each direction and family, and where it
// comes from. What the service enforces outranks what anybody says.
func (a *aclState) quotaNow(t time.Time) (int, string) {
	n, from := firewall.DefaultQuota, "AWS's default"
	switch {
	case a.cfg.Quota > 0:
		n, from = a.cfg.Quota, "the configuration"
	case a.live.Quota > 0:
		n, from = a.live.Quota, "Service Quotas"
	}
	if t.Before(a.quotaUntil) && a.quota < n {
		n, from = a.quota, "a refusal by AWS"
	}
	return n, from
}

// shows says whether the ACL has a deny of all protocols for p at a number.
func (a *aclState) shows(dir firewall.Direction, number int, p netip.Prefix) bool {
	return slices.ContainsFunc(a.live.Entries, func(e firewall.Entry) bool {
		return e.Direction == dir && e.Number == number && e.Prefix == p && e.Deny && e.Protocol == firewall.AllProtocols
	})
}

// wanted gives the candidates for an ACL. One whose write may still land is held:
// it is looked for first.
func (l *loop) wanted(a *aclState, t time.Time) []firewall.Candidate {
	held := l.unsettled(a, t)
	var out []firewall.Candidate
	for _, c := range l.list.WantedBy(t, l.expiryTime(t)) {
		if c.ACL != a.cfg.ID {
			continue
		}
		f := toCandidate(c)
		f.Held = slices.ContainsFunc(held, func(w firewall.Cover) bool { return w.Direction == f.Direction && inside(w.Prefix, f.Prefix) })
		out = append(out, f)
	}
	l.restrainAuto(a, out, t)
	l.restrainOverridden(out)
	return out
}

// unsettled gives what was written, does not show, and may still appear.
func (l *loop) unsettled(a *aclState, t time.Time) []firewall.Cover {
	var out []firewall.Cover
	for _, w := range l.list.Pending(a.cfg.ID) {
		dir := toFirewall(w.Direction)
		if w.Op == blocklist.OpDelete || a.shows(dir, w.Number, w.Prefix) {
			continue
		}
		if a.answers[w.ID].Done || t.Sub(l.rules().Begun(w, t)) < graceAfterUnknown {
			out = append(out, firewall.Cover{Direction: dir, Prefix: w.Prefix})
		}
	}
	return out
}

// inside says that every address of q is in p.
func inside(p, q netip.Prefix) bool { return p.Bits() <= q.Bits() && p.Contains(q.Addr()) }

func toCandidate(c blocklist.Candidate) firewall.Candidate {
	return firewall.Candidate{Direction: toFirewall(c.Direction), Prefix: c.Prefix, Weight: c.Weight, Pinned: c.Pinned,
		Since: c.Since, Reason: c.Reason, Ref: string(c.Block)}
}

// planFor gives the plan for an ACL, made anew when anything has changed.
func (l *loop) planFor(a *aclState, t time.Time) firewall.Plan {
	if !a.planReady || a.planRev != l.view.rev {
		a.plan = firewall.Diff(a.live, l.wanted(a, t), l.limits(a, t))
		a.planRev, a.planReady = l.view.rev, true
		a.places = placements(a.plan)
	}
	return a.plan
}

// replan says that the ACL or the time has changed.
func (l *loop) replan() {
	l.view.rev++
	l.view.dirty = true
}

// take takes a fresh read of an ACL: what it proves is recorded by the caller.
func (a *aclState) take(acl firewall.ACL, began, t time.Time, list *blocklist.List, r blocklist.Rules) blocklist.Reading {
	acl.Sort()
	a.live, a.readAt, a.err, a.blind = acl, began, "", 0
	rd := blocklist.Reading{ACL: a.cfg.ID, At: began, Seen: map[blocklist.Slot]netip.Prefix{}, Since: map[string]time.Time{}, Missing: map[blocklist.Slot]time.Time{}}
	for _, e := range acl.Entries {
		if e.Deny && e.Protocol == firewall.AllProtocols && e.Prefix.IsValid() && !e.Default() {
			rd.Seen[blocklist.Slot{Direction: toAlert(e.Direction), Number: e.Number}] = e.Prefix
		}
	}
	for _, w := range list.Pending(a.cfg.ID) {
		if began.Before(r.Begun(w, t)) || began.Before(a.answers[w.ID].At) {
			continue
		}
		there := rd.Seen[blocklist.Slot{Direction: w.Direction, Number: w.Number}] == w.Prefix
		if s, ok := a.since[w.ID]; !ok || s.there != there {
			a.since[w.ID] = sighted{there: there, at: began}
		}
		rd.Since[w.ID] = a.since[w.ID].at
	}
	gaps := map[blocklist.Slot]gap{}
	for _, o := range list.Owned(a.cfg.ID) {
		at := blocklist.Slot{Direction: o.Direction, Number: o.Number}
		if slices.Contains(o.Prefixes, rd.Seen[at]) {
			continue
		}
		g, known := a.missing[at]
		if !known || !slices.Equal(g.prefixes, o.Prefixes) { // another entry stood there before
			g = gap{o.Prefixes, began}
		}
		gaps[at], rd.Missing[at] = g, g.since
	}
	a.missing = gaps
	return rd
}

// optimistic puts an answered change into the picture until the next read, so
// that the rest of a batch can be planned without a read between.
func (a *aclState) optimistic(c firewall.Change) {
	entries := slices.DeleteFunc(slices.Clone(a.live.Entries), func(e firewall.Entry) bool {
		return e.Direction == c.Direction && e.Number == c.Number
	})
	if c.Op != firewall.Delete {
		entries = append(entries, c.Entry())
	}
	a.live.Entries = entries
	a.live.Sort()
}

// forget drops what was kept for a write that is settled.
func (a *aclState) forget(id string) {
	delete(a.answers, id)
	delete(a.since, id)
	delete(a.told, id)
}

// numbers gives the range of rule numbers that is ours, both ends included.
func (a *aclState) numbers() (low, high int) { return cmp.Or(a.cfg.Low, 1), cmp.Or(a.cfg.High, 99) }
