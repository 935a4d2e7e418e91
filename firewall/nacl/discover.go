package nacl

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"selfprotect/firewall"
)

// Place is where network ACLs are looked for; what is empty is the SDK's.
type Place struct{ Region, Profile, Role string }

// Found is every network ACL of an account and region.
type Found struct {
	Region string // as the SDK found it
	// ACLs are sorted by VPC, then name, then id. They lack what only the guard needs.
	ACLs []firewall.ACL
	// Subnets are those that could be read, by id.
	Subnets map[string]Subnet
}

// Subnet is a subnet for people.
type Subnet struct {
	Name string // raw tag; show it only cleaned
	CIDR netip.Prefix
}

// Discover lists the network ACLs of a place, for a person who chooses among them.
// It needs DescribeNetworkAcls; without DescribeSubnets the subnets have no names.
func Discover(ctx context.Context, at Place, cfg Config) (Found, error) {
	cfg.Targets, cfg.ReadOnly = []Target{{Region: at.Region, Profile: at.Profile, Role: at.Role}}, true
	b, err := Open(ctx, cfg)
	if err != nil {
		return Found{}, err
	}
	g := b.groups[0]
	out := Found{Region: g.cfg.Region, Subnets: map[string]Subnet{}}
	if g.err != nil {
		return out, explain(g.err, g)
	}
	var wg sync.WaitGroup
	var quota int
	wg.Go(func() { quota = g.quota.read(ctx) })
	wg.Go(func() { b.namedSubnets(ctx, g, out.Subnets) })
	err = b.everyACL(ctx, g, &out)
	wg.Wait()
	if err != nil {
		return out, explain(err, g)
	}
	for i := range out.ACLs {
		out.ACLs[i].Quota = quota
	}
	slices.SortFunc(out.ACLs, func(a, b firewall.ACL) int {
		return cmp.Or(cmp.Compare(a.VPC, b.VPC), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

func (b *Backend) everyACL(ctx context.Context, g *group, out *Found) error {
	in := &ec2.DescribeNetworkAclsInput{MaxResults: aws.Int32(200)}
	for pages := ec2.NewDescribeNetworkAclsPaginator(g.read, in); pages.HasMorePages(); {
		page, err := call(ctx, b.timeout, func(ctx context.Context) (*ec2.DescribeNetworkAclsOutput, error) { return pages.NextPage(ctx) })
		if err != nil {
			return err
		}
		for _, a := range page.NetworkAcls {
			out.ACLs = append(out.ACLs, toACL(a, g.cfg.Region))
		}
	}
	return nil
}

// namedSubnets reads what subnets are called. They are good to know only, so a
// failure leaves them out.
func (b *Backend) namedSubnets(ctx context.Context, g *group, out map[string]Subnet) {
	for pages := ec2.NewDescribeSubnetsPaginator(g.read, &ec2.DescribeSubnetsInput{}); pages.HasMorePages(); {
		page, err := call(ctx, b.timeout, func(ctx context.Context) (*ec2.DescribeSubnetsOutput, error) { return pages.NextPage(ctx) })
		if err != nil {
			return
		}
		for _, s := range page.Subnets {
			n := Subnet{}
			n.CIDR, _ = netip.ParsePrefix(aws.ToString(s.CidrBlock))
			for _, t := range s.Tags {
				if aws.ToString(t.Key) == "Name" {
					n.Name = aws.ToString(t.Value)
				}
			}
			out[aws.ToString(s.SubnetId)] = n
		}
	}
}
