package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/firewall/firewalltest"
	"selfprotect/journal/journaltest"
	"selfprotect/policy"
)

func TestAutoBlocksAndReadsBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.start()
		r.wait(time.Second)
		r.src.add(outbound("a1", "203.0.113.7"))
		s := r.wait(12 * time.Second)
		r.wantOurs("203.0.113.7/32")
		if b := r.block("203.0.113.7/32"); b == nil || b.DecidedBy != "auto" || b.Presence[0].Status != "present" || b.Presence[0].Number != 1 {
			t.Errorf("block %+v", b)
		}
		if len(s.Alerts) != 1 || s.Alerts[0].Sightings[0].Outcome != blocklist.OutcomeProposed {
			t.Errorf("alerts %+v", s.Alerts)
		}
		writes := len(r.fw.Writes())
		r.src.add(outbound("a2", "203.0.113.7")) // a second sighting is skipped as known
		r.wait(10 * time.Minute)
		if n := len(r.fw.Writes()); n != writes {
			t.Errorf("%d writes after the block was there", n-writes)
		}
		if b := r.block("203.0.113.7/32"); b.Sightings != 2 {
			t.Errorf("%d sightings, want 2", b.Sightings)
		}
		r.stop()
	})
}

func TestReviewWaitsForADecision(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7", "203.0.113.8"))
		s := r.wait(time.Hour)
		r.wantOurs()
		if len(s.Proposals) != 2 {
			t.Fatalf("%d proposals, want 2", len(s.Proposals))
		}
		p := s.Proposals[0]
		if st := p.Steps[0]; st.Op != firewall.Create || st.Number != 1 || st.SlotsAfter != 17 || p.Blocked != "" {
			t.Errorf("preview %+v, blocked %q", st, p.Blocked)
		}
		if err := r.approve("203.0.113.7/32"); err != nil {
			t.Fatal(err)
		}
		r.wait(2 * time.Second)
		r.wantOurs("203.0.113.7/32")
		if err := r.eng.Decide(context.Background(), p.ID, blocklist.Decision{Verb: blocklist.Approve, Actor: "bob@soc", Effect: p.Digest}); !errors.Is(err, blocklist.ErrDecided) {
			t.Errorf("a second decision gave %v, want ErrDecided", err)
		}
		deny := s.Proposals[1]
		if err := r.eng.Decide(context.Background(), deny.ID, blocklist.Decision{Verb: blocklist.Deny, Actor: "alice@soc", Reason: "partner"}); err != nil {
			t.Fatal(err)
		}
		r.src.add(outbound("a3", "203.0.113.8"))
		if s := r.wait(time.Minute); len(s.Proposals) != 0 {
			t.Errorf("a denied address is proposed again: %+v", s.Proposals)
		}
		r.stop()
	})
}

func TestApprovalIsBoundToWhatWasShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		s := r.wait(11 * time.Second)
		id := s.Proposals[0].ID
		for _, digest := range []string{"", "0123"} {
			if err := r.eng.Decide(context.Background(), id, blocklist.Decision{Verb: blocklist.Approve, Actor: "a@b", Effect: digest}); !errors.Is(err, blocklist.ErrEffectChanged) {
				t.Errorf("digest %q gave %v", digest, err)
			}
		}
		// Somebody else denies it meanwhile: the approval would now do nothing.
		r.fw.Edit(acl1, func(a *firewall.ACL) {
			a.Entries = append(a.Entries, firewall.Entry{Number: 40, Direction: firewall.Egress, Deny: true, Protocol: -1, Prefix: s.Proposals[0].Prefix})
		})
		r.wait(time.Minute)
		if err := r.eng.Decide(context.Background(), id, blocklist.Decision{Verb: blocklist.Approve, Actor: "a@b", Effect: s.Proposals[0].Digest}); !errors.Is(err, blocklist.ErrEffectChanged) {
			t.Errorf("an approval of a changed effect gave %v", err)
		}
		r.stop()
	})
}

