package firewall

import "net/netip"

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

// covers says that every address of q is in p.
func covers(p, q netip.Prefix) bool {
	return p.IsValid() && q.IsValid() && p.Bits() <= q.Bits() && p.Contains(q.Addr())
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
