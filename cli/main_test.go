package cli

import (
	"bytes"
	"strings"
	"testing"
)

// TestMainStreams holds that a command uses the host that it was given: its
// environment and its streams, and no terminal where there is none.
func TestMainStreams(t *testing.T) {
	for _, c := range []struct {
		args        []string
		code        int
		out, errors string
	}{
		{[]string{"version"}, exitOK, "selfprotect ", ""},
		{[]string{"--nope"}, exitUsage, "", "unknown flag: --nope"},
		{[]string{"config", "show"}, exitOK, "environment TS_API_ENDPOINT", ""},
		{nil, exitUsage, "", "no rule is watched"},
	} {
		var out, errors bytes.Buffer
		env := isolated(t.TempDir())
		env["TS_API_ENDPOINT"] = "http://127.0.0.1:1"
		code := Main(c.args, Host{Env: func(k string) string { return env[k] }, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errors})
		if code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(errors.String(), c.errors) {
			t.Errorf("%v gave %d, want %d\n%s\n%s", c.args, code, c.code, &out, &errors)
		}
		if (c.errors == "") != (errors.Len() == 0) {
			t.Errorf("%v wrote to stderr: %q", c.args, errors.String())
		}
	}
}
