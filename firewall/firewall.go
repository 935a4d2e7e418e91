// Package firewall models AWS network ACLs: an [ACL] and its [Entry] lines,
// a [Change] to one line, and the [Plan] that leads from the live ACL to the
// wanted one.
//
// The rules are AWS's. An ACL has two lists, one for each [Direction]; within a
// list the entry with the lowest number that matches decides, and nothing after
// it is looked at. A deny above the allow that covers it never matches. IPv4 and
// IPv6 entries share the numbers of a direction but have quotas of their own,
// and the undeletable default deny counts. Entries bear no name, so ours are
// known by number, direction, prefix, deny and all protocols together, held
// against what the journal says we wrote; everything else is foreign and is
// never touched.
//
// [Diff] is the only planner. It is given the live ACL, the wanted prefixes and
// [Limits], and gives the ordered changes with what it left out and why. A plan
// is made anew from a fresh read in each round, so a round that fails half way
// is simply continued.
//
// The package is pure: no I/O, no clock, sorted output. Its sub-packages talk to
// EC2 (nacl) and stand in for it (firewalltest).
package firewall

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Direction is one of the two lists of an ACL.
type Direction uint8

const (
	// Egress rules look at packets that leave the subnet, by destination.
	Egress Direction = iota + 1
	// Ingress rules look at packets that enter the subnet, by source.
	Ingress
)

// String gives egress or ingress.
func (d Direction) String() string {
	switch d {
	case Egress:
		return "egress"
	case Ingress:
		return "ingress"
	}
	return fmt.Sprintf("Direction(%d)", uint8(d))
}

// ParseDirection reads the word of String.
func ParseDirection(s string) (Direction, error) {
	switch s {
	case "egress":
		return Egress, nil
	case "ingress":
		return Ingress, nil
	}
	return 0, fmt.Errorf("direction %q is neither egress nor ingress", s)
}

// MarshalText gives the word of String.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the word of String; any other text is an error.
func (d *Direction) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDirection(string(b))
	return err
}

// Family is an address family; quotas are counted for each.
type Family uint8

