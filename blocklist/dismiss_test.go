package blocklist

import (
	"slices"
	"testing"
	"time"

	"selfprotect/policy"
)

// TestDealt: an alert is dealt with when its block is in force, and not any more once it
// was dismissed, whatever it gains later and whoever reads the journal or a checkpoint.
func TestDealt(t *testing.T) {
	l := New(Config{})
	dealt := func(l *List) (out []string) {
		for _, d := range l.Dealt() {
			if !slices.Equal(d.Blocks, []ID{badID}) {
				t.Errorf("%s waits for %v", d.Alert, d.Blocks)
			}
			out = append(out, d.Alert)
		}
		return out
	}
	see(t, l, t0, "a", policy.Ask, 1)
	see(t, l, t0, "b", policy.Ask, 1)
	if got := dealt(l); got != nil {
		t.Errorf("%v are dealt with before anybody decided", got)
	}
	if err := decide(t, l, t0, Approve); err != nil {
		t.Fatal(err)
	}
	see(t, l, t0, "c", policy.Refuse, 1)
	if got := dealt(l); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v are dealt with", got)
	}
	tell(t, l, []Event{{Kind: Dismissed, At: t0.Add(time.Minute), Actor: EngineActor, Alert: &AlertNote{ID: "a"}},
		{Kind: Dismissed, At: t0, Actor: EngineActor, Alert: &AlertNote{ID: "dropped long ago"}}})
	see(t, l, t0.Add(2*time.Minute), "a", policy.Ask, 5) // it grows
	saved, err := l.Save()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(Config{}, saved)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*List{l, again} {
		if got := dealt(l); !slices.Equal(got, []string{"b"}) {
			t.Errorf("%v are dealt with after a was dismissed", got)
		}
		if st, ok := l.Alert("a"); !ok || !st.Dismissed.Equal(t0.Add(time.Minute)) {
			t.Errorf("a is %+v", st)
		}
	}
	if err := decide(t, l, t0.Add(3*time.Minute), Revoke); err != nil {
		t.Fatal(err)
	}
	if got := dealt(l); got != nil {
		t.Errorf("%v are dealt with though the block was revoked", got)
	}
	if err := l.Apply(Event{Kind: Dismissed}); err == nil {
		t.Error("a dismissal of nothing is taken")
	}
}
