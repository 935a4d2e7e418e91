package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/config"
	"selfprotect/journal"
)

// followEvery is how often a history that is followed looks for more.
const followEvery = 500 * time.Millisecond

// historyOptions say what of the journal is shown.
type historyOptions struct {
	*options
	since, until string
	kinds        []string
	actor        string
	verify       bool
	follow       bool

	about    netip.Prefix // zero: everything
	from, to time.Time    // zero: no bound
	only     map[blocklist.Kind]bool
}

// decisionKinds are what people, auto mode and time decide; writeKinds what is done
// in AWS. History shows these and no other.
var (
	decisionKinds = []blocklist.Kind{blocklist.Proposed, blocklist.Approved, blocklist.Denied, blocklist.Revoked, blocklist.Expired,
		blocklist.Pinned, blocklist.Unpinned, blocklist.Undid, blocklist.Restored, blocklist.Snoozed, blocklist.Woken,
		blocklist.Allowed, blocklist.Disallowed, blocklist.Overridden, blocklist.Enforced, blocklist.Adopted, blocklist.Archived, blocklist.Unarchived, blocklist.ModeSet}
	writeKinds = []blocklist.Kind{blocklist.Started, blocklist.Settled, blocklist.Drifted, blocklist.Returned, blocklist.Gone, blocklist.Dismissed}
)

func newHistory(h Host) *cobra.Command {
	o := &historyOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "history [CIDR]", Short: "Show who decided what, and how to undo it", Args: cobra.MaximumNArgs(1),
		Long: `history reads the journal and prints every decision and every write in
order: when, who, what, how it ended, and the AWS CLI command that takes a
write back. It changes nothing and needs no service. With an address or a
CIDR it shows what concerns any address in it.

--since and --until take a duration back from now (30d, 1h30m) or a time,
such as 2026-11-25 or 2026-11-25T14:00:00Z. --kind takes one of
  ` + kindWords(decisionKinds[:9]) + `,
  ` + kindWords(decisionKinds[9:]) + `,
  ` + kindWords(writeKinds) + `,
or decisions for the first two lines, writes for the third.

--json writes one object a line with the keys seq, time, kind and, where
they apply, actor, cidr, block, acl, direction, rule, alert, outcome,
write, expires, mode, reason, undo, escalated: feed it to a SIEM with --follow.

--verify checks the chain of hashes over the whole journal first and names
the first record that does not fit.`,
		Example: "selfprotect history --since 24h --kind decisions\nselfprotect history 203.0.113.7 --json\nselfprotect history --follow --json\nselfprotect history --verify",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(args, time.Now()); err != nil {
				return err
			}
			cfg, err := o.load(true)
			if err != nil {
				return err
			}
			return o.show(cmd, cfg.State.Path)
		},
	}
	commonFlags(cmd, o.options)
	f := cmd.Flags()
	f.BoolVar(&o.json, "json", false, "write one JSON object a line")
	f.StringVar(&o.since, "since", "", "only what is not older than this")
	f.StringVar(&o.until, "until", "", "only what is older than this")
	f.StringSliceVar(&o.kinds, "kind", nil, "only these kinds; may be repeated")
	f.StringVar(&o.actor, "actor", "", "only what this person (user@host or user), auto or engine did")
	f.BoolVar(&o.verify, "verify", false, "check the chain of hashes first")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with what is recorded from now on")
	return cmd
}

