package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version says what this binary was built from.
type version struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"` // empty when it was not built from a commit
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (v version) String() string {
	s := v.Version
	switch {
	case v.Modified:
		s += " (" + v.Commit + " modified)"
	case v.Commit != "":
		s += " (" + v.Commit + ")"
	}
	return s + " " + v.Go
}

func buildVersion() version {
	v := version{Version: "development", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			v.Modified = true
		}
	}
	return v
}

func newVersion() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "version", Short: "Say what this program was built from", Args: noArgs,
		Example: "selfprotect version --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(buildVersion())
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "selfprotect", buildVersion())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}
