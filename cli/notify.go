package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/config"
	"selfprotect/notify"
)

func newNotify(h Host) *cobra.Command {
	cmd := &cobra.Command{Use: "notify", Short: "Try the receivers of notifications", Args: noArgs, Example: "selfprotect notify test",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newNotifyTest(h))
	return cmd
}

func newNotifyTest(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{
		Use: "test [NAME]", Short: "Send each receiver, or one, a message now", Args: cobra.MaximumNArgs(1),
		Long: `test sends one message to each [[notify]] of the configuration, written with its
template, and says what became of it. Exit codes: 0 all took it, 1 one did not, 2 there
is none.`,
		Example: "selfprotect notify test\nselfprotect notify test soc --config ./config.toml",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := o.load(true)
			if err != nil {
				return err
			}
			return o.tryReceivers(cmd, cfg, args)
		},
	}
	cmd.Flags().StringVar(&o.path, "config", "", "configuration file")
	return cmd
}

// tryTimeout is how long a receiver may take in a test.
const tryTimeout = 20 * time.Second

func (o *options) tryReceivers(cmd *cobra.Command, cfg *config.Config, names []string) error {
	tried, failed := 0, 0
	for _, r := range cfg.Notify {
		if len(names) > 0 && names[0] != r.Name {
			continue
		}
		tried++
		result := "took it"
		if err := o.try(cmd.Context(), r); err != nil {
			failed, result = failed+1, err.Error()
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", clean(r.Name), result); err != nil {
			return err
		}
	}
	switch {
	case tried == 0 && len(names) > 0:
		return usageError(fmt.Errorf("no [[notify]] has the name %q", clean(names[0])))
	case tried == 0:
		return usageError(errors.New("nobody is told: add [[notify]] to the configuration, or set SELFPROTECT_NOTIFY_URL"))
	case failed > 0:
		return &exitError{exitFailure, fmt.Errorf("%d of %d receivers did not take the message", failed, tried)}
	}
	return nil
}

// try sends a receiver one message.
func (o *options) try(ctx context.Context, r config.Notify) error {
	sender, err := notify.Open(r.URL.Reveal())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return notify.Try(ctx, sender, r.Template, person(o.env))
}
