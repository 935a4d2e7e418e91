package engine

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var canaries = flag.Bool("canaries", false, "break the program in every way of the list and hold that the simulation notices")

// canary is a deliberate bug: a text in a file of the program that is replaced
// while the tests are compiled, by one that asks harmed whether the bug is on. The
// program itself never contains it.
type canary struct {
	name, file, old, new string
	// by is the test that must fail, as package and name; empty: the simulation, in
	// which the search begins at a seed that is known to find it soon.
	by   string
	seed int
	// also is a second text in the same file, where two places hold the promise.
	also [2]string
}

var allCanaries = []canary{
	{"one read proves absence", "blocklist/settle.go", "agreed := now", "agreed := harmed(NAME) || now", "blocklist TestJudge", 0, [2]string{}},
	{"one read proves that an entry is gone", "blocklist/settle.go", "case known && rd.At", "case harmed(NAME) && !since.IsZero() || known && rd.At", "blocklist TestDriftIsNotOursForEver", 0, [2]string{}},
	{"reads before an entry landed prove that it is gone", "blocklist/settle.go", "rd.At.Sub(latest(since, s.Drifted))", "rd.At.Sub(harmedOr(NAME, since, latest(since, s.Drifted)))", "blocklist TestDriftIsNotOursForEver", 0, [2]string{}},
	{"a request is forgotten while it may land", "blocklist/settle.go", "landed := a.Done ||", "landed := harmed(NAME) || a.Done ||", "blocklist TestJudge", 0, [2]string{}},
	{"an old read proves a narrowed entry", "blocklist/settle.go", "if there && w.Op != OpDelete && !a.Done &&", "if !harmed(NAME) && there && w.Op != OpDelete && !a.Done &&", "blocklist TestAnOldReadOfAReplacedEntryProvesNothing", 0, [2]string{}},
	{"no quarantine", "blocklist/ledger.go", "		if w.ACL == acl {\n			out[w.Direction][w.Number] =", "		if w.ACL == acl && !harmed(NAME) {\n			out[w.Direction][w.Number] =", "", 6, [2]string{}},
	{"restore forgets what a read lacked", "blocklist/ledger.go", "	for _, k := range blockDrifts(b) {\n		delete(g.drifts, k)\n	}\n}\n\nfunc (g *ledger) dropDrifts", "	for _, k := range blockDrifts(b) {\n		if d, ok := g.drifts[k]; ok && harmed(NAME) {\n			delete(g.slots, slotKey{k.ACL, k.Direction, d.Number})\n		}\n		delete(g.drifts, k)\n	}\n}\n\nfunc (g *ledger) dropDrifts", "blocklist TestRestoreDoesNotForget", 0, [2]string{}},
	{"a removed entry is put back by itself", "blocklist/decide.go", "if l.ledger.isDrifted(t.ACL, d, b.Prefix) {", "if !harmed(NAME) && l.ledger.isDrifted(t.ACL, d, b.Prefix) {", "blocklist TestDriftAndReturn", 0, [2]string{}},
	{"an approval counts twice", "blocklist/decide.go", "		if b.State != Pending {", "		if b.State != Pending && !harmed(NAME) {", "blocklist TestDecide", 0, [2]string{}},
	{"the guard lets everything pass", "policy/guard.go", "		return &GuardedError{Prefix: p, By: e}\n	}\n	if e, ok := anyOverlap(&g.yields, meant); ok && !", "		if !harmed(NAME) {\n			return &GuardedError{Prefix: p, By: e}\n		}\n	}\n	if e, ok := anyOverlap(&g.yields, meant); ok && !", "", 0, [2]string{}},
	{"a guard that grows is not heard", "engine/work.go", "append(own, l.extra...)...)", "append(own, harmedOr(NAME, nil, l.extra)...)...)", "engine TestGrownGuardRemovesTheBlock", 0, [2]string{}},
	{"the guard is not asked on undo", "engine/undo.go", "if err := l.policy.Guard(b.Prefix); err != nil {", "if err := l.policy.Guard(b.Prefix); err != nil && !harmed(NAME) {", "engine TestUndoRefusesWhole", 0,
		[2]string{"case s.Op == 0 && s.Number == 0:", "case s.Op == 0 && s.Number == 0 && !(harmed(NAME) && strings.Contains(s.Note, \"must not\")):"}},
	{"an override lifts what is beside it", "policy/guard.go", "ok && !g.over[unmap(p)] {\n		return &GuardedError", "ok && !harmedOr(NAME, len(g.over) > 0, g.over[unmap(p)]) {\n		return &GuardedError", "", 1, [2]string{}},
	{"an override has no end", "blocklist/override.go", "return now.Before(o.Expires) && ", "return (harmed(NAME) || now.Before(o.Expires)) && ", "blocklist TestOverrideNeverLastsLonger", 0, [2]string{}},
	{"auto mode uses an override", "policy/guard.go", "	if !g.over[unmap(p)] {\n		return Guarded{}, false", "	if !g.over[unmap(p)] || harmed(NAME) {\n		return Guarded{}, false", "engine TestOverride", 0, [2]string{}},
	{"written without the journal", "engine/work.go", "		if !errors.Is(err, errReplan) {\n			l.note(err)\n		}\n		l.replan()\n		return false", "		if !errors.Is(err, errReplan) {\n			l.note(err)\n		}\n		l.replan()\n		if !harmed(NAME) || errors.Is(err, errReplan) {\n			return false\n		}", "", 1, [2]string{}},
	{"the journal comes after the call", "engine/work.go", "	err := l.record(ctx, func() ([]blocklist.Event, error) {\n		// The state may", "	if harmed(NAME) {\n		_ = l.cfg.Firewall.Do(ctx, a.cfg.ID, c)\n	}\n	err := l.record(ctx, func() ([]blocklist.Event, error) {\n		// The state may", "", 0, [2]string{}},
	{"a change is sent twice", "engine/apply.go", "	r.err = a.fw.Do(ctx, j.acl, j.change)\n", "	r.err = a.fw.Do(ctx, j.acl, j.change)\n	if harmed(NAME) {\n		r.err = a.fw.Do(ctx, j.acl, j.change)\n	}\n", "", 0, [2]string{}},
	{"an answer settles twice", "engine/work.go", "if !l.list.IsPending(r.writeID) {", "if !harmed(NAME) && !l.list.IsPending(r.writeID) {", "engine TestAnswerOfASettledWriteIsNotRecorded", 0, [2]string{}},
	{"the budget of calls is not kept", "engine/work.go", "l.list.Writes(t, a.cfg.ID) < callBudget", "l.list.Writes(t, a.cfg.ID) < harmedOr(NAME, 1_000_000, callBudget)", "", 0, [2]string{}},
	{"the mark moves before alerts are recorded", "engine/poll.go", "	if broken {\n		return\n	}\n", "	if broken && !harmed(NAME) {\n		return\n	}\n", "engine TestMarkWaitsForTheJournal", 0, [2]string{}},
	{"what could not be recorded is not read again", "engine/poll.go", "broken && ok {", "broken && ok && !harmed(NAME) {", "engine TestMarkWaitsForTheJournal", 0, [2]string{}},
	{"the clock is believed", "engine/clock.go", "	case by.Abs() > maxJump:\n		c.anchor", "	case by.Abs() > maxJump && !harmed(NAME):\n		c.anchor", "engine TestOverrideNeedsAClock", 0, [2]string{}},
	{"auto mode does not stay stopped", "engine/work.go", "	ceiling := l.list.Ceiling().Mode\n", "	ceiling := harmedOr(NAME, policy.Auto, l.list.Ceiling().Mode)\n", "engine TestAutoStopsAtItsLimit", 0, [2]string{}},
	{"auto mode takes what a person put off", "blocklist/observe.go", "&& !b.ByHand && !b.Snoozed(now)", "&& !b.ByHand && (harmed(NAME) || !b.Snoozed(now))", "engine TestSnoozedWaits", 0, [2]string{}},
	{"auto mode takes what was only observed", "engine/observed.go", "		v.Action = policy.Ask\n", "		if !harmed(NAME) {\n			v.Action = policy.Ask\n		}\n", "engine TestObservedIsOfferedWhenTheModeRises", 0, [2]string{}},
	{"absence is kept for the next entry", "engine/acl.go", "if !known || !slices.Equal(g.prefixes, o.Prefixes) {", "if !known || !harmed(NAME) && !slices.Equal(g.prefixes, o.Prefixes) {", "engine TestAbsenceIsOfOneEntry", 0, [2]string{}},
	{"what others made is ours", "firewall/diff.go", "func (l Limits) owns(e Entry) bool {\n", "func (l Limits) owns(e Entry) bool {\n	if harmed(NAME) && e.Deny && !e.Default() {\n		return true\n	}\n", "", 0, [2]string{}},
	{"a pinned block loses its slot", "firewall/list.go", "	if c.Pinned {\n		w += onePin", "	if c.Pinned && !harmed(NAME) {\n		w += onePin", "firewall TestPinsComeFirst", 0, [2]string{}},
}

