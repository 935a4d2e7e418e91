package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/journal"
	"selfprotect/sim"
)

const (
	kills    = 20
	killPace = 30 * time.Millisecond // of each call to EC2, before and after its effect
)

// victim is a program that is killed again and again, on one journal.
type victim struct {
	world  *sim.World
	server *demoServer
	binary string
	args   []string
	env    []string
	state  string
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	dir := t.TempDir()
	v := &victim{world: sim.NewWorld(1), binary: filepath.Join(dir, "selfprotect"), state: filepath.Join(dir, "journal.db")}
	if out, err := exec.Command("go", "build", "-o", v.binary, "selfprotect").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	v.world.EC2.SetFaults(sim.EC2Faults{Latency: killPace, AnswerLatency: killPace})
	var err error
	if v.server, err = serve(v.world, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.server.close)
	v.env = []string{"PATH=" + os.Getenv("PATH")}
	for k, val := range isolated(dir) {
		v.env = append(v.env, k+"="+val)
	}
	for _, kv := range demoEnv(v.world, v.server) {
		v.env = append(v.env, kv[0]+"="+kv[1])
	}
	cfg := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(cfg, []byte("[limits]\nauto_share = 100\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.args = []string{"--headless", "--config", cfg, "--mode", "auto", "--poll-interval", "1s", "--watchrule", v.world.RuleID, "--aws-acl-id", v.world.ACLID, "--state", v.state}
	return v
}

// command is ready to start.
func (v *victim) command(more ...string) *exec.Cmd {
	cmd := exec.Command(v.binary, append(slices.Clone(v.args), more...)...)
	cmd.Env = v.env
	return cmd
}

// live runs it for a time that ends in SIGKILL, and says what it was writing.
func (v *victim) live(t *testing.T, d time.Duration) map[string]bool {
	t.Helper()
	cmd := v.command()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(d)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("it ended by itself: %v", err)
	}
	return v.inherit(t)
}

// inherit verifies the journal, gives the lease back in the name of the dead,
// which only time would do otherwise, and gives the addresses of the writes that
// the journal does not know the outcome of.
func (v *victim) inherit(t *testing.T) map[string]bool {
	t.Helper()
	ctx := context.Background()
	if _, err := os.Stat(v.state); err != nil {
		return nil // killed before there was one
	}
	j, err := journal.Open(v.state)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	if err := j.Verify(ctx); err != nil {
		t.Fatal(err)
	}
	name := "acl/" + v.world.ACLID
	held, owner, _, err := j.Lease(ctx, name, "heir", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if held {
		owner = "heir"
	}
	if _, _, _, err := j.Lease(ctx, name, owner, 0); err != nil {
		t.Fatal(err)
	}
	open := map[string]string{}
	err = j.Read(ctx, 0, func(_ journal.Seq, payload []byte) error {
		var e blocklist.Event
		if err := json.Unmarshal(payload, &e); err != nil {
			return err
		}
		switch {
		case e.Kind == blocklist.Started:
			open[e.WriteID] = e.Write.Prefix.String()
		case e.Kind == blocklist.Settled:
			delete(open, e.WriteID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, cidr := range open {
		out[cidr] = true
	}
	return out
}

// TestKill kills the program at any moment. What it was not writing then is
// denied in the end, nothing twice, and nothing of others is touched.
func TestKill(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	before, err := entries(v.server.url, v.world.ACLID)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	interrupted := map[string]bool{}
	var wanted []string
	// A slow machine lives longer, until a kill has struck a write.
	for i := 0; i < kills || i < 4*kills && len(interrupted) == 0; i++ {
		if len(wanted) < 15 {
			a := fmt.Sprintf("203.0.113.%d", 1+2*len(wanted))
			wanted = append(wanted, a+"/32")
			if err := inject(v.server.url, a); err != nil {
				t.Fatal(err)
			}
		} else if err := inject(v.server.url, fmt.Sprintf("203.0.113.%d", 1+2*(i%15))); err != nil {
			t.Fatal(err)
		}
		for cidr := range v.live(t, 50*time.Millisecond+time.Duration(r.Int64N(int64(900*time.Millisecond)*int64(1+i/kills)))) {
			interrupted[cidr] = true
		}
	}
	if out, err := v.command("--for", "8s").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	open := v.inherit(t) // only a write of unknown outcome may still be missing
	after, err := entries(v.server.url, v.world.ACLID)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d addresses, %d interrupted, %d still open, %d entries new", len(wanted), len(interrupted), len(open), len(after)-len(before))
	if len(interrupted) == 0 {
		t.Error("no kill struck a write")
	}
	compare(t, before, after, wanted, open)
}

func compare(t *testing.T, before, after []entry, wanted []string, interrupted map[string]bool) {
	t.Helper()
	times := map[string]int{}
	for _, e := range after {
		if slices.Contains(before, e) {
			continue
		}
		if !e.Egress || e.Action != "deny" || !slices.Contains(wanted, e.CIDR) {
			t.Errorf("an entry that nobody asked for: %+v", e)
		}
		times[e.CIDR]++
	}
	for _, e := range before {
		if !slices.Contains(after, e) {
			t.Errorf("the entry %+v of others is gone", e)
		}
	}
	for _, cidr := range wanted {
		if n := times[cidr]; n > 1 || n == 0 && !interrupted[cidr] {
			t.Errorf("%s is denied %d times (interrupted: %t)", cidr, n, interrupted[cidr])
		}
	}
}
