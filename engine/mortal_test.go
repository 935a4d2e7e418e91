package engine

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/journal/journaltest"
)

// gate is the life of one process: when it is dead, nothing that it does has an
// effect any more, as after kill -9.
type gate struct {
	dead   atomic.Bool
	killIn atomic.Int64 // calls until it dies; 0: never
}

var errDead = errors.New("the process is dead")

// pass counts a call. last says that the process dies at this one.
func (g *gate) pass() (ok, last bool) {
	if g.dead.Load() {
		return false, false
	}
	if g.killIn.Load() > 0 && g.killIn.Add(-1) == 0 {
		g.dead.Store(true)
		return true, true
	}
	return true, false
}

// mortalLog and mortalWall are the journal and the firewall as a process that may
// die sees them. A call at which it dies may have had its effect or not.
type mortalLog struct {
	*journaltest.Memory
	g    *gate
	rand func() bool
}

func (l mortalLog) Append(ctx context.Context, after uint64, recs ...[]byte) (uint64, error) {
	ok, last := l.g.pass()
	if !ok || last && l.rand() {
		return 0, errDead
	}
	seq, err := l.Memory.Append(ctx, after, recs...)
	if last {
		return 0, errDead
	}
	return seq, err
}

func (l mortalLog) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, string, time.Time, error) {
	if l.g.dead.Load() {
		return false, "", time.Time{}, errDead
	}
	return l.Memory.Lease(ctx, name, holder, ttl)
}

func (l mortalLog) SaveCheckpoint(ctx context.Context, seq uint64, state []byte) error {
	if l.g.dead.Load() {
		return errDead
	}
	return l.Memory.SaveCheckpoint(ctx, seq, state)
}

type mortalWall struct {
	Firewall
	g    *gate
	log  *journaltest.Memory
	rand func() bool
	w    *simWorld
}

// Do also holds that the start of each write is in the journal before it.
func (w mortalWall) Do(ctx context.Context, acl string, c firewall.Change) error {
	ok, last := w.g.pass()
	if !ok {
		return errDead
	}
	w.mustBeStarted(c)
	w.w.mayDo(acl, c)
	if last && w.rand() {
		return errDead
	}
	err := w.Firewall.Do(ctx, acl, c)
	if last {
		return errDead
	}
	return err
}

func (w mortalWall) mustBeStarted(c firewall.Change) {
	for _, r := range slices.Backward(w.log.Since(max(0, w.log.Len()-2000))) {
		e, err := blocklist.Decode(r)
		if err == nil && e.Kind == blocklist.Started {
			if e.Write.Number != c.Number || e.Write.Prefix != c.Prefix || e.Write.Op != c.Op.Verb() {
				w.w.Errorf("%s was sent; the last start in the journal is %+v", c, *e.Write)
			}
			if w.w.sent[e.WriteID] {
				w.w.Errorf("%s was sent twice for one start, %s", c, e.WriteID)
			}
			w.w.sent[e.WriteID] = true
			return
		}
	}
	w.w.Errorf("%s was sent without a start in the journal", c)
}

func (w mortalWall) Read(ctx context.Context) ([]firewall.ACL, error) {
	if w.g.dead.Load() {
		return nil, errDead
	}
	return w.Firewall.Read(ctx)
}
