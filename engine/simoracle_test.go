package engine

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// simApproval is when a block was approved, by the true time, and for how long.
type simApproval struct {
	at  time.Time
	ttl time.Duration
}

// called counts a call to EC2: the reads of each life of a process, and the writes
// of all together.
func (w *simWorld) called(p *simProc, j job) {
	for _, id := range simACLs {
		reads, writes := fmt.Sprint(id, p.name, p.lives), id
		if j.write && j.acl == id {
			w.calls[writes] = append(w.calls[writes], time.Now())
		} else if !j.write {
			w.calls[reads] = append(w.calls[reads], time.Now())
		}
		n := 0
		for _, k := range []string{reads, writes} {
			w.calls[k] = slices.DeleteFunc(w.calls[k], func(t time.Time) bool { return time.Since(t) >= callWindow })
			n += len(w.calls[k])
		}
		if n > 120 && w.ship.steady() {
			w.fail("%d calls about %s in %s", n, id, callWindow)
		}
	}
}

// invariants are looked at after every step.
func (w *simWorld) invariants() {
	if w.failed || w.log.Len() == w.read {
		return
	}
	for _, rec := range w.log.Since(w.read) {
		w.read++
		w.trace.Write(rec)
		if w.verbose {
			w.t.Logf("%s     %s", time.Now().UTC().Format("15:04:05.000"), rec)
		}
		e, err := blocklist.Decode(rec)
		if err != nil {
			w.fail("record %d: %v", w.read, err)
			return
		}
		w.look(e)
		if err := w.shadow.Apply(e); err != nil {
			w.fail("record %d does not follow from those before: %v", w.read, err)
		}
	}
}

// look judges one new record before it is folded.
func (w *simWorld) look(e blocklist.Event) {
	switch e.Kind {
	case blocklist.Proposed:
		if len(e.Proposal.Reasons) > 0 && strings.HasPrefix(e.Proposal.Reasons[0], "named while its rule was only observed") {
			w.count("offered after observing")
			if w.shadow.Ceiling().Mode == policy.Observe {
				w.fail("%s is proposed in observe mode", e.Block)
			}
		}
	case blocklist.Approved:
		b, ok := w.shadow.Block(e.Block)
		if !ok || b.State != blocklist.Pending {
			w.fail("%s is approved by %s though it is %q", e.Block, e.Actor, b.State)
		}
		if e.Actor == blocklist.AutoActor {
			w.lookAuto(e, b)
		}
		w.approved[e.Block] = simApproval{time.Now(), e.Expires.Sub(e.At) + min(0, w.ship.error())} // a clock that was behind dates the end too early
	case blocklist.Pinned, blocklist.Unpinned, blocklist.Undid:
		delete(w.approved, e.Block)
	case blocklist.Adopted:
		delete(w.approved, e.Block)
		w.fw.HandOver(e.Write.ACL, toFirewall(e.Write.Direction), e.Write.Number)
		if w.isGuarded(e.Write.Prefix) {
			w.fail("%s of %s is adopted though it is guarded", e.Write.Prefix, e.Write.ACL)
		}
	case blocklist.Overridden:
		if e.Actor == blocklist.EngineActor || e.Actor == blocklist.AutoActor || e.Reason == "" || e.Expires.Sub(e.At) > blocklist.LongestOverride {
			w.fail("the guard is overridden for %s by %q until %s: %q", e.Prefix, e.Actor, e.Expires, e.Reason)
		}
	case blocklist.Enforced:
		w.enforced[e.Prefix] = time.Now()
	case blocklist.Expired:
		a, known := w.approved[e.Block]
		if b, _ := w.shadow.Block(e.Block); known && b.State == blocklist.Active && !b.Cover && time.Since(a.at) < a.ttl*9/10-2*time.Minute {
			w.fail("%s expires %s after its approval for %s", e.Block, time.Since(a.at), a.ttl)
		}
	case blocklist.Denied:
		if b, ok := w.shadow.Block(e.Block); !ok || b.State != blocklist.Pending {
			w.fail("%s is denied though it is %q", e.Block, b.State)
		}
	case blocklist.ModeSet:
		if e.Mode == policy.Auto && e.Actor == blocklist.EngineActor {
			w.fail("auto mode was turned on by the program itself")
		}
	case blocklist.Started:
		w.started[e.WriteID] = *e.Write
		if _, gone := w.shadow.Drift(e.Write.ACL, e.Write.Direction, e.Write.Prefix); gone && e.Write.Prefix.IsSingleIP() && e.Write.Op != blocklist.OpDelete {
			w.fail("%s is written to %s though somebody removed it and nobody asked for it", e.Write.Prefix, e.Write.ACL)
		}
		for _, x := range w.shadow.Pending(e.Write.ACL) {
			if x.Direction == e.Write.Direction && x.Number == e.Write.Number {
				w.fail("write %s starts at %s %d, where %s is not settled", e.WriteID, e.Write.ACL, e.Write.Number, x.ID)
			}
		}
	}
}

