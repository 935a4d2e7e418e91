package cli

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdEffectOf asks review list for the digest of an effect.
func cmdEffectOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: effectof NAME ADDRESS flag...")
	}
	out := runAside(ts, append([]string{"review", "list", "--json"}, args[2:]...)...)
	for line := range strings.Lines(out) {
		var p proposalLine
		ts.Check(json.Unmarshal([]byte(line), &p))
		if netip.MustParsePrefix(p.CIDR).Addr().String() == args[1] {
			ts.Setenv(args[0], p.Effect)
			return
		}
	}
	ts.Fatalf("no proposal of %s among\n%s", args[1], out)
}

// runAside runs the program in the script's environment and gives its output,
// whatever its exit code.
func runAside(ts *testscript.TestScript, args ...string) string {
	path, err := lookPath(ts, "selfprotect")
	ts.Check(err)
	cmd := exec.Command(path, args...)
	cmd.Args[0] = "selfprotect"
	cmd.Dir = ts.MkAbs(".")
	for _, k := range environment {
		cmd.Env = append(cmd.Env, k+"="+ts.Getenv(k))
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if codeOf(ts, cmd.Run()) == -1 {
		ts.Fatalf("%v was killed\n%s", args, &errs)
	}
	return out.String()
}
