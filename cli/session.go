package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/config"
	"selfprotect/engine"
	"selfprotect/firewall"
	"selfprotect/firewall/nacl"
	"selfprotect/journal"
	"selfprotect/policy"
)

const (
	// sessionTimeout bounds a command that decides: one read of each ACL, and the
	// writes that follow.
	sessionTimeout = 2 * time.Minute
	// sessionRead is how often a session looks at the ACLs while it waits.
	sessionRead = 3 * time.Second
	// sessionGuard bounds the look-up of what must be guarded: a service that hangs
	// must not hold up an emergency.
	sessionGuard = 5 * time.Second
)

// session is an engine on the journal for one command that decides something,
// beside whatever else runs on the same journal. It needs AWS and the journal
// alone: it polls no alerts, and when the alert API does not answer, the guard
// lacks the agents' addresses and says so.
type session struct {
	*parts
	o         *options
	out, errs io.Writer
	fw        *witness
	guard     *guardWitness
	// dry: decisions are made on a copy of the journal in memory, and come to nothing.
	dry bool
	// now is what it saw when it began, last what it has seen since.
	now, last *engine.Snapshot
}

// sessionKind says what a command needs of its session.
type sessionKind struct {
	dry     bool          // decide nothing
	begins  bool          // the journal may be made
	timeout time.Duration // 0: sessionTimeout
}

// session runs do with an engine that has looked at every ACL, as far as it can
// be read.
func (o *options) session(cmd *cobra.Command, kind sessionKind, do func(context.Context, *session) error) error {
	cfg, err := o.load(true)
	if err != nil {
		return err
	}
	if len(cfg.ACLs) == 0 {
		return usageError(errors.New("no network ACL is named: add [[acl]] with an id to the configuration, or give --aws-acl-id"))
	}
	if err := journalThere(cfg, kind); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), cmp.Or(kind.timeout, sessionTimeout))
	defer cancel()
	s, closeAll, err := o.open(ctx, cmd, cfg, kind)
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.engine.Run(run) }()
	if s.now, err = s.await(ctx, aclsRead); err == nil {
		err = do(ctx, s)
	} else if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("nothing was done: AWS has not answered for too long")
	} else {
		err = fmt.Errorf("stopped before anything was done: %w", err)
	}
	stop()
	for range s.engine.Updates() { // until it has ended
	}
	return errors.Join(err, <-ended, closeAll())
}

// journalThere refuses a journal that does not exist, where the command could only
// find nothing in a new one.
func journalThere(cfg *config.Config, kind sessionKind) error {
	if kind.begins || kind.dry {
		return nil
	}
	if _, err := os.Stat(cfg.State.Path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no journal at %s: nothing was ever proposed or blocked there; --state names another", cfg.State.Path)
	}
	return nil
}

// open puts the engine of a session together. It asks nothing of any service.
func (o *options) open(ctx context.Context, cmd *cobra.Command, cfg *config.Config, kind sessionKind) (*session, func() error, error) {
	o.noPoll = true
	p := &parts{cfg: cfg, log: slog.New(slog.DiscardHandler), actor: person(o.env)}
	s := &session{parts: p, o: o, out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), dry: kind.dry}
	var missing error
	if p.source, missing = newSource(cfg); missing != nil {
		cfg.Guard.Agents = false // there is nobody to ask
		missing = fmt.Errorf("the agents could not be listed: %w", missing)
	}
	var err error
	if p.aws, err = newFirewall(ctx, cfg, kind.dry); err != nil {
		return nil, nil, err
	}
	pol, err := policy.New(cfg.Policy())
	if err != nil {
		return nil, nil, usageError(err)
	}
	p.guards = newGuardian(cfg, p.source, p.aws, o.env)
	s.fw, s.guard = &witness{Backend: p.aws}, &guardWitness{look: p.guards.guarded, missing: missing}
	c := engineConfig(cfg, p, pol, o)
	c.Source, c.Health, c.Checks, c.Access, c.Dismiss = silent{}, nil, nil, nil, false
	c.Firewall, c.Guarded, c.ReadInterval = s.fw, s.guard.guarded, sessionRead
	closeJournal, err := s.openJournal(ctx, &c, kind)
	if err != nil {
		return nil, nil, err
	}
	if p.engine, err = engine.New(ctx, c); err != nil {
		return nil, nil, errors.Join(err, closeJournal())
	}
	return s, closeJournal, nil
}

