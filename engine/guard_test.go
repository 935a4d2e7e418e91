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
	"selfprotect/policy"
)

// TestShrunkenGuardStopsCreates: a guard that has lost more than half is not
// believed by anybody, also after a restart, until a person says that it is right.
func TestShrunkenGuardStopsCreates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		var entries atomic.Int64 // read by the keeper's goroutine
		entries.Store(100)
		r.cfg.Guarded = func(context.Context) (out []policy.Guarded, _ error) {
			for i := range entries.Load() {
				out = append(out, policy.Guarded{Prefix: netip.MustParsePrefix(fmt.Sprintf("203.1.%d.0/24", i)), Why: "a service"})
			}
			return out, nil
		}
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"), outbound("a2", "203.0.113.9"))
		r.wait(time.Minute)
		entries.Store(10)
		for range 2 {
			r.wait(11 * time.Minute)
			if s := r.snap(); !s.Stopped || !slices.ContainsFunc(s.Problems, func(p Problem) bool { return strings.Contains(p.Text, "the guard has shrunk") }) {
				t.Fatalf("nothing is said: %v", s.Problems)
			}
			r.stop()
			r.start()
		}
		r.wait(time.Minute)
		r.src.add(outbound("a3", "198.51.100.77"))
		r.wait(time.Minute)
		if err := r.approve("198.51.100.77/32"); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		r.wantOurs("203.0.113.7/32", "203.0.113.9/32")
		r.revoke("203.0.113.7/32") // the create, which does not come, does not hold it up
		r.wait(time.Minute)
		r.wantOurs("203.0.113.9/32")
		if err := r.eng.SetMode(context.Background(), policy.Review, "alice@soc", "the file is right"); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		r.wantOurs("198.51.100.77/32", "203.0.113.9/32")
		if len(r.lines("fault")) == 0 && r.snap().Problems != nil {
			t.Logf("problems: %v", r.snap().Problems)
		}
		r.stop()
	})
}

// TestShortCommandStopsNobody: what a command for one decision cannot look up keeps
// it from writing, and is no reason to stop auto mode for others.
func TestShortCommandStopsNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		entries := 100
		r.cfg.Guarded = func(context.Context) (out []policy.Guarded, _ error) {
			for i := range entries {
				out = append(out, policy.Guarded{Prefix: netip.MustParsePrefix(fmt.Sprintf("203.1.%d.0/24", i)), Why: "a service"})
			}
			return out, nil
		}
		r.start()
		r.wait(time.Minute)
		r.stop()
		entries, r.cfg.NoPoll = 0, true
		r.start()
		r.wait(time.Minute)
		if s := r.snap(); s.Stopped || s.GuardShrunk == "" {
			t.Errorf("stopped: %t, the guard: %q", s.Stopped, s.GuardShrunk)
		}
		r.stop()
	})
}

// TestGrownGuardRemovesTheBlock within a minute of being known, says why, and
// leaves the others.
func TestGrownGuardRemovesTheBlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		var grown atomic.Bool // read by the keeper's goroutine
		r.cfg.Guarded = func(context.Context) (out []policy.Guarded, _ error) {
			if grown.Load() {
				out = []policy.Guarded{{Prefix: netip.MustParsePrefix("203.0.113.7/32"), Why: "our own now"}}
			}
			return out, nil
		}
		r.start()
		r.src.add(outbound("a1", "203.0.113.6", "203.0.113.7", "203.0.113.99")) // the first two are one entry
		r.wait(time.Minute)
		grown.Store(true)
		r.wait(12 * time.Minute)
		r.wantOurs("203.0.113.6/32", "203.0.113.99/32")
		b := r.block("203.0.113.7/32")
		if b == nil || b.State != blocklist.Active || !strings.Contains(fmt.Sprint(b.Presence), "guard") && !strings.Contains(fmt.Sprint(b.Presence), "must not be blocked") {
			t.Errorf("the block does not say why: %+v", b)
		}
		r.wait(time.Hour)
		r.wantOurs("203.0.113.6/32", "203.0.113.99/32")
		r.stop()
	})
}

// TestLinkedNetworksAreGuarded: what the VPC reaches by peering or a private route
// is refused, with the way to it as the reason.
func TestLinkedNetworksAreGuarded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.fw.Edit(acl1, func(a *firewall.ACL) {
			a.Linked = []firewall.Linked{{Prefix: netip.MustParsePrefix("203.0.113.0/28"), Via: "VPC peering pcx-1"}}
		})
		r.start()
		r.wait(time.Minute)
		r.src.add(outbound("a1", "203.0.113.7", "203.0.113.77"))
		r.wait(time.Minute)
		r.wantOurs("203.0.113.77/32")
		if !contains(r.lines("refused"), "VPC peering pcx-1") {
			t.Errorf("lines %v", r.lines("refused"))
		}
		r.stop()
	})
}
