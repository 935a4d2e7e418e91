package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

type undoOptions struct {
	*options
	last, yes, dryRun bool
	block             string
}

func newUndo(h Host) *cobra.Command {
	o := &undoOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "undo [BLOCK]", Short: "Take back the last decision about a block", Args: cobra.MaximumNArgs(1),
		Long: `undo takes back the last decision about a block: an approval (its entries
are removed and it is proposed again), a denial, a revocation (it is blocked
again with the end that it had), a pin. With --last it is the newest
decision of all. It shows the effect first and does nothing without --yes.

It restores exactly the entries of ours that stood before, or refuses before
the first call and lists what conflicts. A program that runs on the same
journal carries it out; otherwise this command does.`,
		Example: "selfprotect undo 203.0.113.7\nselfprotect undo --last --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 == o.last {
				return usageError(errors.New("name a block, or --last"))
			}
			if len(args) == 1 {
				o.block = args[0]
			}
			return o.session(cmd, sessionKind{dry: !o.yes || o.dryRun}, o.carryOut)
		},
	}
	commonFlags(cmd, o.options)
	f := cmd.Flags()
	f.BoolVar(&o.last, "last", false, "the newest decision of all")
	f.BoolVar(&o.yes, "yes", false, "do it")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what it would do, even with --yes")
	return cmd
}

// carryOut shows the undo, decides it, and waits until its entries are settled.
func (o *undoOptions) carryOut(ctx context.Context, s *session) error {
	id, err := o.find(s.now)
	if err != nil {
		return err
	}
	plan, err := s.engine.PlanUndo(ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, plan.Text())
	for _, c := range plan.Conflicts {
		fmt.Fprintln(s.out, "conflict:", clean(c))
	}
	switch {
	case len(plan.Conflicts) > 0:
		return &exitError{exitFailure, errors.New("not undone, nothing was written")}
	case !o.yes || o.dryRun:
		fmt.Fprintln(s.out, "nothing was done; --yes does it")
		return nil
	}
	d := blocklist.Decision{Verb: blocklist.Undo, Reason: "undo command", Effect: plan.Digest}
	if err := s.decide(ctx, id, d); err != nil {
		return err
	}
	if s.now.Holder != "" {
		fmt.Fprintf(s.out, "recorded; %s\n", s.who())
		return nil
	}
	snap, err := s.readBack(ctx, func(snap *engine.Snapshot) bool {
		return inPlace(snap, []blocklist.ID{id}) && !slices.ContainsFunc(snap.ACLs, func(a *engine.ACLView) bool { return len(a.Changes) > 0 })
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "done: %s\n", presenceText(snap, id))
	return nil
}

// find gives the block that is meant.
func (o *undoOptions) find(s *engine.Snapshot) (blocklist.ID, error) {
	var best *engine.BlockView
	for _, b := range s.Blocks {
		named := string(b.ID) == o.block || b.Prefix.String() == o.block || b.Prefix.IsSingleIP() && b.Prefix.Addr().String() == o.block
		if (o.last || named) && b.Before != nil && (best == nil || b.DecidedAt.After(best.DecidedAt)) {
			best = b
		}
	}
	if best == nil {
		return "", &exitError{exitFailure, fmt.Errorf("%s: %w", clean(o.block), blocklist.ErrNothingToUndo)}
	}
	return best.ID, nil
}

// await gives the first snapshot that is enough.
func await(ctx context.Context, e *engine.Engine, enough func(*engine.Snapshot) bool) (*engine.Snapshot, error) {
	for {
		select {
		case s, ok := <-e.Updates():
			if !ok {
				return nil, engine.ErrStopped
			}
			if enough(s) {
				return s, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// aclsRead says that every ACL was looked at.
func aclsRead(s *engine.Snapshot) bool {
	for _, a := range s.ACLs {
		if a.ReadAt.IsZero() && a.Err == "" {
			return false
		}
	}
	return s.Guarded
}

func presenceText(s *engine.Snapshot, id blocklist.ID) string {
	for _, b := range s.Blocks {
		if b.ID == id {
			out := b.Prefix.String() + " is " + string(b.State)
			for _, p := range b.Presence {
				out += fmt.Sprintf(", %s %s: %s", p.ACL, p.Direction, p.Status)
			}
			return out
		}
	}
	return "it is proposed again"
}
