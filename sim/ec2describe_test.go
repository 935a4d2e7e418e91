package sim_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"selfprotect/sim"
)

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
