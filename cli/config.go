package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newConfig(h Host) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Write, show or check the configuration", Args: noArgs, Example: "selfprotect config init",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newConfigInit(h), newConfigShow(h), newConfigCheck(h))
	return cmd
}

func newConfigShow(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{
		Use: "show", Short: "Show each setting and where it comes from", Args: noArgs, Example: "selfprotect config show --config ./config.toml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(true)
			if err != nil {
				return err
			}
			if o.json {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(cfg.Sources())
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, s := range cfg.Sources() {
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.Key, s.Value, s.From)
			}
			return w.Flush()
		},
	}
	commonFlags(cmd, o)
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON")
	return cmd
}

func newConfigCheck(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{
		Use: "check", Short: "Name every mistake in the configuration", Args: noArgs, Example: "selfprotect config check --config ./config.toml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(false)
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings {
				fmt.Fprintln(cmd.OutOrStdout(), "warning:", w)
			}
			file := cfg.File
			if file == "" {
				file = "flags and environment"
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "ok:", file)
			return err
		},
	}
	commonFlags(cmd, o)
	return cmd
}
