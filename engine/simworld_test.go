package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/firewall/firewalltest"
	"selfprotect/journal/journaltest"
	"selfprotect/policy"
)

var simACLs = []string{"acl-00000001", "acl-00000002"}

// faultKinds must each be drawn by some seed.
var faultKinds = []string{
	"crash", "clean stop", "start refused", "lost answer", "server error", "late request", "stale read", "read error", "throttled",
	"quota sinks", "rights revoked", "clock step", "clock rate", "sleep", "append failed", "append unsure", "disk full", "bit flip",
	"source down", "paging broken", "alert again", "alert late", "alert grows", "person removes", "person adds", "other program reverts",
	"guard grows", "guard unsure", "read over the wire", "write over the wire", "poll over the wire",
	"asked for by a person", "snoozed", "woken", "allowed", "disallowed", "adopted", "overridden", "override ended", "offered after observing",
}

// simOdds are how often things happen in the world of one seed.
type simOdds struct {
	mode                            policy.Mode
	limits                          AutoLimits
	collateral                      int
	crash                           float64
	lost, broken, late, refused     float64
	stale, readError                float64
	appendFails, appendUnsure       float64
	pollBreaks                      float64
	slow                            float64
	watched                         bool // somebody looks at the screens all the time
	staleBy, lateBy                 time.Duration
	alerts, decisions, edits, storm int // weights of what happens next
}

func drawOdds(rng *rand.Rand) simOdds {
	some := func(most float64) float64 {
		if rng.IntN(3) == 0 {
			return 0
		}
		return most * rng.Float64()
	}
	o := simOdds{mode: policy.Auto, limits: AutoLimits{PerMinute: 1000, PerHour: 1000}, crash: some(1), lost: some(0.1), broken: some(0.1), late: some(0.1),
		refused: some(0.06), stale: some(0.6), readError: some(0.1), appendFails: some(0.03), appendUnsure: some(0.03), pollBreaks: some(0.1), slow: some(0.2),
		staleBy: time.Duration(rng.Int64N(int64(5 * time.Minute))), lateBy: time.Duration(1 + rng.Int64N(int64(15*time.Minute))),
		alerts: 1 + rng.IntN(8), decisions: 1 + rng.IntN(6), edits: rng.IntN(3), storm: rng.IntN(2)}
	if rng.IntN(3) == 0 {
		o.mode = policy.Review
	}
	if rng.IntN(3) == 0 {
		o.limits = AutoLimits{}
	}
	if rng.IntN(3) == 0 {
		o.collateral = 8
	}
	o.watched = rng.IntN(20) == 0
	return o
}

// acls are those of the world: an empty one, and one that others use too.
func (w *simWorld) acls() []firewall.ACL {
	deny := func(n int, d firewall.Direction, p string) firewall.Entry {
		return firewall.Entry{Number: n, Direction: d, Deny: true, Protocol: firewall.AllProtocols, Prefix: netip.MustParsePrefix(p)}
	}
	one := firewalltest.Standard(simACLs[0], deny(3, firewall.Egress, "192.0.2.0/24"))
	two := firewalltest.Standard(simACLs[1], deny(1, firewall.Egress, "192.0.2.0/25"), deny(50, firewall.Ingress, "192.0.2.7/32"))
	for i := range w.rng.IntN(12) {
		two.Entries = append(two.Entries, deny(60+i, firewall.Egress, fmt.Sprintf("192.0.2.%d/32", 128+i)))
	}
	two.Sort()
	return []firewall.ACL{one, two}
}

// latency is how long something takes on the network.
func (w *simWorld) latency() time.Duration {
	if w.chance(w.odds.slow) {
		return w.upTo(4 * time.Second)
	}
	return time.Millisecond + w.upTo(150*time.Millisecond)
}

// simFeeder is the alert source, as the world fills it.
type simFeeder interface {
	add(a simAlert)
	again(a simAlert) // something more of an alert that is there
	feed() (Source, func() SourceHealth)
}

