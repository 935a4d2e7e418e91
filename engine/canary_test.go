package engine

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var canaries = flag.Bool("canaries", false, "break the program in every way of the list and hold that the simulation notices")

// canary is a deliberate bug: a text in a file of the program that is replaced
// while a test is compiled. The program itself never contains it.
type canary struct {
	name, file, old, new string
	// by is the test that must fail, as package and name; empty: the simulation, in
	// which the search begins at a seed that is known to find it soon.
	by   string
	seed int
}

// allCanaries are in the order in which they are tried: those that take long first.
var allCanaries = []canary{
	{"one read proves absence", "blocklist/settle.go", "agreed := now.Sub(since) >= r.Settle", "agreed := true || now.Sub(since) >= r.Settle", "", 3},
	{"one read proves that an entry is gone", "blocklist/settle.go", "case known && rd.At.Sub(latest(since, s.Drifted)) >= r.Settle:", "case known || !since.IsZero():", "", 2},
	{"reads before an entry landed prove that it is gone", "blocklist/settle.go", "rd.At.Sub(latest(since, s.Drifted))", "rd.At.Sub(since)", "", 14},
	{"a request is forgotten while it may land", "blocklist/settle.go", "landed := a.Done ||", "landed := true || a.Done ||", "", 1},
	{"an old read proves a narrowed entry", "blocklist/settle.go", "if there && w.Op != OpDelete && !a.Done &&", "if false && there && w.Op != OpDelete && !a.Done &&", "", 3},
	{"no quarantine", "blocklist/ledger.go", "		if w.ACL == acl {\n			out[w.Direction][w.Number] =", "		if w.ACL == acl && false {\n			out[w.Direction][w.Number] =", "", 1},
	{"restore forgets what a read lacked", "blocklist/ledger.go", "	for _, k := range blockDrifts(b) {\n		delete(g.drifts, k)\n	}\n}\n\nfunc (g *ledger) dropDrifts", "	for _, k := range blockDrifts(b) {\n		if d, ok := g.drifts[k]; ok {\n			delete(g.slots, slotKey{k.ACL, k.Direction, d.Number})\n		}\n		delete(g.drifts, k)\n	}\n}\n\nfunc (g *ledger) dropDrifts", "", 0},
	{"a removed entry is put back by itself", "blocklist/decide.go", "if l.ledger.isDrifted(t.ACL, d, b.Prefix) {", "if false {", "", 0},
	{"an approval counts twice", "blocklist/decide.go", "		if b.State != Pending {", "		if false {", "", 1},
	{"the guard lets everything pass", "policy/guard.go", "		return &GuardedError{Prefix: p, By: e}\n	}\n	if e, ok := anyOverlap(&g.yields, meant); ok && !", "		_ = e\n	}\n	if e, ok := anyOverlap(&g.yields, meant); ok && !", "", 1},
	{"a guard that grows is not heard", "engine/work.go", "l.guardBase.With(append(own, l.extra...)...)", "l.guardBase.With(own...)", "", 32},
	{"the guard is not asked on undo", "engine/undo.go", "if err := l.policy.Guard(b.Prefix); err != nil {", "if err := l.policy.Guard(b.Prefix); err != nil && false {", "engine TestUndoRefusesWhole", 0},
	{"an override lifts what is beside it", "policy/guard.go", "ok && !g.over[unmap(p)] {\n		return &GuardedError", "ok && len(g.over) == 0 {\n		return &GuardedError", "", 0},
	{"an override has no end", "blocklist/override.go", "return now.Before(o.Expires) && ", "return ", "engine TestOverride", 0},
	{"auto mode uses an override", "policy/guard.go", "	if !g.over[unmap(p)] {\n		return Guarded{}, false", "	if true {\n		return Guarded{}, false", "engine TestOverride", 0},
	{"written without the journal", "engine/work.go", "		if !errors.Is(err, errReplan) {\n			l.note(err)\n		}\n		l.replan()\n		return false", "		if errors.Is(err, errReplan) {\n			l.replan()\n			return false\n		}", "", 1},
	{"the journal comes after the call", "engine/work.go", "	err := l.record(ctx, func() ([]blocklist.Event, error) {\n		// The state may", "	_ = l.cfg.Firewall.Do(ctx, a.cfg.ID, c)\n	err := l.record(ctx, func() ([]blocklist.Event, error) {\n		// The state may", "", 0},
	{"a change is sent twice", "engine/apply.go", "	r.err = a.fw.Do(ctx, j.acl, j.change)\n", "	_ = a.fw.Do(ctx, j.acl, j.change)\n	r.err = a.fw.Do(ctx, j.acl, j.change)\n", "", 0},
	{"an answer settles twice", "engine/work.go", "if !l.list.IsPending(r.writeID) {", "if false {", "", 0},
	{"the budget of calls is not kept", "engine/work.go", "	callBudget = 105", "	callBudget = 1050000", "", 1},
	{"the mark moves before alerts are recorded", "engine/poll.go", "	if broken {\n		return\n	}\n", "", "engine TestMarkWaitsForTheJournal", 0},
	{"what could not be recorded is not read again", "engine/poll.go", "broken && ok {", "broken && ok && false {", "", 3},
	{"the clock is believed", "engine/clock.go", "	case by.Abs() > maxJump:\n		c.anchor", "	case by.Abs() > maxJump && by > 1000*time.Hour:\n		c.anchor", "", 3},
	{"auto mode does not stay stopped", "engine/work.go", "	ceiling := l.list.Ceiling().Mode\n", "	ceiling := policy.Auto\n", "", 1},
	{"auto mode takes what a person put off", "blocklist/observe.go", "b.State == Pending && v.Action == policy.Block && !b.ByHand && !b.Snoozed(now)", "b.State == Pending && v.Action == policy.Block && !b.ByHand", "", 0},
	{"absence is kept for the next entry", "engine/acl.go", "if !known || !slices.Equal(g.prefixes, o.Prefixes) {", "if !known {", "", 4},
	{"what others made is ours", "firewall/diff.go", "func (l Limits) owns(e Entry) bool {\n", "func (l Limits) owns(e Entry) bool {\n	if e.Deny && !e.Default() {\n		return true\n	}\n", "", 1},
	{"a pinned block loses its slot", "firewall/list.go", "	if c.Pinned {\n		w += onePin\n	}", "", "firewall TestPinsComeFirst", 0},
}

