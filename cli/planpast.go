package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/config"
	"selfprotect/engine"
	"selfprotect/firewall"
	"selfprotect/journal"
	"selfprotect/policy"
	"selfprotect/replay"
	"selfprotect/threatstack"
)

// pastOptions are the flags of plan that look back.
type pastOptions struct {
	since       string
	rules       []string
	maxRequests int
	every       bool
}

func (p *pastOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.since, "since", "", "replay the past instead, from so long ago, such as 30d or 12h")
	f.StringArrayVar(&p.rules, "rule", nil, "id of the rule to replay (default: every watched one); may be repeated")
	f.IntVar(&p.maxRequests, "max-requests", threatstack.DefaultPastRequests, "with --since: the most requests to the alert API")
	f.BoolVar(&p.every, "all", false, "with --since: list every address, not the first of each kind")
}

// longestPast is how long the alert source keeps alerts.
const longestPast = 365 * 24 * time.Hour

func (p *pastOptions) span() (time.Duration, error) {
	d, err := config.ParseDuration(p.since)
	if err != nil || d <= 0 || d > longestPast {
		return 0, usageError(fmt.Errorf("--since %s is no time such as 30d or 12h, at most 365d", clean(p.since)))
	}
	return d, nil
}

// past replays the past of the rules and shows what would have been done.
func (o *options) past(cmd *cobra.Command, p *pastOptions) error {
	span, err := p.span()
	if err != nil {
		return err
	}
	o.flags.WatchRules = append(o.flags.WatchRules, p.rules...)
	if o.flags.Mode == "" {
		o.flags.Mode = policy.Auto.String() // as if it were armed
	}
	cfg, err := o.load(false)
	if err != nil {
		return err
	}
	for i := range cfg.Watches {
		cfg.Watches[i].Mode = cfg.Mode // one mode for all: it is the question
	}
	parts, err := o.planParts(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	r := &pastRun{o: o, parts: parts, cfg: cfg, until: time.Now(), stderr: cmd.ErrOrStderr()}
	r.from = r.until.Add(-span)
	report, err := r.run(cmd.Context(), p)
	if err != nil {
		return err
	}
	if o.json {
		return writeJSON(cmd.OutOrStdout(), report)
	}
	most := 10
	if p.every {
		most = len(report.Addresses)
	}
	_, err = io.WriteString(cmd.OutOrStdout(), report.text(most))
	return err
}

// pastReport is a replay in the form that programs read.
type pastReport struct {
	Rules []pastRule `json:"rules"`
	replay.Report
	Unread   int      `json:"unread"` // alerts whose events were not read
	Requests int      `json:"requests"`
	Notes    []string `json:"notes,omitempty"`
}

type pastRule struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Alerts int    `json:"alerts"`
}

// pastRun is a look into the past on its way.
type pastRun struct {
	o           *options
	parts       *parts
	cfg         *config.Config
	from, until time.Time
	stderr      io.Writer
	out         pastReport
	told        time.Time
}

func (r *pastRun) note(format string, args ...any) {
	r.out.Notes = append(r.out.Notes, clean(fmt.Sprintf(format, args...)))
}

func (r *pastRun) run(ctx context.Context, p *pastOptions) (*pastReport, error) {
	alerts, err := r.alerts(ctx, p.maxRequests)
	if err != nil {
		return nil, err
	}
	acls, guarded := r.acls(ctx)
	pol, err := policy.New(r.cfg.Policy(guarded...))
	if err != nil {
		return nil, usageError(err)
	}
	lim := r.cfg.Limits
	r.out.Report, err = replay.Run(replay.Config{Policy: pol.WithModes(r.cfg.Mode, policy.Auto), List: blocklist.Config{MaxTTL: lim.MaxTTL}, ACLs: acls,
		From: r.from, Until: r.until, Auto: replay.AutoLimits{PerMinute: lim.AutoPerMinute, PerHour: lim.AutoPerHour, Overall: lim.AutoOverall, GuardHits: lim.GuardHits}}, alerts)
	return &r.out, err
}

