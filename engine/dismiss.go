package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"selfprotect/blocklist"
)

// Dismisser is a Source that can be told that alerts are dealt with.
type Dismisser interface {
	// Dismiss tells it. An error means that nobody knows; telling it again does no
	// harm. An error with a method Permanent() bool that gives true will come again.
	Dismiss(ctx context.Context, ids []string, reason string) error
}

const (
	// dismissAtOnce is how many alerts one request dismisses at most.
	dismissAtOnce = 100
	dismissPause  = 10 * time.Second // after a request
	dismissReason = "selfprotect: every address in it is denied by the network ACLs, read back"
)

// dismissal is the write-back: alerts whose blocks were read back are dismissed at the
// source, by a goroutine of its own that nothing waits for.
type dismissal struct {
	source  Dismisser // nil: off
	jobs    chan []string
	results chan dismissed
	busy    bool
	due     time.Time
	failed  int             // in a row
	err     string          // of the last request
	single  bool            // one alert in a request, to find the one that is refused
	refused map[string]bool // the source will not have these
}

type dismissed struct {
	ids []string
	err error
}

func newDismissal(cfg Config) *dismissal {
	d := &dismissal{jobs: make(chan []string, 1), results: make(chan dismissed), refused: map[string]bool{}}
	if s, ok := cfg.Source.(Dismisser); ok && cfg.Dismiss && !cfg.ReadOnly {
		d.source = s
	}
	return d
}

// run tells the source until ctx is done.
func (d *dismissal) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ids := <-d.jobs:
			r := dismissed{ids, d.source.Dismiss(ctx, ids, dismissReason)}
			select {
			case d.results <- r:
			case <-ctx.Done():
				return
			}
		}
	}
}

// dismiss gives the write-back its next request when it is time and there is one.
func (l *loop) dismiss(t time.Time) {
	d := l.dismissal
	if d.source == nil || d.busy || t.Before(d.due) || l.journal.err != "" {
		return
	}
	var ids []string
	most := dismissAtOnce
	if d.single {
		most = 1
	}
	for _, x := range l.list.Dealt() {
		if len(ids) < most && !d.refused[x.Alert] && l.allPresent(x.Blocks, t) {
			ids = append(ids, x.Alert)
		}
	}
	d.due = t.Add(tickInterval)
	if len(ids) == 0 {
		d.single = false
		return
	}
	d.busy = true
	d.jobs <- ids
}

// allPresent says whether this process, which applies changes, has read back the
// entries of all these blocks.
func (l *loop) allPresent(ids []blocklist.ID, t time.Time) bool {
	for _, id := range ids {
		b, ok := l.list.Block(id)
		// What an answer promised counts only when a read has settled it.
		if !ok || b.Cover || len(l.unsettledFor(b)) > 0 {
			return false
		}
		for _, p := range l.presence(b, t) {
			a := l.acl(p.ACL)
			if p.Status != "present" || a == nil || !a.held || a.err != "" {
				return false
			}
		}
	}
	return len(ids) > 0
}

// dismissedNow records what the source was told, or waits longer each time.
func (l *loop) dismissedNow(ctx context.Context, r dismissed) {
	d, t := l.dismissal, l.now()
	d.busy = false
	if ctx.Err() != nil && r.err != nil {
		return
	}
	if r.err != nil {
		l.dismissFailed(r, t)
		return
	}
	d.failed, d.err, d.due = 0, "", t.Add(dismissPause)
	l.view.dirty = true
	l.note(l.record(ctx, func() ([]blocklist.Event, error) {
		var events []blocklist.Event
		for _, id := range r.ids {
			if st, ok := l.list.Alert(id); ok && st.Dismissed.IsZero() {
				events = append(events, blocklist.Event{Kind: blocklist.Dismissed, At: l.now(), Actor: blocklist.EngineActor, Alert: &blocklist.AlertNote{ID: id}})
			}
		}
		return events, nil
	}))
}

func (l *loop) dismissFailed(r dismissed, t time.Time) {
	d := l.dismissal
	var p interface{ Permanent() bool }
	if errors.As(r.err, &p) && p.Permanent() {
		// One of them is refused: find it, and let the others through.
		if len(r.ids) == 1 {
			d.refused[r.ids[0]] = true
			l.line(LogLine{Severity: Warning, Event: "fault", Alert: r.ids[0], Text: "an alert could not be dismissed at the source", Reason: errText(r.err)})
		}
		d.single = true
		d.due = t.Add(dismissPause)
		return
	}
	d.failed++
	d.due = t.Add(backoff(dismissPause, d.failed))
	text := errText(r.err)
	if d.err != text {
		l.line(LogLine{Severity: Warning, Event: "fault", Text: "alerts could not be dismissed at the source", Reason: text})
	}
	d.err = text
	l.view.dirty = true
}

// tellDismissed tells of an alert that was dismissed.
func (l *loop) tellDismissed(ln LogLine, e blocklist.Event) {
	if e.Alert == nil {
		return
	}
	ln.Event, ln.Alert, ln.Text = "dismissed", clean(e.Alert.ID), fmt.Sprintf("alert %s is dismissed at the source: what it names is denied", clean(e.Alert.ID))
	l.line(ln)
}
