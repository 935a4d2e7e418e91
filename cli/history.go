package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/journal"
)

// historyOptions say what of the journal is shown.
type historyOptions struct {
	*options
	since  time.Duration
	actor  string
	verify bool
	about  netip.Prefix // zero: everything
}

func newHistory(h Host) *cobra.Command {
	o := &historyOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "history [ADDRESS|CIDR]", Short: "Show what was decided and written, by whom, and how to undo it", Args: cobra.MaximumNArgs(1),
		Long: `history reads the journal and prints every decision and every write in order: when,
who, what, how it ended, and the AWS CLI command that takes a write back. It
changes nothing and needs no service.

--verify checks the chain of hashes over the whole journal first and names the
first record that does not fit.`,
		Example: "selfprotect history --since 24h\nselfprotect history 203.0.113.7 --json\nselfprotect history --verify",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(args); err != nil {
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
	f.DurationVar(&o.since, "since", 0, "only what is not older than this")
	f.StringVar(&o.actor, "actor", "", "only what this person, auto or engine did")
	f.BoolVar(&o.verify, "verify", false, "check the chain of hashes first")
	return cmd
}

func (o *historyOptions) parse(args []string) error {
	if o.since < 0 {
		return usageError(errors.New("--since must not be below 0"))
	}
	if len(args) == 0 {
		return nil
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

func (o *historyOptions) show(cmd *cobra.Command, path string) error {
	ctx := cmd.Context()
	j, err := journal.OpenReadOnly(path)
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
	t := &teller{o: o, out: w, writes: map[string]blocklist.Write{}, from: time.Time{}}
	if o.since > 0 {
		t.from = time.Now().Add(-o.since)
	}
	err = j.Read(ctx, 0, t.record)
	return errors.Join(err, w.Flush(), j.Close())
}

// teller tells the records of a journal.
type teller struct {
	o      *historyOptions
	out    io.Writer
	from   time.Time
	writes map[string]blocklist.Write // not settled, by id
}

// historyLine is the form of a record that programs read.
type historyLine struct {
	Seq     uint64           `json:"seq"`
	Time    string           `json:"time"`
	Kind    string           `json:"kind"`
	Actor   string           `json:"actor,omitempty"`
	CIDR    string           `json:"cidr,omitempty"`
	Block   string           `json:"block,omitempty"`
	Outcome string           `json:"outcome,omitempty"`
	Write   *blocklist.Write `json:"write,omitempty"`
	Expires string           `json:"expires,omitempty"`
	Mode    string           `json:"mode,omitempty"`
	Reason  string           `json:"reason,omitempty"`
	Undo    string           `json:"undo,omitempty"`
}

func (t *teller) record(seq uint64, b []byte) error {
	e, err := blocklist.Decode(b)
	if err != nil {
		return fmt.Errorf("record %d: %w", seq, err)
	}
	l, ok := t.line(seq, e)
	if !ok || e.At.Before(t.from) || t.o.actor != "" && e.Actor != t.o.actor {
		return nil
	}
	if t.o.json {
		return json.NewEncoder(t.out).Encode(l)
	}
	_, err = io.WriteString(t.out, l.text())
	return err
}

// line gives a record as it is shown; false for what is no decision and no write,
// or about something else.
func (t *teller) line(seq uint64, e blocklist.Event) (historyLine, bool) {
	l := historyLine{Seq: seq, Time: e.At.UTC().Format(time.RFC3339), Kind: string(e.Kind), Actor: clean(e.Actor),
		Block: clean(string(e.Block)), Outcome: string(e.Outcome), Reason: clean(e.Reason)}
	prefix := prefixOf(e.Block)
	switch e.Kind {
	case blocklist.Observed, blocklist.Sighted, blocklist.Marked:
		return l, false
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
	if e.Write != nil {
		w := *e.Write
		w.ACL, l.Undo, w.Undo = clean(w.ACL), clean(w.Undo), ""
		l.Write, prefix = &w, w.Prefix
	}
	if prefix.IsValid() {
		l.CIDR = prefix.String()
	}
	if !e.Expires.IsZero() {
		l.Expires = e.Expires.UTC().Format(time.RFC3339)
	}
	return l, !t.o.about.IsValid() || prefix.IsValid() && prefix.Overlaps(t.o.about)
}

// prefixOf reads the prefix out of the id of a block.
func prefixOf(id blocklist.ID) netip.Prefix {
	s := strings.TrimPrefix(string(id), "widen:")
	_, s, _ = strings.Cut(s, ":")
	s, _, _ = strings.Cut(s, "@")
	p, _ := netip.ParsePrefix(s)
	return p
}

func (l historyLine) text() string {
	s := fmt.Sprintf("%6d %s %-9s", l.Seq, l.Time, l.Kind)
	if w := l.Write; w != nil {
		s += fmt.Sprintf(" %s %s entry %d of %s (%s)", w.Op, w.Prefix, w.Number, w.ACL, w.Direction)
		if w.Old.IsValid() {
			s += " in place of " + w.Old.String()
		}
	} else if l.CIDR != "" {
		s += " " + l.CIDR
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
