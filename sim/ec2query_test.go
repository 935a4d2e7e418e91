package sim_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"selfprotect/sim"
)

// post sends a form that the SDK would not let through, and gives status and
// body.
func post(t *testing.T, s *sim.EC2, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://ec2.test/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	known := sim.DefaultCredential()
	creds := aws.Credentials{AccessKeyID: known.AccessKeyID, SecretAccessKey: known.SecretAccessKey}
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hex.EncodeToString(sum[:]), "ec2", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := sim.Transport(s).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestMissingParameters(t *testing.T) {
	full := url.Values{"Version": {"2016-11-15"}, "NetworkAclId": {aclID}, "Egress": {"true"}, "RuleNumber": {"100"},
		"Protocol": {"-1"}, "RuleAction": {"deny"}, "CidrBlock": {"203.0.113.7/32"}}
	tests := []struct{ action, without, want string }{
		{"ReplaceNetworkAclEntry", "", ""},
		{"ReplaceNetworkAclEntry", "Egress", ""},
		{"CreateNetworkAclEntry", "Egress", "MissingParameter"},
		{"DeleteNetworkAclEntry", "Egress", "MissingParameter"},
		{"DeleteNetworkAclEntry", "RuleNumber", "MissingParameter"},
		{"DeleteNetworkAclEntry", "NetworkAclId", "MissingParameter"},
		{"ReplaceNetworkAclEntry", "Protocol", "MissingParameter"},
		{"ReplaceNetworkAclEntry", "RuleAction", "MissingParameter"},
		{"ReplaceNetworkAclEntry", "CidrBlock", "InvalidParameterValue"},
		{"ReplaceNetworkAclEntry", "Version", "InvalidAction"},
		{"GetCallerIdentity", "", "InvalidAction"}, // with the version of EC2
		{"", "", "MissingAction"},
	}
	for _, tt := range tests {
		s := server(sim.EC2Config{})
		form := url.Values{"Action": {tt.action}}
		for k, v := range full {
			if k != tt.without {
				form[k] = v
			}
		}
		status, body := post(t, s, form.Encode())
		if tt.want == "" {
			egress := tt.without != "Egress" // omitted: ingress
			replaced := slices.ContainsFunc(s.Entries(aclID), func(e sim.Entry) bool { return e.Number == 100 && e.Egress == egress && !e.Allow })
			if status != 200 || !strings.Contains(body, "<return>true</return>") || !replaced {
				t.Errorf("%s without %q: %d %s", tt.action, tt.without, status, body)
			}
			continue
		}
		if status != 400 || !strings.Contains(body, "<Response><Errors><Error><Code>"+tt.want+"</Code>") {
			t.Errorf("%s without %q: %d %s, want %s", tt.action, tt.without, status, body, tt.want)
		}
	}
}

var describeShape = regexp.MustCompile(`^<\?xml version="1.0" encoding="UTF-8"\?>\n<DescribeNetworkAclsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">` +
	`<requestId>[0-9a-f-]{36}</requestId><networkAclSet><item><networkAclId>acl-[0-9a-f]+</networkAclId>.*` +
	`<item><ruleNumber>100</ruleNumber><protocol>-1</protocol><ruleAction>allow</ruleAction><egress>false</egress><cidrBlock>0.0.0.0/0</cidrBlock></item>`)

func TestAnswerHasEC2sShape(t *testing.T) {
	status, body := post(t, server(sim.EC2Config{}), "Action=DescribeNetworkAcls&Version=2016-11-15")
	if status != 200 || !describeShape.MatchString(body) {
		t.Errorf("%d %s", status, body)
	}
}
