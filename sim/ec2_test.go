package sim_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

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
	_, err := c.ReplaceNetworkAclEntry(t.Context(), &ec2.ReplaceNetworkAclEntryInput{NetworkAclId: aws.String(aclID), RuleNumber: aws.Int32(1),
		Egress: aws.Bool(true), Protocol: aws.String("-1"), RuleAction: types.RuleActionDeny, Ipv6CidrBlock: aws.String("2001:db8:1::/48")})
	if got := code(t, err); got != "NetworkAclEntryLimitExceeded" {
		t.Errorf("a replace that changes to the full family answers %q", got)
	}
}

func TestFiltersSelectWholeACLs(t *testing.T) {
	s := server(sim.EC2Config{})
	s.AddVPC("vpc-2", netip.MustParsePrefix("10.2.0.0/16"))
	s.AddACL(sim.ACL{ID: otherID, VPC: "vpc-2", Default: true, Subnets: []string{"subnet-2"}, Tags: map[string]string{"team": "blue"},
		Entries: []sim.Entry{{Number: 7, Egress: true, Prefix: netip.MustParsePrefix("198.51.100.0/24"), Protocol: "6", FromPort: 22, ToPort: 23}}})
	tests := []struct {
		name, value string
		want        []string
	}{
		{"network-acl-id", otherID, []string{otherID}},
		{"vpc-id", vpcID, []string{aclID}},
		{"default", "true", []string{otherID}},
		{"association.subnet-id", "subnet-2", []string{otherID}},
		{"entry.cidr", "198.51.100.0/24", []string{otherID}},
		{"entry.ipv6-cidr", "::/0", []string{aclID}},
		{"entry.rule-number", "7", []string{otherID}},
		{"entry.egress", "true", []string{aclID, otherID}},
		{"entry.rule-action", "allow", []string{aclID, otherID}},
		{"entry.port-range.to", "23", []string{otherID}},
		{"entry.protocol", "17", nil},
		{"tag:Name", "w?b*", []string{aclID}},
		{"tag:team", "blue", []string{otherID}},
		{"tag-key", "Name", []string{aclID}},
		{"owner-id", "123456789012", []string{aclID, otherID}},
	}
	for _, tt := range tests {
		out, err := client(s).DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{
			Filters: []types.Filter{{Name: aws.String(tt.name), Values: []string{"no such value", tt.value}}}})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, acl := range out.NetworkAcls {
			got = append(got, *acl.NetworkAclId)
			if len(acl.Entries) != len(s.Entries(*acl.NetworkAclId)) {
				t.Errorf("%s trims the entries", tt.name)
			}
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s=%s selects %v, want %v", tt.name, tt.value, got, tt.want)
		}
	}
	_, err := client(s).DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{{Name: aws.String("colour"), Values: []string{"red"}}}})
	if got := code(t, err); got != "InvalidParameterValue" {
		t.Errorf("an unknown filter answers %q", got)
	}
}

func TestPages(t *testing.T) {
	s := server(sim.EC2Config{})
	for i := range 11 {
		s.AddACL(sim.ACL{ID: fmt.Sprintf("acl-%08x", i), VPC: vpcID})
	}
	pages := ec2.NewDescribeNetworkAclsPaginator(client(s), &ec2.DescribeNetworkAclsInput{MaxResults: aws.Int32(5)})
	seen, n := map[string]bool{}, 0
	for ; pages.HasMorePages(); n++ {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, acl := range out.NetworkAcls {
			seen[*acl.NetworkAclId] = true
		}
	}
	if n != 3 || len(seen) != 12 {
		t.Errorf("%d pages with %d network ACLs", n, len(seen))
	}
	for name, tt := range map[string]struct {
		in   ec2.DescribeNetworkAclsInput
		want string
	}{
		"ids with pages": {ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{aclID}, MaxResults: aws.Int32(5)}, "InvalidParameterCombination"},
		"page of 1":      {ec2.DescribeNetworkAclsInput{MaxResults: aws.Int32(1)}, "InvalidParameterValue"},
		"foreign token":  {ec2.DescribeNetworkAclsInput{MaxResults: aws.Int32(5), NextToken: aws.String("abc")}, "InvalidPaginationToken"},
		"unknown id":     {ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{otherID}}, "InvalidNetworkAclID.NotFound"},
		"malformed id":   {ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{"acl-XYZ"}}, "InvalidNetworkAclId.Malformed"},
	} {
		_, err := client(s).DescribeNetworkAcls(t.Context(), &tt.in)
		if got := code(t, err); got != tt.want {
			t.Errorf("%s answers %q, want %q", name, got, tt.want)
		}
	}
}

