package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/config"
	"selfprotect/threatstack"
)

// ruleTimeout bounds a command about rules: a few lists, and one write.
const ruleTimeout = time.Minute

// newLabRule is the rule that the lab prescribes, of a name.
func newLabRule(name string) threatstack.RuleSpec {
	return threatstack.RuleSpec{
		Name: name, Type: "Host", Severity: 3, Window: 24 * time.Hour, Threshold: 1,
		Title: name + ": {{exe}} ran by user {{user}} connected to {{dst_ip}}",
		Description: "This alerts when a program connects to an external server's service. An example is a wget/curl to an external HTTP server. " +
			"This could be used for data exfiltration. Depending on your environment this could be VERY noisy. " +
			"We recommend adding to the rule filter to focus scope of the rule.",
		Aggregates: []string{"user", "exe", "dst_ip"},
		Filter: `event_type = "audit" and syscall = "connect" and (connection.dst_addr != "127.0.0.0/8" and connection.dst_addr != "::1/128" ` +
			`and connection.dst_addr != "::" and connection.dst_addr != "0.0.0.0" and connection.dst_addr != "169.254.0.0/16")`,
	}
}

const labRuleName = "Self Protect: Network: Outbound Connection (Connects) to WAN"

func newRule(h Host) *cobra.Command {
	cmd := &cobra.Command{Use: "rule", Short: "Show, create and enable rules of the alert source", Args: noArgs,
		Example: "selfprotect rule show\nselfprotect rule create --dry-run\nselfprotect rule enable RULE",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newRuleShow(h), newRuleCreate(h), newRuleEnable(h))
	return cmd
}

// foundRule is a rule with its place, in the form that programs read.
type foundRule struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Ruleset     string   `json:"ruleset"`
	RulesetID   string   `json:"ruleset_id"`
	Enabled     bool     `json:"enabled"`
	Watched     bool     `json:"watched"`
	Type        string   `json:"type,omitempty"`
	Severity    int      `json:"severity,omitempty"`
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	Aggregates  []string `json:"aggregates"`
	Filter      string   `json:"filter,omitempty"`
	Window      string   `json:"window,omitempty"`

	rule threatstack.Rule
}

func newFoundRule(set threatstack.Ruleset, r threatstack.Rule, cfg *config.Config) foundRule {
	f := foundRule{ID: r.ID, Name: string(r.Name), Ruleset: string(set.Name), RulesetID: r.RulesetID, Enabled: r.Enabled, Severity: r.Severity,
		Type: clean(r.Spec.Type), Title: string(r.Title), Description: clean(r.Spec.Description), Aggregates: []string{}, Filter: clean(r.Spec.Filter), rule: r}
	f.Watched = slices.ContainsFunc(cfg.Watches, func(w config.Watch) bool { return w.Rule == r.ID })
	for _, a := range r.Aggregates {
		f.Aggregates = append(f.Aggregates, clean(a))
	}
	if r.Window > 0 {
		f.Window = shortDuration(r.Window)
	}
	return f
}

// shortDuration writes a duration without its empty parts.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ruleBook is every rule of the organization, and how to ask for more.
type ruleBook struct {
	cfg    *config.Config
	client *threatstack.Client
	sets   []threatstack.Ruleset
}

// openRules loads the configuration, which needs no watch and no ACL, and lists
// the rules.
func (o *options) openRules(ctx context.Context, stderr io.Writer) (*ruleBook, error) {
	cfg, err := o.load(true)
	if err != nil {
		return nil, err
	}
	b := &ruleBook{cfg: cfg}
	if b.client, err = newSource(cfg); err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(stderr, "selfprotect: warning:", clean(w))
	}
	return b, b.read(ctx)
}

func (b *ruleBook) read(ctx context.Context) (err error) {
	b.sets, err = b.client.Rulesets(ctx)
	return err
}

// all gives every rule, by ruleset and name.
func (b *ruleBook) all() []foundRule {
	var out []foundRule
	for _, s := range b.sets {
		for _, r := range s.Rules {
			out = append(out, newFoundRule(s, r, b.cfg))
		}
	}
	return out
}

// named gives the rules whose id or name is a text.
func (b *ruleBook) named(text string) []foundRule {
	var out []foundRule
	for _, f := range b.all() {
		if f.ID == text {
			return []foundRule{f}
		}
		if f.rule.Spec.Name == text || f.Name == text {
			out = append(out, f)
		}
	}
	return out
}

