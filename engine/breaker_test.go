package engine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/journal"
	"selfprotect/journal/journaltest"
	"selfprotect/policy"
)

func (r *rig) remove(prefix string) {
	r.fw.Edit(acl1, func(a *firewall.ACL) {
		a.Entries = slices.DeleteFunc(a.Entries, func(e firewall.Entry) bool { return e.Prefix.String() == prefix })
	})
}

func (r *rig) restore(prefix string) {
	r.t.Helper()
	if err := r.eng.Decide(context.Background(), r.block(prefix).ID, blocklist.Decision{Verb: blocklist.Restore, Actor: "alice@soc"}); err != nil {
		r.t.Fatal(err)
	}
}

// TestRevertedTwiceStopsAuto: the same entry vanishing twice in a day stops auto
// mode for that ACL, names the likely cause, and only a person ends it.
func TestRevertedTwiceStopsAuto(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(time.Minute)
		for range 2 {
			if s := r.snap(); len(s.StoppedFor) > 0 {
				t.Fatalf("stopped after one: %v", s.StoppedFor)
			}
			r.remove("203.0.113.7/32")
			r.wait(10 * time.Minute)
			r.wantOurs() // it is not put back by itself
			r.restore("203.0.113.7/32")
			r.wait(time.Minute)
			r.wantOurs("203.0.113.7/32")
		}
		check := func() {
			t.Helper()
			s := r.snap()
			if !slices.Equal(s.StoppedFor, []string{acl1}) {
				t.Fatalf("stopped for %v", s.StoppedFor)
			}
			if !slices.ContainsFunc(s.Problems, func(p Problem) bool { return strings.Contains(p.Text, "Terraform") }) {
				t.Errorf("no problem names the likely cause: %v", s.Problems)
			}
		}
		check()
		r.stop()
		r.start() // it outlives a restart
		r.wait(time.Minute)
		check()
		r.src.add(outbound("a2", "198.51.100.77"))
		r.wait(time.Minute)
		r.wantOurs("203.0.113.7/32")
		if len(r.snap().Proposals) != 1 {
			t.Errorf("the second is not proposed")
		}
		if err := r.eng.SetMode(context.Background(), policy.Auto, "alice@soc", "Terraform is told"); err != nil {
			t.Fatal(err)
		}
		r.src.add(outbound("a3", "198.51.100.99"))
		r.wait(time.Minute)
		if !slices.Contains(r.ours(), "198.51.100.99/32") || len(r.snap().StoppedFor) > 0 {
			t.Errorf("a person's word does not end it: %v", r.ours())
		}
		r.stop()
	})
}

// TestGuardHitsStopAuto: alerts that name many guarded addresses may be somebody
// who steers.
func TestGuardHitsStopAuto(t *testing.T) {
	for _, tc := range []struct {
		mode policy.Mode
		hits int
		gap  time.Duration
		stop bool
	}{{policy.Auto, 4, time.Second, false}, {policy.Auto, 5, time.Second, true}, {policy.Auto, 9, 3 * time.Minute, false},
		{policy.Review, 9, time.Second, false}} { // where auto mode is off there is nothing to stop
		bubble(t, func(t *testing.T) {
			r := newRig(t, tc.mode)
			r.start()
			for i := range tc.hits {
				r.src.add(outbound(fmt.Sprint("h", i), fmt.Sprintf("10.1.%d.1", i)))
				r.src.add(outbound(fmt.Sprint("again", i), fmt.Sprintf("10.1.%d.1", i))) // the same one counts once
				r.wait(tc.gap)
			}
			s := r.wait(time.Minute)
			if s.Stopped != tc.stop {
				t.Errorf("%s, %d hits %s apart: stopped %v (%s)", tc.mode, tc.hits, tc.gap, s.Stopped, s.CeilingWhy)
			}
			r.stop()
		})
	}
}

// TestAutoShare: one host, or one network, gets half of the slots by auto mode;
// the rest waits for a person, and auto mode goes on.
func TestAutoShare(t *testing.T) {
	for name, addr := range map[string]func(i int) (agent, addr string){
		"host":    func(i int) (string, string) { return "agent-1", spread(i) },
		"network": func(i int) (string, string) { return fmt.Sprint("agent-", i), fmt.Sprintf("203.0.113.%d", 2*i+1) },
		"neither": func(i int) (string, string) { return fmt.Sprint("agent-", i), spread(i) },
	} {
		bubble(t, func(t *testing.T) {
			r := newRig(t, policy.Auto)
			r.cfg.Limits.Share = 50
			r.start()
			for i := range 12 {
				agent, ip := addr(i)
				a := outbound(fmt.Sprint("a", i), ip)
				a.AgentID = agent
				r.src.add(a)
				r.wait(15 * time.Second)
			}
			want := 9
			if name == "neither" {
				want = 12
			}
			s := r.wait(time.Minute)
			if n := len(r.ours()); n != want || s.Stopped {
				t.Errorf("%s: %d blocked, want %d; stopped %v", name, n, want, s.Stopped)
			}
			r.stop()
		})
	}
}

