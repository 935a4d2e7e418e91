package blocklist

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
	"selfprotect/policy"
)

// A cover is a block of another kind: the word of a person that entries of one ACL
// may be widened inside a prefix, over innocent addresses too, so that fewer slots
// serve more blocks. By itself it denies nothing.

// Widening is a cover that would help.
type Widening struct {
	ACL       string
	Direction alert.Direction
	Prefix    netip.Prefix
	Weight    int       // of the blocks that it would let in
	Until     time.Time // when the last block that it serves expires
	Reasons   []string
}

func (w Widening) targets() []policy.Target {
	return []policy.Target{{ACL: w.ACL, Directions: []alert.Direction{w.Direction}}}
}

// ProposeCover gives the events that propose a cover: none when it overlaps one
// that waits for a decision, is granted, or was denied and the no is remembered.
func (l *List) ProposeCover(now time.Time, w Widening) []Event {
	for _, b := range l.blocks {
		if !b.Cover || b.Direction != w.Direction || b.Targets[0].ACL != w.ACL || !b.Prefix.Overlaps(w.Prefix) {
			continue
		}
		if b.State == Pending || b.State == Active || b.State == Refused && now.Before(b.Expires) {
			return nil
		}
	}
	p := Proposal{Direction: w.Direction, Prefix: w.Prefix, Targets: w.targets(), Cover: true, Weight: w.Weight, Reasons: w.Reasons,
		TTL: min(max(w.Until.Sub(now).Round(time.Minute), time.Hour), l.cfg.MaxTTL)}
	return []Event{{Kind: Proposed, At: now, Actor: EngineActor, Block: coverID(p), Proposal: &p}}
}

func coverID(p Proposal) ID { return "widen:" + MakeID(p.Direction, p.Prefix, p.Targets) }

// WithdrawCovers gives an event for each cover that waits for a decision and is
// not useful any more.
func (l *List) WithdrawCovers(now time.Time, useful func(Block) bool) []Event {
	var out []Event
	for _, b := range l.Blocks() {
		if b.Cover && b.State == Pending && !useful(b) {
			out = append(out, Event{Kind: Expired, At: now, Actor: EngineActor, Block: b.ID, Reason: "no longer needed"})
		}
	}
	return out
}

// Cover is a grant to widen.
type Cover struct {
	Block     ID
	ACL       string
	Direction alert.Direction
	Prefix    netip.Prefix
}

// Covers gives the grants in force at a time, sorted.
func (l *List) Covers(now time.Time) []Cover {
	var out []Cover
	for _, b := range l.blocks {
		if b.Cover && b.inForce(now) {
			out = append(out, Cover{Block: b.ID, ACL: b.Targets[0].ACL, Direction: b.Direction, Prefix: b.Prefix})
		}
	}
	slices.SortFunc(out, func(a, b Cover) int {
		return cmp.Or(cmp.Compare(a.ACL, b.ACL), cmp.Compare(a.Direction, b.Direction), a.Prefix.Compare(b.Prefix))
	})
	return out
}

// What names a block for people: its prefix, and that a cover only widens.
func (b Block) What() string {
	if b.Cover {
		return fmt.Sprintf("widening to %s", b.Prefix)
	}
	return b.Prefix.String()
}
