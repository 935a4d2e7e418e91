package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// World is a small company with something wrong in it: an organization of Threat
// Stack that watches three hosts, and the VPC in which they stand.
type World struct {
	ThreatStack *ThreatStack
	EC2         *EC2

	OrganizationID, UserID, APIKey string
	RulesetID                      string
	RuleID                         string // Network: Outbound Connection (Connects) to WAN
	InboundRuleID                  string // Network: Inbound Connection (Accepts) from WAN
	Agents                         []Agent

	Region, AccountID string
	Credential        Credential
	VPCID, SubnetID   string
	ACLID             string
	VPC, VPC6         netip.Prefix
	Own               []netip.Addr // public addresses of the company

	seed uint64
}

const (
	outboundRule = "Network: Outbound Connection (Connects) to WAN"
	inboundRule  = "Network: Inbound Connection (Accepts) from WAN"
	ruleWindow   = 24 * time.Hour
	// worldRetention keeps a console that runs for weeks from gathering alerts
	// without end.
	worldRetention = 7 * 24 * time.Hour
)

// NewWorld builds the world of a seed: the same ids, addresses and credentials
// for the same seed.
func NewWorld(seed uint64) *World {
	w := newWorld(seed)
	w.ThreatStack = NewThreatStack(ThreatStackConfig{
		OrganizationID: w.OrganizationID, UserID: w.UserID, APIKey: w.APIKey,
		DismissLag: 5 * time.Second, Retention: worldRetention, Seed: seed,
	})
	w.ThreatStack.AddRuleset(Ruleset{ID: w.RulesetID, Name: "Base Rule Set", Description: "Hosts that speak to the Internet"})
	w.ThreatStack.AddRule(Rule{
		ID: w.RuleID, RulesetID: w.RulesetID, Name: outboundRule, Type: "Host", Severity: 3,
		Title:            outboundRule + ": {{exe}} ran by user {{user}} to {{dst_ip}}",
		AlertDescription: "A process connected to an address outside. This rule is very noisy.",
		AggregateFields:  []string{"user", "exe", "dst_ip"},
		Filter: `event_type = "audit" and syscall = "connect" and (connection.dst_addr != "127.0.0.0/8" and connection.dst_addr != "::1/128" ` +
			`and connection.dst_addr != "::" and connection.dst_addr != "0.0.0.0" and connection.dst_addr != "169.254.0.0/16")`,
		Window: int(ruleWindow.Seconds()), Threshold: 1, Enabled: true,
	})
	w.ThreatStack.AddRule(Rule{
		ID: w.InboundRuleID, RulesetID: w.RulesetID, Name: inboundRule, Type: "Host", Severity: 2,
		Title:            inboundRule + ": {{exe}} from {{src_ip}}",
		AlertDescription: "A process accepted a connection from an address outside.",
		AggregateFields:  []string{"exe", "src_ip"},
		Filter:           `event_type = "audit" and syscall = "accept4"`,
		Window:           int(ruleWindow.Seconds()), Threshold: 1, Enabled: true,
	})
	for _, a := range w.Agents {
		a.CreatedAt = milliseconds(time.Now().Add(-30 * 24 * time.Hour))
		w.ThreatStack.AddAgent(a)
	}
	w.buildVPC(seed)
	return w
}

// newWorld draws the ids of a seed, without servers.
func newWorld(seed uint64) *World {
	rng := seeded(seed, purposeWorld)
	w := &World{
		OrganizationID: hexID(rng, 24), UserID: hexID(rng, 24), APIKey: hexID(rng, 64),
		RulesetID: uuid(rng), RuleID: uuid(rng), InboundRuleID: uuid(rng),
		Region: "us-east-1", AccountID: "123456789012", Credential: DefaultCredential(),
		VPCID: "vpc-0" + hexID(rng, 16), SubnetID: "subnet-0" + hexID(rng, 16), ACLID: "acl-0" + hexID(rng, 16),
		VPC: netip.MustParsePrefix("10.1.0.0/16"), VPC6: netip.MustParsePrefix("2600:1f18:4de:5a00::/56"),
		seed: seed,
	}
	for i, name := range []string{"web-1", "db-1", "worker-1"} {
		public := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + 10*i)})
		w.Own = append(w.Own, public)
		w.Agents = append(w.Agents, worldAgent(rng, name, i, public))
	}
	w.Own = append(w.Own, netip.MustParseAddr("192.0.2.40")) // of the NAT gateway
	return w
}

