package sim

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Peering is a VPC peering connection. Either end may be in another account.
type Peering struct {
	ID                  string
	Requester, Accepter PeeringEnd
	Status              string // active when empty
}

// PeeringEnd is one VPC of a peering connection.
type PeeringEnd struct {
	VPC   string
	Owner string // the server's own account when empty
	CIDRs []netip.Prefix
}

// RouteTable is a route table of a VPC.
type RouteTable struct {
	ID, VPC string
	Routes  []Route
}

// Route is one line of a route table. Destination is a CIDR or the id of a prefix
// list, Target the id of a gateway or connection, or "local".
type Route struct{ Destination, Target string }

// AddPeering adds a peering connection.
func (s *EC2) AddPeering(p Peering) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peerings = append(s.peerings, p)
}

// AddRouteTable adds a route table.
func (s *EC2) AddRouteTable(t RouteTable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Routes = slices.Clone(t.Routes)
	s.tables = append(s.tables, t)
}

func peeringFields(p Peering) (string, fields) {
	return p.ID, func(filter string) ([]string, bool) {
		switch filter {
		case "vpc-peering-connection-id":
			return []string{p.ID}, true
		case "requester-vpc-info.vpc-id":
			return []string{p.Requester.VPC}, true
		case "accepter-vpc-info.vpc-id":
			return []string{p.Accepter.VPC}, true
		case "status-code":
			return []string{p.status()}, true
		}
		return nil, false
	}
}

func (p Peering) status() string { return cmp.Or(p.Status, "active") }

func tableFields(t RouteTable) (string, fields) {
	return t.ID, func(filter string) ([]string, bool) {
		switch filter {
		case "route-table-id":
			return []string{t.ID}, true
		case "vpc-id":
			return []string{t.VPC}, true
		}
		return nil, false
	}
}

type xmlPeering struct {
	ID        string  `xml:"vpcPeeringConnectionId"`
	Requester xmlPeer `xml:"requesterVpcInfo"`
	Accepter  xmlPeer `xml:"accepterVpcInfo"`
	Status    string  `xml:"status>code"`
	Message   string  `xml:"status>message"`
}

type xmlPeer struct {
	Owner string     `xml:"ownerId"`
	VPC   string     `xml:"vpcId"`
	CIDR  string     `xml:"cidrBlock,omitempty"`
	IPv4  []xmlBlock `xml:"cidrBlockSet>item"`
	IPv6  []xmlBlock `xml:"ipv6CidrBlockSet>item"`
}

func (s *EC2) peeringXML(p Peering) xmlPeering {
	return xmlPeering{p.ID, s.peerXML(p.Requester), s.peerXML(p.Accepter), p.status(), p.status()}
}

func (s *EC2) peerXML(e PeeringEnd) xmlPeer {
	x := xmlPeer{Owner: cmp.Or(e.Owner, s.config.AccountID), VPC: e.VPC}
	for _, p := range prefixes(e.CIDRs, false) {
		x.CIDR = cmp.Or(x.CIDR, p)
		x.IPv4 = append(x.IPv4, xmlBlock{CIDR: p})
	}
	for _, p := range prefixes(e.CIDRs, true) {
		x.IPv6 = append(x.IPv6, xmlBlock{IPv6: p})
	}
	return x
}

type xmlTable struct {
	ID     string     `xml:"routeTableId"`
	VPC    string     `xml:"vpcId"`
	Owner  string     `xml:"ownerId"`
	Routes []xmlRoute `xml:"routeSet>item"`
}

type xmlRoute struct {
	IPv4    string `xml:"destinationCidrBlock,omitempty"`
	IPv6    string `xml:"destinationIpv6CidrBlock,omitempty"`
	List    string `xml:"destinationPrefixListId,omitempty"`
	Gateway string `xml:"gatewayId,omitempty"`
	NAT     string `xml:"natGatewayId,omitempty"`
	Transit string `xml:"transitGatewayId,omitempty"`
	Peering string `xml:"vpcPeeringConnectionId,omitempty"`
	State   string `xml:"state"`
	Origin  string `xml:"origin"`
}

func (s *EC2) tableXML(t RouteTable) xmlTable {
	x := xmlTable{ID: t.ID, VPC: t.VPC, Owner: s.config.AccountID}
	for _, r := range t.Routes {
		x.Routes = append(x.Routes, r.xml())
	}
	return x
}

func (r Route) xml() xmlRoute {
	x := xmlRoute{State: "active", Origin: "CreateRoute"}
	switch {
	case strings.HasPrefix(r.Destination, "pl-"):
		x.List = r.Destination
	case strings.Contains(r.Destination, ":"):
		x.IPv6 = r.Destination
	default:
		x.IPv4 = r.Destination
	}
	kind, _, _ := strings.Cut(r.Target, "-")
	switch kind {
	case "pcx":
		x.Peering = r.Target
	case "tgw":
		x.Transit = r.Target
	case "nat":
		x.NAT = r.Target
	case "local":
		x.Gateway, x.Origin = r.Target, "CreateRouteTable"
	default: // igw, vgw, vpce
		x.Gateway = r.Target
	}
	return x
}