func TestGuardRefusesInEveryMode(t *testing.T) {
	for _, mode := range []policy.Mode{policy.Observe, policy.Review, policy.Auto} {
		bubble(t, func(t *testing.T) {
			r := newRig(t, mode)
			r.start()
			r.src.add(outbound("a1", "10.1.2.3", "169.254.169.254", "198.51.100.9", "::ffff:10.0.0.1", "0.0.0.0"))
			s := r.wait(time.Minute)
			r.wantOurs()
			if len(s.Proposals) != 0 || len(s.Blocks) != 0 || len(r.lines("refused")) != 5 {
				t.Errorf("%s: %d proposals, %d blocks, %d refused", mode, len(s.Proposals), len(s.Blocks), len(r.lines("refused")))
			}
			r.stop()
		})
	}
}

func TestObserveWritesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Observe)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		s := r.wait(time.Minute)
		if len(r.fw.Writes()) != 0 || len(s.Proposals) != 0 || s.Alerts[0].Sightings[0].Outcome != blocklist.OutcomeIgnored {
			t.Errorf("observe mode did something: %+v", s.Alerts[0])
		}
		if ls := r.lines("observed"); len(ls) != 1 || ls[0].Prefix.String() != "203.0.113.7/32" || ls[0].Alert != "a1" || !strings.Contains(ls[0].Reason, "would block") {
			t.Errorf("what it would do is told as %+v", ls)
		}
		r.stop()
	})
}

// TestAnswerOfASettledWriteIsNotRecorded: another process's read may have settled a
// write before its answer comes; a second record of that could not be folded.
func TestAnswerOfASettledWriteIsNotRecorded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		eng, err := New(context.Background(), r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		before := r.log.Len()
		eng.loop.answered(context.Background(), result{job: job{write: true, acl: acl1, writeID: "me@here:1/0/1"}, err: errors.New("504")}, blocklist.Unknown)
		if after := r.log.Len(); after != before {
			t.Errorf("%d records of an answer to a write that is settled", after-before)
		}
		if _, err := New(context.Background(), r.cfg); err != nil {
			t.Errorf("no process can read on: %v", err)
		}
	})
}

// repeater is a source that counts how often it is told to give again what it gave.
type repeater struct {
	*source
	again atomic.Int64
}

func (r *repeater) Again() { r.again.Add(1) }

// TestMarkWaitsForTheJournal: the mark says that everything before it was recorded,
// so it does not move past an alert that could not be.
func TestMarkWaitsForTheJournal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		r.start()
		r.wait(10 * time.Minute)
		r.stop()
		time.Sleep(10 * time.Minute) // so that the mark is due at once
		failed := false
		r.log.Hook = func(op string, _ int) journaltest.Fault {
			if op == "append" && !failed {
				failed = true
				return journaltest.NotPersisted
			}
			return journaltest.None
		}
		a := outbound("a1", "203.0.113.7")
		r.src.add(a)
		time.Sleep(time.Second)
		src := &repeater{source: r.src}
		r.cfg.Source = src
		r.start()
		r.wait(11 * time.Minute)
		r.stop()
		known := map[string]bool{}
		for i, rec := range r.log.Records() {
			e, err := blocklist.Decode(rec)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case e.Kind == blocklist.Observed:
				known[e.Alert.ID] = true
			case e.Kind == blocklist.Marked && e.Through.After(a.CreatedAt) && !known[a.ID]:
				t.Fatalf("record %d moves the mark past an alert that is not recorded", i+1)
			}
		}
		if !failed || !known[a.ID] {
			t.Errorf("the journal failed: %v, the alert came: %v", failed, known[a.ID])
		}
		if n := src.again.Load(); n != 1 {
			t.Errorf("the source was asked %d times to give again what was not recorded", n)
		}
	})
}

