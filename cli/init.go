package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/config"
	"selfprotect/firewall"
	"selfprotect/firewall/nacl"
	"selfprotect/policy"
	"selfprotect/threatstack"
)

type initOptions struct {
	*options
	rules, acls     []string
	baseURL, output string
	region, profile string
	role, mode      string
	yes             bool

	ask     *asker // nil: nobody is there to ask
	out     io.Writer
	choice  config.Choices
	inbound bool // a chosen rule is about what speaks to hosts
}

func newConfigInit(h Host) *cobra.Command {
	o := &initOptions{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "init", Short: "Write a first configuration, and try it", Args: noArgs,
		Long: `init asks for the alert source, the rule, the region and the network ACL, which it lists
with what one must know to choose, writes an annotated configuration of mode 0600,
and tries it as check does. It ends in review mode, in which a person approves each
block. It changes nothing in AWS and nothing at the alert source.

What a flag names is not asked for. Without a terminal, or with --yes, nothing is
asked: what is missing is chosen where there is one choice only. A file that is there
is replaced only after a yes, and kept beside the new one.`,
		Example: `selfprotect config init
selfprotect config init --yes --rule RULE --acl ACL --region us-east-1 --output ./config.toml`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.init(cmd) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.rules, "rule", nil, "id or name of the rule to watch; may be repeated")
	f.StringArrayVar(&o.acls, "acl", nil, "id or name of the network ACL that takes entries; may be repeated")
	f.StringVar(&o.region, "region", "", "region of the network ACL (default: the SDK's)")
	f.StringVar(&o.profile, "profile", "", "profile of the AWS configuration")
	f.StringVar(&o.role, "role", "", "ARN of a role to assume")
	f.StringVar(&o.mode, "mode", "review", "review or observe")
	f.StringVar(&o.baseURL, "base-url", "", "address of the alert API (default: TS_API_ENDPOINT, then the service's)")
	f.StringVar(&o.output, "output", "", "where to write (default: where selfprotect looks; - for standard output)")
	f.BoolVar(&o.yes, "yes", false, "ask nothing, and replace a file that is there")
	return cmd
}

