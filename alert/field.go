package alert

import (
	"net/netip"
	"slices"
	"strings"
)

// role says what the name of a field makes of the address in it.
type role uint8

const (
	noRole role = iota
	destination
	source
	bareAddr
)

// fieldRole reads the names that the rule language and its neighbours use.
func fieldRole(name string) role {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "dst_ip", "dst_ipv6", "dst_addr", "dstip", "connection.dst_addr",
		"destination", "destination_ip", "destination.ip", "destinationip", "destinationipaddress":
		return destination
	case "src_ip", "src_ipv6", "src_addr", "srcip", "connection.src_addr",
		"source", "source_ip", "source.ip", "sourceip", "sourceipaddress":
		return source
	case "ip", "addr", "connection.addr":
		return bareAddr
	}
	return noRole
}

// fieldKeys gives the addresses of the aggregated fields that are indicators, seen
// beside what the events gave: the indicators found, and our own ends.
func fieldKeys(a Alert, found map[indicatorKey][]Evidence, own map[netip.Addr]bool) []indicatorKey {
	var dsts, srcs, bare []netip.Addr
	for _, f := range a.Fields {
		r := fieldRole(f.Name)
		if r == noRole {
			continue
		}
		addr, ok := ParseAddr(f.Value)
		switch {
		case !ok:
		case r == destination:
			dsts = append(dsts, addr)
		case r == source:
			srcs = append(srcs, addr)
		default:
			bare = append(bare, addr)
		}
	}
	d := directionsOf(found)
	keys := slices.Concat(destinationKeys(d, dsts, srcs), sourceKeys(d, a.Complete, dsts, srcs), bareKeys(d, a, bare))
	return slices.DeleteFunc(keys, func(k indicatorKey) bool { return own[k.addr] && !d.of[k.addr] })
}

// directions tells which directions the events give, and to which addresses.
type directions struct {
	out, in bool
	of      map[netip.Addr]bool
}

func directionsOf(found map[indicatorKey][]Evidence) directions {
	d := directions{of: map[netip.Addr]bool{}}
	for k := range found {
		d.out, d.in, d.of[k.addr] = d.out || k.dir == Outbound, d.in || k.dir == Inbound, true
	}
	return d
}

// destinationKeys leaves out what must be our own end: the destination of inbound
// traffic, and a private one beside a source from outside.
func destinationKeys(d directions, dsts, srcs []netip.Addr) (keys []indicatorKey) {
	for _, dst := range dsts {
		switch {
		case d.in && !d.out:
		case !d.out && !global(dst) && slices.ContainsFunc(srcs, global):
		default:
			keys = append(keys, indicatorKey{Outbound, dst})
		}
	}
	return keys
}

// sourceKeys leaves out what must, or may, be our own end: the source of outbound
// traffic, one beside a destination from outside, and a private one as long as the
// events were not read.
func sourceKeys(d directions, complete bool, dsts, srcs []netip.Addr) (keys []indicatorKey) {
	for _, src := range srcs {
		alone := len(dsts) == 0 && complete
		outside := global(src) && !slices.ContainsFunc(dsts, global)
		if d.in || !d.out && (alone || outside) {
			keys = append(keys, indicatorKey{Inbound, src})
		}
	}
	return keys
}

// bareKeys gives an address without a direction that of the events. An address
// that the events name needs nothing.
func bareKeys(d directions, a Alert, bare []netip.Addr) (keys []indicatorKey) {
	dir := Outbound
	if d.in && !d.out || !d.out && fromCallers(a) {
		dir = Inbound
	}
	for _, addr := range bare {
		if !d.of[addr] {
			keys = append(keys, indicatorKey{dir, addr})
		}
	}
	return keys
}

// fromCallers says that the alert's source of data speaks of callers and logins.
// "host" is not among them: it also stands for everything that an agent reports.
func fromCallers(a Alert) bool {
	source := strings.ToLower(string(a.DataSource))
	return strings.Contains(source, "cloudtrail") || strings.Contains(source, "login")
}