// TestCanaries holds that the tests can fail: each bug of the list is noticed, by
// the simulation within some seeds or by the test that is named. It compiles a test
// for each, two at a time, so it runs only when it is asked for:
//
//	go test ./engine -run TestCanaries -canaries -timeout 30m
func TestCanaries(t *testing.T) {
	root := filepath.Join("..")
	for _, c := range allCanaries {
		src, err := os.ReadFile(filepath.Join(root, c.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(src), c.old); n != 1 {
			t.Errorf("%s: the place to break occurs %d times in %s", c.name, n, c.file)
		}
	}
	if !*canaries || t.Failed() {
		t.Skip("run with -canaries")
	}
	for _, c := range allCanaries {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			c.mustBeCaught(t, root)
		})
	}
}

// mustBeCaught breaks the program and looks who notices.
func (c canary) mustBeCaught(t *testing.T, root string) {
	pkg, test, named := strings.Cut(c.by, " ")
	if !named {
		pkg = "engine"
	}
	binary := c.build(t, root, pkg)
	began := time.Now()
	if named {
		out, err := run(t, root, pkg, binary, "-test.run", "^"+test+"$")
		if err == nil || !strings.Contains(out, "--- FAIL: "+test) {
			t.Errorf("%s: %s does not notice: %v\n%s", c.name, c.by, err, out)
			return
		}
		t.Logf("caught after %s by %s", time.Since(began).Round(time.Second), c.by)
		return
	}
	for i := range canarySeeds {
		seed := c.seed + i
		out, err := run(t, root, pkg, binary, "-test.run", "TestSimulation$", "-sim.first", fmt.Sprint(seed), "-sim.seeds", "1", "-test.failfast")
		if err != nil {
			if !strings.Contains(out, "-sim.seed=") {
				t.Errorf("%s: seed %d ends without a broken promise: %v\n%s", c.name, seed, err, out)
				return
			}
			t.Logf("caught after %s: %s", time.Since(began).Round(time.Second), firstFailure(out))
			return
		}
	}
	t.Errorf("%s: not noticed in %d seeds", c.name, canarySeeds)
}

// canarySeeds is how many seeds the simulation has to notice a bug.
const canarySeeds = 60

// build compiles the tests of a package with the bug in them.
func (c canary) build(t *testing.T, root, pkg string) string {
	dir := t.TempDir()
	real, err := filepath.Abs(filepath.Join(root, c.file))
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.go")
	if err := os.WriteFile(broken, []byte(strings.Replace(string(src), c.old, c.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{real: broken}})
	if err != nil {
		t.Fatal(err)
	}
	plan, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "broken.test")
	if err := os.WriteFile(plan, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "test", "-c", "-vet=off", "-p", "1", "-ldflags=-s -w", "-overlay", plan, "-o", binary, "selfprotect/"+pkg)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// run runs a test binary in the directory of its package, on one core: two canaries
// are tried side by side.
func run(t *testing.T, root, pkg, binary string, args ...string) (string, error) {
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = filepath.Join(root, pkg)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// firstFailure is the line in which the simulation says what is wrong.
func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "_test.go:") && !strings.Contains(line, "seeds,") {
			line = strings.TrimSpace(line)
			_, seed, _ := strings.Cut(out, "-sim.seed=")
			seed, _, _ = strings.Cut(seed, " ")
			return "seed " + seed + ": " + line[:min(len(line), 160)]
		}
	}
	return out[:min(len(out), 200)]
}
