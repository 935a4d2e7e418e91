package engine

import (
	"container/heap"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"hash"
	"maps"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/firewall/firewalltest"
	"selfprotect/journal/journaltest"
	"selfprotect/policy"
)

var (
	simSeed  = flag.Int64("sim.seed", -1, "replay this seed alone, and print its trace")
	simSeeds = flag.Int("sim.seeds", 4, "how many seeds to run")
	simFirst = flag.Int("sim.first", 0, "the first seed")
)

// TestSimulation runs whole engines against everything that can go wrong, drawn
// from a seed: two processes on one journal, killed at any call; lost answers,
// requests that land late, stale reads, throttling, a quota that sinks, rights
// that are taken away; clocks that step, run fast, and machines that sleep; a disk
// that is full or lies; alerts that come late, twice or grow; people and other
// programs who edit the ACLs, approve, deny and revoke. The engine's own code
// runs in one goroutine and in virtual time, so a seed replays byte for byte:
//
//	go test ./engine -run TestSimulation -sim.seed=17
//
// After every step the invariants are looked at; when the faults have stopped and
// the windows have passed, the ACLs are what is wanted.
func TestSimulation(t *testing.T) {
	if *simSeed >= 0 {
		run := simulate(t, uint64(*simSeed), true)
		t.Logf("%d steps, trace %s, %v", run.steps, run.trace, run.counts)
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // it lives on short-lived plans
	seeds := *simSeeds
	if testing.Short() || raceEnabled {
		seeds = min(seeds, 1)
	}
	var mu sync.Mutex
	total, counts := 0, map[string]int{}
	t.Run("seeds", func(t *testing.T) {
		for i := range seeds {
			seed := uint64(*simFirst + i)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				run := simulate(t, seed, false)
				mu.Lock()
				defer mu.Unlock()
				total += run.steps
				for k, n := range run.counts {
					counts[k] += n
				}
			})
		}
	})
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%-28s %d", k, counts[k]))
	}
	t.Logf("%d seeds, %d steps\n%s", seeds, total, strings.Join(lines, "\n"))
	if seeds >= 70 {
		for _, k := range faultKinds {
			if counts[k] == 0 {
				t.Errorf("no seed drew %q", k)
			}
		}
	}
}

// TestSimulationReplays holds that a seed is enough to repeat a run.
func TestSimulationReplays(t *testing.T) {
	if raceEnabled {
		t.Skip("it runs in one goroutine: there is nothing to race with")
	}
	for _, seed := range []uint64{3, wireEvery - 1} {
		a, b := simulate(t, seed, false), simulate(t, seed, false)
		if a.trace != b.trace || a.steps != b.steps {
			t.Errorf("two runs of seed %d differ: %d steps %s, %d steps %s", seed, a.steps, a.trace, b.steps, b.trace)
		}
	}
}

// wireEvery: of so many seeds one runs the real client of EC2 against the server of
// package sim.
const wireEvery = 9

// simRun is what is left of a run.
type simRun struct {
	steps  int
	trace  string
	counts map[string]int
}

func simulate(t *testing.T, seed uint64, verbose bool) (run simRun) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld(t, seed)
		w.verbose = verbose
		w.chaos(90 * time.Minute)
		w.rest()
		run = simRun{w.steps, hex.EncodeToString(w.trace.Sum(nil)[:8]), w.counts}
	})
	return run
}

// simWorld is one seed's world: its services, people and processes.
type simWorld struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	odds    simOdds
	verbose bool

	fw   simWall
	log  *journaltest.Memory
	src  simFeeder
	ship *simMachine // the machine that the processes run on
	runs []*simProc

	queue  simQueue
	order  int
	steps  int
	calm   bool
	failed bool
	trace  hash.Hash
	counts map[string]int
	alerts []simAlert // so far
	down   time.Time  // until when the alert source answers with errors

	// What the oracle knows.
	shadow   *blocklist.List
	read     int // records that the shadow has folded
	autos    map[string][]time.Time
	calls    map[string][]time.Time // of each life of a process, and of all together
	edits    []simEdit
	started  map[string]blocklist.Write
	approved map[blocklist.ID]simApproval
	windows  simWindows
	grown    []policy.Guarded           // what the keeper finds beyond the configuration
	sent     map[string]bool            // writes that were sent, by id
	enforced map[netip.Prefix]time.Time // when an override was ended
}

