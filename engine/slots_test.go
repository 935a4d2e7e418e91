package engine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/firewall/firewalltest"
	"selfprotect/policy"
)

// spread is an address far from those of other numbers.
func spread(i int) string { return fmt.Sprintf("203.0.%d.1", i) }

// fullRig has as many blocks as slots, and three more that lie close together.
func fullRig(t *testing.T, slots Slots) *rig {
	t.Helper()
	r := newRig(t, policy.Auto)
	r.cfg.Limits = AutoLimits{PerMinute: 100, PerHour: 100}
	r.cfg.Slots = slots
	r.start()
	for i := range 18 {
		r.src.add(outbound(fmt.Sprint("a", i), spread(i)))
	}
	r.wait(time.Minute)
	for i, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.7"} {
		r.src.add(outbound(fmt.Sprint("b", i), a))
	}
	r.wait(time.Minute)
	return r
}

// TestWideningAsks: in auto mode too nothing innocent is denied before a person
// has granted it; then one entry takes the place of one.
func TestWideningAsks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := fullRig(t, Slots{Margin: 20, Price: 5})
		s := r.snap()
		if n := len(s.ACLs[0].Waiting); n != 3 || len(r.ours()) != 18 {
			t.Fatalf("%d wait, %d entries", n, len(r.ours()))
		}
		i := slices.IndexFunc(s.Proposals, func(p *Proposal) bool { return p.Cover })
		if i < 0 {
			t.Fatalf("no widening is proposed: %+v", s.Proposals)
		}
		p := s.Proposals[i]
		step := p.Steps[0]
		if p.Prefix.String() != "192.0.2.0/29" || step.Innocent != 5 || step.Op != firewall.Replace || len(step.Admits) != 3 || len(step.Displaces) != 1 || p.Blocked != "" {
			t.Errorf("proposed %s: %+v", p.Prefix, step)
		}
		writes := len(r.fw.Writes())
		r.wait(time.Hour)
		if n := len(r.fw.Writes()) - writes; n > 0 {
			t.Errorf("%d writes without an answer", n)
		}
		p = r.snap().Proposals[0]
		if err := r.eng.Decide(context.Background(), p.ID, blocklist.Decision{Verb: blocklist.Approve, Actor: "alice@soc", Effect: p.Digest}); err != nil {
			t.Fatal(err)
		}
		s = r.wait(10 * time.Second)
		if got := r.ours(); len(got) != 18 || !slices.Contains(got, "192.0.2.0/29") || len(s.ACLs[0].Waiting) != 1 {
			t.Errorf("granted: %q, %d wait", got, len(s.ACLs[0].Waiting))
		}
		if b := r.block("192.0.2.7/32"); b.Presence[0].Status != "present" || b.Presence[0].Entry.String() != "192.0.2.0/29" || b.Presence[0].Innocent != 5 {
			t.Errorf("presence %+v", b.Presence)
		}
		if b := r.block("192.0.2.0/29"); b.Presence[0].Status != "present" {
			t.Errorf("the grant shows %+v", b.Presence)
		}
		r.stop()
	})
}

// TestWithdrawn: what would help no more is not asked any more.
func TestWithdrawn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := fullRig(t, Slots{Margin: 20, Price: 5})
		for i := range 5 {
			b := r.block(spread(i) + "/32")
			if err := r.eng.Decide(context.Background(), b.ID, blocklist.Decision{Verb: blocklist.Revoke, Actor: "alice@soc"}); err != nil {
				t.Fatal(err)
			}
		}
		s := r.wait(time.Minute)
		if n := slices.IndexFunc(s.Proposals, func(p *Proposal) bool { return p.Cover }); n >= 0 || len(s.ACLs[0].Waiting) != 0 {
			t.Errorf("proposals %+v, %d wait", s.Proposals, len(s.ACLs[0].Waiting))
		}
		r.stop()
	})
}

// TestLeftOutClimbsIn: an address without a slot that alerts again is counted and
// takes the place of one that is quiet; equals stay where they are.
func TestLeftOutClimbsIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := fullRig(t, Slots{Margin: 20, Price: 5})
		r.wait(2 * time.Hour)
		r.src.add(outbound("c1", "192.0.2.7"), outbound("c2", "192.0.2.7"))
		s := r.wait(time.Minute)
		if got := r.ours(); !slices.Contains(got, "192.0.2.7/32") || len(got) != 18 {
			t.Errorf("entries %q", got)
		}
		if b := r.block("192.0.2.7/32"); b.Missed != 2 || b.Score.Missed != 20 {
			t.Errorf("missed %d, score %s", b.Missed, b.Score)
		}
		if n := len(s.ACLs[0].Waiting); n != 3 {
			t.Errorf("%d wait", n)
		}
		writes := len(r.fw.Writes())
		r.wait(6 * time.Hour)
		if n := len(r.fw.Writes()) - writes; n > 0 {
			t.Errorf("%d writes with nothing new", n)
		}
		r.stop()
	})
}

