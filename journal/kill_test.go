//go:build unix

package journal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"selfprotect/journal"
)

// The test binary is its own helper: with this variable set it plays one of the
// parts below on the journal whose path follows the colon.
const partVariable = "JOURNAL_TEST_PART"

func TestMain(m *testing.M) {
	part, path, ok := strings.Cut(os.Getenv(partVariable), ":")
	if !ok {
		os.Exit(m.Run())
	}
	parts := map[string]func(string) error{"append": partAppend, "nobody": partNobody, "small": partSmall}
	if err := parts[part](path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func play(t *testing.T, part, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), partVariable+"="+part+":"+path)
	return cmd
}

// partAppend appends for ever, one to three records at a time, and prints the
// first and last number of each append that was acknowledged. With other
// processes on the log it goes on where they are.
func partAppend(path string) error {
	ctx := context.Background()
	s, err := journal.Open(path)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		last, err := s.Head(ctx)
		if err != nil {
			return err
		}
		var payloads [][]byte
		for n := range i%3 + 1 {
			payloads = append(payloads, fmt.Appendf(nil, "%d of %d %d %s", n+1, i%3+1, os.Getpid(), strings.Repeat("x", i*37%5000)))
		}
		seq, err := s.Append(ctx, last, payloads...)
		if errors.Is(err, journal.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Printf("%d %d %d\n", os.Getpid(), last+1, seq)
		if i%10 == 9 {
			if err := s.SaveCheckpoint(ctx, seq, []byte(strconv.FormatUint(seq, 10))); err != nil {
				return err
			}
		}
	}
}

// acknowledged is what a killed helper has printed: whole lines only.
type acknowledged struct {
	pid         int
	first, last journal.Seq
}

func parse(t *testing.T, out io.Reader, each func()) []acknowledged {
	t.Helper()
	var all []acknowledged
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return all // the rest, if any, was cut by the kill
		}
		var a acknowledged
		if _, err := fmt.Sscan(line, &a.pid, &a.first, &a.last); err != nil {
			t.Fatalf("the helper says %q", line)
		}
		all = append(all, a)
		each()
	}
}

// TestKill kills a process that appends, at random moments, thirty times. What it
// had acknowledged is there, appends are whole, and the chain verifies.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	var all []acknowledged
	for range 30 {
		cmd := play(t, "append", path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		after, seen := 1+rand.IntN(12), 0
		wait := time.Duration(rand.IntN(1500)) * time.Microsecond // some moment in the next appends
		acks := parse(t, out, func() {
			if seen++; seen == after {
				for start := time.Now(); time.Since(start) < wait; {
				}
				_ = cmd.Process.Kill()
			}
		})
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the helper ended by itself: %v", err)
		}
		all = append(all, acks...)
		checkAcknowledged(t, path, all)
	}
	t.Logf("%d appends were acknowledged", len(all))
}

// checkAcknowledged opens the journal after the death of its writers.
func checkAcknowledged(t *testing.T, path string, all []acknowledged) {
	t.Helper()
	s := openJournal(t, path)
	defer s.Close()
	var pids []int
	want := 0 // how many more records the append under way must have
	err := s.Read(t.Context(), 0, func(seq journal.Seq, p []byte) error {
		var n, of, pid int
		if _, err := fmt.Sscanf(string(p), "%d of %d %d", &n, &of, &pid); err != nil {
			return fmt.Errorf("record %d: %.40q: %w", seq, p, err)
		}
		if want == 0 && n != 1 || want > 0 && n != of-want+1 {
			return fmt.Errorf("record %d is %d of %d of an append, %d more were to come", seq, n, of, want)
		}
		want = of - n
		pids = append(pids, pid)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want != 0 {
		t.Fatalf("the last append lacks %d records", want)
	}
	for _, a := range all {
		for seq := a.first; seq <= a.last; seq++ {
			if seq > journal.Seq(len(pids)) || pids[seq-1] != a.pid {
				t.Fatalf("record %d was acknowledged to process %d, and is lost", seq, a.pid)
			}
		}
	}
	seq, state, ok, err := s.LoadCheckpoint(t.Context())
	if err != nil || ok && strconv.FormatUint(seq, 10) != string(state) {
		t.Fatalf("checkpoint: %d %q %v", seq, state, err)
	}
}

// TestTwoProcesses lets two processes append to one file until both have done so
// often enough, then kills both.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	count := map[int]int{}
	var cmds []*exec.Cmd
	for range 2 {
		cmd := play(t, "append", path)
		cmd.Stdout = w
		must(t, cmd.Start())
		cmds = append(cmds, cmd)
	}
	must(t, w.Close())
	acks := parse(t, lines{r, func(line string) bool {
		pid, _, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Errorf("a helper says %q", line)
			return true
		}
		count[n]++
		return len(count) == 2 && slices.Min([]int{count[cmds[0].Process.Pid], count[cmds[1].Process.Pid]}) >= 50
	}, func() {
		for _, cmd := range cmds {
			_ = cmd.Process.Kill()
		}
	}}.read(), func() {})
	for _, cmd := range cmds {
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("a helper ended by itself: %v", err)
		}
	}
	checkAcknowledged(t, path, acks)
	t.Logf("acknowledged: %v", count)
}

