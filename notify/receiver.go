package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"text/template"
	"time"

	"selfprotect/engine"
)

const (
	// maxQueue is how many items may wait for one receiver; maxItems how many one
	// message tells.
	maxQueue = 200
	maxItems = 20
	// sendTimeout is how long a receiver may take; lastTimeout at the end of a run.
	sendTimeout = 15 * time.Second
	lastTimeout = 2 * time.Second
	// maxHanging is how many messages may hang in a receiver before no more are sent.
	maxHanging         = 3
	minPause, maxPause = 10 * time.Second, 10 * time.Minute
)

var (
	errSlow    = errors.New("the receiver did not answer in time")
	errHanging = errors.New("the receiver has not answered for long")
)

// receiver is one receiver with its queue.
type receiver struct {
	Receiver
	n       *Notifier
	tmpl    *template.Template
	wake    chan struct{}
	hanging atomic.Int32

	mu                    sync.Mutex
	queue                 []Item
	lost                  int // dropped since the last message
	sent, failed, dropped int
	failures              int // in a row
	err                   string
	since                 time.Time
}

func newReceiver(r Receiver, t *template.Template, n *Notifier) *receiver {
	if r.Every <= 0 {
		r.Every = time.Minute
	}
	return &receiver{Receiver: r, n: n, tmpl: t, wake: make(chan struct{}, 1)}
}

// add queues an item; when the queue is full the oldest goes.
func (r *receiver) add(it Item) {
	r.mu.Lock()
	r.queue = append(r.queue, it)
	r.bound()
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *receiver) bound() {
	if over := len(r.queue) - maxQueue; over > 0 {
		r.queue = append([]Item(nil), r.queue[over:]...)
		r.lost += over
		r.dropped += over
	}
}

// run sends what is queued, one message in each interval.
func (r *receiver) run(ctx context.Context) {
	var next time.Time
	for {
		select {
		case <-ctx.Done():
			r.last()
			return
		case <-r.wake:
		}
		if !sleep(ctx, time.Until(next)) {
			r.last()
			return
		}
		next = time.Now().Add(r.message(ctx, sendTimeout))
	}
}

// last tries to get rid of what is left.
func (r *receiver) last() {
	r.mu.Lock()
	left := len(r.queue)
	r.mu.Unlock()
	if left > 0 {
		r.message(context.Background(), lastTimeout)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// message sends one message and says how long to leave the receiver alone. What
// could not be sent is queued again.
func (r *receiver) message(ctx context.Context, timeout time.Duration) time.Duration {
	items, more := r.take()
	if len(items) == 0 {
		return 0
	}
	text, err := render(r.tmpl, r.n.message(items, more))
	if err == nil && text == "" {
		return 0 // the template has nothing to say of these
	}
	if err == nil {
		err = r.deliver(ctx, text, timeout)
	}
	if ctx.Err() != nil {
		r.back(items, more) // the last attempt is still to come
		return 0
	}
	if err != nil {
		r.back(items, more)
	}
	return r.settle(err)
}

// take gives what the next message tells: the newest items, and how many more there
// were.
func (r *receiver) take() (items []Item, more int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	items, more = r.queue, r.lost
	r.queue, r.lost = nil, 0
	if over := len(items) - maxItems; over > 0 {
		items, more = items[over:], more+over
		r.dropped += over
	}
	return items, more
}

func (r *receiver) back(items []Item, more int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(items[:len(items):len(items)], r.queue...)
	r.lost += more
	r.bound()
}

// deliver hands a text over in a goroutine of its own, which is left behind when the
// receiver hangs; a few of them at most.
func (r *receiver) deliver(ctx context.Context, text string, timeout time.Duration) error {
	if r.hanging.Load() >= maxHanging {
		return errHanging
	}
	done := make(chan error, 1)
	r.hanging.Add(1)
	go func() {
		defer r.hanging.Add(-1)
		done <- r.Sender.Send(text)
	}()
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return errSlow
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle keeps how a message ended, tells when that is news, and gives the pause.
func (r *receiver) settle(err error) time.Duration {
	r.mu.Lock()
	before, pause := r.err, r.Every
	if err == nil {
		r.sent++
		r.err, r.failures = "", 0
	} else {
		r.failed++
		r.failures++
		if r.err = explain(err); before == "" {
			r.since = time.Now()
		}
		pause = max(pause, min(minPause<<min(r.failures-1, 10), maxPause))
	}
	now, queued := r.err, len(r.queue)
	r.mu.Unlock()
	if queued > 0 {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	if told := r.n.cfg.Told; told != nil && (before == "") != (now == "") {
		told(r.Name, now)
	}
	return pause
}

func (r *receiver) problem() (engine.Problem, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := engine.Problem{Severity: engine.Warning, Since: r.since, Text: fmt.Sprintf("notifications to %s fail: %s", clean(r.Name), r.err),
		Hint: "it is tried again; blocks do not wait for it"}
	if r.dropped > 0 {
		p.Hint += fmt.Sprintf("; %d events were left out", r.dropped)
	}
	return p, r.err != ""
}

func (r *receiver) counts() Count {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Count{Name: r.Name, Sent: r.sent, Failed: r.failed, Dropped: r.dropped, Up: r.err == ""}
}