// TestPinComesIn: a pin takes a slot at once and keeps it beyond its time.
func TestPinComesIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := fullRig(t, Slots{Margin: 20, Price: 5})
		b := r.block("192.0.2.7/32")
		if err := r.eng.Decide(context.Background(), b.ID, blocklist.Decision{Verb: blocklist.Pin, Actor: "alice@soc"}); err != nil {
			t.Fatal(err)
		}
		r.wait(10 * time.Second)
		if got := r.ours(); !slices.Contains(got, "192.0.2.7/32") {
			t.Errorf("entries %q", got)
		}
		r.wait(50 * time.Hour)
		r.wantOurs("192.0.2.7/32") // everything else has expired
		r.stop()
	})
}

// TestExpiryLetsTheNextIn: who is said to be next comes in when a slot is free.
func TestExpiryLetsTheNextIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := fullRig(t, Slots{Margin: 20, Price: 5})
		var next string
		for _, w := range r.snap().ACLs[0].Waiting {
			if w.Next {
				next = w.Prefix.String()
			}
		}
		if next == "" {
			t.Fatal("nobody is next")
		}
		b := r.block(spread(4) + "/32")
		if err := r.eng.Decide(context.Background(), b.ID, blocklist.Decision{Verb: blocklist.Revoke, Actor: "alice@soc"}); err != nil {
			t.Fatal(err)
		}
		r.wait(10 * time.Second)
		if got := r.ours(); !slices.Contains(got, next) || len(got) != 18 {
			t.Errorf("entries %q, want %s among them", got, next)
		}
		r.stop()
	})
}

// TestTwoACLs: each target has a budget and a plan of its own, and shows for
// itself how far a block has come.
func TestTwoACLs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const acl2 = "acl-2"
		var foreign []firewall.Entry
		for i := range 18 {
			foreign = append(foreign, firewall.Entry{Number: 30 + i, Direction: firewall.Egress, Deny: true, Protocol: -1, Prefix: netip.MustParsePrefix(fmt.Sprintf("198.18.%d.0/24", i))})
		}
		r := newRig(t, policy.Auto)
		r.fw = firewalltest.New(t, firewalltest.Standard(acl1), firewalltest.Standard(acl2, foreign...))
		r.cfg.Firewall = r.fw
		guard := policy.NewGuard(policy.BuiltIn(policy.RefusePrivate))
		p, err := policy.New(policy.Config{Mode: policy.Auto, Guard: guard, Watches: []policy.Watch{{RuleID: rule}},
			Targets: []policy.Target{{ACL: acl1, Directions: []alert.Direction{alert.Outbound}}, {ACL: acl2, Directions: []alert.Direction{alert.Outbound}}}})
		if err != nil {
			t.Fatal(err)
		}
		r.cfg.Policy, r.cfg.ACLs = p, []ACLConfig{{ID: acl1}, {ID: acl2}}
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		s := r.wait(time.Minute)
		r.wantOurs("203.0.113.7/32")
		b := r.block("203.0.113.7/32")
		if len(b.Presence) != 2 || b.Presence[0].Status != "present" || b.Presence[1].Status != "waiting" || !strings.Contains(b.Presence[1].Note, "entries of others fill the quota") {
			t.Errorf("presence %+v", b.Presence)
		}
		if s.ACLs[0].Budgets[0].Slots != 18 || s.ACLs[1].Budgets[0].Slots != 0 || s.ACLs[1].Budgets[0].Waiting != 1 {
			t.Errorf("budgets %+v and %+v", s.ACLs[0].Budgets[0], s.ACLs[1].Budgets[0])
		}
		r.stop()
	})
}

// TestQuotaOfTheAccount: what Service Quotas says is used, the configuration wins,
// the reserve comes off, and what the service enforces wins over all.
func TestQuotaOfTheAccount(t *testing.T) {
	for _, tc := range []struct {
		read, configured, reserve, learned, want int
		from                                     string
	}{
		{0, 0, 0, 0, 20, "AWS's default"}, {40, 0, 0, 0, 40, "Service Quotas"}, {40, 30, 2, 0, 28, "the configuration"},
		{40, 0, 3, 25, 22, "a refusal by AWS"}, {20, 0, 0, 25, 20, "Service Quotas"},
	} {
		a := newACLState(ACLConfig{Quota: tc.configured, Reserve: tc.reserve})
		a.live.Quota = tc.read
		if tc.learned > 0 {
			a.quota, a.quotaUntil = tc.learned, time.Unix(100, 0)
		}
		n, from := a.quotaNow(time.Unix(50, 0))
		if n-tc.reserve != tc.want || from != tc.from {
			t.Errorf("%+v: %d from %s", tc, n, from)
		}
	}
}
