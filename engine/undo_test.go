package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/firewall/firewalltest"
	"selfprotect/policy"
)

func (r *rig) id(prefix string) blocklist.ID {
	return blocklist.ID("outbound:" + prefix + "@" + acl1)
}

// undo takes the last decision about a block back, as the console does.
func (r *rig) undo(prefix string) error {
	r.t.Helper()
	p, err := r.eng.PlanUndo(context.Background(), r.id(prefix))
	if err != nil {
		return err
	}
	return r.eng.Decide(context.Background(), r.id(prefix), blocklist.Decision{Verb: blocklist.Undo, Actor: "bob@soc", Effect: p.Digest})
}

func (r *rig) revoke(prefix string) {
	r.t.Helper()
	if err := r.eng.Decide(context.Background(), r.id(prefix), blocklist.Decision{Verb: blocklist.Revoke, Actor: "alice@soc"}); err != nil {
		r.t.Fatal(err)
	}
}

// TestUndoRestoresTheEntries: undo of a revocation brings the entry back, undo of
// that takes it away, and auto mode does not interfere.
func TestUndoRestoresTheEntries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(time.Minute)
		r.revoke("203.0.113.7/32")
		r.wait(10 * time.Minute)
		r.wantOurs()
		for _, want := range [][]string{{"203.0.113.7/32"}, nil, {"203.0.113.7/32"}} {
			if err := r.undo("203.0.113.7/32"); err != nil {
				t.Fatal(err)
			}
			r.wait(10 * time.Minute)
			r.wantOurs(want...)
		}
		r.stop()
	})
}

// TestUndoRefusesWhole: what conflicts is listed, and nothing is written.
func TestUndoRefusesWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(r *rig)
		want   string
	}{
		"a write is not settled": {func(r *rig) {
			r.fw.Faults(func(c firewalltest.Call) firewalltest.Fault {
				if c.Read {
					return firewalltest.Fault{}
				}
				return firewalltest.Fault{Err: errors.New("504")}
			})
			r.revoke("203.0.113.7/32")
			r.wait(time.Minute)
		}, "not settled"},
		"the slot is given away": {func(r *rig) {
			r.revoke("203.0.113.7/32")
			r.wait(10 * time.Minute)
			for i := range 18 {
				r.src.add(outbound(fmt.Sprint("b", i), spread(i)), outbound(fmt.Sprint("c", i), spread(i)))
			}
			r.wait(10 * time.Minute)
		}, "no slot"},
		"the guard forbids it now": {func(r *rig) {
			r.revoke("203.0.113.7/32")
			r.wait(10 * time.Minute)
			r.fw.Edit(acl1, func(a *firewall.ACL) { a.Own = append(a.Own, netip.MustParsePrefix("203.0.113.7/32")) })
			r.wait(time.Minute)
		}, "must not be blocked"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, policy.Auto)
				r.cfg.Limits = AutoLimits{PerMinute: 100, PerHour: 100}
				r.start()
				r.src.add(outbound("a1", "203.0.113.7"))
				r.wait(time.Minute)
				tc.before(r)
				writes := len(r.fw.Writes())
				err := r.undo("203.0.113.7/32")
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("undo: %v, want %q", err, tc.want)
				}
				r.wait(10 * time.Second)
				if n := len(r.fw.Writes()); n != writes {
					t.Errorf("%d writes after a refusal", n-writes)
				}
				r.stop()
			})
		})
	}
}

// TestUndoMeansWhatWasShown: of two operators who undo the same decision one wins.
func TestUndoMeansWhatWasShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(time.Minute)
		p, err := r.eng.PlanUndo(context.Background(), r.id("203.0.113.7/32"))
		if err != nil {
			t.Fatal(err)
		}
		d := blocklist.Decision{Verb: blocklist.Undo, Actor: "bob@soc", Effect: p.Digest}
		first, second := r.eng.Decide(context.Background(), p.Block.ID, d), r.eng.Decide(context.Background(), p.Block.ID, d)
		if first != nil || second == nil {
			t.Errorf("first %v, second %v", first, second)
		}
		r.wait(10 * time.Minute)
		r.wantOurs()
		if n := len(r.snap().Proposals); n != 1 {
			t.Errorf("%d proposals", n)
		}
		r.stop()
	})
}

// TestEveryWriteSaysHowToTakeItBack: in the journal and in the lines.
func TestEveryWriteSaysHowToTakeItBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(time.Minute)
		r.revoke("203.0.113.7/32")
		r.wait(10 * time.Minute)
		n := 0
		for _, rec := range r.log.Records() {
			if e, _ := blocklist.Decode(rec); e.Kind == blocklist.Started {
				n++
				if !strings.HasPrefix(e.Write.Undo, "aws ec2 ") || !strings.Contains(e.Write.Undo, "--rule-number 1") {
					t.Errorf("%s %s: %q", e.Write.Op, e.Write.Prefix, e.Write.Undo)
				}
			}
		}
		if n != 2 {
			t.Errorf("%d writes", n)
		}
		for _, event := range []string{"blocked", "unblocked"} {
			if l := r.lines(event); len(l) != 1 || !strings.HasPrefix(l[0].Undo, "aws ec2 ") {
				t.Errorf("%s lines: %+v", event, l)
			}
		}
		r.stop()
	})
}
