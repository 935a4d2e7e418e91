package engine

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
)

// simAsk is the longest time that people give what ends by itself: all of it has
// ended when a world is at rest.
const simAsk = 40 * time.Minute

// speak lets a person decide something that no alert has led to.
func (p *simProc) speak(actor string) {
	w, ctx := p.w, context.Background()
	addr := func() netip.Prefix {
		return netip.MustParsePrefix(fmt.Sprintf("203.0.%d.%d/32", 113+w.rng.IntN(6), 1+w.rng.IntN(12)))
	}
	soon := func() time.Time { return p.l.now().Add(time.Minute + w.upTo(simAsk)) }
	var kind string
	var err error
	switch w.rng.IntN(8) {
	case 0:
		kind = "asked for by a person"
		_, err = p.l.proposeFor(ctx, Request{Prefix: addr(), Direction: alert.Outbound, TTL: 20 * time.Minute, Actor: actor, Reason: "seen in mail"})
	case 1, 2:
		p.putOff(actor, soon())
		return
	case 3:
		kind = "allowed"
		err = p.l.allow(ctx, blocklist.Allowance{Prefix: addr(), Actor: actor, Reason: "a partner", Expires: soon()})
	case 4:
		kind = "disallowed"
		if all := p.snap.Allowances; len(all) > 0 {
			err = p.l.disallow(ctx, all[w.rng.IntN(len(all))].Prefix, actor, "no partner any more")
		} else {
			return
		}
	case 5:
		p.takeOver(actor)
		return
	case 6:
		kind = "overridden"
		q := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 118, byte(1 + w.rng.IntN(7))}), 32)
		if err = p.l.override(ctx, blocklist.Override{Prefix: q, Actor: actor, Reason: "it attacks us", Expires: soon()}); err == nil {
			_, err = p.l.proposeFor(ctx, Request{Prefix: q, Direction: alert.Outbound, TTL: 30 * time.Minute, Actor: actor})
			w.count(kind)
			kind = "asked for by a person"
		}
	default:
		kind = "override ended"
		if all := p.snap.Overrides; len(all) > 0 {
			err = p.l.enforce(ctx, all[w.rng.IntN(len(all))].Prefix, actor, "enough")
		} else {
			return
		}
	}
	p.told(kind, actor, err)
}

func (p *simProc) told(kind, actor string, err error) {
	p.w.note("%s: %s by %s: %v", p.name, kind, actor, err)
	if err == nil {
		p.w.count(kind)
	}
	p.turn()
}

// putOff lets a person put a proposal off, or ask for it again.
func (p *simProc) putOff(actor string, until time.Time) {
	all := p.snap.Proposals
	if len(all) == 0 {
		return
	}
	b := all[p.w.rng.IntN(len(all))]
	kind, d := "snoozed", blocklist.Decision{Verb: blocklist.Snooze, Actor: actor, Until: until}
	if b.Snoozed(p.snap.At) {
		kind, d = "woken", blocklist.Decision{Verb: blocklist.Wake, Actor: actor}
	}
	p.told(kind, actor, p.l.decide(context.Background(), b.ID, d))
}

// takeOver lets a person make an entry of somebody else ours.
func (p *simProc) takeOver(actor string) {
	for _, a := range p.snap.ACLs {
		for _, e := range a.Entries {
			if e.Owner == Foreign && e.Deny && e.InRange && p.w.chance(0.2) {
				_, err := p.l.adopt(context.Background(), Adoption{ACL: a.ID, Direction: e.Direction, Number: e.Number, Prefix: e.Prefix, TTL: 20 * time.Minute, Actor: actor})
				p.told("adopted", actor, err)
				return
			}
		}
	}
}
