package engine

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func asked(p string) Request {
	return Request{Prefix: pfx(p), Direction: alert.Outbound, Actor: "alice@soc", Reason: "seen in mail"}
}

func TestAPersonAsksForABlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		r := newRig(t, policy.Review)
		r.start()
		r.wait(time.Minute)
		before := r.log.Len()
		plan, err := r.eng.PlanBlock(ctx, asked("203.0.113.0/24"))
		if err != nil {
			t.Fatal(err)
		}
		if after := r.log.Len(); after != before || len(r.snap().Proposals) != 0 {
			t.Errorf("looking at the effect was recorded: %d records before, %d after", before, after)
		}
		id, err := r.eng.Propose(ctx, asked("203.0.113.0/24"))
		if err != nil || id != plan.ID {
			t.Fatalf("proposed as %q, planned as %q: %v", id, plan.ID, err)
		}
		if again, err := r.eng.Propose(ctx, asked("203.0.113.0/24")); err != nil || again != id {
			t.Errorf("asked again: %q, %v", again, err)
		}
		r.wait(time.Second)
		r.wantOurs()
		if err := r.eng.Decide(ctx, id, blocklist.Decision{Verb: blocklist.Approve, Actor: "alice@soc", Effect: plan.Digest}); err != nil {
			t.Fatalf("the effect that was planned cannot be approved: %v", err)
		}
		r.wait(time.Minute)
		r.wantOurs("203.0.113.0/24")
		if _, err := r.eng.Propose(ctx, asked("203.0.113.0/24")); !errors.Is(err, blocklist.ErrDecided) {
			t.Errorf("what is in force is asked for again: %v", err)
		}
		r.stop()
	})
}

func TestAskingIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.start()
		r.wait(time.Minute)
		var guarded *policy.GuardedError
		for _, c := range []struct {
			request Request
			want    func(error) bool
		}{
			{asked("10.1.0.0/16"), func(err error) bool { return errors.As(err, &guarded) }},
			{asked("198.51.100.0/24"), func(err error) bool { return errors.As(err, &guarded) }},
			{asked("203.0.0.0/15"), func(err error) bool { return strings.Contains(err.Error(), "too wide") }},
			{asked("2001:db8::/31"), func(err error) bool { return strings.Contains(err.Error(), "too wide") }},
			{Request{Prefix: pfx("203.0.113.7/32"), Direction: alert.Inbound, Actor: "a"}, func(err error) bool { return strings.Contains(err.Error(), "no network ACL") }},
			{Request{Prefix: pfx("203.0.113.7/32"), Direction: alert.Outbound}, func(err error) bool { return strings.Contains(err.Error(), "name") }},
			{Request{Prefix: pfx("203.0.113.7/32"), Direction: alert.Outbound, Actor: "a", ACLs: []string{"acl-9"}}, func(err error) bool { return strings.Contains(err.Error(), "not in the configuration") }},
		} {
			if _, err := r.eng.Propose(context.Background(), c.request); err == nil || !c.want(err) {
				t.Errorf("%s: %v", c.request.Prefix, err)
			}
		}
		r.wait(time.Minute)
		r.wantOurs()
		r.stop()
	})
}

func TestSnoozedWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		r := newRig(t, policy.Review)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		s := r.wait(time.Minute)
		id := s.Proposals[0].ID
		d := blocklist.Decision{Verb: blocklist.Snooze, Actor: "alice@soc", Until: time.Now().Add(time.Hour)}
		if err := r.eng.Decide(ctx, id, d); err != nil {
			t.Fatal(err)
		}
		// Auto mode leaves alone what a person has put off.
		if err := r.eng.SetMode(ctx, policy.Auto, "alice@soc", ""); err != nil {
			t.Fatal(err)
		}
		r.src.add(outbound("a2", "203.0.113.7"))
		s = r.wait(30 * time.Minute)
		r.wantOurs()
		if len(s.Proposals) != 1 || !s.Proposals[0].Snoozed(time.Now()) {
			t.Fatalf("it does not wait: %+v", s.Proposals)
		}
		r.src.add(outbound("a3", "203.0.113.7"))
		r.wait(31 * time.Minute)
		r.src.add(outbound("a4", "203.0.113.7"))
		r.wait(time.Minute)
		r.wantOurs("203.0.113.7/32")
		d.Until = time.Now().Add(time.Hour)
		if err := r.eng.Decide(ctx, id, d); !errors.Is(err, blocklist.ErrDecided) {
			t.Errorf("what is decided is put off: %v", err)
		}
		r.stop()
	})
}