// simSource is an alert source in memory: most seeds run on it, as it is fast.
type simSource struct {
	w      *simWorld
	alerts []simAlert
}

func (s *simSource) add(a simAlert)   { s.alerts = append(s.alerts, a) }
func (s *simSource) again(a simAlert) { s.add(a) }
func (s *simSource) feed() (Source, func() SourceHealth) {
	return &simFeed{simSource: s, given: map[string]int{}}, s.health
}

// simAlert is an alert that shows at a time, and may be whole only later.
type simAlert struct {
	alert.Alert
	shows, whole time.Time
}

func (s *simSource) health() SourceHealth {
	h := SourceHealth{Budget: -1}
	if by := s.w.ship.error(); by.Abs() > time.Minute { // Hawk tells it only then
		h.ClockOffset = -by
	}
	return h
}

func (s *simSource) Alerts(_ context.Context, since time.Time) iter.Seq2[alert.Alert, error] {
	w := s.w
	return func(yield func(alert.Alert, error) bool) {
		if time.Now().Before(w.down) {
			yield(alert.Alert{}, errors.New("503 service unavailable"))
			return
		}
		breaks := -1
		if !w.calm && w.chance(w.odds.pollBreaks) {
			breaks = w.rng.IntN(5)
			w.count("paging broken")
		}
		since = since.Add(min(0, s.health().ClockOffset))
		n := 0
		for _, a := range s.alerts {
			if a.CreatedAt.Before(since.Add(-40*time.Minute)) || a.shows.After(time.Now()) || n > 200 {
				continue
			}
			if n++; n > breaks && breaks >= 0 {
				yield(alert.Alert{}, errors.New("the list repeats a page"))
				return
			}
			if time.Now().Before(a.whole) {
				a.Events, a.Complete = a.Events[:1], false
			}
			if !yield(a.Alert, nil) {
				return
			}
		}
	}
}

// simFeed is the source as one process sees it: like the real one it gives what is
// new, once, and again only what it is told could not be recorded.
type simFeed struct {
	*simSource
	given map[string]int // events given, by alert
	last  []string       // in the last poll
}

func (f *simFeed) Resume(known []alert.Alert) {
	for _, a := range known {
		if a.Complete {
			f.given[a.ID] = 1 << 30
		}
	}
}

func (f *simFeed) Again() {
	for _, id := range f.last {
		delete(f.given, id)
	}
}

