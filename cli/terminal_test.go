package cli

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// terminal is a real terminal: tmux with one window.
type terminal struct {
	t      *testing.T
	socket string
}

// newTerminal runs a line of shell in a terminal of this size.
func newTerminal(t *testing.T, w, h int, line string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("there is no tmux here; .ci/run installs it")
	}
	x := &terminal{t: t, socket: filepath.Join(t.TempDir(), "tmux")}
	x.tmux("new-session", "-d", "-s", "x", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h), "sleep 1000")
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", x.socket, "kill-server").Run() })
	x.tmux("set-option", "-g", "remain-on-exit", "on")
	x.tmux("respawn-pane", "-k", "-t", "x", line)
	return x
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", x.socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %s: %v %s", args[0], err, out)
	}
	return string(out)
}

// press sends keys by the names that tmux has for them.
func (x *terminal) press(keys ...string) {
	x.t.Helper()
	for _, k := range keys {
		x.tmux("send-keys", "-t", "x", k)
		time.Sleep(600 * time.Millisecond) // a question listens once the keyboard is quiet
	}
}

func (x *terminal) screen() string { return x.tmux("capture-pane", "-p", "-t", "x") }

// until waits until what is asked is so; the screen is told when it never is.
func (x *terminal) until(what string, is func(screen string) bool) string {
	x.t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		s := x.screen()
		if is(s) {
			return s
		}
		if time.Now().After(end) {
			x.t.Fatalf("never so: %s\n%s", what, s)
		}
	}
}

func (x *terminal) shows(re string) string {
	x.t.Helper()
	return x.until("the screen shows "+re, regexp.MustCompile(re).MatchString)
}

// quoted is a line for the shell.
func quoted(words ...string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(out, " ")
}

// binary builds the program.
func binary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "selfprotect")
	if out, err := exec.Command("go", "build", "-o", path, "selfprotect").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// demoLine is a line of shell that runs the demo on a port that is free now, and
// says afterwards that it is over; url is where its servers are.
func demoLine(t *testing.T, env ...string) (line, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	words := append([]string{"env", "-i", "PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8", "USER=operator", "TMPDIR=" + t.TempDir()}, env...)
	words = append(words, binary(t), "demo", "--addr", addr, "--pace", "4")
	return "echo before; " + quoted(words...) + "; echo over: $?; sleep 1000", "http://" + addr
}

var wouldDeny = regexp.MustCompile(`(?m)^ \+ deny (\S+)`)

// denies says whether the network ACL of the demo denies a prefix.
func denies(t *testing.T, url, cidr string) bool {
	t.Helper()
	var acls []struct{ Entries []entry }
	if err := control(url+"/_sim/acl", "", &acls); err != nil {
		t.Fatal(err)
	}
	for _, a := range acls {
		if slices.ContainsFunc(a.Entries, func(e entry) bool { return e.Egress && e.Action == "deny" && e.CIDR == cidr && e.Number < 100 }) {
			return true
		}
	}
	return false
}

// TestDemoInATerminal runs the demo in a real terminal, approves one proposal with
// its key and denies another, and asks the simulated EC2 what became of them.
func TestDemoInATerminal(t *testing.T) {
	t.Parallel()
	line, url := demoLine(t)
	x := newTerminal(t, 120, 40, line)
	x.shows(`Proposals [4-9]`)
	x.press("2")
	x.shows(`(?m)^ \+ deny `)

	decide := func(key string) string {
		for range 5 {
			m := wouldDeny.FindStringSubmatch(x.screen())
			if m == nil {
				time.Sleep(time.Second)
				continue
			}
			x.press(key)
			if strings.Contains(x.screen(), "esc: cancel") { // it asks why
				x.press("known", "Enter")
			}
			time.Sleep(2 * time.Second)
			if next := wouldDeny.FindStringSubmatch(x.screen()); next == nil || next[1] != m[1] {
				return m[1]
			}
		}
		t.Fatalf("%s decides nothing:\n%s", key, x.screen())
		return ""
	}
	approved := decide("a")
	x.until("the ACL denies "+approved, func(string) bool { return denies(t, url, approved) })
	refused := decide("d")
	if approved == refused {
		t.Fatalf("both decisions are about %s", approved)
	}
	x.press("3")
	x.shows(`blocked .*` + regexp.QuoteMeta(approved))
	x.shows(`denied .*` + regexp.QuoteMeta(refused))
	if !denies(t, url, approved) || denies(t, url, refused) {
		t.Errorf("the ACL denies %s: %v, and %s: %v", approved, denies(t, url, approved), refused, denies(t, url, refused))
	}

	x.press("C-c")
	s := x.shows(`over: 0`)
	if !strings.Contains(s, "before") || strings.Contains(s, "REVIEW") {
		t.Errorf("the terminal is not as it was:\n%s", s)
	}
}

// TestNoColorInATerminal: NO_COLOR with any value leaves no colour, also in the demo.
func TestNoColorInATerminal(t *testing.T) {
	t.Parallel()
	line, _ := demoLine(t, "NO_COLOR=false", "COLORTERM=truecolor")
	x := newTerminal(t, 100, 30, line)
	x.shows(`Proposals [1-9]`)
	styled := x.tmux("capture-pane", "-p", "-e", "-t", "x")
	if m := regexp.MustCompile(`\x1b\[[0-9;:]*\b(3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;:]*m`).FindString(styled); m != "" {
		t.Errorf("a colour: %q", m)
	}
	if !strings.Contains(styled, "\x1b[7m") {
		t.Error("nothing is reversed: the cursor cannot be seen")
	}
}
