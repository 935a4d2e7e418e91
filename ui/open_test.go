package ui

import (
	"context"
	"errors"
	"io"
	"testing"

	tea "charm.land/bubbletea/v2"

	"selfprotect/engine"
)

// TestKeysBeforeThereIsAnEngine presses everything while the journal is being read.
func TestKeysBeforeThereIsAnEngine(t *testing.T) {
	s := newScreen(t, 100, 30, func(c *Config) { c.Console = nil })
	s.expect("waiting for the first look at the journal")
	for _, b := range s.m.keys.list {
		if b.action == "quit" || b.action == "quit-now" || b.action == "suspend" {
			continue
		}
		for _, k := range b.keys {
			if len(k) == 1 {
				s.press(k)
			}
		}
		s.press("esc", "esc")
	}
	con := &console{}
	updates := make(chan *engine.Snapshot, 1)
	s.send(openedMsg{con, updates, nil})
	s.show(full())
	s.press("2", "a")
	if len(con.calls) != 1 {
		t.Errorf("%d decisions reached the engine", len(con.calls))
	}
}

func TestWhatCannotBeOpenedEndsTheConsole(t *testing.T) {
	broken := errors.New("the journal is damaged")
	err := Run(context.Background(), Config{Theme: "dark", Open: func() (engine.Console, <-chan *engine.Snapshot, error) { return nil, nil, broken }},
		tea.WithInput(nil), tea.WithOutput(io.Discard), tea.WithWindowSize(80, 24))
	if !errors.Is(err, broken) {
		t.Errorf("it ended with %v", err)
	}
}
