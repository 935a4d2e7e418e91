package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"selfprotect/firewall/firewalltest"
	"selfprotect/policy"
)

// desk is a source that can be told that alerts are dealt with.
type desk struct {
	*source
	mu      sync.Mutex
	told    [][]string
	answer  func(ids []string) error
	hanging bool
	before  func() // what must be true when it is told
}

type permanent struct{ error }

func (permanent) Permanent() bool { return true }

func (d *desk) Dismiss(ctx context.Context, ids []string, _ string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, slices.Clone(ids))
	if d.before != nil {
		d.before()
	}
	if d.hanging {
		d.mu.Unlock()
		<-ctx.Done()
		d.mu.Lock()
		return ctx.Err()
	}
	if d.answer != nil {
		return d.answer(ids)
	}
	return nil
}

func (d *desk) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Concat(d.told...)
	slices.Sort(out)
	return out
}

// deskRig is a rig whose source is a desk.
func deskRig(t *testing.T, mode policy.Mode) (*rig, *desk) {
	r := newRig(t, mode)
	d := &desk{source: r.src}
	r.cfg.Source, r.cfg.Dismiss = d, true
	return r, d
}

// TestDismiss: an alert is dismissed once, after every block of it was read back, and
// none of which an address waits, was refused or was denied.
func TestDismiss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, d := deskRig(t, policy.Auto)
		d.before = func() {
			if !slices.Contains(r.ours(), "203.0.113.7/32") {
				t.Error("dismissed before it was denied")
			}
		}
		r.start()
		r.src.add(outbound("whole", "203.0.113.7", "203.0.113.8"), outbound("guarded", "203.0.113.9", "10.1.2.3"), outbound("nothing"))
		open := outbound("open", "203.0.113.10")
		open.Complete = false
		r.src.add(open)
		r.wait(30 * time.Minute)
		r.wantOurs("203.0.113.7/32", "203.0.113.8/31", "203.0.113.10/32")
		if got := d.all(); !slices.Equal(got, []string{"whole"}) {
			t.Errorf("dismissed %v", got)
		}
		if !contains(r.lines("dismissed"), "alert whole is dismissed") {
			t.Errorf("lines %+v", r.lines("dismissed"))
		}
		r.stop()
		// The journal knows: another start does not tell it again.
		r.start()
		r.wait(30 * time.Minute)
		if got := d.all(); len(got) != 1 {
			t.Errorf("after a restart dismissed %v", got)
		}
		r.stop()
	})
}

// TestDismissWaitsForTheReadBack: a write that was answered and is not settled is no
// proof; nor is one whose answer was lost.
func TestDismissWaitsForTheReadBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, d := deskRig(t, policy.Auto)
		r.fw.Faults(func(c firewalltest.Call) firewalltest.Fault {
			if c.Read {
				return firewalltest.Fault{}
			}
			return firewalltest.Fault{Err: errors.New("504")}
		})
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(10 * time.Minute)
		if got := d.all(); len(got) != 0 || len(r.ours()) != 0 {
			t.Errorf("dismissed %v while %v is denied", got, r.ours())
		}
		r.fw.Faults(nil)
		r.wait(time.Hour)
		if got := d.all(); !slices.Equal(got, []string{"a1"}) {
			t.Errorf("dismissed %v", got)
		}
		r.stop()
	})
}

// TestDismissWhenApproved: what a person decides later is dismissed later, and what a
// person denies is not.
func TestDismissWhenApproved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, d := deskRig(t, policy.Review)
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"), outbound("a2", "203.0.113.8"))
		r.wait(time.Minute)
		if got := d.all(); len(got) != 0 {
			t.Errorf("dismissed %v before anybody decided", got)
		}
		if err := r.approve("203.0.113.7/32"); err != nil {
			t.Fatal(err)
		}
		r.wait(10 * time.Minute)
		if got := d.all(); !slices.Equal(got, []string{"a1"}) {
			t.Errorf("dismissed %v", got)
		}
		r.stop()
	})
}

// TestDismissFails: a source that refuses is asked again, more slowly; it is a problem;
// and blocks go on. One alert that it will not have does not hold up the others.
func TestDismissFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, d := deskRig(t, policy.Auto)
		d.answer = func([]string) error { return errors.New("status 403") }
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(30 * time.Minute)
		if n := len(d.all()); n < 5 || n > 40 {
			t.Errorf("told %d times in half an hour", n)
		}
		found := false
		for _, p := range r.snap().Problems {
			found = found || p.Text == "alerts could not be dismissed at the source: status 403"
		}
		if !found || len(r.lines("fault")) != 1 {
			t.Errorf("problems %+v, faults %+v", r.snap().Problems, r.lines("fault"))
		}
		d.mu.Lock()
		d.told, d.answer = nil, func(ids []string) error {
			if slices.Contains(ids, "bad") {
				return permanent{errors.New("status 400")}
			}
			return nil
		}
		d.mu.Unlock()
		r.src.add(outbound("bad", "203.0.113.8"), outbound("a3", "203.0.113.9"))
		r.wait(10 * time.Minute)
		r.wantOurs("203.0.113.7/32", "203.0.113.8/31")
		for _, id := range []string{"a1", "a3"} {
			if !contains(r.lines("dismissed"), fmt.Sprintf("alert %s is dismissed", id)) {
				t.Errorf("%s is not dismissed: %v", id, d.all())
			}
		}
		for _, p := range r.snap().Problems {
			if p.Text == "alerts could not be dismissed at the source: status 403" {
				t.Error("still a problem")
			}
		}
		r.stop()
	})
}

// TestDismissHangs: neither a block nor a stop waits for a source that hangs.
func TestDismissHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, d := deskRig(t, policy.Auto)
		d.hanging = true
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(time.Minute)
		r.src.add(outbound("a2", "203.0.113.8"))
		r.wait(time.Minute)
		r.wantOurs("203.0.113.7/32", "203.0.113.8/32")
		began := time.Now()
		r.stop()
		if d := time.Since(began); d > time.Second {
			t.Errorf("the stop took %s", d)
		}
	})
}

// TestDismissIsOff: without a word nothing is dismissed, nor by a process that does not
// write.
func TestDismissIsOff(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			r, d := deskRig(t, policy.Auto)
			r.cfg.Dismiss, r.cfg.ReadOnly = readOnly, readOnly
			r.start()
			r.src.add(outbound("a1", "203.0.113.7"))
			r.wait(10 * time.Minute)
			if got := d.all(); len(got) != 0 {
				t.Errorf("dismissed %v", got)
			}
			r.stop()
		})
	}
}
