package sim_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"selfprotect/sim"
)

const (
	vpcID   = "vpc-0123456789abcdef0"
	aclID   = "acl-0123456789abcdef0"
	otherID = "acl-0fedcba9876543210"
)

// server gives an EC2 with one custom network ACL that allows all.
func server(c sim.EC2Config) *sim.EC2 {
	s := sim.NewEC2(c)
	s.AddVPC(vpcID, netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2600:1f18::/56"))
	s.AddACL(sim.ACL{ID: aclID, VPC: vpcID, Name: "web", Subnets: []string{"subnet-1"}, Entries: sim.AllowAll()})
	return s
}

// client gives the real SDK client, without retries, on the handler.
func client(h http.Handler, set ...func(*ec2.Options)) *ec2.Client {
	c := sim.DefaultCredential()
	return ec2.New(ec2.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String("https://ec2.test"),
		Credentials:  credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, ""),
		HTTPClient:   &http.Client{Transport: sim.Transport(h)},
		Retryer:      aws.NopRetryer{},
	}, set...)
}

func create(number int32, egress bool, cidr string) *ec2.CreateNetworkAclEntryInput {
	in := &ec2.CreateNetworkAclEntryInput{
		NetworkAclId: aws.String(aclID), RuleNumber: aws.Int32(number), Egress: aws.Bool(egress),
		Protocol: aws.String("-1"), RuleAction: types.RuleActionDeny,
	}
	if p, err := netip.ParsePrefix(cidr); err == nil && p.Addr().Is6() {
		in.Ipv6CidrBlock = aws.String(cidr)
	} else {
		in.CidrBlock = aws.String(cidr)
	}
	return in
}

func remove(number int32, egress bool) *ec2.DeleteNetworkAclEntryInput {
	return &ec2.DeleteNetworkAclEntryInput{NetworkAclId: aws.String(aclID), RuleNumber: aws.Int32(number), Egress: aws.Bool(egress)}
}

// code gives the error code of an answer, "" for success.
func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("no API error: %v", err)
	}
	return api.ErrorCode()
}

func TestACLIsMadeAndDescribedLikeAWS(t *testing.T) {
	s := server(sim.EC2Config{})
	s.AddACL(sim.ACL{ID: otherID, VPC: vpcID, Default: true})
	out, err := client(s).DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.NetworkAcls) != 2 {
		t.Fatalf("%d network ACLs", len(out.NetworkAcls))
	}
	for _, acl := range out.NetworkAcls {
		var got []string
		for _, e := range acl.Entries {
			got = append(got, fmt.Sprintf("%d %v %s %s %s%s", *e.RuleNumber, *e.Egress, e.RuleAction, *e.Protocol, aws.ToString(e.CidrBlock), aws.ToString(e.Ipv6CidrBlock)))
		}
		want := []string{
			"100 false allow -1 0.0.0.0/0", "101 false allow -1 ::/0", "32767 false deny -1 0.0.0.0/0", "32768 false deny -1 ::/0",
			"100 true allow -1 0.0.0.0/0", "101 true allow -1 ::/0", "32767 true deny -1 0.0.0.0/0", "32768 true deny -1 ::/0",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: entries %q", *acl.NetworkAclId, got)
		}
		if *acl.IsDefault != (*acl.NetworkAclId == otherID) || *acl.VpcId != vpcID || *acl.OwnerId != "123456789012" {
			t.Errorf("%+v", acl)
		}
	}
	web := out.NetworkAcls[0]
	if len(web.Associations) != 1 || *web.Associations[0].SubnetId != "subnet-1" || *web.Tags[0].Value != "web" {
		t.Errorf("associations %+v, tags %+v", web.Associations, web.Tags)
	}
}

