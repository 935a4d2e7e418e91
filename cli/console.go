package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"selfprotect/config"
	"selfprotect/engine"
	"selfprotect/policy"
	"selfprotect/ui"
)

// behind is what runs behind the screen once the journal is open.
type behind struct {
	err     error // why it could not begin; then nothing else is set
	updates <-chan *engine.Snapshot
	ended   chan error
	logged  chan struct{}
	wait    func()
}

// console shows the screen at once and opens the journal behind it: a long one takes
// a moment, and the first frame does not wait for it.
func (o *options) console(ctx context.Context, cfg *config.Config, log *slog.Logger, stderr io.Writer) error {
	p, pol, err := prepare(ctx, cfg, o, log)
	if err != nil {
		return err
	}
	defer p.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var b *behind
	ready := make(chan struct{})
	go func() { b = p.begin(ctx, cancel, pol, o); close(ready) }()
	// A console is open for weeks: it collects earlier, and gives back what the start
	// took.
	debug.SetGCPercent(50)
	settled := time.AfterFunc(5*time.Second, debug.FreeOSMemory)
	defer settled.Stop()
	c := p.screen(o)
	c.Open = func() (engine.Console, <-chan *engine.Snapshot, error) {
		if <-ready; b.err != nil {
			return nil, nil, b.err
		}
		if p.readOnly {
			return lookOnly{p.engine}, b.updates, nil
		}
		return p.engine, b.updates, nil
	}
	err = ui.Run(ctx, c)
	cancel()
	if <-ready; b.err != nil {
		if err == nil && !errors.Is(b.err, context.Canceled) {
			err = b.err
		}
		return err
	}
	return errors.Join(err, b.end(stderr))
}

// begin opens the journal and starts everything that works behind the screen.
func (p *parts) begin(ctx context.Context, leave func(), pol *policy.Policy, o *options) *behind {
	if err := p.open(ctx, pol, o); err != nil {
		return &behind{err: err}
	}
	t := p.newTee()
	b := &behind{updates: t.reader(), logged: p.logLines(t), ended: make(chan error, 1)}
	wait, err := p.start(t, p.cfg.Metrics)
	if err != nil {
		return &behind{err: err}
	}
	b.wait = wait
	go t.run(p.engine.Updates())
	go func() {
		err := p.run(ctx)
		if crash := (*crashError)(nil); errors.As(err, &crash) {
			leave()
		}
		b.ended <- err
	}()
	return b
}

// crashError is a panic of the engine: a mistake of ours. The screen is left first, so
// that the terminal is the shell's again.
type crashError struct{ what string }

func (e *crashError) Error() string {
	first, _, _ := strings.Cut(e.what, "\n")
	return "a mistake in this program ended it: " + clean(first) + "; the log file has the details. The next start goes on where it was"
}

// run runs the engine and turns a panic into an error.
func (p *parts) run(ctx context.Context) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = &crashError{fmt.Sprint(x)}
			p.log.Error("panic", "what", fmt.Sprint(x), "stack", string(debug.Stack()))
		}
	}()
	return p.engine.Run(ctx)
}

// end waits until all of it has ended.
func (b *behind) end(stderr io.Writer) error {
	// The screen is gone: a wait that lasts would look like a program that hangs.
	waiting := time.AfterFunc(time.Second, func() {
		fmt.Fprintln(stderr, "selfprotect: waiting for the call to AWS in flight; interrupt twice to leave it")
	})
	err := <-b.ended
	waiting.Stop()
	if crash := (*crashError)(nil); errors.As(err, &crash) {
		return err // nobody closes the channels now
	}
	for range b.updates {
	}
	<-b.logged // until the last lines are in the log file
	b.wait()
	return err
}

// screen is the configuration of the screen.
func (p *parts) screen(o *options) ui.Config {
	notice := o.notice
	if notice == "" {
		notice = strings.Join(p.cfg.Warnings, "; ")
	}
	return ui.Config{
		Actor: p.actor, Title: o.title, Theme: p.cfg.UI.Theme, FPS: p.cfg.UI.FPS,
		ASCII: p.cfg.UI.ASCII == "on" || p.cfg.UI.ASCII == "auto" && ui.ASCII(o.env), NoColor: ui.NoColor(o.env),
		Notify: ui.NewNotify(p.cfg.UI.Notify, o.env), Mouse: p.cfg.UI.Mouse, Suspend: jobControl(), Production: p.cfg.UI.Production, Profiles: p.profiles(o),
		LogPath: p.cfg.Log.Path, JournalPath: p.cfg.State.Path, Notice: notice, Faults: o.faults,
		Keys: p.cfg.Keys, Columns: p.cfg.UI.Columns.List(), Views: views(p.cfg.UI.Views), Store: newUIState(p.cfg.State.Path),
	}
}

// profiles are the AWS profiles in use.
func (p *parts) profiles(o *options) []string {
	var out []string
	for _, a := range p.cfg.ACLs {
		out = append(out, cmp.Or(a.Profile, o.env("AWS_PROFILE"), o.env("AWS_DEFAULT_PROFILE"), "default"))
	}
	return out
}

// newTee gives a tee with the snapshot of the start, which the run would replace by
// one with news.
func (p *parts) newTee() *tee {
	return &tee{first: <-p.engine.Updates(), problems: p.notifier.Problems}
}

// logLines writes the lines of a tee to the log file. It says when it is done.
func (p *parts) logLines(t *tee) (done chan struct{}) {
	done = make(chan struct{})
	w := &lineLog{}
	w.fresh(t.first)
	in := t.reader()
	go func() {
		defer close(done)
		for s := range in {
			for _, l := range w.fresh(s) {
				record(p.log, l)
			}
		}
	}()
	return done
}
