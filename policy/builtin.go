package policy

import "net/netip"

// builtIn are the prefixes that no block makes sense for, whatever the
// configuration says (IANA special-purpose address registries; the AWS addresses
// from the EC2 and VPC user guides).
//
// The prefixes for documentation (RFC 5737, RFC 3849) are not among them:
// examples and the demo block addresses from there.
var builtIn = [...]struct{ prefix, why string }{
	{"0.0.0.0/8", "this network, unspecified"},
	{"127.0.0.0/8", "loopback"},
	{"169.254.0.0/16", "link-local: instance metadata 169.254.169.254, resolver 169.254.169.253, time 169.254.169.123"},
	{"192.0.0.0/24", "IETF protocol assignments"},
	{"198.18.0.0/15", "benchmarking networks"},
	{"224.0.0.0/4", "multicast"},
	{"240.0.0.0/4", "reserved"},
	{"255.255.255.255/32", "broadcast"},
	{"::/96", "IPv4-compatible, deprecated"},
	{"::/128", "unspecified"},
	{"::1/128", "loopback"},
	{"64:ff9b::/96", "NAT64: block the IPv4 address that it carries instead"},
	{"64:ff9b:1::/48", "local-use NAT64"},
	{"2002::/16", "6to4: block the IPv4 address that it carries instead"},
	{"fe80::/10", "link-local"},
	{"ff00::/8", "multicast"},
	{"fd00:ec2::/32", "AWS services in the VPC: metadata fd00:ec2::254, resolver fd00:ec2::253, time fd00:ec2::123"},
}

// private are the prefixes that belong to somebody's own network.
var private = [...]struct{ prefix, why string }{
	{"10.0.0.0/8", "private (RFC 1918)"},
	{"172.16.0.0/12", "private (RFC 1918)"},
	{"192.168.0.0/16", "private (RFC 1918)"},
	{"100.64.0.0/10", "carrier-grade NAT (RFC 6598)"},
	{"fc00::/7", "unique local (RFC 4193)"},
}

// PrivateRule says what becomes of private addresses.
type PrivateRule string

const (
	// RefusePrivate never blocks them; the default.
	RefusePrivate PrivateRule = "refuse"
	// AskPrivate lets a person decide on each.
	AskPrivate PrivateRule = "ask"
)

// BuiltIn gives the prefixes that are guarded everywhere.
func BuiltIn(rule PrivateRule) []Guarded {
	var out []Guarded
	for _, b := range builtIn {
		out = append(out, Guarded{Prefix: netip.MustParsePrefix(b.prefix), Why: b.why})
	}
	for _, b := range private {
		out = append(out, Guarded{Prefix: netip.MustParsePrefix(b.prefix), Why: b.why, Ask: rule == AskPrivate})
	}
	return out
}
