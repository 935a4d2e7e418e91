package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/firewall/firewalltest"
	"selfprotect/journal/journaltest"
	"selfprotect/policy"
)

// gate is the life of one process: when it is dead, nothing that it does has an
// effect any more, as after kill -9.
type gate struct {
	dead   atomic.Bool
	killIn atomic.Int64 // calls until it dies; 0: never
}

var errDead = errors.New("the process is dead")

// pass counts a call. last says that the process dies at this one.
func (g *gate) pass() (ok, last bool) {
	if g.dead.Load() {
		return false, false
	}
	if g.killIn.Load() > 0 && g.killIn.Add(-1) == 0 {
		g.dead.Store(true)
		return true, true
	}
	return true, false
}

// mortalLog and mortalWall are the journal and the firewall as a process that may
// die sees them. A call at which it dies may have had its effect or not.
type mortalLog struct {
	*journaltest.Memory
	g    *gate
	rand func() bool
}

func (l mortalLog) Append(ctx context.Context, after uint64, recs ...[]byte) (uint64, error) {
	ok, last := l.g.pass()
	if !ok || last && l.rand() {
		return 0, errDead
	}
	seq, err := l.Memory.Append(ctx, after, recs...)
	if last {
		return 0, errDead
	}
	return seq, err
}

func (l mortalLog) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, string, time.Time, error) {
	if l.g.dead.Load() {
		return false, "", time.Time{}, errDead
	}
	return l.Memory.Lease(ctx, name, holder, ttl)
}

func (l mortalLog) SaveCheckpoint(ctx context.Context, seq uint64, state []byte) error {
	if l.g.dead.Load() {
		return errDead
	}
	return l.Memory.SaveCheckpoint(ctx, seq, state)
}

type mortalWall struct {
	*firewalltest.Memory
	g    *gate
	log  *journaltest.Memory
	rand func() bool
	t    interface{ Errorf(string, ...any) }
}

// Do also holds that the start of each write is in the journal before it.
func (w mortalWall) Do(ctx context.Context, acl string, c firewall.Change) error {
	ok, last := w.g.pass()
	if !ok {
		return errDead
	}
	w.mustBeStarted(c)
	if last && w.rand() {
		return errDead
	}
	err := w.Memory.Do(ctx, acl, c)
	if last {
		return errDead
	}
	return err
}

func (w mortalWall) mustBeStarted(c firewall.Change) {
	for _, r := range slices.Backward(w.log.Records()) {
		e, err := blocklist.Decode(r)
		if err == nil && e.Kind == blocklist.Started {
			if e.Write.Number != c.Number || e.Write.Prefix != c.Prefix || e.Write.Op != c.Op.Verb() {
				w.t.Errorf("%s was sent; the last start in the journal is %+v", c, *e.Write)
			}
			return
		}
	}
	w.t.Errorf("%s was sent without a start in the journal", c)
}

func (w mortalWall) Read(ctx context.Context) ([]firewall.ACL, error) {
	if w.g.dead.Load() {
		return nil, errDead
	}
	return w.Memory.Read(ctx)
}

// dice is a random source that several goroutines may throw.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed, stream uint64) *dice { return &dice{rng: rand.New(rand.NewPCG(seed, stream))} }

func (d *dice) Float64() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64()
}

func (d *dice) IntN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

// chaos is one random history.
type chaos struct {
	*rig
	rng   *dice
	g     *gate
	calm  atomic.Bool
	alert int
}

func (c *chaos) chance(p float64) bool { return c.rng.Float64() < p }

// TestChaos lets everything fail: the process is killed at any write, answers are
// lost, requests land late, reads are stale, the journal fails both ways, people
// edit the ACL and decide. When the faults have stopped and the windows have
// passed, the ACL is what is wanted, and nothing is written any more.
func TestChaos(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { runChaos(t, seed) })
		})
	}
}