func TestWriteErrors(t *testing.T) {
	icmp := func(in *ec2.CreateNetworkAclEntryInput) { in.Protocol = aws.String("1") }
	tests := []struct {
		name string
		edit func(*ec2.CreateNetworkAclEntryInput)
		want string
	}{
		{"number 0", func(in *ec2.CreateNetworkAclEntryInput) { in.RuleNumber = aws.Int32(0) }, "InvalidParameterValue"},
		{"number 1", func(in *ec2.CreateNetworkAclEntryInput) { in.RuleNumber = aws.Int32(1) }, ""},
		{"number 32766", func(in *ec2.CreateNetworkAclEntryInput) { in.RuleNumber = aws.Int32(32766) }, ""},
		{"number 32767", func(in *ec2.CreateNetworkAclEntryInput) { in.RuleNumber = aws.Int32(32767) }, "InvalidParameterValue"},
		{"no CIDR", func(in *ec2.CreateNetworkAclEntryInput) { in.CidrBlock = nil }, "InvalidParameterValue"},
		{"both CIDRs", func(in *ec2.CreateNetworkAclEntryInput) { in.Ipv6CidrBlock = aws.String("2001:db8::/32") }, "InvalidParameterCombination"},
		{"IPv6 in CidrBlock", func(in *ec2.CreateNetworkAclEntryInput) { in.CidrBlock = aws.String("2001:db8::/32") }, "InvalidParameterValue"},
		{"no address", func(in *ec2.CreateNetworkAclEntryInput) { in.CidrBlock = aws.String("not-an-ip") }, "InvalidParameterValue"},
		{"no length", func(in *ec2.CreateNetworkAclEntryInput) { in.CidrBlock = aws.String("203.0.113.7") }, "InvalidParameterValue"},
		{"mapped", func(in *ec2.CreateNetworkAclEntryInput) {
			in.CidrBlock, in.Ipv6CidrBlock = nil, aws.String("::ffff:203.0.113.7/128")
		}, "InvalidParameterValue"},
		{"unknown action", func(in *ec2.CreateNetworkAclEntryInput) { in.RuleAction = "reject" }, "InvalidParameterValue"},
		{"unknown protocol", func(in *ec2.CreateNetworkAclEntryInput) { in.Protocol = aws.String("carrier-pigeon") }, "InvalidParameterValue"},
		{"protocol 256", func(in *ec2.CreateNetworkAclEntryInput) { in.Protocol = aws.String("256") }, "InvalidParameterValue"},
		{"tcp without ports", func(in *ec2.CreateNetworkAclEntryInput) { in.Protocol = aws.String("tcp") }, "MissingParameter"},
		{"udp ports turned round", func(in *ec2.CreateNetworkAclEntryInput) {
			in.Protocol, in.PortRange = aws.String("17"), &types.PortRange{From: aws.Int32(9), To: aws.Int32(8)}
		}, "InvalidParameterValue"},
		{"icmp without type", icmp, "MissingParameter"},
		{"icmpv6 on IPv4", func(in *ec2.CreateNetworkAclEntryInput) { in.Protocol = aws.String("58") }, "InvalidParameterValue"},
		{"unknown ACL", func(in *ec2.CreateNetworkAclEntryInput) { in.NetworkAclId = aws.String(otherID) }, "InvalidNetworkAclID.NotFound"},
		{"malformed ACL", func(in *ec2.CreateNetworkAclEntryInput) { in.NetworkAclId = aws.String("web") }, "InvalidNetworkAclId.Malformed"},
		{"number taken", func(in *ec2.CreateNetworkAclEntryInput) { in.RuleNumber = aws.Int32(100) }, "NetworkAclEntryAlreadyExists"},
		{"dry run of nonsense", func(in *ec2.CreateNetworkAclEntryInput) {
			in.DryRun, in.CidrBlock = aws.Bool(true), aws.String("not-an-ip")
		}, "DryRunOperation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := server(sim.EC2Config{})
			before := s.Entries(aclID)
			in := create(7, true, "203.0.113.7/32")
			tt.edit(in)
			_, err := client(s).CreateNetworkAclEntry(t.Context(), in)
			if got := code(t, err); got != tt.want {
				t.Errorf("create answers %q, want %q (%v)", got, tt.want, err)
			}
			if made := len(s.Entries(aclID)) > len(before); made != (tt.want == "") {
				t.Errorf("entry made: %v", made)
			}
			call := s.Calls().Log[0]
			if call.Code != tt.want || call.Applied != (tt.want == "") || !call.Answered {
				t.Errorf("call %+v", call)
			}
		})
	}
}