func (w *simWorld) lookAuto(e blocklist.Event, b blocklist.Block) {
	if w.odds.mode != policy.Auto {
		w.fail("%s is blocked by auto mode, which is not configured", e.Block)
	}
	if c := w.shadow.Ceiling(); c.Mode != 0 && c.Mode != policy.Auto {
		w.fail("%s is blocked by auto mode, which %s has stopped: %s", e.Block, c.Actor, c.Reason)
	}
	if b.Snoozed(e.At) {
		w.fail("%s is blocked by auto mode, though %s has put it off", e.Block, b.SnoozedBy)
	}
	if simYields.Overlaps(b.Prefix) {
		w.fail("%s is blocked by auto mode, though only an override lets it pass", e.Block)
	}
	limit := cmp.Or(w.odds.limits.PerHour, 60)
	for _, t := range b.Targets {
		w.autos[t.ACL] = slices.DeleteFunc(append(w.autos[t.ACL], time.Now()), func(x time.Time) bool { return time.Since(x) > time.Hour-time.Minute })
		if n := len(w.autos[t.ACL]); n > limit && !w.ship.everSet {
			w.fail("auto mode made %d blocks in an hour on %s", n, t.ACL)
		}
	}
}

// settled says that nothing expires soon, so that rest can be judged.
func (w *simWorld) rest() {
	if w.failed {
		return
	}
	w.calm = true
	w.windows = simWindows{awake: w.windows.awake}
	w.ship.set(0, 1)
	w.down = time.Time{}
	w.fw.setQuota(0)
	w.note("the faults stop")
	if d := time.Until(w.windows.awake); d > 0 {
		w.until(time.Now().Add(d))
	}
	w.until(time.Now().Add(85 * time.Minute))
	if w.failed {
		return
	}
	w.atRest()
	if w.failed {
		return
	}
	writes := len(w.fw.Writes())
	w.until(time.Now().Add(10 * time.Minute))
	if n := len(w.fw.Writes()) - writes; n > 0 && w.expiredSince(10*time.Minute) == 0 {
		w.fail("%d writes at rest: %v", n, w.fw.Writes()[writes:])
	}
}

func (w *simWorld) expiredSince(d time.Duration) int {
	n := 0
	for _, rec := range w.log.Records() {
		if e, err := blocklist.Decode(rec); err == nil && e.Kind == blocklist.Expired && time.Since(e.At) <= d {
			n++
		}
	}
	return n
}

// atRest holds what must be true when the faults have long stopped.
func (w *simWorld) atRest() {
	var leader *simProc
	for _, p := range w.runs {
		if !p.alive() {
			w.fail("%s does not run", p.name)
			return
		}
		if p.l.acls[0].held {
			leader = p
		}
		if err := p.l.catchUp(context.Background()); err != nil {
			w.fail("%s cannot read the journal: %v", p.name, err)
		}
		want, _ := w.shadow.Save()
		got, _ := p.l.list.Save()
		if string(got) != string(want) {
			w.fail("the state of %s is not the fold of the journal:\n%s\n%s", p.name, got, want)
		}
	}
	if leader == nil {
		w.fail("nobody holds the lease")
		return
	}
	leader.look()
	for _, id := range simACLs {
		w.restOf(id, leader)
	}
	for _, a := range w.alerts {
		if _, ok := w.shadow.Alert(a.ID); !ok && time.Since(a.CreatedAt) < 3*time.Hour {
			w.fail("alert %s was missed", a.ID)
		}
	}
}

func (w *simWorld) restOf(id string, leader *simProc) {
	for _, x := range w.shadow.Pending(id) {
		if time.Since(x.At) > 6*time.Minute { // a delete of what has just expired takes its window
			w.fail("at rest this write to %s is not settled: %+v", id, x)
		}
	}
	var view *ACLView
	for _, v := range leader.snap.ACLs {
		if v.ID == id {
			view = v
		}
	}
	live, ours := w.fw.ACL(id), w.fw.Ours(id)
	t := time.Now().UTC()
	var wanted []blocklist.Candidate
	for _, c := range w.shadow.Wanted(t) {
		if c.ACL == id && !w.isGuarded(c.Prefix) {
			wanted = append(wanted, c)
		}
	}
	for _, c := range wanted {
		dir := toFirewall(c.Direction)
		denied := slices.ContainsFunc(live.Entries, func(e firewall.Entry) bool {
			return e.Direction == dir && e.Deny && !e.Default() && inside(e.Prefix, c.Prefix)
		})
		waits := slices.ContainsFunc(view.Waiting, func(x WaitingView) bool { return x.Prefix == c.Prefix && x.Direction == dir })
		if c.Pinned && !denied && w.servesUnpinned(id, dir, firewall.FamilyOf(c.Prefix), ours, wanted) {
			w.fail("%s is pinned and waits on %s, while others have slots", c.Prefix, id)
		}
		if !denied && !waits {
			w.fail("%s is wanted on %s %s, is not denied, and nobody says that it waits; drifts %+v", c.Prefix, id, dir, w.shadow.Drifts(id))
		}
	}
	for i, e := range ours {
		w.restOfEntry(id, e, ours[i+1:], wanted)
	}
}

