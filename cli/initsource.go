package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"selfprotect/config"
	"selfprotect/threatstack"
)

// source settles the alert source and the rules.
func (o *initOptions) source(ctx context.Context) error {
	heading(o.out, "Alert source")
	env := o.env
	if o.baseURL == "" && o.ask != nil && env("TS_API_ENDPOINT") == "" && env("TS_HOST") == "" {
		base, err := o.ask.text(ctx, "  address", threatstack.DefaultBaseURL, o.usableBase)
		if err != nil {
			return err
		}
		o.baseURL = base
	}
	cfg, err := o.sourceConfig(o.baseURL)
	if err != nil {
		return err
	}
	if o.choice.BaseURL = cfg.ThreatStack.BaseURL; o.choice.BaseURL == threatstack.DefaultBaseURL {
		o.choice.BaseURL = ""
	}
	o.choice.State, o.choice.Log = homely(cfg.State.Path), homely(cfg.Log.Path)
	if err := o.credentials(ctx, cfg); err != nil {
		return err
	}
	b := &ruleBook{cfg: cfg}
	if b.client, err = newSource(cfg); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, ruleTimeout)
	defer cancel()
	if err := b.client.SelfTest(short); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "  %s accepts the credentials\n", cfg.ThreatStack.BaseURL)
	if err := b.read(short); err != nil {
		return err
	}
	return o.chooseRules(ctx, b)
}

// sourceConfig is the configuration of the alert source alone: no file, the
// environment, and an address that outranks it.
func (o *initOptions) sourceConfig(base string) (*config.Config, error) {
	env := o.env
	return config.Load(config.Options{NoFile: true, Partial: true, Env: func(k string) string {
		if k == "TS_API_ENDPOINT" && base != "" {
			return base
		}
		return env(k)
	}})
}

func (o *initOptions) usableBase(s string) error {
	_, err := o.sourceConfig(s)
	if err == nil && strings.HasPrefix(s, "http://") {
		_, err = threatstack.New(threatstack.Config{BaseURL: s, OrganizationID: "o", UserID: "u", APIKey: "k"})
	}
	return err
}

// credentials finds those of the alert API, or asks for them and keeps them in the
// file in which they are looked for.
func (o *initOptions) credentials(ctx context.Context, cfg *config.Config) error {
	creds, err := cfg.Credentials()
	var missing *config.CredentialsError
	switch {
	case err == nil:
		fmt.Fprintf(o.out, "  credentials from %s\n", homely(creds.From))
		if creds.From == "the environment" {
			fmt.Fprintf(o.out, "  (a run needs them there too, or in %s)\n", homely(cfg.ThreatStack.Credentials))
		}
		return nil
	case !errors.As(err, &missing) || len(missing.Missing) == 0 || o.ask == nil:
		return err
	}
	path := cfg.ThreatStack.Credentials
	if _, serr := os.Lstat(path); !errors.Is(serr, os.ErrNotExist) {
		return err // it is there and lacks something: it is not ours to change
	}
	fmt.Fprintf(o.ask.out, "  There are no credentials of the alert API yet (Settings, API keys).\n  They are kept in %s with mode 0600.\n", homely(path))
	org, err := o.ask.text(ctx, "  organization id", "", plainWord)
	if err != nil {
		return err
	}
	user, err := o.ask.text(ctx, "  user id", "", plainWord)
	if err != nil {
		return err
	}
	key, err := o.ask.secret(ctx, "  API key")
	if err == nil {
		err = plainWord(key)
	}
	if err != nil {
		return err
	}
	text := fmt.Sprintf("[default]\nts_org = %s\nts_user = %s\nts_key = %s\n", org, user, key)
	if err := writeFile(path, text, false); err != nil {
		return fmt.Errorf("%s could not be written: %w; nothing was changed", homely(path), bare(err))
	}
	fmt.Fprintf(o.out, "  wrote %s\n", homely(path))
	return nil
}

// plainWord is what a Hawk header and an INI file can carry.
func plainWord(s string) error {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return errors.New("it must be letters, digits and signs without blanks or quotes")
	}
	return nil
}

// chooseRules takes the rules that flags name, or lets a person choose.
func (o *initOptions) chooseRules(ctx context.Context, b *ruleBook) error {
	heading(o.out, "Rule to watch")
	rules := b.all()
	var chosen []foundRule
	for _, name := range o.rules {
		f, err := b.one(name)
		if err != nil {
			return err
		}
		chosen = append(chosen, f)
	}
	if len(chosen) == 0 {
		var err error
		if chosen, err = o.pickRules(ctx, rules); err != nil {
			return err
		}
	}
	for _, f := range chosen {
		o.choice.Watches = append(o.choice.Watches, config.Watch{Rule: f.ID, Name: f.Name})
		o.inbound = o.inbound || slices.Contains(f.Aggregates, "src_ip") && !slices.Contains(f.Aggregates, "dst_ip")
		fmt.Fprintf(o.out, "  watches %s\n", f.Name)
		if !f.Enabled {
			fmt.Fprintf(o.out, "  it is disabled; afterwards: selfprotect rule enable %s\n", f.ID)
		}
	}
	return nil
}

// pickRules lets a person choose, or takes the one that suits.
func (o *initOptions) pickRules(ctx context.Context, rules []foundRule) ([]foundRule, error) {
	if len(rules) == 0 {
		return nil, errors.New("the organization has no rule that this API user may see: selfprotect rule create makes one")
	}
	var suits []int
	for i, f := range rules {
		if f.Enabled && slices.Contains(f.Aggregates, "dst_ip") {
			suits = append(suits, i)
		}
	}
	if o.ask == nil {
		if len(suits) == 1 {
			return []foundRule{rules[suits[0]]}, nil
		}
		var names []string
		for _, f := range rules {
			names = append(names, fmt.Sprintf("\n  --rule %s  %s", f.ID, f.Name))
		}
		return nil, usageError(fmt.Errorf("say which rule to watch:%s", strings.Join(names, "")))
	}
	var text strings.Builder
	for i, f := range rules {
		head := fmt.Sprintf("  %2d  ", i+1)
		writeWrapped(&text, head, f.Name, widthOf(o.ask.out), plainStyle)
		writeWrapped(&text, strings.Repeat(" ", len(head)), fmt.Sprintf("%s, severity %d, aggregates %s", onOff(f.Enabled), f.Severity, orNone(f.Aggregates)), widthOf(o.ask.out), plainStyle)
		writeWrapped(&text, strings.Repeat(" ", len(head)), f.ID, widthOf(o.ask.out), plainStyle)
	}
	fmt.Fprint(o.ask.out, text.String())
	def := 0
	if len(suits) > 0 {
		def = suits[0] + 1
	}
	places, err := o.ask.pick(ctx, "  number", len(rules), def)
	var out []foundRule
	for _, i := range places {
		out = append(out, rules[i])
	}
	return out, err
}
