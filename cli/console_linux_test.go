package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/journal"
)

// fill writes a journal with so many alerts, each with an address and its evidence.
func fill(tb testing.TB, path string, n int) {
	tb.Helper()
	log, err := journal.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, seq, now := context.Background(), uint64(0), time.Now().UTC()
	for from := 0; from < n; from += 1000 {
		var payloads [][]byte
		for i := from; i < from+1000; i++ {
			at := now.Add(-time.Duration(n-i) * time.Second)
			note := blocklist.AlertNote{ID: fmt.Sprintf("alert-%08d", i), RuleID: "rule-1", Title: "Network: Outbound Connection (Connects) to WAN: /usr/bin/curl", Severity: 1 + i%3, CreatedAt: at, AgentID: "agent-1",
				Host: alert.Text(fmt.Sprint("web-", i%20)), Events: 1, Complete: true}
			e := blocklist.Event{Kind: blocklist.Observed, At: at, Actor: "engine", Alert: &note}
			b, err := e.Encode()
			if err != nil {
				tb.Fatal(err)
			}
			payloads = append(payloads, b)
		}
		if seq, err = log.Append(ctx, seq, payloads...); err != nil {
			tb.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		tb.Fatal(err)
	}
}

// alone is a console on a journal, with services that do not answer.
func alone(tb testing.TB, binary, state string) *exec.Cmd {
	tb.Helper()
	dir := tb.TempDir()
	cmd := exec.Command(binary, "--watchrule", "rule-1", "--aws-acl-id", "acl-0123456789abcdef0", "--region", "us-east-1", "--state", state)
	for k, v := range isolated(dir) {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Env = append(cmd.Env, "TERM=xterm-256color", "TS_API_ENDPOINT=http://127.0.0.1:1", "TS_ORGANIZATION_ID=o", "TS_USER_ID=u", "TS_API_KEY=k",
		"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=s")
	return cmd
}

// memory gives what a process has in memory of its own, and of files (the program
// itself, which the kernel may drop and all its processes share), in MB.
func memory(tb testing.TB, pid int) (own, files float64) {
	tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	read := func(name string) float64 {
		_, after, _ := strings.Cut(string(b), name+":")
		kb := 0
		if _, err := fmt.Sscan(after, &kb); err != nil {
			tb.Fatal(err)
		}
		return float64(kb) / 1024
	}
	return read("RssAnon"), read("RssFile")
}

// BenchmarkConsole runs the real console on a terminal without any service and
// reports the time from exec to the first frame, and memory and processor time
// afterwards.
func BenchmarkConsole(b *testing.B) {
	program := binary(b)
	for _, n := range []int{0, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			state := filepath.Join(b.TempDir(), "journal.db")
			fill(b, state, n)
			var first, used time.Duration
			var own, files float64
			const watched = 5 * time.Second
			once := newPTY(b, usual, alone(b, program, state)) // leaves a checkpoint
			once.until(0, "NEVER")
			once.write("\x03")
			once.exits()
			for range b.N {
				start := time.Now()
				s := newPTY(b, usual, alone(b, program, state))
				s.until(0, "selfprotect")
				first += time.Since(start)
				s.until(0, "NEVER")
				time.Sleep(7 * time.Second)
				before := processorTime(b, s.cmd.Process.Pid)
				time.Sleep(watched)
				used += processorTime(b, s.cmd.Process.Pid) - before
				own, files = memory(b, s.cmd.Process.Pid)
				s.write("\x03")
				s.exits()
			}
			b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "ms/first-frame")
			b.ReportMetric(own, "MB-own")
			b.ReportMetric(files, "MB-program")
			b.ReportMetric(100*float64(used)/float64(watched)/float64(b.N), "%core")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// TestMemoryOfTheConsole holds the budget of memory with 10,000 alerts.
func TestMemoryOfTheConsole(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "journal.db")
	fill(t, state, 10_000)
	s := newPTY(t, usual, alone(t, binary(t), state))
	s.until(0, "10000")
	for range 20 { // scrolling through them makes no difference
		s.write("\x1b[6~")
		time.Sleep(300 * time.Millisecond)
	}
	own, files := memory(t, s.cmd.Process.Pid)
	t.Logf("%.0f MB of its own and %.0f MB of the program file with 10,000 alerts", own, files)
	if own > 60 {
		t.Errorf("%.0f MB with 10,000 alerts, the budget is 60", own)
	}
	s.write("\x03")
	s.exits()
	s.restored()
}
