package nacl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"selfprotect/firewall"
)

const deny = types.RuleActionDeny

// ownEvery is how often VPC CIDRs and our public addresses are read; ownRetry is
// when a read that failed is tried once more before that.
const (
	ownEvery = 10 * time.Minute
	ownRetry = time.Minute
)

// ownAddresses are the networks and addresses of our own in one account and
// region.
type ownAddresses struct {
	mu     sync.Mutex
	vpcs   map[string][]netip.Prefix
	public []netip.Prefix
	peers  map[string][]firewall.Linked
	routes map[string][]firewall.Linked
	wide   map[string][]string // routes that are too wide or too vague for the guard, in words

	vpcPart, peerPart, routePart, publicPart part
}

// Read gives the ACLs that could be read, sorted by id; the error joins a
// *firewall.TargetError for each of the others.
func (b *Backend) Read(ctx context.Context) ([]firewall.ACL, error) {
	type answer struct {
		acls []firewall.ACL
		err  error
	}
	answers := make([]answer, len(b.groups))
	var wg sync.WaitGroup
	for i, g := range b.groups {
		wg.Go(func() { answers[i].acls, answers[i].err = b.readGroup(ctx, g) })
	}
	wg.Wait()
	var acls []firewall.ACL
	var errs []error
	for _, a := range answers {
		acls = append(acls, a.acls...)
		errs = append(errs, a.err)
	}
	slices.SortFunc(acls, func(a, b firewall.ACL) int { return cmp.Compare(a.ID, b.ID) })
	return acls, errors.Join(errs...)
}

func (b *Backend) readGroup(ctx context.Context, g *group) ([]firewall.ACL, error) {
	if g.err != nil {
		return nil, g.all(explain(g.err, g))
	}
	ids := make([]string, len(g.targets))
	for i, t := range g.targets {
		ids[i] = t.ACL
	}
	found, err := b.describe(ctx, g, ids)
	if err != nil {
		return nil, g.all(explain(err, g))
	}
	var quota int
	var wg sync.WaitGroup
	wg.Go(func() { quota = g.quota.read(ctx) })
	own := b.readOwn(ctx, g, found)
	wg.Wait()
	for i := range found {
		own.addTo(&found[i])
		found[i].Quota = quota
	}
	return found, g.missing(found)
}

// describe reads ACLs by filter: that pages, and an unknown id is simply not in
// the answer. An endpoint that stands in for EC2 may lack the filter and answer
// with something that is not even an error of EC2; ids are then asked for one by
// one.
func (b *Backend) describe(ctx context.Context, g *group, ids []string) ([]firewall.ACL, error) {
	if !g.byID {
		found, err := b.pages(ctx, g, &ec2.DescribeNetworkAclsInput{
			Filters: []types.Filter{{Name: aws.String("network-acl-id"), Values: ids}}, MaxResults: aws.Int32(200)}, ids)
		var answer *smithyhttp.ResponseError
		if err == nil || reachedService(err) || !errors.As(err, &answer) || answer.HTTPStatusCode() == 0 { // 0: no answer came
			return found, err
		}
	}
	var found []firewall.ACL
	for _, id := range ids {
		one, err := b.pages(ctx, g, &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{id}}, ids)
		if err != nil && !notFound(err) {
			return nil, err
		}
		found = append(found, one...)
	}
	g.byID = true
	return found, nil
}

// notFound says that an id is unknown, in whatever spelling.
func notFound(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && strings.HasSuffix(api.ErrorCode(), ".NotFound")
}

