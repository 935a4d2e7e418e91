package threatstack

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// priority orders who may use the last requests of a minute.
type priority uint8

const (
	forLists  priority = iota // may use all
	forEvents                 // leave what the lists of a minute need
	forAgents                 // leave twice that
)

const (
	minute = time.Minute
	// maxReset bounds what a server may ask us to wait.
	maxReset = 15 * time.Minute
	// epochMillis tells a reset given as a point in time from one given as a span.
	epochMillis = 1e11
)

// budget counts requests: at most limit in any 60 s, and no more than the
// service says is left of the limit that the whole organization shares.
type budget struct {
	mu    sync.Mutex
	limit int
	lists int // what the lists of a minute may need

	all, low, agents window // of every request; of events and agents; of agents

	remote      int // left at the service, -1 unknown
	remoteLimit int // the most that was ever said to be left
	remoteUntil time.Time
	blocked     time.Time // after a 429
}

// window holds the times of the last len(sent) requests as a ring.
type window struct {
	sent []time.Time
	next int // the oldest, and where the next one goes
}

func newWindow(n int) window { return window{sent: make([]time.Time, max(n, 1))} }

// free says when one more request keeps to the window, which may be in the past.
func (w *window) free() time.Time {
	if oldest := w.sent[w.next]; !oldest.IsZero() {
		return oldest.Add(minute + time.Millisecond)
	}
	return time.Time{}
}

func (w *window) add(now time.Time) {
	w.sent[w.next] = now
	w.next = (w.next + 1) % len(w.sent)
}

// listsPerMinute is what one rule's lists need at a poll every ten seconds.
const listsPerMinute = 7

func newBudget(limit, rules int) *budget {
	b := &budget{limit: limit, lists: rules * listsPerMinute, remote: -1}
	b.all = newWindow(limit)
	b.low = newWindow(limit - b.reserve(forEvents, limit))
	b.agents = newWindow(limit - b.reserve(forAgents, limit))
	return b
}

// reserve is how many requests of a limit p must leave: nothing for lists; for
// events a fifth, or what the lists need up to a half; for agents twice that.
func (b *budget) reserve(p priority, limit int) int {
	share := max(limit/5, min(limit/2, b.lists))
	return max(min(int(p)*share, limit-1), 0)
}

// take claims one request. When there is none for p it says when there may be.
func (b *budget) take(now time.Time, p priority) (until time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.blocked) {
		return b.blocked, false
	}
	if b.remoteKnown(now) && b.remote <= b.reserve(p, min(b.remoteLimit, b.limit)) {
		return b.remoteUntil, false
	}
	windows := []*window{&b.all, &b.low, &b.agents}[:1+int(p)]
	for _, w := range windows {
		if at := w.free(); at.After(until) {
			until = at
		}
	}
	if now.Before(until) {
		return until, false
	}
	for _, w := range windows {
		w.add(now)
	}
	if b.remote > 0 {
		b.remote--
	}
	return time.Time{}, true
}

func (b *budget) remoteKnown(now time.Time) bool { return b.remote >= 0 && now.Before(b.remoteUntil) }

// answer learns from the headers of an answer. It gives the time until which
// nothing may be sent when the answer was a 429.
func (b *budget) answer(now time.Time, status int, h http.Header) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	reset := minute
	if ms, err := strconv.ParseInt(h.Get("x-rate-limit-reset"), 10, 64); err == nil && ms >= 0 {
		switch {
		case ms > epochMillis:
			reset = time.UnixMilli(ms).Sub(now)
		default:
			reset = time.Duration(ms) * time.Millisecond
		}
		reset = min(max(reset, 0), maxReset)
	}
	if n, err := strconv.Atoi(h.Get("x-rate-limit-remaining")); err == nil && n >= 0 {
		b.remote, b.remoteUntil = n, now.Add(reset)
		b.remoteLimit = max(b.remoteLimit, n)
	}
	if status != http.StatusTooManyRequests {
		return time.Time{}
	}
	b.blocked = now.Add(max(reset, time.Second))
	return b.blocked
}

// left gives the requests that may still be sent now, the limit, and when the
// service resets its count (zero when unknown).
func (b *budget) left(now time.Time) (left, limit int, reset time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.all.sent {
		if t.IsZero() || now.Sub(t) > minute {
			left++
		}
	}
	if b.remoteKnown(now) {
		left, reset = min(left, b.remote), b.remoteUntil
	}
	if now.Before(b.blocked) {
		left, reset = 0, b.blocked
	}
	return left, b.limit, reset
}