func worldAgent(rng *rand.Rand, name string, i int, public netip.Addr) Agent {
	private := fmt.Sprintf("10.1.1.%d", 5+i)
	return Agent{
		ID: uuid(rng), InstanceID: "i-0" + hexID(rng, 16), Version: "3.0.0", AgentType: "investigate",
		Name: name, Hostname: name, OSVersion: "ubuntu-22.04", Kernel: "5.15.0-1048-aws",
		// Hosts give an address with and without its length, and docker's bridge.
		Private:   []string{private, private + "/24", "172.17.0.1/16"},
		LinkLocal: []string{fmt.Sprintf("fe80::4d8:28ff:feed:%x", 0x7690+i)},
		Public:    []string{public.String()},
		Tags:      []Tag{{Source: "ec2", Key: "Name", Value: name}},
	}
}

// buildVPC builds the network: one network ACL that allows all, in which a
// person has written two entries of their own.
func (w *World) buildVPC(seed uint64) {
	w.EC2 = NewEC2(EC2Config{Region: w.Region, AccountID: w.AccountID, Credentials: []Credential{w.Credential}, Seed: seed, Buckets: true})
	w.EC2.AddVPC(w.VPCID, w.VPC, w.VPC6)
	w.EC2.AddSubnet(Subnet{ID: w.SubnetID, VPC: w.VPCID, CIDR: netip.MustParsePrefix("10.1.1.0/24"), IPv6: netip.MustParsePrefix("2600:1f18:4de:5a01::/64")})
	foreign := []Entry{
		{Number: 50, Egress: true, Prefix: netip.MustParsePrefix("198.51.100.250/32")},
		{Number: 20, Prefix: netip.MustParsePrefix("203.0.113.250/32"), Protocol: protocolTCP, FromPort: 22, ToPort: 22},
	}
	w.EC2.AddACL(ACL{ID: w.ACLID, VPC: w.VPCID, Name: "demo-public", Subnets: []string{w.SubnetID}, Entries: append(foreign, AllowAll()...)})
	for i, a := range w.Agents {
		w.EC2.AddAddress(Address{AllocationID: fmt.Sprintf("eipalloc-%017x", i+1), Public: w.Own[i],
			Private: netip.AddrFrom4([4]byte{10, 1, 1, byte(5 + i)}), InstanceID: a.InstanceID})
	}
	w.EC2.AddPeering(Peering{ID: "pcx-" + fmt.Sprintf("%017x", 1), Requester: PeeringEnd{VPC: w.VPCID, CIDRs: []netip.Prefix{w.VPC}},
		Accepter: PeeringEnd{VPC: "vpc-" + fmt.Sprintf("%017x", 2), CIDRs: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}}})
	w.EC2.AddRouteTable(RouteTable{ID: "rtb-" + fmt.Sprintf("%017x", 1), VPC: w.VPCID, Routes: []Route{{w.VPC.String(), "local"},
		{"10.2.0.0/16", "pcx-" + fmt.Sprintf("%017x", 1)}, {"0.0.0.0/0", "igw-" + fmt.Sprintf("%017x", 1)}}})
	w.EC2.AddNATGateway(NATGateway{ID: "nat-" + fmt.Sprintf("%017x", 1), VPC: w.VPCID, Subnet: w.SubnetID, Public: w.Own[len(w.Own)-1]})
}
