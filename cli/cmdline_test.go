package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"charm.land/fang/v2"

	"github.com/spf13/cobra"
)

// FuzzCommandLine gives the program any command line, one argument a line, up to the
// point at which a command would begin to work: it does not panic, what is wrong is
// a usage error, and the message can be shown on a terminal.
func FuzzCommandLine(f *testing.F) {
	for _, line := range []string{"", "--headless\n--json", "plan\n--since\n24h", "history\n203.0.113.7\n--since=1h", "undo\n--last\n--yes", "guard\ncheck\n203.0.113.0/24",
		"guard\noverride\n203.0.113.7/32\n--for\n2h", "--aws_acl_id=acl-1\n--watchrule\nr", "--for\n-1s", "nope", "--\x1b[31mred", "guard\n\u202eevil", "config\nshow\n-", "--mode", "block\n::1\n--ttl\n9999999h"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\n")
		h := Host{Env: func(string) string { return "" }, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}
		root := newRoot(h)
		err := parseOnly(root, normalize(args))
		if err == nil {
			return
		}
		var out bytes.Buffer
		printError(&out, fang.Styles{}, err)
		if !utf8.Valid(out.Bytes()) {
			t.Errorf("%q: the message is not UTF-8: %q", args, out.String())
		}
		for _, r := range out.String() {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%q: the message holds %U: %q", args, r, out.String())
			}
		}
	})
}

// parseOnly does what cobra does before it runs a command.
func parseOnly(root *cobra.Command, args []string) error {
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return cmd.FlagErrorFunc()(cmd, err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	return cmd.ValidateRequiredFlags()
}
