package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"selfprotect/config"
	"selfprotect/policy"
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
