package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/policy"
)

// cleanupTimeout bounds a cleanup: a full ACL has 160 entries, removed one a second.
const cleanupTimeout = 10 * time.Minute

// cleanupWord is what a person types to go on.
const cleanupWord = "remove ours"

// cleanupOptions are those of leaving.
type cleanupOptions struct {
	*options
	yes, noWait bool
	reason      string
	stdin       io.Reader
}

func newCleanup(h Host) *cobra.Command {
	o := &cleanupOptions{options: newOptions(h), stdin: h.Stdin}
	cmd := &cobra.Command{
		Use: "cleanup", Short: "Remove every entry of ours, and nothing else", Args: noArgs,
		Long: `cleanup ends every block: exactly the entries that the journal knows as ours
are removed, never one of somebody else, never an allow. It shows them first
and goes on when the words it asks for are typed, or with --yes. It waits
until reads show them gone, and says what is left and why.

The journal stays. A process that goes on running may block again when
alerts name an address: stop it first, or set its mode to review.

It needs AWS and the journal, not the alert API.`,
		Example: "selfprotect cleanup\nselfprotect cleanup --yes --reason 'end of the trial'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	commonFlags(cmd, o.options)
	f := cmd.Flags()
	f.BoolVar(&o.yes, "yes", false, "do it without asking")
	f.StringVar(&o.reason, "reason", "cleanup", "why, for the journal")
	f.BoolVar(&o.noWait, "no-wait", false, "do not wait until the entries are gone")
	f.BoolVar(&o.json, "json", false, "write one JSON object a line; with --yes")
	return cmd
}

func (o *cleanupOptions) run(cmd *cobra.Command) error {
	if o.json && !o.yes {
		return usageError(errors.New("--json does not ask: add --yes"))
	}
	if !o.yes {
		n := 0
		err := o.session(cmd, sessionKind{dry: true}, func(_ context.Context, s *session) error {
			if err := s.readable(s.now); err != nil {
				return err
			}
			n = o.preview(s)
			return nil
		})
		if err != nil || n == 0 {
			return err
		}
		if !o.asked(cmd) {
			fmt.Fprintln(cmd.OutOrStdout(), "nothing was done; --yes does it without asking")
			return &exitError{exitPending, errSilent}
		}
	}
	return o.session(cmd, sessionKind{timeout: cleanupTimeout}, o.cleanup)
}

// asked says whether the person types the words.
func (o *cleanupOptions) asked(cmd *cobra.Command) bool {
	fmt.Fprintf(cmd.OutOrStdout(), "type %q to go on: ", cleanupWord)
	line, _ := bufio.NewReader(o.stdin).ReadString('\n')
	if !strings.HasSuffix(line, "\n") {
		fmt.Fprintln(cmd.OutOrStdout())
	}
	return strings.TrimSpace(line) == cleanupWord
}

// preview shows what would be removed and what would end; it gives how much.
func (o *cleanupOptions) preview(s *session) int {
	n := 0
	for _, a := range s.now.ACLs {
		for _, e := range a.Entries {
			if e.Owner == engine.Ours {
				n++
				fmt.Fprintf(s.out, "- %s of %s: entry %d deny %s\n", e.Direction, a.ID, e.Number, e.Prefix)
			}
		}
	}
	blocks := s.standing()
	fmt.Fprintf(s.out, "%s of ours in %s; %s in force\n", count(n, "entry", "entries"), count(len(s.now.ACLs), "network ACL", "network ACLs"), count(len(blocks), "block is", "blocks are"))
	o.left(s, s.now)
	if s.now.Holder != "" {
		fmt.Fprintf(s.out, "%s runs on this journal: it may block again when alerts name an address\n", clean(s.now.Holder))
	}
	return n + len(blocks)
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// standing gives the blocks in force on the ACLs of this configuration.
func (s *session) standing() []*engine.BlockView {
	var out []*engine.BlockView
	for _, b := range s.now.Blocks {
		if b.State == blocklist.Active && slices.ContainsFunc(b.Targets, func(t policy.Target) bool { return s.configured(t.ACL) }) {
			out = append(out, b)
		}
	}
	return out
}

func (s *session) configured(acl string) bool {
	return slices.ContainsFunc(s.now.ACLs, func(a *engine.ACLView) bool { return a.ID == acl })
}

func (o *cleanupOptions) cleanup(ctx context.Context, s *session) error {
	t := &tally{s: s}
	if o.yes && !o.json {
		o.preview(s)
	}
	if err := s.readable(s.now); err != nil {
		return err
	}
	if err := s.mayCarryOut(ctx, false); err != nil {
		return err
	}
	var ids []blocklist.ID
	for _, b := range s.standing() {
		err := s.decide(ctx, b.ID, blocklist.Decision{Verb: blocklist.Revoke, Reason: o.reason})
		switch {
		case errors.Is(err, blocklist.ErrNotActive): // somebody was faster
		case err != nil:
			t.fail(lineOf(b.Block), err)
		default:
			t.done++
			ids = append(ids, b.ID)
		}
	}
	if o.noWait {
		if !o.json {
			fmt.Fprintln(s.out, s.later())
		}
		return t.end()
	}
	if !o.json {
		fmt.Fprintln(s.out, "recorded; "+s.who())
	}
	snap, err := s.readBack(ctx, func(snap *engine.Snapshot) bool { return inPlace(snap, ids) && oursLeft(snap) == 0 })
	o.report(s, t, snap, ids)
	if err != nil {
		return err
	}
	return t.end()
}

// oursLeft counts the entries of ours that are there.
func oursLeft(snap *engine.Snapshot) int {
	n := 0
	for _, a := range snap.ACLs {
		for _, e := range a.Entries {
			if e.Owner == engine.Ours {
				n++
			}
		}
	}
	return n
}

// report tells what was removed and what is left.
func (o *cleanupOptions) report(s *session, t *tally, snap *engine.Snapshot, ids []blocklist.ID) {
	if o.json {
		for _, id := range ids {
			if b := blockView(snap, id); b != nil {
				l := lineOf(b.Block)
				l.Result, l.Entries = string(b.State), entriesOf(b)
				t.say(l, "")
			}
		}
		return
	}
	before, now := oursLeft(s.now), oursLeft(snap)
	fmt.Fprintf(s.out, "%s ended, %s removed\n", count(len(ids), "block", "blocks"), count(max(0, before-now), "entry", "entries"))
	o.left(s, snap)
}

// left says what stays, and why.
func (o *cleanupOptions) left(s *session, snap *engine.Snapshot) {
	for _, a := range snap.ACLs {
		denies := 0
		for _, e := range a.Entries {
			if e.Deny && e.Owner == engine.Foreign {
				denies++
			}
			if until, rests := a.Quarantined[e.Number]; rests && e.Owner == engine.Ours && snap != s.now {
				fmt.Fprintf(s.out, "left: %s of %s: entry %d (%s): a write to it is not settled until %s\n", e.Direction, a.ID, e.Number, e.Prefix, moment(until))
			}
		}
		if denies > 0 {
			fmt.Fprintf(s.out, "left: %s of %s: somebody else's, and never touched\n", count(denies, "deny", "denies"), a.ID)
		}
	}
	elsewhere := map[string]int{}
	for _, b := range s.now.Blocks {
		for _, x := range b.Targets {
			if b.State == blocklist.Active && !s.configured(x.ACL) {
				elsewhere[x.ACL]++
			}
		}
	}
	for _, acl := range slices.Sorted(maps.Keys(elsewhere)) {
		fmt.Fprintf(s.out, "left: %s on %s, which is not in the configuration\n", count(elsewhere[acl], "block", "blocks"), acl)
	}
	if n := len(snap.Proposals); n > 0 {
		fmt.Fprintf(s.out, "%s a decision\n", count(n, "proposal still awaits", "proposals still await"))
	}
}
