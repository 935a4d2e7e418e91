package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/config"
	"selfprotect/firewall"
	"selfprotect/firewall/nacl"
	"selfprotect/threatstack"
)

// finding is one line of check.
type finding struct {
	What   string `json:"what"`
	Result string `json:"result"` // ok, warn or fail
	Detail string `json:"detail"`
}

func newCheck(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{
		Use: "check", Short: "Try every precondition and say what to mend", Args: noArgs,
		Long: `check tries what a run needs: credentials, the alert API, the watched rules, AWS
identity, the network ACLs, quotas, permissions (by DryRun), free slots. It changes
nothing. Exit code 0 when nothing fails, 3 otherwise.`,
		Example: "selfprotect check\nselfprotect check --json --watchrule RULE --aws-acl-id ACL",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runCheck(cmd, o) },
	}
	commonFlags(cmd, o)
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON")
	return cmd
}

func runCheck(cmd *cobra.Command, o *options) error {
	cfg, err := o.load(false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
	defer cancel()
	c := &checker{}
	for _, w := range cfg.Warnings {
		c.add("configuration", "warn", "%s", w)
	}
	c.guard(cfg)
	c.source(ctx, cfg)
	c.aws(ctx, cfg)
	if err := cmd.Context().Err(); err != nil {
		return fmt.Errorf("stopped before every check was made: %w", err)
	}
	if err := c.print(cmd.OutOrStdout(), o.json); err != nil {
		return err
	}
	if c.failed {
		return credentialError(errSilent)
	}
	return nil
}

// checker gathers findings.
type checker struct {
	findings []finding
	failed   bool
}

func (c *checker) add(what, result, format string, args ...any) {
	c.failed = c.failed || result == "fail"
	c.findings = append(c.findings, finding{what, result, clean(fmt.Sprintf(format, args...))})
}

// ok adds a line by whether there is an error.
func (c *checker) ok(what string, err error, detail string) bool {
	if err != nil {
		c.add(what, "fail", "%s", err)
		return false
	}
	c.add(what, "ok", "%s", detail)
	return true
}

func (c *checker) guard(cfg *config.Config) {
	r, err := readRanges(rangesPath(cfg))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.add("guard", "warn", "%s", errNoRanges)
	case err != nil:
		c.add("guard", "fail", "%s", err)
	case time.Since(r.Made) > oldRanges:
		c.add("guard", "warn", "the address ranges of AWS's services are of %s: selfprotect guard update renews them", r.Made.Format("2006-01-02"))
	default:
		c.add("guard", "ok", "%d prefixes of AWS's services (%s)", len(r.Entries), r.Made.Format("2006-01-02"))
	}
}

func (c *checker) source(ctx context.Context, cfg *config.Config) {
	creds, err := cfg.Credentials()
	if !c.ok("alert API credentials", err, creds.From) {
		return
	}
	for _, w := range creds.Warnings {
		c.add("alert API credentials", "warn", "%s", w)
	}
	client, err := newSource(cfg)
	if !c.ok("alert API address", err, cfg.ThreatStack.BaseURL) {
		return
	}
	if !c.ok("alert API self-test", client.SelfTest(ctx), "signature accepted") {
		return
	}
	s := client.Status()
	c.add("clock", "ok", "%s from the alert API's", s.ClockOffset.Round(time.Second))
	for _, w := range cfg.Watches {
		c.rule(ctx, client, w)
	}
	agents, err := client.OnlineAgents(ctx)
	if c.ok("agents", err, fmt.Sprintf("%d online", len(agents))) && len(agents) == 0 {
		c.add("agents", "warn", "none is online: no alert will arise")
	}
}

func (c *checker) rule(ctx context.Context, client *threatstack.Client, w config.Watch) {
	what := "rule " + w.Rule
	r, err := client.Rule(ctx, w.Rule)
	var e *threatstack.Error
	switch {
	case errors.As(err, &e) && e.Kind == threatstack.NotFound:
		c.add(what, "fail", "there is no such rule in this organization: check its id")
	case err != nil:
		c.add(what, "fail", "%s", err)
	case !r.Enabled:
		c.add(what, "warn", "%s: it is not enabled", r.Name)
	default:
		c.add(what, "ok", "%s", r.Name)
	}
}

func (c *checker) aws(ctx context.Context, cfg *config.Config) {
	b, err := newFirewall(ctx, cfg, false)
	if err != nil {
		c.add("AWS", "fail", "%s", err)
		return
	}
	for _, id := range b.Identity(ctx) {
		c.ok("AWS identity "+id.Region, id.Err, id.ARN)
		if !id.Expires.IsZero() {
			c.add("AWS credentials", "ok", "valid until %s", id.Expires.UTC().Format(time.RFC3339))
		}
	}
	acls, err := b.Read(ctx)
	if err != nil {
		c.add("network ACLs", "fail", "%s", err)
	}
	for _, a := range acls {
		c.acl(a, cfg, b)
	}
	for _, p := range b.Probe(ctx) {
		c.permission(p)
	}
}

func (c *checker) acl(a firewall.ACL, cfg *config.Config, b *nacl.Backend) {
	for _, configured := range cfg.ACLs {
		if configured.ID == a.ID {
			read, err := b.Quota(a.ID)
			c.slots(a, configured, c.quota(configured, read, err))
		}
	}
	if len(a.Subnets) == 0 {
		c.add(a.ID, "warn", "no subnet uses it: its entries have no effect")
	}
	for _, w := range a.Warnings {
		c.add(a.ID, "warn", "%s", w)
	}
}

// quota says which quota holds and where it is from: the configuration, what was
// read, or the default, and then the error says why.
func (c *checker) quota(configured config.ACL, read int, err error) int {
	switch {
	case configured.Quota > 0 && err == nil && configured.Quota > read:
		c.add(configured.ID, "warn", "quota %d (configuration), but Service Quotas says %d", configured.Quota, read)
		return configured.Quota
	case configured.Quota > 0:
		c.add(configured.ID, "ok", "quota %d (configuration)", configured.Quota)
		return configured.Quota
	case err == nil:
		c.add(configured.ID, "ok", "quota %d (Service Quotas)", read)
		return read
	}
	c.add(configured.ID, "ok", "quota %d (default; %s)", firewall.DefaultQuota, err)
	return firewall.DefaultQuota
}

// slots says what is free for each direction and family.
func (c *checker) slots(a firewall.ACL, configured config.ACL, quota int) {
	usable := quota - configured.Reserve
	for _, d := range configured.Directions {
		for _, f := range []firewall.Family{firewall.IPv4, firewall.IPv6} {
			free := usable - a.Count(d, f)
			result := "ok"
			if free <= 0 {
				result = "warn"
			}
			c.add(a.ID, result, "%s %s: %d of %d entries free", d, f, max(free, 0), usable)
		}
	}
}

func (c *checker) permission(p nacl.Permission) {
	if p.Allowed {
		c.add(p.ACL, "ok", "%s is allowed", p.Action)
		return
	}
	c.add(p.ACL, "fail", "%s: %s", p.Action, p.Sentence)
}

func (c *checker) print(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(c.findings)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range c.findings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Result, f.What, f.Detail)
	}
	return w.Flush()
}
