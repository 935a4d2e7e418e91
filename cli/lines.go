package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"selfprotect/alert"
	"selfprotect/engine"
	"selfprotect/firewall"
)

// lines runs the engine and writes what happens, one line each, until ctx is done or
// a reload of the configuration was asked for and found good.
func (p *parts) lines(ctx context.Context, r *reloader, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := p.newTee()
	w := &lineWriter{out: bufio.NewWriter(stdout), json: r.o.json, log: func(l engine.LogLine) { record(p.log, l) }}
	w.seen.fresh(t.first)
	updates := t.reader()
	wait, err := p.start(t, p.cfg.Metrics)
	if err != nil {
		return err
	}
	r.started = true
	ended := make(chan error, 1)
	go func() { ended <- p.engine.Run(ctx) }()
	go t.run(p.engine.Updates())
	stopDog := watchdog(p.metrics.Alive)
	defer stopDog()
	tellSystemd(daemon.SdNotifyReady)
	if err := r.fallen(w); err != nil {
		cancel() // nobody reads the lines any more
	}
	failed := r.follow(ctx, cancel, p, w, updates)
	err = <-ended
	wait()
	if failed != nil && !errors.Is(failed, syscall.EPIPE) && !errors.Is(failed, os.ErrClosed) {
		return failed
	}
	return err
}

// warned writes warnings and preflight's, and gives what a person must mend.
func (p *parts) warned(ctx context.Context, stderr io.Writer) error {
	for _, w := range p.cfg.Warnings {
		fmt.Fprintln(stderr, "selfprotect: warning:", w)
	}
	warnings, err := p.preflight(ctx)
	for _, w := range warnings {
		p.log.Warn(w)
		fmt.Fprintln(stderr, "selfprotect: warning:", w)
	}
	return err
}

// lineWriter writes each line of the engine's log once.
type lineWriter struct {
	out  *bufio.Writer
	json bool
	log  func(engine.LogLine)
	seen lineLog
}

// say writes a line that is not the engine's.
func (w *lineWriter) say(l engine.LogLine) error {
	l.At = time.Now()
	w.log(l)
	if err := w.line(l); err != nil {
		return err
	}
	return w.out.Flush()
}

// write writes what is new: all of it to the log, whatever becomes of the output.
func (w *lineWriter) write(s *engine.Snapshot) error {
	lines := w.seen.fresh(s)
	for _, l := range lines {
		w.log(l)
	}
	for _, l := range lines {
		if err := w.line(l); err != nil {
			return err
		}
	}
	return w.out.Flush() // after a failure it fails again with the same error
}

// lineLog tells which lines of a snapshot are new. What the first one holds is
// history: it was written when it happened.
type lineLog struct {
	started bool
	last    uint64
}

func (w *lineLog) fresh(s *engine.Snapshot) []engine.LogLine {
	fresh := s.LinesAfter(w.last)
	w.last = max(w.last, s.LastLine())
	if !w.started {
		w.started = true
		return nil
	}
	return fresh
}

// jsonLine is the form of a line that programs read. Its keys are a contract.
type jsonLine struct {
	Time       string `json:"time"`
	Event      string `json:"event"`
	CIDR       string `json:"cidr,omitempty"`
	ACL        string `json:"acl,omitempty"`
	Direction  string `json:"direction,omitempty"`
	RuleNumber int    `json:"rule_number,omitempty"`
	Alert      string `json:"alert,omitempty"`
	Rule       string `json:"rule,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Severity   string `json:"severity,omitempty"`
	Actor      string `json:"actor,omitempty"`
	Block      string `json:"block,omitempty"`
	Text       string `json:"text,omitempty"`
	// Undo is the AWS CLI command that takes a write back.
	Undo string `json:"undo,omitempty"`
	// Shortfall is set in a waiting line about a whole list of an ACL.
	Shortfall *firewall.Budget `json:"shortfall,omitempty"`
}

func (w *lineWriter) line(l engine.LogLine) error {
	if !w.json {
		_, err := w.out.WriteString(plainLine(l))
		return err
	}
	j := jsonLine{Time: l.At.UTC().Format(time.RFC3339Nano), Event: l.Event, ACL: l.ACL, RuleNumber: l.Number,
		Alert: clean(l.Alert), Rule: clean(l.RuleID), Reason: l.Reason, Severity: string(l.Severity), Actor: l.Actor, Block: string(l.Block), Text: l.Text, Undo: l.Undo, Shortfall: l.Shortfall}
	if l.Prefix.IsValid() {
		j.CIDR = l.Prefix.String()
	}
	if l.Direction != 0 {
		j.Direction = l.Direction.String()
	}
	b, err := json.Marshal(j)
	if err != nil {
		return err
	}
	_, err = w.out.Write(append(b, '\n'))
	return err
}

// plainLine is the form for people: time, event, text, and the reason.
func plainLine(l engine.LogLine) string {
	s := fmt.Sprintf("%s  %-9s  %s", l.At.Local().Format("15:04:05"), l.Event, l.Text)
	if l.Reason != "" {
		s += ": " + l.Reason
	}
	return s + "\n"
}

func clean(s string) string { return string(alert.Clean(s)) }
