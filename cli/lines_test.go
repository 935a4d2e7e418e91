package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"selfprotect/engine"
)

func TestLine(t *testing.T) {
	l := engine.LogLine{ID: 1, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Event: "blocked", Text: "denied", Reason: "why",
		Prefix: netip.MustParsePrefix("203.0.113.9/32"), Alert: "a\x1b[2J\nb", RuleID: "r\u202e"}
	if got := plainLine(l); !strings.HasSuffix(got, "  blocked    denied: why\n") {
		t.Errorf("plain line %q", got)
	}
	var out bytes.Buffer
	w := &lineWriter{out: bufio.NewWriter(&out), json: true, log: func(engine.LogLine) {}}
	w.seen.fresh(&engine.Snapshot{})
	if err := w.write(&engine.Snapshot{Log: []engine.LogLine{l}}); err != nil {
		t.Fatal(err)
	}
	var j jsonLine
	if err := json.Unmarshal(out.Bytes(), &j); err != nil {
		t.Fatal(err)
	}
	if j.Time != "2026-01-02T03:04:05Z" || j.Event != "blocked" || j.CIDR != "203.0.113.9/32" || strings.ContainsAny(j.Alert+j.Rule, "\x1b\n\u202e") {
		t.Errorf("line %+v", j)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestBrokenOutput holds that the log gets every line when the output takes none.
func TestBrokenOutput(t *testing.T) {
	logged := 0
	w := &lineWriter{out: bufio.NewWriter(broken{}), log: func(engine.LogLine) { logged++ }}
	w.seen.fresh(&engine.Snapshot{})
	for id := range uint64(3) {
		if err := w.write(&engine.Snapshot{Log: []engine.LogLine{{ID: id + 1}}}); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write gave %v", err)
		}
	}
	if logged != 3 {
		t.Errorf("%d lines logged, want 3", logged)
	}
}
