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
// while the simulation is compiled. The program itself never contains it. The
// search begins at a seed that is known to find it soon.
type canary struct {
	name, file, old, new string
	seed                 int
}

var allCanaries = []canary{
	{"one read proves absence", "blocklist/settle.go", "agreed := now.Sub(since) >= r.Settle", "agreed := true || now.Sub(since) >= r.Settle", 3},
	{"one read proves that an entry is gone", "blocklist/settle.go", "case known && rd.At.Sub(latest(since, s.Drifted)) >= r.Settle:", "case known || !since.IsZero():", 2},
	{"reads before an entry landed prove that it is gone", "blocklist/settle.go", "rd.At.Sub(latest(since, s.Drifted))", "rd.At.Sub(since)", 14},
	{"a request is forgotten while it may land", "blocklist/settle.go", "landed := a.Done ||", "landed := true || a.Done ||", 1},
	{"an old read proves a narrowed entry", "blocklist/settle.go", "if there && w.Op != OpDelete && !a.Done &&", "if false && there && w.Op != OpDelete && !a.Done &&", 3},
	{"no quarantine", "blocklist/ledger.go", "		if w.ACL == acl {\n			out[w.Direction][w.Number] =", "		if w.ACL == acl && false {\n			out[w.Direction][w.Number] =", 1},
	{"restore forgets what a read lacked", "blocklist/ledger.go", "	for _, k := range blockDrifts(b) {\n		delete(g.drifts, k)\n	}\n}\n\nfunc (g *ledger) dropDrifts", "	for _, k := range blockDrifts(b) {\n		if d, ok := g.drifts[k]; ok {\n			delete(g.slots, slotKey{k.ACL, k.Direction, d.Number})\n		}\n		delete(g.drifts, k)\n	}\n}\n\nfunc (g *ledger) dropDrifts", 0},
	{"a removed entry is put back by itself", "blocklist/decide.go", "if l.ledger.isDrifted(t.ACL, d, b.Prefix) {", "if false {", 0},
	{"an approval counts twice", "blocklist/decide.go", "		if b.State != Pending {", "		if false {", 1},
	{"the guard lets everything pass", "policy/guard.go", "	if e, ok := anyOverlap(&g.hard, meant); ok {", "	if e, ok := anyOverlap(&g.hard, meant); ok && false {", 1},
	{"a guard that grows is not heard", "engine/work.go", "l.guard = l.guardBase.With(append(own, l.extra...)...)", "l.guard = l.guardBase.With(own...)", 32},
	{"written without the journal", "engine/work.go", "		if !errors.Is(err, errReplan) {\n			l.note(err)\n		}\n		l.replan()\n		return false", "		if errors.Is(err, errReplan) {\n			l.replan()\n			return false\n		}", 1},
	{"an answer settles twice", "engine/work.go", "if !l.list.IsPending(r.writeID) {", "if false {", 0},
	{"the budget of calls is not kept", "engine/work.go", "	callBudget = 105", "	callBudget = 1050000", 1},
	{"what could not be recorded is not read again", "engine/poll.go", "broken && ok {", "broken && ok && false {", 3},
	{"the clock is believed", "engine/clock.go", "	case by.Abs() > maxJump:\n		c.anchor", "	case by.Abs() > maxJump && by > 1000*time.Hour:\n		c.anchor", 3},
	{"auto mode does not stay stopped", "engine/work.go", "	ceiling := l.list.Ceiling().Mode\n", "	ceiling := policy.Auto\n", 1},
	{"absence is kept for the next entry", "engine/acl.go", "if !known || !slices.Equal(g.prefixes, o.Prefixes) {", "if !known {", 4},
	{"what others made is ours", "firewall/diff.go", "func (l Limits) owns(e Entry) bool {\n", "func (l Limits) owns(e Entry) bool {\n	if e.Deny && !e.Default() {\n		return true\n	}\n", 1},
}

// TestCanaries holds that the simulation can fail: each bug of the list is found
// within some seeds. It compiles the simulation once for each, so it runs only
// when it is asked for:
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
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) { c.mustBeCaught(t, root) })
	}
}

func (c canary) mustBeCaught(t *testing.T, root string) {
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
	plan, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "sim.test")
	if err := os.WriteFile(plan, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", plan, "-o", binary, "selfprotect/engine")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	began := time.Now()
	for first := c.seed; first < c.seed+60; first += 2 {
		run := exec.Command(binary, "-test.run", "TestSimulation$", "-sim.first", fmt.Sprint(first), "-sim.seeds", "2", "-test.failfast")
		if out, err := run.CombinedOutput(); err != nil {
			t.Logf("caught after %s: %s", time.Since(began).Round(time.Second), firstFailure(string(out)))
			return
		}
	}
	t.Errorf("%s: not noticed in 60 seeds", c.name)
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
