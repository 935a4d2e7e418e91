package engine

import (
	"net/netip"
	"testing"

	"selfprotect/firewall"
)

// TestOnlyOpens: what may be done ahead of its turn denies nothing more and opens
// nothing that is wanted.
func TestOnlyOpens(t *testing.T) {
	entry := func(n int, p string) firewall.Entry {
		return firewall.Entry{Number: n, Direction: firewall.Egress, Deny: true, Protocol: firewall.AllProtocols, Prefix: pfx(p)}
	}
	a := &aclState{live: firewall.ACL{Entries: []firewall.Entry{entry(1, "203.0.113.0/24"), entry(2, "198.51.100.7/32")}}}
	remove := func(n int, p string) firewall.Change {
		return firewall.Change{Op: firewall.Delete, Direction: firewall.Egress, Number: n, Prefix: pfx(p)}
	}
	replace := func(n int, old, p string) firewall.Change {
		return firewall.Change{Op: firewall.Replace, Direction: firewall.Egress, Number: n, Prefix: pfx(p), Old: pfx(old)}
	}
	for _, c := range []struct {
		name   string
		change firewall.Change
		want   []string
		ok     bool
	}{
		{"create", firewall.Change{Op: firewall.Create, Direction: firewall.Egress, Number: 2, Prefix: pfx("198.51.100.7/32")}, nil, false},
		{"delete of what nobody wants", remove(2, "198.51.100.7/32"), []string{"203.0.113.9/32"}, true},
		{"delete of what is wanted", remove(2, "198.51.100.7/32"), []string{"198.51.100.7/32"}, false},
		{"delete of what is wanted in part", remove(1, "203.0.113.0/24"), []string{"203.0.113.9/32"}, false},
		{"delete of a part of what is wanted", remove(2, "198.51.100.7/32"), []string{"198.51.100.0/24"}, false},
		{"delete of what is not there", remove(3, "198.51.100.7/32"), nil, false},
		{"narrower, all wanted kept", replace(1, "203.0.113.0/24", "203.0.113.8/31"), []string{"203.0.113.9/32", "192.0.2.1/32"}, true},
		{"narrower, one wanted opened", replace(1, "203.0.113.0/24", "203.0.113.8/31"), []string{"203.0.113.9/32", "203.0.113.77/32"}, false},
		{"wider", replace(2, "198.51.100.7/32", "198.51.100.0/24"), nil, false},
		{"another", replace(2, "198.51.100.7/32", "192.0.2.1/32"), nil, false},
		{"narrower than what is not there", replace(2, "203.0.113.0/24", "203.0.113.8/31"), nil, false},
	} {
		var want []firewall.Candidate
		for _, p := range c.want {
			want = append(want, firewall.Candidate{Direction: firewall.Egress, Prefix: netip.MustParsePrefix(p)})
		}
		if got := a.onlyOpens(c.change, want); got != c.ok {
			t.Errorf("%s: %t", c.name, got)
		}
		for i := range want { // the other direction is another list
			want[i].Direction = firewall.Ingress
		}
		if len(want) > 0 && c.name == "delete of what is wanted" && !a.onlyOpens(c.change, want) {
			t.Errorf("%s in the other direction only", c.name)
		}
	}
}
