package threatstack

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"selfprotect/alert"
)

const (
	maxOpen    = 10_000  // alerts that are read again
	maxWaiting = 100_000 // alerts whose events are not read yet
	maxTries   = 20      // failures after which an alert's events are given up
	firstAge   = time.Minute
)

// tracked is what is remembered of one alert.
type tracked struct {
	a        alert.Alert // without events
	id, rule string
	born     time.Time // creation, or when first seen
	complete bool      // events were read at least once
	covered  bool      // the fields name the address: no need to read again
	resumed  bool      // known from before this process, not scheduled yet
	due      time.Time // when to read the events; zero: never again
	tries    int       // failures in a row
	digest   [sha256.Size]byte
	listing  uint64 // the last listing that named it
	poll     uint64 // the last poll that delivered it
	thin     bool   // resumed without its content
	again    bool   // to be delivered anew
}

// book remembers the alerts that a list may name again, so that each is delivered
// and read once, and those that may still gain events.
type book struct {
	window  time.Duration
	alerts  map[string]*tracked
	paused  map[string]*listing // by rule: lists that were cut off
	widened map[string]bool     // by rule: a first list was read to its end
	listing uint64
	polls   uint64
	waiting int // alerts in the book with events still unread
}

func newBook(window time.Duration) *book {
	return &book{window: window, alerts: map[string]*tracked{}, paused: map[string]*listing{}, widened: map[string]bool{}}
}

// add begins to track a. Its events are due now.
func (b *book) add(a alert.Alert, now time.Time) *tracked {
	t := &tracked{a: a, id: a.ID, rule: a.RuleID, born: a.CreatedAt, covered: covers(a), due: now}
	if t.born.IsZero() || t.born.After(now) {
		t.born = now
	}
	b.alerts[a.ID] = t
	b.waiting++
	return t
}

// covers says whether the fields of a name a remote address by themselves.
func covers(a alert.Alert) bool {
	a.Events = nil
	return len(alert.Indicators(a)) > 0
}

// nextRead gives the first of the ages 1, 2, 4 … minutes and the window's end that
// lies after a time; zero when none does.
func (b *book) nextRead(born, after time.Time) time.Time {
	for age := firstAge; age < b.window; age *= 2 {
		if t := born.Add(age); t.After(after) {
			return t
		}
	}
	if t := born.Add(b.window); t.After(after) {
		return t
	}
	return time.Time{}
}

// done records that the events of t were read.
func (b *book) done(t *tracked, now time.Time, digest [sha256.Size]byte) {
	if !t.complete {
		b.waiting--
	}
	t.complete, t.digest, t.tries, t.due = true, digest, 0, time.Time{}
	if !t.covered {
		t.due = b.nextRead(t.born, now)
	}
}

// failed records that the events of t could not be read, and says whether t is
// given up.
func (b *book) failed(t *tracked, now time.Time) (givenUp bool) {
	if t.tries++; t.tries >= maxTries {
		b.drop(t)
		return true
	}
	t.due = now.Add(min(10*time.Second<<min(t.tries, 10), time.Hour))
	return false
}

// drop stops reading the events of t.
func (b *book) drop(t *tracked) {
	if !t.complete {
		b.waiting--
	}
	t.complete, t.due = true, time.Time{}
}

// refresh takes over what the list says now of an alert, and says whether its
// fields changed; then its events are due too.
func (t *tracked) refresh(a alert.Alert, now time.Time) (changed bool) {
	changed = !t.thin && !slices.Equal(t.a.Fields, a.Fields)
	if t.thin || changed {
		t.covered = covers(a)
	}
	if t.thin && t.complete && t.covered {
		t.due = time.Time{}
	}
	if changed {
		t.due, t.digest = now, [sha256.Size]byte{}
	}
	t.a, t.thin = a, false
	return changed
}

// redo makes everything that the last poll delivered new again.
func (b *book) redo(now time.Time) {
	for _, t := range b.alerts {
		if b.polls == 0 || t.poll != b.polls {
			continue
		}
		if t.complete {
			b.waiting++
		}
		t.complete, t.again, t.due, t.tries, t.digest = false, true, now, 0, [sha256.Size]byte{}
	}
}

// anew gives the alerts that redo marked, sorted by id.
func (b *book) anew() []*tracked {
	var out []*tracked
	for _, t := range b.alerts {
		if t.again {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(x, y *tracked) int { return cmp.Compare(x.id, y.id) })
	return out
}

// schedule plans the alerts that were known before this process began. since is
// when the last whole poll began, so a read that was due before it has happened.
func (b *book) schedule(since, now time.Time) {
	for _, t := range b.alerts {
		if !t.resumed {
			continue
		}
		t.resumed = false
		switch {
		case !t.complete:
			t.due = now
		case !t.covered:
			t.due = b.nextRead(t.born, since)
		}
	}
}

// ready gives the alerts whose events are due: unread ones before others, those
// without an address before those whose fields name one, those that failed less
// before those that failed more, newer before older. open counts the alerts that
// will be read again, and dropped those beyond maxOpen, which will not.
func (b *book) ready(now time.Time) (due []*tracked, open, dropped int) {
	var again []*tracked
	for _, t := range b.alerts {
		if t.due.IsZero() {
			continue
		}
		if t.complete {
			again = append(again, t)
		}
		if !t.due.After(now) {
			due = append(due, t)
		}
	}
	if len(again) > maxOpen {
		slices.SortFunc(again, func(x, y *tracked) int { return cmp.Or(y.born.Compare(x.born), cmp.Compare(x.id, y.id)) })
		for _, t := range again[maxOpen:] {
			b.drop(t)
			dropped++
		}
		due = slices.DeleteFunc(due, func(t *tracked) bool { return t.due.IsZero() })
	}
	slices.SortFunc(due, func(x, y *tracked) int {
		return cmp.Or(rank(x)-rank(y), cmp.Compare(x.tries, y.tries), y.born.Compare(x.born), cmp.Compare(x.id, y.id))
	})
	return due, min(len(again), maxOpen), dropped
}

func rank(t *tracked) int {
	switch {
	case t.complete:
		return 2
	case t.covered:
		return 1
	}
	return 0
}

// forget drops the alerts of a rule that need nothing more, were not named by its
// last whole listing, and are older than every later listing will reach.
func (b *book) forget(rule string, listing uint64, from time.Time) {
	for id, t := range b.alerts {
		if t.rule == rule && t.due.IsZero() && !t.resumed && !t.again && t.listing < listing && t.born.Before(from) {
			delete(b.alerts, id)
		}
	}
}

// remove forgets an alert altogether.
func (b *book) remove(id string) {
	if t := b.alerts[id]; t != nil && !t.complete {
		b.waiting--
	}
	delete(b.alerts, id)
}