func runChaos(t *testing.T, seed uint64) {
	mode := policy.Auto
	if seed%3 == 0 {
		mode = policy.Review
	}
	foreign := firewall.Entry{Number: 3, Direction: firewall.Egress, Deny: true, Protocol: -1, Prefix: netip.MustParsePrefix("192.0.2.0/24")}
	c := &chaos{rig: newRig(t, mode, foreign), rng: newDice(seed, 1), g: &gate{}}
	c.cfg.Limits = AutoLimits{PerMinute: 1000, PerHour: 1000}
	c.cfg.MaxTTL = 3 * time.Hour
	c.fw.Faults(c.wallFault)
	coin := newDice(seed, 2)
	flip := func() bool { return coin.IntN(2) == 0 }
	c.log.Hook = c.logFault
	reborn := func() {
		c.g = &gate{}
		if !c.calm.Load() && c.chance(0.7) {
			c.g.killIn.Store(int64(1 + c.rng.IntN(40)))
		}
		c.cfg.Journal = mortalLog{c.log, c.g, flip}
		c.cfg.Checkpoints = mortalLog{c.log, c.g, flip}
		c.cfg.Firewall = mortalWall{c.fw, c.g, c.log, flip, t}
		c.start()
	}
	reborn()
	for range 60 {
		c.step()
		c.wait(time.Duration(c.rng.IntN(120)) * time.Second)
		if c.g.dead.Load() {
			c.stop()
			reborn()
		}
		c.invariants()
	}
	c.settleDown(reborn)
}

func (c *chaos) wallFault(call firewalltest.Call) firewalltest.Fault {
	var f firewalltest.Fault
	if c.calm.Load() {
		return f
	}
	if call.Read {
		if c.chance(0.3) {
			f.Stale = time.Duration(c.rng.IntN(180)) * time.Second
		}
		if c.chance(0.05) {
			f.Err = errors.New("503")
		}
		return f
	}
	switch p := c.rng.Float64(); {
	case p < 0.08:
		f.Lost = true
	case p < 0.16:
		f.Err = errors.New("504 gateway timeout")
	case p < 0.22:
		f.Late = time.Duration(c.rng.IntN(600)) * time.Second
	case p < 0.28:
		f.Err = &firewall.RefusedError{Code: "RequestLimitExceeded", Meaning: "throttled", Throttled: true}
	}
	return f
}

func (c *chaos) logFault(op string, _ int) journaltest.Fault {
	if op != "append" || c.calm.Load() || !c.chance(0.03) {
		return journaltest.None
	}
	if c.chance(0.5) {
		return journaltest.Persisted
	}
	return journaltest.NotPersisted
}

// step does one thing that people or attackers do.
func (c *chaos) step() {
	switch c.rng.IntN(8) {
	case 0, 1, 2, 3:
		c.alert++
		addrs := []string{fmt.Sprintf("203.0.113.%d", 1+c.rng.IntN(30))}
		if c.chance(0.3) {
			addrs = append(addrs, fmt.Sprintf("2001:db8::%x", 1+c.rng.IntN(9)))
		}
		if c.chance(0.2) {
			addrs = append(addrs, "10.1.2.3", "198.51.100.9", "169.254.169.254")
		}
		c.src.add(outbound(fmt.Sprint("alert-", c.alert), addrs...))
	case 4, 5:
		for _, p := range c.snap().Proposals {
			if c.chance(0.5) {
				d := blocklist.Decision{Verb: blocklist.Approve, Actor: "alice@soc", Effect: p.Digest}
				if c.chance(0.2) {
					d.Verb = blocklist.Deny
				}
				_ = c.eng.Decide(context.Background(), p.ID, d) // it may fail: that is the point
			}
		}
	case 6:
		for _, b := range c.snap().Blocks {
			if c.chance(0.2) {
				_ = c.eng.Decide(context.Background(), b.ID, blocklist.Decision{Verb: blocklist.Revoke, Actor: "bob@soc"})
			}
		}
	case 7:
		c.edit()
	}
}

