package alert

import (
	"net/netip"
	"strings"
)

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

// remote finds the address that an event is about, and what the event says of it.
func remote(e Event) (indicatorKey, Evidence, bool) {
	dir, texts := ends(e)
	addr, port, ok := firstAddr(texts...)
	if !ok {
		return indicatorKey{}, Evidence{}, false
	}
	ev := Evidence{Event: e.ID, Time: e.Time, Port: port, Protocol: e.Protocol, Host: e.Host, Container: e.Container,
		Image: e.Image, Process: e.Process, Command: e.Command, User: e.User, PID: e.PID}
	if dir == Outbound {
		ev.Peer, _, _ = firstAddr(sources(e)...)
	} else {
		ev.Peer, _, _ = firstAddr(destinations(e)...)
	}
	return indicatorKey{dir, addr}, ev, true
}

// ends gives the direction of an event and the texts in which its remote address
// may stand, best first; none when the event is not about an address.
func ends(e Event) (Direction, []candidate) {
	dir := callDirection(e)
	bare := candidate{e.IP, portOr(e.Port, e.DstPort)}
	if dir == Inbound {
		bare.port = portOr(e.Port, e.SrcPort)
	}
	switch strings.ToLower(e.Type) {
	case "cloudtrail":
		return Inbound, []candidate{{e.SourceIP, NoPort}, {e.IP, NoPort}, {e.SrcIP, NoPort}}
	case "host", "login":
		return Inbound, []candidate{{e.SrcIP, e.SrcPort}, {e.IP, portOr(e.Port, e.SrcPort)}}
	case "winsec":
		return windowsEnds(e)
	case "threatintel":
		if dir == 0 {
			dir = intelDirection(e)
		}
		return dir, append([]candidate{bare}, callEnds(dir, e)...)
	}
	if dir != 0 {
		return dir, append(callEnds(dir, e), bare)
	}
	return otherEnds(e)
}

// callDirection tells the direction by the system call; 0 when none is named that
// opens or uses a connection.
func callDirection(e Event) Direction {
	for _, call := range []string{e.Syscall, e.Kind} {
		switch strings.ToLower(strings.TrimSpace(call)) {
		case "connect", "sendto", "sendmsg", "sendmmsg":
			return Outbound
		case "accept", "accept4":
			return Inbound
		}
	}
	return 0
}

// callEnds gives the remote end of a call; connection.addr is the remote one here.
func callEnds(dir Direction, e Event) []candidate {
	if dir == Outbound {
		addr := candidate{e.ConnAddr, portOr(e.Port, e.DstPort)}
		return []candidate{{e.ConnDst, portOr(e.DstPort, e.Port)}, addr, {e.DstIP, portOr(e.DstPort, e.Port)}}
	}
	// A plain port beside a source may be the one that we listen on.
	addr := candidate{e.ConnAddr, portOr(e.Port, e.SrcPort)}
	return []candidate{{e.ConnSrc, e.SrcPort}, addr, {e.SrcIP, e.SrcPort}}
}

// intelDirection serves an event that names no call: the listed address is the
// source if the event says so, else something that our host spoke to.
func intelDirection(e Event) Direction {
	listed, ok := ParseAddr(e.IP)
	src, _, hasSrc := firstAddr(sources(e)...)
	if ok && hasSrc && listed == src {
		return Inbound
	}
	return Outbound
}

// windowsEnds takes the end that is not private: these events name both.
func windowsEnds(e Event) (Direction, []candidate) {
	dst, _, hasDst := firstAddr(destinations(e)...)
	src, _, hasSrc := firstAddr(sources(e)...)
	if hasSrc && (!hasDst || global(src) && !global(dst)) {
		return Inbound, sources(e)
	}
	return Outbound, destinations(e)
}

// otherEnds serves events of unknown kinds. A source counts only when nothing is
// named as destination and it is not one of our own private addresses.
func otherEnds(e Event) (Direction, []candidate) {
	if strings.TrimSpace(e.ConnDst+e.DstIP) != "" {
		return Outbound, destinations(e)
	}
	if src, _, ok := firstAddr(sources(e)...); ok && global(src) {
		return Inbound, sources(e)
	}
	return 0, nil
}

func destinations(e Event) []candidate {
	return []candidate{{e.ConnDst, e.DstPort}, {e.DstIP, e.DstPort}}
}

func sources(e Event) []candidate {
	return []candidate{{e.ConnSrc, e.SrcPort}, {e.SrcIP, e.SrcPort}}
}

func portOr(p, other int) int {
	if p != NoPort {
		return p
	}
	return other
}

// global says that an address can belong to somebody outside.
func global(a netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10)
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}
