package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall"
)

// adoptOptions say which entries of others shall be ours.
type adoptOptions struct {
	*options
	words  []string
	allBot bool
	yes    bool
	pin    bool
	ttl    string
	reason string
	life   time.Duration
}

func newAdopt(h Host) *cobra.Command {
	o := &adoptOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "adopt [ENTRY...]", Short: "Take over deny entries that others made",
		Long: `adopt lists the deny entries of the network ACLs that are not ours: which of
them look like those of the lab's bot (one IPv4 address, egress, all
protocols, a low number), and whether each can be taken over, else why not.
Those that are named, or with --all-bot all that look like the bot's, are
taken over with --yes: from then on they are blocks with an end, or without
one (--pin). Nothing is written to AWS.

Stop the bot first: it counts entries, and what it makes of ours is not
known.`,
		Example: "selfprotect adopt\nselfprotect adopt --all-bot --ttl 7d --yes\nselfprotect adopt acl-0123456789abcdef0:egress:4 --pin --yes",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.life, err = ttl(o.ttl); err != nil {
				return err
			}
			if o.words = args; o.allBot && len(args) > 0 {
				return usageError(errors.New("name entries, or give --all-bot"))
			}
			if o.yes && !o.allBot && len(args) == 0 {
				return usageError(errors.New("--yes needs entries, or --all-bot"))
			}
			return o.session(cmd, sessionKind{begins: true, dry: !o.yes}, o.adopt)
		},
	}
	commonFlags(cmd, o.options)
	f := cmd.Flags()
	f.BoolVar(&o.allBot, "all-bot", false, "all that look like those of the lab's bot")
	f.BoolVar(&o.yes, "yes", false, "do it")
	f.BoolVar(&o.pin, "pin", false, "without an end")
	f.StringVar(&o.ttl, "ttl", "", "how long, such as 12h or 7d; as long as [limits] max_ttl allows")
	f.StringVar(&o.reason, "reason", "", "why, for the journal")
	f.BoolVar(&o.json, "json", false, "write one JSON object a line")
	return cmd
}

// stranger is a deny entry of somebody else.
type stranger struct {
	acl   *engine.ACLView
	entry engine.EntryView
}

// word names it as on the command line.
func (x stranger) word() string {
	return fmt.Sprintf("%s:%s:%d", x.acl.ID, x.entry.Direction, x.entry.Number)
}

// likeBot says that the lab's bot makes such entries.
func (x stranger) likeBot() bool {
	e := x.entry
	return e.Direction == firewall.Egress && e.Protocol == firewall.AllProtocols && e.Prefix.Addr().Is4() && e.Prefix.IsSingleIP() && e.Number < 100
}

// shape is the error when it does not have the form of ours.
func (x stranger) shape() error {
	if x.entry.Protocol != firewall.AllProtocols {
		return fmt.Errorf("it denies protocol %d alone; ours deny all", x.entry.Protocol)
	}
	return nil
}

// strangers gives the deny entries of others, by ACL, direction and number.
func strangers(snap *engine.Snapshot) []stranger {
	var out []stranger
	for _, a := range snap.ACLs {
		for _, e := range a.Entries {
			if e.Deny && e.Owner == engine.Foreign {
				out = append(out, stranger{a, e})
			}
		}
	}
	return out
}

// strangerLine is the form of such an entry that programs read. Its keys are a
// contract.
type strangerLine struct {
	Entry     string `json:"entry"`
	ACL       string `json:"acl"`
	Direction string `json:"direction"`
	Number    int    `json:"rule_number"`
	CIDR      string `json:"cidr"`
	Protocol  int    `json:"protocol"`
	Effect    string `json:"effect"`
	Bot       bool   `json:"looks_like_the_bot"`
	Adoptable bool   `json:"adoptable"`
	Why       string `json:"why,omitempty"` // not
	Result    string `json:"result"`        // shown, adopted, failed
	Block     string `json:"block,omitempty"`
}

