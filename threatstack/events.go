package threatstack

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"hash"
	"net/url"
	"time"

	"selfprotect/alert"
)

const (
	maxEvents     = 5000 // kept of one alert
	maxEventPages = 50
	maxFailures   = 3 // in a row, after which a poll stops asking
)

// events reads the events of the alerts that are due. Failures are kept for the
// status; only a stop of the consumer or of the context is an error.
func (p *poll) events() error {
	c := p.c
	begun := time.Now()
	due, _, dropped := c.book.ready(begun)
	c.countDropped(dropped)
	failures := 0
	for _, t := range due {
		if failures >= maxFailures || time.Since(begun) > eventPhase {
			return nil
		}
		a, digest, err := c.events(p.ctx, t.a)
		if p.ctx.Err() != nil {
			return failed(p.ctx, "read events", c.host, p.ctx.Err())
		}
		switch kindOf(err) {
		case RateLimited, Unauthorized, HostNotFound:
			return nil // the same would meet the others; the next list reports it
		}
		if err != nil {
			if c.book.failed(t, time.Now()) {
				c.countDropped(1)
			}
			failures++
			if kindOf(err) == NotFound {
				failures = 0 // says nothing of the others
			}
			continue
		}
		failures = 0
		fresh := !t.complete || digest != t.digest
		if fresh {
			if a.AgentID != "" {
				c.wantAgent(a.AgentID)
			}
			if err := p.deliver(a); err != nil {
				return err // still due: the consumer may not have kept it
			}
		}
		c.book.done(t, time.Now(), digest)
	}
	return nil
}

func (c *Client) countDropped(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.dropped += n
}

// events reads the contributing events of a, and gives the alert complete with
// them and a digest of what was read.
func (c *Client) events(ctx context.Context, a alert.Alert) (alert.Alert, [sha256.Size]byte, error) {
	const op = "read events"
	var digest [sha256.Size]byte
	path := "/v2/alerts/" + url.PathEscape(a.ID) + "/events"
	odd := notes{n: a.Skipped, why: append([]alert.Text(nil), a.SkippedWhy...)}
	sum := sha256.New()
	seen := map[string]struct{}{}
	for token := ""; ; {
		els, next, err := c.page(ctx, op, forEvents, path, withToken("", token), "events")
		if err != nil {
			return a, digest, err
		}
		if full := c.takeEvents(&a, els, sum, &odd); full || next == "" {
			break
		}
		if _, again := seen[next]; again {
			return a, digest, c.endless(op)
		}
		if len(seen)+1 >= maxEventPages {
			odd.add("more than %d pages of events: only the first %d events count", maxEventPages, len(a.Events))
			break
		}
		seen[next] = struct{}{}
		token = next
	}
	a.Complete, a.Skipped, a.SkippedWhy = true, odd.n, odd.why
	return a, [sha256.Size]byte(sum.Sum(nil)), nil
}

// takeEvents adds the events of one page to a, and says whether a is full.
func (c *Client) takeEvents(a *alert.Alert, els []json.RawMessage, sum hash.Hash, odd *notes) (full bool) {
	for _, el := range els {
		if len(a.Events) >= maxEvents {
			odd.add("more than %d events: only these count", maxEvents)
			return true
		}
		sum.Write(el)
		sum.Write([]byte{0})
		e, err := decodeEvent(el, odd)
		if err != nil {
			odd.add("event: %v", err)
			key := sha256.Sum256(el)
			c.skip(&c.health.events, "event "+a.ID+string(key[:]), "event of alert %s: %v", a.ID, err)
			continue
		}
		a.Events = append(a.Events, e)
	}
	return false
}
