package threatstack

import (
	"encoding/json"
	"errors"
	"time"
)

// listing is the way through the pages of one list. It outlives the poll when the
// budget or a failure cuts it off, and the next poll goes on from there: a list
// longer than the budget of a minute would otherwise never be read to its end.
type listing struct {
	id     uint64
	params string
	from   time.Time // what the request says
	covers time.Time // the earliest creation that this and the listings before it cover
	begun  time.Time
	token  string
	pages  int
	seen   map[string]struct{} // tokens
	paused bool                // taken up again by a later poll
}

const timeLayout = "2006-01-02T15:04:05.000Z"

// from is where the list of rule must begin. The first list of a process goes
// back over the whole window, so that alerts that may still gain events are known.
// A server whose clock is behind ours moves it back, never forward: whether the
// mark was taken from our clock or from the server's, nothing is left out.
func (p *poll) from(rule string) time.Time {
	back := p.c.cfg.Overlap
	if !p.c.book.widened[rule] {
		back = max(back, p.c.cfg.Window)
	}
	return p.since.Add(-back + p.behind())
}

func (p *poll) behind() time.Duration { return min(time.Duration(p.c.offset.Load()), 0) }

func (p *poll) newListing(rule string, from, covers time.Time) *listing {
	p.c.book.listing++
	return &listing{
		id: p.c.book.listing, from: from, covers: covers, begun: time.Now(), seen: map[string]struct{}{},
		params: query("status", "active", "ruleId", rule, "from", from.UTC().Format(timeLayout)),
	}
}

// list reads every page of the alerts of rule and delivers what is new.
func (p *poll) list(rule string) error {
	b := p.c.book
	from := p.from(rule)
	l := b.paused[rule]
	delete(b.paused, rule)
	if l == nil || from.Before(l.covers) {
		l = p.newListing(rule, from, from)
	} else {
		l.paused = true
	}
	for {
		switch err := p.walk(rule, l); {
		case errors.Is(err, errForeignToken):
			l = p.newListing(rule, from, from)
			continue
		case err != nil:
			return err
		case l.paused:
			// The first pages are old by now: what came since they were read is in
			// a list that begins when they were.
			l = p.newListing(rule, l.begun.Add(-p.c.cfg.Overlap+p.behind()), l.covers)
			continue
		}
		b.widened[rule] = true
		b.forget(rule, l.id, l.covers)
		return nil
	}
}

// errForeignToken says that the server no longer takes the token of a listing
// that was cut off.
var errForeignToken = errors.New("token refused")

// walk reads the pages from where l stands to the last.
func (p *poll) walk(rule string, l *listing) error {
	const op = "list alerts"
	for {
		els, next, err := p.c.page(p.ctx, op, forLists, "/v2/alerts", withToken(l.params, l.token), "alerts")
		if k := kindOf(err); l.paused && (k == BadRequest || k == NotFound) {
			return errForeignToken
		}
		if err != nil {
			if l.pages > 0 {
				p.c.book.paused[rule] = l
			}
			return err
		}
		if err := p.take(rule, l, els); err != nil {
			return err
		}
		if next == "" {
			return nil
		}
		if _, again := l.seen[next]; again || l.pages+1 >= maxPages {
			return p.c.endless(op)
		}
		l.seen[next] = struct{}{}
		l.token = next
		l.pages++
	}
}

// take delivers the new alerts of one page.
func (p *poll) take(rule string, l *listing, els []json.RawMessage) error {
	c := p.c
	for _, el := range els {
		a, err := decodeAlert(el)
		if err != nil {
			c.skip(&c.health.alerts, "alert "+string(el[:min(len(el), 64)]), "alert: %v", err)
			continue
		}
		if a.RuleID == "" {
			c.skip(&c.health.alerts, "alert "+a.ID, "alert %s: it names no rule", a.ID)
			continue
		}
		if !c.watches(a.RuleID) {
			c.skip(&c.health.alerts, "alert "+a.ID, "alert %s: rule %q is not watched", a.ID, a.RuleID)
			continue
		}
		if t := c.book.alerts[a.ID]; t != nil {
			t.listing = l.id
			if !t.refresh(a, p.begun) {
				continue
			}
		} else if c.book.waiting <= maxWaiting {
			t = c.book.add(a, p.begun)
			t.listing = l.id
		}
		if a.AgentID != "" {
			c.wantAgent(a.AgentID)
		}
		if err := p.deliver(a); err != nil {
			// The consumer may not have kept this one: it is new to the next poll.
			c.book.remove(a.ID)
			return err
		}
	}
	return nil
}
