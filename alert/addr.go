package alert

import (
	"net/netip"
	"strings"
)

// maxAddr is longer than any address that anybody writes, a zone included.
const maxAddr = 64

// ParseAddr reads an address as sources write it: plain, in brackets, with a
// prefix length (10.1.1.5/24), with a port (192.0.2.1:443, [2001:db8::1]:443), or
// with a zone; length, port and zone are dropped. Spaces around it do not matter.
// An IPv4-mapped IPv6 address gives the IPv4 address. Names, octal and short
// forms and other text give false.
func ParseAddr(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || len(s) > maxAddr {
		return netip.Addr{}, false
	}
	if host, length, ok := strings.Cut(s, "/"); ok {
		a, ok := parsePlain(host)
		// The length counts bits of the address as written, before unmapping.
		if !ok || !validLength(a, length) {
			return netip.Addr{}, false
		}
		return a.Unmap(), true
	}
	if a, ok := parsePlain(s); ok {
		return a.Unmap(), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().WithZone("").Unmap(), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			if a, ok := parsePlain(inner); ok && a.Is6() {
				return a.Unmap(), true
			}
		}
	}
	return netip.Addr{}, false
}

func parsePlain(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a.WithZone(""), err == nil
}

func validLength(a netip.Addr, length string) bool {
	_, err := netip.ParsePrefix(a.String() + "/" + length)
	return err == nil
}
