package sim

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// describe answers a describe; network ACLs as they were at the time seen.
func (s *EC2) describe(f form, action string, seen time.Time) (*answer, *apiError) {
	switch action {
	case actionDescribe:
		return s.describeACLs(f, seen)
	case actionVPCs:
		return list(f, "VpcId", "InvalidVpcID.NotFound", s.vpcs, vpcFields, func(a *answer, v vpc) { a.VPCs = append(a.VPCs, s.vpcXML(v)) })
	case actionSubnets:
		return list(f, "SubnetId", "InvalidSubnetID.NotFound", s.subnets, subnetFields,
			func(a *answer, sub Subnet) { a.Subnets = append(a.Subnets, s.subnetXML(sub)) })
	case actionAddresses:
		return list(f, "AllocationId", "InvalidAllocationID.NotFound", s.elastic, addressFields,
			func(a *answer, e Address) { a.Addresses = append(a.Addresses, addressXML(e)) })
	case actionPeerings:
		return list(f, "VpcPeeringConnectionId", "InvalidVpcPeeringConnectionID.NotFound", s.peerings, peeringFields,
			func(a *answer, p Peering) { a.Peerings = append(a.Peerings, s.peeringXML(p)) })
	case actionRoutes:
		return list(f, "RouteTableId", "InvalidRouteTableID.NotFound", s.tables, tableFields,
			func(a *answer, t RouteTable) { a.Tables = append(a.Tables, s.tableXML(t)) })
	default:
		return list(f, "NatGatewayId", "NatGatewayNotFound", s.nats, natFields,
			func(a *answer, n NATGateway) { a.NATs = append(a.NATs, natXML(n)) })
	}
}

func (s *EC2) describeACLs(f form, seen time.Time) (*answer, *apiError) {
	for _, id := range f.list("NetworkAclId") {
		if _, failure := s.lookup(id); failure != nil {
			return nil, failure
		}
	}
	var all []ACL
	for _, id := range slices.Sorted(maps.Keys(s.acls)) {
		a := s.acls[id].ACL
		a.Entries = s.acls[id].asOf(seen)
		all = append(all, a)
	}
	return list(f, "NetworkAclId", "InvalidNetworkAclID.NotFound", all, s.aclFields,
		func(a *answer, acl ACL) { a.ACLs = append(a.ACLs, s.aclXML(acl)) })
}

// fields gives the id of a thing and the values that each filter looks at.
type fields func(filter string) (values []string, known bool)

func (s *EC2) aclFields(a ACL) (string, fields) {
	return a.ID, func(filter string) ([]string, bool) {
		if key, ok := strings.CutPrefix(filter, "tag:"); ok {
			return tagValues(a, key), true
		}
		if name, ok := strings.CutPrefix(filter, "entry."); ok {
			return entryValues(a.Entries, name)
		}
		switch filter {
		case "network-acl-id":
			return []string{a.ID}, true
		case "vpc-id":
			return []string{a.VPC}, true
		case "default":
			return []string{strconv.FormatBool(a.Default)}, true
		case "owner-id":
			return []string{s.config.AccountID}, true
		case "association.subnet-id":
			return a.Subnets, true
		case "association.network-acl-id":
			return repeat(a.ID, len(a.Subnets)), true
		case "association.association-id":
			var ids []string
			for _, sub := range a.Subnets {
				ids = append(ids, associationID(a.ID, sub))
			}
			return ids, true
		case "tag-key":
			keys := slices.Collect(maps.Keys(a.Tags))
			if a.Name != "" {
				keys = append(keys, "Name")
			}
			return keys, true
		}
		return nil, false
	}
}

func tagValues(a ACL, key string) []string {
	if key == "Name" && a.Name != "" {
		return []string{a.Name}
	}
	if v, ok := a.Tags[key]; ok {
		return []string{v}
	}
	return nil
}

// entryValues gives what an entry filter looks at: it selects whole network
// ACLs that have such an entry.
func entryValues(entries []Entry, name string) ([]string, bool) {
	var value func(Entry) (string, bool)
	number := func(get func(Entry) int, protocols ...string) func(Entry) (string, bool) {
		return func(e Entry) (string, bool) { return strconv.Itoa(get(e)), named(protocols, e.Protocol) }
	}
	switch name {
	case "cidr":
		value = func(e Entry) (string, bool) { return e.Prefix.String(), e.Prefix.Addr().Is4() }
	case "ipv6-cidr":
		value = func(e Entry) (string, bool) { return e.Prefix.String(), e.Prefix.Addr().Is6() }
	case "egress":
		value = func(e Entry) (string, bool) { return strconv.FormatBool(e.Egress), true }
	case "rule-action":
		value = func(e Entry) (string, bool) { return e.action(), true }
	case "rule-number":
		value = number(func(e Entry) int { return e.Number })
	case "protocol":
		value = func(e Entry) (string, bool) { return e.Protocol, true }
	case "port-range.from":
		value = number(func(e Entry) int { return e.FromPort }, protocolTCP, protocolUDP)
	case "port-range.to":
		value = number(func(e Entry) int { return e.ToPort }, protocolTCP, protocolUDP)
	case "icmp.type":
		value = number(func(e Entry) int { return e.ICMPType }, protocolICMP, protocolICMP6)
	case "icmp.code":
		value = number(func(e Entry) int { return e.ICMPCode }, protocolICMP, protocolICMP6)
	default:
		return nil, false
	}
	var out []string
	for _, e := range entries {
		if v, ok := value(e); ok {
			out = append(out, v)
		}
	}
	return out, true
}

