package engine

import (
	"context"
	"time"

	"selfprotect/blocklist"
	"selfprotect/policy"
)

// Console is what a screen, a command or a test may ask of a running engine.
// Every method may be called from any goroutine and may wait for the journal.
type Console interface {
	// Decide carries a person's decision. It returns when the decision is durable
	// in the journal, not when the ACL has changed.
	Decide(ctx context.Context, id blocklist.ID, d blocklist.Decision) error
	// SetMode sets the mode; raising it is a person's decision like any other.
	SetMode(ctx context.Context, m policy.Mode, actor, reason string) error
	// Poll asks for a poll and a read of the ACLs now.
	Poll()
}

// Defaults of Config.
const (
	DefaultPollInterval = 10 * time.Second
	DefaultReadInterval = 30 * time.Second
	// DefaultSettle is how long reads must agree that an entry is absent; AWS
	// advises to wait up to five minutes for its eventual consistency.
	DefaultSettle = 5 * time.Minute
	// DefaultRequestExpiry is how long a signed request may still be accepted.
	DefaultRequestExpiry = 15 * time.Minute
	// DefaultStale is the age of ACL data after which nothing may be approved.
	DefaultStale = 2 * time.Minute
)

// Package functions and methods that callers use:
//
//	New(ctx, Config) (*Engine, error)   folds the journal
//	(*Engine) Run(ctx) error            returns when every goroutine has ended
//	(*Engine) Updates() <-chan *Snapshot one slot, newest wins; closed when Run returns
