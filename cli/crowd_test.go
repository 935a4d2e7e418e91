package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/journal"
)

const (
	shells = 10 // that decide at once
	rounds = 3  // of proposals
	each   = 5  // proposals of a round
)

// TestTenShells: ten shells and a running program share a journal. Each proposal is
// decided once; whoever comes later is told who was first, and nothing else goes
// wrong. The running program tells who has decided, and carries it out.
func TestTenShells(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	told := v.headless(t)
	decided := map[string]string{} // CIDR: what and who
	for round := range rounds {
		var cidrs []string
		for i := range each {
			a := fmt.Sprintf("203.0.113.%d", 1+2*(each*round+i))
			cidrs = append(cidrs, a+"/32")
			if err := inject(v.server.url, a); err != nil {
				t.Fatal(err)
			}
		}
		told.await(ctx, t, len(cidrs)*(round+1), "proposed")
		var wg sync.WaitGroup
		answers := make([][]decisionLine, shells)
		for i := range answers {
			wg.Go(func() { answers[i] = v.shell(ctx, t, i, cidrs) })
		}
		wg.Wait()
		for i, lines := range answers {
			tallied(t, decided, i, lines)
		}
	}
	if len(decided) != rounds*each {
		t.Errorf("%d of %d are decided: %v", len(decided), rounds*each, decided)
	}
	for cidr, what := range decided {
		told.awaitOne(ctx, t, cidr, what)
		if what, _, _ := strings.Cut(what, " "); what == "approved" {
			told.awaitOne(ctx, t, cidr, "blocked ")
		}
	}
	v.decidedOnce(t, decided)
}

// shell decides all of these from a shell of its own; every other one says no.
func (v *victim) shell(ctx context.Context, t *testing.T, i int, cidrs []string) (lines []decisionLine) {
	args := []string{"review", "deny"}
	if i%2 == 0 {
		args = []string{"review", "approve", "--yes", "--no-wait"}
	}
	args = append(args, "--json", "--aws-acl-id", v.world.ACLID, "--state", v.state)
	for n := range cidrs { // each begins with another one
		args = append(args, cidrs[(n+i)%len(cidrs)])
	}
	cmd := exec.CommandContext(ctx, v.binary, args...)
	cmd.Env = append(v.env[:len(v.env):len(v.env)], "USER="+shellName(i))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != exitOK && code != exitFailure && code != exitPartial || errs.Len() > 0 {
		t.Errorf("shell %d: exit code %d\n%s", i, code, &errs)
	}
	for line := range strings.Lines(out.String()) {
		var l decisionLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Errorf("shell %d: %s: %v", i, line, err)
		}
		lines = append(lines, l)
	}
	if len(lines) != len(cidrs) {
		t.Errorf("shell %d was told %d things of %d proposals:\n%s", i, len(lines), len(cidrs), &out)
	}
	return lines
}

func shellName(i int) string { return fmt.Sprintf("shell%d", i) }

// tallied notes who has decided what, and holds that all else is "already decided".
func tallied(t *testing.T, decided map[string]string, shell int, lines []decisionLine) {
	for _, l := range lines {
		switch {
		case l.Result == "approved" || l.Result == "denied":
			if was := decided[l.CIDR]; was != "" {
				t.Errorf("%s is %s by %s, and was %s before", l.CIDR, l.Result, shellName(shell), was)
			}
			decided[l.CIDR] = l.Result + " " + shellName(shell)
		case l.Result != "failed" || !strings.Contains(l.Error, " is already decided: ") || !strings.Contains(l.Error, " by shell"):
			t.Errorf("shell %d: %s of %s: %s", shell, l.Result, l.CIDR, l.Error)
		}
	}
}

// decidedOnce holds the journal against what the shells were told.
func (v *victim) decidedOnce(t *testing.T, decided map[string]string) {
	j, err := journal.OpenReadOnly(v.state)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	times := map[string]int{}
	err = j.Read(t.Context(), 0, func(_ journal.Seq, payload []byte) error {
		e, err := blocklist.Decode(payload)
		if err != nil || e.Kind != blocklist.Approved && e.Kind != blocklist.Denied {
			return err
		}
		p, _, _ := partsOf(e.Block)
		times[p.String()]++
		if user, _, _ := strings.Cut(e.Actor, "@"); decided[p.String()] != string(e.Kind)+" "+user {
			t.Errorf("%s is %s by %s, the shells say %s", p, e.Kind, e.Actor, decided[p.String()])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for cidr := range decided {
		if times[cidr] != 1 {
			t.Errorf("%s was decided %d times", cidr, times[cidr])
		}
	}
}

// narration is what a program in the background has told so far.
type narration struct {
	mu    sync.Mutex
	lines []jsonLine
	more  chan struct{}
}

// headless runs the program in review mode until the test ends, and holds that it
// ends well.
func (v *victim) headless(t *testing.T) *narration {
	t.Helper()
	cmd := exec.Command(v.binary, "--headless", "--json", "--mode", "review", "--poll-interval", "1s",
		"--watchrule", v.world.RuleID, "--aws-acl-id", v.world.ACLID, "--state", v.state)
	cmd.Env = v.env
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	n := &narration{more: make(chan struct{}, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for in := bufio.NewScanner(out); in.Scan(); {
			var l jsonLine
			if err := json.Unmarshal(in.Bytes(), &l); err != nil {
				t.Errorf("%s: %v", in.Bytes(), err)
			}
			n.mu.Lock()
			n.lines = append(n.lines, l)
			n.mu.Unlock()
			select {
			case n.more <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the running program: %v", err)
		}
	})
	return n
}

// until waits until enough was told.
func (n *narration) until(ctx context.Context, t *testing.T, what string, enough func([]jsonLine) bool) {
	t.Helper()
	for {
		n.mu.Lock()
		done, told := enough(n.lines), len(n.lines)
		n.mu.Unlock()
		if done {
			return
		}
		select {
		case <-n.more:
		case <-ctx.Done():
			t.Fatalf("no %s among %d lines", what, told)
		}
	}
}

// await waits for so many lines of an event.
func (n *narration) await(ctx context.Context, t *testing.T, count int, event string) {
	t.Helper()
	n.until(ctx, t, event, func(lines []jsonLine) bool {
		found := 0
		for _, l := range lines {
			if l.Event == event {
				found++
			}
		}
		return found >= count
	})
}

// awaitOne waits for the line of an event about a CIDR, by a person if one is named.
func (n *narration) awaitOne(ctx context.Context, t *testing.T, cidr, what string) {
	t.Helper()
	event, who, _ := strings.Cut(what, " ")
	n.until(ctx, t, what+" of "+cidr, func(lines []jsonLine) bool {
		for _, l := range lines {
			if user, _, _ := strings.Cut(l.Actor, "@"); l.Event == event && l.CIDR == cidr && (who == "" || user == who) {
				return true
			}
		}
		return false
	})
}