// simEdit is when somebody changed a number of an ACL by hand.
type simEdit struct {
	at     time.Time
	acl    string
	dir    firewall.Direction
	number int
}

// simEvent happens at a time; of several the one that was planned first.
type simEvent struct {
	at    time.Time
	order int
	do    func()
}

type simQueue []simEvent

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].order < q[j].order
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)   { *q = append(*q, x.(simEvent)) }
func (q *simQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// after plans something.
func (w *simWorld) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.queue, simEvent{time.Now().Add(d), w.order, do})
}

// until lets the world run for a time.
func (w *simWorld) until(end time.Time) {
	for len(w.queue) > 0 && w.queue[0].at.Before(end) && !w.failed {
		e := heap.Pop(&w.queue).(simEvent)
		if d := time.Until(e.at); d > 0 {
			time.Sleep(d)
		}
		e.do()
	}
	if d := time.Until(end); d > 0 && !w.failed {
		time.Sleep(d)
	}
}

// step counts one step and looks at the invariants.
func (w *simWorld) step() {
	w.steps++
	w.invariants()
}

func (w *simWorld) chance(p float64) bool { return w.rng.Float64() < p }

// upTo gives a random time below d.
func (w *simWorld) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.rng.Int64N(int64(d)))
}

// count counts a fault or an event and puts it into the trace.
func (w *simWorld) count(kind string) {
	w.counts[kind]++
	w.note("%s", kind)
}

// note puts a line into the trace.
func (w *simWorld) note(format string, args ...any) {
	fmt.Fprintf(w.trace, "%d ", time.Now().UnixNano())
	fmt.Fprintf(w.trace, format, args...)
	if w.verbose {
		w.t.Logf("%s %s", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...))
	}
}

// fail reports a broken promise with the command that shows it again.
func (w *simWorld) fail(format string, args ...any) {
	w.t.Helper()
	if w.failed {
		return
	}
	w.failed = true
	w.t.Errorf("%s at step %d: %s\nagain: go test ./engine -run TestSimulation -sim.seed=%d -v",
		time.Now().UTC().Format("15:04:05"), w.steps, fmt.Sprintf(format, args...), w.seed)
}

// Helper and Errorf make the world the one to whom the firewall in memory reports
// misuse.
func (w *simWorld) Helper() { w.t.Helper() }
func (w *simWorld) Errorf(format string, args ...any) {
	if strings.Contains(format, "not ours") && w.raced(args) {
		w.count("race with a person")
		return
	}
	w.fail(format, args...)
}

// raced says that a change met an entry that somebody had made after what the
// freshest possible read shows: EC2 offers nothing against that.
func (w *simWorld) raced(args []any) bool {
	acl, c := args[0].(string), args[1].(firewall.Change)
	return slices.ContainsFunc(w.edits, func(e simEdit) bool {
		return e.acl == acl && e.dir == c.Direction && e.number == c.Number && time.Since(e.at) < 6*time.Minute
	})
}

func newSimWorld(t *testing.T, seed uint64) *simWorld {
	w := &simWorld{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), trace: sha256.New(), counts: map[string]int{},
		log: journaltest.NewMemory(), shadow: blocklist.New(blocklist.Config{MaxTTL: simMaxTTL}), autos: map[string][]time.Time{}, calls: map[string][]time.Time{}, started: map[string]blocklist.Write{}, approved: map[blocklist.ID]simApproval{},
		sent: map[string]bool{}, enforced: map[netip.Prefix]time.Time{}}
	w.odds = drawOdds(w.rng)
	guarded := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("198.51.100.9/32"), netip.MustParsePrefix("169.254.0.0/16")}
	if seed%wireEvery == wireEvery-1 {
		wall := newWireWall(w, w.acls()...)
		w.fw, wall.guarded = wall, guarded
	} else {
		m := firewalltest.New(w, w.acls()...)
		m.Guarded = guarded
		m.Faults(w.wallFault)
		w.fw = memoryWall{m}
	}
	w.log.Hook = w.logFault
	w.ship = &simMachine{w: w, rate: 1, since: time.Now()}
	w.log.Now = w.ship.now
	w.src = &simSource{w: w}
	if seed%wireEvery == wireEvery/2 || seed%wireEvery == wireEvery-1 {
		w.src = newWireSource(w)
	}
	w.runs = []*simProc{newSimProc(w, 0), newSimProc(w, 1)}
	return w
}