func (f *simFeed) Alerts(ctx context.Context, since time.Time) iter.Seq2[alert.Alert, error] {
	f.last = nil
	return func(yield func(alert.Alert, error) bool) {
		for a, err := range f.simSource.Alerts(ctx, since) {
			if err == nil && f.given[a.ID] >= len(a.Events) {
				continue
			}
			if err == nil {
				f.given[a.ID] = len(a.Events)
				f.last = append(f.last, a.ID)
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

func (w *simWorld) newAlert() {
	addr := func() string {
		switch w.rng.IntN(8) {
		case 0, 1:
			return fmt.Sprintf("2001:db8:%x::%x", w.rng.IntN(9), 1+w.rng.IntN(3))
		case 2:
			return []string{"10.1.2.3", "198.51.100.9", "169.254.169.254", "::ffff:10.0.0.1"}[w.rng.IntN(4)]
		case 3:
			return fmt.Sprintf("198.18.%d.1", w.rng.IntN(3)) // reserved
		}
		return fmt.Sprintf("203.0.%d.%d", 113+w.rng.IntN(6), 1+w.rng.IntN(12))
	}
	a := simAlert{Alert: outbound(fmt.Sprint("alert-", len(w.alerts)+1), addr(), addr()), shows: time.Now()}
	a.AgentID = fmt.Sprint("agent-", w.rng.IntN(5))
	if w.chance(0.2) {
		for i := range a.Events {
			e := &a.Events[i]
			e.Kind, e.Syscall, e.ConnSrc, e.ConnDst = "accept", "accept", e.ConnDst, "10.1.1.5"
		}
	}
	switch w.rng.IntN(6) {
	case 0:
		a.shows = time.Now().Add(w.upTo(20 * time.Minute))
		w.count("alert late")
	case 1:
		a.whole = time.Now().Add(w.upTo(20 * time.Minute))
		w.count("alert grows")
	case 2:
		if len(w.alerts) > 0 {
			old := w.alerts[w.rng.IntN(len(w.alerts))]
			if time.Since(old.CreatedAt) < 30*time.Minute {
				w.src.again(old)
				w.count("alert again")
			}
		}
	}
	w.alerts = append(w.alerts, a)
	w.src.add(a)
}

// guarded is what the keeper looks up.
func (w *simWorld) guarded(context.Context) ([]policy.Guarded, error) {
	if !w.calm && w.chance(0.1) {
		w.count("guard unsure")
		return nil, errors.New("a name could not be resolved")
	}
	return slices.Clone(w.grown), nil
}

// simWindows are times until which something goes on.
type simWindows struct{ throttled, rights, disk, awake time.Time }

func (m *simMachine) asleep() bool { return time.Now().Before(m.w.windows.awake) }

func (w *simWorld) wallFault(call firewalltest.Call) firewalltest.Fault {
	var f firewalltest.Fault
	now := time.Now()
	skewed := w.ship.error().Abs() > 5*time.Minute
	if !call.Read && skewed {
		f.Err = &firewall.RefusedError{Code: "AuthFailure", Meaning: "the request has expired", Permission: true}
		return f
	}
	if w.calm {
		return f
	}
	if now.Before(w.windows.throttled) {
		w.count("throttled")
		if call.Read {
			f.Err = errors.New("RequestLimitExceeded")
		} else {
			f.Err = &firewall.RefusedError{Code: "RequestLimitExceeded", Meaning: "throttled", Throttled: true}
		}
		return f
	}
	if call.Read {
		return w.readFault()
	}
	if now.Before(w.windows.rights) {
		w.count("rights revoked")
		f.Err = &firewall.RefusedError{Code: "UnauthorizedOperation", Meaning: "not permitted", Permission: true}
		return f
	}
	return w.writeFault()
}

func (w *simWorld) readFault() (f firewalltest.Fault) {
	if w.chance(w.odds.readError) {
		w.count("read error")
		f.Err = errors.New("503")
	}
	if w.chance(w.odds.stale) {
		w.count("stale read")
		f.Stale = w.upTo(w.odds.staleBy)
	}
	return f
}

func (w *simWorld) writeFault() (f firewalltest.Fault) {
	o := w.odds
	switch p := w.rng.Float64(); {
	case p < o.lost:
		w.count("lost answer")
		f.Lost = true
	case p < o.lost+o.broken:
		w.count("server error")
		f.Err = errors.New("504 gateway timeout")
	case p < o.lost+o.broken+o.late:
		w.count("late request")
		f.Late = w.upTo(o.lateBy)
	case p < o.lost+o.broken+o.late+o.refused:
		w.count("throttled")
		f.Err = &firewall.RefusedError{Code: "RequestLimitExceeded", Meaning: "throttled", Throttled: true}
	}
	return f
}

func (w *simWorld) logFault(op string, _ int) journaltest.Fault {
	if op != "append" || w.calm {
		return journaltest.None
	}
	if time.Now().Before(w.windows.disk) {
		w.count("disk full")
		return journaltest.NotPersisted
	}
	switch p := w.rng.Float64(); {
	case p < w.odds.appendFails:
		w.count("append failed")
		return journaltest.NotPersisted
	case p < w.odds.appendFails+w.odds.appendUnsure:
		w.count("append unsure")
		return journaltest.Persisted
	}
	return journaltest.None
}

// chaos lets everything happen for a time.
func (w *simWorld) chaos(d time.Duration) {
	end := time.Now().Add(d)
	var next func()
	next = func() {
		if time.Now().Before(end) {
			w.happen()
			w.step()
			w.after(w.upTo(12*time.Second), next)
		}
	}
	w.after(0, next)
	w.until(end)
}

// happen does one thing that people, attackers or bad luck do.
func (w *simWorld) happen() {
	o := w.odds
	total := o.alerts + o.decisions + o.edits + o.storm
	if w.chance(0.01) {
		w.runs[w.rng.IntN(len(w.runs))].stop()
	}
	switch n := w.rng.IntN(4 * total); {
	case n < 3*o.alerts:
		w.newAlert()
	case n < 3*(o.alerts+o.decisions):
		w.decide()
	case n < 3*(o.alerts+o.decisions)+o.edits:
		w.edit()
	case n < 3*(o.alerts+o.decisions)+o.edits+o.storm && w.chance(0.3):
		w.badLuck()
	}
}

// screen is a process that somebody looks at; nil when none shows anything.
func (w *simWorld) screen() *simProc {
	p := w.runs[w.rng.IntN(len(w.runs))]
	if !p.alive() || w.ship.asleep() {
		return nil
	}
	if !w.odds.watched && w.chance(0.8) || p.snap == nil { // else it shows something old
		p.look()
	}
	return p
}

// decide lets a person decide something that a screen shows.
func (w *simWorld) decide() {
	p := w.screen()
	if p == nil {
		return
	}
	actor := []string{"alice@soc", "bob@soc"}[w.rng.IntN(2)]
	s := p.snap
	if w.chance(0.15) {
		p.speak(actor)
		return
	}
	if n := len(s.Proposals); n > 0 && w.chance(0.7) {
		x := s.Proposals[w.rng.IntN(n)]
		verb := blocklist.Approve
		if w.chance(0.2) {
			verb = blocklist.Deny
		}
		p.decide(x.ID, blocklist.Decision{Verb: verb, Actor: actor, Effect: x.Digest})
		return
	}
	if n := len(s.Blocks); n > 0 && w.chance(0.7) {
		verbs := []blocklist.Verb{blocklist.Revoke, blocklist.Restore, blocklist.Restore, blocklist.Pin, blocklist.Unpin}
		p.decide(s.Blocks[w.rng.IntN(n)].ID, blocklist.Decision{Verb: verbs[w.rng.IntN(len(verbs))], Actor: actor})
		return
	}
	if n := len(s.Blocks); n > 0 && w.chance(0.5) {
		p.undo(s.Blocks[w.rng.IntN(n)].ID, actor)
		return
	}
	if w.chance(0.3) {
		m := policy.Review
		if w.odds.mode == policy.Auto && w.chance(0.8) {
			m = policy.Auto
		}
		if w.chance(0.2) {
			m = policy.Observe // for a while: what is named meanwhile is offered afterwards
		}
		_ = p.l.setMode(context.Background(), m, actor, "")
		p.turn()
	}
}

// edit lets a person or another program change an ACL.
func (w *simWorld) edit() {
	id := simACLs[w.rng.IntN(len(simACLs))]
	kind := w.rng.IntN(8)
	w.fw.Edit(id, func(a *firewall.ACL) {
		ours := func(e firewall.Entry) bool {
			return e.Deny && e.Number < 60 && !e.Prefix.Overlaps(netip.MustParsePrefix("192.0.2.0/24"))
		}
		switch {
		case kind < 4:
			w.removeOne(a, ours)
		case kind < 7:
			w.addOne(a)
		default:
			w.count("other program reverts")
			a.Entries = slices.DeleteFunc(a.Entries, func(e firewall.Entry) bool {
				if ours(e) {
					w.edited(a.ID, e)
				}
				return ours(e)
			})
		}
	})
}

func (w *simWorld) removeOne(a *firewall.ACL, ours func(firewall.Entry) bool) {
	var of []int
	for i, e := range a.Entries {
		if ours(e) {
			of = append(of, i)
		}
	}
	if len(of) == 0 {
		return
	}
	i := of[w.rng.IntN(len(of))]
	w.count("person removes")
	w.edited(a.ID, a.Entries[i])
	a.Entries = slices.Delete(a.Entries, i, i+1)
}

func (w *simWorld) addOne(a *firewall.ACL) {
	e := firewall.Entry{Number: 1 + w.rng.IntN(99), Direction: firewall.Egress, Deny: true, Protocol: firewall.AllProtocols}
	e.Prefix = netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", w.rng.IntN(256)))
	taken := slices.ContainsFunc(a.Entries, func(x firewall.Entry) bool { return x.Number == e.Number && x.Direction == e.Direction })
	if taken || a.Count(e.Direction, firewall.IPv4) > 14 {
		return
	}
	w.count("person adds")
	w.edited(a.ID, e)
	a.Entries = append(a.Entries, e)
}

func (w *simWorld) edited(acl string, e firewall.Entry) {
	w.note("by hand: %s %s %d %s", acl, e.Direction, e.Number, e.Prefix)
	w.edits = append(w.edits, simEdit{time.Now(), acl, e.Direction, e.Number})
}

// badLuck begins something that goes on for a while.
func (w *simWorld) badLuck() {
	now := time.Now()
	switch w.rng.IntN(10) {
	case 0:
		w.windows.throttled = now.Add(w.upTo(10 * time.Minute))
	case 1:
		w.windows.rights = now.Add(w.upTo(5 * time.Minute))
	case 2:
		w.count("quota sinks")
		w.fw.setQuota(12)
		w.after(w.upTo(30*time.Minute), func() { w.fw.setQuota(0) })
	case 3:
		w.count("clock step")
		w.ship.set(w.ship.error()+w.upTo(4*time.Hour)-2*time.Hour, 1)
		w.after(w.upTo(30*time.Minute), func() { w.ship.set(0, 1) })
	case 4:
		w.count("clock rate")
		w.ship.set(w.ship.error(), 1+w.rng.Float64()/2)
		w.after(w.upTo(30*time.Minute), func() { w.ship.set(0, 1) })
	case 5:
		w.sleep()
	case 6:
		w.windows.disk = now.Add(w.upTo(5 * time.Minute))
	case 7:
		w.bitFlip()
	case 8:
		w.count("source down")
		w.down = now.Add(w.upTo(10 * time.Minute))
	case 9:
		w.growGuard()
	}
}

// sleep shuts the lid: nothing runs, the monotonic clock stands.
func (w *simWorld) sleep() {
	w.count("sleep")
	if w.ship.asleep() {
		return
	}
	d := w.upTo(10 * time.Minute)
	if w.chance(0.1) {
		d = w.upTo(8 * time.Hour)
	}
	began := time.Now()
	w.windows.awake = began.Add(d)
	w.after(d, func() { w.ship.slept += time.Since(began) })
}

// bitFlip damages a record, and a person mends it later from a copy.
func (w *simWorld) bitFlip() {
	w.invariants() // the oracle has read everything before
	recs := w.log.Records()
	if len(recs) == 0 {
		return
	}
	w.count("bit flip")
	i := w.rng.IntN(len(recs))
	if w.rng.IntN(2) == 0 { // somebody starts a program anew that must read it
		i = len(recs) - 1
		w.runs[w.rng.IntN(len(w.runs))].kill()
	}
	w.log.Tamper(uint64(i+1), func(p []byte) []byte { p[w.rng.IntN(len(p))] ^= 1; return p })
	w.after(w.upTo(5*time.Minute), func() {
		w.log.Tamper(uint64(i+1), func([]byte) []byte { return slices.Clone(recs[i]) })
	})
}

// growGuard guards something that may be blocked now.
func (w *simWorld) growGuard() {
	w.count("guard grows")
	w.grown = append(w.grown, policy.Guarded{Prefix: netip.MustParsePrefix(fmt.Sprintf("203.0.%d.%d/32", 113+w.rng.IntN(6), 1+w.rng.IntN(12))), Why: "our own now"})
}
