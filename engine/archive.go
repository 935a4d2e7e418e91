package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"selfprotect/blocklist"
)

// Archiver takes alerts out of the list of those to look at. Nothing is decided about
// their addresses by that, and an alert comes back by itself when it grows.
type Archiver interface {
	// Archive takes all of them out, as they were shown, or none: the error names each
	// that cannot be. One of which an address waits for a decision wraps
	// blocklist.ErrWaiting, one that has grown blocklist.ErrGrown. With Escalated it is
	// handed to somebody else, which needs a reason and is told to the receivers.
	Archive(ctx context.Context, files []blocklist.Filing, a blocklist.Archive) error
	// Unarchive brings all of them back, or none.
	Unarchive(ctx context.Context, ids []string, actor, reason string) error
}

var _ Archiver = (*Engine)(nil)

// Archive implements Archiver.
func (e *Engine) Archive(ctx context.Context, files []blocklist.Filing, a blocklist.Archive) error {
	return e.ask(ctx, func(ctx context.Context) error { return e.loop.archive(ctx, files, a) })
}

// Unarchive implements Archiver.
func (e *Engine) Unarchive(ctx context.Context, ids []string, actor, reason string) error {
	return e.ask(ctx, func(ctx context.Context) error { return e.loop.unarchive(ctx, ids, actor, reason) })
}

func (l *loop) archive(ctx context.Context, files []blocklist.Filing, a blocklist.Archive) error {
	return l.record(ctx, func() ([]blocklist.Event, error) {
		if err := named(a.Actor); err != nil {
			return nil, err
		}
		if a.Escalated && strings.TrimSpace(a.Reason) == "" {
			return nil, errors.New("an escalation needs a reason")
		}
		return l.list.Archive(l.now(), files, a)
	})
}

func (l *loop) unarchive(ctx context.Context, ids []string, actor, reason string) error {
	return l.record(ctx, func() ([]blocklist.Event, error) {
		if err := named(actor); err != nil {
			return nil, err
		}
		return l.list.Unarchive(l.now(), ids, actor, reason)
	})
}

// tellArchived tells of an alert that left the list or came back by a word.
func (l *loop) tellArchived(ln LogLine, e blocklist.Event) {
	if e.Alert == nil {
		return
	}
	ln.Alert = clean(e.Alert.ID)
	name := "alert " + ln.Alert
	if st, ok := l.list.Alert(e.Alert.ID); ok {
		ln.RuleID = st.Note.RuleID
		if st.Note.Title != "" {
			name += fmt.Sprintf(" (%s)", st.Note.Title)
		}
	}
	switch {
	case e.Kind == blocklist.Unarchived:
		ln.Event, ln.Text = "unarchived", fmt.Sprintf("%s is listed again, says %s", name, ln.Actor)
	case e.Escalated:
		ln.Event, ln.Severity, ln.Text = "escalated", Warning, fmt.Sprintf("%s is escalated and archived by %s", name, ln.Actor)
	default:
		ln.Event, ln.Text = "archived", fmt.Sprintf("%s is archived by %s", name, ln.Actor)
	}
	l.line(ln)
}
