package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"selfprotect/config"
	"selfprotect/firewall"
	"selfprotect/firewall/nacl"
	"selfprotect/policy"
)

// awsCheck checks what AWS is needed for, and hands the ACLs on.
type awsCheck struct {
	cfg  *config.Config
	read chan<- []firewall.ACL // gets the ACLs once, or is closed
}

// policyFile names the IAM policy of a mode.
func policyFile(cfg *config.Config) string {
	if highestMode(cfg) > policy.Observe {
		return "deploy/iam/review-auto.json"
	}
	return "deploy/iam/observe.json"
}

func (a *awsCheck) check(ctx context.Context, c *checker) {
	defer close(a.read)
	b, err := newFirewall(ctx, a.cfg, false)
	if c.failed("AWS", err, "check region, profile and credentials of each [[acl]]") {
		return
	}
	for _, id := range b.Identity(ctx) {
		identity(c, id)
	}
	acls, err := b.Read(ctx)
	a.read <- acls
	a.unread(c, err)
	for _, acl := range acls {
		a.acl(c, acl, b)
	}
	a.permissions(ctx, c, b)
}

func identity(c *checker, id nacl.Identity) {
	what := "AWS identity " + id.Region
	if id.Region == "" {
		what = "AWS identity"
	}
	if c.failed(what, id.Err, "aws sts get-caller-identity tries the same credentials") {
		return
	}
	c.ok(what, "%s, credentials from %s", id.ARN, cmp.Or(id.Source, "the SDK"))
	if id.Expires.IsZero() {
		return
	}
	left := time.Until(id.Expires).Round(time.Minute)
	text := fmt.Sprintf("valid until %s (%s)", id.Expires.UTC().Format("2006-01-02 15:04 MST"), shortDuration(left))
	if left < time.Hour {
		c.warn("AWS credentials", text, "they end soon: for a run of weeks use a role that renews itself (instance profile, SSO session)")
		return
	}
	c.ok("AWS credentials", "%s", text)
}

// unread tells of the ACLs that could not be read.
func (a *awsCheck) unread(c *checker, err error) {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			a.unread(c, e)
		}
		return
	}
	var t *firewall.TargetError
	if !errors.As(err, &t) {
		c.failed("network ACLs", err, "grant what "+policyFile(a.cfg)+" grants")
		return
	}
	c.failed(t.ACL, t.Err, "grant what "+policyFile(a.cfg)+" grants")
}

func (a *awsCheck) acl(c *checker, acl firewall.ACL, b *nacl.Backend) {
	name := ""
	if acl.Name != "" {
		name = acl.Name + ", "
	}
	if len(acl.Subnets) == 0 {
		c.warn(acl.ID, fmt.Sprintf("%sof %s, which no subnet uses: its entries have no effect", name, acl.VPC),
			"associate the subnets through which the traffic leaves with it, or name the ACL that they use")
	} else {
		c.ok(acl.ID, "%sof %s, used by %s", name, acl.VPC, strings.Join(acl.Subnets, ", "))
	}
	for _, w := range acl.Warnings {
		if !strings.Contains(w, guardLacks) {
			c.warn(acl.ID, w, "that entry counts for the quota and is left alone; look at it in the console of AWS")
		}
	}
	for _, configured := range a.cfg.ACLs {
		if configured.ID == acl.ID {
			read, err := b.Quota(acl.ID)
			checkSlots(c, acl, configured, checkQuota(c, configured, read, err))
			checkNumbers(c, acl, configured)
		}
	}
}

// checkQuota says which quota holds and where it is from: the configuration, what was
// read, or the default, and then the error says why.
func checkQuota(c *checker, configured config.ACL, read int, err error) int {
	switch {
	case configured.Quota > 0 && err == nil && configured.Quota > read:
		c.warn(configured.ID, fmt.Sprintf("quota %d (configuration), but Service Quotas says %d", configured.Quota, read),
			"remove quota from its [[acl]]: what AWS says is used then")
		return configured.Quota
	case configured.Quota > 0:
		c.ok(configured.ID, "quota %d (configuration)", configured.Quota)
		return configured.Quota
	case err == nil:
		c.ok(configured.ID, "quota %d (Service Quotas)", read)
		return read
	}
	c.ok(configured.ID, "quota %d (default; %s)", firewall.DefaultQuota, err)
	return firewall.DefaultQuota
}