// harming is added to each package that has a canary. Which bug is on is said by the
// environment of the test.
const harming = `package %s

import "os"

var harm = os.Getenv("CANARY")

func harmed(name string) bool { return name == harm }

func harmedOr[T any](name string, bug, right T) T {
	if harmed(name) {
		return bug
	}
	return right
}
`

// TestCanaries holds that the tests can fail: each bug of the list is noticed, by
// the simulation within some seeds or by the test that is named, and none where none
// is on. All bugs are compiled in at once, so it takes minutes, and runs only when it
// is asked for:
//
//	go test ./engine -run TestCanaries -canaries -timeout 30m
func TestCanaries(t *testing.T) {
	for _, c := range allCanaries {
		src, err := os.ReadFile(filepath.Join("..", c.file))
		if err != nil {
			t.Fatal(err)
		}
		for _, old := range []string{c.old, cmp.Or(c.also[0], c.old)} {
			if n := strings.Count(string(src), old); n != 1 {
				t.Errorf("%s: the place to break occurs %d times in %s", c.name, n, c.file)
			}
		}
	}
	if !*canaries || t.Failed() {
		t.Skip("run with -canaries")
	}
	dir := t.TempDir()
	overlay := writeOverlay(t, dir)
	built := map[string]bool{}
	for _, c := range allCanaries {
		if pkg, _ := c.test(); !built[pkg] {
			buildHarmed(t, dir, overlay, pkg)
			built[pkg] = true
		}
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		for _, test := range []string{"engine TestOverride", "engine TestUndoRefusesWhole", "engine TestMarkWaitsForTheJournal", "firewall TestPinsComeFirst", ""} {
			c := canary{by: test}
			if out, err := c.run(t, dir, 1); err != nil {
				t.Errorf("%q fails without a bug: %v\n%s", test, err, out)
			}
		}
	})
	for _, c := range allCanaries {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			c.mustBeCaught(t, dir)
		})
	}
}

