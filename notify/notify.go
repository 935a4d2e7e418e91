// Package notify tells people who are not looking what a run does: that a block
// waits for a decision, that auto mode has blocked or has stopped itself, that
// somebody removed an entry, that something is stale, that credentials run out, that
// a person hands an alert on.
//
// [Notifier.Observe] is given snapshots and puts what is news into a bounded queue
// for each receiver; it never waits. A goroutine for each receiver, started by
// [Notifier.Run], gathers what came since its last message, writes one text from a
// template and hands it to the receiver, no oftener than the receiver allows. A
// receiver that fails or hangs is tried again, more slowly each time; what does not
// fit into its queue meanwhile is counted and dropped. Nothing of this is ever waited
// for by whoever blocks.
//
// The URL of a receiver is a secret. No text of this package contains it, nor the
// words of an error that may: see explain.
package notify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"text/template"
	"time"

	"selfprotect/engine"
)

// The events that a receiver may be told of.
const (
	Review      = "review"
	Blocked     = "blocked"
	Stopped     = "stopped"
	Drift       = "drift"
	Stale       = "stale"
	Credentials = "credentials"
	Escalated   = "escalated"
)

// Sender hands one text to a receiver. It may hang.
type Sender interface {
	Send(text string) error
}

// Receiver is somebody to tell.
type Receiver struct {
	Name     string // in the place of the URL
	Sender   Sender
	Events   []string
	Template string        // empty: DefaultTemplate
	Every    time.Duration // at most one message in this time; 0: a minute
}

// Config is what a Notifier is made from.
type Config struct {
	Receivers []Receiver
	Host      string // who speaks
	// Health says what is stale or broken, one sentence each; it is asked every
	// quarter of a minute. May be nil.
	Health func() []string
	// Told is called when a receiver begins to fail, or works again. May be nil.
	Told func(receiver, problem string)
}

// Notifier tells receivers. Its methods may be called from any goroutine.
type Notifier struct {
	cfg       Config
	receivers []*receiver

	mu    sync.Mutex
	last  uint64            // the newest line that was looked at
	mode  string            // of the newest snapshot
	stale bool              // that was told
	ends  map[string]string // what was told of credentials, by region and account
}

// New gives a notifier that has told nobody anything. An error is about a template.
func New(cfg Config) (*Notifier, error) {
	n := &Notifier{cfg: cfg, ends: map[string]string{}}
	for _, r := range cfg.Receivers {
		t, err := parse(cmp.Or(r.Template, DefaultTemplate))
		if err != nil {
			return nil, fmt.Errorf("template of %s: %w", r.Name, err)
		}
		n.receivers = append(n.receivers, newReceiver(r, t, n))
	}
	return n, nil
}

// Run tells the receivers until ctx is done, then tries once more, for a moment, to
// get rid of what is left.
func (n *Notifier) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, r := range n.receivers {
		wg.Go(func() { r.run(ctx) })
	}
	if n.cfg.Health != nil {
		wg.Go(func() { n.watch(ctx) })
	}
	wg.Wait()
}

// healthEvery is how often health is asked for.
const healthEvery = 15 * time.Second

// watch tells when something becomes stale, and when all is well again.
func (n *Notifier) watch(ctx context.Context) {
	t := time.NewTicker(healthEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			n.healthNow(n.cfg.Health())
		}
	}
}

func (n *Notifier) healthNow(wrong []string) {
	n.mu.Lock()
	before := n.stale
	n.stale = len(wrong) > 0
	n.mu.Unlock()
	switch {
	case len(wrong) > 0 && !before:
		for _, s := range wrong {
			n.tell(Item{Event: Stale, Time: time.Now(), Text: s})
		}
	case len(wrong) == 0 && before:
		n.tell(Item{Event: Stale, Time: time.Now(), Text: "nothing is stale any more"})
	}
}

// tell queues an item for every receiver that wants it.
func (n *Notifier) tell(it Item) {
	it = it.clean()
	for _, r := range n.receivers {
		if slices.Contains(r.Events, it.Event) {
			r.add(it)
		}
	}
}

// Problems says which receivers fail.
func (n *Notifier) Problems() []engine.Problem {
	var out []engine.Problem
	for _, r := range n.receivers {
		if p, bad := r.problem(); bad {
			out = append(out, p)
		}
	}
	return out
}

// Count is what became of the messages of one receiver.
type Count struct {
	Name                  string
	Sent, Failed, Dropped int
	Up                    bool
}

// Counts gives what became of the messages, receiver by receiver.
func (n *Notifier) Counts() []Count {
	out := make([]Count, len(n.receivers))
	for i, r := range n.receivers {
		out[i] = r.counts()
	}
	return out
}

func (n *Notifier) message(items []Item, more int) Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Message{Host: n.cfg.Host, Mode: n.mode, Items: items, More: more}
}

// parse reads a template and tries it on a message.
func parse(text string) (*template.Template, error) {
	t, err := template.New("template").Parse(text)
	if err == nil {
		_, err = render(t, sample())
	}
	return t, err
}
