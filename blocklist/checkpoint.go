package blocklist

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
)

// checkpoint is the stored form of a List. It is apart from the List so that the
// List may change while old checkpoints are simply not used.
type checkpoint struct {
	V       int                    `json:"v"`
	Blocks  []Block                `json:"blocks"`
	Alerts  []*AlertState          `json:"alerts"`
	Marks   map[string]time.Time   `json:"marks"`
	Past    []pastCount            `json:"past"`
	Slots   []savedSlot            `json:"slots"`
	Left    []leftSlot             `json:"left,omitempty"`
	Sent    []sentWrite            `json:"sent,omitempty"`
	Pending []PendingWrite         `json:"pending"`
	Drifts  []Drift                `json:"drifts"`
	Guarded int                    `json:"guarded,omitempty"`
	Auto    []autoApproval         `json:"auto"`
	Mode    ModeCeiling            `json:"mode"`
	Hits    []guardHit             `json:"hits,omitempty"`
	Vanish  []vanished             `json:"vanished,omitempty"`
	Stops   map[string]ModeCeiling `json:"stops,omitempty"`
	Allowed []Allowance            `json:"allowed,omitempty"`
	Over    []Override             `json:"overrides,omitempty"`
	Pruned  time.Time              `json:"pruned,omitzero"`
}

type pastCount struct {
	Direction alert.Direction `json:"direction"`
	Prefix    netip.Prefix    `json:"prefix"`
	N         int             `json:"n"`
}

type savedSlot struct {
	ACL       string          `json:"acl"`
	Direction alert.Direction `json:"direction"`
	Number    int             `json:"number"`
	Prefix    netip.Prefix    `json:"prefix"`
	Drifted   time.Time       `json:"drifted,omitzero"`
}

type leftSlot struct {
	ACL       string          `json:"acl"`
	Direction alert.Direction `json:"direction"`
	Number    int             `json:"number"`
	Prefix    netip.Prefix    `json:"prefix"`
	At        time.Time       `json:"at"`
}

// checkpointVersion grows with every change of what Apply does or keeps, so that
// a checkpoint made by other code is not used.
const checkpointVersion = 7

// Save gives the whole state as JSON. The same state gives the same bytes.
func (l *List) Save() ([]byte, error) {
	c := checkpoint{V: checkpointVersion, Blocks: l.Blocks(), Alerts: l.Alerts(), Marks: l.marks,
		Auto: l.auto, Mode: l.mode, Pruned: l.pruned, Sent: l.ledger.sent,
		Hits: l.breaker.hits, Vanish: l.breaker.vanished, Stops: l.breaker.stops, Guarded: l.breaker.guarded,
		Allowed: l.allAllowances(), Over: l.allOverrides()}
	for k, n := range l.past {
		c.Past = append(c.Past, pastCount{k.Direction, k.Prefix, n})
	}
	slices.SortFunc(c.Past, func(a, b pastCount) int {
		return cmp.Or(cmp.Compare(a.Direction, b.Direction), a.Prefix.Compare(b.Prefix))
	})
	for k, s := range l.ledger.slots {
		c.Slots = append(c.Slots, savedSlot{k.ACL, k.Direction, k.Number, s.Prefix, s.Drifted})
	}
	slices.SortFunc(c.Slots, func(a, b savedSlot) int {
		return cmp.Or(cmp.Compare(a.ACL, b.ACL), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Number, b.Number))
	})
	for k, ps := range l.ledger.left {
		for p, at := range ps {
			c.Left = append(c.Left, leftSlot{k.ACL, k.Direction, k.Number, p, at})
		}
	}
	slices.SortFunc(c.Left, func(a, b leftSlot) int {
		return cmp.Or(cmp.Compare(a.ACL, b.ACL), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Number, b.Number), a.Prefix.Compare(b.Prefix))
	})
	for _, w := range l.ledger.pending {
		c.Pending = append(c.Pending, w)
	}
	slices.SortFunc(c.Pending, func(a, b PendingWrite) int { return cmp.Compare(a.ID, b.ID) })
	for _, d := range l.ledger.drifts {
		c.Drifts = append(c.Drifts, d)
	}
	slices.SortFunc(c.Drifts, func(a, b Drift) int {
		return cmp.Or(cmp.Compare(a.ACL, b.ACL), cmp.Compare(a.Direction, b.Direction), a.Prefix.Compare(b.Prefix))
	})
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("save checkpoint: %w", err)
	}
	return b, nil
}

// Load gives the list that Save wrote. A checkpoint of another version is an
// error: the journal itself must be read then.
func Load(cfg Config, b []byte) (*List, error) {
	var c checkpoint
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("load checkpoint: %w", err)
	}
	if c.V != checkpointVersion {
		return nil, fmt.Errorf("load checkpoint: it has version %d, this program writes %d", c.V, checkpointVersion)
	}
	l := New(cfg)
	for _, b := range c.Blocks {
		l.blocks[b.ID] = &b
	}
	for _, a := range c.Alerts {
		if a == nil {
			return nil, fmt.Errorf("load checkpoint: an alert is null")
		}
		l.alerts[a.Note.ID] = a
	}
	for k, t := range c.Marks {
		l.marks[k] = t
	}
	for _, p := range c.Past {
		l.past[pastKey{p.Direction, p.Prefix}] = p.N
	}
	for _, s := range c.Slots {
		l.ledger.slots[slotKey{s.ACL, s.Direction, s.Number}] = slot{s.Prefix, s.Drifted}
	}
	for _, s := range c.Left {
		l.ledger.leave(slotKey{s.ACL, s.Direction, s.Number}, s.Prefix, s.At)
	}
	for _, w := range c.Pending {
		l.ledger.pending[w.ID] = w
	}
	for _, d := range c.Drifts {
		l.ledger.drifts[driftKey{d.ACL, d.Direction, d.Prefix}] = d
	}
	for _, a := range c.Allowed {
		l.allowed[a.Prefix] = a
	}
	for _, o := range c.Over {
		l.overrides[o.Prefix] = o
	}
	l.ledger.sent = c.Sent
	l.breaker = breaker{c.Hits, c.Vanish, c.Stops, c.Guarded}
	l.auto, l.mode, l.pruned = c.Auto, c.Mode, c.Pruned
	return l, nil
}
