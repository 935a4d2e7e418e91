package alert

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Indicators gives every remote address of an alert, once for each direction,
// sorted by direction and address.
//
// Of an event, the first of these that holds an address counts. Connect and
// other outbound events: connection.dst_addr, connection.addr, dst_ip, ip.
// Accept events: connection.src_addr, connection.addr, src_ip, ip. Threat
// intelligence events: ip, by their kind. Login, host and CloudTrail events: the
// source. Windows events: the end that is not a private address. Of the
// aggregated fields, dst_ip and its like are outbound, src_ip and its like
// inbound, and a bare ip takes the direction of the events, or of the kind of
// source when there are none.
//
// Addresses that must not be blocked are given too: that is for policy to say,
// visibly.
func Indicators(a Alert) []Indicator {
	found := map[indicatorKey]*collected{}
	for _, e := range a.Events {
		if k, ev, ok := remote(e); ok {
			c := found[k]
			if c == nil {
				c = &collected{probe: true}
				found[k] = c
			}
			c.add(e, ev)
		}
	}
	for _, f := range a.Fields {
		if k, ok := fieldIndicator(a, f, found); ok && found[k] == nil {
			found[k] = &collected{}
		}
	}
	out := make([]Indicator, 0, len(found))
	for k, c := range found {
		out = append(out, c.indicator(k))
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

// collected gathers what the events say of one address.
type collected struct {
	evidence []Evidence
	ids      map[string]bool
	events   int
	probe    bool
}

func (c *collected) add(e Event, ev Evidence) {
	if e.ID != "" {
		if c.ids[e.ID] {
			return
		}
		if c.ids == nil {
			c.ids = map[string]bool{}
		}
		c.ids[e.ID] = true
	}
	c.events++
	c.probe = c.probe && ev.Port == 0
	c.evidence = append(c.evidence, ev)
}

func (c *collected) indicator(k indicatorKey) Indicator {
	slices.SortFunc(c.evidence, compareEvidence)
	return Indicator{Addr: k.addr, Direction: k.dir, Events: c.events, ProbeOnly: c.probe && c.events > 0,
		Evidence: c.evidence[:min(len(c.evidence), MaxEvidence):min(len(c.evidence), MaxEvidence)]}
}

// compareEvidence puts the newest first; the rest only makes the order the same
// whatever order the events came in.
func compareEvidence(x, y Evidence) int {
	return cmp.Or(y.Time.Compare(x.Time), cmp.Compare(x.Event, y.Event), cmp.Compare(x.Port, y.Port), x.Peer.Compare(y.Peer),
		cmp.Compare(x.Process, y.Process), cmp.Compare(x.Command, y.Command), cmp.Compare(x.User, y.User), cmp.Compare(x.PID, y.PID),
		cmp.Compare(x.Host, y.Host), cmp.Compare(x.Container, y.Container), cmp.Compare(x.Image, y.Image), cmp.Compare(x.Protocol, y.Protocol))
}

// candidate is a text that may hold an address, and the port that belongs to it.
type candidate struct {
	text string
	port int
}

// firstAddr gives the first candidate that holds an address.
func firstAddr(cs ...candidate) (netip.Addr, int, bool) {
	for _, c := range cs {
		if a, ok := ParseAddr(c.text); ok {
			return a, c.port, true
		}
	}
	return netip.Addr{}, NoPort, false
}

// remote finds the address that an event is about.
func remote(e Event) (indicatorKey, Evidence, bool) {
	dir := direction(e)
	var addr netip.Addr
	var port int
	var ok bool
	switch dir {
	case Outbound:
		addr, port, ok = firstAddr(candidate{e.ConnDst, portOr(e.DstPort, e.Port)}, candidate{e.ConnAddr, portOr(e.Port, e.DstPort)},
			candidate{e.DstIP, portOr(e.DstPort, e.Port)}, candidate{e.IP, portOr(e.Port, e.DstPort)})
	case Inbound:
		addr, port, ok = firstAddr(candidate{e.ConnSrc, portOr(e.SrcPort, e.Port)}, candidate{e.ConnAddr, portOr(e.Port, e.SrcPort)},
			candidate{e.SrcIP, portOr(e.SrcPort, e.Port)}, candidate{e.SourceIP, e.SrcPort}, candidate{e.IP, portOr(e.Port, e.SrcPort)})
	}
	if !ok {
		return indicatorKey{}, Evidence{}, false
	}
	ev := Evidence{Event: e.ID, Time: e.Time, Port: port, Protocol: e.Protocol, Host: e.Host, Container: e.Container,
		Image: e.Image, Process: e.Process, Command: e.Command, User: e.User, PID: e.PID}
	if dir == Outbound {
		ev.Peer, _, _ = firstAddr(candidate{text: e.ConnSrc}, candidate{text: e.SrcIP})
	} else {
		ev.Peer, _, _ = firstAddr(candidate{text: e.ConnDst}, candidate{text: e.DstIP})
	}
	return indicatorKey{dir, addr}, ev, true
}

func portOr(p, other int) int {
	if p != NoPort {
		return p
	}
	return other
}

// direction tells on which end of an event the remote address stands; 0 when the
// event speaks of none.
func direction(e Event) Direction {
	kind := strings.ToLower(e.Syscall + " " + e.Kind)
	switch strings.ToLower(e.Type) {
	case "login", "host", "cloudtrail":
		return Inbound
	case "winsec":
		return windowsDirection(e)
	case "file":
		return 0
	}
	switch {
	case strings.Contains(kind, "accept"):
		return Inbound
	case strings.Contains(kind, "connect"), strings.Contains(kind, "send"), strings.EqualFold(e.Type, "threatintel"):
		return Outbound
	case e.ConnDst != "" || e.DstIP != "":
		return Outbound
	case e.SrcIP != "" || e.ConnSrc != "":
		// Without a destination and without a call that tells, only a source from
		// outside can be meant.
		if a, _, ok := firstAddr(candidate{text: e.ConnSrc}, candidate{text: e.SrcIP}); ok && !internal(a) {
			return Inbound
		}
	}
	return 0
}

// windowsDirection takes the end that is not private: Sysmon names both.
func windowsDirection(e Event) Direction {
	dst, _, hasDst := firstAddr(candidate{text: e.ConnDst}, candidate{text: e.DstIP})
	src, _, hasSrc := firstAddr(candidate{text: e.ConnSrc}, candidate{text: e.SrcIP})
	if hasSrc && !internal(src) && (!hasDst || internal(dst)) {
		return Inbound
	}
	if hasDst || e.IP != "" {
		return Outbound
	}
	return 0
}

func internal(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast() || a.IsMulticast()
}

// fieldIndicator reads an aggregated field.
func fieldIndicator(a Alert, f Field, found map[indicatorKey]*collected) (indicatorKey, bool) {
	addr, ok := ParseAddr(f.Value)
	if !ok {
		return indicatorKey{}, false
	}
	switch strings.ToLower(f.Name) {
	case "dst_ip", "dst_ipv6", "connection.dst_addr", "dst_addr", "dstip", "destination_ip":
		return indicatorKey{Outbound, addr}, true
	case "src_ip", "src_ipv6", "connection.src_addr", "src_addr", "srcip", "source_ip", "sourceipaddress":
		// The source of an outbound connection is our own host.
		for k := range found {
			if k.dir == Outbound {
				return indicatorKey{}, false
			}
		}
		return indicatorKey{Inbound, addr}, true
	case "ip", "connection.addr", "addr":
		return indicatorKey{bareDirection(a, addr, found), addr}, true
	}
	return indicatorKey{}, false
}

// bareDirection tells the direction of an address that a field names without one.
func bareDirection(a Alert, addr netip.Addr, found map[indicatorKey]*collected) Direction {
	out, in := false, false
	for k := range found {
		if k.addr == addr {
			out, in = out || k.dir == Outbound, in || k.dir == Inbound
		}
	}
	if out || in {
		if in && !out {
			return Inbound
		}
		return Outbound
	}
	for k := range found {
		out, in = out || k.dir == Outbound, in || k.dir == Inbound
	}
	source := strings.ToLower(string(a.DataSource))
	if in && !out || !out && (strings.Contains(source, "cloudtrail") || strings.Contains(source, "login")) {
		return Inbound
	}
	return Outbound
}
