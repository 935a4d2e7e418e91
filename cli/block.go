package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/config"
	"selfprotect/engine"
	"selfprotect/firewall"
)

// blockOptions say what a person wants blocked.
type blockOptions struct {
	*options
	prefix    netip.Prefix
	direction string
	acls      []string
	ttl       string
	reason    string
	confirm   string
	yes       bool
	dryRun    bool
	noWait    bool

	directions []alert.Direction
	life       time.Duration
}

func newBlock(h Host) *cobra.Command {
	o := &blockOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "block CIDR", Short: "Block an address or a network now", Args: oneArg("one address or CIDR"),
		Long: `block denies an address or a network, whatever alerts say: it shows the
effect, records the proposal and its approval, and waits until the entry is
read back. What the guard forbids is refused, with the reason. An effect
that takes the slot of another block or denies addresses beside it wants
--yes; a network that is wider than entries are widened by themselves wants
--confirm with the same CIDR.

A network ACL that is configured for both directions gets an entry in each.

It needs AWS and the journal, not the alert API. The process that holds the
right to write to the network ACL carries it out, else this command does.`,
		Example: "selfprotect block 203.0.113.7 --reason 'incident 4711' --ttl 12h\nselfprotect block 203.0.113.0/24 --acl production --yes\nselfprotect block 198.51.0.0/16 --confirm 198.51.0.0/16",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.prefix, err = parsePrefix(args[0]); err != nil {
				return err
			}
			if err = o.parse(); err != nil {
				return err
			}
			return o.session(cmd, sessionKind{begins: true, dry: o.dryRun}, o.block)
		},
	}
	commonFlags(cmd, o.options)
	f := cmd.Flags()
	f.StringVar(&o.direction, "direction", "", "only network ACLs that take egress, or ingress")
	f.StringArrayVar(&o.acls, "acl", nil, "id or name of a network ACL; may be repeated; all")
	f.StringVar(&o.ttl, "ttl", "", "how long, such as 12h or 7d; as [limits] says")
	f.StringVar(&o.reason, "reason", "", "why, for the journal")
	f.StringVar(&o.confirm, "confirm", "", "the CIDR again, when it is wide")
	f.BoolVar(&o.yes, "yes", false, "also when it costs something")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the effect and record nothing")
	f.BoolVar(&o.noWait, "no-wait", false, "do not wait until the entry is read back")
	f.BoolVar(&o.json, "json", false, "write one JSON object a line")
	return cmd
}

func (o *blockOptions) parse() (err error) {
	switch o.direction {
	case "egress", "outbound":
		o.directions = []alert.Direction{alert.Outbound}
	case "ingress", "inbound":
		o.directions = []alert.Direction{alert.Inbound}
	case "":
		o.directions = []alert.Direction{alert.Outbound, alert.Inbound}
	default:
		return usageError(fmt.Errorf("--direction %s is neither egress nor ingress", clean(o.direction)))
	}
	o.life, err = ttl(o.ttl)
	return err
}

// ttl reads --ttl; empty is 0.
func ttl(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := config.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, usageError(fmt.Errorf("--ttl %s is no duration such as 12h or 7d", clean(s)))
	}
	return d, nil
}

// wide says that a prefix is wider than entries are widened by themselves.
func wide(p netip.Prefix, l config.Limits) bool {
	if p.Addr().Is4() {
		return p.Bits() < l.ShortestPrefixV4
	}
	return p.Bits() < l.ShortestPrefixV6
}

// confirmed refuses a wide prefix that was not named twice.
func confirmed(p netip.Prefix, l config.Limits, again, what string) error {
	if !wide(p, l) || again == p.String() {
		return nil
	}
	return usageError(fmt.Errorf("%s has %s: to %s all of them, add --confirm %s", p, denied(p), what, p))
}

