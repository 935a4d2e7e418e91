package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

func newReview(h Host) *cobra.Command {
	cmd := &cobra.Command{
		Use: "review", Short: "List, approve, deny or put off proposals", Args: noArgs,
		Long: `review decides from a shell what otherwise is decided in the console, on the
same journal and beside it: a console that runs shows the decision and who
made it.`,
		Example: "selfprotect review list\nselfprotect review approve 203.0.113.7 --effect 3f0c9a1b2d4e5f60",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newReviewList(h), newReviewApprove(h), newReviewDeny(h), newReviewSnooze(h))
	return cmd
}

// reviewOptions say which proposals are meant, and what becomes of them.
type reviewOptions struct {
	*options
	words       []string
	all, yes    bool
	snoozed     bool
	rule, host  string
	effects     []string
	reason      string
	noWait      bool
	verb        blocklist.Verb
	until       time.Duration
	done, shown string // such as approved, would be approved
}

func (o *reviewOptions) filters(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.rule, "rule", "", "only what this rule proposes, by id or name")
	f.StringVar(&o.host, "host", "", "only what alerts of this host name, by agent id or name")
}

func newReviewList(h Host) *cobra.Command {
	o := &reviewOptions{options: newOptions(h), all: true}
	cmd := &cobra.Command{
		Use: "list", Short: "List proposals, with what an approval would do", Args: noArgs,
		Long: `list shows the proposals, heaviest first, with what an approval would do now
and a digest of that effect: review approve --effect DIGEST approves this
effect and no other. It changes nothing, in AWS or in the journal.

It exits with 10 when something awaits a decision, else with 0.`,
		Example: "selfprotect review list --rule 'Outbound to WAN'\nselfprotect review list --json | jq -r .id",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.session(cmd, sessionKind{dry: true}, o.list)
		},
	}
	commonFlags(cmd, o.options)
	o.filters(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "write one JSON object a line")
	cmd.Flags().BoolVar(&o.snoozed, "snoozed", false, "also those that are put off")
	return cmd
}

func newReviewApprove(h Host) *cobra.Command {
	o := &reviewOptions{options: newOptions(h), verb: blocklist.Approve, done: "approved", shown: "would be approved"}
	cmd := &cobra.Command{
		Use: "approve [PROPOSAL...]", Short: "Approve proposals, and see their entries there",
		Long: `approve shows the exact effect of each approval, and approves with --yes, or
with --effect and the digest that review list showed: if the effect is
another one by now, it is refused and the new one is shown. A decision that
somebody else was faster to make is told with who and when.

The process that holds the right to write to the network ACL carries it out,
else this command does. It exits with 0 when all were approved, 4 when some
were, 10 when nothing was decided for want of --yes.`,
		Example: "selfprotect review approve 203.0.113.7 --effect 3f0c9a1b2d4e5f60\nselfprotect review approve --all --rule 'Outbound to WAN' --yes",
		RunE:    o.run,
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.effects, "effect", nil, "the digest of the effect that was shown; may be repeated")
	f.BoolVar(&o.noWait, "no-wait", false, "do not wait until the entries are read back")
	return cmd
}

func newReviewDeny(h Host) *cobra.Command {
	o := &reviewOptions{options: newOptions(h), verb: blocklist.Deny, done: "denied"}
	cmd := &cobra.Command{
		Use: "deny [PROPOSAL...]", Short: "Deny proposals",
		Long: `deny says no to proposals; that is remembered for 30 days. Nothing is
changed in AWS. It exits with 0 when all were denied, 4 when some were.`,
		Example: "selfprotect review deny 203.0.113.7 --reason 'our backup'\nselfprotect review deny --all --host web-1 --yes",
		RunE:    o.run,
	}
	o.flags(cmd)
	return cmd
}

