package alert

import (
	"cmp"
	"net/netip"
	"slices"
)

// Indicators gives every remote address of an alert, once for each direction,
// sorted by direction and address, whatever the order of the events.
//
// Each event gives at most one: the first of these texts that holds an address.
//
//   - connect (and sendto, sendmsg): connection.dst_addr, connection.addr, dst_ip,
//     ip; outbound.
//   - accept, accept4: connection.src_addr, connection.addr, src_ip, ip; inbound.
//   - threat intelligence: ip, then as above; its type tells connect from accept.
//   - host log, login: src_ip, ip; inbound.
//   - CloudTrail: sourceIPAddress, ip, src_ip; inbound.
//   - Windows: the destination (outbound) or the source (inbound), whichever is no
//     private address; the destination when both or none are.
//   - anything else: the destination, or a source from outside when no destination
//     is named.
//
// The aggregated fields add what the events do not name (yet): a destination is
// outbound, a source inbound. A field that names our own end of the events'
// traffic is not an indicator. While no event gives a direction, of a source and
// a destination the end that is no private address counts, and a lone private
// source does not, because it may be our own host's: it waits for the events. A
// bare ip takes the direction of the events; without one it is inbound for
// CloudTrail and logins, and outbound for all else.
//
// Addresses that must not be blocked (loopback, private, unspecified) are given
// like all others: to refuse them, visibly, is for policy.
func Indicators(a Alert) []Indicator {
	found := map[indicatorKey][]Evidence{}
	own := map[netip.Addr]bool{}
	for _, e := range a.Events {
		if k, ev, ok := remote(e); ok {
			found[k] = append(found[k], ev)
			if ev.Peer.IsValid() {
				own[ev.Peer] = true
			}
		}
	}
	for _, k := range fieldKeys(a, found, own) {
		if _, ok := found[k]; !ok {
			found[k] = nil
		}
	}
	out := make([]Indicator, 0, len(found))
	for k, evidence := range found {
		out = append(out, indicator(k, evidence))
	}
	slices.SortFunc(out, func(x, y Indicator) int {
		return cmp.Or(cmp.Compare(x.Direction, y.Direction), x.Addr.Compare(y.Addr))
	})
	return out
}

type indicatorKey struct {
	dir  Direction
	addr netip.Addr
}

// indicator sums up the evidence on one address. An event that was delivered
// twice counts once.
func indicator(k indicatorKey, evidence []Evidence) Indicator {
	in := Indicator{Addr: k.addr, Direction: k.dir, ProbeOnly: k.dir == Outbound && len(evidence) > 0}
	slices.SortFunc(evidence, compareEvidence)
	seen := map[string]bool{}
	for _, ev := range evidence {
		in.ProbeOnly = in.ProbeOnly && ev.Port == 0
		if ev.Event != "" {
			if seen[ev.Event] {
				continue
			}
			seen[ev.Event] = true
		}
		if in.Events++; in.Events <= MaxEvidence {
			in.Evidence = append(in.Evidence, ev)
		}
	}
	return in
}

// compareEvidence puts the newest first; the rest only makes the order the same
// whatever order the events came in.
func compareEvidence(x, y Evidence) int {
	if c := cmp.Or(y.Time.Compare(x.Time), cmp.Compare(x.Event, y.Event)); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(x.Port, y.Port), x.Peer.Compare(y.Peer),
		cmp.Compare(x.Process, y.Process), cmp.Compare(x.Command, y.Command), cmp.Compare(x.User, y.User), cmp.Compare(x.PID, y.PID),
		cmp.Compare(x.Host, y.Host), cmp.Compare(x.Container, y.Container), cmp.Compare(x.Image, y.Image), cmp.Compare(x.Protocol, y.Protocol))
}