func kindWords(kinds []blocklist.Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

func (o *historyOptions) parse(args []string, now time.Time) (err error) {
	if o.from, err = when("--since", o.since, now); err != nil {
		return err
	}
	if o.to, err = when("--until", o.until, now); err != nil {
		return err
	}
	if o.follow && o.until != "" {
		return usageError(errors.New("--follow has no end: leave --until out"))
	}
	if err := o.parseKinds(); err != nil || len(args) == 0 {
		return err
	}
	if a, err := netip.ParseAddr(args[0]); err == nil {
		o.about = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(args[0])
	if err != nil {
		return usageError(fmt.Errorf("%q is no address and no CIDR", clean(args[0])))
	}
	o.about = p.Masked()
	return nil
}

func (o *historyOptions) parseKinds() error {
	if len(o.kinds) == 0 {
		return nil
	}
	o.only = map[blocklist.Kind]bool{}
	for _, word := range o.kinds {
		chosen := []blocklist.Kind{blocklist.Kind(word)}
		switch known := slices.Concat(decisionKinds, writeKinds); {
		case word == "decisions":
			chosen = decisionKinds
		case word == "writes":
			chosen = writeKinds
		case !slices.Contains(known, chosen[0]):
			return usageError(fmt.Errorf("--kind %s is none of decisions, writes, %s", clean(word), kindWords(known)))
		}
		for _, k := range chosen {
			o.only[k] = true
		}
	}
	return nil
}

// when reads a time, or a duration back from now.
func when(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := config.ParseDuration(s); err == nil {
		if d < 0 {
			return time.Time{}, usageError(fmt.Errorf("%s must not be below 0", flag))
		}
		return now.Add(-d), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError(fmt.Errorf("%s %q is neither a duration such as 24h or 30d nor a time such as 2026-11-25T14:00:00Z", flag, clean(s)))
}

func (o *historyOptions) show(cmd *cobra.Command, path string) error {
	ctx := cmd.Context()
	j, err := openHistory(path)
	if err != nil {
		return err
	}
	if o.verify {
		if err := j.Verify(ctx); err != nil {
			return errors.Join(err, j.Close())
		}
		n, err := j.Head(ctx)
		if err != nil {
			return errors.Join(err, j.Close())
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "the chain of %d records is whole\n", n)
	}
	w := bufio.NewWriter(cmd.OutOrStdout())
	t := &teller{o: o, out: w, writes: map[string]blocklist.Write{}, rules: map[blocklist.ID]string{}}
	err = j.Read(ctx, 0, t.record)
	if err == nil && o.follow {
		err = t.goOn(ctx, j, w)
	}
	return errors.Join(err, w.Flush(), j.Close())
}

// goOn tells what is recorded until ctx is done.
func (t *teller) goOn(ctx context.Context, j *journal.SQLite, w *bufio.Writer) error {
	again := time.NewTicker(followEvery)
	defer again.Stop()
	for {
		if err := w.Flush(); err != nil {
			return nil // nobody reads any more, which Flush says again
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
		switch head, err := j.Head(ctx); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case head == t.last:
			continue
		}
		if err := j.Read(ctx, t.last, t.record); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// teller tells the records of a journal.
type teller struct {
	o      *historyOptions
	out    io.Writer
	last   uint64                     // the last record that was seen
	writes map[string]blocklist.Write // not settled, by id
	rules  map[blocklist.ID]string    // that proposed a block
}

// historyLine is the form of a record that programs read. Its keys are a contract.
type historyLine struct {
	Seq       uint64           `json:"seq"`
	Time      string           `json:"time"`
	Kind      string           `json:"kind"`
	Actor     string           `json:"actor,omitempty"`
	CIDR      string           `json:"cidr,omitempty"`
	Block     string           `json:"block,omitempty"`
	ACL       string           `json:"acl,omitempty"`
	Direction string           `json:"direction,omitempty"`
	Rule      string           `json:"rule,omitempty"`
	Alert     string           `json:"alert,omitempty"`
	Outcome   string           `json:"outcome,omitempty"`
	Write     *blocklist.Write `json:"write,omitempty"`
	Expires   string           `json:"expires,omitempty"`
	Mode      string           `json:"mode,omitempty"`
	Reason    string           `json:"reason,omitempty"`
	Undo      string           `json:"undo,omitempty"`
	Escalated bool             `json:"escalated,omitempty"`
}

func (t *teller) record(seq uint64, b []byte) error {
	t.last = seq
	e, err := blocklist.Decode(b)
	if err != nil {
		return fmt.Errorf("record %d: %w", seq, err)
	}
	l, ok := t.line(seq, e)
	if !ok || !t.o.wanted(e) {
		return nil
	}
	if t.o.json {
		return json.NewEncoder(t.out).Encode(l)
	}
	_, err = io.WriteString(t.out, l.text())
	return err
}

// wanted says that the filters leave a record, those about its address apart.
func (o *historyOptions) wanted(e blocklist.Event) bool {
	user, _, _ := strings.Cut(e.Actor, "@")
	switch {
	case e.At.Before(o.from), !o.to.IsZero() && !e.At.Before(o.to):
		return false
	case o.only != nil && !o.only[e.Kind]:
		return false
	}
	return o.actor == "" || e.Actor == o.actor || user == o.actor
}

// line gives a record as it is shown; false for what is no decision and no write,
// or about something else.
func (t *teller) line(seq uint64, e blocklist.Event) (historyLine, bool) {
	l := historyLine{Seq: seq, Time: e.At.UTC().Format(time.RFC3339), Kind: string(e.Kind), Actor: clean(e.Actor),
		Block: clean(string(e.Block)), ACL: clean(e.ACL), Outcome: string(e.Outcome), Reason: clean(e.Reason)}
	prefix := e.Prefix
	if e.Block != "" {
		prefix, l.Direction, l.ACL = partsOf(e.Block)
	}
	switch e.Kind {
	case blocklist.Proposed, blocklist.Adopted:
		if e.Proposal != nil {
			t.rules[e.Block] = e.Proposal.RuleID
		}
	case blocklist.Observed, blocklist.Sighted, blocklist.Marked, blocklist.GuardSized:
		return l, false
	case blocklist.Dismissed, blocklist.Archived, blocklist.Unarchived:
		l.Escalated = e.Escalated
		if e.Alert != nil {
			l.Alert = clean(e.Alert.ID)
		}
	case blocklist.ModeSet:
		l.Mode = e.Mode.String()
		return l, !t.o.about.IsValid()
	case blocklist.Started:
		if e.Write != nil {
			t.writes[e.WriteID] = *e.Write
		}
	case blocklist.Settled:
		w, ok := t.writes[e.WriteID]
		if !ok {
			return l, false
		}
		e.Write = &w
		if e.Outcome != blocklist.Unknown {
			delete(t.writes, e.WriteID)
		}
	}
	l.Rule = clean(t.rules[e.Block])
	if e.Write != nil {
		w := *e.Write
		w.ACL, l.Undo, w.Undo = clean(w.ACL), clean(w.Undo), ""
		l.Write, l.ACL, l.Direction, prefix = &w, w.ACL, w.Direction.String(), w.Prefix
	}
	if prefix.IsValid() {
		l.CIDR = prefix.String()
	}
	if !e.Expires.IsZero() {
		l.Expires = e.Expires.UTC().Format(time.RFC3339)
	}
	return l, !t.o.about.IsValid() || prefix.IsValid() && prefix.Overlaps(t.o.about)
}

// partsOf reads prefix, direction and ACLs out of the id of a block.
func partsOf(id blocklist.ID) (p netip.Prefix, direction, acls string) {
	s := strings.TrimPrefix(string(id), "widen:")
	direction, s, _ = strings.Cut(s, ":")
	s, acls, _ = strings.Cut(s, "@")
	p, _ = netip.ParsePrefix(s)
	return p, clean(direction), clean(acls)
}

func (l historyLine) text() string {
	s := fmt.Sprintf("%6d %s %-9s", l.Seq, l.Time, l.Kind)
	if w := l.Write; w != nil {
		if w.Op != "" && l.Kind != string(blocklist.Adopted) {
			s += " " + w.Op
		}
		s += fmt.Sprintf(" %s entry %d of %s (%s)", w.Prefix, w.Number, w.ACL, w.Direction)
		if w.Old.IsValid() {
			s += " in place of " + w.Old.String()
		}
	} else if l.CIDR != "" {
		s += " " + l.CIDR
	} else if l.Alert != "" {
		s += " alert " + l.Alert
	}
	if l.Escalated {
		s += " escalated"
	}
	for _, x := range []struct{ word, value string }{{"", l.Mode}, {"", l.Outcome}, {"until ", l.Expires}, {"by ", l.Actor}} {
		if x.value != "" {
			s += " " + x.word + x.value
		}
	}
	if l.Reason != "" {
		s += ": " + l.Reason
	}
	if l.Undo != "" && l.Kind == string(blocklist.Started) {
		s += "\n                            undo: " + l.Undo
	}
	return s + "\n"
}