// TestNoPollLeavesAlertsAlone: a command that decides something must not take an
// alert away from the process that acts on it.
func TestNoPollLeavesAlertsAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		r.src.add(outbound("a1", "203.0.113.7"))
		r.cfg.NoPoll = true
		r.start()
		s := r.wait(time.Minute)
		r.eng.Poll()
		r.wait(time.Minute)
		r.stop()
		if len(r.src.polls) > 0 || s.ACLs[0].ReadAt.IsZero() {
			t.Errorf("%d polls, ACL read at %s", len(r.src.polls), s.ACLs[0].ReadAt)
		}
		r.cfg.NoPoll = false
		r.start()
		if s := r.wait(time.Minute); len(s.Proposals) != 1 {
			t.Errorf("%d proposals", len(s.Proposals))
		}
		r.stop()
	})
}

func TestExpiryRemovesTheEntry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(24*time.Hour + 5*time.Second)
		r.wantOurs("203.0.113.7/32")
		r.wait(15 * time.Second)
		r.wantOurs()
		if len(r.lines("unblocked")) != 1 || len(r.lines("expired")) != 1 {
			t.Errorf("lines %v", r.snap().Log)
		}
		r.wait(time.Hour)
		// A repeat offence lives twice as long.
		r.src.add(outbound("a2", "203.0.113.7"))
		r.wait(time.Minute)
		if b := r.block("203.0.113.7/32"); b.TTL != 48*time.Hour || b.Repeat != 1 {
			t.Errorf("ttl %s, repeat %d", b.TTL, b.Repeat)
		}
		r.stop()
	})
}

func TestRestartContinues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7", "203.0.113.8"))
		r.wait(11 * time.Second)
		if err := r.approve("203.0.113.7/32"); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Second)
		r.stop()
		writes := len(r.fw.Writes())
		records := len(r.log.Records())
		r.start()
		s := r.wait(time.Hour)
		if n := len(r.fw.Writes()); n != writes {
			t.Errorf("%d writes after a restart", n-writes)
		}
		if len(s.Proposals) != 1 || r.block("203.0.113.7/32").State != blocklist.Active {
			t.Errorf("after a restart: %d proposals", len(s.Proposals))
		}
		r.wantOurs("203.0.113.7/32")
		if n := len(r.log.Records()) - records; n > 15 {
			t.Errorf("%d records in an hour with nothing new", n)
		}
		r.stop()
	})
}

func TestLostAnswerIsFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.fw.Faults(func(c firewalltest.Call) firewalltest.Fault {
			return firewalltest.Fault{Lost: !c.Read && len(r.fw0writes(c)) == 0}
		})
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(15 * time.Second)
		r.wantOurs("203.0.113.7/32")
		if n := len(r.fw.Writes()); n != 1 {
			t.Errorf("%d writes, want 1: the read-back found the entry", n)
		}
		if b := r.block("203.0.113.7/32"); b.Presence[0].Status != "present" {
			t.Errorf("presence %+v", b.Presence)
		}
		r.stop()
	})
}

// fw0writes is empty for the first write call.
func (r *rig) fw0writes(c firewalltest.Call) []int {
	if c.Change.Number == 1 {
		return nil
	}
	return []int{c.N}
}

func TestLateRequestDoesNoHarm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.fw.Faults(func(c firewalltest.Call) firewalltest.Fault {
			if !c.Read && c.Change.Number == 1 {
				return firewalltest.Fault{Late: 10 * time.Minute}
			}
			return firewalltest.Fault{}
		})
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(3 * time.Minute)
		r.wantOurs("203.0.113.7/32") // at another number
		for _, w := range r.fw.Writes()[1:] {
			if w.Change.Number == 1 {
				t.Errorf("number 1 was used again while its request could land: %v", w.Change)
			}
		}
		r.fw.Faults(nil)
		r.wait(40 * time.Minute)
		r.wantOurs("203.0.113.7/32") // the twin that landed is removed
		writes := len(r.fw.Writes())
		r.wait(2 * time.Hour)
		if n := len(r.fw.Writes()); n != writes {
			t.Errorf("%d writes at rest", n-writes)
		}
		r.stop()
	})
}

func TestNotAppliedIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		fails := 2
		r.fw.Faults(func(c firewalltest.Call) firewalltest.Fault {
			if !c.Read && fails > 0 {
				fails--
				return firewalltest.Fault{Err: errors.New("502 bad gateway")}
			}
			return firewalltest.Fault{}
		})
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(5 * time.Minute)
		r.wantOurs("203.0.113.7/32")
		r.wait(time.Hour)
		if n := r.snap().ACLs[0].InFlight; n != 0 {
			t.Errorf("%d writes are still in flight", n)
		}
		r.stop()
	})
}

func TestStaleReadsMakeNoTwins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.fw.Faults(func(c firewalltest.Call) firewalltest.Fault { return firewalltest.Fault{Stale: 2 * time.Minute} })
		r.start()
		for i := range 10 {
			r.src.add(outbound(fmt.Sprint("a", i), fmt.Sprintf("203.0.113.%d", 2*i+1)))
		}
		r.wait(20 * time.Minute)
		if n := len(r.ours()); n != 10 {
			t.Errorf("%d entries, want 10", n)
		}
		if n := len(r.fw.Writes()); n != 10 {
			t.Errorf("%d writes, want 10", n)
		}
		r.stop()
	})
}

func TestDriftWaitsForAPerson(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(15 * time.Second)
		r.fw.Edit(acl1, func(a *firewall.ACL) {
			kept := a.Entries[:0]
			for _, e := range a.Entries {
				if e.Number != 1 {
					kept = append(kept, e)
				}
			}
			a.Entries = kept
		})
		s := r.wait(31 * time.Second)
		if len(s.ACLs[0].Drifted) != 1 || r.block("203.0.113.7/32").Presence[0].Status != "drifted" {
			t.Fatalf("drift is not shown within a round: %+v", s.ACLs[0].Drifted)
		}
		r.src.add(outbound("a2", "203.0.113.7"))
		r.wait(time.Hour)
		r.wantOurs()
		err := r.eng.Decide(context.Background(), s.ACLs[0].Drifted[0].Block, blocklist.Decision{Verb: blocklist.Restore, Actor: "alice@soc"})
		if err != nil {
			t.Fatal(err)
		}
		r.wait(2 * time.Second)
		r.wantOurs("203.0.113.7/32")
		r.stop()
	})
}

func TestAutoStopsAtItsLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.cfg.Limits = AutoLimits{PerMinute: 5, PerHour: 60}
		r.start()
		for i := range 9 {
			r.src.add(outbound(fmt.Sprint("a", i), fmt.Sprintf("203.0.113.%d", 2*i+1)))
		}
		s := r.wait(time.Minute)
		if len(r.ours()) != 5 || len(s.Proposals) != 4 || s.Ceiling != policy.Review || !s.Stopped {
			t.Errorf("%d blocked, %d proposed, ceiling %s, stopped %v", len(r.ours()), len(s.Proposals), s.Ceiling, s.Stopped)
		}
		r.stop()
		r.start() // a stop survives a restart
		r.src.add(outbound("b", "203.0.113.99"))
		if s = r.wait(2 * time.Hour); !s.Stopped || len(r.ours()) != 5 {
			t.Errorf("after a restart: stopped %v, %d blocked", s.Stopped, len(r.ours()))
		}
		if err := r.eng.SetMode(context.Background(), policy.Auto, "alice@soc", "looked at it"); err != nil {
			t.Fatal(err)
		}
		r.src.add(outbound("c", "203.0.113.98"))
		if s = r.wait(time.Minute); s.Stopped || len(r.ours()) != 6 {
			t.Errorf("after a person set it: stopped %v, %d blocked", s.Stopped, len(r.ours()))
		}
		r.stop()
	})
}

