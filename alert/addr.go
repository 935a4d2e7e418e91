package alert

import (
	"net/netip"
	"strings"
)

// ParseAddr reads an address as sources write it: plain, with a prefix length
// (10.1.1.5/24), with a port (192.0.2.1:443, [2001:db8::1]:443), or with a zone,
// which is dropped. An IPv4-mapped IPv6 address gives the IPv4 address. Names,
// octal forms and other text give false.
func ParseAddr(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || len(s) > 64 {
		return netip.Addr{}, false
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.WithZone("").Unmap(), true
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Addr().Unmap(), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().WithZone("").Unmap(), true
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		if a, err := netip.ParseAddr(s[1 : len(s)-1]); err == nil {
			return a.WithZone("").Unmap(), true
		}
	}
	return netip.Addr{}, false
}
