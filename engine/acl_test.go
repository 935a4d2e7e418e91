package engine

import (
	"net/netip"
	"testing"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
)

// TestAbsenceIsOfOneEntry: that reads lacked what stood at a number before says
// nothing of the entry that was written there since.
func TestAbsenceIsOfOneEntry(t *testing.T) {
	a := newACLState(ACLConfig{ID: acl1})
	list := blocklist.New(blocklist.Config{})
	at, rules := time.Unix(0, 0).UTC(), blocklist.Rules{Settle: 5 * time.Minute, RequestExpiry: 15 * time.Minute}
	slot := blocklist.Slot{Direction: alert.Outbound, Number: 5}
	write := func(id, prefix string) {
		w := &blocklist.Write{ACL: acl1, Op: blocklist.OpCreate, Direction: alert.Outbound, Number: 5, Prefix: netip.MustParsePrefix(prefix)}
		for _, e := range []blocklist.Event{{Kind: blocklist.Started, At: at, WriteID: id, Write: w}, {Kind: blocklist.Settled, At: at, WriteID: id, Outcome: blocklist.Present}} {
			if err := list.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(after time.Duration) blocklist.Reading {
		return a.take(firewall.ACL{ID: acl1}, at.Add(after), at.Add(after), list, rules)
	}
	write("w1", "203.0.113.7/32")
	read(time.Second)
	if rd := read(time.Minute); !rd.Missing[slot].Equal(at.Add(time.Second)) {
		t.Errorf("missing since %v", rd.Missing[slot])
	}
	write("w2", "203.0.113.9/32")
	if rd := read(2 * time.Minute); !rd.Missing[slot].Equal(at.Add(2 * time.Minute)) {
		t.Errorf("the new entry is missing since %v, before it was written", rd.Missing[slot])
	}
}
