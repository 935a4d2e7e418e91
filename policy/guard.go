package policy

import (
	"net/netip"
)

// Guarded is one prefix that must not be blocked, and why.
type Guarded struct {
	Prefix netip.Prefix
	Why    string // such as "RFC 1918 private", "VPC vpc-1 (own network)", "never_block in the config"
	// Ask softens the entry: it is not refused, but never blocked without asking.
	Ask bool
}