// pages reads all pages of an answer, and of them the ACLs that were asked for.
func (b *Backend) pages(ctx context.Context, g *group, in *ec2.DescribeNetworkAclsInput, ids []string) ([]firewall.ACL, error) {
	var found []firewall.ACL
	err := eachPage(ctx, b.timeout, ec2.NewDescribeNetworkAclsPaginator(g.read, in), func(page *ec2.DescribeNetworkAclsOutput) {
		for _, a := range page.NetworkAcls {
			if slices.Contains(ids, aws.ToString(a.NetworkAclId)) {
				found = append(found, toACL(a, g.cfg.Region))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// ErrNoSuchACL says that AWS does not know an ACL.
var ErrNoSuchACL = errors.New("there is no network ACL")

// all gives the same error to every target of a group.
func (g *group) all(err error) error {
	var errs []error
	for _, t := range g.targets {
		errs = append(errs, &firewall.TargetError{ACL: t.ACL, Err: err})
	}
	return errors.Join(errs...)
}

func (g *group) missing(found []firewall.ACL) error {
	var errs []error
	for _, t := range g.targets {
		if !slices.ContainsFunc(found, func(a firewall.ACL) bool { return a.ID == t.ACL }) {
			errs = append(errs, &firewall.TargetError{ACL: t.ACL, Err: fmt.Errorf(
				"%w %s in region %s of this account: check the id, region and profile of its [[acl]]", ErrNoSuchACL, t.ACL, g.cfg.Region)})
		}
	}
	return errors.Join(errs...)
}

// mostPages bounds an answer: one that names a next page again and again must not
// be followed for ever.
const mostPages = 100

// pager is what the SDK makes of a paged answer.
type pager[T any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*ec2.Options)) (T, error)
}

// eachPage reads an answer to its end. An answer without one is an error: what was
// read of it is not the whole.
func eachPage[T any](ctx context.Context, timeout time.Duration, pages pager[T], take func(T)) error {
	for n := 0; pages.HasMorePages(); n++ {
		if n == mostPages {
			return fmt.Errorf("the answer has more than %d pages", mostPages)
		}
		page, err := call(ctx, timeout, func(ctx context.Context) (T, error) { return pages.NextPage(ctx) })
		if err != nil {
			return err
		}
		take(page)
	}
	return nil
}

func call[T any](ctx context.Context, d time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}

// toACL reads an answer. A part that cannot be understood stays visible.
func toACL(a types.NetworkAcl, region string) firewall.ACL {
	out := firewall.ACL{ID: aws.ToString(a.NetworkAclId), Account: aws.ToString(a.OwnerId), Region: region,
		VPC: aws.ToString(a.VpcId), IsVPCDefault: aws.ToBool(a.IsDefault)}
	for _, t := range a.Tags {
		if aws.ToString(t.Key) == "Name" {
			out.Name = aws.ToString(t.Value)
		}
	}
	for _, s := range a.Associations {
		out.Subnets = append(out.Subnets, aws.ToString(s.SubnetId))
	}
	slices.Sort(out.Subnets)
	for _, e := range a.Entries {
		entry, warning := toEntry(e)
		out.Entries = append(out.Entries, entry)
		if warning != "" {
			out.Warnings = append(out.Warnings, warning)
		}
	}
	out.Sort()
	return out
}

// toEntry reads one entry. One whose prefix or protocol cannot be understood
// keeps its number and an invalid prefix, so that it counts for the quota of both
// families and its number is never used.
func toEntry(e types.NetworkAclEntry) (firewall.Entry, string) {
	out := firewall.Entry{Number: int(aws.ToInt32(e.RuleNumber)), Direction: firewall.Ingress,
		Deny: e.RuleAction != types.RuleActionAllow}
	if aws.ToBool(e.Egress) {
		out.Direction = firewall.Egress
	}
	protocol, err := strconv.Atoi(aws.ToString(e.Protocol))
	if err != nil || protocol < firewall.AllProtocols || protocol > 255 {
		return out, fmt.Sprintf("%s entry %d has a protocol that is not understood", out.Direction, out.Number)
	}
	out.Protocol = protocol
	text := aws.ToString(e.CidrBlock)
	if text == "" {
		text = aws.ToString(e.Ipv6CidrBlock)
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return out, fmt.Sprintf("%s entry %d has no prefix that is understood", out.Direction, out.Number)
	}
	out.Prefix = p.Masked()
	if e.PortRange != nil && protocol != firewall.AllProtocols {
		out.PortFrom, out.PortTo = int(aws.ToInt32(e.PortRange.From)), int(aws.ToInt32(e.PortRange.To))
	}
	if e.IcmpTypeCode != nil {
		out.ICMPType, out.ICMPCode = int(aws.ToInt32(e.IcmpTypeCode.Type)), int(aws.ToInt32(e.IcmpTypeCode.Code))
	}
	return out, ""
}

// readOwn reads the VPCs, what they are linked to and our public addresses, each at
// most once in ten minutes, once more after a minute when it failed.
func (b *Backend) readOwn(ctx context.Context, g *group, acls []firewall.ACL) *ownAddresses {
	o := &g.own
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []string
	for _, a := range acls {
		if a.VPC != "" && !slices.Contains(ids, a.VPC) {
			ids = append(ids, a.VPC)
		}
	}
	if len(ids) > 0 {
		o.vpcPart.read(g, "the VPC's CIDRs", func() error { return b.readVPCs(ctx, g, ids) })
		o.peerPart.read(g, "the networks of peered VPCs", func() error { return b.readPeers(ctx, g, ids) })
		o.routePart.read(g, "the routes of the VPC", func() error { return b.readRoutes(ctx, g, ids) })
	}
	o.publicPart.read(g, "our own public addresses", func() error { return b.readPublic(ctx, g) })
	return o
}

// part is one of the optional reads: when it is due, and why the last one failed.
type part struct {
	due      time.Time
	failures int
	warning  string
}

// read does the read when it is due. What an earlier one found stays when it fails.
func (p *part) read(g *group, what string, do func() error) {
	now := time.Now()
	if now.Before(p.due) {
		return
	}
	p.due, p.warning = now.Add(ownEvery), ""
	err := do()
	if err == nil {
		p.failures = 0
		return
	}
	if p.failures++; p.failures == 1 {
		p.due = now.Add(ownRetry)
	}
	p.warning = what + " could not be read, so the guard lacks them: " + explain(err, g).Error()
}

func (b *Backend) readVPCs(ctx context.Context, g *group, ids []string) error {
	vpcs := map[string][]netip.Prefix{}
	in := &ec2.DescribeVpcsInput{Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: ids}}}
	err := eachPage(ctx, b.timeout, ec2.NewDescribeVpcsPaginator(g.read, in), func(page *ec2.DescribeVpcsOutput) {
		for _, v := range page.Vpcs {
			id := aws.ToString(v.VpcId)
			vpcs[id] = appendPrefix(vpcs[id], aws.ToString(v.CidrBlock))
			for _, c := range v.CidrBlockAssociationSet {
				vpcs[id] = appendPrefix(vpcs[id], aws.ToString(c.CidrBlock))
			}
			for _, c := range v.Ipv6CidrBlockAssociationSet {
				vpcs[id] = appendPrefix(vpcs[id], aws.ToString(c.Ipv6CidrBlock))
			}
		}
	})
	if err != nil {
		return err
	}
	g.own.vpcs = vpcs
	return nil
}

func (b *Backend) readPublic(ctx context.Context, g *group) error {
	var public []netip.Prefix
	out, err := call(ctx, b.timeout, func(ctx context.Context) (*ec2.DescribeAddressesOutput, error) {
		return g.read.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{})
	})
	if err != nil {
		return err
	}
	for _, a := range out.Addresses {
		public = appendPrefix(public, aws.ToString(a.PublicIp))
	}
	err = eachPage(ctx, b.timeout, ec2.NewDescribeNatGatewaysPaginator(g.read, &ec2.DescribeNatGatewaysInput{}), func(page *ec2.DescribeNatGatewaysOutput) {
		for _, n := range page.NatGateways {
			for _, a := range n.NatGatewayAddresses {
				public = appendPrefix(public, aws.ToString(a.PublicIp))
			}
		}
	})
	if err != nil {
		return err
	}
	g.own.public = public
	return nil
}

// appendPrefix adds a prefix or an address, once; other text is left out.
func appendPrefix(list []netip.Prefix, text string) []netip.Prefix {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return list
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p = p.Masked(); slices.Contains(list, p) {
		return list
	}
	return append(list, p)
}

func (o *ownAddresses) addTo(a *firewall.ACL) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a.CIDRs = slices.Clone(o.vpcs[a.VPC])
	a.Own = slices.Clone(o.public)
	a.Linked = slices.Concat(o.peers[a.VPC], o.routes[a.VPC])
	for _, p := range []part{o.vpcPart, o.peerPart, o.routePart, o.publicPart} {
		if p.warning != "" {
			a.Warnings, a.Partial = append(a.Warnings, p.warning), true
		}
	}
	a.Warnings = append(a.Warnings, o.wide[a.VPC]...)
}