// servesUnpinned says that an entry of a list serves nothing that is pinned.
func (w *simWorld) servesUnpinned(id string, dir firewall.Direction, f firewall.Family, ours []firewall.Entry, wanted []blocklist.Candidate) bool {
	return slices.ContainsFunc(ours, func(e firewall.Entry) bool {
		return e.Direction == dir && firewall.FamilyOf(e.Prefix) == f && !slices.ContainsFunc(wanted, func(c blocklist.Candidate) bool {
			return c.Pinned && toFirewall(c.Direction) == dir && inside(e.Prefix, c.Prefix)
		})
	})
}

// restOfEntry holds that an entry of ours is known, serves something, denies
// nothing innocent without a grant, and stands there once.
func (w *simWorld) restOfEntry(id string, e firewall.Entry, others []firewall.Entry, wanted []blocklist.Candidate) {
	known := slices.ContainsFunc(w.shadow.Owned(id), func(o blocklist.Owned) bool {
		return toFirewall(o.Direction) == e.Direction && o.Number == e.Number && slices.Contains(o.Prefixes, e.Prefix)
	})
	serves := slices.ContainsFunc(wanted, func(c blocklist.Candidate) bool {
		return toFirewall(c.Direction) == e.Direction && inside(e.Prefix, c.Prefix)
	})
	switch {
	case !known:
		w.fail("%s %d %s on %s is ours and nobody knows it any more", e.Direction, e.Number, e.Prefix, id)
	case w.isGuarded(e.Prefix):
		w.fail("%s %d %s on %s denies what is guarded", e.Direction, e.Number, e.Prefix, id)
	case !serves:
		w.fail("%s %d %s on %s serves nothing that is wanted; %+v", e.Direction, e.Number, e.Prefix, id, w.problems())
	}
	for _, x := range others {
		if x.Direction == e.Direction && x.Prefix.Overlaps(e.Prefix) {
			w.fail("%s %d %s and %d %s on %s deny the same", e.Direction, e.Number, e.Prefix, x.Number, x.Prefix, id)
		}
	}
}

// problems are what the screens say is wrong.
func (w *simWorld) problems() (out []string) {
	for _, p := range w.runs {
		p.look()
		for _, x := range p.snap.Problems {
			out = append(out, p.name+": "+x.Text)
		}
	}
	return out
}

// isGuarded says that what the keeper finds, what a person allows, or what can be
// overridden and is not, forbids a prefix.
func (w *simWorld) isGuarded(p netip.Prefix) bool {
	if slices.ContainsFunc(w.grown, func(g policy.Guarded) bool { return g.Prefix.Overlaps(p) }) {
		return true
	}
	yields := simYields.Overlaps(p) || slices.ContainsFunc(w.shadow.Allowances(w.ship.now()), func(a blocklist.Allowance) bool { return a.Prefix.Overlaps(p) })
	return yields && !slices.ContainsFunc(w.shadow.Overrides(w.ship.now()), func(o blocklist.Override) bool { return o.Prefix == p })
}

// mayDo holds at each call that what can be overridden was overridden, by a person,
// for exactly this prefix, and not longer than a call takes ago.
func (w *simWorld) mayDo(acl string, c firewall.Change) {
	if c.Op == firewall.Delete || !simYields.Overlaps(c.Prefix) {
		return
	}
	w.invariants()
	ended, known := w.enforced[c.Prefix]
	overridden := slices.ContainsFunc(w.shadow.Overrides(w.ship.now().Add(-simCall)), func(o blocklist.Override) bool { return o.Prefix == c.Prefix })
	if !overridden && !(known && time.Since(ended) < simCall) && w.ship.steady() {
		w.fail("%s on %s denies what is guarded and not overridden", c, acl)
	}
}

// simCall is how long after its guard was asked a call may be made.
const simCall = 15 * time.Second

// simYields is what the guard of the world holds back unless it is overridden.
var simYields = netip.MustParsePrefix("203.0.118.0/29")
