package policy

import (
	"fmt"
	"net/netip"
)

func family(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}

// unmap gives the IPv4 prefix that an IPv4-mapped one names, and any other as it
// is, both without host bits. A prefix that is wider than the mapped range stays
// IPv6.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// carrier is an IPv6 range whose addresses carry an IPv4 address.
type carrier struct {
	addr netip.Addr
	bits int // the IPv4 address follows them
}

// carriers gives the ranges: IPv4-mapped (RFC 4291), NAT64 (RFC 6052), 6to4
// (RFC 3056).
func carriers() [3]carrier {
	return [3]carrier{
		{netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff}), 96},
		{netip.AddrFrom16([16]byte{0x00, 0x64, 0xff, 0x9b}), 96},
		{netip.AddrFrom16([16]byte{0x20, 0x02}), 16},
	}
}

// forms gives what a prefix can mean: itself, and the IPv4 prefixes that it
// carries. It refuses what nobody may mean.
func forms(p netip.Prefix) ([]netip.Prefix, error) {
	if !p.IsValid() {
		return nil, fmt.Errorf("%v is no prefix", p)
	}
	m := unmap(p)
	if m.Addr().Is4() && m.Bits() < minBits4 || m.Addr().Is6() && m.Bits() < minBits6 {
		return nil, fmt.Errorf("%s is too wide: nothing wider than /%d (IPv4) or /%d (IPv6) is ever blocked", p, minBits4, minBits6)
	}
	out := []netip.Prefix{m}
	if p.Addr().Is4() {
		return out, nil
	}
	p = p.Masked()
	if p != m {
		out = append(out, p)
	}
	for _, c := range carriers() {
		whole := netip.PrefixFrom(c.addr, c.bits)
		switch {
		case p.Bits() < c.bits && p.Contains(c.addr):
			out = append(out, netip.PrefixFrom(netip.IPv4Unspecified(), 0))
		case p.Bits() >= c.bits && whole.Contains(p.Addr()):
			b := p.Addr().As16()
			v4 := netip.AddrFrom4([4]byte(b[c.bits/8:]))
			out = append(out, netip.PrefixFrom(v4, min(p.Bits()-c.bits, 32)).Masked())
		}
	}
	return out, nil
}
