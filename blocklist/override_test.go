package blocklist

import (
	"net/netip"
	"testing"
	"time"
)

// TestOverrideNeverLastsLonger than a day after its record, whatever that says, nor
// begins in the future, and one that was ended does not come back.
func TestOverrideNeverLastsLonger(t *testing.T) {
	p := netip.MustParsePrefix("203.0.113.7/32")
	t0 := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := New(Config{})
	if err := l.Apply(Event{Kind: Overridden, At: t0, Actor: "alice@soc", Prefix: p, Expires: t0.AddDate(10, 0, 0)}); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]int{-time.Hour: 0, -time.Minute: 1, 0: 1, 24*time.Hour - 1: 1, 24 * time.Hour: 0} {
		if got := len(l.Overrides(t0.Add(at))); got != want {
			t.Errorf("after %s %d overrides, want %d", at, got, want)
		}
	}
	saved, err := l.Save()
	if err != nil {
		t.Fatal(err)
	}
	if l, err = Load(Config{}, saved); err != nil || len(l.Overrides(t0)) != 1 {
		t.Fatalf("a checkpoint loses it: %v", err)
	}
	if len(l.LapseOverrides(t0)) != 0 {
		t.Error("it lapses before its time")
	}
	for _, e := range l.LapseOverrides(t0.Add(25 * time.Hour)) {
		if err := l.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.Overrides(t0)) != 0 {
		t.Error("a clock that goes back brings it back")
	}
	if l.Apply(Event{Kind: Overridden, At: t0}) == nil {
		t.Error("an override of nothing is taken")
	}
}
