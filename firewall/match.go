package firewall

import (
	"fmt"
	"net/netip"
)

// Match gives the entry that decides about a packet, as AWS evaluates: the one
// with the lowest number that matches. For egress the address is the
// destination, for ingress the source. It gives false only when the ACL lacks
// even its default deny.
func (a ACL) Match(dir Direction, addr netip.Addr, proto, port int) (Entry, bool) {
	var best Entry
	found := false
	for _, e := range a.Entries {
		if e.Direction == dir && e.matches(addr, proto, port) && (!found || e.Number < best.Number) {
			best, found = e, true
		}
	}
	return best, found
}

func (e Entry) matches(addr netip.Addr, proto, port int) bool {
	if !e.Prefix.IsValid() || !e.Prefix.Contains(addr) {
		return false
	}
	if e.Protocol == AllProtocols {
		return true
	}
	if e.Protocol != proto {
		return false
	}
	if e.PortFrom == 0 && e.PortTo == 0 {
		return true
	}
	return e.PortFrom <= port && port <= e.PortTo
}

// denies says that the entry denies every packet of every address in p.
func (e Entry) denies(p netip.Prefix) bool {
	return e.Deny && e.Protocol == AllProtocols && covers(e.Prefix, p)
}

// covers says that every address of q is in p.
func covers(p, q netip.Prefix) bool {
	return p.IsValid() && q.IsValid() && p.Bits() <= q.Bits() && p.Contains(q.Addr())
}

// ceiling gives the lowest number of an allow that could match some packet of p,
// and that entry; MaxNumber+1 when there is none. A deny of p works wholly only
// below it.
func (a ACL) ceiling(dir Direction, p netip.Prefix) (int, Entry) {
	low, by := MaxNumber+1, Entry{}
	for _, e := range a.Entries {
		if e.Direction == dir && !e.Deny && e.Prefix.Overlaps(p) && e.Number < low {
			low, by = e.Number, e
		}
	}
	return low, by
}

// Denied gives the entry, other than those that skip leaves out, that already
// denies every packet of p before any allow could match.
func (a ACL) Denied(dir Direction, p netip.Prefix, skip func(Entry) bool) (Entry, bool) {
	limit, _ := a.ceiling(dir, p)
	for _, e := range a.Entries {
		if e.Direction == dir && e.Number < limit && !e.Default() && e.denies(p) && (skip == nil || !skip(e)) {
			return e, true
		}
	}
	return Entry{}, false
}

// Effect says in words whether a deny does what it says: empty when it does, else
// which entry is in its way.
func (a ACL) Effect(e Entry) string {
	if !e.Deny || e.Default() || !e.Prefix.IsValid() {
		return ""
	}
	limit, by := a.ceiling(e.Direction, e.Prefix)
	if limit < e.Number {
		if covers(by.Prefix, e.Prefix) && by.Protocol == AllProtocols {
			return fmt.Sprintf("not effective: allow %d matches first", by.Number)
		}
		return fmt.Sprintf("partly effective: allow %d matches first for a part", by.Number)
	}
	for _, o := range a.Entries {
		if o.Direction == e.Direction && o.Number < e.Number && !o.Default() && o.denies(e.Prefix) {
			return fmt.Sprintf("redundant: deny %d covers it", o.Number)
		}
	}
	return ""
}

// Count gives the number of entries of a direction and family, the default deny
// included, as the quota counts them. An entry whose prefix could not be read
// counts for both families.
func (a ACL) Count(dir Direction, f Family) int {
	n := 0
	for _, e := range a.Entries {
		if e.Direction == dir && (!e.Prefix.IsValid() || FamilyOf(e.Prefix) == f) {
			n++
		}
	}
	return n
}
