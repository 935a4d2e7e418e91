package cli

import (
	"context"
	"errors"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/policy"
)

// lookOnly is what a read-only screen may ask of an engine: to look. What is decided
// there would be carried out by whoever else works on the journal.
type lookOnly struct{ engine engine.Console }

var errReadOnly = errors.New("this console is read-only")

func (lookOnly) Decide(context.Context, blocklist.ID, blocklist.Decision) error { return errReadOnly }

func (lookOnly) SetMode(context.Context, policy.Mode, string, string) error { return errReadOnly }

func (l lookOnly) Poll() { l.engine.Poll() }
