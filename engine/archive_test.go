package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/policy"
)

// alertRow finds an alert in the last snapshot.
func (r *rig) alertRow(id string) *AlertRow {
	r.t.Helper()
	for _, a := range r.snap().Alerts {
		if a.ID == id {
			return a
		}
	}
	r.t.Fatalf("no alert %s", id)
	return nil
}

// file archives alerts as the last snapshot shows them.
func (r *rig) file(escalated bool, reason string, ids ...string) error {
	r.t.Helper()
	var files []blocklist.Filing
	for _, id := range ids {
		files = append(files, blocklist.Filing{Alert: id, Shown: r.alertRow(id).Extent()})
	}
	return r.eng.Archive(context.Background(), files, blocklist.Archive{Actor: "alice@soc", Reason: reason, Escalated: escalated})
}

// TestArchive: an alert of which an address waits is refused; decided, it is
// archived, stays so over polls and a restart, and comes back when it grows. Nothing
// of it touches a block.
func TestArchive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		r.start()
		a1 := outbound("a1", "203.0.113.7")
		r.src.add(a1, outbound("a2", "10.1.2.3"))
		r.wait(time.Minute)
		if err := r.file(false, "", "a1", "a2"); !errors.Is(err, blocklist.ErrWaiting) {
			t.Fatalf("archived while an address waits: %v", err)
		}
		if r.alertRow("a2").Archive != nil {
			t.Error("the other one is archived though one was refused")
		}
		if err := r.approve("203.0.113.7/32"); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		if err := r.file(false, "", "a1", "a2"); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		if !contains(r.lines("archived"), "alert a1 (outbound) is archived by alice@soc") || len(r.lines("archived")) != 2 {
			t.Errorf("lines %+v", r.lines("archived"))
		}
		r.stop()
		r.start()
		r.wait(time.Minute)
		for _, id := range []string{"a1", "a2"} {
			if x := r.alertRow(id).Archive; x == nil || x.Actor != "alice@soc" || x.Escalated {
				t.Errorf("%s after a restart: %+v", id, x)
			}
		}
		r.wantOurs("203.0.113.7/32")
		more := outbound("a1", "203.0.113.7", "203.0.113.8")
		more.CreatedAt = a1.CreatedAt
		r.src.mu.Lock()
		r.src.alerts[0] = more
		r.src.mu.Unlock()
		r.wait(time.Minute)
		if r.alertRow("a1").Archive != nil || r.alertRow("a2").Archive == nil {
			t.Error("the alert that has grown stays away, or the other one came back")
		}
		r.wantOurs("203.0.113.7/32")
		r.stop()
	})
}

// TestArchiveAsShown: what has grown since it was shown is refused, and so is a word
// without a name.
func TestArchiveAsShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		r := newRig(t, policy.Review)
		r.start()
		r.src.add(outbound("a1", "10.1.2.3"))
		r.wait(time.Minute)
		shown := blocklist.Filing{Alert: "a1", Shown: r.alertRow("a1").Extent()}
		more := outbound("a1", "10.1.2.3", "10.1.2.4")
		r.src.mu.Lock()
		r.src.alerts[0] = more
		r.src.mu.Unlock()
		r.wait(time.Minute)
		if err := r.eng.Archive(ctx, []blocklist.Filing{shown}, blocklist.Archive{Actor: "alice@soc"}); !errors.Is(err, blocklist.ErrGrown) {
			t.Errorf("archived what nobody has seen: %v", err)
		}
		if err := r.eng.Archive(ctx, []blocklist.Filing{{Alert: "a1", Shown: r.alertRow("a1").Extent()}}, blocklist.Archive{}); err == nil {
			t.Error("archived by nobody")
		}
		if err := r.eng.Unarchive(ctx, []string{"a1"}, "", ""); err == nil || errors.Is(err, blocklist.ErrNotArchived) {
			t.Errorf("brought back by nobody: %v", err)
		}
		r.stop()
	})
}

// TestEscalate: it needs a reason, is a warning in the log, and can be taken back.
func TestEscalate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		r.start()
		r.src.add(outbound("a1", "10.1.2.3"))
		r.wait(time.Minute)
		if err := r.file(true, " ", "a1"); err == nil || !strings.Contains(err.Error(), "needs a reason") {
			t.Errorf("escalated without a reason: %v", err)
		}
		if err := r.file(true, "ticket 4711", "a1"); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Second)
		if x := r.alertRow("a1").Archive; x == nil || !x.Escalated || x.Reason != "ticket 4711" {
			t.Errorf("%+v", x)
		}
		got := r.lines("escalated")
		if len(got) != 1 || got[0].Severity != Warning || got[0].Reason != "ticket 4711" || got[0].Alert != "a1" || got[0].Actor != "alice@soc" || got[0].RuleID != rule {
			t.Errorf("lines %+v", got)
		}
		if err := r.eng.Unarchive(context.Background(), []string{"a1"}, "bob@soc", "look again"); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Second)
		if r.alertRow("a1").Archive != nil || !contains(r.lines("unarchived"), "listed again, says bob@soc look again") {
			t.Errorf("%+v, %+v", r.alertRow("a1").Archive, r.lines("unarchived"))
		}
		r.stop()
	})
}
