package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/threatstack"
)

type ruleOptions struct {
	*options
	name, ruleset string
	enable        bool
	dryRun        bool
}

func newRuleCreate(h Host) *cobra.Command {
	o := &ruleOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "create", Short: "Create the rule for outbound connections, unless it is there", Args: noArgs,
		Long: `create makes the rule that watches connections to the outside: it aggregates on user,
exe and dst_ip, so that each alert names its destination. It is made disabled, as it
is noisy: enable it when its filter is narrow enough, or give --enable.

A rule of that name that is the same is left as it is. One that differs in title,
description, type, aggregate fields or filter is not changed: the difference is
shown. No other rule is ever touched.`,
		Example: "selfprotect rule create --dry-run\nselfprotect rule create --name 'Self Protect: Student1' --ruleset 'Base Rule Set'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.create(cmd) },
	}
	sourceFlags(cmd, o.options)
	f := cmd.Flags()
	f.StringVar(&o.name, "name", labRuleName, "name of the rule; its title begins with it")
	f.StringVar(&o.ruleset, "ruleset", "", "id or name of the ruleset (default: the only one, or Base Rule Set)")
	f.BoolVar(&o.enable, "enable", false, "make it enabled")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the request and send nothing")
	f.BoolVar(&o.json, "json", false, "write the rule as JSON")
	return cmd
}

func newRuleEnable(h Host) *cobra.Command {
	o := &ruleOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "enable [RULE]", Short: "Enable a rule", Args: cobra.MaximumNArgs(1),
		Long: `enable enables a rule, named by id or name; without a name the watched one. Everything
else of the rule is sent back as it was read. New rules take effect at the source
after 10 to 15 minutes.`,
		Example: "selfprotect rule enable 448889bf-eb81-11ec-b41e-1734e5d9feb0\nselfprotect rule enable --dry-run",
		RunE:    func(cmd *cobra.Command, args []string) error { return o.enableRule(cmd, args) },
	}
	sourceFlags(cmd, o.options)
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show the request and send nothing")
	cmd.Flags().BoolVar(&o.json, "json", false, "write the rule as JSON")
	return cmd
}

func (o *ruleOptions) create(cmd *cobra.Command) error {
	if strings.TrimSpace(o.name) == "" {
		return usageError(errors.New("--name must not be empty"))
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), ruleTimeout)
	defer cancel()
	b, err := o.openRules(ctx, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	spec := newLabRule(o.name)
	spec.Enabled = o.enable
	if f, there, err := b.same(spec); err != nil || there {
		return o.told(cmd, f, "it is there already, and was left as it is", err)
	}
	set, err := b.ruleset(o.ruleset)
	if err != nil {
		return err
	}
	req, err := threatstack.NewRule(set.ID, spec)
	if err != nil {
		return err
	}
	if o.dryRun {
		return o.show(cmd.OutOrStdout(), b, req)
	}
	f, err := b.write(ctx, req, func() (foundRule, bool, error) { return b.same(spec) })
	return o.told(cmd, f, "created in "+string(set.Name), err)
}

// ruleset gives the one that a text names, or the one that goes without saying.
func (b *ruleBook) ruleset(text string) (threatstack.Ruleset, error) {
	if text == "" && len(b.sets) == 1 {
		return b.sets[0], nil
	}
	var names []string
	for _, s := range b.sets {
		if text != "" && s.ID == text || strings.EqualFold(string(s.Name), text) || text == "" && s.Name == "Base Rule Set" {
			return s, nil
		}
		names = append(names, fmt.Sprintf("%q", s.Name))
	}
	switch {
	case len(b.sets) == 0:
		return threatstack.Ruleset{}, errors.New("the organization has no ruleset that this API user may see: make one in the console of Threat Stack first")
	case text == "":
		return threatstack.Ruleset{}, usageError(fmt.Errorf("say which ruleset takes the rule with --ruleset: %s", strings.Join(names, ", ")))
	}
	return threatstack.Ruleset{}, usageError(fmt.Errorf("there is no ruleset %q: there are %s", clean(text), strings.Join(names, ", ")))
}

