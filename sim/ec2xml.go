package sim

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
)

// answer is the body of a successful answer of any action: each fills its part.
type answer struct {
	XMLName   xml.Name
	RequestID string       `xml:"requestId"`
	Return    string       `xml:"return,omitempty"`
	ACLs      []xmlACL     `xml:"networkAclSet>item"`
	VPCs      []xmlVPC     `xml:"vpcSet>item"`
	Subnets   []xmlSubnet  `xml:"subnetSet>item"`
	Addresses []xmlAddress `xml:"addressesSet>item"`
	NATs      []xmlNAT     `xml:"natGatewaySet>item"`
	Peerings  []xmlPeering `xml:"vpcPeeringConnectionSet>item"`
	Tables    []xmlTable   `xml:"routeTableSet>item"`
	NextToken string       `xml:"nextToken,omitempty"`
	identity  *xmlIdentity
	quota     *quotaJSON
}

// encode gives the document, XML for all but Service Quotas.
func (a *answer) encode(action, id string) []byte {
	if a.quota != nil {
		return jsonDocument(a.quota)
	}
	name := xml.Name{Space: "http://ec2.amazonaws.com/doc/" + versionEC2 + "/", Local: action + "Response"}
	if a.identity != nil {
		name.Space = "https://sts.amazonaws.com/doc/" + versionSTS + "/"
		a.identity.XMLName, a.identity.RequestID = name, id
		return document(a.identity)
	}
	a.XMLName, a.RequestID = name, id
	if isWrite(action) {
		a.Return = "true"
	}
	return document(a)
}

func document(v any) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	if err := xml.NewEncoder(&b).Encode(v); err != nil {
		panic(fmt.Errorf("encode an answer: %w", err)) // its types are fixed
	}
	return b.Bytes()
}

// encode gives an error document, in the form of the service.
func (e *apiError) encode(id, service string) []byte {
	switch service {
	case serviceQuotas:
		return errorJSON(e)
	case serviceSTS:
		return document(struct {
			XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
			Type      string   `xml:"Error>Type"`
			Code      string   `xml:"Error>Code"`
			Message   string   `xml:"Error>Message"`
			RequestID string   `xml:"RequestId"`
		}{Type: "Sender", Code: e.code, Message: e.message, RequestID: id})
	}
	return document(struct {
		XMLName   xml.Name `xml:"Response"`
		Code      string   `xml:"Errors>Error>Code"`
		Message   string   `xml:"Errors>Error>Message"`
		RequestID string   `xml:"RequestID"`
	}{Code: e.code, Message: e.message, RequestID: id})
}

type xmlIdentity struct {
	XMLName   xml.Name
	ARN       string `xml:"GetCallerIdentityResult>Arn"`
	UserID    string `xml:"GetCallerIdentityResult>UserId"`
	Account   string `xml:"GetCallerIdentityResult>Account"`
	RequestID string `xml:"ResponseMetadata>RequestId"`
}

func (s *EC2) identity(who Credential) *xmlIdentity {
	arn := who.ARN
	if arn == "" {
		arn = "arn:aws:iam::" + s.config.AccountID + ":user/simulated"
	}
	return &xmlIdentity{ARN: arn, UserID: "AIDASIMULATED0000001", Account: s.config.AccountID}
}

type xmlTag struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

type xmlACL struct {
	ID           string           `xml:"networkAclId"`
	VPC          string           `xml:"vpcId"`
	Default      bool             `xml:"default"`
	Entries      []xmlEntry       `xml:"entrySet>item"`
	Associations []xmlAssociation `xml:"associationSet>item"`
	Tags         []xmlTag         `xml:"tagSet>item"`
	Owner        string           `xml:"ownerId"`
}

type xmlAssociation struct {
	ID     string `xml:"networkAclAssociationId"`
	ACL    string `xml:"networkAclId"`
	Subnet string `xml:"subnetId"`
}

type xmlEntry struct {
	Number   int       `xml:"ruleNumber"`
	Protocol string    `xml:"protocol"`
	Action   string    `xml:"ruleAction"`
	Egress   bool      `xml:"egress"`
	CIDR     string    `xml:"cidrBlock,omitempty"`
	IPv6     string    `xml:"ipv6CidrBlock,omitempty"`
	Ports    *xmlPorts `xml:"portRange"`
	ICMP     *xmlICMP  `xml:"icmpTypeCode"`
}

type xmlPorts struct {
	From int `xml:"from"`
	To   int `xml:"to"`
}

type xmlICMP struct {
	Code int `xml:"code"`
	Type int `xml:"type"`
}

func (e Entry) action() string {
	if e.Allow {
		return "allow"
	}
	return "deny"
}

