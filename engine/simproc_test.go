package engine

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/policy"
)

// simMaxTTL is the longest life of a block in a simulation.
const simMaxTTL = time.Hour

// simMachine is the clock of the machine that the processes share.
type simMachine struct {
	w       *simWorld
	offset  time.Duration // of its wall clock from the true time
	rate    float64       // of its wall clock since then
	since   time.Time
	slept   time.Duration // that the monotonic clock has not counted
	touched time.Time     // when it was last set
	everSet bool
}

func (m *simMachine) now() time.Time { return time.Now().Add(m.error()) }

// error is how far the wall clock is ahead of the true time.
func (m *simMachine) error() time.Duration {
	return m.offset + time.Duration(float64(time.Since(m.since))*(m.rate-1))
}

// steady says that the clock has not been touched for long.
func (m *simMachine) steady() bool {
	return m.rate == 1 && (m.touched.IsZero() || time.Since(m.touched) > callWindow)
}

// set sets the clock to an error and a rate.
func (m *simMachine) set(offset time.Duration, rate float64) {
	m.offset, m.rate, m.since, m.touched = offset, rate, time.Now(), time.Now()
	m.everSet = m.everSet || offset != 0 || rate != 1
}

// simProc is a process: the engine's own loop, poller, applier and keeper, driven
// one event at a time.
type simProc struct {
	w     *simWorld
	name  string
	lives int
	g     *gate
	l     *loop
	eng   *Engine
	snap  *Snapshot
	gen   int // of the planned wake; older ones are void
	busy  bool
}

func newSimProc(w *simWorld, i int) *simProc {
	p := &simProc{w: w, name: string(rune('a' + i))}
	w.after(w.upTo(time.Minute), p.born)
	return p
}

func (p *simProc) alive() bool { return p.eng != nil && !p.g.dead.Load() }

// born starts the process.
func (p *simProc) born() {
	w := p.w
	p.lives++
	p.g = &gate{}
	if !w.calm && w.chance(w.odds.crash) {
		p.g.killIn.Store(int64(1 + w.rng.IntN(60)))
	}
	cfg := w.config(p)
	eng, err := New(context.Background(), cfg)
	if err != nil {
		w.note("%s cannot start: %v", p.name, err)
		w.count("start refused")
		w.after(10*time.Second+w.upTo(time.Minute), p.born)
		return
	}
	p.eng, p.l, p.snap, p.busy = eng, eng.loop, nil, false
	life := p.lives
	p.l.clock.mono = time.Now().Add(-w.ship.slept)
	p.l.clock.monotonic = func() time.Time { return time.Now().Add(-w.ship.slept) }
	p.l.begin()
	w.note("%s starts as %s", p.name, cfg.Holder)
	w.after(w.upTo(5*time.Second), func() { p.keep(life) })
	p.turn()
}

func (w *simWorld) config(p *simProc) Config {
	flip := func() bool { return w.rng.IntN(2) == 0 }
	var targets []policy.Target
	var acls []ACLConfig
	for _, id := range simACLs {
		t := policy.Target{ACL: id, Directions: []alert.Direction{alert.Outbound}}
		if id == simACLs[1] {
			t.Directions = append(t.Directions, alert.Inbound)
		}
		targets = append(targets, t)
		acls = append(acls, ACLConfig{ID: id, Low: 1, High: 99})
	}
	guard := policy.NewGuard(append(policy.BuiltIn(policy.RefusePrivate),
		policy.Guarded{Prefix: netip.MustParsePrefix("198.51.100.9/32"), Why: "never_block"},
		policy.Guarded{Prefix: simYields, Why: "a service", Overridable: true}))
	pol, err := policy.New(policy.Config{Mode: w.odds.mode, Guard: guard, Watches: []policy.Watch{{RuleID: rule, Name: "the rule", TTL: 20 * time.Minute}}, Targets: targets})
	if err != nil {
		w.t.Fatal(err)
	}
	log := mortalLog{w.log, p.g, flip}
	source, health := w.src.feed()
	return Config{Source: source, Health: health, Firewall: mortalWall{w.fw.client(w), p.g, w.log, flip, w}, ACLs: acls,
		Journal: log, Checkpoints: log, Policy: pol, Guarded: w.guarded, MaxTTL: simMaxTTL,
		Limits: w.odds.limits, Slots: Slots{Margin: 20, Price: 5, Collateral: w.odds.collateral},
		Holder: fmt.Sprintf("%s@here:%d", p.name, p.lives), Now: w.ship.now}
}