func (o *adoptOptions) adopt(ctx context.Context, s *session) error {
	if err := s.readable(s.now); err != nil {
		return err
	}
	chosen, err := o.chosen(s.now)
	if err != nil {
		return err
	}
	s.warnGuard()
	t := &tally{s: s}
	if len(chosen) == 0 && !o.json {
		fmt.Fprintln(s.out, "no deny entry of somebody else was found")
	}
	for i, x := range chosen {
		o.adoptOne(ctx, s, t, x, i == 0)
	}
	if o.yes {
		return t.end()
	}
	if !o.json && t.shown > 0 {
		fmt.Fprintln(s.out, "nothing was done; name entries or give --all-bot, and --yes, to take them over")
	}
	return nil
}

// chosen gives the entries that are meant; without words all are shown.
func (o *adoptOptions) chosen(snap *engine.Snapshot) ([]stranger, error) {
	all := strangers(snap)
	if o.allBot {
		return slices.DeleteFunc(all, func(x stranger) bool { return !x.likeBot() }), nil
	}
	if len(o.words) == 0 {
		return all, nil
	}
	var out []stranger
	for _, word := range o.words {
		i := slices.IndexFunc(all, func(x stranger) bool { return meansEntry(word, x) })
		if i < 0 {
			return nil, fmt.Errorf("%s: there is no deny entry of somebody else there; adopt without arguments lists them", clean(word))
		}
		out = append(out, all[i])
	}
	return out, nil
}

func meansEntry(word string, x stranger) bool {
	parts := strings.Split(word, ":")
	if len(parts) != 3 {
		return false
	}
	n, err := strconv.Atoi(parts[2])
	return err == nil && n == x.entry.Number && parts[1] == x.entry.Direction.String() && (parts[0] == x.acl.ID || parts[0] == x.acl.Name)
}

// adoptOne takes one entry over, or tries that on a copy of the journal.
func (o *adoptOptions) adoptOne(ctx context.Context, s *session, t *tally, x stranger, first bool) {
	a := engine.Adoption{ACL: x.acl.ID, Direction: x.entry.Direction, Number: x.entry.Number, Prefix: x.entry.Prefix, TTL: o.life, Actor: s.actor, Reason: o.reason}
	var id blocklist.ID
	err := x.shape()
	if err == nil {
		err = s.persist(ctx, func() (err error) { id, err = s.engine.Adopt(ctx, a); return err })
	}
	if err == nil && o.pin {
		err = s.decide(ctx, id, blocklist.Decision{Verb: blocklist.Pin, Reason: o.reason})
	}
	l := strangerLine{Entry: x.word(), ACL: x.acl.ID, Direction: x.entry.Direction.String(), Number: x.entry.Number, CIDR: x.entry.Prefix.String(),
		Protocol: x.entry.Protocol, Effect: x.entry.Effect.String(), Bot: x.likeBot(), Adoptable: err == nil, Result: "shown"}
	if l.Effect == "" {
		l.Effect = "effective"
	}
	switch {
	case err != nil:
		l.Why = clean(err.Error())
		if o.yes {
			l.Result = "failed"
			t.failed++
			t.why = err
		}
	case o.yes:
		l.Result, l.Block = "adopted", clean(string(id))
		t.done++
	default:
		t.shown++
	}
	if o.json {
		_ = json.NewEncoder(s.out).Encode(l)
		return
	}
	fmt.Fprint(s.out, l.text(first))
}

// text is the form for people; it fits 80 columns.
func (l strangerLine) text(first bool) string {
	s := ""
	if first {
		s = fmt.Sprintf("%s %s %s %s\n", column("ENTRY", 40), column("CIDR", 20), column("LIKE BOT", 8), "TAKE OVER")
	}
	bot, can := "no", "yes"
	if l.Bot {
		bot = "yes"
	}
	switch {
	case l.Result == "adopted":
		can = "done"
	case !l.Adoptable:
		can = "no"
	}
	s += fmt.Sprintf("%s %s %s %s\n", column(l.Entry, 40), column(l.CIDR, 20), column(bot, 8), can)
	if l.Effect != "effective" {
		s += "        " + l.Effect + "\n"
	}
	if l.Why != "" {
		s += "        " + l.Why + "\n"
	}
	return s
}
