package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

const (
	entersScreen = "\x1b[?1049h"
	leavesScreen = "\x1b[?1049l"
	showsCursor  = "\x1b[?25h"
)

// ptySession is a program on a pseudo terminal of its own.
type ptySession struct {
	t     testing.TB
	cmd   *exec.Cmd
	pty   *os.File
	mu    sync.Mutex
	out   bytes.Buffer
	ended chan error
	was   *unix.Termios
}

// newPTY starts a command on a terminal of this size.
func newPTY(t testing.TB, size *pty.Winsize, cmd *exec.Cmd) *ptySession {
	t.Helper()
	s := &ptySession{t: t, cmd: cmd, ended: make(chan error, 1)}
	var err error
	if s.pty, err = pty.StartWithSize(cmd, size); err != nil {
		t.Fatal(err)
	}
	s.was = s.modes()
	go func() {
		buf := make([]byte, 32<<10)
		for {
			n, err := s.pty.Read(buf)
			s.mu.Lock()
			s.out.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return // the other end is closed
			}
		}
	}()
	go func() { s.ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = s.pty.Close() })
	return s
}

// onTerminal runs the console against simulated services.
func onTerminal(t *testing.T, v *victim, size *pty.Winsize) *ptySession {
	t.Helper()
	cmd := exec.Command(v.binary, consoleArgs(v)...)
	cmd.Env = append(v.env, "TERM=xterm-256color")
	return newPTY(t, size, cmd)
}

// consoleArgs are those of a victim, in review and with a screen.
func consoleArgs(v *victim) []string {
	args := append([]string{}, v.args[1:]...)
	for i, a := range args {
		if a == "auto" {
			args[i] = "review"
		}
	}
	return args
}

func (s *ptySession) modes() *unix.Termios {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(int(s.pty.Fd()), readTermios)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

func (s *ptySession) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// until waits for a text in what came out after the first n bytes.
func (s *ptySession) until(n int, text string) {
	s.t.Helper()
	for end := time.Now().Add(60 * time.Second); !strings.Contains(s.output()[n:], text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%q never came: %q", text, s.output()[n:])
		}
	}
}

func (s *ptySession) write(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.pty, keys); err != nil {
		s.t.Fatal(err)
	}
}

// exits waits for the end and gives the exit code, -1 after a signal.
func (s *ptySession) exits() int {
	s.t.Helper()
	select {
	case <-s.ended:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(60 * time.Second):
		s.t.Fatalf("it does not end: %q", s.output())
		return 0
	}
}

// restored holds that the terminal is as it was before.
func (s *ptySession) restored() {
	s.t.Helper()
	time.Sleep(100 * time.Millisecond) // until the last bytes were read
	out := s.output()
	if strings.LastIndex(out, leavesScreen) < strings.LastIndex(out, entersScreen) {
		s.t.Errorf("the alternate screen is left on: %q", tail(out))
	}
	if strings.LastIndex(out, showsCursor) < strings.LastIndex(out, "\x1b[?25l") {
		s.t.Errorf("the cursor is left hidden: %q", tail(out))
	}
	for _, mode := range []string{"1004", "2004", "1002", "1003", "1006"} { // focus, paste, mouse
		if strings.LastIndex(out, "\x1b[?"+mode+"l") < strings.LastIndex(out, "\x1b[?"+mode+"h") {
			s.t.Errorf("mode %s is left on: %q", mode, tail(out))
		}
	}
	if now := s.modes(); *now != *s.was {
		s.t.Errorf("the modes of the terminal differ: %+v, were %+v", now, s.was)
	}
}

func tail(s string) string { return s[max(0, len(s)-300):] }

var usual = &pty.Winsize{Rows: 30, Cols: 100}

// TestSignals: every way of being told to stop ends the console in order, with the
// terminal as it was.
func TestSignals(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	for name, stop := range map[string]struct {
		do   func(*ptySession)
		code int
	}{
		"SIGTERM": {func(s *ptySession) { _ = s.cmd.Process.Signal(syscall.SIGTERM) }, exitOK},
		"SIGHUP":  {func(s *ptySession) { _ = s.cmd.Process.Signal(syscall.SIGHUP) }, exitOK},
		"SIGINT":  {func(s *ptySession) { _ = s.cmd.Process.Signal(syscall.SIGINT) }, exitInterrupted},
		"ctrl+c":  {func(s *ptySession) { s.write("\x03") }, exitOK},
		"q":       {func(s *ptySession) { s.write("q") }, exitOK},
	} {
		t.Run(name, func(t *testing.T) {
			s := onTerminal(t, v, usual)
			s.until(0, "selfprotect")
			s.until(0, "ACL")
			stop.do(s)
			if code := s.exits(); code != stop.code {
				t.Errorf("exit code %d, want %d", code, stop.code)
			}
			s.restored()
		})
	}
}