const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String gives IPv4 or IPv6.
func (f Family) String() string {
	if f == IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

// MarshalText gives the word of String.
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// FamilyOf gives the family of a prefix.
func FamilyOf(p netip.Prefix) Family {
	if p.Addr().Is4() {
		return IPv4
	}
	return IPv6
}

const (
	// MaxNumber is the highest rule number that may be used (AWS VPC User Guide).
	MaxNumber = 32766
	// AllProtocols is the protocol number that stands for every protocol; ports
	// are ignored then.
	AllProtocols = -1
	// DefaultQuota is the number of entries that AWS allows for each direction
	// and family, the default deny included.
	DefaultQuota = 20
	// MaxQuota is the highest number to which AWS raises it.
	MaxQuota = 40
)

// Entry is one numbered line of an ACL.
type Entry struct {
	Number    int          `json:"number"`
	Direction Direction    `json:"direction"`
	Deny      bool         `json:"deny"`
	Protocol  int          `json:"protocol"` // IANA number, AllProtocols for all
	Prefix    netip.Prefix `json:"prefix"`
	// Ports, both 0 when all ports match. ICMP type and code are shown only.
	PortFrom int `json:"port_from,omitempty"`
	PortTo   int `json:"port_to,omitempty"`
	ICMPType int `json:"icmp_type,omitempty"`
	ICMPCode int `json:"icmp_code,omitempty"`
}

// Default says that the entry is the undeletable default deny.
func (e Entry) Default() bool { return e.Number > MaxNumber }

// ACL is a network ACL as it was read.
type ACL struct {
	ID      string         `json:"id"`
	Name    string         `json:"name,omitempty"` // raw tag; show it only cleaned
	Account string         `json:"account,omitempty"`
	Region  string         `json:"region,omitempty"`
	VPC     string         `json:"vpc,omitempty"`
	CIDRs   []netip.Prefix `json:"cidrs,omitempty"` // of the VPC
	Own     []netip.Prefix `json:"own,omitempty"`   // other addresses of our own that the back end could read, such as elastic IPs and NAT gateways
	Linked  []Linked       `json:"linked,omitempty"`
	Subnets []string       `json:"subnets,omitempty"`
	// Quota is the number of entries for each direction and family that the account
	// may have, as Service Quotas says; 0 when it could not be read.
	Quota        int  `json:"quota,omitempty"`
	IsVPCDefault bool `json:"is_vpc_default,omitempty"` // the VPC's default ACL
	// Entries are sorted by direction, then number.
	Entries []Entry `json:"entries"`
	// Partial says that CIDRs, Own or Linked may lack something, as it could not be read.
	Partial bool `json:"partial,omitempty"`
	// Warnings are parts that could not be read, in plain words.
	Warnings []string `json:"warnings,omitempty"`
}

// Linked is a network that the VPC reaches without the Internet.
type Linked struct {
	Prefix netip.Prefix `json:"prefix"`
	Via    string       `json:"via"` // such as "VPC peering pcx-1", "a route to tgw-1"
}

// Sort puts the entries into the order that the type promises.
func (a *ACL) Sort() {
	slices.SortFunc(a.Entries, func(x, y Entry) int {
		return cmp.Or(cmp.Compare(x.Direction, y.Direction), cmp.Compare(x.Number, y.Number), x.Prefix.Compare(y.Prefix))
	})
}

// Op is what a change does. Its text is the sign that plans are printed with.
type Op byte

const (
	Create  Op = '+'
	Replace Op = '~'
	Delete  Op = '-'
)

// String gives the sign.
func (o Op) String() string { return string(rune(o)) }

// Verb gives create, replace or delete.
func (o Op) Verb() string {
	switch o {
	case Create:
		return "create"
	case Replace:
		return "replace"
	case Delete:
		return "delete"
	}
	return "unknown"
}

// MarshalText gives the verb.
func (o Op) MarshalText() ([]byte, error) { return []byte(o.Verb()), nil }

// UnmarshalText reads the verb.
func (o *Op) UnmarshalText(b []byte) error {
	for _, x := range []Op{Create, Replace, Delete} {
		if x.Verb() == string(b) {
			*o = x
			return nil
		}
	}
	return fmt.Errorf("change %q is none of create, replace, delete", b)
}

// Change is one write: a deny of all protocols is created at a number, takes the
// place of another one of ours, or is deleted.
type Change struct {
	Op        Op           `json:"op"`
	Direction Direction    `json:"direction"`
	Number    int          `json:"number"`
	Prefix    netip.Prefix `json:"prefix"`       // denied after a create or replace; the one deleted
	Old       netip.Prefix `json:"old,omitzero"` // denied before a replace
	Reason    string       `json:"reason,omitempty"`
}

// String gives one line such as "+ egress 7 deny 203.0.113.7/32".
func (c Change) String() string {
	s := fmt.Sprintf("%c %s %d deny %s", c.Op, c.Direction, c.Number, c.Prefix)
	if c.Op == Replace {
		s += " in place of " + c.Old.String()
	}
	return s
}

// Entry is the line that a create or replace leaves behind.
func (c Change) Entry() Entry {
	return Entry{Number: c.Number, Direction: c.Direction, Deny: true, Protocol: AllProtocols, Prefix: c.Prefix}
}

// RefusedError says that the service answered with an error code that it gives
// only when it has not carried out the request, and will not. Every other error
// of a write means that the outcome is unknown.
type RefusedError struct {
	Code    string // the service's own code, such as NetworkAclEntryLimitExceeded
	Meaning string // what it means for the operator and what to do
	// Permission marks missing rights or credentials, Quota a full ACL, Taken a
	// number that is in use, Gone an entry or ACL that does not exist, Throttled a
	// request rate that was too high.
	Permission, Quota, Taken, Gone, Throttled bool
	Err                                       error
}

// Error gives the meaning with the code.
func (e *RefusedError) Error() string { return fmt.Sprintf("%s (%s)", e.Meaning, e.Code) }

// Unwrap gives the service's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// TargetError is an error that concerns one ACL of several.
type TargetError struct {
	ACL string
	Err error
}

// Error names the ACL.
func (e *TargetError) Error() string { return e.ACL + ": " + e.Err.Error() }

// Unwrap gives the error of the ACL.
func (e *TargetError) Unwrap() error { return e.Err }