func TestOwnAddresses(t *testing.T) {
	s := server(sim.EC2Config{})
	s.AddSubnet(sim.Subnet{ID: "subnet-1", VPC: vpcID, CIDR: netip.MustParsePrefix("10.1.1.0/24"), IPv6: netip.MustParsePrefix("2600:1f18::/64")})
	s.AddAddress(sim.Address{AllocationID: "eipalloc-1", Public: netip.MustParseAddr("192.0.2.10"), Private: netip.MustParseAddr("10.1.1.5"), InstanceID: "i-1"})
	s.AddNATGateway(sim.NATGateway{ID: "nat-1", VPC: vpcID, Subnet: "subnet-1", Public: netip.MustParseAddr("192.0.2.11")})
	c, ctx := client(s), t.Context()
	vpcs, err := c.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{vpcID}})
	if err != nil {
		t.Fatal(err)
	}
	v := vpcs.Vpcs[0]
	if *v.CidrBlock != "10.1.0.0/16" || *v.CidrBlockAssociationSet[0].CidrBlock != "10.1.0.0/16" ||
		*v.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock != "2600:1f18::/56" || v.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlockState.State != types.VpcCidrBlockStateCodeAssociated {
		t.Errorf("VPC %+v", v)
	}
	_, err = c.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{"vpc-9"}})
	if got := code(t, err); got != "InvalidVpcID.NotFound" {
		t.Errorf("unknown VPC answers %q", got)
	}
	addresses, err := c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{})
	if err != nil || *addresses.Addresses[0].PublicIp != "192.0.2.10" || *addresses.Addresses[0].PrivateIpAddress != "10.1.1.5" {
		t.Errorf("addresses %+v, %v", addresses, err)
	}
	nats, err := c.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{Filter: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{vpcID}}}})
	if err != nil || *nats.NatGateways[0].NatGatewayAddresses[0].PublicIp != "192.0.2.11" || nats.NatGateways[0].State != types.NatGatewayStateAvailable {
		t.Errorf("NAT gateways %+v, %v", nats, err)
	}
	subnets, err := c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil || *subnets.Subnets[0].CidrBlock != "10.1.1.0/24" || *subnets.Subnets[0].Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock != "2600:1f18::/64" {
		t.Errorf("subnets %+v, %v", subnets, err)
	}
}

func identify(ctx context.Context, h http.Handler, key, secret, region string) (*sts.GetCallerIdentityOutput, error) {
	return sts.New(sts.Options{
		Region:       region,
		BaseEndpoint: aws.String("https://sts.test"),
		Credentials:  credentials.NewStaticCredentialsProvider(key, secret, ""),
		HTTPClient:   &http.Client{Transport: sim.Transport(h)},
		Retryer:      aws.NopRetryer{},
	}).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
}

func TestCallerIdentity(t *testing.T) {
	s, known := server(sim.EC2Config{}), sim.DefaultCredential()
	out, err := identify(t.Context(), s, known.AccessKeyID, known.SecretAccessKey, "us-east-1")
	if err != nil || *out.Account != "123456789012" || *out.Arn != "arn:aws:iam::123456789012:user/simulated" || *out.UserId == "" {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = identify(t.Context(), s, "AKIAUNKNOWN", known.SecretAccessKey, "us-east-1")
	if got := code(t, err); got != "InvalidClientTokenId" {
		t.Errorf("an unknown key answers %q", got)
	}
	_, err = identify(t.Context(), s, known.AccessKeyID, "wrong", "us-east-1")
	if got := code(t, err); got != "SignatureDoesNotMatch" {
		t.Errorf("a wrong secret answers %q", got)
	}
	s.SetFaults(sim.EC2Faults{Expired: true})
	_, err = identify(t.Context(), s, known.AccessKeyID, known.SecretAccessKey, "us-east-1")
	if got := code(t, err); got != "ExpiredToken" {
		t.Errorf("expired credentials answer %q", got)
	}
}