func vpcFields(v vpc) (string, fields) {
	return v.id, func(filter string) ([]string, bool) {
		switch filter {
		case "vpc-id":
			return []string{v.id}, true
		case "state":
			return []string{"available"}, true
		case "cidr-block-association.cidr-block":
			return prefixes(v.cidrs, false), true
		case "ipv6-cidr-block-association.ipv6-cidr-block":
			return prefixes(v.cidrs, true), true
		}
		return nil, false
	}
}

func prefixes(all []netip.Prefix, ipv6 bool) []string {
	var out []string
	for _, p := range all {
		if p.Addr().Is6() == ipv6 {
			out = append(out, p.String())
		}
	}
	return out
}

func subnetFields(s Subnet) (string, fields) {
	return s.ID, func(filter string) ([]string, bool) {
		switch filter {
		case "subnet-id":
			return []string{s.ID}, true
		case "vpc-id":
			return []string{s.VPC}, true
		}
		return nil, false
	}
}

func addressFields(a Address) (string, fields) {
	return a.AllocationID, func(filter string) ([]string, bool) {
		switch filter {
		case "allocation-id":
			return []string{a.AllocationID}, true
		case "public-ip":
			return []string{a.Public.String()}, true
		case "instance-id":
			return []string{a.InstanceID}, true
		case "domain":
			return []string{"vpc"}, true
		}
		return nil, false
	}
}

func natFields(n NATGateway) (string, fields) {
	return n.ID, func(filter string) ([]string, bool) {
		switch filter {
		case "nat-gateway-id":
			return []string{n.ID}, true
		case "vpc-id":
			return []string{n.VPC}, true
		case "subnet-id":
			return []string{n.Subnet}, true
		case "state":
			return []string{"available"}, true
		}
		return nil, false
	}
}

func repeat(v string, n int) []string { return slices.Repeat([]string{v}, n) }

// list selects, pages and renders the things that a describe asks for.
func list[T any](f form, idKey, notFound string, all []T, look func(T) (string, fields), add func(*answer, T)) (*answer, *apiError) {
	ids, filters := f.list(idKey), f.filters()
	size, failure := pageSize(f, idKey, len(ids) > 0)
	if failure != nil {
		return nil, failure
	}
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b T) int {
		ida, _ := look(a)
		idb, _ := look(b)
		return cmp.Compare(ida, idb)
	})
	query := fmt.Sprint(idKey, ids, filters)
	after, failure := f.cursor(query)
	if failure != nil {
		return nil, failure
	}
	out, found, last := &answer{}, map[string]bool{}, ""
	n := 0
	for _, thing := range sorted {
		id, values := look(thing)
		found[id] = true
		keep, failure := selected(filters, values)
		if failure != nil {
			return nil, failure
		}
		if !keep || !named(ids, id) || id <= after {
			continue
		}
		if n == size {
			out.NextToken = cursor(query, last)
			break
		}
		add(out, thing)
		n, last = n+1, id
	}
	for _, id := range ids {
		if !found[id] && out.NextToken == "" {
			return nil, badRequest(notFound, "The ID '%s' does not exist", id)
		}
	}
	return out, nil
}

// pageSize gives the page's size, one that is never reached without MaxResults.
func pageSize(f form, idKey string, byID bool) (int, *apiError) {
	text := f.Get("MaxResults")
	if text == "" {
		return -1, nil
	}
	if byID {
		return 0, badRequest("InvalidParameterCombination", "The parameter %ss cannot be used with the parameter MaxResults", idKey)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 5 || n > 1000 {
		return 0, badRequest("InvalidParameterValue", "Value ( %s ) for parameter maxResults is invalid. Expecting a value between 5 and 1000.", text)
	}
	return n, nil
}

// A cursor is bound to the query that it continues.
func cursor(query, last string) string {
	h := fnv.New64a()
	h.Write([]byte(query))
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%016x%s", h.Sum64(), last))
}

func (f form) cursor(query string) (after string, failure *apiError) {
	token := f.Get("NextToken")
	if token == "" {
		return "", nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(text) < 16 || cursor(query, string(text[16:])) != token {
		return "", badRequest("InvalidPaginationToken", "The pagination token is not valid for this request.")
	}
	return string(text[16:]), nil
}

// list gives the values key.1, key.2, …
func (f form) list(key string) []string {
	var out []string
	for i := 1; f.Has(key + "." + strconv.Itoa(i)); i++ {
		out = append(out, f.Get(key+"."+strconv.Itoa(i)))
	}
	return out
}

type filter struct {
	name   string
	values []string
}

func (f form) filters() []filter {
	var out []filter
	for i := 1; ; i++ {
		key := "Filter." + strconv.Itoa(i)
		if !f.Has(key + ".Name") {
			return out
		}
		out = append(out, filter{f.Get(key + ".Name"), f.list(key + ".Value")})
	}
}

// selected tells whether every filter has a value that the thing has too.
func selected(filters []filter, look fields) (bool, *apiError) {
	for _, f := range filters {
		have, known := look(f.name)
		if !known {
			return false, badRequest("InvalidParameterValue", "The filter '%s' is invalid", f.name)
		}
		if !slices.ContainsFunc(f.values, func(want string) bool {
			return slices.ContainsFunc(have, func(v string) bool { return wildcard(want, v) })
		}) {
			return false, nil
		}
	}
	return true, nil
}

// wildcard matches a filter value, in which * is any text and ? any character.
func wildcard(pattern, text string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == text
	}
	quoted := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	ok, err := regexp.MatchString("^(?s:"+quoted+")$", text)
	return err == nil && ok
}
