package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/config"
	"selfprotect/engine"
)

// undoTimeout bounds an undo: one read of each ACL, and the writes that follow.
const undoTimeout = 2 * time.Minute

type undoOptions struct {
	*options
	last, yes, dryRun bool
	block             string
}

func newUndo(h Host) *cobra.Command {
	o := &undoOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "undo [ADDRESS|CIDR|BLOCK]", Short: "Take back the last decision about a block", Args: cobra.MaximumNArgs(1),
		Long: `undo takes back the last decision about a block: an approval (its entries are removed
and it is proposed again), a denial, a revocation (it is blocked again with the end
that it had), a pin. With --last it is the newest decision of all. It shows the
effect first and does nothing without --yes.

It restores exactly the entries of ours that stood before, or refuses before the
first call and lists what conflicts. A program that runs on the same journal carries
it out; otherwise this command does.`,
		Example: "selfprotect undo 203.0.113.7\nselfprotect undo --last --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 == o.last {
				return usageError(errors.New("name a block, or --last"))
			}
			if len(args) == 1 {
				o.block = args[0]
			}
			cfg, err := o.load(false)
			if err != nil {
				return err
			}
			return o.undo(cmd, cfg)
		},
	}
	commonFlags(cmd, o.options)
	f := cmd.Flags()
	f.BoolVar(&o.last, "last", false, "the newest decision of all")
	f.BoolVar(&o.yes, "yes", false, "do it")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what it would do, even with --yes")
	return cmd
}

func (o *undoOptions) undo(cmd *cobra.Command, cfg *config.Config) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), undoTimeout)
	defer cancel()
	o.noPoll = true // this command decides nothing else
	p, err := build(ctx, cfg, o.options, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer p.close()
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.engine.Run(run) }()
	err = o.carryOut(ctx, p, cmd.OutOrStdout())
	stop()
	for range p.engine.Updates() { // until it has ended
	}
	return errors.Join(err, <-ended)
}

// carryOut shows the undo, decides it, and waits until its entries are settled.
func (o *undoOptions) carryOut(ctx context.Context, p *parts, out io.Writer) error {
	s, err := await(ctx, p.engine, aclsRead)
	if err != nil {
		return err
	}
	id, err := o.find(s)
	if err != nil {
		return err
	}
	plan, err := p.engine.PlanUndo(ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, plan.Text())
	for _, c := range plan.Conflicts {
		fmt.Fprintln(out, "conflict:", clean(c))
	}
	switch {
	case len(plan.Conflicts) > 0:
		return &exitError{exitFailure, errors.New("not undone, nothing was written")}
	case !o.yes || o.dryRun:
		fmt.Fprintln(out, "nothing was done; --yes does it")
		return nil
	}
	d := blocklist.Decision{Verb: blocklist.Undo, Actor: p.actor, Reason: "undo command", Effect: plan.Digest}
	if err := p.engine.Decide(ctx, id, d); err != nil {
		return err
	}
	if s.Holder != "" {
		fmt.Fprintf(out, "recorded; %s carries it out\n", clean(s.Holder))
		return nil
	}
	s, err = await(ctx, p.engine, func(s *engine.Snapshot) bool { return settledBlock(s, id) })
	if err != nil {
		return fmt.Errorf("it is recorded, and not settled yet; the next run goes on with it: %w", err)
	}
	fmt.Fprintf(out, "done: %s\n", presenceText(s, id))
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

// settledBlock says that every entry of a block is where it should be.
func settledBlock(s *engine.Snapshot, id blocklist.ID) bool {
	for _, b := range s.Blocks {
		if b.ID != id {
			continue
		}
		for _, p := range b.Presence {
			if p.Status == "writing" || p.Status == "removing" || p.Status == "unknown" {
				return false
			}
		}
	}
	for _, a := range s.ACLs {
		if len(a.Changes) > 0 {
			return false
		}
	}
	return true
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
