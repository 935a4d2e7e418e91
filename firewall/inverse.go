package firewall

import (
	"fmt"
	"net/netip"
	"strings"
)

// Command gives the AWS CLI command that makes a change, for people to read and to
// run (AWS CLI Command Reference, as Inverse).
func Command(region, acl string, c Change) string {
	return command(c.Op.Verb(), c.Prefix, region, acl, c)
}

// Inverse gives the AWS CLI command that takes a change back, with the same
// number, so that undoing it needs neither this program nor its journal (AWS CLI
// Command Reference, ec2 create-, replace- and delete-network-acl-entry). The
// words hold nothing that a shell would touch.
func Inverse(region, acl string, c Change) string {
	verb, prefix := "create", c.Prefix
	switch c.Op {
	case Create:
		verb = "delete"
	case Replace:
		verb, prefix = "replace", c.Old
	}
	return command(verb, prefix, region, acl, c)
}

func command(verb string, prefix netip.Prefix, region, acl string, c Change) string {
	words := []string{"aws ec2 " + verb + "-network-acl-entry"}
	if region != "" {
		words = append(words, "--region "+plainWord(region))
	}
	words = append(words, "--network-acl-id "+plainWord(acl), "--"+c.Direction.String(), fmt.Sprintf("--rule-number %d", c.Number))
	if verb != "delete" {
		family := "--cidr-block"
		if FamilyOf(prefix) == IPv6 {
			family = "--ipv6-cidr-block"
		}
		words = append(words, "--protocol=-1 --rule-action deny", family+" "+prefix.String())
	}
	return strings.Join(words, " ")
}

// plainWord leaves only what ids and names of regions are made of.
func plainWord(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return -1
	}, s)
}
