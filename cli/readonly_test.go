package cli

import (
	"context"
	"errors"
	"testing"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/policy"
)

func TestAReadOnlyScreenCannotDecide(t *testing.T) {
	var c engine.Console = lookOnly{}
	if err := c.Decide(context.Background(), "x", blocklist.Decision{Verb: blocklist.Revoke}); !errors.Is(err, errReadOnly) {
		t.Error(err)
	}
	if err := c.SetMode(context.Background(), policy.Auto, "me", ""); !errors.Is(err, errReadOnly) {
		t.Error(err)
	}
	for name, is := range map[string]bool{
		"Undoer":    func() bool { _, ok := c.(engine.Undoer); return ok }(),
		"Proposer":  func() bool { _, ok := c.(engine.Proposer); return ok }(),
		"Allower":   func() bool { _, ok := c.(engine.Allower); return ok }(),
		"Adopter":   func() bool { _, ok := c.(engine.Adopter); return ok }(),
		"Overrider": func() bool { _, ok := c.(engine.Overrider); return ok }(),
		"Archiver":  func() bool { _, ok := c.(engine.Archiver); return ok }(),
	} {
		if is {
			t.Errorf("it is a %s", name)
		}
	}
}
