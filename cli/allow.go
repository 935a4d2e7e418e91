package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// allowOptions say what must never be blocked.
type allowOptions struct {
	*options
	prefix  netip.Prefix
	ttl     string
	reason  string
	confirm string
	remove  bool
	dryRun  bool
	noWait  bool
	life    time.Duration
}

func newAllow(h Host) *cobra.Command {
	o := &allowOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "allow CIDR", Short: "Never block an address or a network", Args: oneArg("one address or CIDR, or list"),
		Long: `allow makes an address or a network an entry of the guard: it is not
proposed and not blocked by anybody until the allowance ends or is removed.
Proposals and blocks that touch it end, and it waits until their entries are
gone. With --remove it may be blocked again; blocks that it ended do not
come back.

Every process on the journal holds to it. It needs AWS and the journal, not
the alert API.`,
		Example: "selfprotect allow 203.0.113.7 --reason 'payment provider'\nselfprotect allow 198.51.100.0/24 --ttl 7d\nselfprotect allow --remove 203.0.113.7",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.prefix, err = parsePrefix(args[0]); err != nil {
				return err
			}
			if o.life, err = ttl(o.ttl); err != nil {
				return err
			}
			if o.remove && (o.ttl != "" || o.confirm != "") {
				return usageError(errors.New("--remove goes with --reason alone"))
			}
			return o.session(cmd, sessionKind{begins: !o.remove, dry: o.dryRun}, o.allow)
		},
	}
	commonFlags(cmd, o.options)
	f := cmd.Flags()
	f.StringVar(&o.ttl, "ttl", "", "how long, such as 12h or 7d; without an end")
	f.StringVar(&o.reason, "reason", "", "why, for the journal")
	f.StringVar(&o.confirm, "confirm", "", "the CIDR again, when it is wide")
	f.BoolVar(&o.remove, "remove", false, "it may be blocked again")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would end and record nothing")
	f.BoolVar(&o.noWait, "no-wait", false, "do not wait until the entries are gone")
	f.BoolVar(&o.json, "json", false, "write one JSON object a line")
	cmd.AddCommand(newAllowList(h))
	return cmd
}

func newAllowList(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{
		Use: "list", Short: "List what people have said must never be blocked", Args: noArgs,
		Long:    `list shows the allowances in force, from the journal. It asks no service.`,
		Example: "selfprotect allow list --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.allowances(cmd) },
	}
	commonFlags(cmd, o)
	cmd.Flags().BoolVar(&o.json, "json", false, "write one JSON object a line")
	return cmd
}

// allowances folds the journal and lists what is allowed now.
func (o *options) allowances(cmd *cobra.Command) error {
	cfg, err := o.load(true)
	if err != nil {
		return err
	}
	j, err := openHistory(cfg.State.Path)
	if err != nil {
		return err
	}
	l := blocklist.New(blocklist.Config{MaxTTL: cfg.Limits.MaxTTL})
	err = j.Read(cmd.Context(), 0, func(seq uint64, b []byte) error {
		e, err := blocklist.Decode(b)
		if err == nil {
			err = l.Apply(e)
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		return nil
	})
	if err := errors.Join(err, j.Close()); err != nil {
		return err
	}
	all := l.Allowances(time.Now())
	if len(all) == 0 && !o.json {
		fmt.Fprintln(cmd.OutOrStdout(), "nothing is allowed beyond the configuration; selfprotect guard show lists all that is guarded")
	}
	for _, a := range all {
		a.Actor, a.Reason = clean(a.Actor), clean(a.Reason)
		if o.json {
			if err := json.NewEncoder(cmd.OutOrStdout()).Encode(a); err != nil {
				return err
			}
			continue
		}
		end := "without an end"
		if !a.Expires.IsZero() {
			end = "until " + moment(a.Expires)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s %s, by %s at %s", column(a.Prefix.String(), 18), end, a.Actor, moment(a.At))
		if a.Reason != "" {
			fmt.Fprintf(cmd.OutOrStdout(), ": %s", a.Reason)
		}
		fmt.Fprintln(cmd.OutOrStdout())
	}
	return nil
}

func (o *allowOptions) allow(ctx context.Context, s *session) error {
	if o.remove {
		return o.disallow(ctx, s)
	}
	if err := confirmed(o.prefix, s.cfg.Limits, o.confirm, "never block"); err != nil {
		return err
	}
	t := &tally{s: s}
	ends, ids := o.ends(s.now)
	if !o.json {
		for _, text := range ends {
			fmt.Fprintln(s.out, text)
		}
	}
	l := decisionLine{CIDR: o.prefix.String(), Effects: ends}
	if o.dryRun {
		l.Result = "shown"
		t.say(l, "nothing was done, as --dry-run says")
		return nil
	}
	a := blocklist.Allowance{Prefix: o.prefix, Actor: s.actor, Reason: o.reason, At: s.now.At}
	if o.life > 0 {
		a.Expires = s.now.At.Add(o.life).UTC()
	}
	if err := s.persist(ctx, func() error { return s.engine.Allow(ctx, a) }); err != nil {
		t.fail(l, err)
		return t.end()
	}
	t.done++
	l.Result = "allowed"
	text := fmt.Sprintf("%s is never blocked from now on", o.prefix)
	if o.life > 0 {
		text += ", until " + moment(a.Expires)
	}
	t.say(l, text)
	if len(ids) > 0 && !o.noWait {
		t.await(ctx, ids)
	}
	return t.end()
}

// ends says what an allowance ends, and gives the blocks in force among that.
func (o *allowOptions) ends(snap *engine.Snapshot) (text []string, ids []blocklist.ID) {
	for _, p := range snap.Proposals {
		if p.Prefix.Overlaps(o.prefix) {
			text = append(text, fmt.Sprintf("the proposal %s %s ends", p.What(), p.Direction))
		}
	}
	for _, b := range snap.Blocks {
		if b.State == blocklist.Active && b.Prefix.Overlaps(o.prefix) {
			text = append(text, fmt.Sprintf("the block of %s %s ends, approved by %s", b.What(), b.Direction, clean(b.DecidedBy)))
			ids = append(ids, b.ID)
		}
	}
	return text, ids
}

func (o *allowOptions) disallow(ctx context.Context, s *session) error {
	t := &tally{s: s}
	l := decisionLine{CIDR: o.prefix.String(), Result: "disallowed"}
	if o.dryRun {
		l.Result = "shown"
		t.say(l, "nothing was done, as --dry-run says")
		return nil
	}
	if err := s.persist(ctx, func() error { return s.engine.Disallow(ctx, o.prefix, s.actor, o.reason) }); err != nil {
		t.fail(l, err)
		return t.end()
	}
	t.done++
	t.say(l, fmt.Sprintf("%s may be blocked again", o.prefix))
	return t.end()
}
