package engine

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// overrideRig guards 203.0.113.0/24 by an entry that can be overridden.
func overrideRig(t *testing.T, mode policy.Mode) *rig {
	r := newRig(t, mode)
	r.cfg.Guarded = func(context.Context) ([]policy.Guarded, error) {
		return []policy.Guarded{{Prefix: pfx("203.0.113.0/24"), Why: "a service", Overridable: true},
			{Prefix: pfx("203.0.113.77/32"), Why: "the peer of this SSH session"}}, nil
	}
	return r
}

func overriding(p string, d time.Duration) blocklist.Override {
	return blocklist.Override{Prefix: pfx(p), Actor: "alice@soc", Reason: "it attacks us", Expires: time.Now().Add(d)}
}

// TestOverride: for one prefix and a time a person lets a block past the guard; it
// is asked for like any other, and its entry is removed when the override ends.
func TestOverride(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		r := overrideRig(t, policy.Auto)
		r.start()
		r.wait(time.Minute)
		if _, err := r.eng.Propose(ctx, asked("203.0.113.7/32")); err == nil {
			t.Fatal("the guard does not refuse it")
		}
		if err := r.eng.Override(ctx, overriding("203.0.113.7/32", 2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		s := r.wait(time.Second)
		if len(s.Overrides) != 1 || len(r.lines("overridden")) != 1 || len(s.Problems) == 0 || !strings.Contains(s.Problems[0].Text, "overrides the guard for 203.0.113.7/32") {
			t.Errorf("an override is not shown: %v, %v", s.Overrides, s.Problems)
		}
		r.src.add(outbound("a1", "203.0.113.7", "203.0.113.6")) // auto mode asks for the one, the other stays guarded
		r.wait(time.Minute)
		r.wantOurs()
		if n := len(r.snap().Proposals); n != 1 {
			t.Fatalf("%d proposals", n)
		}
		if err := r.approve("203.0.113.7/32"); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		r.wantOurs("203.0.113.7/32")
		r.stop()
		r.start() // it outlives a restart, and no longer than it should
		r.wait(time.Hour)
		r.wantOurs("203.0.113.7/32")
		r.wait(time.Hour)
		r.wantOurs()
		if len(r.snap().Overrides) != 0 || len(r.lines("enforced")) != 1 {
			t.Errorf("the end is not told: %v", r.snap().Overrides)
		}
		if b := r.block("203.0.113.7/32"); b == nil || b.State != blocklist.Active {
			t.Errorf("the block itself was ended: %+v", b)
		}
		r.stop()
	})
}

// TestOverrideEndsByAWord: a person ends it before its time.
func TestOverrideEndsByAWord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		r := overrideRig(t, policy.Review)
		r.start()
		r.wait(time.Minute)
		if err := r.eng.Override(ctx, overriding("203.0.113.7/32", 24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.eng.Propose(ctx, asked("203.0.113.7/32")); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Second)
		if err := r.approve("203.0.113.7/32"); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		r.wantOurs("203.0.113.7/32")
		if err := r.eng.Enforce(ctx, pfx("203.0.113.7/32"), "bob@soc", "enough"); err != nil {
			t.Fatal(err)
		}
		if err := r.eng.Enforce(ctx, pfx("203.0.113.7/32"), "bob@soc", "enough"); !errors.Is(err, blocklist.ErrNotOverridden) {
			t.Errorf("it ends twice: %v", err)
		}
		r.wait(time.Minute)
		r.wantOurs()
		r.stop()
	})
}

// TestOverrideIsBounded: nobody lifts what cannot be lifted, nor more than a prefix,
// nor for longer than a day, nor while not all is known.
func TestOverrideIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		r := overrideRig(t, policy.Review)
		r.fw.Edit(acl1, func(a *firewall.ACL) {
			a.Linked = []firewall.Linked{{Prefix: pfx("203.0.113.64/30"), Via: "VPC peering pcx-1"}}
		})
		r.start()
		r.wait(time.Minute)
		long, silent := overriding("203.0.113.7/32", 25*time.Hour), overriding("203.0.113.7/32", time.Hour)
		silent.Reason = " "
		nobody := overriding("203.0.113.7/32", time.Hour)
		nobody.Actor = ""
		for want, o := range map[string]blocklist.Override{
			"24 hours at most": long, "needs a reason": silent, "needs the name": nobody, "time to come": overriding("203.0.113.7/32", 0),
			"VPC": overriding("10.1.2.0/24", time.Hour), "pcx-1": overriding("203.0.113.65/32", time.Hour), "SSH": overriding("203.0.113.77/32", time.Hour),
			"touches": overriding("203.0.113.0/24", time.Hour), "never_block": overriding("198.51.100.9/32", time.Hour),
			"metadata": overriding("169.254.169.254/32", time.Hour), "loopback": overriding("127.0.0.1/32", time.Hour),
			"no entry of the guard": overriding("198.51.100.10/32", time.Hour), "too wide": overriding("0.0.0.0/0", time.Hour),
		} {
			if err := r.eng.Override(ctx, o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s for %s: %v, want %q", o.Prefix, o.Reason, err, want)
			}
		}
		r.fw.Edit(acl1, func(a *firewall.ACL) { a.Partial = true })
		r.wait(time.Minute)
		if err := r.eng.Override(ctx, overriding("203.0.113.7/32", time.Hour)); err == nil || !strings.Contains(err.Error(), "not read whole") {
			t.Errorf("overridden while not all is known: %v", err)
		}
		if len(r.snap().Overrides) > 0 {
			t.Errorf("overridden: %v", r.snap().Overrides)
		}
		r.stop()
	})
}

// TestAutoDoesNotUseAnOverride: what auto mode had blocked before it came to be
// guarded does not come back because a person overrides the guard.
func TestAutoDoesNotUseAnOverride(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		r := newRig(t, policy.Auto)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(time.Minute)
		r.wantOurs("203.0.113.7/32")
		r.stop()
		r.cfg.Guarded = overrideRig(t, policy.Auto).cfg.Guarded
		r.start()
		r.wait(time.Minute)
		r.wantOurs()
		if err := r.eng.Override(ctx, overriding("203.0.113.7/32", time.Hour)); err != nil {
			t.Fatal(err)
		}
		s := r.wait(time.Minute)
		r.wantOurs()
		if w := s.ACLs[0].Waiting; len(w) != 1 || w[0].Why != overriddenWaits {
			t.Errorf("waiting %v", w)
		}
		r.stop()
	})
}

// TestOverrideNeedsAClock: while the clock is in doubt nobody can say whether the time
// is up, so the guard holds.
func TestOverrideNeedsAClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		r := overrideRig(t, policy.Review)
		var ahead atomic.Int64
		r.cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		r.cfg.Health = func() SourceHealth { return SourceHealth{Budget: -1, ClockOffset: -time.Duration(ahead.Load())} }
		r.start()
		r.wait(time.Minute)
		if err := r.eng.Override(ctx, overriding("203.0.113.7/32", 20*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.eng.Propose(ctx, asked("203.0.113.7/32")); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Second)
		if err := r.approve("203.0.113.7/32"); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		r.wantOurs("203.0.113.7/32")
		ahead.Store(int64(-30 * time.Second * 40))
		r.wait(2 * time.Minute)
		r.wantOurs()
		if n := len(r.snap().Overrides); n != 0 {
			t.Errorf("%d overrides while the clock is in doubt", n)
		}
		ahead.Store(0)
		r.wait(2 * time.Minute)
		r.stop()
	})
}