// turn lets the loop do what is due and plans what follows.
func (p *simProc) turn() {
	if !p.alive() {
		p.died()
		return
	}
	w := p.w
	if !w.odds.watched {
		p.l.view.publishedAt = p.l.now().Add(time.Hour) // nobody looks: what a screen shows is made when somebody does
	}
	d := p.l.turn(context.Background())
	p.drain()
	w.step()
	p.gen++
	gen := p.gen
	w.after(max(d, time.Millisecond), func() {
		if p.gen == gen {
			if w.ship.asleep() {
				w.after(time.Second, func() { p.wakeLater(gen) })
				return
			}
			p.turn()
		}
	})
	if !p.alive() {
		p.died()
	}
}

func (p *simProc) wakeLater(gen int) {
	if p.gen != gen {
		return
	}
	if p.w.ship.asleep() {
		p.w.after(time.Second, func() { p.wakeLater(gen) })
		return
	}
	p.turn()
}

// drain takes what the loop hands to its goroutines and to the screen.
func (p *simProc) drain() {
	select {
	case s := <-p.eng.updates:
		p.snap = s
	default:
	}
	select {
	case j := <-p.l.applier.jobs:
		p.busy = true
		p.later(p.w.latency(), func() { p.call(j) })
	default:
	}
	select {
	case since := <-p.l.poller.start:
		p.later(p.w.latency(), func() {
			p.l.poller.poll(context.Background(), since)
			p.later(p.w.latency(), func() {
				p.l.polled(context.Background(), <-p.l.poller.items)
				p.turn()
			})
		})
	default:
	}
}

// look has a new snapshot made.
func (p *simProc) look() {
	p.l.publish(p.l.now())
	p.snap = <-p.eng.updates
}

// later plans something that only this life of the process sees.
func (p *simProc) later(d time.Duration, do func()) {
	eng := p.eng
	p.w.after(d, func() {
		if p.eng == eng && p.alive() {
			do()
		}
	})
}

// call is the applier's work: the request has its effect now, the answer comes
// later, if the process lives.
func (p *simProc) call(j job) {
	w := p.w
	var r result
	if j.write {
		w.note("%s %s %s", p.name, j.acl, j.change)
		r = p.l.applier.change(context.Background(), j)
	} else {
		r = p.l.applier.read(context.Background(), j)
	}
	w.called(p, j)
	if !p.alive() {
		p.died()
		return
	}
	p.later(w.latency(), func() {
		r.ended = p.l.now()
		p.busy, p.l.busy = false, false
		p.l.applied(context.Background(), r)
		p.turn()
	})
}

// keep is the keeper's work.
func (p *simProc) keep(life int) {
	if p.lives != life || !p.alive() {
		return
	}
	entries, err := p.l.keeper.look(context.Background())
	p.l.kept(context.Background(), keeperNews{guard: true, entries: entries, err: err})
	p.turn()
	p.w.after(keepEvery, func() { p.keep(life) })
}

// died plans the next life of a process that was killed.
func (p *simProc) died() {
	if p.eng == nil {
		return
	}
	p.w.count("crash")
	p.eng, p.l, p.snap = nil, nil, nil
	p.gen++
	p.w.after(time.Second+p.w.upTo(2*time.Minute), p.born)
}

// kill ends it at once.
func (p *simProc) kill() {
	if p.alive() {
		p.g.dead.Store(true)
		p.died()
	}
}

// stop ends it as a signal does, when no write is in flight.
func (p *simProc) stop() {
	if !p.alive() || p.busy {
		return
	}
	p.l.close(context.Background())
	p.w.count("clean stop")
	p.eng, p.l, p.snap = nil, nil, nil
	p.gen++
	p.w.after(time.Second+p.w.upTo(2*time.Minute), p.born)
}

// decide is a decision on the screen of this process.
func (p *simProc) decide(id blocklist.ID, d blocklist.Decision) {
	err := p.l.decide(context.Background(), id, d)
	p.w.note("%s: %s %s by %s: %v", p.name, d.Verb, id, d.Actor, err)
	if err == nil {
		p.w.count(string(d.Verb))
	}
	p.turn()
}

// undo takes the last decision about a block back.
func (p *simProc) undo(id blocklist.ID, actor string) {
	plan, err := p.l.planUndo(id, p.l.now())
	if err != nil || len(plan.Conflicts) > 0 {
		p.w.count("undo refused")
		return
	}
	p.decide(id, blocklist.Decision{Verb: blocklist.Undo, Actor: actor, Effect: plan.Digest})
}