// lines hands lines on until enough says so, then ends what writes them and hands
// on the rest.
type lines struct {
	from   io.Reader
	enough func(line string) bool
	end    func()
}

func (l lines) read() io.Reader {
	var all strings.Builder
	ended := false
	for s := bufio.NewScanner(l.from); s.Scan(); {
		all.WriteString(s.Text() + "\n")
		if !ended && l.enough(s.Text()) {
			ended = true
			l.end()
		}
	}
	return strings.NewReader(all.String())
}

// partNobody opens a journal in a directory where it may not write. The
// superuser may write anywhere, so it becomes another user first.
func partNobody(path string) error {
	if os.Geteuid() == 0 {
		if err := errors.Join(syscall.Setgid(65534), syscall.Setuid(65534)); err != nil {
			return err
		}
	}
	for _, open := range []func(string) (*journal.SQLite, error){journal.Open, journal.OpenReadOnly} {
		s, err := open(path)
		fmt.Println(err)
		if err == nil {
			_ = s.Close()
		}
	}
	return nil
}

func TestReadOnlyDirectory(t *testing.T) {
	path := closed(t)
	dir := filepath.Dir(path)
	for _, p := range []string{path, dir, filepath.Dir(dir)} {
		must(t, os.Lchown(p, nobodyOr(os.Geteuid()), -1))
	}
	must(t, os.Chmod(dir, 0o500))
	defer func() { must(t, os.Chmod(dir, 0o700)) }()
	for _, test := range []struct{ path, open, readOnly string }{
		{path, "the file or its directory cannot be written", "the file or its directory cannot be written"},
		{filepath.Join(dir, "other.db"), "permission denied", "no such file"},
		{filepath.Join(dir, "sub", "other.db"), "permission denied", "no such file"},
	} {
		out, err := play(t, "nobody", test.path).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		first, second, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if !strings.Contains(first, test.open) || !strings.Contains(second, test.readOnly) {
			t.Errorf("%s: got %q, want %q and %q", filepath.Base(test.path), out, test.open, test.readOnly)
		}
	}
}

func nobodyOr(uid int) int {
	if uid == 0 {
		return 65534
	}
	return uid
}

// partSmall appends until the system refuses to let a file grow. It must fail
// with a clear error, and what it acknowledged must be there.
func partSmall(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 256 << 10, Max: 256 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	return partAppend(path)
}

func TestFileCannotGrow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	out, err := play(t, "small", path).Output()
	if err == nil {
		t.Fatalf("it went on: %s", out)
	}
	said := strings.Split(strings.TrimSpace(string(out)), "\n")
	if last := said[len(said)-1]; !strings.Contains(last, "the disk failed") && !strings.Contains(last, "the disk is full") {
		t.Errorf("it said %q", last)
	}
	if len(said) < 10 {
		t.Fatalf("it had hardly begun: %q", said)
	}
	acks := parse(t, strings.NewReader(strings.Join(said[:len(said)-1], "\n")+"\n"), func() {})
	checkAcknowledged(t, path, acks)
}
