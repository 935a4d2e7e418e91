package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/config"
	"selfprotect/engine"
	"selfprotect/journal"
	"selfprotect/policy"
)

// overrideTimeout bounds an override: the guard is looked up first.
const overrideTimeout = time.Minute

type overrideOptions struct {
	*options
	prefix          netip.Prefix
	reason, confirm string
	lasts           time.Duration
	end             bool
	asks            bool // standard input is a terminal
}

func newGuardOverride(h Host) *cobra.Command {
	o := &overrideOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "override CIDR", Short: "Let one prefix past the guard, for a time", Args: cobra.ExactArgs(1),
		Long: `override lets exactly one prefix past those entries of the guard that guard what is
others': the ranges that AWS publishes, public addresses of watched hosts, what a
person allowed. It lasts 24 hours at most and is recorded with your name and the
reason. Nothing lifts your own and linked networks, reserved addresses, never_block,
the endpoints in use and your SSH session.

It blocks nothing: the prefix can be proposed and approved then, never by auto mode.
When it ends, the entry is removed again. On a terminal the CIDR must be typed once
more; a script gives it again by --confirm.`,
		Example: `selfprotect guard override 203.0.113.7/32 --reason "attacks us, case 17" --for 2h
selfprotect guard override 203.0.113.7/32 --end`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, isFile := h.Stdin.(*os.File)
			o.asks = isFile && isatty.IsTerminal(f.Fd()) && o.terminal
			return o.run(cmd, args[0])
		},
	}
	commonFlags(cmd, o.options)
	f := cmd.Flags()
	f.StringVar(&o.reason, "reason", "", "why; needed")
	f.DurationVar(&o.lasts, "for", 0, "how long, at most 24h; needed")
	f.StringVar(&o.confirm, "confirm", "", "the CIDR once more, instead of typing it")
	f.BoolVar(&o.end, "end", false, "end the override now")
	return cmd
}

func (o *overrideOptions) run(cmd *cobra.Command, text string) error {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return usageError(fmt.Errorf("%q is no CIDR; an address alone is written as a /32 or /128", clean(text)))
	case p != p.Masked():
		return usageError(fmt.Errorf("%s has host bits set: %s is meant", p, p.Masked()))
	case !o.end && strings.TrimSpace(o.reason) == "":
		return usageError(errors.New("--reason is needed"))
	case !o.end && (o.lasts <= 0 || o.lasts > blocklist.LongestOverride):
		return usageError(fmt.Errorf("--for is needed, at most %s", blocklist.LongestOverride))
	}
	o.prefix = p
	cfg, err := o.load(false)
	if err != nil {
		return err
	}
	if !o.end {
		if err := o.confirmed(cmd.InOrStdin(), cmd.ErrOrStderr()); err != nil {
			return err
		}
	}
	return o.withEngine(cmd, cfg)
}

// confirmed holds that whoever asks has written the CIDR twice.
func (o *overrideOptions) confirmed(in io.Reader, out io.Writer) error {
	again := o.confirm
	if again == "" && o.asks {
		fmt.Fprintf(out, "The guard will not hold back %s for %s. Type the CIDR to override it: ", o.prefix, o.lasts)
		line, err := bufio.NewReader(io.LimitReader(in, 256)).ReadString('\n')
		if err != nil {
			return errors.New("nothing was typed, nothing is overridden")
		}
		again = strings.TrimSpace(line)
	}
	switch {
	case again == "":
		return usageError(errors.New("without a terminal the CIDR must be given again by --confirm"))
	case again != o.prefix.String():
		return &exitError{exitFailure, fmt.Errorf("%q is not %s, nothing is overridden", clean(again), o.prefix)}
	}
	return nil
}

// withEngine asks an engine that writes nothing to AWS and reads no alerts.
func (o *overrideOptions) withEngine(cmd *cobra.Command, cfg *config.Config) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), overrideTimeout)
	defer cancel()
	o.noPoll, o.readOnly = true, true
	p, err := build(ctx, cfg, o.options, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer p.close()
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.engine.Run(run) }()
	err = o.decide(ctx, p, cmd.OutOrStdout())
	stop()
	for range p.engine.Updates() { // until it has ended
	}
	return errors.Join(err, <-ended)
}

func (o *overrideOptions) decide(ctx context.Context, p *parts, out io.Writer) error {
	if o.end {
		err := p.engine.Enforce(ctx, o.prefix, p.actor, o.reason)
		if err == nil {
			fmt.Fprintf(out, "%s is guarded again; an entry of ours for it is removed by the program that runs\n", o.prefix)
		}
		return err
	}
	if _, err := await(ctx, p.engine, aclsRead); err != nil {
		return fmt.Errorf("what must be guarded could not be looked up: %w", err)
	}
	until := time.Now().Add(o.lasts).UTC()
	err := p.engine.Override(ctx, blocklist.Override{Prefix: o.prefix, Actor: p.actor, Reason: o.reason, Expires: until})
	var g *policy.GuardedError
	if errors.As(err, &g) {
		return &exitError{exitFailure, fmt.Errorf("%w; nobody can override that", err)}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the guard is overridden for %s until %s; nothing is blocked by that\n", o.prefix, until.Format("2006-01-02 15:04 MST"))
	return nil
}

var _ engine.Overrider = (*engine.Engine)(nil)

func newGuardOverrides(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{Use: "overrides", Short: "List the prefixes for which the guard is overridden", Args: noArgs,
		Example: "selfprotect guard overrides --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(true)
			if err != nil {
				return err
			}
			all, err := overridesIn(cmd.Context(), cfg.State.Path)
			if err != nil {
				return err
			}
			if o.json {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(all)
			}
			for _, x := range all {
				fmt.Fprintln(cmd.OutOrStdout(), overrideText(x))
			}
			return nil
		}}
	commonFlags(cmd, o)
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON")
	return cmd
}

func overrideText(x blocklist.Override) string {
	return fmt.Sprintf("%-24s overridden by %s until %s: %s", x.Prefix, clean(x.Actor), x.Expires.UTC().Format("2006-01-02 15:04 MST"), clean(x.Reason))
}

// overridesIn gives what a journal says is overridden now; nothing when there is no
// journal.
func overridesIn(ctx context.Context, path string) ([]blocklist.Override, error) {
	j, err := journal.OpenReadOnly(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []blocklist.Override{}, nil
	}
	if err != nil {
		return nil, err
	}
	list := blocklist.New(blocklist.Config{})
	err = j.Read(ctx, 0, func(seq uint64, b []byte) error {
		e, err := blocklist.Decode(b)
		if err == nil && (e.Kind == blocklist.Overridden || e.Kind == blocklist.Enforced) {
			err = list.Apply(e)
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		return nil
	})
	return list.Overrides(time.Now()), errors.Join(err, j.Close())
}