func TestMoreThanSlots(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.cfg.Limits = AutoLimits{PerMinute: 100, PerHour: 100}
		r.start()
		for i := range 25 {
			r.src.add(outbound(fmt.Sprint("a", i), fmt.Sprintf("203.0.113.%d", 2*i+1)))
		}
		s := r.wait(5 * time.Minute)
		if len(r.ours()) != 18 || len(s.ACLs[0].Waiting) != 7 {
			t.Errorf("%d blocked, %d waiting", len(r.ours()), len(s.ACLs[0].Waiting))
		}
		single, whole := 0, []string{}
		for _, l := range r.lines("waiting") {
			if l.Shortfall == nil {
				single++
			} else {
				whole = append(whole, l.Text)
			}
		}
		if want := acl1 + " egress IPv4: 25 wanted, 18 kept, 7 waiting, cut-off weight 125"; single != 7 || len(whole) == 0 || whole[len(whole)-1] != want {
			t.Errorf("%d lines of waiting; the shortfall is told as %q, want %q", single, whole, want)
		}
		if n := slices.IndexFunc(s.ACLs[0].Waiting, func(w WaitingView) bool { return w.Next }); n != 0 {
			t.Errorf("next up is number %d of those that wait", n)
		}
		writes := len(r.fw.Writes())
		r.wait(12 * time.Hour)
		if n := len(r.fw.Writes()) - writes; n != 0 {
			t.Errorf("%d writes at rest", n)
		}
		r.stop()
	})
}

func TestJournalFailureStopsWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		var broken atomic.Bool
		r.log.Hook = func(op string, _ int) journaltest.Fault {
			if op == "append" && broken.Load() {
				return journaltest.NotPersisted
			}
			return journaltest.None
		}
		r.start()
		r.wait(5 * time.Second)
		broken.Store(true)
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(10 * time.Minute)
		if len(r.fw.Writes()) != 0 {
			t.Errorf("wrote to AWS without a journal")
		}
		broken.Store(false)
		s := r.wait(2 * time.Minute)
		if !s.Stopped || !strings.Contains(s.CeilingWhy, "journal") {
			t.Errorf("auto mode goes on after the journal failed: %q", s.CeilingWhy)
		}
		if err := r.approve("203.0.113.7/32"); err != nil { // nothing was lost
			t.Fatal(err)
		}
		r.wait(time.Minute)
		r.wantOurs("203.0.113.7/32")
		r.stop()
	})
}

func TestSourceFailureIsNotNoAlerts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.src.fail(errors.New("alert API: the key is wrong"))
		r.start()
		s := r.wait(10 * time.Minute)
		if s.Sources[0].Err == "" || !s.Sources[0].LastOK.IsZero() || len(s.Problems) == 0 {
			t.Errorf("source %+v", s.Sources[0])
		}
		if n := len(r.src.polls); n > 15 {
			t.Errorf("%d polls in ten minutes of failure", n)
		}
		if len(r.lines("fault")) != 1 {
			t.Errorf("the same failure is told %d times", len(r.lines("fault")))
		}
		if m := len(r.log.Records()); m != 0 {
			t.Errorf("the mark moved: %d records", m)
		}
		r.src.fail(nil)
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(2 * time.Minute)
		r.wantOurs("203.0.113.7/32")
		r.stop()
	})
}

func TestTwoProcessesOnOneJournal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newRig(t, policy.Review)
		a.start()
		a.wait(2 * time.Second)
		b := *a
		b.cfg.Holder = "bob@there:2"
		b.start()
		a.src.add(outbound("a1", "203.0.113.7"))
		b.wait(12 * time.Second)
		if b.last.Holder != "me@here:1" || len(b.last.Proposals) != 1 {
			t.Fatalf("second: holder %q, %d proposals", b.last.Holder, len(b.last.Proposals))
		}
		if err := b.approve("203.0.113.7/32"); err != nil {
			t.Fatal(err)
		}
		a.wait(3 * time.Second)
		a.wantOurs("203.0.113.7/32")
		if n := len(a.fw.Writes()); n != 1 {
			t.Errorf("%d writes, want 1", n)
		}
		if len(a.snap().Proposals) != 0 || !contains(a.lines("approved"), "alice@soc") {
			t.Errorf("the first does not show what the second decided")
		}
		a.stop()
		a.src.add(outbound("a2", "203.0.113.9"))
		b.wait(40 * time.Second)
		if err := b.approve("203.0.113.9/32"); err != nil {
			t.Fatal(err)
		}
		b.wait(40 * time.Second)
		b.wantOurs("203.0.113.7/32", "203.0.113.9/32") // the second took over
		b.stop()
	})
}

func TestReadOnlyNeverWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.cfg.ReadOnly = true
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		s := r.wait(time.Hour)
		if len(r.fw.Writes()) != 0 || !s.ReadOnly {
			t.Errorf("a read-only process wrote")
		}
		r.stop()
	})
}

func TestPermissionDeniedStopsAuto(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.fw.Faults(func(c firewalltest.Call) firewalltest.Fault {
			if c.Read {
				return firewalltest.Fault{}
			}
			return firewalltest.Fault{Err: &firewall.RefusedError{Code: "UnauthorizedOperation", Meaning: "not allowed", Permission: true}}
		})
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		s := r.wait(10 * time.Minute)
		if !s.Stopped {
			t.Errorf("auto goes on without permission")
		}
		if n := len(r.fw.Writes()); n > 11 {
			t.Errorf("%d writes in ten minutes of refusal", n)
		}
		r.stop()
	})
}

func TestCallsStayInBudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.cfg.Limits = AutoLimits{PerMinute: 1000, PerHour: 1000}
		n := 0
		r.fw.Faults(func(c firewalltest.Call) firewalltest.Fault {
			n++
			if n%3 == 0 {
				return firewalltest.Fault{Err: errors.New("throttled or worse")}
			}
			return firewalltest.Fault{}
		})
		r.start()
		for i := range 200 {
			r.src.add(outbound(fmt.Sprint("a", i), fmt.Sprintf("203.0.%d.%d", 100+i/100, i%100+1)))
		}
		before := 0
		for range 12 {
			r.wait(10 * time.Minute)
			if d := r.fw.Calls() - before; d > 120 {
				t.Errorf("%d calls in ten minutes", d)
			}
			before = r.fw.Calls()
		}
		r.stop()
	})
}

func TestTakenNumberIsAvoided(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		// A person makes an entry at 1, and reads do not show it for two minutes.
		r.fw.Faults(func(c firewalltest.Call) firewalltest.Fault {
			if c.Read {
				return firewalltest.Fault{Stale: 2 * time.Minute}
			}
			return firewalltest.Fault{}
		})
		r.start()
		r.wait(3 * time.Minute)
		r.fw.Edit(acl1, func(a *firewall.ACL) {
			a.Entries = append(a.Entries, firewall.Entry{Number: 1, Direction: firewall.Egress, Deny: true, Protocol: -1, Prefix: netip.MustParsePrefix("192.0.2.77/32")})
		})
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(30 * time.Second)
		r.wantOurs("192.0.2.77/32", "203.0.113.7/32")
		if n := len(r.fw.Writes()); n != 2 {
			t.Errorf("%d writes, want one refused and one that works", n)
		}
		r.stop()
	})
}

func TestQuotaIsLearnedDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.fw.Quota = 8
		r.cfg.Limits = AutoLimits{PerMinute: 100, PerHour: 100}
		r.start()
		for i := range 12 {
			r.src.add(outbound(fmt.Sprint("a", i), fmt.Sprintf("203.0.113.%d", 2*i+1)))
		}
		s := r.wait(10 * time.Minute)
		if len(r.ours()) != 6 || len(s.ACLs[0].Waiting) != 6 || s.ACLs[0].Budgets[0].Quota != 8 {
			t.Errorf("%d denied, %d waiting, quota %d", len(r.ours()), len(s.ACLs[0].Waiting), s.ACLs[0].Budgets[0].Quota)
		}
		if n := len(r.fw.Writes()); n > 8 {
			t.Errorf("%d writes into a full ACL", n)
		}
		r.stop()
	})
}
