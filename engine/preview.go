package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
)

// previewed is how many proposals have their effect worked out.
const previewed = 200

// cachedPreview works an effect out anew when anything has changed.
func (l *loop) cachedPreview(b blocklist.Block, t time.Time) *Proposal {
	if c, ok := l.view.previews[b.ID]; ok && c.rev == l.view.rev && c.p.Blocked == l.blockedWhy(b, t) {
		return c.p
	}
	p := l.preview(b, t)
	if len(l.view.previews) > 4*previewed {
		clear(l.view.previews)
	}
	l.view.previews[b.ID] = previewCache{rev: l.view.rev, p: p}
	return p
}

// preview works out what an approval would do now.
func (l *loop) preview(b blocklist.Block, t time.Time) *Proposal {
	p := &Proposal{Block: b, RuleName: l.ruleName(b.RuleID), Blocked: l.blockedWhy(b, t)}
	h := sha256.New()
	fmt.Fprint(h, b.Effect())
	for _, target := range b.Targets {
		a := l.acl(target.ACL)
		for _, d := range target.Directions {
			s := Step{ACL: target.ACL, Direction: toFirewall(d), Prefix: b.Prefix}
			kind := "unread"
			if a != nil && !a.readAt.IsZero() {
				kind = l.step(&s, a, b, d, t)
			}
			// Rule numbers and counts may shift; they are not part of the effect.
			fmt.Fprintf(h, "|%s %s %s %s %s", s.ACL, s.Direction, s.Prefix, kind, s.Displaces)
			p.Steps = append(p.Steps, s)
		}
	}
	p.Digest = hex.EncodeToString(h.Sum(nil)[:16])
	return p
}

// blockedWhy says why nothing can be approved right now.
func (l *loop) blockedWhy(b blocklist.Block, t time.Time) string {
	if l.cfg.ReadOnly {
		return "this process is read-only"
	}
	for _, target := range b.Targets {
		a := l.acl(target.ACL)
		switch {
		case a == nil:
			return target.ACL + " is not in the configuration"
		case a.readAt.IsZero() && a.err != "":
			return target.ACL + " could not be read: " + a.err
		case a.readAt.IsZero():
			return target.ACL + " was not read yet"
		case t.Sub(a.readAt) > l.cfg.Stale:
			return fmt.Sprintf("what is known of %s is stale: it was last read %s ago", target.ACL, t.Sub(a.readAt).Truncate(time.Minute))
		}
	}
	return ""
}

// step works out the effect on one ACL in one direction; it gives its kind.
func (l *loop) step(s *Step, a *aclState, b blocklist.Block, d alert.Direction, t time.Time) string {
	b.State, b.DecidedAt = blocklist.Active, t
	want := append(l.wanted(a, t), firewall.Candidate{Direction: s.Direction, Prefix: b.Prefix,
		Weight: b.Rank(), Since: t, Ref: string(b.ID)})
	plan := firewall.Diff(a.live, want, l.limits(a, t))
	family := firewall.FamilyOf(b.Prefix)
	for _, bud := range plan.Budgets {
		if bud.Direction == s.Direction && bud.Family == family {
			s.SlotsAfter = bud.Free
		}
	}
	for _, c := range plan.Changes {
		if c.Direction != s.Direction || c.Prefix != b.Prefix || c.Op == firewall.Delete {
			continue
		}
		s.Op, s.Number = c.Op, c.Number
		if c.Op == firewall.Create {
			s.SlotsAfter = max(0, s.SlotsAfter-creates(plan, s.Direction, family))
		} else if l.stillWanted(a, s.Direction, c.Old, t) {
			s.Displaces = c.Old
		}
		return "deny"
	}
	status, note := planned(plan, s.Direction, b.Prefix)
	s.Note = note
	if status == "writing" {
		for _, k := range plan.Kept {
			if k.Candidate.Direction == s.Direction && k.Candidate.Prefix == b.Prefix {
				s.Number, s.Note = k.Entry.Number, fmt.Sprintf("entry %d of ours denies it already", k.Entry.Number)
			}
		}
	}
	return status
}

func creates(plan firewall.Plan, dir firewall.Direction, f firewall.Family) int {
	n := 0
	for _, c := range plan.Changes {
		if c.Op == firewall.Create && c.Direction == dir && firewall.FamilyOf(c.Prefix) == f {
			n++
		}
	}
	return n
}

func (l *loop) stillWanted(a *aclState, dir firewall.Direction, p netip.Prefix, t time.Time) bool {
	for _, c := range l.wanted(a, t) {
		if c.Direction == dir && c.Prefix == p {
			return true
		}
	}
	return false
}