// writeOverlay puts all bugs into copies of the files.
func writeOverlay(t *testing.T, dir string) string {
	files := map[string]string{}
	for _, c := range allCanaries {
		path, err := filepath.Abs(filepath.Join("..", c.file))
		if err != nil {
			t.Fatal(err)
		}
		if files[path] == "" {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[path] = string(src)
		}
		for _, x := range [][2]string{{c.old, c.new}, c.also} {
			if x[0] != "" {
				files[path] = strings.Replace(files[path], x[0], strings.ReplaceAll(x[1], "NAME", strconv.Quote(c.name)), 1)
			}
		}
		files[filepath.Join(filepath.Dir(path), "harming.go")] = fmt.Sprintf(harming, filepath.Base(filepath.Dir(path)))
	}
	replace := map[string]string{}
	for path, src := range files {
		to := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(to, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[path] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

func buildHarmed(t *testing.T, dir, overlay, pkg string) {
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", filepath.Join(dir, pkg+".test"), "selfprotect/"+pkg)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// test gives the package and the name of the test that must fail.
func (c canary) test() (pkg, name string) {
	if c.by == "" {
		return "engine", "TestSimulation"
	}
	pkg, name, _ = strings.Cut(c.by, " ")
	return pkg, name
}

// run runs that test with the bug on, on one core: two are tried side by side.
func (c canary) run(t *testing.T, dir string, seed int) (string, error) {
	pkg, name := c.test()
	args := []string{"-test.run", "^" + name + "$", "-test.failfast"}
	if c.by == "" {
		args = append(args, "-sim.first", strconv.Itoa(seed), "-sim.seeds", "1")
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, pkg+".test"), args...)
	cmd.Dir = filepath.Join("..", pkg)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "CANARY="+c.name)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// canarySeeds is how many seeds the simulation has to notice a bug.
const canarySeeds = 40

// mustBeCaught looks who notices a bug.
func (c canary) mustBeCaught(t *testing.T, dir string) {
	began := time.Now()
	if _, name := c.test(); c.by != "" {
		if out, err := c.run(t, dir, 0); err == nil || !strings.Contains(out, "--- FAIL: "+name) {
			t.Errorf("%s: %s does not notice: %v\n%s", c.name, c.by, err, out)
		}
		return
	}
	for i := range canarySeeds {
		out, err := c.run(t, dir, c.seed+i)
		if err == nil {
			continue
		}
		if !strings.Contains(out, "-sim.seed=") {
			t.Errorf("%s: seed %d ends without a broken promise: %v\n%s", c.name, c.seed+i, err, out)
		}
		t.Logf("caught after %s: %s", time.Since(began).Round(time.Second), firstFailure(out))
		return
	}
	t.Errorf("%s: not noticed in %d seeds", c.name, canarySeeds)
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
