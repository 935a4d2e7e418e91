package threatstack

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"selfprotect/sim"
)

// TestDismiss holds that the service takes what is sent, that the alert is not active
// any more, and which refusals come again for the same alerts.
func TestDismiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s, c := writable(t)
		id := s.AddAlert(sim.Alert{Title: "t", RuleID: "other"})
		state := func() string {
			b, err := c.get(ctx, "alert", forLists, true, "/v2/alerts/"+id, "")
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		if !strings.Contains(state(), `"isDismissed":false`) {
			t.Fatalf("before: %s", state())
		}
		for range 2 { // again does no harm
			if err := c.Dismiss(ctx, []string{id}, "it is denied"); err != nil {
				t.Fatal(err)
			}
		}
		if got := state(); !strings.Contains(got, `"isDismissed":true`) || !strings.Contains(got, `"dismissReason":"OTHER"`) || !strings.Contains(got, `"dismissReasonText":"it is denied"`) {
			t.Errorf("after: %s", got)
		}
		var p interface{ Permanent() bool }
		if err := c.Dismiss(ctx, []string{id}, ""); !errors.As(err, &p) || !p.Permanent() {
			t.Errorf("without a reason: %v", err)
		}
		if err := c.Dismiss(ctx, []string{"../x\x00"}, "why"); !errors.As(err, &p) {
			t.Errorf("a strange id: %v", err)
		}
	})
}