func newReviewSnooze(h Host) *cobra.Command {
	o := &reviewOptions{options: newOptions(h), verb: blocklist.Snooze, done: "snoozed"}
	cmd := &cobra.Command{
		Use: "snooze [PROPOSAL...]", Short: "Put proposals off",
		Long: `snooze puts proposals off: they are asked again when the time is up, and
auto mode leaves them alone meanwhile. With --for 0 they are asked again
now.`,
		Example: "selfprotect review snooze 203.0.113.7 --for 4h",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.until < 0:
				return usageError(errors.New("--for must not be below 0"))
			case o.until == 0:
				o.verb, o.done, o.snoozed = blocklist.Wake, "woken", true
			}
			return o.run(cmd, args)
		},
	}
	o.flags(cmd)
	cmd.Flags().DurationVar(&o.until, "for", time.Hour, "how long; 0 asks again now")
	return cmd
}

// flags are those of every decision.
func (o *reviewOptions) flags(cmd *cobra.Command) {
	commonFlags(cmd, o.options)
	o.filters(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "every proposal that the filters leave")
	f.BoolVar(&o.json, "json", false, "write one JSON object a line")
	f.StringVar(&o.reason, "reason", "", "why, for the journal")
	f.BoolVar(&o.yes, "yes", false, "do it")
}

func (o *reviewOptions) run(cmd *cobra.Command, args []string) error {
	o.words = args
	switch {
	case o.all == (len(args) > 0):
		return usageError(errors.New("name proposals by id or CIDR, or give --all"))
	case !o.all && (o.rule != "" || o.host != ""):
		return usageError(errors.New("--rule and --host go with --all"))
	}
	for _, e := range o.effects {
		if len(e) < shortEffect {
			return usageError(fmt.Errorf("--effect %s is too short: it has %d characters at least", clean(e), shortEffect))
		}
	}
	return o.session(cmd, sessionKind{}, o.decideAll)
}

// proposalLine is the form of a proposal that programs read. Its keys are a
// contract.
type proposalLine struct {
	ID        string          `json:"id"`
	CIDR      string          `json:"cidr"`
	Direction string          `json:"direction"`
	Widening  bool            `json:"widening,omitempty"`
	Weight    int             `json:"weight"`
	Score     blocklist.Score `json:"score"`
	Rule      string          `json:"rule,omitempty"`
	RuleName  string          `json:"rule_name,omitempty"`
	Hosts     []string        `json:"hosts,omitempty"`
	Alerts    []string        `json:"alerts,omitempty"`
	Reasons   []string        `json:"reasons,omitempty"`
	Proposed  time.Time       `json:"proposed"`
	TTL       string          `json:"ttl"`
	Effects   []string        `json:"effects"`
	Effect    string          `json:"effect"`
	Blocked   string          `json:"blocked,omitempty"`
	Snoozed   time.Time       `json:"snoozed_until,omitzero"`
}

func newProposalLine(p *engine.Proposal, hosts []string) proposalLine {
	l := proposalLine{ID: clean(string(p.ID)), CIDR: p.Prefix.String(), Direction: p.Direction.String(), Widening: p.Cover,
		Weight: p.Score.Total(), Score: p.Score, Rule: clean(p.RuleID), RuleName: p.RuleName, Hosts: hosts, Proposed: p.ProposedAt.UTC(),
		TTL: p.TTL.String(), Effect: p.Digest, Blocked: p.Blocked, Effects: []string{}, Snoozed: p.SnoozedUntil}
	for _, a := range p.Alerts {
		l.Alerts = append(l.Alerts, clean(a))
	}
	for _, r := range p.Reasons {
		l.Reasons = append(l.Reasons, clean(r))
	}
	for _, s := range p.Steps {
		l.Effects = append(l.Effects, stepText(s))
	}
	return l
}

