package nacl

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"selfprotect/firewall"
)

// Permission is what a DryRun says of one action on one ACL.
type Permission struct {
	ACL     string
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
		p := Permission{ACL: t.ACL, Action: names[op]}
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
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	err := send(ctx, g.write, acl, c, true)
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "DryRunOperation" {
		return nil
	}
	if err == nil {
		return errors.New("the endpoint ignores DryRun, which AWS does not: permissions are unknown")
	}
	return explain(err, g)
}

// Identity is who we are for AWS.
type Identity struct {
	Region, Profile, Role string
	Account, ARN          string
	Expires               time.Time // of the credentials; zero when they do not expire
	Err                   error
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
			if c, err := g.cfg.Credentials.Retrieve(ctx); err == nil && c.CanExpire {
				id.Expires = c.Expires
			}
		}
		out = append(out, id)
	}
	return out
}

var _ reader = (*ec2.Client)(nil)
var _ quotaReader = (*servicequotas.Client)(nil)
var _ writer = (*ec2.Client)(nil)