func TestReplaceAndDelete(t *testing.T) {
	s := server(sim.EC2Config{})
	c := client(s)
	ctx := t.Context()
	replace := func(n int32, cidr string) error {
		_, err := c.ReplaceNetworkAclEntry(ctx, &ec2.ReplaceNetworkAclEntryInput{NetworkAclId: aws.String(aclID), RuleNumber: aws.Int32(n),
			Egress: aws.Bool(true), Protocol: aws.String("-1"), RuleAction: types.RuleActionDeny, CidrBlock: aws.String(cidr)})
		return err
	}
	if got := code(t, replace(5, "203.0.113.7/32")); got != "InvalidNetworkAclEntry.NotFound" {
		t.Errorf("replace of nothing answers %q", got)
	}
	if _, err := c.CreateNetworkAclEntry(ctx, create(5, true, "203.0.113.7/32")); err != nil {
		t.Fatal(err)
	}
	if err := replace(5, "198.51.100.200/24"); err != nil {
		t.Fatal(err)
	}
	want := sim.Entry{Number: 5, Egress: true, Prefix: netip.MustParsePrefix("198.51.100.0/24"), Protocol: "-1"}
	if got := s.Entries(aclID); !slices.Contains(got, want) {
		t.Errorf("%+v lacks %+v", got, want)
	}
	for _, step := range []struct {
		number int32
		egress bool
		want   string
	}{
		{5, false, "InvalidNetworkAclEntry.NotFound"}, {5, true, ""}, {5, true, "InvalidNetworkAclEntry.NotFound"},
		{32767, true, "InvalidParameterValue"}, {32768, true, "InvalidParameterValue"},
	} {
		_, err := c.DeleteNetworkAclEntry(ctx, remove(step.number, step.egress))
		if got := code(t, err); got != step.want {
			t.Errorf("delete %d egress %v answers %q, want %q", step.number, step.egress, got, step.want)
		}
	}
}

