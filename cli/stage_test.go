package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"selfprotect/sim"
)

// patience is how long a script waits for what should come at once.
const patience = 20 * time.Second

// stage is what the commands of one script have started.
type stage struct {
	world  *sim.World
	server *demoServer
	prog   *exec.Cmd
	stderr *bytes.Buffer
	lines  chan string
	ended  chan error
	mail   chan string // what the receiver got
	states chan string // what the service manager was told
}

// entry is an entry of a network ACL as the control path shows it.
type entry struct {
	Number   int    `json:"number"`
	Egress   bool   `json:"egress"`
	Action   string `json:"action"`
	CIDR     string `json:"cidr"`
	Protocol any    `json:"protocol"`
}

// control asks a control path of the servers and decodes the answer.
func control(url, body string, out any) error {
	var r *http.Response
	var err error
	if body == "" {
		r, err = http.Get(url)
	} else {
		r, err = http.Post(url, "application/json", strings.NewReader(body))
	}
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", r.Status, b)
	}
	return json.Unmarshal(b, out)
}

// inject adds an alert with a connection to the address.
func inject(url, address string) error {
	var id struct{ ID string }
	return control(url+"/_sim/alert", fmt.Sprintf(`{"events":[{"connection":{"dst_addr":%q,"dst_port":443}}]}`, address), &id)
}

// entries gives the entries of a network ACL.
func entries(url, acl string) ([]entry, error) {
	var acls []struct {
		ID      string
		Entries []entry
	}
	if err := control(url+"/_sim/acl", "", &acls); err != nil {
		return nil, err
	}
	for _, a := range acls {
		if a.ID == acl {
			return a.Entries, nil
		}
	}
	return nil, fmt.Errorf("no network ACL %s", acl)
}

func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	if neg || len(args) > 0 || s.server != nil {
		ts.Fatalf("usage: server (once)")
	}
	s.world = sim.NewWorld(1)
	var err error
	s.server, err = serve(s.world, "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(s.server.close)
	for _, kv := range demoEnv(s.world, s.server) {
		ts.Setenv(kv[0], kv[1])
	}
	ts.Setenv("RULE", s.world.RuleID)
	ts.Setenv("ACL", s.world.ACLID)
}

func cmdAlert(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(inject(stageOf(ts).server.url, only(ts, args, "alert ADDRESS")))
}

func cmdDenied(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	cidr := only(ts, args, "[!] denied ADDRESS") + "/32"
	all, err := entries(s.server.url, s.world.ACLID)
	ts.Check(err)
	n := 0
	for _, e := range all {
		if e.Egress && e.Action == "deny" && e.CIDR == cidr {
			n++
		}
	}
	if want := map[bool]int{false: 1, true: 0}[neg]; n != want {
		ts.Fatalf("%d denies of %s, want %d, among %+v", n, cidr, want, all)
	}
}

func cmdWrites(ts *testscript.TestScript, _ bool, args []string) {
	var got struct {
		EC2 struct{ Writes int } `json:"ec2"`
	}
	want := number(ts, only(ts, args, "writes N"))
	ts.Check(control(stageOf(ts).server.url+"/_sim/requests", "", &got))
	if got.EC2.Writes != want {
		ts.Fatalf("%d writes, want %d", got.EC2.Writes, want)
	}
}

// cmdStart keeps the lines of standard output until somebody awaits them.
func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	if neg || len(args) == 0 || s.prog != nil {
		ts.Fatalf("usage: start program arg... (one at a time)")
	}
	path, err := lookPath(ts, args[0])
	ts.Check(err)
	cmd := exec.Command(path, args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Dir = ts.MkAbs(".")
	for _, k := range environment {
		cmd.Env = append(cmd.Env, k+"="+ts.Getenv(k))
	}
	s.stderr = &bytes.Buffer{}
	cmd.Stderr = s.stderr
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	s.prog, s.lines, s.ended = cmd, make(chan string, 10_000), make(chan error, 1)
	go func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			s.lines <- in.Text()
		}
		close(s.lines)
		s.ended <- cmd.Wait()
	}()
	ts.Defer(func() { _ = cmd.Process.Kill() })
}

// environment are the variables that a program in the background gets.
var environment = []string{
	"PATH", "HOME", "USER", "TMPDIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME",
	"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2",
	"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SERVICE_QUOTAS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION",
	"TS_API_ENDPOINT", "TS_ORGANIZATION_ID", "TS_USER_ID", "TS_API_KEY",
	"SELFPROTECT_NOTIFY_URL", "NOTIFY_SOCKET", "WATCHDOG_USEC",
}

// lookPath finds a program on the path of the script.
func lookPath(ts *testscript.TestScript, name string) (string, error) {
	for dir := range strings.SplitSeq(ts.Getenv("PATH"), string(os.PathListSeparator)) {
		p := dir + string(os.PathSeparator) + name
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", fmt.Errorf("no program %q", name)
}

func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	re, err := regexp.Compile(only(ts, args, "await REGEXP"))
	ts.Check(err)
	var seen []string
	late := time.After(patience)
	for {
		select {
		case l, open := <-s.lines:
			if !open {
				ts.Fatalf("it ended without %s, after\n%s\n%s", re, strings.Join(seen, "\n"), s.stderr)
			}
			if seen = append(seen, l); re.MatchString(l) {
				return
			}
		case <-late:
			ts.Fatalf("no line %s for %s, but\n%s", re, patience, strings.Join(seen, "\n"))
		}
	}
}

func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	sig := signals[only(ts, args, "signal NAME")]
	if sig == nil {
		ts.Fatalf("no signal %s", args[0])
	}
	ts.Check(stageOf(ts).prog.Process.Signal(sig))
}

func cmdExited(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	want := number(ts, only(ts, args, "exited CODE"))
	late := time.After(patience)
	for open := true; open; {
		select {
		case _, open = <-s.lines:
		case <-late:
			ts.Fatalf("it still runs after %s", patience)
		}
	}
	if got := codeOf(ts, <-s.ended); got != want {
		ts.Fatalf("exit code %d, want %d\n%s", got, want, s.stderr)
	}
	s.prog = nil
}

func cmdEvents(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: events FILE EVENT...")
	}
	var found []string
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var l jsonLine
		ts.Check(json.Unmarshal([]byte(line), &l))
		if _, err := time.Parse(time.RFC3339Nano, l.Time); err != nil || l.Event == "" {
			ts.Fatalf("a line without time or event: %s", line)
		}
		found = append(found, l.Event)
	}
	for _, e := range args[1:] {
		if !slices.Contains(found, e) {
			ts.Fatalf("no %s among %v", e, found)
		}
	}
}
