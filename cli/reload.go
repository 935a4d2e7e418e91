package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"selfprotect/config"
	"selfprotect/engine"
)

// reloader runs the program without a screen and, when it is asked to, reads the
// configuration anew: a bad one is refused and the old one stays; a good one ends the
// engine, which lets the write in flight finish, and starts another one on the same
// journal in the same process.
type reloader struct {
	o         *options
	stderr    io.Writer
	hangups   <-chan struct{} // nil: a SIGHUP is an end as any other
	terminals []*os.File      // that were terminals at the start
	started   bool            // the engine of this configuration ran
	next      *config.Config  // what to run after this one; nil: nothing
	failed    string          // why the configuration before this one could not be run
	status    string
}

// runLines works without a screen until ctx is done.
func (o *options) runLines(ctx context.Context, cmd *cobra.Command, cfg *config.Config) error {
	r := &reloader{o: o, stderr: cmd.ErrOrStderr()}
	if o.reloads {
		r.hangups = takeHangups(ctx)
		r.terminals = terminals(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	defer tellSystemd(daemon.SdNotifyStopping)
	var old *config.Config
	for {
		r.started, r.next = false, nil
		err := r.once(ctx, cmd.OutOrStdout(), cfg, old == nil && r.failed == "")
		switch {
		case ctx.Err() == nil && r.next != nil:
			old, cfg = cfg, r.next
		case err != nil && ctx.Err() == nil && !r.started && old != nil:
			fmt.Fprintln(r.stderr, "selfprotect: the new configuration could not be run, the old one goes on:", err)
			cfg, old, r.failed = old, nil, err.Error()
		default:
			return err
		}
	}
}

// once runs one configuration. What a person must mend was looked for before, when it
// is not the first one.
func (r *reloader) once(ctx context.Context, stdout io.Writer, cfg *config.Config, first bool) error {
	log, closeLog, err := openLog(cfg.Log)
	if err != nil {
		return err
	}
	defer closeLog()
	p, err := build(ctx, cfg, r.o, log)
	if err != nil {
		return err
	}
	defer p.close()
	if first {
		if err := p.warned(ctx, r.stderr); err != nil || ctx.Err() != nil {
			return err // or told to stop before there was anything to run
		}
	}
	return p.lines(ctx, r, stdout)
}

// follow writes lines until the engine has ended, and serves SIGHUPs meanwhile. The
// error is that of the output.
func (r *reloader) follow(ctx context.Context, stop func(), p *parts, w *lineWriter, updates <-chan *engine.Snapshot) (failed error) {
	note := func(err error) {
		if err != nil {
			failed = err
			stop() // what the engine still does goes to the log file
		}
	}
	var found chan reloaded
	for {
		select {
		case s, ok := <-updates:
			if !ok {
				return failed
			}
			r.tellStatus(s)
			note(w.write(s))
		case <-r.hangups:
			if r.terminalGone() {
				stop()
			} else if found == nil && ctx.Err() == nil {
				tellSystemd(reloadingState())
				found = r.look(ctx, p.log)
			}
		case f := <-found:
			found = nil
			if ctx.Err() != nil {
				continue
			}
			if f.err != nil {
				note(r.refuse(w, f.err))
				tellSystemd(daemon.SdNotifyReady)
				continue
			}
			note(r.accept(w, p.cfg, f.cfg))
			r.next = f.cfg
			stop()
		}
	}
}

// reloaded is what looking at the configuration again has found.
type reloaded struct {
	cfg *config.Config
	err error
}

// look reads the configuration and tries, beside the engine that runs, whatever can be
// tried without harm: credentials, rules, ACLs, permissions, receivers.
func (r *reloader) look(ctx context.Context, log *slog.Logger) chan reloaded {
	found := make(chan reloaded, 1)
	go func() {
		cfg, err := r.o.load(false)
		if err == nil {
			var p *parts
			if p, _, err = prepare(ctx, cfg, r.o, log); err == nil {
				err = p.warned(ctx, r.stderr)
			}
		}
		found <- reloaded{cfg, err}
	}()
	return found
}

// refuse tells each mistake of a configuration that is not taken.
func (r *reloader) refuse(w *lineWriter, err error) error {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if e := w.say(engine.LogLine{Severity: engine.Fault, Event: "config", Text: "the new configuration is refused, the old one stays", Reason: clean(line)}); e != nil {
			return e
		}
	}
	return nil
}

// fallen tells that this configuration runs because the one after it could not.
func (r *reloader) fallen(w *lineWriter) error {
	if r.failed == "" {
		return nil
	}
	why := clean(r.failed)
	r.failed = ""
	return w.say(engine.LogLine{Severity: engine.Fault, Event: "config", Text: "the new configuration could not be run, the old one goes on", Reason: why})
}

// accept tells what is different, key by key.
func (r *reloader) accept(w *lineWriter, old, now *config.Config) error {
	changes := differences(old, now)
	if len(changes) == 0 {
		changes = []string{"nothing differs; files that it names are read anew"}
	}
	for _, c := range changes {
		if err := w.say(engine.LogLine{Severity: engine.Info, Event: "config", Text: "the configuration is read anew: " + c}); err != nil {
			return err
		}
	}
	return nil
}

// differences names each key that differs, with its values; secrets without.
func differences(old, now *config.Config) (out []string) {
	values := func(c *config.Config) map[string]string {
		m := map[string]string{}
		for _, s := range c.Sources() {
			m[s.Key] = s.Value
		}
		return m
	}
	was, is := values(old), values(now)
	for _, s := range now.Sources() {
		before, known := was[s.Key]
		switch {
		case !known:
			out = append(out, fmt.Sprintf("%s: new, %s", s.Key, shown(s.Value)))
		case before != s.Value:
			out = append(out, fmt.Sprintf("%s: %s, was %s", s.Key, shown(s.Value), shown(before)))
		case secretOf(old, s.Key) != secretOf(now, s.Key):
			out = append(out, s.Key+": another secret")
		}
	}
	for _, s := range old.Sources() {
		if _, there := is[s.Key]; !there {
			out = append(out, fmt.Sprintf("%s: gone, was %s", s.Key, shown(s.Value)))
		}
	}
	slices.Sort(out)
	return out
}

func shown(v string) string {
	if v == "" {
		return "not set"
	}
	return clean(v)
}

// secretOf gives the secret behind a key whose value is not shown.
func secretOf(c *config.Config, key string) string {
	for _, n := range c.Notify {
		if key == "notify["+n.Name+"].url" {
			return n.URL.Reveal()
		}
	}
	return ""
}

// tellStatus tells the service manager how it goes, when that has changed.
func (r *reloader) tellStatus(s *engine.Snapshot) {
	if st := systemdStatus(s); st != r.status {
		r.status = st
		tellSystemd(st)
	}
}

// reloadingState tells the service manager that a reload has begun, by the clock that
// it wants.
func reloadingState() string {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return daemon.SdNotifyReloading
	}
	return fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, t.Nano()/int64(time.Microsecond))
}

// terminals gives those of the streams that are terminals.
func terminals(streams ...any) (out []*os.File) {
	for _, s := range streams {
		if f, ok := s.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
			out = append(out, f)
		}
	}
	return out
}

// terminalGone says that a terminal of the start is none any more: then a SIGHUP is no
// wish of anybody.
func (r *reloader) terminalGone() bool {
	return slices.ContainsFunc(r.terminals, func(f *os.File) bool { return !isatty.IsTerminal(f.Fd()) })
}
