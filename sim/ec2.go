package sim

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Credential is an AWS access key that the server knows.
type Credential struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string    // of temporary credentials
	Expires         time.Time // zero: never
	ARN             string    // what GetCallerIdentity answers
}

// DefaultCredential is the key of an [EC2] whose configuration names none.
func DefaultCredential() Credential {
	return Credential{AccessKeyID: "AKIDSIMULATED0000001", SecretAccessKey: "simulated-secret-access-key-000000000001"}
}

// EC2Config configures an [EC2]. The zero value is a server in us-east-1 with
// [DefaultCredential] and AWS's default quota.
type EC2Config struct {
	Region      string // us-east-1
	AccountID   string // 123456789012
	Quota       int    // entries for each direction and family, the default deny included: 20
	Credentials []Credential
	Seed        uint64 // of faults that strike at a rate, and of request ids
	// Buckets keeps EC2's request buckets: 100 describes refilled at 20/s, and 50
	// writes refilled at 5/s, for each action.
	Buckets bool
}

// EC2 is an EC2, STS and Service Quotas endpoint as an [http.Handler]. It is safe for concurrent
// use.
type EC2 struct {
	config EC2Config

	mu       sync.Mutex
	rng      *rand.Rand
	faults   EC2Faults
	vpcs     []vpc
	subnets  []Subnet
	elastic  []Address
	nats     []NATGateway
	peerings []Peering
	tables   []RouteTable
	acls     map[string]*liveACL
	landing  []lateWrite // sorted by due time
	calls    callLog
	buckets  map[string]*bucket
	requests int
}

type vpc struct {
	id    string
	cidrs []netip.Prefix
}

// NewEC2 gives a server without any VPC.
func NewEC2(c EC2Config) *EC2 {
	c.Region = cmp.Or(c.Region, "us-east-1")
	c.AccountID = cmp.Or(c.AccountID, "123456789012")
	c.Quota = cmp.Or(c.Quota, 20)
	if len(c.Credentials) == 0 {
		c.Credentials = []Credential{DefaultCredential()}
	}
	return &EC2{
		config:  c,
		rng:     seeded(c.Seed, purposeEC2),
		acls:    map[string]*liveACL{},
		calls:   callLog{actions: map[string]int{}},
		buckets: map[string]*bucket{},
	}
}

// Subnet is a subnet of a VPC.
type Subnet struct {
	ID   string
	VPC  string
	CIDR netip.Prefix
	IPv6 netip.Prefix // may be invalid: none
}

// Address is an Elastic IP address.
type Address struct {
	AllocationID string
	Public       netip.Addr
	Private      netip.Addr // may be invalid: not associated
	InstanceID   string
}

// NATGateway is a NAT gateway with its public address.
type NATGateway struct {
	ID     string
	VPC    string
	Subnet string
	Public netip.Addr
}

// AddVPC adds a VPC with its IPv4 and IPv6 blocks, the first IPv4 one primary.
func (s *EC2) AddVPC(id string, cidrs ...netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vpcs = append(s.vpcs, vpc{id: id, cidrs: slices.Clone(cidrs)})
}

// AddSubnet adds a subnet. It is associated with no network ACL until an [ACL]
// names it.
func (s *EC2) AddSubnet(sub Subnet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subnets = append(s.subnets, sub)
}

// AddAddress adds an Elastic IP address.
func (s *EC2) AddAddress(a Address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.elastic = append(s.elastic, a)
}

// AddNATGateway adds an available NAT gateway.
func (s *EC2) AddNATGateway(n NATGateway) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nats = append(s.nats, n)
}

// AddACL adds a network ACL. It gets the default denies that AWS makes (the IPv6
// ones where the VPC has an IPv6 block), and a default network ACL also the
// allow-all entries 100 and 101. A subnet leaves the network ACL that it was
// associated with. The quota does not bind what is added here. AddACL panics if
// the id is taken or the VPC unknown.
func (s *EC2) AddACL(a ACL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.acls[a.ID]; taken {
		panic("sim: network ACL " + a.ID + " exists")
	}
	v := slices.IndexFunc(s.vpcs, func(v vpc) bool { return v.id == a.VPC })
	if v < 0 {
		panic("sim: no VPC " + a.VPC)
	}
	ipv6 := slices.ContainsFunc(s.vpcs[v].cidrs, func(p netip.Prefix) bool { return p.Addr().Is6() })
	for _, other := range s.acls {
		other.Subnets = slices.DeleteFunc(other.Subnets, func(id string) bool { return slices.Contains(a.Subnets, id) })
	}
	live := &liveACL{ACL: a.clone(), ipv6: ipv6}
	made := live.Entries
	if a.Default {
		made = append(made, allowAll(ipv6)...)
	}
	s.acls[a.ID] = live
	live.set(time.Now(), made)
}

// Edit lets a person change the entries, name, tags and subnets of a network ACL
// behind everyone's back. The quota does not bind it; the default denies stay.
func (s *EC2) Edit(aclID string, edit func(*ACL)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.settle(now)
	live, ok := s.acls[aclID]
	if !ok {
		return fmt.Errorf("no network ACL %s", aclID)
	}
	a := live.ACL.clone()
	edit(&a)
	live.Name, live.Tags, live.Subnets = a.Name, a.Tags, a.Subnets
	live.set(now, a.Entries)
	return nil
}

// Entries gives the entries of a network ACL as they are now, ingress first, by
// number; nil for an unknown one.
func (s *EC2) Entries(aclID string) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(time.Now())
	if live, ok := s.acls[aclID]; ok {
		return slices.Clone(live.Entries)
	}
	return nil
}

// ACLs gives every network ACL as it is now, by id.
func (s *EC2) ACLs() []ACL {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(time.Now())
	var out []ACL
	for _, id := range slices.Sorted(maps.Keys(s.acls)) {
		out = append(out, s.acls[id].ACL.clone())
	}
	return out
}

// settle lets every late write land that is due, each at its own time.
func (s *EC2) settle(now time.Time) {
	for len(s.landing) > 0 && !s.landing[0].due.After(now) {
		late := s.landing[0]
		s.landing = s.landing[1:]
		// AWS refuses a request whose signature has grown old, however it travelled.
		if late.due.Sub(late.signed) <= signatureLife {
			late.call.Applied = s.write(late.due, late.action, late.form) == nil
		}
	}
}

type lateWrite struct {
	due, signed time.Time
	action      string
	form        form
	call        *Call
}