// TestTerminalGoes: a console whose terminal is closed ends; one that is to ignore
// that goes on without turning in circles.
func TestTerminalGoes(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	s := onTerminal(t, v, usual)
	s.until(0, "ACL")
	if err := s.pty.Close(); err != nil {
		t.Fatal(err)
	}
	if code := s.exits(); code != exitOK {
		t.Errorf("exit code %d", code)
	}

	cmd := exec.Command("sh", "-c", `trap "" HUP; exec `+quoted(append([]string{v.binary}, consoleArgs(v)...)...))
	cmd.Env = append(v.env, "TERM=xterm-256color")
	deaf := newPTY(t, usual, cmd)
	deaf.until(0, "ACL")
	if err := deaf.pty.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	before := processorTime(t, cmd.Process.Pid)
	time.Sleep(3 * time.Second)
	select {
	case err := <-deaf.ended:
		t.Fatalf("it ended: %v", err)
	default:
	}
	if used := processorTime(t, cmd.Process.Pid) - before; used > time.Second {
		t.Errorf("it used %v in 3s without a terminal", used)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if code := deaf.exits(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestNoInput: with standard input closed or empty the console works all the same,
// and ends when it is told to.
func TestNoInput(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	for _, from := range []string{"</dev/null", "<&-"} {
		cmd := exec.Command("sh", "-c", "exec "+quoted(append([]string{v.binary}, consoleArgs(v)...)...)+" "+from)
		cmd.Env = append(v.env, "TERM=xterm-256color")
		s := newPTY(t, usual, cmd)
		s.until(0, "ACL")
		before := processorTime(t, cmd.Process.Pid)
		time.Sleep(2 * time.Second)
		if used := processorTime(t, cmd.Process.Pid) - before; used > time.Second {
			t.Errorf("%s: it used %v in 2s", from, used)
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if code := s.exits(); code != exitOK {
			t.Errorf("%s: exit code %d", from, code)
		}
		s.restored()
	}
}

// TestSizeZero: a terminal that says 0x0, at the start or later, does no harm; the
// next true size is drawn.
func TestSizeZero(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	s := onTerminal(t, v, &pty.Winsize{})
	time.Sleep(time.Second)
	for _, size := range []*pty.Winsize{usual, {}, {Rows: 1, Cols: 1}, {Rows: 0, Cols: 80}, {Rows: 40, Cols: 120}} {
		if err := pty.Setsize(s.pty, size); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
	}
	n := len(s.output())
	s.write("?")
	s.until(n, "Help")
	s.write("\x03")
	if code := s.exits(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	s.restored()
}

// TestSuspendAndResume: ctrl+z gives the terminal back to the shell, and fg takes
// the screen again. Without a shell it says so and goes on.
func TestSuspendAndResume(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	line := quoted(append([]string{v.binary}, consoleArgs(v)...)...)
	cmd := exec.Command("sh", "-m", "-c", line+"; echo stopped-$?; sleep 1; fg; echo over-$?")
	cmd.Env = append(v.env, "TERM=xterm-256color")
	s := newPTY(t, usual, cmd)
	s.until(0, "ACL")
	n := len(s.output())
	s.write("\x1a")
	s.until(n, "stopped-")
	if out := s.output()[n:]; !strings.Contains(out, leavesScreen) || !strings.Contains(out, showsCursor) {
		t.Errorf("the shell does not get the terminal as it was: %q", tail(out))
	}
	s.until(n, entersScreen)
	s.until(n, "in which nothing was watched")
	s.write("\x03")
	s.until(n, "over-0")
	s.exits()
	s.restored()

	alone := onTerminal(t, v, usual)
	alone.until(0, "ACL")
	alone.write("\x1a")
	alone.until(0, "there is no shell here")
	alone.write("\x03")
	if code := alone.exits(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

const readTermios = unix.TCGETS

// processorTime gives the time that a process has used so far.
func processorTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b)[strings.LastIndexByte(string(b), ')')+1:])
	ticks := 0
	for _, x := range f[11:13] { // user and system, in hundredths of a second
		n, err := strconv.Atoi(x)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
