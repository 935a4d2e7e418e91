// Package cli holds the commands: one file for each, and the wiring that they
// share. It is the only package that knows every other.
//
// A command reads flags, environment and configuration file, in this order of
// precedence, builds the parts, and runs the engine with a console or, when
// standard output is no terminal, with plain lines. Exit codes: 0 done, 1
// failure, 2 usage or configuration, 3 credentials or permission, 4 done in part,
// 10 something would change or awaits a decision, 130 interrupted. SIGINT, SIGTERM and
// SIGHUP stop the engine, which lets the write in flight finish; a second SIGINT or
// SIGTERM ends the process at once. Without a screen a SIGHUP reads the configuration
// anew, unless it says that the terminal is gone. One that was ignored at the start, as
// by nohup, stays ignored. A reader of standard
// output that goes away stops the engine too.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"charm.land/fang/v2"
	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"selfprotect/alert"
	"selfprotect/config"
	"selfprotect/threatstack"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitCredentials = 3
	exitPartial     = 4
	exitPending     = 10
	exitInterrupted = 130
)

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usageError(err error) error      { return &exitError{exitUsage, err} }
func credentialError(err error) error { return &exitError{exitCredentials, err} }

// Host is what a command gets from the process in which it runs. The AWS SDK
// and what speaks to systemd alone read the environment of the process itself.
type Host struct {
	Env            func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Process is the host that the operating system gives.
func Process() Host {
	return Host{Env: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
}

// terminal says whether standard output is one.
func (h Host) terminal() bool {
	f, ok := h.Stdout.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// Main runs a command and gives its exit code.
func Main(args []string, h Host) int {
	ctx, stop := untilSignal(context.Background())
	defer stop()
	root := newRoot(h)
	root.SetArgs(normalize(args))
	root.SetIn(h.Stdin)
	root.SetOut(h.Stdout)
	root.SetErr(h.Stderr)
	err := fang.Execute(ctx, root, fang.WithVersion(buildVersion().String()), fang.WithErrorHandler(printError))
	if (err == nil || errors.Is(err, context.Canceled)) && context.Cause(ctx) == errInterrupted {
		return exitInterrupted
	}
	return exitCode(err)
}

var errInterrupted = errors.New("interrupted")

// hangups is where a run finds the SIGHUPs that it wants for itself.
type hangups struct {
	taken atomic.Bool
	came  chan struct{}
}

type hangupsKey struct{}

// takeHangups makes a SIGHUP no end of ctx from now on, but something to read from
// the channel.
func takeHangups(ctx context.Context) <-chan struct{} {
	h, ok := ctx.Value(hangupsKey{}).(*hangups)
	if !ok {
		return nil
	}
	h.taken.Store(true)
	return h.came
}

// take keeps a SIGHUP for a run that wants it.
func (h *hangups) take(s os.Signal) bool {
	if s != syscall.SIGHUP || !h.taken.Load() {
		return false
	}
	select {
	case h.came <- struct{}{}:
	default: // one is enough
	}
	return true
}

// untilSignal gives a context that the first signal cancels; the second one ends the
// process, unless it is a SIGHUP: a terminal that closes sends several.
func untilSignal(parent context.Context) (context.Context, func()) {
	h := &hangups{came: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, hangupsKey{}, h))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	// Once it is asked for, a broken pipe is an error of the write. Otherwise the
	// runtime would end the process, perhaps in the middle of a write to AWS.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		for n := 0; ; {
			select {
			case s := <-signals:
				if h.take(s) {
					continue
				}
				if n > 0 && s != syscall.SIGHUP {
					os.Exit(exitInterrupted)
				}
				n++
				if s == os.Interrupt {
					cancel(errInterrupted)
				} else {
					cancel(context.Canceled) // asked to stop: that is no failure
				}
			case <-done:
				return
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); signal.Stop(broken); close(done); cancel(nil) }
}

// normalize lets the lab's flag be written with underscores.
func normalize(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if rest, ok := strings.CutPrefix(a, "--aws_acl_id"); ok && (rest == "" || rest[0] == '=') {
			out[i] = "--aws-acl-id" + rest
		}
	}
	return out
}

// exitCode gives the code that an error stands for.
func exitCode(err error) int {
	var e *exitError
	var problems config.Problems
	var creds *config.CredentialsError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &e):
		return e.code
	case errors.As(err, &problems):
		return exitUsage
	case errors.As(err, &creds), isAPICredential(err):
		return exitCredentials
	case isUsage(err):
		return exitUsage
	}
	return exitFailure
}

// isAPICredential says that the alert API does not accept who we are.
func isAPICredential(err error) bool {
	var e *threatstack.Error
	return errors.As(err, &e) && (e.Kind == threatstack.Unauthorized || e.Kind == threatstack.Forbidden)
}

// isUsage recognizes cobra's own error about arguments, which has no type.
func isUsage(err error) bool { return strings.HasPrefix(err.Error(), "unknown command ") }

// flagError says that a flag is wrong.
func flagError(_ *cobra.Command, err error) error {
	return usageError(fmt.Errorf("%w; try --help", err))
}

// printError writes an error as plain lines: scripts and journals read it. What a
// service answered may be in it, so it is shown cleaned.
func printError(w io.Writer, _ fang.Styles, err error) {
	if errors.Is(err, errSilent) {
		return
	}
	lines := strings.Split(strings.TrimRight(err.Error(), "\n"), "\n")
	for i, line := range lines {
		lines[i] = string(alert.CleanN(line, longestError))
	}
	fmt.Fprintf(w, "selfprotect: %s\n", strings.Join(lines, "\n"))
}

// longestError bounds one line of an error, in runes.
const longestError = 4096

// errSilent has been told already.
var errSilent = errors.New("told already")

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(fmt.Errorf("unknown command %q for %q; try --help", args[0], cmd.CommandPath()))
	}
	return nil
}