// openJournal gives the engine the journal, or for one that must decide nothing a
// copy in memory.
func (s *session) openJournal(ctx context.Context, c *engine.Config, kind sessionKind) (func() error, error) {
	if kind.dry {
		j, err := openScratch(ctx, s.cfg.State.Path)
		if err != nil {
			return nil, err
		}
		c.Journal, c.Checkpoints = j, nil
		return j.close, nil
	}
	j, err := journal.Open(s.cfg.State.Path)
	if err != nil {
		return nil, err
	}
	s.journal, c.Journal, c.Checkpoints = j, j, j
	return j.Close, nil
}

// silent is the source of an engine that does not ask it.
type silent struct{}

// Alerts gives none.
func (silent) Alerts(context.Context, time.Time) iter.Seq2[alert.Alert, error] {
	return func(func(alert.Alert, error) bool) {}
}

// witness remembers how the last calls to AWS ended, with the types that the
// sentences of a snapshot lack.
type witness struct {
	*nacl.Backend
	mu          sync.Mutex
	read, wrote error
}

func (w *witness) Read(ctx context.Context) ([]firewall.ACL, error) {
	acls, err := w.Backend.Read(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read = err
	return acls, err
}

func (w *witness) Do(ctx context.Context, acl string, c firewall.Change) error {
	err := w.Backend.Do(ctx, acl, c)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote = err
	return err
}

func (w *witness) last() (read, wrote error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.read, w.wrote
}

// guardWitness looks up what must be guarded, and remembers what it could not.
type guardWitness struct {
	look    func(context.Context) ([]policy.Guarded, error)
	missing error // what cannot be looked up in any case
	mu      sync.Mutex
	err     error
}

func (g *guardWitness) guarded(ctx context.Context) ([]policy.Guarded, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionGuard)
	defer cancel()
	out, err := g.look(ctx)
	if err = errors.Join(g.missing, err); err != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.err = err
	}
	return out, err
}

// warnGuard tells what the guard lacks before something is blocked.
func (s *session) warnGuard() {
	s.guard.mu.Lock()
	defer s.guard.mu.Unlock()
	if s.guard.err != nil {
		fmt.Fprintf(s.errs, "selfprotect: warning: some addresses that must be guarded could not be looked up: %s\n", clean(s.guard.err.Error()))
	}
}

// readable is the error when an ACL could not be read.
func (s *session) readable(snap *engine.Snapshot) error {
	for _, a := range snap.ACLs {
		if a.Err == "" {
			continue
		}
		err := fmt.Errorf("%s could not be read: %s", a.ID, a.Err)
		if read, _ := s.fw.last(); nacl.CredentialError(read) || errors.Is(read, nacl.ErrNoSuchACL) {
			return credentialError(err)
		}
		return err
	}
	return nil
}

// mayCarryOut says by DryRun that what is decided can also be carried out, when no
// other process does that; what blocks needs a guard that is believed, too.
func (s *session) mayCarryOut(ctx context.Context, blocks bool) error {
	if s.dry || s.now.Holder != "" {
		return nil
	}
	if blocks && s.now.GuardShrunk != "" {
		return errors.New(s.now.GuardShrunk + ": nothing is blocked until it can be looked up whole, or a console sets the mode, which confirms it")
	}
	if errs := s.permissions(ctx); len(errs) > 0 {
		return credentialError(errors.Join(errs...))
	}
	return nil
}

