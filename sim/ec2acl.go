package sim

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// ACL is a network ACL.
type ACL struct {
	ID      string // acl- and 8 or 17 hex digits
	VPC     string
	Name    string // its Name tag
	Default bool
	Subnets []string
	Tags    map[string]string // besides Name
	Entries []Entry
}

// Entry is one numbered line of a network ACL.
type Entry struct {
	Number   int
	Egress   bool
	Allow    bool
	Prefix   netip.Prefix
	Protocol string // a number; "-1", which "" stands for, is all
	// FromPort and ToPort count for protocols 6 and 17, ICMPType and ICMPCode for
	// 1 and 58. They are 0 for all others.
	FromPort, ToPort   int
	ICMPType, ICMPCode int
}

const (
	lastNumber    = 32766
	defaultDeny4  = 32767
	defaultDeny6  = 32768
	allowAll4     = 100
	allowAll6     = 101
	historyKept   = 30 * time.Minute
	allProtocols  = "-1"
	protocolTCP   = "6"
	protocolUDP   = "17"
	protocolICMP  = "1"
	protocolICMP6 = "58"
)

func everything(ipv6 bool) netip.Prefix {
	if ipv6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// AllowAll gives the entries that AWS puts into a default network ACL: allow
// everything, IPv4 at 100 and IPv6 at 101, both ways.
func AllowAll() []Entry { return allowAll(true) }

func allowAll(ipv6 bool) []Entry {
	var out []Entry
	for _, egress := range []bool{false, true} {
		out = append(out, Entry{Number: allowAll4, Egress: egress, Allow: true, Prefix: everything(false), Protocol: allProtocols})
		if ipv6 {
			out = append(out, Entry{Number: allowAll6, Egress: egress, Allow: true, Prefix: everything(true), Protocol: allProtocols})
		}
	}
	return out
}

func defaultDenies(ipv6 bool) []Entry {
	var out []Entry
	for _, egress := range []bool{false, true} {
		out = append(out, Entry{Number: defaultDeny4, Egress: egress, Prefix: everything(false), Protocol: allProtocols})
		if ipv6 {
			out = append(out, Entry{Number: defaultDeny6, Egress: egress, Prefix: everything(true), Protocol: allProtocols})
		}
	}
	return out
}

func (a ACL) clone() ACL {
	a.Subnets = slices.Clone(a.Subnets)
	a.Tags = maps.Clone(a.Tags)
	a.Entries = slices.Clone(a.Entries)
	return a
}

// liveACL is a network ACL with its past, for answers that are out of date. The
// slices of entries are never changed in place.
type liveACL struct {
	ACL
	ipv6     bool
	versions []version
}

type version struct {
	at      time.Time
	entries []Entry
}

// set replaces the entries: canonical, sorted, and with the default denies.
func (l *liveACL) set(now time.Time, entries []Entry) {
	next := defaultDenies(l.ipv6)
	for _, e := range entries {
		if e.Number > lastNumber {
			continue
		}
		e.Prefix = e.Prefix.Masked()
		e.Protocol = cmp.Or(e.Protocol, allProtocols)
		next = append(next, e)
	}
	slices.SortStableFunc(next, func(a, b Entry) int {
		return cmp.Or(compareBool(a.Egress, b.Egress), cmp.Compare(a.Number, b.Number))
	})
	l.Entries = next
	l.versions = append(l.versions, version{now, next})
	// One version older than the horizon tells what was true at the horizon.
	for len(l.versions) > 1 && now.Sub(l.versions[1].at) > historyKept {
		l.versions = l.versions[1:]
	}
}

// asOf gives the entries as they were at t, or the oldest known.
func (l *liveACL) asOf(t time.Time) []Entry {
	for _, v := range slices.Backward(l.versions) {
		if !v.at.After(t) {
			return v.entries
		}
	}
	return l.versions[0].entries
}

func (l *liveACL) find(egress bool, number int) (int, bool) {
	i := slices.IndexFunc(l.Entries, func(e Entry) bool { return e.Egress == egress && e.Number == number })
	return i, i >= 0
}

// count gives the entries of one direction and family, default deny included.
func (l *liveACL) count(egress, ipv6 bool) int {
	n := 0
	for _, e := range l.Entries {
		if e.Egress == egress && e.Prefix.Addr().Is6() == ipv6 {
			n++
		}
	}
	return n
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
