package engine

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"selfprotect/firewall"
)

const (
	// callTimeout bounds one write; a stop waits for the one in flight.
	callTimeout = 9 * time.Second
	readTimeout = 20 * time.Second
)

// applier is the only one that talks to the firewall, one job at a time.
type applier struct {
	fw      Firewall
	now     func() time.Time
	jobs    chan job
	results chan result
}

// job is one read of all ACLs, or one change.
type job struct {
	write   bool
	acl     string
	change  firewall.Change
	writeID string
	jumps   int // of the clock, when the job was begun
	// guard is asked once more right before the call.
	guard func(netip.Prefix) error
}

// result is the answer to a job.
type result struct {
	job
	acls         []firewall.ACL
	err          error
	notSent      bool // the request never left
	began, ended time.Time
}

func newApplier(fw Firewall, now func() time.Time) *applier {
	return &applier{fw: fw, now: now, jobs: make(chan job, 1), results: make(chan result, 1)}
}

// run works until jobs is closed. ctx ends reads; a write that was begun is
// finished.
func (a *applier) run(ctx context.Context) {
	for j := range a.jobs {
		if j.write {
			a.results <- a.change(ctx, j)
		} else {
			a.results <- a.read(ctx, j)
		}
	}
}

func (a *applier) read(ctx context.Context, j job) result {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	r := result{job: j, began: a.now()}
	r.acls, r.err = a.fw.Read(ctx)
	r.ended = a.now()
	return r
}

// change asks the guard and makes the call, in this one place for every path.
func (a *applier) change(ctx context.Context, j job) result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	r := result{job: j, began: a.now()}
	if j.change.Op != firewall.Delete {
		if err := j.guard(j.change.Prefix); err != nil {
			r.err, r.notSent, r.ended = fmt.Errorf("the guard forbids it: %w", err), true, a.now()
			return r
		}
	}
	r.err = a.fw.Do(ctx, j.acl, j.change)
	r.ended = a.now()
	return r
}