// alerts reads the past of every rule, oldest first.
func (r *pastRun) alerts(ctx context.Context, requests int) ([]alert.Alert, error) {
	var all []alert.Alert
	for _, w := range r.cfg.Watches {
		past := threatstack.Past{Rule: w.Rule, From: r.from, Until: r.until, MaxRequests: max(requests-r.out.Requests, 1), Progress: r.progress}
		got, err := r.parts.source.History(ctx, past)
		r.out.Requests += got.Requests
		if err != nil {
			r.endProgress()
			return nil, err
		}
		r.out.Rules = append(r.out.Rules, pastRule{w.Rule, clean(w.Name), len(got.Alerts)})
		r.out.Unread += got.Unread
		if got.Cut {
			r.note("the list of alerts of rule %s is not whole: --max-requests %d ended it, so that older ones are missing", w.Rule, requests)
		}
		all = append(all, got.Alerts...)
	}
	r.endProgress()
	if r.out.Unread > 0 {
		r.note("the events of %d alerts were not read, so their addresses are missing: raise --max-requests, or let the rule aggregate on dst_ip", r.out.Unread)
	}
	slices.SortStableFunc(all, func(a, b alert.Alert) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return all, nil
}

// progress tells on standard error how far it is, a few times a second at most.
func (r *pastRun) progress(p threatstack.PastProgress) {
	if p.Wait == 0 && time.Since(r.told) < 300*time.Millisecond {
		return
	}
	r.told = time.Now()
	text := fmt.Sprintf("%d alerts, events of %d of %d, %d requests", p.Alerts, p.Events, p.Due, r.out.Requests+p.Requests)
	if p.Wait > 0 {
		text += fmt.Sprintf("; waiting %s for the request budget", p.Wait.Round(time.Second))
	}
	if widthOf(r.stderr) > 0 {
		fmt.Fprintf(r.stderr, "\r\x1b[K%s", text)
		return
	}
	if p.Wait > 0 {
		fmt.Fprintln(r.stderr, "selfprotect:", text)
	}
}

func (r *pastRun) endProgress() {
	if widthOf(r.stderr) > 0 && !r.told.IsZero() {
		fmt.Fprint(r.stderr, "\r\x1b[K")
	}
}

// acls gives the ACLs as they are now, without entries of ours, and what must not be
// blocked. What cannot be read is replaced by what every VPC begins with, and told.
func (r *pastRun) acls(ctx context.Context) ([]replay.ACL, []policy.Guarded) {
	ctx, cancel := context.WithTimeout(ctx, 2*quick)
	defer cancel()
	guarded, err := r.parts.guards.guarded(ctx)
	if err != nil {
		r.note("the guard lacks addresses: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	live, err := r.parts.aws.Read(ctx)
	if err != nil {
		r.note("AWS could not be asked, so the guard lacks our own addresses and the ACL is taken to be one that allows all: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	owned := r.owned(ctx)
	var out []replay.ACL
	for _, c := range r.cfg.ACLs {
		i := slices.IndexFunc(live, func(a firewall.ACL) bool { return a.ID == c.ID })
		a := freshACL(c)
		if i >= 0 {
			a = live[i]
			guarded = append(guarded, engine.OwnNetworks(a)...)
			for _, w := range a.Warnings {
				r.note("%s", w)
			}
		}
		a.Entries = slices.DeleteFunc(slices.Clone(a.Entries), func(e firewall.Entry) bool { return ours(owned[c.ID], e) })
		l := r.cfg.Limits
		quota := cmp.Or(c.Quota, a.Quota, firewall.DefaultQuota)
		out = append(out, replay.ACL{Live: a, Limits: firewall.Limits{Quota: max(1, quota-c.Reserve), Low: c.Numbers.Low, High: c.Numbers.High,
			Margin: l.Margin, Price: l.InnocentPrice, Collateral: l.Collateral, MinBits4: l.ShortestPrefixV4, MinBits6: l.ShortestPrefixV6}})
	}
	return out, guarded
}

// freshACL is what a new network ACL is like.
func freshACL(c config.ACL) firewall.ACL {
	a := firewall.ACL{ID: c.ID, Name: c.Name, Region: c.Region}
	for _, d := range []firewall.Direction{firewall.Egress, firewall.Ingress} {
		for i, p := range []string{"0.0.0.0/0", "::/0"} {
			for _, e := range []firewall.Entry{{Number: 100 + i}, {Number: firewall.MaxNumber + 1 + i, Deny: true}} {
				e.Direction, e.Protocol = d, firewall.AllProtocols
				e.Prefix = mustPrefix(p)
				a.Entries = append(a.Entries, e)
			}
		}
	}
	a.Sort()
	return a
}

// owned gives the entries that the journal, when there is one, says are ours.
func (r *pastRun) owned(ctx context.Context) map[string][]blocklist.Owned {
	path := r.cfg.State.Path
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	out := map[string][]blocklist.Owned{}
	list := blocklist.New(blocklist.Config{})
	j, err := journal.OpenReadOnly(path)
	if err == nil {
		err = errors.Join(j.Read(ctx, 0, func(_ uint64, b []byte) error {
			e, err := blocklist.Decode(b)
			if err != nil {
				return err
			}
			return list.Apply(e)
		}), j.Close())
	}
	if err != nil {
		r.note("the journal could not be read, so entries of ours count as those of others: %s", err)
		return nil
	}
	for _, a := range r.cfg.ACLs {
		out[a.ID] = list.Owned(a.ID)
	}
	return out
}

func ours(owned []blocklist.Owned, e firewall.Entry) bool {
	return e.Deny && e.Protocol == firewall.AllProtocols && slices.ContainsFunc(owned, func(o blocklist.Owned) bool {
		outbound := e.Direction == firewall.Egress
		return o.Number == e.Number && (o.Direction == alert.Outbound) == outbound && slices.Contains(o.Prefixes, e.Prefix)
	})
}
