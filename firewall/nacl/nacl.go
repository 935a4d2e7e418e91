// Package nacl is the EC2 back end: it reads network ACLs and makes one change
// at a time.
//
// The protocol. Read asks DescribeNetworkAcls, paged and filtered by id, once for
// each group of ACLs that share account and region, once in ten minutes for the
// VPCs' CIDRs, the networks that they are linked to and our own public addresses,
// and once in an hour GetServiceQuota for the quota of entries. That one may be denied or fail without a word, as the
// default holds then, and it is not sent where only EC2's endpoint is set. Do makes
// exactly one call with no retry by the SDK: an answer that was lost must not lead
// to a second request that nobody knows of. An error code that EC2 gives only when
// it has not carried out a request becomes a *firewall.RefusedError with a sentence
// for the operator; every other error means that the outcome is unknown. EC2 has no
// batch, no transaction and no version token; an identical create succeeds, the
// same number with other content is NetworkAclEntryAlreadyExists, so a create
// claims its number.
//
// Credentials and endpoints are the SDK's: profiles, environment, SSO, roles,
// AWS_ENDPOINT_URL_EC2 and the like. Missing ones are errors of Read, in plain
// words.
package nacl

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyendpoints "github.com/aws/smithy-go/endpoints"

	"selfprotect/firewall"
)

// Target is one ACL and the way to it.
type Target struct {
	ACL     string
	Region  string // empty: the SDK's
	Profile string // empty: the SDK's
	Role    string // ARN of a role to assume; may be empty
	// Directions are those in which Probe asks for permission; empty: egress.
	Directions []firewall.Direction
}

// Config is what a Backend is made from.
type Config struct {
	Targets  []Target
	ReadOnly bool   // Do refuses, and no client for writes is made
	AppID    string // shown in CloudTrail's user agent
	// HTTP sends the requests; nil is a client of our own with TLS 1.2 and up.
	HTTP           aws.HTTPClient
	RequestTimeout time.Duration // of each call; 0 is 10 seconds
}

// reader are the calls of a read.
type reader interface {
	ec2.DescribeNetworkAclsAPIClient
	ec2.DescribeVpcsAPIClient
	ec2.DescribeNatGatewaysAPIClient
	ec2.DescribeVpcPeeringConnectionsAPIClient
	ec2.DescribeRouteTablesAPIClient
	ec2.DescribeSubnetsAPIClient
	DescribeAddresses(context.Context, *ec2.DescribeAddressesInput, ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error)
}

// writer are the calls of a change.
type writer interface {
	CreateNetworkAclEntry(context.Context, *ec2.CreateNetworkAclEntryInput, ...func(*ec2.Options)) (*ec2.CreateNetworkAclEntryOutput, error)
	ReplaceNetworkAclEntry(context.Context, *ec2.ReplaceNetworkAclEntryInput, ...func(*ec2.Options)) (*ec2.ReplaceNetworkAclEntryOutput, error)
	DeleteNetworkAclEntry(context.Context, *ec2.DeleteNetworkAclEntryInput, ...func(*ec2.Options)) (*ec2.DeleteNetworkAclEntryOutput, error)
}

// Backend reads and changes the configured ACLs. It is safe for concurrent use.
type Backend struct {
	groups  []*group
	timeout time.Duration
}

// group are the targets that share account and region.
type group struct {
	region, profile, role string
	targets               []Target
	cfg                   aws.Config
	endpoint              *string // of EC2 when it is not AWS's own
	read                  reader
	write                 writer // nil: read-only
	err                   error  // why there are no clients
	byID                  bool   // the endpoint has no filter by id
	own                   ownAddresses
	quota                 quota
}

// ErrReadOnly says that this process must not change anything.
var ErrReadOnly = errors.New("read-only: nothing is changed")

// Open prepares the clients. What is missing for a target, such as a region or a
// profile, is an error of Read and Do for that target.
func Open(ctx context.Context, cfg Config) (*Backend, error) {
	if len(cfg.Targets) == 0 {
		return nil, errors.New("no network ACL is configured: add an [[acl]] or give --aws-acl-id")
	}
	b := &Backend{timeout: cfg.RequestTimeout}
	if b.timeout <= 0 {
		b.timeout = 10 * time.Second
	}
	for _, t := range cfg.Targets {
		i := slices.IndexFunc(b.groups, func(g *group) bool {
			return g.region == t.Region && g.profile == t.Profile && g.role == t.Role
		})
		if i < 0 {
			b.groups = append(b.groups, &group{region: t.Region, profile: t.Profile, role: t.Role})
			i = len(b.groups) - 1
		}
		b.groups[i].targets = append(b.groups[i].targets, t)
	}
	for _, g := range b.groups {
		g.open(ctx, cfg)
	}
	return b, nil
}

