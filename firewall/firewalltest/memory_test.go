package firewalltest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/firewall"
)

func TestMemory(t *testing.T) {
	Run(t, func(t *testing.T) Backend { return New(t, Standard(SuiteACL)) })
}

// reports collects what the memory reports as misuse.
type reports []string

func (r *reports) Helper() {}
func (r *reports) Errorf(format string, args ...any) {
	*r = append(*r, fmt.Sprintf(format, args...))
}

func TestMisuseIsReported(t *testing.T) {
	foreign := firewall.Entry{Number: 50, Direction: firewall.Egress, Deny: true, Protocol: -1, Prefix: netip.MustParsePrefix("192.0.2.0/24")}
	for _, c := range []firewall.Change{
		change(firewall.Delete, firewall.Egress, 50, "192.0.2.0/24"),
		change(firewall.Replace, firewall.Egress, 100, "203.0.113.1/32"),
		change(firewall.Create, firewall.Egress, 1, "10.1.2.3/32"),
		change(firewall.Create, firewall.Egress, 0, "203.0.113.1/32"),
		change(firewall.Create, firewall.Egress, 32767, "203.0.113.1/32"),
	} {
		var r reports
		m := New(&r, Standard(SuiteACL, foreign))
		m.Guarded = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		_ = m.Do(context.Background(), SuiteACL, c)
		if len(r) != 1 {
			t.Errorf("%s: reported %v", c, r)
		}
	}
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(t, Standard(SuiteACL))
		faults := []Fault{{Err: errors.New("no")}, {Lost: true}, {Late: time.Minute}}
		m.Faults(func(c Call) Fault {
			if c.Read || c.N > len(faults) {
				return Fault{}
			}
			return faults[c.N-1]
		})
		for i := range faults {
			if err := m.Do(context.Background(), SuiteACL, change(firewall.Create, firewall.Egress, i+1, "203.0.113.1/32")); err == nil {
				t.Errorf("fault %d gives no error", i)
			}
		}
		has := func(n int) bool {
			for _, e := range m.ACL(SuiteACL).Entries {
				if e.Number == n && e.Direction == firewall.Egress {
					return true
				}
			}
			return false
		}
		if has(1) || !has(2) || has(3) {
			t.Errorf("not applied %v, lost %v, late %v", has(1), has(2), has(3))
		}
		time.Sleep(time.Minute)
		if !has(3) {
			t.Errorf("the late one never lands")
		}
	})
}