// checkSlots says what is free for each direction and family.
func checkSlots(c *checker, a firewall.ACL, configured config.ACL, quota int) {
	usable := quota - configured.Reserve
	for _, d := range configured.Directions {
		for _, f := range []firewall.Family{firewall.IPv4, firewall.IPv6} {
			free := max(usable-a.Count(d, f), 0)
			text := fmt.Sprintf("%s %s: %d of %d entries free", d, f, free, usable)
			if free == 0 {
				c.warn(a.ID, text, "remove entries, or ask AWS for more (VPC quota L-2AEEBF1A, at most 40): until then the heaviest blocks share what is ours")
				continue
			}
			c.ok(a.ID, "%s", text)
		}
	}
}

// checkNumbers says whether our numbers lie below the allows that could match first.
func checkNumbers(c *checker, a firewall.ACL, configured config.ACL) {
	low, high := configured.Numbers.Low, configured.Numbers.High
	for _, d := range configured.Directions {
		broad, narrow := lowestAllows(a, d)
		switch {
		case broad.Number > 0 && broad.Number <= low:
			c.fail(a.ID, fmt.Sprintf("%s: allow %d (%s) comes before all of our numbers %d-%d: no deny would take effect", d, broad.Number, broad.Prefix, low, high),
				"give the allow a higher number, such as 100, or set rule_numbers below it")
		case broad.Number > 0 && broad.Number <= high:
			c.warn(a.ID, fmt.Sprintf("%s: allow %d (%s) lies among our numbers %d-%d: only those below it take effect", d, broad.Number, broad.Prefix, low, high),
				"give the allow a higher number, such as 100")
		case narrow.Number > 0 && narrow.Number <= high:
			c.warn(a.ID, fmt.Sprintf("%s: allow %d (%s) comes first for what lies inside it", d, narrow.Number, narrow.Prefix),
				"give it a number above ours if addresses inside it may be blocked")
		case broad.Number == 0 && narrow.Number == 0:
			c.warn(a.ID, fmt.Sprintf("%s: nothing is allowed, so there is nothing to deny", d), "name the ACL that lets the traffic through")
		default:
			c.ok(a.ID, "%s: our numbers %d-%d lie below every allow", d, low, high)
		}
	}
}

// lowestAllows gives the first allow of every address of a family, and the first
// of some; Number is 0 where there is none.
func lowestAllows(a firewall.ACL, d firewall.Direction) (broad, narrow firewall.Entry) {
	for _, e := range a.Entries {
		if e.Direction != d || e.Deny || !e.Prefix.IsValid() {
			continue
		}
		into := &narrow
		if e.Prefix.Bits() == 0 {
			into = &broad
		}
		if into.Number == 0 || e.Number < into.Number {
			*into = e
		}
	}
	return broad, narrow
}

// permissions asks by DryRun what may be read and changed.
func (a *awsCheck) permissions(ctx context.Context, c *checker, b *nacl.Backend) {
	grant := "grant it as " + policyFile(a.cfg) + " does"
	regions := map[string]int{}
	for _, p := range b.ProbeReads(ctx) {
		needed := p.Action == "ec2:DescribeNetworkAcls"
		switch {
		case p.Allowed:
			regions[p.Region]++
		case needsPerson(p.Err) && needed:
			c.fail("permission", p.Action+" is not allowed", grant)
		case needsPerson(p.Err):
			c.warn("permission", p.Action+" is not allowed: the guard lacks what it reads", grant)
		}
	}
	for _, region := range slices.Sorted(maps.Keys(regions)) {
		c.ok("permission", "%d reads are granted in %s", regions[region], region)
	}
	for _, p := range b.Probe(ctx) {
		a.write(c, p, grant)
	}
}

func (a *awsCheck) write(c *checker, p nacl.Permission, grant string) {
	switch {
	case p.Allowed:
		c.ok(p.ACL, "%s is allowed", p.Action)
	case needsPerson(p.Err) && highestMode(a.cfg) <= policy.Observe:
		c.ok(p.ACL, "%s is not allowed, and not needed to observe", p.Action)
	case needsPerson(p.Err):
		what, fix := inTwo(p.Err)
		if strings.Contains(what, "permission") || fix == "" {
			fix = grant
		}
		c.fail(p.ACL, p.Action+": "+what, fix)
	default:
		what, fix := inTwo(p.Err)
		c.fail(p.ACL, p.Action+": "+what, cmp.Or(fix, "check the network, then run this again"))
	}
}