// same looks for a rule of that name. There may be none; one that is the same; or
// others, which is an error that says what differs.
func (b *ruleBook) same(spec threatstack.RuleSpec) (foundRule, bool, error) {
	var found []foundRule
	for _, f := range b.all() {
		if f.rule.Spec.Name == spec.Name {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return foundRule{}, false, nil
	}
	for _, f := range found {
		if len(specDiff(f.rule.Spec, spec)) == 0 {
			return f, true, nil
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "rule %s has the name %q and differs; it is not changed, and none is created: mend it by hand, or give another --name", found[0].ID, found[0].Name)
	for _, d := range specDiff(found[0].rule.Spec, spec) {
		fmt.Fprintf(&text, "\n  %s\n    is      %s\n    should  %s", d[0], clean(d[1]), clean(d[2]))
	}
	return foundRule{}, false, errors.New(text.String())
}

// specDiff gives the parts in which a rule is not the prescribed one. White space
// does not count; severity, window, threshold and suppressions are for people to
// tune.
func specDiff(is, should threatstack.RuleSpec) [][3]string {
	fields := func(s threatstack.RuleSpec) string {
		return strings.Join(slices.Sorted(slices.Values(s.Aggregates)), ", ")
	}
	var out [][3]string
	for _, p := range [][3]string{
		{"title", is.Title, should.Title}, {"description", is.Description, should.Description}, {"type", is.Type, should.Type},
		{"aggregate fields", fields(is), fields(should)}, {"filter", is.Filter, should.Filter},
	} {
		if strings.Join(strings.Fields(p[1]), " ") != strings.Join(strings.Fields(p[2]), " ") {
			out = append(out, p)
		}
	}
	return out
}

// write sends a write once. When its answer says nothing about it, look says
// whether it was carried out.
func (b *ruleBook) write(ctx context.Context, req threatstack.Request, look func() (foundRule, bool, error)) (foundRule, error) {
	r, err := b.client.WriteRule(ctx, req)
	if err == nil {
		return b.found(r), nil
	}
	if !threatstack.MayHaveHappened(err) {
		return foundRule{}, err
	}
	for _, pause := range []time.Duration{0, time.Second, 3 * time.Second} {
		select {
		case <-ctx.Done():
			return foundRule{}, fmt.Errorf("%w; whether it was done is not known: selfprotect rule show tells", err)
		case <-time.After(pause):
		}
		if b.read(ctx) != nil {
			continue
		}
		if f, there, lerr := look(); lerr == nil && there {
			return f, nil
		}
	}
	return foundRule{}, fmt.Errorf("%w; a look shows that it was not done so far: wait a minute and run the command again, which looks first", err)
}

// found gives a rule as it was written, with the name of its ruleset.
func (b *ruleBook) found(r threatstack.Rule) foundRule {
	for _, s := range b.sets {
		if s.ID == r.RulesetID {
			return newFoundRule(s, r, b.cfg)
		}
	}
	return newFoundRule(threatstack.Ruleset{}, r, b.cfg)
}

// show writes a request in place of sending it.
func (o *ruleOptions) show(w io.Writer, b *ruleBook, req threatstack.Request) error {
	_, err := fmt.Fprintf(w, "%s %s%s\n%s\nnothing was sent\n", req.Method, b.cfg.ThreatStack.BaseURL, req.Path, cleanLines(req.Body))
	return err
}

// cleanLines cleans a text line by line.
func cleanLines(b []byte) string {
	lines := strings.Split(string(b), "\n")
	for i, l := range lines {
		lines[i] = clean(l)
	}
	return strings.Join(lines, "\n")
}

// told says what came of it.
func (o *ruleOptions) told(cmd *cobra.Command, f foundRule, what string, err error) error {
	out := cmd.OutOrStdout()
	switch {
	case err != nil:
		return err
	case o.json:
		return writeJSON(out, f)
	}
	fmt.Fprintf(out, "%s  %s\n%s\n%s, %s\n", f.ID, onOff(f.Enabled), f.Name, what, aggregatesText(f))
	if !f.Enabled {
		fmt.Fprintf(out, "next: selfprotect rule enable %s\n", f.ID)
	} else if !f.Watched {
		fmt.Fprintf(out, "next: selfprotect config init --rule %s\n", f.ID)
	}
	return nil
}

func aggregatesText(f foundRule) string {
	if f.hasDestination() {
		return "aggregates " + orNone(f.Aggregates)
	}
	return noDestination
}

func (o *ruleOptions) enableRule(cmd *cobra.Command, args []string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), ruleTimeout)
	defer cancel()
	b, err := o.openRules(ctx, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	name := ""
	switch {
	case len(args) == 1:
		name = args[0]
	case len(b.cfg.Watches) == 1:
		name = b.cfg.Watches[0].Rule
	default:
		return usageError(errNoRuleNamed)
	}
	f, err := b.one(name)
	if err != nil {
		return err
	}
	if f.Enabled {
		return o.told(cmd, f, "it is enabled already", nil)
	}
	req, err := f.rule.Enable()
	if err != nil {
		return err
	}
	if o.dryRun {
		return o.show(cmd.OutOrStdout(), b, req)
	}
	id := f.ID
	f, err = b.write(ctx, req, func() (foundRule, bool, error) {
		now, err := b.one(id)
		return now, now.Enabled, err
	})
	return o.told(cmd, f, "enabled", err)
}
