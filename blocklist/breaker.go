package blocklist

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
)

// This file keeps what auto mode must know of the past in order to stop itself.
// It is part of the fold, so that a restart forgets nothing.

const (
	// HitWindow is how long a refusal by the guard is counted.
	HitWindow = 10 * time.Minute
	// VanishWindow is how long it is counted that an entry of ours vanished.
	VanishWindow = 24 * time.Hour
)

// guardHit is an address that an alert named and the guard refused.
type guardHit struct {
	Addr netip.Addr `json:"addr"`
	At   time.Time  `json:"at"`
}

// vanished is an entry of ours that somebody else has removed for good.
type vanished struct {
	ACL       string          `json:"acl"`
	Direction alert.Direction `json:"direction"`
	Prefix    netip.Prefix    `json:"prefix"`
	At        time.Time       `json:"at"`
}

// breaker is the memory of auto mode.
type breaker struct {
	hits     []guardHit
	vanished []vanished
	stops    map[string]ModeCeiling // by ACL
	guarded  int                    // prefixes of the last guard that was believed
}

func (k *breaker) hit(at time.Time, a netip.Addr) {
	k.hits = slices.DeleteFunc(k.hits, func(h guardHit) bool { return at.Sub(h.At) >= HitWindow || h.Addr == a })
	k.hits = append(k.hits, guardHit{a, at})
}

func (k *breaker) gone(at time.Time, w Write) {
	k.vanished = slices.DeleteFunc(k.vanished, func(v vanished) bool { return at.Sub(v.At) >= VanishWindow })
	k.vanished = append(k.vanished, vanished{w.ACL, w.Direction, w.Prefix, at})
}

// set takes a mode: for one ACL, or for all; a person's word for all ends what
// was stopped for one.
func (k *breaker) set(e Event) {
	switch {
	case e.ACL != "":
		if k.stops == nil {
			k.stops = map[string]ModeCeiling{}
		}
		k.stops[e.ACL] = ModeCeiling{Mode: e.Mode, At: e.At, Actor: e.Actor, Reason: e.Reason}
	case e.Actor != EngineActor:
		k.stops = nil
	}
}

// GuardHits gives the different addresses that the guard refused in the last
// HitWindow, oldest first.
func (l *List) GuardHits(now time.Time) []netip.Addr {
	var out []netip.Addr
	for _, h := range l.breaker.hits {
		if now.Sub(h.At) < HitWindow {
			out = append(out, h.Addr)
		}
	}
	return out
}

// Vanished counts how often in the last VanishWindow an entry of ours that touches
// a prefix vanished from an ACL.
func (l *List) Vanished(now time.Time, acl string, d alert.Direction, p netip.Prefix) int {
	n := 0
	for _, v := range l.breaker.vanished {
		if v.ACL == acl && v.Direction == d && v.Prefix.Overlaps(p) && now.Sub(v.At) < VanishWindow {
			n++
		}
	}
	return n
}

// Stopped says whether auto mode has stopped for one ACL, and why.
func (l *List) Stopped(acl string) (ModeCeiling, bool) {
	c, ok := l.breaker.stops[acl]
	return c, ok
}

// Stops gives the ACLs for which auto mode has stopped, sorted.
func (l *List) Stops() []string { return slices.Sorted(maps.Keys(l.breaker.stops)) }

// AutoShare counts the blocks in force that auto mode has approved for an ACL and
// that are like one: in which alike says so.
func (l *List) AutoShare(now time.Time, acl string, d alert.Direction, alike func(Block) bool) int {
	n := 0
	for _, b := range l.blocks {
		if b.DecidedBy == AutoActor && !b.Cover && b.inForce(now) && b.aimsAt(acl, d) && alike(*b) {
			n++
		}
	}
	return n
}

// Guarded is the number of prefixes of the last guard that was believed; 0: none
// was recorded.
func (l *List) Guarded() int { return l.breaker.guarded }
