package nacl

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"selfprotect/firewall"
)

// This file reads the networks that a VPC reaches without the Internet: those of
// peered VPCs, and the destinations of its private routes.

// Routes that are wider than this are no networks of our own but a way out, such
// as 0.0.0.0/0 or the halves of it: guarding them would guard the Internet.
const (
	widestRoute4 = 8
	widestRoute6 = 16
)

// readPeers reads the peering connections of VPCs, asked for from either end. Those
// that are over count no more.
func (b *Backend) readPeers(ctx context.Context, g *group, ids []string) error {
	peers := map[string][]firewall.Linked{}
	for _, end := range []string{"requester", "accepter"} {
		in := &ec2.DescribeVpcPeeringConnectionsInput{Filters: []types.Filter{{Name: aws.String(end + "-vpc-info.vpc-id"), Values: ids}}}
		for pages := ec2.NewDescribeVpcPeeringConnectionsPaginator(g.read, in); pages.HasMorePages(); {
			page, err := call(ctx, b.timeout, func(ctx context.Context) (*ec2.DescribeVpcPeeringConnectionsOutput, error) {
				return pages.NextPage(ctx)
			})
			if err != nil {
				return err
			}
			for _, c := range page.VpcPeeringConnections {
				addPeer(peers, ids, c)
			}
		}
	}
	for id := range peers {
		peers[id] = sortLinked(peers[id])
	}
	g.own.peers = peers
	return nil
}

// addPeer adds the networks of the other end to each of our VPCs.
func addPeer(peers map[string][]firewall.Linked, ids []string, c types.VpcPeeringConnection) {
	if c.RequesterVpcInfo == nil || c.AccepterVpcInfo == nil || c.Status != nil && over(c.Status.Code) {
		return
	}
	via := "VPC peering " + aws.ToString(c.VpcPeeringConnectionId)
	for _, ends := range [][2]*types.VpcPeeringConnectionVpcInfo{{c.RequesterVpcInfo, c.AccepterVpcInfo}, {c.AccepterVpcInfo, c.RequesterVpcInfo}} {
		ours, theirs := aws.ToString(ends[0].VpcId), ends[1]
		if !slices.Contains(ids, ours) {
			continue
		}
		for _, p := range peerPrefixes(theirs) {
			peers[ours] = append(peers[ours], firewall.Linked{Prefix: p, Via: via})
		}
	}
}

func over(code types.VpcPeeringConnectionStateReasonCode) bool {
	switch code {
	case types.VpcPeeringConnectionStateReasonCodeDeleted, types.VpcPeeringConnectionStateReasonCodeRejected,
		types.VpcPeeringConnectionStateReasonCodeFailed, types.VpcPeeringConnectionStateReasonCodeExpired:
		return true
	}
	return false
}

func peerPrefixes(v *types.VpcPeeringConnectionVpcInfo) []netip.Prefix {
	out := appendPrefix(nil, aws.ToString(v.CidrBlock))
	for _, c := range v.CidrBlockSet {
		out = appendPrefix(out, aws.ToString(c.CidrBlock))
	}
	for _, c := range v.Ipv6CidrBlockSet {
		out = appendPrefix(out, aws.ToString(c.Ipv6CidrBlock))
	}
	return out
}

// readRoutes reads every route table of VPCs.
func (b *Backend) readRoutes(ctx context.Context, g *group, ids []string) error {
	routes, wide := map[string][]firewall.Linked{}, map[string][]string{}
	in := &ec2.DescribeRouteTablesInput{Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: ids}}}
	err := eachPage(ctx, b.timeout, ec2.NewDescribeRouteTablesPaginator(g.read, in), func(page *ec2.DescribeRouteTablesOutput) {
		for _, t := range page.RouteTables {
			vpc := aws.ToString(t.VpcId)
			for _, r := range t.Routes {
				n, warning := toLinked(r)
				if n.Prefix.IsValid() {
					routes[vpc] = append(routes[vpc], n)
				}
				if warning != "" {
					wide[vpc] = append(wide[vpc], warning)
				}
			}
		}
	})
	if err != nil {
		return err
	}
	for id := range routes {
		routes[id] = sortLinked(routes[id])
	}
	for id := range wide {
		slices.Sort(wide[id])
		wide[id] = slices.Compact(wide[id])
	}
	g.own.routes, g.own.wide = routes, wide
	return nil
}

// toLinked gives the destination of a private route. A route to the Internet gives
// nothing; one whose networks are not known gives a warning.
func toLinked(r types.Route) (firewall.Linked, string) {
	via := privateTarget(r)
	if via == "" {
		return firewall.Linked{}, ""
	}
	if list := aws.ToString(r.DestinationPrefixListId); list != "" {
		return firewall.Linked{}, fmt.Sprintf("the networks of prefix list %s, which has a route to %s, are not known, so the guard lacks them: add them to never_block", list, via)
	}
	text := cmp.Or(aws.ToString(r.DestinationCidrBlock), aws.ToString(r.DestinationIpv6CidrBlock))
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return firewall.Linked{}, fmt.Sprintf("a route to %s has no destination that is understood", via)
	}
	p = p.Masked()
	widest := widestRoute4
	if p.Addr().Is6() {
		widest = widestRoute6
	}
	switch {
	case p.Bits() == 0:
		return firewall.Linked{}, ""
	case p.Bits() < widest:
		return firewall.Linked{}, fmt.Sprintf("%s has a route to %s and is too wide to be guarded: add what lies behind it to never_block", p, via)
	}
	return firewall.Linked{Prefix: p, Via: "a route to " + via}, ""
}

// privateTarget names where a private route leads; empty for one to the Internet.
func privateTarget(r types.Route) string {
	gateway := aws.ToString(r.GatewayId)
	if gateway != "local" && !strings.HasPrefix(gateway, "vgw-") {
		gateway = ""
	}
	return cmp.Or(aws.ToString(r.VpcPeeringConnectionId), aws.ToString(r.TransitGatewayId), gateway,
		aws.ToString(r.LocalGatewayId), aws.ToString(r.CoreNetworkArn))
}

// sortLinked sorts networks and keeps each once.
func sortLinked(all []firewall.Linked) []firewall.Linked {
	slices.SortFunc(all, func(a, b firewall.Linked) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), strings.Compare(a.Via, b.Via))
	})
	return slices.Compact(all)
}