func TestAllowedIsGuarded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		r := newRig(t, policy.Review)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7", "203.0.113.8", "203.0.114.1"))
		r.wait(time.Minute)
		for _, p := range []string{"203.0.113.7/32", "203.0.114.1/32"} {
			if err := r.approve(p); err != nil {
				t.Fatal(err)
			}
		}
		r.wait(time.Minute)
		if err := r.eng.Allow(ctx, blocklist.Allowance{Prefix: pfx("203.0.113.0/24"), Actor: "bob@soc", Reason: "partner", Expires: time.Now().Add(2 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		s := r.wait(time.Minute)
		r.wantOurs("203.0.114.1/32")
		if len(s.Proposals) != 0 || len(s.Allowances) != 1 {
			t.Errorf("%d proposals wait, %d allowances", len(s.Proposals), len(s.Allowances))
		}
		var guarded *policy.GuardedError
		if _, err := r.eng.Propose(ctx, asked("203.0.113.7/32")); !errors.As(err, &guarded) || !strings.Contains(err.Error(), "bob@soc: partner") {
			t.Errorf("asked for what is allowed: %v", err)
		}
		r.src.add(outbound("a2", "203.0.113.8"))
		r.wait(time.Minute)
		if len(r.lines("refused")) == 0 {
			t.Error("an alert that names it is not refused")
		}
		// It holds after a restart, until its end.
		r.stop()
		r.start()
		r.wait(time.Minute)
		if _, err := r.eng.Propose(ctx, asked("203.0.113.7/32")); !errors.As(err, &guarded) {
			t.Errorf("after a restart: %v", err)
		}
		r.wait(2 * time.Hour)
		if _, err := r.eng.Propose(ctx, asked("203.0.113.7/32")); err != nil {
			t.Errorf("after its end: %v", err)
		}
		r.wantOurs("203.0.114.1/32")
		r.stop()
	})
}

func TestDisallowEndsIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		r := newRig(t, policy.Review)
		r.start()
		p := pfx("203.0.113.7/32")
		if err := r.eng.Disallow(ctx, p, "bob@soc", ""); !errors.Is(err, blocklist.ErrNotAllowed) {
			t.Errorf("nothing is allowed: %v", err)
		}
		if err := r.eng.Allow(ctx, blocklist.Allowance{Prefix: p, Actor: "bob@soc"}); err != nil {
			t.Fatal(err)
		}
		if err := r.eng.Allow(ctx, blocklist.Allowance{Prefix: pfx("0.0.0.0/0"), Actor: "bob@soc"}); err == nil {
			t.Error("everything can be allowed")
		}
		if err := r.eng.Disallow(ctx, p, "bob@soc", "a mistake"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.eng.Propose(ctx, asked("203.0.113.7/32")); err != nil {
			t.Error(err)
		}
		r.stop()
	})
}

func TestAdoptedIsOurs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		theirs := firewall.Entry{Number: 7, Direction: firewall.Egress, Deny: true, Protocol: firewall.AllProtocols, Prefix: pfx("203.0.113.7/32")}
		private := firewall.Entry{Number: 8, Direction: firewall.Egress, Deny: true, Protocol: firewall.AllProtocols, Prefix: pfx("10.9.0.0/16")}
		far := firewall.Entry{Number: 400, Direction: firewall.Egress, Deny: true, Protocol: firewall.AllProtocols, Prefix: pfx("203.0.113.9/32")}
		r := newRig(t, policy.Review, theirs, private, far)
		r.start()
		r.wait(time.Minute)
		a := Adoption{ACL: acl1, Direction: firewall.Egress, Number: 7, Prefix: theirs.Prefix, TTL: time.Hour, Actor: "alice@soc", Reason: "the old bot's"}
		for name, change := range map[string]func(*Adoption){
			"another prefix": func(a *Adoption) { a.Prefix = pfx("203.0.113.8/32") },
			"guarded":        func(a *Adoption) { a.Number, a.Prefix = 8, private.Prefix },
			"out of range":   func(a *Adoption) { a.Number, a.Prefix = 400, far.Prefix },
			"an allow":       func(a *Adoption) { a.Number, a.Prefix = 100, pfx("0.0.0.0/0") },
			"nobody":         func(a *Adoption) { a.Actor = "" },
			"another ACL":    func(a *Adoption) { a.ACL = "acl-9" },
		} {
			x := a
			change(&x)
			if _, err := r.eng.Adopt(ctx, x); err == nil {
				t.Errorf("%s: it is adopted", name)
			}
		}
		r.fw.HandOver(acl1, firewall.Egress, 7)
		id, err := r.eng.Adopt(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		s := r.wait(time.Minute)
		if len(s.Calls) != 0 {
			t.Errorf("adopting wrote: %v", s.Calls)
		}
		if b := r.block("203.0.113.7/32"); b == nil || b.ID != id || b.Presence[0].Status != "present" || b.Presence[0].Number != 7 {
			t.Fatalf("%+v", b)
		}
		if _, err := r.eng.Adopt(ctx, a); !errors.Is(err, blocklist.ErrDecided) {
			t.Errorf("adopted twice: %v", err)
		}
		// It holds after a restart, and ends like a block of ours.
		r.stop()
		r.start()
		s = r.wait(2 * time.Hour)
		if slices.ContainsFunc(r.fw.ACL(acl1).Entries, func(e firewall.Entry) bool { return e.Number == 7 }) {
			t.Error("it did not end")
		}
		if n := len(s.Calls); n != 1 || s.Calls[0].Outcome != "absent" || !strings.Contains(s.Calls[0].Command, "delete-network-acl-entry") || !strings.Contains(s.Calls[0].Undo, "create-network-acl-entry") {
			t.Errorf("calls %+v", s.Calls)
		}
		r.stop()
	})
}

func TestAccessIsShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		until := time.Now().Add(time.Hour)
		r.cfg.Access = func(context.Context) []Access {
			return []Access{{Account: "123456789012", Expires: until, CheckedAt: time.Now()}}
		}
		r.start()
		if s := r.wait(2 * time.Second); len(s.Access) != 1 || !s.Access[0].Expires.Equal(until) {
			t.Errorf("access %+v", s.Access)
		}
		r.stop()
	})
}
