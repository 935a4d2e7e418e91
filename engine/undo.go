package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"selfprotect/blocklist"
)

// Undoer tells what taking a decision back would do.
type Undoer interface {
	// PlanUndo works it out for the last decision about a block. Pass its Digest in
	// Decision.Effect with the verb Undo; it is refused when anything has changed.
	PlanUndo(ctx context.Context, id blocklist.ID) (UndoPlan, error)
}

var _ Undoer = (*Engine)(nil)

// UndoPlan is what taking the last decision about a block back would do.
type UndoPlan struct {
	Block blocklist.Block // as it is
	After blocklist.Block // as it would be
	// Steps are the effects on each ACL when the block comes into force again.
	Steps []Step
	// Conflicts are why it cannot be done so that the entries are as they were
	// before; nothing is written then.
	Conflicts []string
	Digest    string
}

// Text says in one line what would happen.
func (p UndoPlan) Text() string {
	b, a := p.Block, p.After
	switch {
	case a.State == blocklist.Active && b.State != blocklist.Active:
		return fmt.Sprintf("%s is blocked again until %s", b.Prefix, a.Expires.UTC().Format(tellTime))
	case b.State == blocklist.Active && a.State != blocklist.Active:
		return fmt.Sprintf("the deny entries of %s are removed; it is %s again", b.Prefix, a.State)
	case a.Pinned != b.Pinned:
		return fmt.Sprintf("%s: pinned %t again", b.Prefix, a.Pinned)
	}
	return fmt.Sprintf("%s is %s again", b.Prefix, a.State)
}

// PlanUndo implements Undoer.
func (e *Engine) PlanUndo(ctx context.Context, id blocklist.ID) (p UndoPlan, err error) {
	err = e.ask(ctx, func(context.Context) error {
		var err error
		p, err = e.loop.planUndo(id, e.loop.now())
		return err
	})
	return p, err
}

func (l *loop) planUndo(id blocklist.ID, t time.Time) (UndoPlan, error) {
	b, ok := l.list.Block(id)
	if !ok {
		return UndoPlan{}, fmt.Errorf("%s: %w", id, blocklist.ErrUnknownBlock)
	}
	if _, err := l.list.Decide(t, id, blocklist.Decision{Verb: blocklist.Undo, Actor: "-"}); err != nil {
		return UndoPlan{}, err
	}
	after, err := b.Undone()
	if err != nil {
		return UndoPlan{}, err
	}
	p := UndoPlan{Block: b, After: after, Conflicts: l.unsettledFor(b)}
	if why := l.blockedWhy(b, t); why != "" {
		p.Conflicts = append(p.Conflicts, why)
	}
	again := after.State == blocklist.Active && b.State != blocklist.Active
	shown := l.preview(b, t)
	p.Digest = fmt.Sprintf("undo %s %s %s %t", b.State, after.State, b.DecidedAt.UTC().Format(time.RFC3339Nano), after.Pinned)
	if again {
		p.Digest += " " + shown.Digest
		p.Steps = shown.Steps
		p.Conflicts = append(p.Conflicts, l.againConflicts(b, shown)...)
	}
	return p, nil
}

// unsettledFor names what is not settled about the entries of a block.
func (l *loop) unsettledFor(b blocklist.Block) (out []string) {
	for _, target := range b.Targets {
		for _, d := range target.Directions {
			for _, w := range l.list.PendingOn(target.ACL, d, b) {
				out = append(out, fmt.Sprintf("a write of %s to entry %d of %s is not settled yet", w.Prefix, w.Number, w.ACL))
			}
			if x, gone := l.list.Drift(target.ACL, d, b.Prefix); gone {
				out = append(out, fmt.Sprintf("entry %d of %s was removed by somebody else", x.Number, x.ACL))
			}
		}
	}
	return out
}

// againConflicts names what stands in the way of blocking again exactly what was
// blocked before.
func (l *loop) againConflicts(b blocklist.Block, p *Proposal) (out []string) {
	if err := l.policy.Guard(b.Prefix); err != nil {
		out = append(out, err.Error())
	}
	for _, s := range p.Steps {
		switch {
		case len(s.Displaces) > 0:
			names := make([]string, len(s.Displaces))
			for i, x := range s.Displaces {
				names[i] = x.String()
			}
			out = append(out, fmt.Sprintf("%s %s: its slot has been given to another; %s would lose one", s.ACL, s.Direction, strings.Join(names, ", ")))
		case s.Entry.IsValid() && s.Innocent > 0:
			out = append(out, fmt.Sprintf("%s %s: it would be part of %s now, which denies more", s.ACL, s.Direction, s.Entry))
		case s.Op == 0 && s.Number == 0:
			out = append(out, fmt.Sprintf("%s %s: %s", s.ACL, s.Direction, s.Note))
		}
	}
	return out
}

// mayUndo checks that an undo means what is true now, and can be done whole.
func (l *loop) mayUndo(id blocklist.ID, d blocklist.Decision, t time.Time) error {
	p, err := l.planUndo(id, t)
	switch {
	case err != nil:
		return err
	case len(p.Conflicts) > 0:
		return errors.New("not undone, nothing was written: " + strings.Join(p.Conflicts, "; "))
	case p.Digest != d.Effect:
		return blocklist.ErrEffectChanged
	}
	return nil
}
