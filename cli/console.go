package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"selfprotect/ui"
)

// console runs the engine behind the screen.
func (p *parts) console(ctx context.Context, o *options, stderr io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := p.newTee()
	updates := t.reader()
	logged := p.logLines(t)
	wait, err := p.start(t, p.cfg.Metrics)
	if err != nil {
		return err
	}
	go t.run(p.engine.Updates())
	ended := make(chan error, 1)
	go func() { ended <- p.engine.Run(ctx) }()
	notice := o.notice
	if notice == "" {
		notice = strings.Join(p.cfg.Warnings, "; ")
	}
	// A console is open for weeks: it collects earlier, and gives back what the start
	// took.
	debug.SetGCPercent(50)
	settled := time.AfterFunc(5*time.Second, debug.FreeOSMemory)
	defer settled.Stop()
	err = ui.Run(ctx, ui.Config{
		Updates: updates, Console: p.engine, Actor: p.actor, Title: o.title, Theme: p.cfg.UI.Theme, FPS: p.cfg.UI.FPS,
		ASCII: p.cfg.UI.ASCII == "on" || p.cfg.UI.ASCII == "auto" && ui.ASCII(o.env), NoColor: ui.NoColor(o.env),
		Notify: ui.NewNotify(p.cfg.UI.Notify, o.env), Mouse: p.cfg.UI.Mouse, Suspend: jobControl(), Production: p.cfg.UI.Production, Profiles: p.profiles(o),
		LogPath: p.cfg.Log.Path, JournalPath: p.cfg.State.Path, Notice: notice, Faults: o.faults,
		Keys: p.cfg.Keys, Columns: p.cfg.UI.Columns.List(), Views: views(p.cfg.UI.Views), Store: newUIState(p.cfg.State.Path),
	})
	cancel()
	// The screen is gone: a wait that lasts would look like a program that hangs.
	waiting := time.AfterFunc(time.Second, func() {
		fmt.Fprintln(stderr, "selfprotect: waiting for the call to AWS in flight; interrupt twice to leave it")
	})
	e := <-ended
	waiting.Stop()
	if err == nil {
		err = e
	}
	for range updates {
	}
	<-logged // until the last lines are in the log file
	wait()
	return err
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
