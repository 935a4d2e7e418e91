package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func cmdFreePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(only(ts, args, "freeport NAME"), l.Addr().String())
	ts.Check(l.Close())
}

func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: get CODE URL REGEXP")
	}
	code, re := number(ts, args[0]), regexp.MustCompile(args[2])
	last := ""
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(50 * time.Millisecond) {
		r, err := http.Get(args[1])
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(r.Body)
		ts.Check(err)
		ts.Check(r.Body.Close())
		if last = fmt.Sprintf("%s\n%s", r.Status, body); r.StatusCode == code && re.Match(body) {
			return
		}
	}
	ts.Fatalf("no answer %d with %s, but %s", code, re, last)
}

func cmdReceiver(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	s.mail = make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err == nil {
			s.mail <- string(b)
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv("RECEIVER", server.URL)
}

// awaitText reads texts until one matches.
func awaitText(ts *testscript.TestScript, from chan string, re *regexp.Regexp) {
	late := time.After(patience)
	var seen []string
	for {
		select {
		case text := <-from:
			if seen = append(seen, text); re.MatchString(text) {
				return
			}
		case <-late:
			ts.Fatalf("no %s for %s, but %q; standard error: %s", re, patience, seen, stageOf(ts).stderr)
		}
	}
}

func cmdReceived(ts *testscript.TestScript, _ bool, args []string) {
	awaitText(ts, stageOf(ts).mail, regexp.MustCompile(only(ts, args, "received REGEXP")))
}

func cmdManager(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	dir, err := os.MkdirTemp("", "manager") // the path of a socket must be short
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	s.states = make(chan string, 1000)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := l.Read(buf)
			if err != nil {
				return
			}
			for state := range strings.SplitSeq(string(buf[:n]), "\n") {
				s.states <- state
			}
		}
	}()
	ts.Setenv("NOTIFY_SOCKET", path)
	ts.Setenv("WATCHDOG_USEC", "300000")
}

func cmdManaged(ts *testscript.TestScript, _ bool, args []string) {
	awaitText(ts, stageOf(ts).states, regexp.MustCompile(only(ts, args, "managed REGEXP")))
}