func TestCreateIsIdempotentAndCanonical(t *testing.T) {
	s := server(sim.EC2Config{})
	c := client(s)
	for range 2 {
		if _, err := c.CreateNetworkAclEntry(t.Context(), create(5, true, "100.68.0.18/18")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.CreateNetworkAclEntry(t.Context(), create(5, true, "203.0.113.7/32"))
	if got := code(t, err); got != "NetworkAclEntryAlreadyExists" {
		t.Errorf("another content answers %q", got)
	}
	if _, err := c.CreateNetworkAclEntry(t.Context(), create(5, false, "2001:db8::7/128")); err != nil {
		t.Errorf("the other direction has numbers of its own: %v", err)
	}
	_, err = c.CreateNetworkAclEntry(t.Context(), create(5, true, "2001:db8::7/128"))
	if got := code(t, err); got != "NetworkAclEntryAlreadyExists" {
		t.Errorf("the families share numbers, yet %q", got)
	}
	if got := s.Entries(aclID); !slices.ContainsFunc(got, func(e sim.Entry) bool { return e.Prefix == netip.MustParsePrefix("100.68.0.0/18") }) {
		t.Errorf("host bits are kept: %+v", got)
	}
}

func TestProtocolsAreAnsweredAsNumbers(t *testing.T) {
	s := server(sim.EC2Config{})
	c := client(s)
	in := create(7, true, "203.0.113.7/32")
	in.Protocol, in.PortRange = aws.String("tcp"), &types.PortRange{From: aws.Int32(22), To: aws.Int32(80)}
	ping := create(8, true, "2001:db8::/32")
	ping.Protocol, ping.IcmpTypeCode = aws.String("58"), &types.IcmpTypeCode{Type: aws.Int32(128), Code: aws.Int32(-1)}
	all := create(9, true, "203.0.113.9/32")
	all.Protocol, all.PortRange = aws.String("all"), &types.PortRange{From: aws.Int32(22), To: aws.Int32(80)}
	for _, in := range []*ec2.CreateNetworkAclEntryInput{in, ping, all} {
		if _, err := c.CreateNetworkAclEntry(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	out, err := c.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{aclID}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[int32]types.NetworkAclEntry{}
	for _, e := range out.NetworkAcls[0].Entries {
		if *e.Egress {
			got[*e.RuleNumber] = e
		}
	}
	if e := got[7]; *e.Protocol != "6" || *e.PortRange.From != 22 || *e.PortRange.To != 80 || e.Ipv6CidrBlock != nil {
		t.Errorf("tcp: %+v", e)
	}
	if e := got[8]; *e.Protocol != "58" || *e.IcmpTypeCode.Type != 128 || *e.IcmpTypeCode.Code != -1 || e.CidrBlock != nil {
		t.Errorf("icmpv6: %+v", e)
	}
	if e := got[9]; *e.Protocol != "-1" || e.PortRange != nil {
		t.Errorf("all ignores ports: %+v", e)
	}
}

func TestQuotaCountsDirectionFamilyAndDefaultDeny(t *testing.T) {
	s := server(sim.EC2Config{})
	c := client(s)
	fill := func(first int32, egress bool, format string) int {
		for n := range int32(30) {
			_, err := c.CreateNetworkAclEntry(t.Context(), create(first+n, egress, fmt.Sprintf(format, n)))
			switch got := code(t, err); got {
			case "":
			case "NetworkAclEntryLimitExceeded":
				return int(n)
			default:
				t.Fatal(got)
			}
		}
		return 30
	}
	for _, tt := range []struct {
		first  int32
		egress bool
		format string
	}{{1, true, "203.0.113.%d/32"}, {1, false, "203.0.113.%d/32"}, {40, true, "2001:db8::%x/128"}, {40, false, "2001:db8::%x/128"}} {
		if n := fill(tt.first, tt.egress, tt.format); n != 18 {
			t.Errorf("%+v: %d slots, want 18", tt, n)
		}
	}
	if _, err := c.CreateNetworkAclEntry(t.Context(), create(1, true, "203.0.113.0/32")); err != nil {
		t.Errorf("an identical create on a full ACL: %v", err)
	}
	swap := &ec2.ReplaceNetworkAclEntryInput{NetworkAclId: aws.String(aclID), RuleNumber: aws.Int32(1),
		Egress: aws.Bool(true), Protocol: aws.String("-1"), RuleAction: types.RuleActionDeny, CidrBlock: aws.String("198.51.100.0/24")}
	if _, err := c.ReplaceNetworkAclEntry(t.Context(), swap); err != nil {
		t.Errorf("a replace on a full ACL: %v", err)
	}
	swap.CidrBlock, swap.Ipv6CidrBlock = nil, aws.String("2001:db8:1::/48")
	_, err := c.ReplaceNetworkAclEntry(t.Context(), swap)
	if got := code(t, err); got != "NetworkAclEntryLimitExceeded" {
		t.Errorf("a replace that changes to the full family answers %q", got)
	}
}

// TestAnyWritesKeepTheRules sends writes at random and checks what must hold of
// every network ACL after each, and that only a success changes anything.
func TestAnyWritesKeepTheRules(t *testing.T) {
	prefixes := []string{"203.0.113.7/32", "203.0.113.9/24", "0.0.0.0/0", "2001:db8::7/128", "2001:db8::9/32"}
	rapid.Check(t, func(rt *rapid.T) {
		s := server(sim.EC2Config{Quota: 5})
		c := client(s)
		for range rapid.IntRange(1, 25).Draw(rt, "writes") {
			n, egress := int32(rapid.IntRange(98, 106).Draw(rt, "number")), rapid.Bool().Draw(rt, "egress")
			in := create(n, egress, rapid.SampledFrom(prefixes).Draw(rt, "prefix"))
			before := s.Entries(aclID)
			var err error
			switch rapid.IntRange(0, 2).Draw(rt, "action") {
			case 0:
				_, err = c.CreateNetworkAclEntry(t.Context(), in)
			case 1:
				_, err = c.ReplaceNetworkAclEntry(t.Context(), &ec2.ReplaceNetworkAclEntryInput{NetworkAclId: in.NetworkAclId, RuleNumber: in.RuleNumber,
					Egress: in.Egress, Protocol: in.Protocol, RuleAction: in.RuleAction, CidrBlock: in.CidrBlock, Ipv6CidrBlock: in.Ipv6CidrBlock})
			default:
				_, err = c.DeleteNetworkAclEntry(t.Context(), remove(n, egress))
			}
			after := s.Entries(aclID)
			if err != nil && !slices.Equal(before, after) {
				rt.Fatalf("%v changed %v to %v", err, before, after)
			}
			holds(rt, after, 5)
		}
	})
}

// holds checks that entries are in order, unique, canonical, within the quota,
// and closed by the default denies.
func holds(t *rapid.T, entries []sim.Entry, quota int) {
	type list struct{ egress, ipv6 bool }
	counts, denies, last := map[list]int{}, 0, sim.Entry{}
	for i, e := range entries {
		if i > 0 && (e.Egress == last.Egress && e.Number <= last.Number || last.Egress && !e.Egress) {
			t.Fatalf("%+v after %+v", e, last)
		}
		if e.Prefix != e.Prefix.Masked() {
			t.Fatalf("%v has host bits", e.Prefix)
		}
		if e.Number > 32766 {
			denies++
		}
		l := list{e.Egress, e.Prefix.Addr().Is6()}
		if counts[l]++; counts[l] > quota {
			t.Fatalf("over the quota: %v", entries)
		}
		last = e
	}
	if denies != 4 {
		t.Fatalf("%d default denies", denies)
	}
}
