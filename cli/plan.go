package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/config"
	"selfprotect/engine"
	"selfprotect/policy"
)

// planTimeout bounds a plan: one poll, one read of each ACL.
const planTimeout = 2 * time.Minute

func newPlan(h Host) *cobra.Command {
	o, past := newOptions(h), &pastOptions{}
	cmd := &cobra.Command{
		Use: "plan", Short: "Show what would be done now, or in the past, and change nothing", Args: noArgs,
		Long: `plan polls the alerts once, reads the network ACLs, and prints what would be done:
each change with its reason, each entry with its effect, what waits for a slot and
who comes next, and what awaits a decision. It writes nothing: neither to AWS nor
to the journal.

It exits with 10 when something would change or awaits a decision, else with 0.

With --since it replays the past of a rule instead, so that it can be judged before it
is armed: the alerts that the source still has, active and dismissed, go through the
same policy and block list in their own time, in auto mode unless --mode says
otherwise (in review as if a person had said yes each time). It shows what would have
been blocked, asked, refused and left waiting, when, why, and how many slots that
took. Requests keep to the budget of the alert API; progress is on standard error. It
reads no journal but to know which entries are ours, and exits with 0.`,
		Example: "selfprotect plan\nselfprotect plan --json --watchrule RULE --aws-acl-id ACL\nselfprotect plan --since 30d --rule RULE",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if past.since != "" {
				return o.past(cmd, past)
			}
			if len(past.rules) > 0 || past.every {
				return usageError(errors.New("--rule and --all go with --since; --watchrule chooses what is planned now"))
			}
			cfg, err := o.load(false)
			if err != nil {
				return err
			}
			return o.plan(cmd, cfg)
		},
	}
	commonFlags(cmd, o)
	past.flags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON")
	return cmd
}

func (o *options) plan(cmd *cobra.Command, cfg *config.Config) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), planTimeout)
	defer cancel()
	o.readOnly = true
	s, err := o.oneRound(ctx, cfg, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	r := newPlanReport(s)
	if o.json {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		_, err = io.WriteString(cmd.OutOrStdout(), r.text())
	}
	switch {
	case err != nil:
		return err
	case len(r.Faults) > 0:
		return &exitError{exitFailure, errors.New(r.Faults[0])}
	case r.pending():
		return &exitError{exitPending, errSilent}
	}
	return nil
}

// oneRound runs the engine on a journal in memory until it has polled once and
// read every ACL, and gives what it shows then.
func (o *options) oneRound(ctx context.Context, cfg *config.Config, stderr io.Writer) (*engine.Snapshot, error) {
	p, err := o.planParts(ctx, cfg)
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(stderr, "selfprotect: warning:", w)
	}
	warnings, err := p.preflight(ctx)
	for _, w := range warnings {
		fmt.Fprintln(stderr, "selfprotect: warning:", w)
	}
	if err != nil {
		return nil, err
	}
	j, err := openScratch(ctx, cfg.State.Path)
	if err != nil {
		return nil, err
	}
	last, err := p.until(ctx, cfg, o, j, done)
	return last, errors.Join(err, j.close())
}

// planParts puts together what a plan needs.
func (o *options) planParts(ctx context.Context, cfg *config.Config) (*parts, error) {
	p := &parts{cfg: cfg, log: slog.New(slog.DiscardHandler), actor: person(o.env), readOnly: true}
	var err error
	if p.source, err = newSource(cfg); err != nil {
		return nil, err
	}
	if p.aws, err = newFirewall(ctx, cfg, true); err != nil {
		return nil, err
	}
	p.guards = newGuardian(cfg, p.source, p.aws, o.env)
	return p, nil
}

// until runs an engine on a journal until a snapshot is what is waited for.
func (p *parts) until(ctx context.Context, cfg *config.Config, o *options, j engine.Journal, enough func(*engine.Snapshot) bool) (*engine.Snapshot, error) {
	pol, err := policy.New(cfg.Policy())
	if err != nil {
		return nil, usageError(err)
	}
	c := engineConfig(cfg, p, pol, o)
	c.Journal, c.Checkpoints, c.Checks, c.Access = j, nil, nil, nil
	eng, err := engine.New(ctx, c)
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(run) }()
	var last *engine.Snapshot
	for s := range eng.Updates() {
		if last == nil || !enough(last) {
			last = s
		}
		if enough(last) {
			stop()
		}
	}
	err = <-ended
	switch {
	case last != nil && enough(last):
		return last, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("no plan within %s: %w", planTimeout, ctx.Err())
	}
	return nil, err
}

// done says that a round is complete: one poll, the guard, each ACL.
func done(s *engine.Snapshot) bool {
	for _, a := range s.ACLs {
		if a.ReadAt.IsZero() && a.Err == "" {
			return false
		}
	}
	return s.Counts.Polls > 0 && s.Guarded
}