// decide records a decision of this person; a journal that is busy is tried again.
func (s *session) decide(ctx context.Context, id blocklist.ID, d blocklist.Decision) error {
	d.Actor = s.actor
	return s.persist(ctx, func() error { return s.engine.Decide(ctx, id, d) })
}

// persist does again what only failed because many decide at once.
func (s *session) persist(ctx context.Context, do func() error) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := do()
		if !errors.Is(err, engine.ErrBusy) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// who says who carries out what was recorded.
func (s *session) who() string {
	if s.now.Holder != "" {
		return clean(s.now.Holder) + " carries it out"
	}
	return "this command carries it out"
}

// settled waits until a read shows every entry of these blocks where it should be.
func (s *session) settled(ctx context.Context, ids []blocklist.ID) (*engine.Snapshot, error) {
	return s.readBack(ctx, func(snap *engine.Snapshot) bool { return inPlace(snap, ids) })
}

// readBack waits until something is so, and a read that began after that says so
// too.
func (s *session) readBack(ctx context.Context, so func(*engine.Snapshot) bool) (*engine.Snapshot, error) {
	var since time.Time
	var failed error
	snap, err := s.await(ctx, func(snap *engine.Snapshot) bool {
		if failed = s.hopeless(snap); failed != nil {
			return true
		}
		if !so(snap) {
			since = time.Time{}
			return false
		}
		if since.IsZero() {
			since = snap.At
		}
		old := slices.ContainsFunc(snap.ACLs, func(a *engine.ACLView) bool { return a.ReadAt.Before(since) })
		if old {
			s.engine.Poll() // a read that was under way says nothing yet
		}
		return !old
	})
	switch {
	case failed != nil:
		return snap, failed
	case errors.Is(err, context.DeadlineExceeded):
		return s.last, errors.New("it is recorded, and AWS does not show it yet; whatever runs on this journal goes on with it")
	case err != nil:
		return s.last, fmt.Errorf("it is recorded, and was not waited for: %w", err)
	}
	return snap, nil
}

// hopeless is the error that waiting does not mend.
func (s *session) hopeless(snap *engine.Snapshot) error {
	const recorded = "it is recorded, and the next run that can goes on with it: %w"
	if err := s.readable(snap); err != nil {
		return wrapped(err, recorded)
	}
	if _, wrote := s.fw.last(); wrote != nil && nacl.CredentialError(wrote) {
		return credentialError(fmt.Errorf(recorded, wrote))
	}
	return nil
}

// wrapped puts words around an error and keeps its exit code.
func wrapped(err error, format string) error {
	out := fmt.Errorf(format, err)
	var e *exitError
	if errors.As(err, &e) {
		return &exitError{e.code, out}
	}
	return out
}

// inPlace says that nothing is left to be written for these blocks.
func inPlace(snap *engine.Snapshot, ids []blocklist.ID) bool {
	for _, b := range snap.Blocks {
		if !slices.Contains(ids, b.ID) {
			continue
		}
		for _, p := range b.Presence {
			if p.Status == "writing" || p.Status == "removing" || p.Status == "unknown" {
				return false
			}
		}
	}
	return true
}

// blockView finds a block that was decided.
func blockView(snap *engine.Snapshot, id blocklist.ID) *engine.BlockView {
	for _, b := range snap.Blocks {
		if b.ID == id {
			return b
		}
	}
	return nil
}

// current gives a snapshot in which something is so, waiting a little for it; else
// the newest.
func (s *session) current(ctx context.Context, so func(*engine.Snapshot) bool) *engine.Snapshot {
	ctx, cancel := context.WithTimeout(ctx, sessionRead)
	defer cancel()
	if !so(s.last) {
		_, _ = s.await(ctx, so)
	}
	return s.last
}

// await waits for a snapshot, and keeps the newest.
func (s *session) await(ctx context.Context, enough func(*engine.Snapshot) bool) (*engine.Snapshot, error) {
	return await(ctx, s.engine, func(snap *engine.Snapshot) bool {
		s.last = snap
		return enough(snap)
	})
}