// open loads the SDK's configuration and makes the clients.
func (g *group) open(ctx context.Context, cfg Config) {
	send := cfg.HTTP
	if send == nil {
		send = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		})
	}
	opts := []func(*config.LoadOptions) error{config.WithHTTPClient(send), config.WithAppID(cfg.AppID)}
	if g.region != "" {
		opts = append(opts, config.WithRegion(g.region))
	}
	if g.profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(g.profile))
	}
	g.cfg, g.err = config.LoadDefaultConfig(ctx, opts...)
	if g.err != nil {
		return
	}
	if g.cfg.Region == "" {
		g.err = errNoRegion
		return
	}
	if g.role != "" {
		g.cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(g.cfg), g.role,
			func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = "selfprotect" }))
	}
	client := ec2.NewFromConfig(g.cfg)
	g.endpoint = client.Options().BaseEndpoint
	g.read, g.quota.client = readsOf(client), quotaClient(g.cfg, g.endpoint)
	if !cfg.ReadOnly {
		g.write = writesOf(ec2.NewFromConfig(g.cfg, func(o *ec2.Options) {
			// One request for one intent: no retry, no second try with another clock.
			o.Retryer = aws.NopRetryer{}
			o.RetryMaxAttempts = 1
		}))
	}
}

func (b *Backend) find(acl string) *group {
	for _, g := range b.groups {
		if slices.ContainsFunc(g.targets, func(t Target) bool { return t.ACL == acl }) {
			return g
		}
	}
	return nil
}

// Do makes one change: a deny of all protocols is created, replaces another, or
// is deleted. See firewall.RefusedError for what its errors mean.
func (b *Backend) Do(ctx context.Context, acl string, c firewall.Change) error {
	g := b.find(acl)
	switch {
	case g == nil:
		return &firewall.RefusedError{Code: "NotConfigured", Meaning: acl + " is not a configured ACL", Gone: true}
	case g.err != nil:
		return refusal(g.err, g)
	case g.write == nil:
		return &firewall.RefusedError{Code: "ReadOnly", Meaning: ErrReadOnly.Error(), Permission: true, Err: ErrReadOnly}
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	err := send(ctx, g.write, acl, c, false)
	if err == nil {
		return nil
	}
	return refusal(err, g)
}

// send makes the call; dry asks for permission only.
func send(ctx context.Context, w writer, acl string, c firewall.Change, dry bool) error {
	egress := aws.Bool(c.Direction == firewall.Egress)
	number := aws.Int32(int32(c.Number))
	v4, v6 := cidr(c)
	var err error
	switch c.Op {
	case firewall.Create:
		_, err = w.CreateNetworkAclEntry(ctx, &ec2.CreateNetworkAclEntryInput{NetworkAclId: &acl, Egress: egress, RuleNumber: number,
			Protocol: aws.String("-1"), RuleAction: deny, CidrBlock: v4, Ipv6CidrBlock: v6, DryRun: dryRun(dry)})
	case firewall.Replace:
		_, err = w.ReplaceNetworkAclEntry(ctx, &ec2.ReplaceNetworkAclEntryInput{NetworkAclId: &acl, Egress: egress, RuleNumber: number,
			Protocol: aws.String("-1"), RuleAction: deny, CidrBlock: v4, Ipv6CidrBlock: v6, DryRun: dryRun(dry)})
	case firewall.Delete:
		_, err = w.DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: &acl, Egress: egress, RuleNumber: number, DryRun: dryRun(dry)})
	default:
		return fmt.Errorf("change %q is unknown", c.Op)
	}
	return err
}

func dryRun(on bool) *bool {
	if on {
		return aws.Bool(true)
	}
	return nil
}

func cidr(c firewall.Change) (v4, v6 *string) {
	p := c.Prefix.Masked().String()
	if firewall.FamilyOf(c.Prefix) == firewall.IPv4 {
		return &p, nil
	}
	return nil, &p
}

// Endpoints gives the host names that are spoken to, so that their addresses can
// be guarded.
func (b *Backend) Endpoints() []string {
	var out []string
	for _, g := range b.groups {
		if g.err != nil {
			continue
		}
		for _, u := range g.endpoints() {
			if h := u.Hostname(); h != "" && !slices.Contains(out, h) {
				out = append(out, h)
			}
		}
	}
	slices.SortFunc(out, strings.Compare)
	return out
}

// endpoints gives where the clients send their requests.
func (g *group) endpoints() []url.URL {
	var out []url.URL
	add := func(ep smithyendpoints.Endpoint, err error) {
		if err == nil {
			out = append(out, ep.URI)
		}
	}
	ctx, region := context.Background(), aws.String(g.cfg.Region)
	add(ec2.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ec2.EndpointParameters{Region: region, Endpoint: g.endpoint}))
	if c, ok := g.quota.client.(*servicequotas.Client); ok {
		add(servicequotas.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx,
			servicequotas.EndpointParameters{Region: region, Endpoint: c.Options().BaseEndpoint}))
	}
	add(sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{Region: region,
		UseGlobalEndpoint: aws.Bool(false), Endpoint: sts.NewFromConfig(g.cfg).Options().BaseEndpoint}))
	return out
}
