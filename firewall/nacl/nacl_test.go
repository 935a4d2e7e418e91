package nacl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"selfprotect/firewall"
	"selfprotect/firewall/firewalltest"
	"selfprotect/sim"
)

const aclID = firewalltest.SuiteACL

// isolate gives the SDK an environment of its own.
func isolate(t *testing.T) {
	t.Helper()
	c := sim.DefaultCredential()
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": c.AccessKeyID, "AWS_SECRET_ACCESS_KEY": c.SecretAccessKey, "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1",
		"AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_CA_BUNDLE": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
		"AWS_ENDPOINT_URL_SERVICE_QUOTAS": "http://127.0.0.1:1", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_ROLE_ARN": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
	} {
		t.Setenv(k, v)
	}
}

func server() *sim.EC2 {
	s := sim.NewEC2(sim.EC2Config{})
	s.AddVPC("vpc-0123456789abcdef0", netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8:1::/56"))
	s.AddACL(sim.ACL{ID: aclID, VPC: "vpc-0123456789abcdef0", Name: "web", Entries: sim.AllowAll()})
	return s
}

func backend(t *testing.T, h http.Handler, change ...func(*Config)) *Backend {
	t.Helper()
	isolate(t)
	cfg := Config{Targets: []Target{{ACL: aclID}}, HTTP: &http.Client{Transport: sim.Transport(h)}, RequestTimeout: 5 * time.Second}
	for _, f := range change {
		f(&cfg)
	}
	b, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSuite(t *testing.T) {
	firewalltest.Run(t, func(t *testing.T) firewalltest.Backend { return backend(t, server()) })
}

func TestReadKnowsWhatIsOurs(t *testing.T) {
	s := server()
	s.AddAddress(sim.Address{AllocationID: "eipalloc-0123456789abcdef0", Public: netip.MustParseAddr("192.0.2.10")})
	acls, err := backend(t, s).Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	a := acls[0]
	if a.Name != "web" || a.Account != "123456789012" || a.Region != "us-east-1" || len(a.CIDRs) != 2 || len(a.Warnings) != 0 ||
		!slices.Contains(a.Own, netip.MustParsePrefix("192.0.2.10/32")) {
		t.Errorf("read %+v", a)
	}
}

func TestMissingReadsAreWarnings(t *testing.T) {
	s := server()
	s.SetFaults(sim.EC2Faults{Denied: []string{"DescribeVpcs", "DescribeAddresses", "DescribeVpcPeeringConnections", "DescribeRouteTables"}})
	acls, err := backend(t, s).Read(context.Background())
	if err != nil || len(acls) != 1 || len(acls[0].Warnings) != 4 || !acls[0].Partial || !strings.Contains(acls[0].Warnings[0], "guard lacks") {
		t.Errorf("read %+v, %v", acls, err)
	}
}

// TestLostReadIsNotAskedInAnotherWay: a connection that breaks says nothing of what
// the endpoint can do.
func TestLostReadIsNotAskedInAnotherWay(t *testing.T) {
	for name, f := range map[string]sim.EC2Faults{"lost": {Lost: sim.Chance{Next: 1}}, "reset": {Reset: sim.Chance{Next: 1}}, "failed": {Internal: sim.Chance{Next: 1}}} {
		s := server()
		isolate(t)
		t.Setenv("AWS_MAX_ATTEMPTS", "1")
		b, err := Open(context.Background(), Config{Targets: []Target{{ACL: aclID}}, HTTP: &http.Client{Transport: sim.Transport(s)}})
		if err != nil {
			t.Fatal(err)
		}
		s.SetFaults(f)
		if _, err := b.Read(context.Background()); err == nil || s.Calls().ByAction["DescribeNetworkAcls"] != 1 || b.groups[0].byID {
			t.Errorf("%s: %v after %v", name, err, s.Calls().ByAction)
		}
	}
}

func TestUnknownACLIsNamed(t *testing.T) {
	b := backend(t, server(), func(c *Config) { c.Targets = append(c.Targets, Target{ACL: "acl-0aaaaaaaaaaaaaaa0"}) })
	acls, err := b.Read(context.Background())
	var te *firewall.TargetError
	if len(acls) != 1 || !errors.As(err, &te) || te.ACL != "acl-0aaaaaaaaaaaaaaa0" || !errors.Is(err, ErrNoSuchACL) {
		t.Errorf("read %d ACLs, %v", len(acls), err)
	}
}

func TestTroubleIsASentence(t *testing.T) {
	for _, tc := range []struct {
		name   string
		set    func(t *testing.T, s *sim.EC2)
		cfg    func(*Config)
		text   string
		person bool
	}{
		{"no region", func(t *testing.T, _ *sim.EC2) { t.Setenv("AWS_REGION", "") }, nil, "no AWS region: set region", true},
		{"no credentials", func(t *testing.T, _ *sim.EC2) { t.Setenv("AWS_ACCESS_KEY_ID", "") }, nil, "no AWS credentials: set AWS_PROFILE", true},
		{"wrong secret", func(t *testing.T, _ *sim.EC2) { t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong") }, nil, "AWS does not accept the credentials", true},
		{"no such profile", func(*testing.T, *sim.EC2) {}, func(c *Config) { c.Targets[0].Profile = "nope" }, `profile "nope" does not exist`, true},
		{"not allowed", func(_ *testing.T, s *sim.EC2) { s.SetFaults(sim.EC2Faults{Denied: []string{"DescribeNetworkAcls"}}) }, nil, "lacks permission", true},
		{"expired", func(_ *testing.T, s *sim.EC2) { s.SetFaults(sim.EC2Faults{Expired: true}) }, nil, "temporary credentials have expired", true},
		{"down", func(_ *testing.T, s *sim.EC2) { s.SetFaults(sim.EC2Faults{Internal: sim.Chance{Rate: 1}}) }, nil, "EC2 failed", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := server()
			isolate(t)
			tc.set(t, s)
			cfg := Config{Targets: []Target{{ACL: aclID}}, HTTP: &http.Client{Transport: sim.Transport(s)}}
			if tc.cfg != nil {
				tc.cfg(&cfg)
			}
			b, err := Open(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.Read(context.Background())
			if err == nil || !strings.Contains(err.Error(), tc.text) || CredentialError(err) != tc.person {
				t.Errorf("%v (a person's: %v), want %q (%v)", err, CredentialError(err), tc.text, tc.person)
			}
			if strings.Contains(fmt.Sprint(err), sim.DefaultCredential().SecretAccessKey) {
				t.Errorf("the secret is in the error")
			}
		})
	}
}

// TestOneRequestForOneIntent: whatever the answer, a write is sent once.
func TestOneRequestForOneIntent(t *testing.T) {
	once := sim.Chance{Next: 1}
	for _, tc := range []struct {
		name    string
		f       sim.EC2Faults
		refused bool
		there   bool
	}{
		{"throttled", sim.EC2Faults{Throttle: once}, true, false},
		{"not applied", sim.EC2Faults{Internal: once}, false, false},
		{"applied, answer is an error", sim.EC2Faults{InternalApplied: once}, false, true},
		{"connection lost before", sim.EC2Faults{Reset: once}, false, false},
		{"connection lost after", sim.EC2Faults{Lost: once}, false, true},
		{"denied", sim.EC2Faults{Denied: []string{"CreateNetworkAclEntry"}}, true, false},
		{"expired", sim.EC2Faults{Expired: true}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := server()
			b := backend(t, s)
			s.SetFaults(tc.f)
			c := firewall.Change{Op: firewall.Create, Direction: firewall.Egress, Number: 1, Prefix: netip.MustParsePrefix("203.0.113.7/32")}
			err := b.Do(context.Background(), aclID, c)
			var r *firewall.RefusedError
			if err == nil || errors.As(err, &r) != tc.refused {
				t.Errorf("%v, definite refusal %v, want %v", err, !tc.refused, tc.refused)
			}
			if n := s.Calls().Writes; n != 1 {
				t.Errorf("%d requests for one intent", n)
			}
			there := slices.ContainsFunc(s.Entries(aclID), func(e sim.Entry) bool { return e.Number == 1 && e.Egress })
			if there != tc.there {
				t.Errorf("the entry is there: %v, want %v", there, tc.there)
			}
		})
	}
}

// apiError is an answer of EC2 with a code.
type apiError struct{ code string }

func (e apiError) Error() string                 { return e.code }
func (e apiError) ErrorCode() string             { return e.code }
func (e apiError) ErrorMessage() string          { return "words of AWS" }
func (e apiError) ErrorFault() smithy.ErrorFault { return smithy.FaultUnknown }

func TestCodes(t *testing.T) {
	unknown := []string{"InternalError", "InternalFailure", "ServerInternal", "ServiceUnavailable", "Unavailable", "SomethingNew"}
	g := &group{}
	for code := range meanings {
		var r *firewall.RefusedError
		refused := errors.As(refusal(apiError{code}, g), &r)
		if refused == slices.Contains(unknown, code) {
			t.Errorf("%s: definite refusal %v", code, refused)
		}
		if refused && (r.Meaning == "" || r.Code != code) {
			t.Errorf("%s: %+v", code, r)
		}
	}
	for _, code := range unknown {
		var r *firewall.RefusedError
		if errors.As(refusal(apiError{code}, g), &r) {
			t.Errorf("%s must leave the outcome open", code)
		}
	}
}

func TestProbe(t *testing.T) {
	s := server()
	b := backend(t, s)
	for _, p := range b.Probe(context.Background()) {
		if !p.Allowed {
			t.Errorf("%s: %s", p.Action, p.Sentence)
		}
	}
	s.SetFaults(sim.EC2Faults{Denied: []string{"DeleteNetworkAclEntry"}})
	for _, p := range b.Probe(context.Background()) {
		if want := p.Action != "ec2:DeleteNetworkAclEntry"; p.Allowed != want || !want && !CredentialError(p.Err) {
			t.Errorf("%s: allowed %v, %v", p.Action, p.Allowed, p.Err)
		}
	}
	if n := len(s.Entries(aclID)); n != len(sim.AllowAll())+4 {
		t.Errorf("a probe changed the ACL: %d entries", n)
	}
}

func TestReadOnlyMakesNoCall(t *testing.T) {
	s := server()
	b := backend(t, s, func(c *Config) { c.ReadOnly = true })
	for _, g := range b.groups {
		if g.write != nil {
			t.Error("a client for writes was made")
		}
	}
	err := b.Do(context.Background(), aclID, firewall.Change{Op: firewall.Create, Direction: firewall.Egress, Number: 1, Prefix: netip.MustParsePrefix("203.0.113.7/32")})
	if !errors.Is(err, ErrReadOnly) || s.Calls().Total != 0 {
		t.Errorf("%v after %d calls", err, s.Calls().Total)
	}
}

func TestIdentity(t *testing.T) {
	ids := backend(t, server()).Identity(context.Background())
	if len(ids) != 1 || ids[0].Err != nil || ids[0].Account != "123456789012" {
		t.Errorf("%+v", ids)
	}
}

func TestCredentialsThatRenewThemselvesHaveNoEnd(t *testing.T) {
	end := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for source, want := range map[string]time.Time{"SSOProvider": end, "StaticCredentials": end, "AssumeRoleProvider": {}, "EC2RoleProvider": {},
		"WebIdentityCredentials": {}, "CredentialsEndpointProvider": {}, "ProcessProvider": {}} {
		if got := endOf(aws.Credentials{Source: source, CanExpire: true, Expires: end}); !got.Equal(want) {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
	if got := endOf(aws.Credentials{Source: "StaticCredentials", Expires: end}); !got.IsZero() {
		t.Errorf("what does not expire ends %s", got)
	}
}

func TestEndpoints(t *testing.T) {
	b := backend(t, server())
	if got := b.Endpoints(); !slices.Equal(got, []string{"127.0.0.1"}) {
		t.Errorf("endpoints %v", got)
	}
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("AWS_ENDPOINT_URL_EC2", "")
	t.Setenv("AWS_ENDPOINT_URL_STS", "")
	t.Setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", "")
	b, err := Open(context.Background(), Config{Targets: []Target{{ACL: aclID}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Endpoints(); !slices.Equal(got, []string{"ec2.us-east-1.amazonaws.com", "servicequotas.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com"}) {
		t.Errorf("endpoints %v", got)
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(int32(1), "-1", "203.0.113.7/32", "", true, true)
	f.Add(int32(-5), "tcp", "", "::/0", false, true)
	f.Fuzz(func(t *testing.T, n int32, proto, v4, v6 string, egress, present bool) {
		e := types.NetworkAclEntry{Protocol: &proto, CidrBlock: &v4, Ipv6CidrBlock: &v6, Egress: &egress}
		if present {
			e.RuleNumber = aws.Int32(n)
		}
		out, warning := toEntry(e)
		if out.Prefix.IsValid() == (warning != "") {
			t.Errorf("%+v with warning %q", out, warning)
		}
		if out.Prefix.IsValid() && out.Prefix != out.Prefix.Masked() {
			t.Errorf("%s is not canonical", out.Prefix)
		}
	})
}
