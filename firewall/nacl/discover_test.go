package nacl

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"selfprotect/sim"
)

func TestDiscover(t *testing.T) {
	isolate(t)
	s := server()
	s.AddSubnet(sim.Subnet{ID: "subnet-0123456789abcdef0", VPC: "vpc-0123456789abcdef0", CIDR: netip.MustParsePrefix("10.1.2.0/24")})
	s.AddACL(sim.ACL{ID: "acl-00000000000000001", VPC: "vpc-0123456789abcdef0", Name: "another", Subnets: []string{"subnet-0123456789abcdef0"}, Entries: sim.AllowAll()})
	cfg := Config{HTTP: &http.Client{Transport: sim.Transport(s)}}
	got, err := Discover(context.Background(), Place{}, cfg)
	if err != nil || got.Region != "us-east-1" {
		t.Fatalf("%+v, %v", got, err)
	}
	names := func(f Found) (out []string) {
		for _, a := range f.ACLs {
			out = append(out, a.Name)
		}
		return out
	}
	if n := names(got); !slices.Contains(n, "web") || slices.Index(n, "another") > slices.Index(n, "web") {
		t.Errorf("found %q", n)
	}
	if sub := got.Subnets["subnet-0123456789abcdef0"]; sub.CIDR.String() != "10.1.2.0/24" {
		t.Errorf("subnets %+v", got.Subnets)
	}

	// What is good to know only may be denied.
	s.SetFaults(sim.EC2Faults{Denied: []string{"DescribeSubnets", "GetServiceQuota"}})
	if got, err := Discover(context.Background(), Place{}, cfg); err != nil || len(got.ACLs) < 2 || len(got.Subnets) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	s.SetFaults(sim.EC2Faults{Denied: []string{"DescribeNetworkAcls"}})
	if _, err := Discover(context.Background(), Place{}, cfg); !CredentialError(err) {
		t.Errorf("error %v", err)
	}
	t.Setenv("AWS_REGION", "")
	if _, err := Discover(context.Background(), Place{}, cfg); err == nil || !strings.Contains(err.Error(), "no AWS region") {
		t.Errorf("error %v", err)
	}
}

// Each read is asked for, and only what is denied is said to be missing.
func TestProbeReads(t *testing.T) {
	s := server()
	b := backend(t, s)
	s.SetFaults(sim.EC2Faults{Denied: []string{"DescribeAddresses"}})
	var denied []string
	for _, p := range b.ProbeReads(context.Background()) {
		if !p.Allowed {
			denied = append(denied, p.Action)
			if !strings.Contains(p.Sentence, "lacks permission") || p.Region != "us-east-1" {
				t.Errorf("%+v", p)
			}
		}
	}
	if !slices.Equal(denied, []string{"ec2:DescribeAddresses"}) {
		t.Errorf("denied %v", denied)
	}
	for _, c := range s.Calls().Log {
		if !c.DryRun {
			t.Errorf("%s was no dry run", c.Action)
		}
	}
}
