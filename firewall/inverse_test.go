package firewall

import (
	"net/netip"
	"testing"
)

func TestInverse(t *testing.T) {
	p, q := netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("2001:db8::/64")
	for _, tc := range []struct {
		c    Change
		want string
	}{
		{Change{Op: Create, Direction: Egress, Number: 7, Prefix: p},
			"aws ec2 delete-network-acl-entry --region us-east-1 --network-acl-id acl-1 --egress --rule-number 7"},
		{Change{Op: Delete, Direction: Ingress, Number: 8, Prefix: p},
			"aws ec2 create-network-acl-entry --region us-east-1 --network-acl-id acl-1 --ingress --rule-number 8 --protocol=-1 --rule-action deny --cidr-block 203.0.113.7/32"},
		{Change{Op: Replace, Direction: Egress, Number: 9, Prefix: p, Old: q},
			"aws ec2 replace-network-acl-entry --region us-east-1 --network-acl-id acl-1 --egress --rule-number 9 --protocol=-1 --rule-action deny --ipv6-cidr-block 2001:db8::/64"},
	} {
		if got := Inverse("us-east-1", "acl-1", tc.c); got != tc.want {
			t.Errorf("%s\n got %s\nwant %s", tc.c, got, tc.want)
		}
	}
	if got := Inverse("", "acl-1; rm -rf $HOME", Change{Op: Create, Direction: Egress, Number: 1, Prefix: p}); got != "aws ec2 delete-network-acl-entry --network-acl-id acl-1rm-rfHOME --egress --rule-number 1" {
		t.Errorf("a hostile id gives %s", got)
	}
}
