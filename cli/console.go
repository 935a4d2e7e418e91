package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"selfprotect/engine"
	"selfprotect/ui"
)

// console runs the engine behind the screen.
func (p *parts) console(ctx context.Context, o *options, stderr io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	updates := make(chan *engine.Snapshot, 1)
	first := <-p.engine.Updates() // before the run replaces it by one with news
	updates <- first
	go p.relay(first, updates)
	ended := make(chan error, 1)
	go func() { ended <- p.engine.Run(ctx) }()
	notice := o.notice
	if notice == "" {
		notice = strings.Join(p.cfg.Warnings, "; ")
	}
	err := ui.Run(ctx, ui.Config{
		Updates: updates, Console: p.engine, Actor: p.actor, Title: o.title, Theme: p.cfg.UI.Theme, FPS: p.cfg.UI.FPS,
		ASCII: p.cfg.UI.ASCII == "on" || p.cfg.UI.ASCII == "auto" && ui.ASCII(o.env), NoColor: ui.NoColor(o.env),
		Notify: ui.NewNotify(p.cfg.UI.Notify, o.env), Mouse: p.cfg.UI.Mouse, Production: p.cfg.UI.Production, Profiles: p.profiles(o),
		LogPath: p.cfg.Log.Path, JournalPath: p.cfg.State.Path, Notice: notice,
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
	for range updates { // until the last lines are in the log file
	}
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

// relay hands snapshots on to the screen and writes their lines to the log file.
func (p *parts) relay(first *engine.Snapshot, out chan *engine.Snapshot) {
	defer close(out)
	w := &lineLog{}
	w.fresh(first)
	for s := range p.engine.Updates() {
		for _, l := range w.fresh(s) {
			record(p.log, l)
		}
		select {
		case out <- s:
			continue
		default:
		}
		select {
		case <-out: // the screen has not taken the last one: the newest wins
		default:
		}
		out <- s
	}
}
