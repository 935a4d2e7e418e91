package engine

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"selfprotect/policy"
)

// TestObservedIsOfferedWhenTheModeRises, by a person or by the configuration: what
// would still be blocked, once, and only to be decided by a person.
func TestObservedIsOfferedWhenTheModeRises(t *testing.T) {
	for _, mode := range []policy.Mode{policy.Review, policy.Auto} {
		for _, how := range []string{"set", "restart"} {
			t.Run(mode.String()+" "+how, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					r := newRig(t, policy.Observe)
					r.start()
					r.src.add(outbound("old", "203.0.113.1"))
					r.wait(23 * time.Hour)
					r.src.add(outbound("a1", "203.0.113.7", "198.51.100.9", "203.0.113.8"), outbound("a2", "203.0.113.7"), outbound("a3", "203.0.113.9"))
					r.wait(2 * time.Hour)
					if err := r.file(false, "known", "a3"); err != nil {
						t.Fatal(err)
					}
					if how == "set" {
						if err := r.eng.SetMode(context.Background(), mode, "alice@soc", ""); err != nil {
							t.Fatal(err)
						}
					} else {
						r.stop()
						r.cfg.Policy = r.cfg.Policy.WithModes(mode, policy.Auto)
						r.start()
					}
					for range 2 {
						s := r.wait(time.Minute)
						var got []string
						for _, p := range s.Proposals {
							got = append(got, p.Prefix.String())
							if want := map[string]int{"203.0.113.7/32": 2, "203.0.113.8/32": 1}[p.Prefix.String()]; p.Sightings != want {
								t.Errorf("%d alerts name %s", p.Sightings, p.Prefix)
							}
							if !strings.Contains(strings.Join(p.Reasons, "; "), "only observed") || len(p.Hosts) != 1 {
								t.Errorf("%s: reasons %q, hosts %q", p.Prefix, p.Reasons, p.Hosts)
							}
						}
						slices.Sort(got)
						if want := []string{"203.0.113.7/32", "203.0.113.8/32"}; !slices.Equal(got, want) {
							t.Fatalf("proposed %q, want %q", got, want)
						}
						if len(r.lines("proposed")) != 2 {
							t.Errorf("%d lines", len(r.lines("proposed")))
						}
					}
					r.wantOurs()
					r.stop()
				})
			})
		}
	}
}

// TestWatchThatOnlyObservesOffersNothing when the mode of others rises.
func TestWatchThatOnlyObservesOffersNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		p, err := policy.New(policy.Config{Mode: policy.Review, Guard: r.cfg.Policy.GuardSet(), Targets: r.cfg.Policy.Targets(),
			Watches: []policy.Watch{{RuleID: rule, Mode: policy.Observe}}})
		if err != nil {
			t.Fatal(err)
		}
		r.cfg.Policy = p
		r.start()
		r.src.add(outbound("a1", "203.0.113.7"))
		r.wait(time.Minute)
		seq := r.log.Len()
		if err := r.eng.SetMode(context.Background(), policy.Auto, "alice@soc", ""); err != nil {
			t.Fatal(err)
		}
		s := r.wait(time.Minute)
		if len(s.Proposals) != 0 || r.log.Len() != seq+1 {
			t.Errorf("%d proposals, %d records", len(s.Proposals), r.log.Len()-seq)
		}
		r.stop()
	})
}
