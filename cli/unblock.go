package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// standingOptions say which blocks in force are meant, and what becomes of them.
type standingOptions struct {
	*options
	words  []string
	reason string
	noWait bool
	dryRun bool
	verb   blocklist.Verb
	done   string
}

func newUnblock(h Host) *cobra.Command {
	o := &standingOptions{options: newOptions(h), verb: blocklist.Revoke, done: "unblocked"}
	cmd := o.command("unblock BLOCK...", "Take blocks back, and see their entries gone",
		`unblock ends blocks that are in force: their entries are removed, unless
others need them, and it waits until a read shows that. It names what still
denies an address afterwards. Auto mode may block it again when a new alert
names it: allow keeps that from happening.

It needs AWS and the journal, not the alert API. The process that holds the
right to write to the network ACL carries it out, else this command does.`,
		"selfprotect unblock 203.0.113.7 --reason 'a customer'\nselfprotect unblock 203.0.113.7 --dry-run")
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait until the entries are gone")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what would be removed and record nothing")
	return cmd
}

func newPin(h Host) *cobra.Command {
	o := &standingOptions{options: newOptions(h), verb: blocklist.Pin, done: "pinned", noWait: true}
	return o.command("pin BLOCK...", "Keep blocks without an end, before all others",
		`pin lets blocks that are in force stay until they are unpinned or unblocked,
and gives them a slot before every other.`, "selfprotect pin 203.0.113.7 --reason 'known command and control'")
}

func newUnpin(h Host) *cobra.Command {
	o := &standingOptions{options: newOptions(h), verb: blocklist.Unpin, done: "unpinned", noWait: true}
	return o.command("unpin BLOCK...", "Let pinned blocks end again",
		`unpin gives pinned blocks their time to live again, from now on.`, "selfprotect unpin 203.0.113.7")
}

func (o *standingOptions) command(use, short, long, example string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Example: example,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.words = args; len(args) == 0 {
				return usageError(errors.New("name a block by address, CIDR or id"))
			}
			return o.session(cmd, sessionKind{dry: o.dryRun}, o.decideAll)
		}}
	commonFlags(cmd, o.options)
	f := cmd.Flags()
	f.StringVar(&o.reason, "reason", "", "why, for the journal")
	f.BoolVar(&o.json, "json", false, "write one JSON object a line")
	return cmd
}

func (o *standingOptions) decideAll(ctx context.Context, s *session) error {
	t := &tally{s: s}
	var ids []blocklist.ID
	for _, word := range o.words {
		found := false
		for _, b := range s.now.Blocks {
			if b.State != blocklist.Active || !names(word, b.Block) {
				continue
			}
			found = true
			if o.decideOne(ctx, s, t, b) {
				ids = append(ids, b.ID)
			}
		}
		if !found {
			t.notInForce(word)
		}
	}
	switch {
	case len(ids) == 0:
	case o.verb == blocklist.Revoke && !o.noWait:
		t.await(ctx, ids)
	case o.verb == blocklist.Revoke && !o.json:
		fmt.Fprintln(s.out, s.later())
	}
	return t.end()
}

// decideOne decides about one block; it says whether it did.
func (o *standingOptions) decideOne(ctx context.Context, s *session, t *tally, b *engine.BlockView) bool {
	l := lineOf(b.Block)
	if o.verb == blocklist.Revoke {
		o.showRemoval(s, b)
	}
	if o.dryRun {
		l.Result, l.Entries = "shown", entriesOf(b)
		t.say(l, "nothing was done, as --dry-run says")
		return false
	}
	err := s.decide(ctx, b.ID, blocklist.Decision{Verb: o.verb, Reason: o.reason})
	switch {
	case errors.Is(err, blocklist.ErrDecided):
		t.fail(l, fmt.Errorf("%s is %s already", b.Prefix, o.done))
		return false
	case errors.Is(err, blocklist.ErrNotActive):
		t.decided(ctx, string(b.ID))
		return false
	case err != nil:
		t.fail(l, err)
		return false
	}
	t.done++
	l.Result = o.done
	if o.noWait {
		t.say(l, fmt.Sprintf("%s %s %s", o.done, b.Prefix, b.Direction))
	}
	return true
}

// showRemoval shows which entries would go, and what denies it afterwards.
func (o *standingOptions) showRemoval(s *session, b *engine.BlockView) {
	if o.json {
		return
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s, approved by %s at %s\n", b.What(), b.Direction, clean(b.DecidedBy), moment(b.DecidedAt))
	for _, p := range b.Presence {
		fmt.Fprintf(&out, "        %s of %s: %s\n", p.Direction, p.ACL, removal(s.now, b, p))
	}
	fmt.Fprint(s.out, out.String())
}

// removal says what becomes of one entry.
func removal(snap *engine.Snapshot, b *engine.BlockView, p engine.Presence) string {
	if p.Number == 0 {
		return strings.TrimSuffix("no entry of its own ("+p.Status+", "+clean(p.Note), ", ") + ")"
	}
	for _, a := range snap.ACLs {
		for _, e := range a.Entries {
			if a.ID != p.ACL || e.Direction != p.Direction || e.Number != p.Number {
				continue
			}
			if n := len(e.Serves) - 1; n > 0 {
				return fmt.Sprintf("entry %d (%s) serves %d other blocks and may stay in their interest", e.Number, e.Prefix, n)
			}
			return fmt.Sprintf("entry %d (%s) is removed", e.Number, e.Prefix)
		}
	}
	return fmt.Sprintf("entry %d (%s)", p.Number, p.Status)
}

// notInForce tells why a word means no block in force, and what may be meant.
func (t *tally) notInForce(word string) {
	l := decisionLine{ID: clean(word)}
	for _, p := range t.s.now.Proposals {
		if names(word, p.Block) {
			t.fail(lineOf(p.Block), fmt.Errorf("%s is proposed and not in force: selfprotect review deny %s", p.Prefix, p.Prefix))
			return
		}
	}
	for _, b := range t.s.now.Blocks { // newest decision first
		if names(word, b.Block) {
			t.fail(lineOf(b.Block), fmt.Errorf("%s is not in force: it is %s by %s since %s", b.Prefix, b.State, clean(b.DecidedBy), moment(b.DecidedAt)))
			return
		}
	}
	p, err := parsePrefix(word)
	if err != nil {
		t.fail(l, fmt.Errorf("%s: %w", clean(word), blocklist.ErrUnknownBlock))
		return
	}
	for _, b := range t.s.now.Blocks {
		if b.State == blocklist.Active && b.Prefix.Overlaps(p) {
			t.fail(l, fmt.Errorf("there is no block of %s itself; %s is in force and overlaps it", p, b.Prefix))
			return
		}
	}
	for _, a := range t.s.now.ACLs {
		for _, e := range a.Entries {
			if e.Deny && !e.Default() && e.Owner != engine.Ours && e.Prefix.IsValid() && e.Prefix.Overlaps(p) {
				t.fail(l, fmt.Errorf("there is no block of %s of ours; entry %d (%s, %s) of %s denies it and is somebody else's", p, e.Number, e.Prefix, e.Direction, a.ID))
				return
			}
		}
	}
	t.fail(l, fmt.Errorf("there is no block of %s", p))
}
