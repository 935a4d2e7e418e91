package sim

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// write makes one change to a network ACL at the given time, or tells why not.
func (s *EC2) write(now time.Time, action string, f form) *apiError {
	live, failure := s.target(f)
	if failure != nil {
		return failure
	}
	number, egress, failure := place(f, action)
	if failure != nil {
		return failure
	}
	at, exists := live.find(egress, number)
	if action == actionDelete {
		if !exists {
			return noEntry(live.ID, number, egress)
		}
		live.set(now, slices.Delete(slices.Clone(live.Entries), at, at+1))
		return nil
	}
	e, failure := content(f)
	if failure != nil {
		return failure
	}
	e.Number, e.Egress = number, egress
	if action == actionReplace {
		return s.replace(now, live, at, exists, e)
	}
	switch {
	case exists && live.Entries[at] == e:
		return nil // a retry with the same attributes succeeds
	case exists:
		return badRequest("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.", number)
	case live.count(egress, e.Prefix.Addr().Is6()) >= s.config.Quota:
		return s.full()
	}
	live.set(now, append(slices.Clone(live.Entries), e))
	return nil
}

func (s *EC2) replace(now time.Time, live *liveACL, at int, exists bool, e Entry) *apiError {
	if !exists {
		return noEntry(live.ID, e.Number, e.Egress)
	}
	ipv6 := e.Prefix.Addr().Is6()
	if live.Entries[at].Prefix.Addr().Is6() != ipv6 && live.count(e.Egress, ipv6) >= s.config.Quota {
		return s.full()
	}
	next := slices.Clone(live.Entries)
	next[at] = e
	live.set(now, next)
	return nil
}

func (s *EC2) full() *apiError {
	return badRequest("NetworkAclEntryLimitExceeded", "The maximum number of network acl entries has been reached: %d.", s.config.Quota)
}

func badRequest(code, format string, args ...any) *apiError {
	return fail(http.StatusBadRequest, code, format, args...)
}

func missing(parameter string) *apiError {
	return badRequest("MissingParameter", "The request must contain the parameter %s", parameter)
}

func invalid(parameter, value string) *apiError {
	return badRequest("InvalidParameterValue", "Value (%s) for parameter %s is invalid.", value, parameter)
}

func noEntry(acl string, number int, egress bool) *apiError {
	direction := "ingress"
	if egress {
		direction = "egress"
	}
	return badRequest("InvalidNetworkAclEntry.NotFound", "The %s network acl entry with rule number %d does not exist in %s.", direction, number, acl)
}

// target gives the network ACL that a write names.
func (s *EC2) target(f form) (*liveACL, *apiError) {
	id := f.Get("NetworkAclId")
	if id == "" {
		return nil, missing("networkAclId")
	}
	return s.lookup(id)
}

func (s *EC2) lookup(id string) (*liveACL, *apiError) {
	if !aclID.MatchString(id) {
		return nil, badRequest("InvalidNetworkAclId.Malformed", "Invalid id: %q", id)
	}
	live, ok := s.acls[id]
	if !ok {
		return nil, badRequest("InvalidNetworkAclID.NotFound", "The networkAcl ID '%s' does not exist", id)
	}
	return live, nil
}

var aclID = regexp.MustCompile(`^acl-([0-9a-f]{8}|[0-9a-f]{17})$`)

// place reads where an entry stands. Only a replace may omit the direction,
// which then is ingress.
func place(f form, action string) (number int, egress bool, failure *apiError) {
	switch text := f.Get("Egress"); {
	case text == "true":
		egress = true
	case text == "" && action != actionReplace:
		return 0, false, missing("egress")
	case text != "" && text != "false":
		return 0, false, invalid("egress", text)
	}
	text := f.Get("RuleNumber")
	if text == "" {
		return 0, false, missing("ruleNumber")
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 || number > lastNumber {
		return 0, false, invalid("ruleNumber", text)
	}
	return number, egress, nil
}

// content reads what an entry says.
func content(f form) (Entry, *apiError) {
	var e Entry
	switch action := strings.ToLower(f.Get("RuleAction")); action {
	case "allow":
		e.Allow = true
	case "deny":
	case "":
		return e, missing("ruleAction")
	default:
		return e, invalid("ruleAction", action)
	}
	var failure *apiError
	if e.Prefix, failure = cidr(f); failure != nil {
		return e, failure
	}
	if e.Protocol, failure = protocol(f.Get("Protocol")); failure != nil {
		return e, failure
	}
	switch e.Protocol {
	case protocolTCP, protocolUDP:
		return e, ports(f, &e)
	case protocolICMP, protocolICMP6:
		if (e.Protocol == protocolICMP6) != e.Prefix.Addr().Is6() {
			return e, invalid("protocol", e.Protocol)
		}
		return e, icmp(f, &e)
	}
	return e, nil
}

func cidr(f form) (netip.Prefix, *apiError) {
	v4, v6 := f.Get("CidrBlock"), f.Get("Ipv6CidrBlock")
	switch {
	case v4 == "" && v6 == "":
		return netip.Prefix{}, badRequest("InvalidParameterValue", "Either cidrBlock or ipv6CidrBlock must be given.")
	case v4 != "" && v6 != "":
		return netip.Prefix{}, badRequest("InvalidParameterCombination", "The parameter cidrBlock cannot be used with the parameter ipv6CidrBlock")
	}
	name, text := "cidrBlock", v4
	if v6 != "" {
		name, text = "ipv6CidrBlock", v6
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4() != (v4 != "") || p.Addr().Is4In6() {
		return netip.Prefix{}, invalid(name, text)
	}
	return p.Masked(), nil
}

// protocol gives the number of a protocol; answers never hold a name.
func protocol(text string) (string, *apiError) {
	switch strings.ToLower(text) {
	case "":
		return "", missing("protocol")
	case "all", allProtocols:
		return allProtocols, nil
	case "tcp":
		return protocolTCP, nil
	case "udp":
		return protocolUDP, nil
	case "icmp":
		return protocolICMP, nil
	case "icmpv6":
		return protocolICMP6, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 255 {
		return "", invalid("protocol", text)
	}
	return strconv.Itoa(n), nil
}

func ports(f form, e *Entry) (failure *apiError) {
	if e.FromPort, failure = integer(f, "PortRange.From", 0, 65535); failure != nil {
		return failure
	}
	if e.ToPort, failure = integer(f, "PortRange.To", 0, 65535); failure != nil {
		return failure
	}
	if e.FromPort > e.ToPort {
		return invalid("portRange", f.Get("PortRange.From")+"-"+f.Get("PortRange.To"))
	}
	return nil
}

func icmp(f form, e *Entry) (failure *apiError) {
	if e.ICMPType, failure = integer(f, "Icmp.Type", -1, 255); failure != nil {
		return failure
	}
	e.ICMPCode, failure = integer(f, "Icmp.Code", -1, 255)
	return failure
}

func integer(f form, name string, low, high int) (int, *apiError) {
	text := f.Get(name)
	if text == "" {
		return 0, missing(name)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, invalid(name, text)
	}
	return n, nil
}