// edit lets a person take an entry of ours away, or add one of their own.
func (c *chaos) edit() {
	c.fw.Edit(acl1, func(a *firewall.ACL) {
		for i, e := range a.Entries {
			if e.Number < 100 && e.Number != 3 && e.Direction == firewall.Egress && c.chance(0.1) {
				a.Entries = slices.Delete(a.Entries, i, i+1)
				return
			}
		}
		n := 60 + c.rng.IntN(30)
		taken := slices.ContainsFunc(a.Entries, func(e firewall.Entry) bool { return e.Number == n && e.Direction == firewall.Egress })
		if !taken && c.chance(0.1) && a.Count(firewall.Egress, firewall.IPv4) < 16 {
			a.Entries = append(a.Entries, firewall.Entry{Number: n, Direction: firewall.Egress, Deny: true, Protocol: -1, Prefix: netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", n))})
		}
	})
}

// invariants hold after every step.
func (c *chaos) invariants() {
	c.t.Helper()
	a := c.fw.ACL(acl1)
	for _, f := range []firewall.Family{firewall.IPv4, firewall.IPv6} {
		if n := a.Count(firewall.Egress, f); n > firewall.DefaultQuota {
			c.t.Fatalf("%d %s entries", n, f)
		}
	}
	for _, e := range a.Entries {
		if e.Deny && !e.Default() && slices.ContainsFunc(c.fw.Guarded, e.Prefix.Overlaps) {
			c.t.Fatalf("guarded: %v", e)
		}
	}
}

// settleDown stops the faults, lets the windows pass, and holds that the ACL is
// what is wanted, once each, and that nothing more is written.
func (c *chaos) settleDown(reborn func()) {
	c.t.Helper()
	c.calm.Store(true)
	c.stop()
	reborn()
	c.wait(75 * time.Minute)
	c.invariants()
	s := c.snap()
	if n := s.ACLs[0].InFlight; n != 0 {
		c.t.Errorf("%d writes are in flight at rest: %+v\nproblems %+v", n, c.eng.loop.list.Pending(acl1), s.Problems)
	}
	list := blocklist.New(blocklist.Config{MaxTTL: c.cfg.MaxTTL})
	for _, r := range c.log.Records() {
		e, err := blocklist.Decode(r)
		if err != nil {
			c.t.Fatal(err)
		}
		if err := list.Apply(e); err != nil {
			c.t.Fatal(err)
		}
	}
	waiting := map[string]bool{}
	for _, w := range s.ACLs[0].Waiting {
		waiting[w.Prefix.String()] = true
	}
	var want []string
	for _, w := range list.Wanted(time.Now().UTC()) {
		if !waiting[w.Prefix.String()] {
			want = append(want, w.Prefix.String())
		}
	}
	var got []string
	for _, e := range c.fw.ACL(acl1).Entries {
		if e.Deny && !e.Default() && e.Number != 3 && !netip.MustParsePrefix("192.0.2.0/24").Overlaps(e.Prefix) {
			for a := e.Prefix.Addr(); e.Prefix.Contains(a); a = a.Next() { // one entry may serve several
				got = append(got, netip.PrefixFrom(a, a.BitLen()).String())
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		c.t.Errorf("denied %v\nwanted %v\npresence of the difference: %s", got, want, c.difference(got, want))
	}
	writes := len(c.fw.Writes())
	c.wait(20 * time.Minute)
	if n := len(c.fw.Writes()) - writes; n > 0 && len(c.lines("expired")) == 0 {
		c.t.Errorf("%d writes at rest", n)
	}
	c.stop()
}

func (c *chaos) difference(got, want []string) string {
	var out string
	for _, b := range c.snap().Blocks {
		p := b.Prefix.String()
		if slices.Contains(got, p) != slices.Contains(want, p) {
			out += fmt.Sprintf("\n%s %s %+v%s", p, b.State, b.Presence, c.history(p))
		}
	}
	return out
}

// history is what the journal says of a prefix and of the writes about it.
func (c *chaos) history(prefix string) string {
	var out string
	ids := map[string]bool{}
	for _, r := range c.log.Records() {
		e, _ := blocklist.Decode(r)
		about := e.Write != nil && (e.Write.Prefix.String() == prefix || e.Write.Old.IsValid() && e.Write.Old.String() == prefix)
		if about {
			ids[e.WriteID] = true
		}
		if about || ids[e.WriteID] && e.WriteID != "" || strings.Contains(string(e.Block), ":"+prefix) {
			out += "\n\t" + string(r)
		}
	}
	return out
}