// one gives the rule that an id or a name names, alone.
func (b *ruleBook) one(text string) (foundRule, error) {
	found := b.named(text)
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return foundRule{}, credentialError(fmt.Errorf("there is no rule %q in this organization: selfprotect rule show lists them", clean(text)))
	}
	return foundRule{}, usageError(fmt.Errorf("%d rules are named %q: name one by its id (selfprotect rule show)", len(found), clean(text)))
}

func newRuleShow(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{
		Use: "show [RULE...]", Short: "List the rules of the alert source, or show some whole",
		Long: `show lists every rule that the API user may see: whether it is enabled, its severity,
id, name and aggregate fields. A rule that is named, by id or by name, is shown whole.`,
		Example: "selfprotect rule show\nselfprotect rule show 448889bf-eb81-11ec-b41e-1734e5d9feb0 --json",
		RunE:    func(cmd *cobra.Command, args []string) error { return o.showRules(cmd, args) },
	}
	sourceFlags(cmd, o)
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON")
	return cmd
}

// sourceFlags are those of commands that speak to the alert source alone.
func sourceFlags(cmd *cobra.Command, o *options) {
	f := cmd.Flags()
	f.StringVar(&o.path, "config", "", "configuration file")
	f.StringArrayVar(&o.flags.WatchRules, "watchrule", nil, "id of a rule that is watched; may be repeated")
}

func (o *options) showRules(cmd *cobra.Command, names []string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), ruleTimeout)
	defer cancel()
	b, err := o.openRules(ctx, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	rules := b.all()
	if len(names) > 0 {
		rules = nil
		for _, n := range names {
			f, err := b.one(n)
			if err != nil {
				return err
			}
			rules = append(rules, f)
		}
	}
	if o.json {
		return writeJSON(cmd.OutOrStdout(), slices.Concat([]foundRule{}, rules))
	}
	var text strings.Builder
	if len(names) == 0 {
		listRules(&text, rules)
	}
	for i, f := range rules {
		if len(names) > 0 {
			if i > 0 {
				text.WriteString("\n")
			}
			f.whole(&text)
		}
	}
	_, err = io.WriteString(cmd.OutOrStdout(), text.String())
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// listRules is the short form, by ruleset, in less than 80 columns but for names.
func listRules(b *strings.Builder, rules []foundRule) {
	set := ""
	for _, f := range rules {
		if f.RulesetID != set {
			set = f.RulesetID
			fmt.Fprintf(b, "%s (ruleset %s)\n", f.Ruleset, set)
		}
		fmt.Fprintf(b, "  %-8s  %s", onOff(f.Enabled), f.ID)
		if f.Severity > 0 {
			fmt.Fprintf(b, "  severity %d", f.Severity)
		}
		if f.Watched {
			b.WriteString("  watched")
		}
		fmt.Fprintf(b, "\n            %s\n            aggregates %s\n", f.Name, orNone(f.Aggregates))
	}
	if len(rules) == 0 {
		b.WriteString("no rules: selfprotect rule create makes one\n")
	}
}

func onOff(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// whole writes everything of a rule.
func (f foundRule) whole(b *strings.Builder) {
	for _, l := range [][2]string{
		{"id", f.ID}, {"name", f.Name}, {"ruleset", f.Ruleset + " (" + f.RulesetID + ")"}, {"state", onOff(f.Enabled)}, {"type", f.Type},
		{"severity", fmt.Sprint(f.Severity)}, {"title", f.Title}, {"description", f.Description}, {"aggregates", orNone(f.Aggregates)},
		{"filter", f.Filter}, {"window", f.Window},
	} {
		if l[1] != "" {
			fmt.Fprintf(b, "%-11s  %s\n", l[0], l[1])
		}
	}
	if !f.hasDestination() {
		fmt.Fprintf(b, "%-11s  %s\n", "note", noDestination)
	}
}

// noDestination is what it costs when a rule does not aggregate on an address.
const noDestination = "it does not aggregate on an address (dst_ip): each alert costs a request more, and further destinations join old alerts"

// hasDestination says whether each alert of the rule names its address itself.
func (f foundRule) hasDestination() bool { return hasAddressField(f.rule.Aggregates) }

func hasAddressField(aggregates []string) bool {
	return slices.ContainsFunc(aggregates, func(a string) bool {
		switch a {
		case "dst_ip", "src_ip", "ip", "connection.dst_addr", "connection.src_addr", "connection.addr", "dst_ipv6", "src_ipv6":
			return true
		}
		return false
	})
}

var errNoRuleNamed = errors.New("name a rule, by id or by name: selfprotect rule show lists them")
