package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"selfprotect/firewall/firewalltest"
	"selfprotect/policy"
)

// TestTimeToBlock holds the time from an alert that the source shows to its deny
// entry: with a poll every p, the median is at most p/2 + 0.5 s, the longest
// p + 1.5 s.
func TestTimeToBlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Auto)
		r.cfg.Limits = AutoLimits{PerMinute: 1000, PerHour: 1000}
		var wrote time.Time
		r.fw.Faults(func(c firewalltest.Call) firewalltest.Fault {
			if !c.Read {
				wrote = time.Now()
			}
			return firewalltest.Fault{Wait: 100 * time.Millisecond}
		})
		r.start()
		rng := rand.New(rand.NewPCG(1, 1))
		var took []time.Duration
		for i := range 17 {
			r.wait(time.Duration(20_000+rng.IntN(20_000)) * time.Millisecond)
			shown := time.Now()
			r.src.add(outbound(fmt.Sprint("a", i), fmt.Sprintf("203.0.113.%d", 2*i+1)))
			r.wait(15 * time.Second)
			if !wrote.After(shown) {
				t.Fatalf("alert %d was not blocked in 15 s", i)
			}
			took = append(took, wrote.Add(100*time.Millisecond).Sub(shown))
		}
		slices.Sort(took)
		p := DefaultPollInterval
		if median := took[len(took)/2]; median > p/2+500*time.Millisecond {
			t.Errorf("median %s", median)
		}
		if longest := took[len(took)-1]; longest > p+1500*time.Millisecond {
			t.Errorf("longest %s", longest)
		}
		r.stop()
	})
}
