package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/config"
	"selfprotect/notify"
	"selfprotect/ui"
)

// options are the flags of the root command.
type options struct {
	path     string
	flags    config.Flags
	headless bool
	json     bool
	readOnly bool
	noPoll   bool // a command that only decides something leaves alerts to those that act on them
	forTime  time.Duration
	title    string     // of the window; such as demo
	notice   string     // one line below the header
	faults   []ui.Fault // what the demo can let go wrong
	// pollInterval shorter than the configuration allows, for the demo.
	pollInterval time.Duration
	readInterval time.Duration
	reloads      bool // a SIGHUP without a screen reads the configuration anew
	env          func(string) string
	terminal     bool // standard output is one
}

func newOptions(h Host) *options { return &options{env: h.Env, terminal: h.terminal()} }

func newRoot(h Host) *cobra.Command {
	o := newOptions(h)
	root := &cobra.Command{
		Use:   "selfprotect",
		Short: "Turn alerts into network ACL denies, by itself or one keypress at a time",
		Long: `selfprotect polls the alerts of a watched rule, finds the network addresses in
them, and blocks each one with a deny entry in an AWS network ACL. It asks before
each block (review), blocks by itself (auto), or only looks (observe).

Without a command it opens the console; when standard output is no terminal, or
with --headless, it writes plain lines, or JSON with --json.`,
		Example: `# watch the console on made-up alerts, without any account
selfprotect demo

# the first run: write a configuration and try it, then open the console
selfprotect config init
selfprotect

# with another configuration file
selfprotect --config ~/.config/selfprotect/config.toml

# without one
selfprotect --headless --json --mode auto --watchrule RULE --aws-acl-id ACL`,
		Args: noArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return runRoot(cmd, o) },
	}
	f := root.Flags()
	commonFlags(root, o)
	f.BoolVar(&o.headless, "headless", false, "write lines instead of opening the console")
	f.BoolVar(&o.json, "json", false, "write one JSON object a line (with --headless or without a terminal)")
	f.BoolVar(&o.readOnly, "read-only", false, "change nothing in AWS")
	f.DurationVar(&o.forTime, "for", 0, "end by itself after this time")
	f.StringVar(&o.flags.Theme, "theme", "", "auto, light, dark, mono, safe or ansi")
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("selfprotect {{.Version}}\n")
	root.AddCommand(newDemo(h), newDrill(h), newNotify(h), newCheck(h), newPlan(h), newReview(h), newBlock(h), newUnblock(h), newPin(h), newUnpin(h), newAllow(h), newUndo(h), newHistory(h),
		newAdopt(h), newCleanup(h), newExport(h), newImport(h), newGuard(h), newRule(h), newConfig(h), newVersion())
	return root
}

// commonFlags are those that every command understands which reads the
// configuration.
func commonFlags(cmd *cobra.Command, o *options) {
	f := cmd.Flags()
	f.StringVar(&o.path, "config", "", "configuration file")
	f.StringVar(&o.flags.Mode, "mode", "", "observe, review or auto")
	f.StringArrayVar(&o.flags.WatchRules, "watchrule", nil, "id of a rule to watch; may be repeated")
	f.StringArrayVar(&o.flags.ACLs, "aws-acl-id", nil, "id of a network ACL; may be repeated")
	f.StringVar(&o.flags.Region, "region", "", "region of the network ACLs")
	f.StringVar(&o.flags.Profile, "profile", "", "profile of the AWS configuration")
	f.StringVar(&o.flags.PollInterval, "poll-interval", "", "time between polls, such as 10s")
	f.StringVar(&o.flags.State, "state", "", "path of the journal")
	f.StringVar(&o.flags.Log, "log", "", "path of the log file")
}

func (o *options) load(partial bool) (*config.Config, error) {
	return config.Load(config.Options{Path: o.path, Flags: o.flags, Env: o.env, Partial: partial, Receiver: notify.Check, Console: consoleChecks()})
}

// lineMode says whether plain lines are written.
func (o *options) lineMode() bool {
	return o.headless || o.json || !o.terminal
}

func runRoot(cmd *cobra.Command, o *options) error {
	o.reloads = true
	cfg, err := o.load(false)
	if err != nil {
		return err
	}
	return o.run(cmd, cfg)
}

// run works with a configuration until it is told to stop.
func (o *options) run(cmd *cobra.Command, cfg *config.Config) error {
	if o.forTime < 0 {
		return usageError(errors.New("--for must not be below 0"))
	}
	ctx := cmd.Context()
	if o.forTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.forTime)
		defer cancel()
	}
	err := o.runUntil(ctx, cmd, cfg)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // told to stop before all was set up
	}
	return err
}

// runUntil works until ctx is done.
func (o *options) runUntil(ctx context.Context, cmd *cobra.Command, cfg *config.Config) error {
	if o.lineMode() {
		return o.runLines(ctx, cmd, cfg)
	}
	log, closeLog, err := openLog(cfg.Log)
	if err != nil {
		return err
	}
	defer closeLog()
	return o.console(ctx, cfg, log, cmd.ErrOrStderr())
}

// person names who is at the keyboard.
func person(env func(string) string) string {
	name := env("USER")
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	if name == "" {
		name = fmt.Sprintf("uid%d", os.Getuid())
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	return name + "@" + host
}