func (e Entry) xml() xmlEntry {
	x := xmlEntry{Number: e.Number, Protocol: e.Protocol, Action: e.action(), Egress: e.Egress}
	if e.Prefix.Addr().Is6() {
		x.IPv6 = e.Prefix.String()
	} else {
		x.CIDR = e.Prefix.String()
	}
	switch e.Protocol {
	case protocolTCP, protocolUDP:
		x.Ports = &xmlPorts{e.FromPort, e.ToPort}
	case protocolICMP, protocolICMP6:
		x.ICMP = &xmlICMP{Code: e.ICMPCode, Type: e.ICMPType}
	}
	return x
}

func (s *EC2) aclXML(a ACL) xmlACL {
	x := xmlACL{ID: a.ID, VPC: a.VPC, Default: a.Default, Owner: s.config.AccountID}
	for _, e := range a.Entries {
		x.Entries = append(x.Entries, e.xml())
	}
	for _, sub := range a.Subnets {
		x.Associations = append(x.Associations, xmlAssociation{associationID(a.ID, sub), a.ID, sub})
	}
	if a.Name != "" {
		x.Tags = append(x.Tags, xmlTag{"Name", a.Name})
	}
	for _, key := range slices.Sorted(maps.Keys(a.Tags)) {
		x.Tags = append(x.Tags, xmlTag{key, a.Tags[key]})
	}
	return x
}

func associationID(acl, subnet string) string {
	h := fnv.New64a()
	h.Write([]byte(acl + subnet))
	return fmt.Sprintf("aclassoc-0%016x", h.Sum64())
}

type xmlVPC struct {
	ID    string     `xml:"vpcId"`
	Owner string     `xml:"ownerId"`
	State string     `xml:"state"`
	CIDR  string     `xml:"cidrBlock,omitempty"`
	IPv4  []xmlBlock `xml:"cidrBlockAssociationSet>item"`
	IPv6  []xmlBlock `xml:"ipv6CidrBlockAssociationSet>item"`
}

type xmlBlock struct {
	ID        string `xml:"associationId"`
	CIDR      string `xml:"cidrBlock,omitempty"`
	State     string `xml:"cidrBlockState>state,omitempty"`
	IPv6      string `xml:"ipv6CidrBlock,omitempty"`
	IPv6State string `xml:"ipv6CidrBlockState>state,omitempty"`
}

func (s *EC2) vpcXML(v vpc) xmlVPC {
	x := xmlVPC{ID: v.id, Owner: s.config.AccountID, State: "available"}
	for i, p := range v.cidrs {
		id := fmt.Sprintf("vpc-cidr-assoc-%017x", i+1)
		if p.Addr().Is6() {
			x.IPv6 = append(x.IPv6, xmlBlock{ID: id, IPv6: p.String(), IPv6State: "associated"})
			continue
		}
		if x.CIDR == "" {
			x.CIDR = p.String()
		}
		x.IPv4 = append(x.IPv4, xmlBlock{ID: id, CIDR: p.String(), State: "associated"})
	}
	return x
}

type xmlSubnet struct {
	ID    string     `xml:"subnetId"`
	VPC   string     `xml:"vpcId"`
	Owner string     `xml:"ownerId"`
	State string     `xml:"state"`
	CIDR  string     `xml:"cidrBlock,omitempty"`
	IPv6  []xmlBlock `xml:"ipv6CidrBlockAssociationSet>item"`
}

func (s *EC2) subnetXML(sub Subnet) xmlSubnet {
	x := xmlSubnet{ID: sub.ID, VPC: sub.VPC, Owner: s.config.AccountID, State: "available", CIDR: sub.CIDR.String()}
	if sub.IPv6.IsValid() {
		x.IPv6 = []xmlBlock{{ID: "subnet-cidr-assoc-1", IPv6: sub.IPv6.String(), IPv6State: "associated"}}
	}
	return x
}

type xmlAddress struct {
	Allocation string `xml:"allocationId"`
	Public     string `xml:"publicIp"`
	Private    string `xml:"privateIpAddress,omitempty"`
	Instance   string `xml:"instanceId,omitempty"`
	Domain     string `xml:"domain"`
}

func addressXML(a Address) xmlAddress {
	return xmlAddress{a.AllocationID, a.Public.String(), addrText(a.Private), a.InstanceID, "vpc"}
}

type xmlNAT struct {
	ID           string          `xml:"natGatewayId"`
	VPC          string          `xml:"vpcId"`
	Subnet       string          `xml:"subnetId"`
	State        string          `xml:"state"`
	Connectivity string          `xml:"connectivityType"`
	Addresses    []xmlNATAddress `xml:"natGatewayAddressSet>item"`
}

type xmlNATAddress struct {
	Public string `xml:"publicIp"`
}

func natXML(n NATGateway) xmlNAT {
	return xmlNAT{n.ID, n.VPC, n.Subnet, "available", "public", []xmlNATAddress{{n.Public.String()}}}
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
