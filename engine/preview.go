package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
)

// previewed is how many proposals have their effect worked out.
const previewed = 200

// Previewer tells what an approval would do now.
type Previewer interface {
	// Preview works it out for a proposal, also for one of those for which a
	// snapshot does not.
	Preview(ctx context.Context, id blocklist.ID) (*Proposal, error)
}

var _ Previewer = (*Engine)(nil)

// Preview implements Previewer.
func (e *Engine) Preview(ctx context.Context, id blocklist.ID) (p *Proposal, err error) {
	err = e.ask(ctx, func(context.Context) error {
		b, ok := e.loop.list.Block(id)
		switch {
		case !ok:
			return fmt.Errorf("%s: %w", id, blocklist.ErrUnknownBlock)
		case b.State != blocklist.Pending:
			return fmt.Errorf("%s: %w: %s by %s", id, blocklist.ErrDecided, b.State, b.DecidedBy)
		}
		p = e.loop.cachedPreview(b, e.loop.now())
		return nil
	})
	return p, err
}

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
	p := &Proposal{Block: b, Score: b.Score(t), RuleName: l.ruleName(b.RuleID), Blocked: l.blockedWhy(b, t)}
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
			if s.Innocent > 0 && !b.Cover {
				fmt.Fprintf(h, " %s", s.Entry) // it denies more than the proposal names
			}
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
	want, lim := l.wanted(a, t), l.limits(a, t)
	if b.Cover {
		lim.Covers = append(slices.Clone(lim.Covers), firewall.Cover{Direction: s.Direction, Prefix: b.Prefix})
	} else {
		want = append(want, firewall.Candidate{Direction: s.Direction, Prefix: b.Prefix, Weight: b.Score(t).Total(), Since: t, Ref: string(b.ID)})
	}
	plan := firewall.Diff(a.live, want, lim)
	after := placements(plan)
	s.SlotsAfter = slotsAfter(plan, s.Direction, firewall.FamilyOf(b.Prefix))
	l.planFor(a, t)
	for _, c := range want {
		k := placeKey{c.Direction, blocklist.ID(c.Ref)}
		was, is := a.places[k].status, after[k].status
		switch {
		case c.Direction != s.Direction || c.Ref == string(b.ID):
		case was != "waiting" && is == "waiting":
			s.Displaces = append(s.Displaces, c.Prefix)
		case was == "waiting" && is != "waiting":
			s.Admits = append(s.Admits, c.Prefix)
		}
	}
	if b.Cover {
		return l.stepOfCover(s, plan, b)
	}
	at := after[placeKey{s.Direction, b.ID}]
	s.Number, s.Note = at.number, at.note
	if at.prefix.IsValid() && at.prefix != b.Prefix {
		s.Entry, s.Innocent = at.prefix, at.innocent
	}
	if at.status != "writing" {
		if at.status == "present" && at.note == "" {
			s.Note = fmt.Sprintf("entry %d of ours denies it already", at.number)
		}
		return at.status
	}
	for _, c := range plan.Changes {
		if c.Direction == s.Direction && c.Number == at.number && c.Op != firewall.Delete {
			s.Op = c.Op
		}
	}
	return "deny"
}

// stepOfCover finds the entry that a grant would lead to.
func (l *loop) stepOfCover(s *Step, plan firewall.Plan, b blocklist.Block) string {
	for _, p := range slices.Concat(plan.Coming, plan.Kept) {
		if p.Candidate.Direction != s.Direction || p.Innocent == 0 {
			continue
		}
		for _, c := range plan.Changes {
			if c.Direction == s.Direction && c.Op != firewall.Delete && c.Prefix.Contains(p.Candidate.Prefix.Addr()) && inside(b.Prefix, c.Prefix) {
				s.Op, s.Number, s.Entry, s.Innocent = c.Op, c.Number, c.Prefix, p.Innocent
				return "widen"
			}
		}
	}
	s.Note = "it would change nothing now"
	return "widen"
}

// slotsAfter gives what a plan leaves free.
func slotsAfter(plan firewall.Plan, dir firewall.Direction, f firewall.Family) int {
	free := 0
	for _, b := range plan.Budgets {
		if b.Direction == dir && b.Family == f {
			free = b.Free
		}
	}
	for _, c := range plan.Changes {
		if c.Direction != dir || firewall.FamilyOf(c.Prefix) != f {
			continue
		}
		switch c.Op {
		case firewall.Create:
			free--
		case firewall.Delete:
			free++
		}
	}
	return max(0, free)
}
