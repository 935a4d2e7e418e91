package cli

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// tests runs them, where this is not the program that they start.
type tests struct{ *testing.M }

func (m tests) Run() int {
	flag.Parse()
	// They wait for programs more than they work.
	atOnce := flag.Lookup("test.parallel").Value
	if n := runtime.GOMAXPROCS(0); atOnce.String() == strconv.Itoa(n) {
		if err := atOnce.Set(strconv.Itoa(3 * n)); err != nil {
			panic(err) // it is a number
		}
	}
	// What is started from here takes a SIGHUP also when the tests run under nohup,
	// whose programs rightly ignore it.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	return m.M.Run()
}

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){
		"selfprotect": func() { os.Exit(Main(os.Args[1:], Process())) },
	})
}

// TestScript runs each script in a directory and an environment of its own, in
// which nothing of the user's is found. Beside testscript's commands there are
//
//	exits CODE program arg...   run it and hold it to its exit code
//	server                      start the servers of a world, and set the
//	                            environment that points a client at them
//	alert ADDRESS               add an alert with a connection to the address
//	[!] denied ADDRESS          the network ACL has exactly one (no) deny for it
//	writes N                    the network ACL was written to N times
//	start program arg...        run it in the background
//	await REGEXP                read its lines until one matches
//	signal NAME                 send it INT, TERM or HUP
//	exited CODE                 wait for its end and hold it to its exit code
//	fault JSON                  set faults of the servers
//	quota N                     set how many entries the network ACL may have
//	requests ENDPOINT N         the alert API's endpoint was asked N times
//	policy FILE                 AWS denies what this IAM policy does not grant
//	record FILE JSON            append a record to a journal
//	past AGO ADDRESS            add an alert that fired some time ago
//	dismissed AGO ADDRESS       the same, and a person has dismissed it
//	idlerule                    add a rule that is not enabled: $IDLERULE
//	effect ADDRESS              wait until the network ACL denies it
//	exitedin LEAST MOST CODE    as exited, with limits for the time that it takes
//	effectof NAME CIDR flag...  set NAME to the digest that review list shows
//	manyblocks N flag...        block so many addresses from 203.0.113.1 on
//	head1 FILE                  it is an export that only its owner may read
//	sameexport FILE FILE        they hold the same records
//	newer JOURNAL               add a record of a newer version to it
//	damage FROM TO              copy an export and change one character
//	freeport NAME               find a free port: $NAME is 127.0.0.1:PORT
//	get CODE URL REGEXP         ask for it until the answer has the code and matches
//	receiver                    start a webhook receiver: $RECEIVER is its URL
//	received REGEXP             wait until one of its messages matches
//	manager                     be the service manager of what is started from now on
//	managed REGEXP              wait until it has been told a matching state
//	events FILE EVENT...        each line of the file is JSON with time and event,
//	                            and each event named is among them
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: isolate,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": cmdExits, "server": cmdServer, "alert": cmdAlert, "denied": cmdDenied, "writes": cmdWrites,
			"start": cmdStart, "await": cmdAwait, "signal": cmdSignal, "exited": cmdExited, "events": cmdEvents,
			"effectof": cmdEffectOf, "manyblocks": cmdManyBlocks, "head1": cmdHead1, "sameexport": cmdSameExport, "damage": cmdDamage, "newer": cmdNewer,
			"fault": cmdFault, "quota": cmdQuota, "idlerule": cmdIdleRule, "effect": cmdEffect, "exitedin": cmdExitedIn, "requests": cmdRequests, "policy": cmdPolicy, "record": cmdRecord, "past": cmdPast, "dismissed": cmdDismissed,
			"freeport": cmdFreePort, "get": cmdGet, "receiver": cmdReceiver, "received": cmdReceived, "manager": cmdManager, "managed": cmdManaged,
		},
	})
}

// stageKey is where a script keeps what its commands have started.
type stageKey struct{}

func isolate(e *testscript.Env) error {
	for k, v := range isolated(filepath.Join(e.WorkDir, "home")) {
		e.Setenv(k, v)
	}
	e.Values[stageKey{}] = &stage{}
	return os.MkdirAll(filepath.Join(e.WorkDir, "home"), 0o700)
}

// isolated is an environment in which nothing of the user's is found.
func isolated(home string) map[string]string {
	return map[string]string{
		"HOME": home, "USER": "operator", "XDG_CONFIG_HOME": filepath.Join(home, "config"), "XDG_STATE_HOME": filepath.Join(home, "state"),
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": "",
	}
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program arg...")
	}
	want := number(ts, args[0])
	err := ts.Exec(args[1], args[2:]...)
	if got := codeOf(ts, err); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// codeOf gives the exit code of a program that was run; one that a signal has
// ended has -1.
func codeOf(ts *testscript.TestScript, err error) int {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

// only gives the one argument of a command.
func only(ts *testscript.TestScript, args []string, usage string) string {
	if len(args) != 1 {
		ts.Fatalf("usage: %s", usage)
	}
	return args[0]
}
