package nacl

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// op is one operation of EC2's client.
type op[In, Out any] func(context.Context, *In, ...func(*ec2.Options)) (*Out, error)

// reads are the operations of an EC2 client that only look.
//
// They are kept as functions and not as the client itself: a client in an
// interface would keep all its 700 operations in the program, 20 MB of code, as
// the linker must assume that templates could call them by name.
type reads struct {
	networkACLs op[ec2.DescribeNetworkAclsInput, ec2.DescribeNetworkAclsOutput]
	vpcs        op[ec2.DescribeVpcsInput, ec2.DescribeVpcsOutput]
	natGateways op[ec2.DescribeNatGatewaysInput, ec2.DescribeNatGatewaysOutput]
	peerings    op[ec2.DescribeVpcPeeringConnectionsInput, ec2.DescribeVpcPeeringConnectionsOutput]
	routeTables op[ec2.DescribeRouteTablesInput, ec2.DescribeRouteTablesOutput]
	addresses   op[ec2.DescribeAddressesInput, ec2.DescribeAddressesOutput]
	subnets     op[ec2.DescribeSubnetsInput, ec2.DescribeSubnetsOutput]
}

func readsOf(c *ec2.Client) reads {
	return reads{c.DescribeNetworkAcls, c.DescribeVpcs, c.DescribeNatGateways, c.DescribeVpcPeeringConnections, c.DescribeRouteTables, c.DescribeAddresses, c.DescribeSubnets}
}

func (r reads) DescribeNetworkAcls(ctx context.Context, in *ec2.DescribeNetworkAclsInput, o ...func(*ec2.Options)) (*ec2.DescribeNetworkAclsOutput, error) {
	return r.networkACLs(ctx, in, o...)
}

func (r reads) DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput, o ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	return r.vpcs(ctx, in, o...)
}

func (r reads) DescribeNatGateways(ctx context.Context, in *ec2.DescribeNatGatewaysInput, o ...func(*ec2.Options)) (*ec2.DescribeNatGatewaysOutput, error) {
	return r.natGateways(ctx, in, o...)
}

func (r reads) DescribeVpcPeeringConnections(ctx context.Context, in *ec2.DescribeVpcPeeringConnectionsInput, o ...func(*ec2.Options)) (*ec2.DescribeVpcPeeringConnectionsOutput, error) {
	return r.peerings(ctx, in, o...)
}

func (r reads) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput, o ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	return r.routeTables(ctx, in, o...)
}

func (r reads) DescribeAddresses(ctx context.Context, in *ec2.DescribeAddressesInput, o ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error) {
	return r.addresses(ctx, in, o...)
}

func (r reads) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput, o ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	return r.subnets(ctx, in, o...)
}

// writes are the operations of an EC2 client that change entries.
type writes struct {
	create  op[ec2.CreateNetworkAclEntryInput, ec2.CreateNetworkAclEntryOutput]
	replace op[ec2.ReplaceNetworkAclEntryInput, ec2.ReplaceNetworkAclEntryOutput]
	remove  op[ec2.DeleteNetworkAclEntryInput, ec2.DeleteNetworkAclEntryOutput]
}

func writesOf(c *ec2.Client) writes {
	return writes{c.CreateNetworkAclEntry, c.ReplaceNetworkAclEntry, c.DeleteNetworkAclEntry}
}

func (w writes) CreateNetworkAclEntry(ctx context.Context, in *ec2.CreateNetworkAclEntryInput, o ...func(*ec2.Options)) (*ec2.CreateNetworkAclEntryOutput, error) {
	return w.create(ctx, in, o...)
}

func (w writes) ReplaceNetworkAclEntry(ctx context.Context, in *ec2.ReplaceNetworkAclEntryInput, o ...func(*ec2.Options)) (*ec2.ReplaceNetworkAclEntryOutput, error) {
	return w.replace(ctx, in, o...)
}

func (w writes) DeleteNetworkAclEntry(ctx context.Context, in *ec2.DeleteNetworkAclEntryInput, o ...func(*ec2.Options)) (*ec2.DeleteNetworkAclEntryOutput, error) {
	return w.remove(ctx, in, o...)
}
