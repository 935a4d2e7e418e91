package ui

import (
	"context"
	"errors"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall/firewalltest"
	"selfprotect/policy"
)

func TestStoryFirstAlertToBlock(t *testing.T) {
	story(t, func(st *stage) {
		o := st.console("alice", policy.Review)
		o.expect("no alert of a watched rule yet", " REVIEW ")
		st.alert(1, "203.0.113.7")
		o.wait(15 * time.Second)
		o.expectRow("pending", "high", "203.0.113.7")
		o.expectNoPrompt()
		o.expect("deny 203.0.113.7/32", "egress, entry 1")
		o.press("2", "a")
		o.wait(5 * time.Second)
		o.expect("no proposal waits for a decision")
		st.expectDenied("203.0.113.7/32")
		o.press("3")
		o.expectRow("blocked", "203.0.113.7/32")
		o.expectRow("1 ", "deny", "203.0.113.7/32", "23h59m")
	})
}

func TestStoryUndo(t *testing.T) {
	story(t, func(st *stage) {
		o := st.console("alice", policy.Review)
		st.alert(2, "203.0.113.7")
		o.wait(15 * time.Second)
		o.press("2", "a")
		o.wait(5 * time.Second)
		st.expectDenied("203.0.113.7/32")
		o.press("3", "U")
		o.expectPrompt("203.0.113.7/32")
		o.press("n") // any other key cancels
		o.expectNoPrompt()
		st.expectDenied("203.0.113.7/32")
		o.press("U")
		o.expectPrompt("203.0.113.7/32")
		o.press("y")
		o.wait(10 * time.Second)
		st.expectDenied()
		o.press("2")
		o.expectRow("203.0.113.7/32") // it waits for a decision, as before
	})
}

func TestStoryBulkApproveWithOneFailure(t *testing.T) {
	story(t, func(st *stage) {
		o := st.console("alice", policy.Review)
		st.alert(2, "203.0.113.7", "203.0.113.8", "203.0.113.9")
		o.wait(15 * time.Second)
		o.press("2", "*", "a", "a")
		o.expectPrompt("3")
		o.elsewhere("203.0.113.8/32", blocklist.Deny)
		o.press("y")
		o.wait(10 * time.Second)
		o.expect("2 approved, 1 not")
		o.expectRow("203.0.113.8/32", "row changed")
		st.expectDenied("203.0.113.7/32", "203.0.113.9/32")
	})
}

func TestStoryPollDeadForAnHour(t *testing.T) {
	story(t, func(st *stage) {
		o := st.console("alice", policy.Review)
		st.alert(2, "203.0.113.7")
		o.wait(15 * time.Second)
		o.expectRow("pending", "203.0.113.7")
		st.src.fail(errors.New("the alert API does not answer"))
		o.wait(time.Hour)
		o.expect("alerts STALE 1h", "the alert API does not answer")
		o.expectRow("pending", "203.0.113.7") // nothing was decided by silence
		st.expectDenied()
		o.expectRung("the alerts are stale")
		o.press("2", "a") // the ACL is fresh: what is known may be decided
		o.wait(5 * time.Second)
		st.expectDenied("203.0.113.7/32")
		st.src.fail(nil)
		st.alert(2, "203.0.113.8")
		o.wait(6 * time.Minute)
		o.expectNot("STALE")
		o.press("1")
		o.expectRow("pending", "203.0.113.8")
		o.press("!")
		o.expect("nothing is wrong now", "earlier in this session", "the alert API does not answer")
	})
}

func TestStoryCredentialsExpireAndComeBack(t *testing.T) {
	story(t, func(st *stage) {
		start := time.Now()
		expires := start.Add(20 * time.Minute)
		refused := errors.New("the security token is expired")
		o := st.console("alice", policy.Review, func(c *engine.Config) {
			c.Access = func(context.Context) []engine.Access {
				a := engine.Access{Region: "us-east-1", Account: "123456789012", Expires: expires, CheckedAt: time.Now()}
				return []engine.Access{a}
			}
		})
		st.fw.Faults(func(firewalltest.Call) firewalltest.Fault {
			if time.Now().After(expires) {
				return firewalltest.Fault{Err: refused}
			}
			return firewalltest.Fault{}
		})
		st.alert(2, "203.0.113.7")
		o.wait(4 * time.Minute)
		o.expectNot("AWS login ends")
		o.wait(5 * time.Minute)
		o.expect("AWS login ends in ")
		o.wait(15 * time.Minute)
		o.expect("AWS login ENDED", "ACL STALE")
		o.press("2", "a")
		o.expect("not now: ")
		st.expectDenied()
		expires = time.Now().Add(8 * time.Hour) // somebody has logged in again
		o.wait(6 * time.Minute)
		o.expectNot("STALE", "ENDED")
		o.expectRow("203.0.113.7/32") // it has waited
		o.press("a")
		o.wait(5 * time.Second)
		st.expectDenied("203.0.113.7/32")
	})
}

func TestStoryAutoModeHitsItsLimit(t *testing.T) {
	story(t, func(st *stage) {
		o := st.console("alice", policy.Auto, func(c *engine.Config) { c.Limits.PerMinute = 3 })
		o.expect(" AUTO ")
		o.wait(2 * time.Minute)
		st.alert(2, "203.0.113.1", "203.0.113.4", "203.0.113.8", "203.0.113.16", "203.0.113.32")
		o.wait(15 * time.Second)
		o.expect(" AUTO STOPPED → REVIEW ", "auto mode stopped itself")
		o.expectRung("auto mode stopped itself")
		if n := len(st.denied()); n != 3 {
			t.Errorf("%d blocked, the limit is 3", n)
		}
		o.press("2")
		o.expectRow("203.0.113.32/32")
		o.wait(2 * time.Minute) // at once it would reach its limit again
		o.press("m", "a", "u", "t", "o")
		o.expectPrompt("auto")
		o.press("enter")
		o.wait(2 * time.Minute)
		o.expect(" AUTO ")
		o.expectNot("STOPPED")
	})
}

func TestStoryTwoConsolesOnOneJournal(t *testing.T) {
	story(t, func(st *stage) {
		alice := st.console("alice", policy.Review)
		bob := st.console("bob", policy.Review)
		both := func(d time.Duration) {
			for range int(d / time.Second) {
				alice.wait(500 * time.Millisecond)
				bob.wait(500 * time.Millisecond)
			}
		}
		bob.expect("changes are applied by alice@soc:1")
		st.alert(2, "203.0.113.7", "203.0.113.8")
		both(40 * time.Second)
		alice.press("2")
		bob.press("2")
		alice.expectRow("203.0.113.7/32")
		bob.expectRow("203.0.113.7/32")
		bob.press("/", ".", "7", "enter", "a") // who does not write decides as well
		both(40 * time.Second)
		st.expectDenied("203.0.113.7/32")
		alice.press("3")
		alice.expectRow("blocked", "203.0.113.7/32", "bob@soc")
		alice.press("2", "d") // the other one
		both(40 * time.Second)
		bob.press("esc", "3")
		bob.expectRow("denied", "203.0.113.8/32", "alice@soc")
		st.expectDenied("203.0.113.7/32")
	})
}
