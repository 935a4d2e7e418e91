package nacl

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/firewall"
	"selfprotect/sim"
)

const ourVPC = "vpc-0123456789abcdef0"

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestReadKnowsWhatIsLinked(t *testing.T) {
	s := server()
	ours := sim.PeeringEnd{VPC: ourVPC, CIDRs: []netip.Prefix{pfx("10.1.0.0/16")}}
	s.AddPeering(sim.Peering{ID: "pcx-1", Requester: ours, Accepter: sim.PeeringEnd{VPC: "vpc-2", CIDRs: []netip.Prefix{pfx("198.19.0.0/16"), pfx("203.0.112.0/24"), pfx("2001:db8:2::/56")}}})
	s.AddPeering(sim.Peering{ID: "pcx-2", Requester: sim.PeeringEnd{VPC: "vpc-3", Owner: "210987654321", CIDRs: []netip.Prefix{pfx("10.3.0.0/16")}}, Accepter: ours})
	s.AddPeering(sim.Peering{ID: "pcx-3", Requester: ours, Accepter: sim.PeeringEnd{VPC: "vpc-4", CIDRs: []netip.Prefix{pfx("10.4.0.0/16")}}, Status: "deleted"})
	s.AddPeering(sim.Peering{ID: "pcx-4", Requester: sim.PeeringEnd{VPC: "vpc-5"}, Accepter: sim.PeeringEnd{VPC: "vpc-6", CIDRs: []netip.Prefix{pfx("10.6.0.0/16")}}})
	s.AddRouteTable(sim.RouteTable{ID: "rtb-1", VPC: ourVPC, Routes: []sim.Route{{Destination: "10.1.0.0/16", Target: "local"}, {Destination: "0.0.0.0/0", Target: "igw-1"},
		{Destination: "192.168.0.0/16", Target: "tgw-1"}, {Destination: "203.0.114.0/24", Target: "vgw-1"}, {Destination: "::/0", Target: "tgw-1"},
		{Destination: "0.0.0.0/1", Target: "vgw-1"}, {Destination: "pl-0123", Target: "tgw-1"}, {Destination: "pl-s3", Target: "vpce-1"}, {Destination: "198.51.0.0/16", Target: "nat-1"}}})
	s.AddRouteTable(sim.RouteTable{ID: "rtb-2", VPC: ourVPC, Routes: []sim.Route{{Destination: "192.168.0.0/16", Target: "tgw-1"}, {Destination: "2001:db8:9::/48", Target: "pcx-1"}}})
	s.AddRouteTable(sim.RouteTable{ID: "rtb-3", VPC: "vpc-6", Routes: []sim.Route{{Destination: "10.7.0.0/16", Target: "tgw-1"}}})
	acls, err := backend(t, s).Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	link := func(p, via string) firewall.Linked { return firewall.Linked{Prefix: pfx(p), Via: via} }
	want := []firewall.Linked{link("10.3.0.0/16", "VPC peering pcx-2"), link("198.19.0.0/16", "VPC peering pcx-1"), link("203.0.112.0/24", "VPC peering pcx-1"),
		link("2001:db8:2::/56", "VPC peering pcx-1"),
		link("10.1.0.0/16", "a route to local"), link("192.168.0.0/16", "a route to tgw-1"), link("203.0.114.0/24", "a route to vgw-1"), link("2001:db8:9::/48", "a route to pcx-1")}
	if got := acls[0].Linked; !slices.Equal(got, want) {
		t.Errorf("linked %v\nwant   %v", got, want)
	}
	if w := acls[0].Warnings; len(w) != 2 || !strings.Contains(w[0], "0.0.0.0/1 has a route to vgw-1") || !strings.Contains(w[1], "pl-0123") {
		t.Errorf("warnings %q", w)
	}
}

// TestOptionalReadsAreRare holds how often what only the guard needs is asked for,
// whatever fails, and that what was known stays known.
func TestOptionalReadsAreRare(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		s := server()
		b := backend(t, s)
		read := func() firewall.ACL {
			acls, err := b.Read(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return acls[0]
		}
		for range 40 {
			read()
			time.Sleep(30 * time.Second)
		}
		began := time.Now()
		s.SetFaults(sim.EC2Faults{Denied: []string{"DescribeVpcs", "DescribeAddresses", "DescribeVpcPeeringConnections", "DescribeRouteTables"}})
		for range 40 {
			if a := read(); len(a.CIDRs) != 2 {
				t.Fatalf("what was known is forgotten: %+v", a)
			}
			time.Sleep(30 * time.Second)
		}
		n := 0
		for _, c := range s.Calls().Since(began) {
			if c.Action != "DescribeNetworkAcls" && c.Action != "GetServiceQuota" {
				n++
			}
		}
		if n == 0 || n > 16 {
			t.Errorf("%d optional reads in 20 minutes", n)
		}
	})
}