// requests gives what must be asked for so that every ACL that is meant gets its
// entries once: an ACL takes them in all of its directions.
func (o *blockOptions) requests(cfg *config.Config, actor string) ([]engine.Request, error) {
	meant := slices.Clone(cfg.ACLs)
	if len(o.acls) > 0 {
		meant = slices.DeleteFunc(meant, func(a config.ACL) bool { return !slices.Contains(o.acls, a.ID) && !slices.Contains(o.acls, a.Name) })
	}
	for _, n := range o.acls {
		if !slices.ContainsFunc(cfg.ACLs, func(a config.ACL) bool { return n == a.ID || n == a.Name }) {
			return nil, usageError(fmt.Errorf("--acl %s: there is no such network ACL in the configuration", clean(n)))
		}
	}
	var out []engine.Request
	for _, d := range o.directions {
		r := engine.Request{Prefix: o.prefix, Direction: d, TTL: o.life, Actor: actor, Reason: o.reason}
		meant = slices.DeleteFunc(meant, func(a config.ACL) bool {
			takes := slices.ContainsFunc(a.Directions, func(x firewall.Direction) bool { return alertDirection(x) == d })
			if takes {
				r.ACLs = append(r.ACLs, a.ID)
			}
			return takes
		})
		if len(r.ACLs) > 0 {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return nil, usageError(fmt.Errorf("no network ACL takes entries for %s traffic: change directions of [[acl]], or --direction", o.directions[0]))
	}
	return out, nil
}

func alertDirection(d firewall.Direction) alert.Direction {
	if d == firewall.Ingress {
		return alert.Inbound
	}
	return alert.Outbound
}

func (o *blockOptions) block(ctx context.Context, s *session) error {
	wanted, err := o.requests(s.cfg, s.actor)
	if err != nil {
		return err
	}
	if err := s.readable(s.now); err != nil {
		return err
	}
	if err := confirmed(o.prefix, s.cfg.Limits, o.confirm, "block"); err != nil {
		return err
	}
	s.warnGuard()
	t := &tally{s: s}
	var ready []engine.Request
	for _, r := range wanted {
		if o.showRequest(ctx, s, t, r) {
			ready = append(ready, r)
		}
	}
	if len(ready) == 0 {
		return t.end()
	}
	if err := s.mayCarryOut(ctx, true); err != nil {
		return err
	}
	var ids []blocklist.ID
	for _, r := range ready {
		if id, ok := o.carryOut(ctx, s, t, r); ok {
			ids = append(ids, id)
		}
	}
	switch {
	case len(ids) == 0:
	case o.noWait && !o.json:
		fmt.Fprintln(s.out, s.later())
	case !o.noWait:
		t.await(ctx, ids)
	}
	return t.end()
}

// showRequest shows what a block would do; it says whether to go on.
func (o *blockOptions) showRequest(ctx context.Context, s *session, t *tally, r engine.Request) bool {
	l := decisionLine{CIDR: r.Prefix.String(), Direction: r.Direction.String()}
	p, err := s.engine.PlanBlock(ctx, r)
	if err != nil {
		t.fail(l, o.explain(s, err))
		return false
	}
	l = lineOf(p.Block)
	l.Result, l.Effect, l.Effects = "shown", p.Digest, newProposalLine(p, nil).Effects
	why := ""
	switch {
	case p.Blocked != "":
		t.fail(l, fmt.Errorf("%s: %s", p.Prefix, p.Blocked))
		return false
	case o.dryRun:
		why = "nothing was done, as --dry-run says"
	case !o.yes && waits(p):
		why = "nothing was done, as it would wait for a slot; --yes does it, and pin gives it one"
	case !o.yes && costly(p):
		why = "nothing was done, as it costs something; --yes does it"
	}
	if !o.json {
		var b strings.Builder
		fmt.Fprintf(&b, "%s %s: %s\n", p.What(), p.Direction, denied(p.Prefix))
		writeEffect(&b, p)
		fmt.Fprint(s.out, b.String())
	}
	if why == "" {
		return true
	}
	t.say(l, why)
	if !o.dryRun {
		t.shown++
	}
	return false
}

// explain puts who and when to an error about what was decided before.
func (o *blockOptions) explain(s *session, err error) error {
	if !errors.Is(err, blocklist.ErrDecided) {
		return fmt.Errorf("not blocked: %w", err)
	}
	for _, b := range s.now.Blocks {
		if b.Prefix == o.prefix && b.State == blocklist.Active {
			return alreadyError(b.Block)
		}
	}
	return err
}

// carryOut records the proposal and its approval.
func (o *blockOptions) carryOut(ctx context.Context, s *session, t *tally, r engine.Request) (blocklist.ID, bool) {
	l := decisionLine{CIDR: r.Prefix.String(), Direction: r.Direction.String()}
	p, err := s.engine.PlanBlock(ctx, r)
	if err == nil {
		l = lineOf(p.Block)
		err = s.persist(ctx, func() error { _, err := s.engine.Propose(ctx, r); return err })
	}
	if err == nil {
		err = s.decide(ctx, p.ID, blocklist.Decision{Verb: blocklist.Approve, Reason: o.reason, Effect: p.Digest})
	}
	if errors.Is(err, blocklist.ErrDecided) {
		t.decided(ctx, string(p.ID))
		return "", false
	}
	if err != nil {
		t.fail(l, o.explain(s, err))
		return "", false
	}
	t.done++
	if o.noWait {
		l.Result, l.CarriedOutBy = "recorded", clean(s.now.Holder)
		t.say(l, fmt.Sprintf("approved %s %s", r.Prefix, r.Direction))
	}
	return p.ID, true
}
