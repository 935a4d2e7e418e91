package blocklist

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
)

// ledger knows each entry that we wrote and each write that is not settled.
type ledger struct {
	slots   map[slotKey]slot
	pending map[string]PendingWrite
	drifts  map[driftKey]Drift
	// left tells when entries that stood at a number were last ours there: a read
	// that lags may show them still.
	left map[slotKey]map[netip.Prefix]time.Time
	sent []sentWrite // in the last WriteWindow
}

// sentWrite is when a write to an ACL was started, by whichever process.
type sentWrite struct {
	ACL string    `json:"acl"`
	At  time.Time `json:"at"`
}

// WriteWindow is how far back writes are counted.
const WriteWindow = 10 * time.Minute

type slotKey struct {
	ACL       string
	Direction alert.Direction
	Number    int
}

// slot is an entry of ours that was read back.
type slot struct {
	Prefix  netip.Prefix
	Drifted time.Time // when a read first lacked it; zero: it is there
}

type driftKey struct {
	ACL       string
	Direction alert.Direction
	Prefix    netip.Prefix
}

// Drift is an entry of ours that somebody removed.
type Drift struct {
	ACL       string          `json:"acl"`
	Direction alert.Direction `json:"direction"`
	Prefix    netip.Prefix    `json:"prefix"`
	Number    int             `json:"number"`
	Since     time.Time       `json:"since"`
}

// PendingWrite is a write that was started and is not settled.
type PendingWrite struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
	Write
	// Unknown says that its answer was ambiguous.
	Unknown bool `json:"unknown,omitempty"`
}

func (w Write) slot() slotKey { return slotKey{w.ACL, w.Direction, w.Number} }

// The words of Write.Op.
const (
	OpCreate  = "create"
	OpReplace = "replace"
	OpDelete  = "delete"
)

func newLedger() ledger {
	return ledger{slots: map[slotKey]slot{}, pending: map[string]PendingWrite{}, drifts: map[driftKey]Drift{},
		left: map[slotKey]map[netip.Prefix]time.Time{}}
}

func (g *ledger) apply(e Event) error {
	switch e.Kind {
	case Started:
		return g.start(e)
	case Settled:
		return g.settle(e)
	}
	if e.Write == nil {
		return fmt.Errorf("%s event without an entry", e.Kind)
	}
	w := *e.Write
	k, d := w.slot(), driftKey{w.ACL, w.Direction, w.Prefix}
	switch e.Kind {
	case Returned:
		delete(g.drifts, d)
		g.slots[k] = slot{Prefix: w.Prefix}
		return nil
	case Gone:
		g.clear(k, e.At)
		return nil
	}
	g.drifts[d] = Drift{ACL: w.ACL, Direction: w.Direction, Prefix: w.Prefix, Number: w.Number, Since: e.At}
	if s, ok := g.slots[k]; ok && s.Prefix == w.Prefix {
		g.slots[k] = slot{Prefix: w.Prefix, Drifted: e.At}
	}
	return nil
}

func (g *ledger) start(e Event) error {
	if e.Write == nil || e.WriteID == "" {
		return fmt.Errorf("started event without a write")
	}
	if _, dup := g.pending[e.WriteID]; dup {
		return fmt.Errorf("write %s is started twice", e.WriteID)
	}
	g.pending[e.WriteID] = PendingWrite{ID: e.WriteID, At: e.At, Write: *e.Write}
	g.sent = append(slices.DeleteFunc(g.sent, func(s sentWrite) bool { return e.At.Sub(s.At) >= WriteWindow }), sentWrite{e.Write.ACL, e.At})
	return nil
}

// leftFor is how long the ledger knows of an entry that it no longer has; no
// settle window is longer.
const leftFor = 24 * time.Hour

// clear takes an entry out of the ledger and keeps until when it was there.
func (g *ledger) clear(k slotKey, at time.Time) {
	s, ok := g.slots[k]
	if !ok {
		return
	}
	delete(g.slots, k)
	maps.DeleteFunc(g.left[k], func(_ netip.Prefix, t time.Time) bool { return at.Sub(t) > leftFor })
	g.leave(k, s.Prefix, at)
}

func (g *ledger) leave(k slotKey, p netip.Prefix, at time.Time) {
	if g.left[k] == nil {
		g.left[k] = map[netip.Prefix]time.Time{}
	}
	g.left[k][p] = at
}

// leftAt is when an entry was last ours at a number; zero: it never was.
func (g *ledger) leftAt(w Write) time.Time { return g.left[w.slot()][w.Prefix] }

