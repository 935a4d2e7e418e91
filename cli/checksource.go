package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"selfprotect/alert"
	"selfprotect/config"
	"selfprotect/threatstack"
)

const (
	// clockWarn is how far clocks may differ before it is told: Hawk accepts a
	// minute.
	clockWarn = 10 * time.Second
	// agentQuiet is how long an agent that is online may be silent.
	agentQuiet = 15 * time.Minute
)

func checkSource(ctx context.Context, c *checker, cfg *config.Config) {
	creds, err := cfg.Credentials()
	if c.failed("alert API credentials", err, "selfprotect config init asks for them and keeps them in a file of mode 0600") {
		return
	}
	c.ok("alert API credentials", "from %s", withMode(creds.From))
	for _, w := range creds.Warnings {
		what, fix, _ := strings.Cut(w, "; run: ")
		c.warn("alert API credentials", what, fix)
	}
	client, err := newSource(cfg)
	if c.failed("alert API address", err, "set base_url, or TS_API_ENDPOINT") {
		return
	}
	c.ok("alert API address", "%s", cfg.ThreatStack.BaseURL)
	if c.failed("alert API self-test", client.SelfTest(ctx), "") {
		return // the others would say the same
	}
	c.ok("alert API self-test", "signature accepted, answer signed")
	checkClock(c, client.Status())
	for _, w := range cfg.Watches {
		checkRule(ctx, c, client, w)
	}
	checkAgents(ctx, c, client)
}

// withMode adds their mode to the names of files.
func withMode(places string) string {
	list := strings.Split(places, ", ")
	for i, p := range list {
		if info, err := os.Stat(p); err == nil && filepath.IsAbs(p) {
			list[i] = fmt.Sprintf("%s (mode %04o)", homely(p), info.Mode().Perm())
		}
	}
	return strings.Join(list, ", ")
}

// checkClock compares the clocks: what the service said of a stale time stamp, or
// the Date of its answer.
func checkClock(c *checker, s threatstack.Status) {
	ahead := s.ClockOffset
	if ahead == 0 && s.DateKnown {
		ahead = s.Ahead
	}
	text := "the same as the alert API's, to a second or two"
	switch {
	case !s.DateKnown && s.ClockOffset == 0:
		text = "near enough to the alert API's for its signatures"
	case ahead.Abs() > 2*time.Second && ahead > 0:
		text = fmt.Sprintf("%s behind the alert API's", ahead.Round(time.Second))
	case ahead.Abs() > 2*time.Second:
		text = fmt.Sprintf("%s ahead of the alert API's", (-ahead).Round(time.Second))
	}
	if ahead.Abs() <= clockWarn {
		c.ok("clock", "%s", text)
		return
	}
	c.warn("clock", text, "set this machine's clock (NTP): times to live and AWS's signatures depend on it")
}

func checkRule(ctx context.Context, c *checker, client *threatstack.Client, w config.Watch) {
	r, err := client.Rule(ctx, w.Rule)
	var e *threatstack.Error
	switch {
	case errors.As(err, &e) && e.Kind == threatstack.NotFound:
		c.fail("rule", fmt.Sprintf("there is no rule %s in this organization", w.Rule), "check its id: selfprotect rule show lists the rules")
		return
	case err != nil:
		detail, fix := inTwo(err)
		c.fail("rule", w.Rule+": "+detail, fix)
		return
	}
	name := fmt.Sprintf("%s (%s)", r.Name, w.Rule)
	switch {
	case !r.Enabled:
		c.warn("rule", name+" is not enabled: no alert will arise", "selfprotect rule enable "+w.Rule)
	case !hasAddressField(r.Aggregates):
		c.warn("rule", name+" does not aggregate on the destination, but on "+orNone(r.Aggregates),
			"add dst_ip to its aggregate fields, or watch the rule that selfprotect rule create makes")
	default:
		c.ok("rule", "%s, enabled, aggregates %s", name, orNone(r.Aggregates))
	}
}

func checkAgents(ctx context.Context, c *checker, client *threatstack.Client) {
	agents, err := client.OnlineAgents(ctx)
	if c.failed("agents", err, "") {
		return
	}
	if len(agents) == 0 {
		c.warn("agents", "none is online: no alert will arise", "install the agent on a host, or start it (systemctl status threatstack)")
		return
	}
	last := slices.MaxFunc(agents, func(a, b alert.Agent) int { return a.ReportedAt.Compare(b.ReportedAt) })
	text := fmt.Sprintf("%d online", len(agents))
	if last.ReportedAt.IsZero() {
		c.ok("agents", "%s", text)
		return
	}
	quiet := max(time.Since(last.ReportedAt), 0).Round(time.Second)
	text += fmt.Sprintf(", the last heard of %s ago (%s)", shortDuration(quiet), last.Hostname)
	if quiet > agentQuiet {
		c.warn("agents", text, "look at the agents in the console of Threat Stack: an online one reports every few minutes")
		return
	}
	c.ok("agents", "%s", text)
}