// TestAutoOverallLimit holds the limit of all ACLs together.
func TestAutoOverallLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.cfg.Limits = AutoLimits{Overall: 3}
		r.start()
		for i := range 5 {
			r.src.add(outbound(fmt.Sprint("a", i), spread(i)))
			r.wait(2 * time.Minute)
		}
		if s := r.snap(); len(r.ours()) != 3 || !s.Stopped || !strings.Contains(s.CeilingWhy, "in all") {
			t.Errorf("%d blocked, stopped %v: %s", len(r.ours()), s.Stopped, s.CeilingWhy)
		}
		r.stop()
	})
}

// TestAutoEvictsSlowly: with a full list auto mode takes no slot from what a
// person approved, none from what is young, and one at a time.
func TestAutoEvictsSlowly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.cfg.Limits = AutoLimits{PerMinute: 100, PerHour: 100, Residency: time.Hour, Pace: 10 * time.Minute}
		r.cfg.MaxTTL, r.cfg.Slots.Margin = 100*time.Hour, 1
		r.start()
		for i := range 18 {
			r.src.add(outbound(fmt.Sprint("a", i), spread(i)))
		}
		r.wait(2 * time.Minute)
		old := r.ours()
		for i := range 3 {
			for n := range 20 { // many sightings weigh much
				r.src.add(outbound(fmt.Sprint("b", i, "-", n), fmt.Sprintf("192.0.%d.9", 10*(i+1))))
			}
		}
		gone := func() (n int) {
			for _, p := range old {
				if !slices.Contains(r.ours(), p) {
					n++
				}
			}
			return n
		}
		if r.wait(50 * time.Minute); gone() != 0 {
			t.Errorf("%d young entries were displaced", gone())
		}
		if n := len(r.snap().ACLs[0].Waiting); n != 3 {
			t.Errorf("%d are said to wait", n)
		}
		if r.wait(16 * time.Minute); gone() < 1 || gone() > 2 {
			t.Errorf("%d displaced a little after the hour", gone())
		}
		if r.wait(30 * time.Minute); gone() != 3 {
			t.Errorf("%d displaced in the end", gone())
		}
		r.stop()
	})
}

// TestTakenLeaseStopsAuto: a process whose lease another one has taken was asleep,
// or something is wrong.
func TestTakenLeaseStopsAuto(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.start()
		r.wait(5 * time.Second)
		ctx := context.Background()
		if _, _, _, err := r.log.Lease(ctx, leaseName(acl1), r.cfg.Holder, 0); err != nil {
			t.Fatal(err)
		}
		if held, _, _, err := r.log.Lease(ctx, leaseName(acl1), "bob@there:2", time.Hour); err != nil || !held {
			t.Fatal(held, err)
		}
		if s := r.wait(time.Minute); !s.Stopped || s.Holder != "bob@there:2" {
			t.Errorf("stopped %v, held by %q", s.Stopped, s.Holder)
		}
		r.stop()
	})
}

// TestAutoIsNeverTheDefault: a journal in which a person once set auto does not
// turn it on.
func TestAutoIsNeverTheDefault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		r.start()
		if err := r.eng.SetMode(context.Background(), policy.Auto, "alice@soc", ""); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		r.stop()
		time.Sleep(time.Second)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(time.Minute)
		r.wantOurs()
		r.stop()
	})
}

// TestStrangersInOurRange are shown and told of once, and never touched.
func TestStrangersInOurRange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.start()
		r.wait(time.Minute)
		e := firewall.Entry{Number: 1, Direction: firewall.Egress, Deny: true, Protocol: firewall.AllProtocols, Prefix: netip.MustParsePrefix("192.0.2.9/32")}
		r.fw.Edit(acl1, func(a *firewall.ACL) { a.Entries = append(a.Entries, e) })
		s := r.wait(time.Minute)
		if !slices.ContainsFunc(s.Problems, func(p Problem) bool { return strings.Contains(p.Text, "in our number range") }) {
			t.Errorf("nothing is said: %v", s.Problems)
		}
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(5 * time.Minute)
		if n := len(r.lines("drift")); n != 1 {
			t.Errorf("told %d times", n)
		}
		if live := r.fw.ACL(acl1); !slices.Contains(live.Entries, e) {
			t.Errorf("it was touched: %v", live.Entries)
		}
		r.stop()
	})
}

// TestStopIsHeardAtTheLastMoment: another process stops auto mode between the
// judgement of an alert and its record; what is judged then is asked for.
func TestStopIsHeardAtTheLastMoment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		var armed atomic.Bool // the hook runs in the goroutine of the loop
		r.log.Hook = func(op string, _ int) journaltest.Fault {
			if op == "append" && armed.Swap(false) {
				stop, err := stopEvent(time.Now().UTC(), "", "a limit").Encode()
				if err != nil {
					t.Error(err)
				}
				if _, err := r.log.Append(context.Background(), journal.Seq(r.log.Len()), stop); err != nil {
					t.Error(err)
				}
			}
			return journaltest.None
		}
		r.start()
		r.wait(time.Minute)
		armed.Store(true)
		r.src.add(outbound("a1", "203.0.113.7"))
		s := r.wait(time.Minute)
		if armed.Load() || !s.Stopped || len(s.Proposals) != 1 {
			t.Errorf("stopped: %t, %d proposals, %d blocks", s.Stopped, len(s.Proposals), len(s.Blocks))
		}
		r.wantOurs()
		r.stop()
	})
}
