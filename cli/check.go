package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/config"
	"selfprotect/firewall"
	"selfprotect/threatstack"
)

// The groups of check, in the order in which they are shown.
const (
	groupConfig   = "configuration"
	groupSource   = "alert API"
	groupAWS      = "AWS"
	groupGuard    = "guard"
	groupJournal  = "journal"
	groupTerminal = "terminal"
)

// checkTimeout bounds each group, so that a service that is dead costs its own
// answers alone; the groups work side by side.
const checkTimeout = 20 * time.Second

// What a line of check says.
const (
	resultOK   = "ok"
	resultWarn = "warn"
	resultFail = "fail"
)

// finding is one line of check. Its keys are a contract.
type finding struct {
	Group  string `json:"group"`
	What   string `json:"what"`
	Result string `json:"result"` // ok, warn or fail
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // what to do; there when it is not ok
}

type checkOptions struct {
	*options
	verify bool
}

func newCheck(h Host) *cobra.Command {
	o := &checkOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "check", Short: "Try every precondition and say what to mend", Args: noArgs,
		Long: `check tries what a run needs: credentials, the alert API and its clock, the watched
rules, the agents, AWS identity, the network ACLs, their subnets, numbers, quotas and
free slots, permissions (by DryRun), the data of the guard, the journal and its disk,
and the terminal. Each line is ok, warn or fail, and says what to do. It changes
nothing, and a service that does not answer hides no other line.

Exit code 0 when nothing fails, 3 otherwise.`,
		Example: "selfprotect check\nselfprotect check --verify\nselfprotect check --json --watchrule RULE --aws-acl-id ACL",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(false)
			if err != nil {
				return err
			}
			return o.check(cmd, cfg)
		},
	}
	commonFlags(cmd, o.options)
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON")
	cmd.Flags().BoolVar(&o.verify, "verify", false, "check the chain of the whole journal, not only its end")
	return cmd
}

// check makes every check and shows what came of it.
func (o *checkOptions) check(cmd *cobra.Command, cfg *config.Config) error {
	found := o.findings(cmd.Context(), cfg)
	if err := cmd.Context().Err(); err != nil {
		return fmt.Errorf("stopped before every check was made: %w", err)
	}
	var err error
	if o.json {
		err = writeJSON(cmd.OutOrStdout(), found)
	} else {
		err = printFindings(cmd.OutOrStdout(), found)
	}
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Result == resultFail {
			return credentialError(errSilent)
		}
	}
	return nil
}

// section is a group of checks.
type section struct {
	group string
	run   func(context.Context, *checker)
}

// findings runs the groups side by side and gives their lines in order.
func (o *checkOptions) findings(ctx context.Context, cfg *config.Config) []finding {
	acls := make(chan []firewall.ACL, 1) // for the guard, once they are read
	a := &awsCheck{cfg: own(cfg), read: acls}
	sections := []section{
		{groupConfig, func(_ context.Context, c *checker) { checkConfig(c, cfg) }},
		{groupSource, func(ctx context.Context, c *checker) { checkSource(ctx, c, own(cfg)) }},
		{groupAWS, a.check},
		{groupGuard, func(ctx context.Context, c *checker) { checkGuard(ctx, c, own(cfg), o.env, acls) }},
		{groupJournal, func(ctx context.Context, c *checker) { checkJournal(ctx, c, cfg, o.verify) }},
		{groupTerminal, func(ctx context.Context, c *checker) { checkTerminal(ctx, c, o.env, o.terminal) }},
	}
	lists := make([][]finding, len(sections))
	var wg sync.WaitGroup
	for i, s := range sections {
		limit := checkTimeout
		if o.verify && s.group == groupJournal {
			limit = time.Hour // it is as long as the journal is
		}
		wg.Go(func() { lists[i] = s.within(ctx, limit) })
	}
	wg.Wait()
	var out []finding
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// own gives a copy for one group: making a client adds warnings to its configuration.
func own(cfg *config.Config) *config.Config {
	c := *cfg
	c.Warnings = slices.Clone(cfg.Warnings)
	return &c
}

// within runs a group with a time limit. One that does not keep to it is left
// behind and said to have failed.
func (s section) within(ctx context.Context, limit time.Duration) []finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan []finding, 1)
	go func() {
		c := &checker{group: s.group}
		s.run(ctx, c)
		done <- c.findings
	}()
	select {
	case f := <-done:
		return f
	case <-time.After(limit + time.Second):
		c := &checker{group: s.group}
		c.fail(s.group, fmt.Sprintf("no answer within %s", limit), "check the network and its names (DNS), then run this again")
		return c.findings
	}
}

// checker gathers the findings of one group.
type checker struct {
	group    string
	findings []finding
}

func (c *checker) add(what, result, detail, fix string) {
	c.findings = append(c.findings, finding{c.group, clean(what), result, clean(detail), clean(fix)})
}

func (c *checker) ok(what, format string, args ...any) {
	c.add(what, resultOK, fmt.Sprintf(format, args...), "")
}
func (c *checker) warn(what, detail, fix string) { c.add(what, resultWarn, detail, fix) }
func (c *checker) fail(what, detail, fix string) { c.add(what, resultFail, detail, fix) }

// failed adds a line when there is an error. What to do is in the error's own
// words when it has some.
func (c *checker) failed(what string, err error, fix string) bool {
	if err == nil {
		return false
	}
	detail, own := inTwo(err)
	if own != "" {
		fix = own
	}
	c.fail(what, detail, fix)
	return true
}

// inTwo takes an error apart into what happened and what to do about it.
func inTwo(err error) (what, fix string) {
	var creds *config.CredentialsError
	if errors.As(err, &creds) {
		return strings.TrimPrefix(err.Error(), "threat stack credentials: "), ""
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time", "check the network, its names (DNS) and any proxy"
	}
	var api *threatstack.Error
	if errors.As(err, &api) {
		return api.Op + ": " + api.Message, api.Hint
	}
	what, fix, _ = strings.Cut(err.Error(), ": ")
	if fix == "" || len(what) < 12 || strings.HasPrefix(what, "/") {
		return err.Error(), ""
	}
	return what, fix
}

func checkConfig(c *checker, cfg *config.Config) {
	from := homely(cfg.File)
	if from == "" {
		from = "flags and environment, no file"
	}
	c.ok("configuration", "%s, mode %s", from, cfg.Mode)
	for _, w := range cfg.Warnings {
		c.warn("configuration", w, "change it if that is not what you want: selfprotect config show says where it is set")
	}
}
