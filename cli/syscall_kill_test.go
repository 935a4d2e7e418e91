package cli

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/journal"
	"selfprotect/sim"
)

var syscallKills = flag.Int("kills", 24, "how often TestKillAtSystemCalls kills the program, at least")

// killPoints are the system calls at which the program is killed: all that change
// a file, and those that speak to a service.
var killPoints = []string{"pwrite64", "fsync", "fdatasync", "ftruncate", "openat", "unlink", "write", "read", "connect", "fcntl"}

// killWorkers programs run at a time: they mostly wait.
const killWorkers = 6

// killRound is how many kills one journal and one ACL go through.
const killRound = 12

// TestKillAtSystemCalls kills the real program right at a system call, with strace,
// while it blocks, while it takes decisions back, and while it starts on what an
// earlier kill has left. More kills:
//
//	go test ./cli -run TestKillAtSystemCalls -kills=4000 -timeout 2h -v
func TestKillAtSystemCalls(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("strace", "-f", "-qq", "-e", "inject=getpid:signal=KILL:when=1", "true").CombinedOutput(); err != nil {
		t.Skipf("strace cannot inject signals here: %v %s", err, out)
	}
	kills := *syscallKills
	if testing.Short() {
		kills = killRound
	}
	var mu sync.Mutex
	struck, total := map[string]int{}, 0
	more := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return total < kills
	}
	var wg sync.WaitGroup
	for worker := range killWorkers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), uint64(time.Now().UnixNano())))
			for more() && !t.Failed() {
				k := &killing{t: t, v: newVictim(t), r: r}
				k.round()
				mu.Lock()
				for what, n := range k.struck {
					struck[what] += n
					total += n
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, what := range slices.Sorted(maps.Keys(struck)) {
		t.Logf("%-24s %d", what, struck[what])
	}
	t.Logf("%d kills", total)
}

// killing is one program, one journal and one ACL.
type killing struct {
	t      *testing.T
	v      *victim
	r      *rand.Rand
	calls  map[string]int // of an unkilled run, by system call
	struck map[string]int
	wanted []string
}

func (k *killing) round() {
	k.struck = map[string]int{}
	before, err := entries(k.v.server.url, k.v.world.ACLID)
	if err != nil {
		k.t.Error(err)
		return
	}
	k.v.world.EC2.SetFaults(sim.EC2Faults{})
	k.address()
	k.learn("--for", "1500ms")
	for range killRound * 2 / 3 {
		k.address()
		k.kill("block", "--for", "1s")
	}
	k.calm("--for", "4s")
	k.check(before, k.wanted)
	for _, cidr := range slices.Clone(k.wanted)[:killRound/3] {
		if k.state(cidr) == blocklist.Active {
			k.kill("undo", "undo", cidr, "--yes")
		}
	}
	k.calm("--for", "4s")
	var still []string
	for _, cidr := range k.wanted {
		if k.state(cidr) == blocklist.Active {
			still = append(still, cidr)
		}
	}
	k.check(before, still)
}

// address has an alert name a new address.
func (k *killing) address() {
	a := fmt.Sprintf("203.0.%d.7", 113+len(k.wanted))
	k.wanted = append(k.wanted, a+"/32")
	if err := inject(k.v.server.url, a); err != nil {
		k.t.Error(err)
	}
}

// command puts the arguments where the program wants them: a command comes first.
func (k *killing) command(strace []string, args []string) *exec.Cmd {
	words := append(slices.Clone(strace), k.v.binary)
	flags := k.v.args
	if args[0] == "undo" {
		words, args = append(words, args...), nil
		flags = slices.DeleteFunc(slices.Clone(flags), func(s string) bool { return s == "--headless" })
	}
	words = append(append(words, flags...), args...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = k.v.env
	return cmd
}

// learn counts the system calls of a run that is not killed.
func (k *killing) learn(args ...string) {
	counts := filepath.Join(k.t.TempDir(), "counts")
	if out, err := k.command([]string{"strace", "-f", "-qq", "--seccomp-bpf", "-c", "-o", counts, "-e", "trace=" + strings.Join(killPoints, ",")}, args).CombinedOutput(); err != nil {
		k.t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(counts)
	if err != nil {
		k.t.Error(err)
	}
	k.calls = map[string]int{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 5 || !slices.Contains(killPoints, f[len(f)-1]) {
			continue
		}
		if n, err := strconv.Atoi(f[3]); err == nil {
			k.calls[f[len(f)-1]] = n
		}
	}
	if len(k.calls) == 0 {
		k.t.Errorf("strace counted nothing:\n%s", text)
	}
}

// kill runs the program until it is killed at some call, and looks at what is left.
func (k *killing) kill(scenario string, args ...string) {
	names := slices.Sorted(maps.Keys(k.calls))
	if len(names) == 0 {
		return
	}
	name := names[k.r.IntN(len(names))]
	// strace counts for each thread by itself, and Go has several.
	nth := 1 + k.r.IntN(max(2, k.calls[name]/15))
	cmd := k.command([]string{"strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=" + name,
		"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", name, nth)}, args)
	out, err := cmd.CombinedOutput()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() && status.Signal() == syscall.SIGKILL {
		k.struck[scenario+" at "+name]++
	} else if err != nil && scenario == "block" {
		k.t.Errorf("%s %d: %v\n%s", name, nth, err, out)
	}
	k.v.inherit(k.t)
}

// calm runs it unharmed.
func (k *killing) calm(args ...string) {
	if out, err := k.command(nil, args).CombinedOutput(); err != nil {
		k.t.Errorf("%v\n%s", err, out)
	}
}

// check holds that each wanted address is denied once, but for writes whose
// outcome is not known yet, and nothing else is.
func (k *killing) check(before []entry, wanted []string) {
	open := k.v.inherit(k.t)
	after, err := entries(k.v.server.url, k.v.world.ACLID)
	if err != nil {
		k.t.Error(err)
		return
	}
	after = slices.DeleteFunc(after, func(e entry) bool { return open[e.CIDR] && !slices.Contains(wanted, e.CIDR) })
	compare(k.t, before, after, wanted, open)
}

// state is where the journal says that a block stands.
func (k *killing) state(cidr string) blocklist.State {
	j, err := journal.OpenReadOnly(k.v.state)
	if err != nil {
		k.t.Error(err)
		return ""
	}
	defer func() { _ = j.Close() }()
	list := blocklist.New(blocklist.Config{})
	err = j.Read(context.Background(), 0, func(_ journal.Seq, b []byte) error {
		e, err := blocklist.Decode(b)
		if err != nil {
			return err
		}
		return list.Apply(e)
	})
	if err != nil {
		k.t.Error(err)
	}
	for _, b := range list.Blocks() {
		if b.Prefix.String() == cidr {
			return b.State
		}
	}
	return ""
}
