package engine

import (
	"fmt"
	"slices"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
)

// presence says for each ACL and direction where the entry of a block stands.
func (l *loop) presence(b blocklist.Block, t time.Time) []Presence {
	var out []Presence
	for _, target := range b.Targets {
		a := l.acl(target.ACL)
		for _, d := range target.Directions {
			p := Presence{ACL: target.ACL, Direction: toFirewall(d)}
			if a == nil {
				p.Status, p.Note = "unknown", "this ACL is not in the configuration"
			} else {
				l.presenceOn(&p, a, b, d, t)
			}
			out = append(out, p)
		}
	}
	return out
}

func (l *loop) presenceOn(p *Presence, a *aclState, b blocklist.Block, d alert.Direction, t time.Time) {
	if a.readAt.IsZero() {
		p.Status, p.Note = "unknown", "the ACL was not read yet"
		return
	}
	switch {
	case b.Cover:
		l.presenceOfCover(p, a, b, t)
	case b.State == blocklist.Active:
		l.presenceOfActive(p, a, b, d, t)
	default:
		l.presenceOfEnded(p, a, b, t)
	}
}

// presenceOfActive says what the ledger and the plan say of a block in force.
func (l *loop) presenceOfActive(p *Presence, a *aclState, b blocklist.Block, d alert.Direction, t time.Time) {
	if dr, ok := l.list.Drift(a.cfg.ID, d, b.Prefix); ok {
		p.Number, p.Status, p.Note = dr.Number, "drifted", "somebody removed it"
		return
	}
	at, ok := l.place(a, p.Direction, b.ID, t)
	p.Number, p.Status, p.Note, p.Next = at.number, at.status, at.note, at.next
	if at.prefix.IsValid() && at.prefix != b.Prefix {
		p.Entry, p.Innocent = at.prefix, at.innocent
	}
	if !ok {
		p.Status = "writing"
	}
	if p.Status != "writing" {
		return
	}
	for _, w := range l.list.Pending(a.cfg.ID) {
		if w.Direction == d && w.Op != blocklist.OpDelete && inside(w.Prefix, b.Prefix) {
			p.Number = w.Number
			if w.Unknown {
				p.Status, p.Note = "unknown", "the answer was lost"
			}
			return
		}
	}
}

// presenceOfEnded says whether a block that is not in force is still denied.
func (l *loop) presenceOfEnded(p *Presence, a *aclState, b blocklist.Block, t time.Time) {
	p.Status = "removed"
	if b.State == blocklist.Refused {
		p.Status = "none"
	}
	lim := l.limits(a, t)
	for _, e := range a.live.Entries {
		if e.Direction != p.Direction || !e.Prefix.IsValid() || !inside(e.Prefix, b.Prefix) || !lim.Owns(e) {
			continue
		}
		if l.serves(a, e, t) > 0 {
			p.Note = fmt.Sprintf("entry %d, %s, denies it for other blocks", e.Number, e.Prefix)
			continue
		}
		p.Number, p.Status, p.Note = e.Number, "removing", a.live.EffectOf(e).String()
		return
	}
}

// serves counts the blocks in force that an entry serves.
func (l *loop) serves(a *aclState, e firewall.Entry, t time.Time) int {
	n := 0
	for _, k := range l.planFor(a, t).Kept {
		if k.Entry.Number == e.Number && k.Candidate.Direction == e.Direction {
			n++
		}
	}
	return n
}

// presenceOfCover names an entry that makes use of a grant.
func (l *loop) presenceOfCover(p *Presence, a *aclState, b blocklist.Block, t time.Time) {
	p.Status = "none"
	if b.State != blocklist.Active {
		return
	}
	p.Note = "no entry needs it now"
	plan := l.planFor(a, t)
	for _, k := range slices.Concat(plan.Kept, plan.Coming) {
		if k.Candidate.Direction == p.Direction && k.Innocent > 0 && k.Entry.Prefix.IsValid() && inside(b.Prefix, k.Entry.Prefix) {
			p.Number, p.Entry, p.Innocent, p.Status, p.Note = k.Entry.Number, k.Entry.Prefix, k.Innocent, "present", ""
			return
		}
	}
}