func (g *ledger) settle(e Event) error {
	w, ok := g.pending[e.WriteID]
	if !ok {
		return fmt.Errorf("write %s is settled but was not pending", e.WriteID)
	}
	k := w.slot()
	switch e.Outcome {
	case Unknown:
		w.Unknown = true
		g.pending[e.WriteID] = w
		return nil
	case Present:
		if w.Op != OpDelete {
			if g.slots[k].Prefix != w.Prefix {
				g.clear(k, e.At)
			}
			g.slots[k] = slot{Prefix: w.Prefix}
		}
	case Absent:
		if w.Op == OpDelete {
			g.clear(k, e.At)
		}
	case NotSent:
	default:
		return fmt.Errorf("write %s is settled as %q", e.WriteID, e.Outcome)
	}
	delete(g.pending, e.WriteID)
	return nil
}

// blockDrifts gives the drift keys of a block's targets.
func blockDrifts(b *Block) []driftKey {
	var out []driftKey
	for _, t := range b.Targets {
		for _, d := range t.Directions {
			out = append(out, driftKey{t.ACL, d, b.Prefix})
		}
	}
	return out
}

// forgetDrift drops the drift of a block that has ended or is wanted again. What
// was removed stays ours until it is proven to be gone: a read may lag.
func (g *ledger) forgetDrift(b *Block) {
	if b == nil {
		return
	}
	for _, k := range blockDrifts(b) {
		delete(g.drifts, k)
	}
}

func (g *ledger) dropDrifts(which func(Drift) bool) {
	maps.DeleteFunc(g.drifts, func(_ driftKey, d Drift) bool { return which(d) })
}

func (g *ledger) hasDrift(b *Block) bool {
	return slices.ContainsFunc(blockDrifts(b), func(k driftKey) bool { _, ok := g.drifts[k]; return ok })
}

func (g *ledger) isDrifted(acl string, d alert.Direction, p netip.Prefix) bool {
	_, ok := g.drifts[driftKey{acl, d, p}]
	return ok
}

// Owned is an entry that counts as ours. Several prefixes are possible while a
// write is not settled.
type Owned struct {
	Direction alert.Direction
	Number    int
	Prefixes  []netip.Prefix
}

// Owned gives the entries of an ACL that are ours, sorted; those too that are
// missing and not yet proven to be gone.
func (l *List) Owned(acl string) []Owned {
	byKey := map[slotKey][]netip.Prefix{}
	for k, s := range l.ledger.slots {
		if k.ACL == acl {
			byKey[k] = append(byKey[k], s.Prefix)
		}
	}
	for _, w := range l.ledger.pending {
		if k := w.slot(); w.ACL == acl && w.Op != OpDelete && !slices.Contains(byKey[k], w.Prefix) {
			byKey[k] = append(byKey[k], w.Prefix)
		}
	}
	out := make([]Owned, 0, len(byKey))
	for k, ps := range byKey {
		slices.SortFunc(ps, netip.Prefix.Compare)
		out = append(out, Owned{Direction: k.Direction, Number: k.Number, Prefixes: ps})
	}
	slices.SortFunc(out, func(a, b Owned) int {
		return cmp.Or(cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Number, b.Number))
	})
	return out
}

// Pending gives the writes to an ACL that are not settled, oldest first.
func (l *List) Pending(acl string) []PendingWrite {
	var out []PendingWrite
	for _, w := range l.ledger.pending {
		if w.ACL == acl {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b PendingWrite) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Drifts gives the entries of an ACL that somebody removed, sorted.
func (l *List) Drifts(acl string) []Drift {
	var out []Drift
	for _, d := range l.ledger.drifts {
		if d.ACL == acl {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b Drift) int {
		return cmp.Or(cmp.Compare(a.Direction, b.Direction), a.Prefix.Compare(b.Prefix))
	})
	return out
}

// IsPending says that a write is not settled.
func (l *List) IsPending(id string) bool {
	_, ok := l.ledger.pending[id]
	return ok
}

// Writes counts the writes to an ACL that were started in the last WriteWindow.
func (l *List) Writes(now time.Time, acl string) int {
	n := 0
	for _, s := range l.ledger.sent {
		if s.ACL == acl && now.Sub(s.At) < WriteWindow {
			n++
		}
	}
	return n
}

// Drift gives the entry of ours for a prefix that somebody removed, if one was.
func (l *List) Drift(acl string, d alert.Direction, p netip.Prefix) (Drift, bool) {
	x, ok := l.ledger.drifts[driftKey{acl, d, p}]
	return x, ok
}

// Resting gives the numbers of an ACL that must not be used or changed now, and
// until about when by the clock now: those of unsettled writes, and those of entries that are
// missing and not yet proven to be gone.
func (l *List) Resting(now time.Time, acl string, r Rules) map[alert.Direction]map[int]time.Time {
	out := map[alert.Direction]map[int]time.Time{alert.Outbound: {}, alert.Inbound: {}}
	for _, w := range l.ledger.pending {
		if w.ACL == acl {
			out[w.Direction][w.Number] = r.Begun(w, now).Add(r.RequestExpiry + r.Settle)
		}
	}
	for k, s := range l.ledger.slots {
		if k.ACL == acl && !s.Drifted.IsZero() {
			out[k.Direction][k.Number] = s.Drifted.Add(r.Settle)
		}
	}
	return out
}
