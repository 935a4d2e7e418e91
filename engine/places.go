package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
)

// placeKey is one block in one list of an ACL.
type placeKey struct {
	dir firewall.Direction
	ref blocklist.ID
}

// placement is what a plan says of a block.
type placement struct {
	status   string // as in Presence
	number   int
	prefix   netip.Prefix // of the entry that serves it, which may be wider
	innocent int64
	note     string
	next     bool
	shadowed bool
}

// placements indexes a plan by block.
func placements(plan firewall.Plan) map[placeKey]placement {
	out := map[placeKey]placement{}
	key := func(c *firewall.Candidate) placeKey { return placeKey{c.Direction, blocklist.ID(c.Ref)} }
	placed := func(list []firewall.Placed, status string) {
		for _, p := range list {
			out[key(p.Candidate)] = placement{status: status, number: p.Entry.Number, prefix: p.Entry.Prefix, innocent: p.Innocent, note: p.Note}
		}
	}
	left := func(list []firewall.Left, status string) {
		for _, x := range list {
			out[key(x.Candidate)] = placement{status: status, note: x.Why, next: x.Next, shadowed: x.Shadowed}
		}
	}
	placed(plan.Kept, "present")
	placed(plan.Void, "present")
	placed(plan.Coming, "writing")
	placed(plan.Covered, "covered")
	left(plan.Left, "waiting")
	left(plan.Refused, "failed")
	return out
}

// place gives what the plan for an ACL says of a block.
func (l *loop) place(a *aclState, dir firewall.Direction, id blocklist.ID, t time.Time) (placement, bool) {
	l.planFor(a, t)
	p, ok := a.places[placeKey{dir, id}]
	return p, ok
}

// leftOut says whether a block in force has no slot on some ACL.
func (l *loop) leftOut(id blocklist.ID, t time.Time) bool {
	b, ok := l.list.Block(id)
	if !ok || b.State != blocklist.Active {
		return false
	}
	for _, target := range b.Targets {
		a := l.acl(target.ACL)
		if a == nil || a.readAt.IsZero() {
			continue
		}
		for _, d := range target.Directions {
			if p, ok := l.place(a, toFirewall(d), id, t); ok && p.status == "waiting" {
				return true
			}
		}
	}
	return false
}

// markLeftOut notes in new sightings that their block was in force and had no
// slot: such a block climbs.
func (l *loop) markLeftOut(events []blocklist.Event, t time.Time) {
	for i := range events {
		s := events[i].Sighting
		if s == nil || s.Again || s.Block == "" || !l.leftOut(s.Block, t) {
			continue
		}
		marked := *s
		marked.LeftOut = true
		events[i].Sighting = &marked
	}
}

// mostOffered is how many widenings are proposed for an ACL at a time.
const mostOffered = 3

// widest is more innocents than the shortest prefix holds: the price decides.
const widest = 1 << 20

// offerCovers proposes wider prefixes where slots are short, and takes those back
// that are of no use any more. Only a person may grant them.
func (l *loop) offerCovers(t time.Time) []blocklist.Event {
	var out []blocklist.Event
	for _, a := range l.acls {
		if a.readAt.IsZero() || a.err != "" || !l.guardKnown || !a.held { // two processes that see different things must not argue
			continue
		}
		want := l.wanted(a, t)
		offers := firewall.Widenings(l.planFor(a, t), a.live, want, l.limits(a, t), widest)
		out = append(out, l.list.WithdrawCovers(t, func(b blocklist.Block) bool {
			return b.Targets[0].ACL != a.cfg.ID || slices.ContainsFunc(offers, func(o firewall.Widening) bool {
				return toAlert(o.Direction) == b.Direction && o.Prefix.Overlaps(b.Prefix)
			})
		})...)
		slices.SortStableFunc(offers, func(x, y firewall.Widening) int { return gain(y) - gain(x) })
		for _, o := range offers[:min(len(offers), mostOffered)] {
			out = append(out, l.list.ProposeCover(t, l.widening(a, o))...)
		}
	}
	return out
}

// gain is the weight that an offer serves.
func gain(o firewall.Widening) int {
	n := 0
	for _, c := range o.Serves {
		n += c.Weight
	}
	return n
}

func (l *loop) widening(a *aclState, o firewall.Widening) blocklist.Widening {
	w := blocklist.Widening{ACL: a.cfg.ID, Direction: toAlert(o.Direction), Prefix: o.Prefix, Weight: gain(o)}
	for _, c := range o.Serves {
		if b, ok := l.list.Block(blocklist.ID(c.Ref)); ok && b.Expires.After(w.Until) {
			w.Until = b.Expires
		}
	}
	// The effect is shown live; these are the reasons of the moment.
	why := fmt.Sprintf("as proposed, one entry would serve %d blocks", len(o.Serves))
	if o.Waiting > 0 {
		why += fmt.Sprintf(", %d of them without a slot", o.Waiting)
	}
	if there := len(o.Serves) - o.Waiting; there > 1 {
		why += fmt.Sprintf(", in place of %d entries", there)
	}
	w.Reasons = []string{why, "as proposed, it would also deny " + firewall.Innocent(o.Innocent, firewall.FamilyOf(o.Prefix))}
	return w
}
