package threatstack

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"selfprotect/alert"
)

// Past says what part of the past of a rule is read.
type Past struct {
	Rule        string
	From, Until time.Time // of creation
	// MaxRequests bounds the requests that are made; 0 is DefaultPastRequests.
	MaxRequests int
	// Progress is told after each request, and before a wait for the request budget;
	// may be nil.
	Progress func(PastProgress)
}

// DefaultPastRequests is how many requests a look into the past may make.
const DefaultPastRequests = 1000

// PastProgress is how far a look into the past has come.
type PastProgress struct {
	Requests, Alerts int
	Events, Due      int           // alerts whose events were read, and all that need it
	Wait             time.Duration // until the budget allows the next request; 0: it goes on
}

// PastAlerts is what a look into the past found.
type PastAlerts struct {
	// Alerts are oldest first, active ones and dismissed ones. One is Complete when
	// its events were read, or need not be, as its fields name its address.
	Alerts []alert.Alert
	// Unread counts those whose events could not be read, or not within MaxRequests.
	Unread int
	// Cut says that MaxRequests ended the list itself: older alerts may be missing.
	Cut      bool
	Requests int
}

// errEnough says that the requests are used up.
var errEnough = errors.New("enough requests")

// past is one look into the past.
type past struct {
	c     *Client
	p     Past
	out   PastAlerts
	state PastProgress
}

// History reads the alerts of a rule in a part of the past: lists first, active and
// dismissed, then the events of each alert whose fields name no address, newest
// first. It keeps to the request budget, for which it waits. An error means that
// what it gives is not whole.
func (c *Client) History(ctx context.Context, p Past) (PastAlerts, error) {
	p.MaxRequests = cmp.Or(p.MaxRequests, DefaultPastRequests)
	h := &past{c: c, p: p}
	seen := map[string]int{}
	for _, status := range []string{"active", "dismissed"} {
		err := h.list(ctx, status, seen)
		if errors.Is(err, errEnough) {
			h.out.Cut = true
			break
		}
		if err != nil {
			return h.out, err
		}
	}
	slices.SortFunc(h.out.Alerts, func(a, b alert.Alert) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	err := h.events(ctx)
	slices.Reverse(h.out.Alerts)
	return h.out, err
}

// list reads one list to its end.
func (h *past) list(ctx context.Context, status string, seen map[string]int) error {
	const op = "list past alerts"
	params := query("status", status, "ruleId", h.p.Rule, "from", h.p.From.UTC().Format(timeLayout), "until", h.p.Until.UTC().Format(timeLayout))
	tokens := map[string]bool{}
	for token := ""; ; {
		var next string
		err := h.ask(ctx, func() error {
			els, after, err := h.c.page(ctx, op, forEvents, "/v2/alerts", withToken(params, token), "alerts")
			if err != nil {
				return err
			}
			next = after
			for _, el := range els {
				a, err := decodeAlert(el)
				if err != nil || a.RuleID != h.p.Rule || a.CreatedAt.IsZero() || a.CreatedAt.Before(h.p.From) || a.CreatedAt.After(h.p.Until) {
					h.c.skip(&h.c.health.alerts, "past "+string(el[:min(len(el), 64)]), "a past alert is left out")
					continue
				}
				a.Dismissed = a.Dismissed || status == "dismissed"
				if i, again := seen[a.ID]; again { // it was dismissed in between
					h.out.Alerts[i].Dismissed = h.out.Alerts[i].Dismissed || a.Dismissed
					continue
				}
				seen[a.ID] = len(h.out.Alerts)
				h.out.Alerts = append(h.out.Alerts, a)
			}
			return nil
		})
		switch {
		case err != nil:
			return err
		case next == "":
			return nil
		case tokens[next] || len(tokens) > maxPages:
			return h.c.endless(op)
		}
		tokens[next] = true
		token = next
	}
}

// events completes the alerts, the first of which is the newest.
func (h *past) events(ctx context.Context) error {
	var due []int
	for i := range h.out.Alerts {
		if a := &h.out.Alerts[i]; covers(*a) {
			a.Complete = true
		} else {
			due = append(due, i)
		}
	}
	h.state.Due = len(due)
	failures := 0
	for n, i := range due {
		err := h.ask(ctx, func() error {
			a, _, err := h.c.events(ctx, h.out.Alerts[i])
			if err == nil {
				h.out.Alerts[i] = a
			}
			return err
		})
		switch kind := kindOf(err); {
		case err == nil:
			failures = 0
			h.state.Events++
		case ctx.Err() != nil, kind == Unauthorized, kind == Forbidden:
			return err
		case errors.Is(err, errEnough):
			h.out.Unread += len(due) - n
			return nil
		case kind == NotFound:
			h.out.Unread++
		default:
			h.out.Unread++
			if failures++; failures >= maxFailures {
				return err
			}
		}
	}
	return nil
}

// ask makes a request when the budget allows it, again and again until it does.
func (h *past) ask(ctx context.Context, do func() error) error {
	for {
		if h.out.Requests >= h.p.MaxRequests {
			return errEnough
		}
		err := do()
		var e *Error
		if !errors.As(err, &e) || e.Kind != RateLimited {
			h.out.Requests++
			h.tell(0)
			return err
		}
		wait := max(time.Until(e.Until), 100*time.Millisecond)
		h.tell(wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (h *past) tell(wait time.Duration) {
	if h.p.Progress == nil {
		return
	}
	h.state.Requests, h.state.Alerts, h.state.Wait = h.out.Requests, len(h.out.Alerts), wait
	h.p.Progress(h.state)
}
