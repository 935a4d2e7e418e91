package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"selfprotect/config"
	"selfprotect/firewall"
	"selfprotect/firewall/nacl"
)

// network settles region and network ACLs.
func (o *initOptions) network(ctx context.Context) error {
	heading(o.out, "Network ACL")
	found, err := o.discover(ctx)
	if nacl.CredentialError(err) {
		return credentialError(err)
	}
	if err != nil {
		return err
	}
	if len(found.ACLs) == 0 {
		return credentialError(fmt.Errorf("there is no network ACL in %s of this account: check region and profile", found.Region))
	}
	chosen, err := o.chooseACLs(ctx, found)
	if err != nil {
		return err
	}
	for _, a := range chosen {
		c := config.ACL{ID: a.ID, Name: a.Name, Region: found.Region, Profile: o.profile, Role: o.role}
		if o.inbound {
			c.Directions = []firewall.Direction{firewall.Egress, firewall.Ingress}
		}
		o.choice.ACLs = append(o.choice.ACLs, c)
		fmt.Fprintf(o.out, "  writes to %s %s in %s\n", a.ID, clean(a.Name), found.Region)
	}
	return nil
}

// discover lists the network ACLs of a region. A person says which one; the SDK's
// goes without saying.
func (o *initOptions) discover(ctx context.Context) (nacl.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // a person may be asked
	defer cancel()
	at := nacl.Place{Region: o.region, Profile: o.profile, Role: o.role}
	cfg := nacl.Config{AppID: "selfprotect"}
	found, err := nacl.Discover(ctx, at, cfg)
	if o.region != "" || o.ask == nil {
		return found, err
	}
	region, aerr := o.ask.text(ctx, "  region", found.Region, notEmpty)
	if aerr != nil || region == found.Region {
		return found, errors.Join(aerr, err)
	}
	at.Region = region
	return nacl.Discover(ctx, at, cfg)
}

func (o *initOptions) chooseACLs(ctx context.Context, found nacl.Found) ([]firewall.ACL, error) {
	var out []firewall.ACL
	for _, name := range o.acls {
		i := slices.IndexFunc(found.ACLs, func(a firewall.ACL) bool { return a.ID == name || a.Name == name })
		if i < 0 {
			return nil, credentialError(fmt.Errorf("there is no network ACL %q in %s of this account: check region and profile", clean(name), found.Region))
		}
		out = append(out, found.ACLs[i])
	}
	used := slices.DeleteFunc(slices.Clone(found.ACLs), func(a firewall.ACL) bool { return len(a.Subnets) == 0 })
	switch {
	case len(out) > 0:
		return out, nil
	case o.ask == nil && len(used) == 1:
		return used, nil
	case o.ask == nil:
		var names []string
		for _, a := range found.ACLs {
			names = append(names, fmt.Sprintf("\n  --acl %s  %s, of %s, %d subnets", a.ID, clean(a.Name), a.VPC, len(a.Subnets)))
		}
		return nil, usageError(fmt.Errorf("say which network ACL takes the entries:%s", strings.Join(names, "")))
	}
	fmt.Fprint(o.ask.out, listACLs(found, widthOf(o.ask.out)))
	def := 0
	if len(used) == 1 {
		def = 1 + slices.IndexFunc(found.ACLs, func(a firewall.ACL) bool { return a.ID == used[0].ID })
	}
	places, err := o.ask.pick(ctx, "  number (of the subnets through which the traffic leaves)", len(found.ACLs), def)
	for _, i := range places {
		out = append(out, found.ACLs[i])
	}
	return out, err
}

// listACLs shows what one must know to choose.
func listACLs(found nacl.Found, width int) string {
	var b strings.Builder
	for i, a := range found.ACLs {
		head := fmt.Sprintf("  %2d  ", i+1)
		below := strings.Repeat(" ", len(head))
		name := a.ID + "  " + clean(a.Name)
		if a.IsVPCDefault {
			name += "  (default of its VPC)"
		}
		writeWrapped(&b, head, name, width, plainStyle)
		quota := a.Quota
		if quota == 0 {
			quota = firewall.DefaultQuota
		}
		broad, _ := lowestAllows(a, firewall.Egress)
		allow := "no allow of everything"
		if broad.Number > 0 {
			allow = fmt.Sprintf("lowest allow %d", broad.Number)
		}
		writeWrapped(&b, below, fmt.Sprintf("of %s; egress: %d IPv4 and %d IPv6 entries free of %d, %s", a.VPC, max(quota-a.Count(firewall.Egress, firewall.IPv4), 0),
			max(quota-a.Count(firewall.Egress, firewall.IPv6), 0), quota, allow), width, plainStyle)
		writeWrapped(&b, below, "used by "+subnetsText(a.Subnets, found), width, plainStyle)
	}
	return b.String()
}

func subnetsText(ids []string, found nacl.Found) string {
	if len(ids) == 0 {
		return "no subnet"
	}
	var out []string
	for _, id := range ids {
		s := found.Subnets[id]
		text := id
		if s.Name != "" {
			text += " " + clean(s.Name)
		}
		if s.CIDR.IsValid() {
			text += " (" + s.CIDR.String() + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