func (o *initOptions) init(cmd *cobra.Command) error {
	o.out = cmd.OutOrStdout()
	if o.output == "-" {
		o.out = cmd.ErrOrStderr()
	}
	if !o.yes {
		o.ask = newAsker(cmd.InOrStdin())
	}
	if o.ask != nil {
		defer o.ask.close()
	}
	mode, err := policy.ParseMode(o.mode)
	if err != nil || mode > policy.Review {
		return usageError(fmt.Errorf("--mode %s: init ends in review or observe; arm it later, when selfprotect plan --since 30d shows what auto mode would have done", clean(o.mode)))
	}
	o.choice.Mode = mode
	ctx := cmd.Context()
	if err := o.place(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{o.source, o.network} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	text := config.Annotated(o.choice)
	if o.output == "-" {
		_, err := io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
	if err := o.write(text); err != nil {
		return fmt.Errorf("%s could not be written: %w; nothing was changed", homely(o.output), bare(err))
	}
	return o.try(cmd)
}

// place settles where the file goes, before anything is asked for in vain.
func (o *initOptions) place(ctx context.Context) error {
	if o.output == "" {
		o.output = config.FilePath(config.Options{Env: o.env})
	}
	switch o.output {
	case "":
		return usageError(errors.New("there is no home directory: say with --output where to write"))
	case "-":
		return nil
	}
	info, err := os.Lstat(o.output)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return usageError(fmt.Errorf("%s is there and is no regular file", o.output))
	case o.yes:
		fmt.Fprintf(o.out, "%s is there: it will be replaced and kept beside the new one\n", homely(o.output))
		return nil
	case o.ask == nil:
		return usageError(fmt.Errorf("%s is there already: --yes replaces it and keeps it beside the new one, --output writes elsewhere", o.output))
	}
	yes, err := o.ask.confirm(ctx, homely(o.output)+" is there. Replace it? (It is kept beside the new one)", false)
	if err == nil && !yes {
		err = errors.New("left as it is")
	}
	return err
}

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

// network settles region and network ACLs.
func (o *initOptions) network(ctx context.Context) error {
	heading(o.out, "Network ACL")
	found, err := o.discover(ctx)
	if nacl.CredentialError(err) {
		return credentialError(err)
	}
	if err != nil {
		return err
	}
	if len(found.ACLs) == 0 {
		return credentialError(fmt.Errorf("there is no network ACL in %s of this account: check region and profile", found.Region))
	}
	chosen, err := o.chooseACLs(ctx, found)
	if err != nil {
		return err
	}
	for _, a := range chosen {
		c := config.ACL{ID: a.ID, Name: a.Name, Region: found.Region, Profile: o.profile, Role: o.role}
		if o.inbound {
			c.Directions = []firewall.Direction{firewall.Egress, firewall.Ingress}
		}
		o.choice.ACLs = append(o.choice.ACLs, c)
		fmt.Fprintf(o.out, "  writes to %s %s in %s\n", a.ID, clean(a.Name), found.Region)
	}
	return nil
}

// discover lists the network ACLs of a region. A person says which one; the SDK's
// goes without saying.
func (o *initOptions) discover(ctx context.Context) (nacl.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // a person may be asked
	defer cancel()
	at := nacl.Place{Region: o.region, Profile: o.profile, Role: o.role}
	cfg := nacl.Config{AppID: "selfprotect"}
	found, err := nacl.Discover(ctx, at, cfg)
	if o.region != "" || o.ask == nil {
		return found, err
	}
	region, aerr := o.ask.text(ctx, "  region", found.Region, notEmpty)
	if aerr != nil || region == found.Region {
		return found, errors.Join(aerr, err)
	}
	at.Region = region
	return nacl.Discover(ctx, at, cfg)
}

func (o *initOptions) chooseACLs(ctx context.Context, found nacl.Found) ([]firewall.ACL, error) {
	var out []firewall.ACL
	for _, name := range o.acls {
		i := slices.IndexFunc(found.ACLs, func(a firewall.ACL) bool { return a.ID == name || a.Name == name })
		if i < 0 {
			return nil, credentialError(fmt.Errorf("there is no network ACL %q in %s of this account: check region and profile", clean(name), found.Region))
		}
		out = append(out, found.ACLs[i])
	}
	used := slices.DeleteFunc(slices.Clone(found.ACLs), func(a firewall.ACL) bool { return len(a.Subnets) == 0 })
	switch {
	case len(out) > 0:
		return out, nil
	case o.ask == nil && len(used) == 1:
		return used, nil
	case o.ask == nil:
		var names []string
		for _, a := range found.ACLs {
			names = append(names, fmt.Sprintf("\n  --acl %s  %s, of %s, %d subnets", a.ID, clean(a.Name), a.VPC, len(a.Subnets)))
		}
		return nil, usageError(fmt.Errorf("say which network ACL takes the entries:%s", strings.Join(names, "")))
	}
	fmt.Fprint(o.ask.out, listACLs(found, widthOf(o.ask.out)))
	def := 0
	if len(used) == 1 {
		def = 1 + slices.IndexFunc(found.ACLs, func(a firewall.ACL) bool { return a.ID == used[0].ID })
	}
	places, err := o.ask.pick(ctx, "  number (of the subnets through which the traffic leaves)", len(found.ACLs), def)
	for _, i := range places {
		out = append(out, found.ACLs[i])
	}
	return out, err
}

// listACLs shows what one must know to choose.
func listACLs(found nacl.Found, width int) string {
	var b strings.Builder
	for i, a := range found.ACLs {
		head := fmt.Sprintf("  %2d  ", i+1)
		below := strings.Repeat(" ", len(head))
		name := a.ID + "  " + clean(a.Name)
		if a.IsVPCDefault {
			name += "  (default of its VPC)"
		}
		writeWrapped(&b, head, name, width, plainStyle)
		quota := a.Quota
		if quota == 0 {
			quota = firewall.DefaultQuota
		}
		broad, _ := lowestAllows(a, firewall.Egress)
		allow := "no allow of everything"
		if broad.Number > 0 {
			allow = fmt.Sprintf("lowest allow %d", broad.Number)
		}
		writeWrapped(&b, below, fmt.Sprintf("of %s; egress: %d IPv4 and %d IPv6 entries free of %d, %s", a.VPC, max(quota-a.Count(firewall.Egress, firewall.IPv4), 0),
			max(quota-a.Count(firewall.Egress, firewall.IPv6), 0), quota, allow), width, plainStyle)
		writeWrapped(&b, below, "used by "+subnetsText(a.Subnets, found), width, plainStyle)
	}
	return b.String()
}

func subnetsText(ids []string, found nacl.Found) string {
	if len(ids) == 0 {
		return "no subnet"
	}
	var out []string
	for _, id := range ids {
		s := found.Subnets[id]
		text := id
		if s.Name != "" {
			text += " " + clean(s.Name)
		}
		if s.CIDR.IsValid() {
			text += " (" + s.CIDR.String() + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// write puts the file in its place, after it was read as a run would read it.
func (o *initOptions) write(text string) error {
	old := ""
	if _, err := os.Lstat(o.output); err == nil {
		if old, err = keep(o.output); err != nil {
			return err
		}
	}
	if err := writeFile(o.output, text, old != ""); err != nil {
		if old != "" {
			err = errors.Join(err, os.Remove(old))
		}
		return err
	}
	fmt.Fprintf(o.out, "\nwrote %s (mode 0600)\n", homely(o.output))
	if old != "" {
		fmt.Fprintf(o.out, "the one before is %s\n", homely(old))
	}
	return nil
}

// keep links a file to the first free name beside it.
func keep(path string) (string, error) {
	for i := range 1000 {
		old := path + ".bak"
		if i > 0 {
			old = fmt.Sprintf("%s.bak.%d", path, i)
		}
		if err := os.Link(path, old); !errors.Is(err, os.ErrExist) {
			return old, err
		}
	}
	return "", errors.New("too many old files beside it")
}

// writeFile writes a file of mode 0600 whole or not at all. One that is there is
// replaced only when that is wanted.
func writeFile(path, text string, replace bool) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".selfprotect-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if rerr := os.Remove(tmp.Name()); err == nil && !errors.Is(rerr, os.ErrNotExist) {
			err = rerr
		}
	}()
	_, err = io.WriteString(tmp, text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if replace {
		return os.Rename(tmp.Name(), path)
	}
	return os.Link(tmp.Name(), path)
}

// bare takes the name of a temporary file from an error.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// try loads the file as a run does, makes every check, and says how to go on.
func (o *initOptions) try(cmd *cobra.Command) error {
	cfg, err := config.Load(config.Options{Path: o.output, Env: o.env})
	if err != nil {
		return err
	}
	heading(o.out, "Does it work?")
	run := "selfprotect"
	if o.output != config.FilePath(config.Options{Env: o.env}) {
		run += " --config " + o.output
	}
	c := &checkOptions{options: o.options}
	if err := c.check(cmd, cfg); err != nil {
		if errors.Is(err, errSilent) {
			fmt.Fprintf(o.out, "\nThe file is written. Mend what fails, then: %s\n", strings.Replace(run, "selfprotect", "selfprotect check", 1))
		}
		return err
	}
	fmt.Fprintf(o.out, "\nIt is in %s mode: nothing is blocked without a person.\nnext: %s\n", cfg.Mode, run)
	return nil
}
