package nacl

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"selfprotect/firewall"
)

// Permission is what a DryRun says of one action, on one ACL or in one region.
type Permission struct {
	ACL     string // empty: of a read, in the region
	Region  string
	Action  string // ec2:CreateNetworkAclEntry and so on
	Allowed bool
	// Sentence says what is missing and what to do; empty when allowed.
	Sentence string
	Err      error // nil when allowed
}

// probePrefix is a documentation prefix (RFC 5737), probeNumber the last number:
// a DryRun makes nothing, but if one ever did, it would match nothing.
const probeNumber = firewall.MaxNumber

// Probe asks EC2, by DryRun, whether entries may be created, replaced and
// deleted. DryRun tests permission only.
func (b *Backend) Probe(ctx context.Context) []Permission {
	var out []Permission
	for _, g := range b.groups {
		for _, t := range g.targets {
			out = append(out, b.probe(ctx, g, t)...)
		}
	}
	return out
}

func (b *Backend) probe(ctx context.Context, g *group, t Target) []Permission {
	names := map[firewall.Op]string{firewall.Create: "ec2:CreateNetworkAclEntry", firewall.Replace: "ec2:ReplaceNetworkAclEntry", firewall.Delete: "ec2:DeleteNetworkAclEntry"}
	dir := firewall.Egress
	if len(t.Directions) > 0 {
		dir = t.Directions[0]
	}
	var out []Permission
	for _, op := range []firewall.Op{firewall.Create, firewall.Replace, firewall.Delete} {
		p := Permission{ACL: t.ACL, Region: g.cfg.Region, Action: names[op]}
		switch {
		case g.err != nil:
			p.Err = explain(g.err, g)
		case g.write == nil:
			p.Err = ErrReadOnly
		default:
			p.Err = b.dryRun(ctx, g, t.ACL, firewall.Change{Op: op, Direction: dir, Number: probeNumber, Prefix: netip.MustParsePrefix("192.0.2.0/32")})
		}
		p.Allowed = p.Err == nil
		if !p.Allowed {
			p.Sentence = p.Err.Error()
		}
		out = append(out, p)
	}
	return out
}

func (b *Backend) dryRun(ctx context.Context, g *group, acl string, c firewall.Change) error {
	return b.dry(ctx, g, func(ctx context.Context) error { return send(ctx, g.write, acl, c, true) })
}

// dry makes a call that carries DryRun, and gives nil when it would have been
// carried out.
func (b *Backend) dry(ctx context.Context, g *group, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	err := do(ctx)
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "DryRunOperation" {
		return nil
	}
	if err == nil {
		return errors.New("the endpoint ignores DryRun, which AWS does not: permissions are unknown")
	}
	return explain(err, g)
}

// ProbeReads asks EC2, by DryRun, what may be read, once for each account and
// region. Only DescribeNetworkAcls is needed; without the others the guard lacks
// addresses of our own.
func (b *Backend) ProbeReads(ctx context.Context) []Permission {
	var out []Permission
	for _, g := range b.groups {
		for _, r := range dryReads {
			p := Permission{Region: g.cfg.Region, Action: r.action}
			if g.err != nil {
				p.Err = explain(g.err, g)
			} else {
				p.Err = b.dry(ctx, g, func(ctx context.Context) error { return r.do(ctx, g.read) })
			}
			if p.Allowed = p.Err == nil; !p.Allowed {
				p.Sentence = p.Err.Error()
			}
			out = append(out, p)
		}
	}
	return out
}

// dryReads are the reads, each as a dry run.
var dryReads = []struct {
	action string
	do     func(context.Context, reader) error
}{
	{"ec2:DescribeNetworkAcls", func(ctx context.Context, r reader) error {
		_, err := r.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{DryRun: dryRun(true)})
		return err
	}},
	{"ec2:DescribeVpcs", func(ctx context.Context, r reader) error {
		_, err := r.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{DryRun: dryRun(true)})
		return err
	}},
	{"ec2:DescribeAddresses", func(ctx context.Context, r reader) error {
		_, err := r.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{DryRun: dryRun(true)})
		return err
	}},
	{"ec2:DescribeNatGateways", func(ctx context.Context, r reader) error {
		_, err := r.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{DryRun: dryRun(true)})
		return err
	}},
	{"ec2:DescribeVpcPeeringConnections", func(ctx context.Context, r reader) error {
		_, err := r.DescribeVpcPeeringConnections(ctx, &ec2.DescribeVpcPeeringConnectionsInput{DryRun: dryRun(true)})
		return err
	}},
	{"ec2:DescribeRouteTables", func(ctx context.Context, r reader) error {
		_, err := r.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{DryRun: dryRun(true)})
		return err
	}},
}

// Identity is who we are for AWS.
type Identity struct {
	Region, Profile, Role string
	Account, ARN          string
	Expires               time.Time // of the credentials; zero when they do not expire, or renew themselves
	Source                string    // where the SDK found them, in its words
	Err                   error
}

// endOf gives when credentials end for good. Those of a role, an instance or a process
// have an end that nobody needs to care about, as the SDK fetches others by itself.
func endOf(c aws.Credentials) time.Time {
	switch c.Source {
	case ec2rolecreds.ProviderName, endpointcreds.ProviderName, stscreds.ProviderName, stscreds.WebIdentityProviderName, processcreds.ProviderName:
		return time.Time{}
	}
	if !c.CanExpire {
		return time.Time{}
	}
	return c.Expires
}

// Identity asks STS, once for each account and region.
func (b *Backend) Identity(ctx context.Context) []Identity {
	var out []Identity
	for _, g := range b.groups {
		id := Identity{Region: g.cfg.Region, Profile: g.profile, Role: g.role}
		if g.err != nil {
			id.Err = explain(g.err, g)
			out = append(out, id)
			continue
		}
		who, err := call(ctx, b.timeout, func(ctx context.Context) (*sts.GetCallerIdentityOutput, error) {
			return sts.NewFromConfig(g.cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		})
		if err != nil {
			id.Err = explain(err, g)
		} else {
			id.Account, id.ARN = aws.ToString(who.Account), aws.ToString(who.Arn)
			if c, err := g.cfg.Credentials.Retrieve(ctx); err == nil {
				id.Source = c.Source
				if c.CanExpire {
					id.Expires = c.Expires
				}
			}
		}
		out = append(out, id)
	}
	return out
}

var _ quotaReader = (*servicequotas.Client)(nil)
