package engine

import (
	"context"
	"errors"
	"fmt"

	"selfprotect/alert"
	"selfprotect/blocklist"
)

// ErrBusy says that the journal keeps moving on while we decide: nothing was
// recorded, and trying again will do.
var ErrBusy = errors.New("the journal is busy with another process; try again")

// errJournal says that the journal fails; that was told when it began to.
var errJournal = errors.New("the journal fails")

// record asks decide for events, appends them and applies them. When the log has
// moved on it reads on and asks again. Nothing is applied that is not durable.
func (l *loop) record(ctx context.Context, decide func() ([]blocklist.Event, error)) error {
	for range 8 {
		if l.behind {
			if err := l.catchUp(ctx); err != nil {
				return err
			}
		}
		events, err := decide()
		if err != nil || len(events) == 0 {
			return err
		}
		err = l.append(ctx, events)
		if err == nil {
			return nil
		}
		if !isConflict(err) {
			return err
		}
	}
	return ErrBusy
}

func (l *loop) append(ctx context.Context, events []blocklist.Event) error {
	payloads := make([][]byte, len(events))
	for i, e := range events {
		b, err := e.Encode()
		if err != nil {
			return fmt.Errorf("encode %s event: %w", e.Kind, err)
		}
		payloads[i] = b
	}
	// A stop must not leave it open whether a record was written.
	seq, err := l.cfg.Journal.Append(context.WithoutCancel(ctx), l.seq, payloads...)
	if err != nil {
		l.behind = true
		if !isConflict(err) {
			l.journalFailed(err)
			return fmt.Errorf("%w: it cannot be written: %w", errJournal, err)
		}
		return err
	}
	l.journalWell()
	first := seq - uint64(len(events)) + 1
	for i, e := range events {
		if err := l.apply(first+uint64(i), e); err != nil {
			return err
		}
	}
	l.keepGuard()
	return nil
}

// keepGuard puts what people allow into the guard, when that has changed.
func (l *loop) keepGuard() {
	if l.guardStale {
		l.refreshGuard()
	}
}

// catchUp folds what others have written since.
func (l *loop) catchUp(ctx context.Context) error {
	err := l.cfg.Journal.Read(ctx, l.seq, func(seq uint64, record []byte) error {
		e, err := blocklist.Decode(record)
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		return l.apply(seq, e)
	})
	if err != nil {
		l.behind = true
		l.journalFailed(err)
		return fmt.Errorf("%w: it cannot be read: %w", errJournal, err)
	}
	l.behind = false
	l.keepGuard()
	l.journalWell()
	return nil
}

// apply folds one durable event and tells of it.
func (l *loop) apply(seq uint64, e blocklist.Event) error {
	if err := l.list.Apply(e); err != nil {
		return fmt.Errorf("record %d does not fit what came before: %w", seq, err)
	}
	l.seq = seq
	l.view.rev++
	l.view.dirty = true
	switch e.Kind {
	case blocklist.ModeSet:
		l.modeSet(e)
	case blocklist.Allowed, blocklist.Disallowed, blocklist.Overridden, blocklist.Enforced:
		l.guardStale = true
	}
	l.tell(seq, e)
	return nil
}

func isConflict(err error) bool {
	var c interface{ Conflict() bool }
	return errors.As(err, &c) && c.Conflict()
}

func (l *loop) journalFailed(err error) {
	text := string(alert.Clean(err.Error()))
	if l.journal.err == "" {
		l.journal.since = l.now()
		l.line(LogLine{Severity: Fault, Event: "fault", Text: "the journal fails; nothing is written to AWS until it works again", Reason: text})
	}
	l.journal.err = text
	l.view.dirty = true
}

func (l *loop) journalWell() {
	if l.journal.err != "" {
		l.line(LogLine{Severity: Info, Event: "fault", Text: "the journal works again"})
		l.stopSoon = "the journal failed: " + l.journal.err
		l.journal = journalState{}
	}
}

// note keeps an error that nobody waits for.
func (l *loop) note(err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, errJournal) {
		return
	}
	l.line(LogLine{Severity: Fault, Event: "fault", Text: string(alert.Clean(err.Error()))})
}
