package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// cmdManyBlocks blocks so many addresses, 203.0.113.1 and every other one after it.
func cmdManyBlocks(ts *testscript.TestScript, _ bool, args []string) {
	for i := range number(ts, args[0]) {
		a := fmt.Sprintf("203.0.113.%d", 1+2*i)
		if out := runAside(ts, append([]string{"block", a, "--json"}, args[1:]...)...); !strings.Contains(out, `"status":"present"`) {
			ts.Fatalf("%s is not blocked: %s", a, out)
		}
	}
}