func (o *reviewOptions) list(ctx context.Context, s *session) error {
	found, err := o.chosen(ctx, s)
	if err != nil {
		return err
	}
	e := json.NewEncoder(s.out)
	if !o.json && len(found) == 0 {
		fmt.Fprintln(s.out, o.nothing(s))
	}
	for i, p := range found {
		if !o.json {
			err = o.write(s, p, i == 0)
		} else {
			err = e.Encode(newProposalLine(p, s.hosts(p.Block)))
		}
		if err != nil {
			return err
		}
	}
	s.warnGuard()
	if err := s.readable(s.now); err != nil {
		return wrapped(err, "what an approval would do is not known: %w")
	}
	if len(found) > 0 {
		return &exitError{exitPending, errSilent}
	}
	return nil
}

// nothing says that nothing was found, and what was left out.
func (o *reviewOptions) nothing(s *session) string {
	off := 0
	for _, p := range s.now.Proposals {
		if !o.snoozed && p.Snoozed(s.now.At) && o.passes(s, p) {
			off++
		}
	}
	switch off {
	case 0:
		return "nothing awaits a decision"
	case 1:
		return "nothing awaits a decision; 1 is put off: --snoozed shows it"
	}
	return fmt.Sprintf("nothing awaits a decision; %d are put off: --snoozed shows them", off)
}

// write writes a proposal in a form for people that fits 80 columns.
func (o *reviewOptions) write(s *session, p *engine.Proposal, first bool) error {
	var b strings.Builder
	if first {
		fmt.Fprintf(&b, "%6s  %s %-9s %4s  %s %s\n", "WEIGHT", column("CIDR", 20), "DIRECTION", "AGE", column("RULE", 18), "HOSTS")
	}
	what := p.Prefix.String()
	if p.Cover {
		what = "widen " + what
	}
	fmt.Fprintf(&b, "%6d  %s %-9s %4s  %s %s\n", p.Score.Total(), column(what, 20), p.Direction, age(s.now.At.Sub(p.ProposedAt)),
		column(p.RuleName, 18), strings.TrimSpace(column(list(s.hosts(p.Block), 1), 15)))
	if p.Snoozed(s.now.At) {
		fmt.Fprintf(&b, "        snoozed until %s by %s\n", moment(p.SnoozedUntil), clean(p.SnoozedBy))
	}
	writeEffect(&b, p)
	fmt.Fprintf(&b, "        id %s\n", p.ID)
	_, err := s.out.Write([]byte(b.String()))
	return err
}

// writeEffect writes what an approval would do.
func writeEffect(b *strings.Builder, p *engine.Proposal) {
	for _, step := range p.Steps {
		for _, l := range stepLines(step) {
			fmt.Fprintln(b, wrap("        "+l, "          "))
		}
	}
	if p.Blocked != "" {
		fmt.Fprintln(b, wrap("        cannot be approved now: "+p.Blocked, "          "))
	}
	fmt.Fprintf(b, "        for %s, effect %s\n", lifetime(p.TTL), short(p.Digest))
}

// hosts names the hosts whose alerts name a block, as far as that is known.
func (s *session) hosts(b blocklist.Block) []string {
	var out []string
	for _, id := range b.Hosts {
		name := clean(id)
		for _, a := range s.now.Alerts {
			if a.AgentID == id && a.Host != "" {
				name = string(a.Host)
				break
			}
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// chosen gives the proposals that --all and the filters mean, with their effects.
func (o *reviewOptions) chosen(ctx context.Context, s *session) ([]*engine.Proposal, error) {
	var out []*engine.Proposal
	for _, p := range s.now.Proposals {
		if !o.snoozed && p.Snoozed(s.now.At) || !o.passes(s, p) {
			continue
		}
		p, err := s.engine.Preview(ctx, p.ID)
		if errors.Is(err, blocklist.ErrDecided) {
			continue // meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func (o *reviewOptions) passes(s *session, p *engine.Proposal) bool {
	rule := o.rule == "" || p.RuleID == o.rule || strings.EqualFold(p.RuleName, o.rule)
	host := o.host == "" || slices.Contains(p.Hosts, o.host) ||
		slices.ContainsFunc(s.hosts(p.Block), func(h string) bool { return strings.EqualFold(h, o.host) })
	return rule && host
}
