package threatstack

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/alert"
	"selfprotect/sim"
)

// past fills a server with alerts of a rule, an hour apart, every third one without
// an address in its fields.
func pastServer(t *testing.T, n int) (*sim.ThreatStack, *Client) {
	t.Helper()
	s, c := writable(t)
	now := time.Now()
	for i := range n {
		a := sim.Alert{ID: fmt.Sprintf("alert-%04d", i), RuleID: "other", CreatedAt: now.Add(-time.Duration(i) * time.Minute), Severity: 3}
		if i%3 > 0 {
			a.Aggregates = map[string]string{"dst_ip": "203.0.113.9"}
		}
		s.AddAlert(a)
		s.AddEvent(a.ID, sim.Event{EventType: "audit", Type: "connect", Syscall: "connect", Connection: &sim.Connection{DstAddr: "203.0.113.10"}})
	}
	return s, c
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := pastServer(t, 300)
		s.Dismiss("alert-0004", "alert-0200")
		now := time.Now()
		got, err := c.History(context.Background(), Past{Rule: "other", From: now.Add(-250*time.Minute - time.Second), Until: now})
		if err != nil || len(got.Alerts) != 251 || got.Unread != 0 || got.Cut {
			t.Fatalf("%d alerts, unread %d, cut %v, %v", len(got.Alerts), got.Unread, got.Cut, err)
		}
		if !slices.IsSortedFunc(got.Alerts, func(a, b alert.Alert) int { return a.CreatedAt.Compare(b.CreatedAt) }) {
			t.Error("not oldest first")
		}
		dismissed := 0
		for _, a := range got.Alerts {
			if a.Dismissed {
				dismissed++
			}
			if !a.Complete || len(alert.Indicators(a)) == 0 {
				t.Errorf("%+v", a)
			}
		}
		// 249 active and 2 dismissed: three pages and one, then a third of the alerts.
		if want := 4 + 84; dismissed != 2 || got.Requests != want {
			t.Errorf("%d dismissed, %d requests, want %d", dismissed, got.Requests, want)
		}
	})
}

// It waits for the budget, and never has more requests in a minute.
func TestHistoryKeepsToTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := pastServer(t, 900)
		now := time.Now()
		waited := false
		got, err := c.History(context.Background(), Past{Rule: "other", From: now.Add(-48 * time.Hour), Until: now,
			Progress: func(p PastProgress) { waited = waited || p.Wait > 0 }})
		if err != nil || len(got.Alerts) != 900 || got.Unread != 0 {
			t.Fatalf("%d alerts, unread %d, %v", len(got.Alerts), got.Unread, err)
		}
		if most := s.Requests().PerMinuteMax; most > DefaultRequestsPerMinute || !waited || time.Since(now) < 2*time.Minute {
			t.Errorf("%d requests in a minute, waited %v, %s", most, waited, time.Since(now))
		}
	})
}

func TestHistoryStopsAtItsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := pastServer(t, 150)
		now := time.Now()
		past := Past{Rule: "other", From: now.Add(-48 * time.Hour), Until: now, MaxRequests: 13}
		got, err := c.History(context.Background(), past)
		if err != nil || got.Requests != 13 || len(got.Alerts) != 150 || got.Unread != 40 || got.Cut {
			t.Errorf("%d requests, %d alerts, unread %d, cut %v, %v", got.Requests, len(got.Alerts), got.Unread, got.Cut, err)
		}
		past.MaxRequests = 1
		if got, err := c.History(context.Background(), past); err != nil || !got.Cut || len(got.Alerts) != 100 {
			t.Errorf("%d alerts, cut %v, %v", len(got.Alerts), got.Cut, err)
		}
	})
}

func TestHistoryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := pastServer(t, 10)
		now := time.Now()
		past := Past{Rule: "other", From: now.Add(-48 * time.Hour), Until: now}
		s.SetFaults(sim.ThreatStackFaults{Forbidden: true})
		if _, err := c.History(context.Background(), past); kindOf(err) != Forbidden {
			t.Errorf("error %v", err)
		}
		s.SetFaults(sim.ThreatStackFaults{Error: sim.Chance{Rate: 1}, Endpoints: []string{"GET /v2/alerts/{id}/events"}})
		if got, err := c.History(context.Background(), past); kindOf(err) != Server || len(got.Alerts) != 10 {
			t.Errorf("%d alerts, error %v", len(got.Alerts), err)
		}
	})
}
