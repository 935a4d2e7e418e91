package threatstack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
)

// Status is how the API and the client do.
type Status struct {
	BudgetLeft  int       // requests that may still be sent in this minute
	BudgetLimit int       // Config.RequestsPerMinute
	Reset       time.Time // when the service counts afresh; zero when unknown
	Requests    int       // sent by this client, repeats counted

	ClockOffset time.Duration // how far the service's clock is ahead of ours, as far as it said
	// Ahead is how far the service's clock was ahead of ours by the Date of the last
	// answer, to the second; DateKnown says that there was one.
	Ahead     time.Duration
	DateKnown bool
	// Signed says that the last good answer's signature was verified.
	Signed bool

	SkippedAlerts int // alerts that could not be understood or are not of a watched rule
	SkippedEvents int
	SkippedWhy    []alert.Text // some of the reasons, the newest last

	Waiting int // alerts whose events are not read yet
	Open    int // alerts whose events will be read again
	Dropped int // alerts that are not read again because too many are open, or because it failed too often

	LastError error // of the last request that failed; nil after a good poll
	LastErrAt time.Time

	// Public are the public addresses of the agents seen: they are ours.
	Public []netip.Addr
}

// health is the part of Status that requests write.
type health struct {
	ahead          time.Duration
	dated          bool
	signed         bool
	alerts, events int
	why            []alert.Text
	counted        map[string]struct{}
	waiting, open  int
	dropped        int
	lastErr        error
	lastErrAt      time.Time
}

// Status gives how the API and the client do.
func (c *Client) Status() Status {
	s := Status{ClockOffset: time.Duration(c.offset.Load()), Requests: int(c.requests.Load())}
	s.BudgetLeft, s.BudgetLimit, s.Reset = c.budget.left(time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.health
	s.Signed = h.signed
	s.Ahead, s.DateKnown = h.ahead, h.dated
	s.SkippedAlerts, s.SkippedEvents, s.SkippedWhy = h.alerts, h.events, slices.Clone(h.why)
	s.Waiting, s.Open, s.Dropped = h.waiting, h.open, h.dropped
	s.LastError, s.LastErrAt = h.lastErr, h.lastErrAt
	for a := range c.public {
		s.Public = append(s.Public, a)
	}
	slices.SortFunc(s.Public, netip.Addr.Compare)
	return s
}

// noteDate compares the Date of an answer with our clock.
func (c *Client) noteDate(h http.Header) {
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.ahead, c.health.dated = time.Until(t.Add(time.Second/2)).Round(time.Second), true
}

func (c *Client) setSigned(signed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.signed = signed
}

// noteError keeps err for Status, unless it only says that the caller stopped.
func (c *Client) noteError(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.lastErr, c.health.lastErrAt = err, time.Now()
}

const maxCounted = 10_000

// skip counts what is left out, once for each key, and keeps the reason.
func (c *Client) skip(counter *int, key, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.health
	if _, again := h.counted[key]; again {
		return
	}
	if len(h.counted) >= maxCounted {
		clear(h.counted)
	}
	h.counted[key] = struct{}{}
	*counter++
	h.why = append(h.why, alert.Clean(fmt.Sprintf(format, args...)))
	if len(h.why) > maxWhy {
		h.why = slices.Delete(h.why, 0, len(h.why)-maxWhy)
	}
}
