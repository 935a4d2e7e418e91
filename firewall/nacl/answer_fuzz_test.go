package nacl

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"selfprotect/firewall"
	"selfprotect/sim"
)

// FuzzAnswer gives the client any bytes as EC2's answer to a read and to a write: a
// read shows only ACLs that were asked for, and canonical prefixes; a write is
// refused only by a code that says so.
func FuzzAnswer(f *testing.F) {
	for _, c := range []struct {
		status int
		body   string
	}{
		{200, `<DescribeNetworkAclsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><networkAclSet><item><networkAclId>` + aclID + `</networkAclId><vpcId>vpc-1</vpcId><entrySet><item><ruleNumber>1</ruleNumber><protocol>-1</protocol><ruleAction>deny</ruleAction><egress>true</egress><cidrBlock>203.0.113.7/32</cidrBlock></item></entrySet></item></networkAclSet></DescribeNetworkAclsResponse>`},
		{200, `<DescribeNetworkAclsResponse><networkAclSet><item><networkAclId>acl-other</networkAclId></item></networkAclSet></DescribeNetworkAclsResponse>`},
		{200, `<DescribeVpcPeeringConnectionsResponse><vpcPeeringConnectionSet><item><accepterVpcInfo><vpcId>vpc-1</vpcId></accepterVpcInfo></item></vpcPeeringConnectionSet></DescribeVpcPeeringConnectionsResponse>`},
		{200, `<DescribeRouteTablesResponse><routeTableSet><item><vpcId>vpc-1</vpcId><routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><gatewayId>vgw-1</gatewayId></item></routeSet></item></routeTableSet></DescribeRouteTablesResponse>`},
		{400, `<Response><Errors><Error><Code>NetworkAclEntryAlreadyExists</Code><Message>taken</Message></Error></Errors><RequestID>1</RequestID></Response>`},
		{503, `<Response><Errors><Error><Code>Unavailable</Code></Error></Errors></Response>`},
		{200, `<DescribeNetworkAclsResponse><nextToken>again</nextToken></DescribeNetworkAclsResponse>`},
		{200, "\x1b]0;x\a"}, {500, ""},
	} {
		f.Add(c.status, []byte(c.body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			status = 200
		}
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			w.WriteHeader(status)
			_, _ = w.Write(body)
		})
		client := ec2.New(ec2.Options{Region: "us-east-1", BaseEndpoint: aws.String("https://ec2.test"), Retryer: aws.NopRetryer{},
			Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""), HTTPClient: &http.Client{Transport: sim.Transport(h)}})
		b := &Backend{timeout: callTime, groups: []*group{{targets: []Target{{ACL: aclID}}, cfg: aws.Config{Region: "us-east-1"}, read: client, write: client}}}
		acls, err := b.Read(context.Background())
		for _, a := range acls {
			if a.ID != aclID {
				t.Errorf("%q was not asked for", a.ID)
			}
			for _, e := range a.Entries {
				if e.Prefix.IsValid() && e.Prefix != e.Prefix.Masked() {
					t.Errorf("%s is not canonical", e.Prefix)
				}
			}
			for _, l := range a.Linked {
				if l.Prefix.Bits() < widestRoute4 && l.Via[:2] == "a " || l.Prefix != l.Prefix.Masked() {
					t.Errorf("%+v is guarded", l)
				}
			}
		}
		if len(acls) == 0 && err == nil {
			t.Error("neither an ACL nor an error")
		}
		err = b.Do(context.Background(), aclID, firewall.Change{Op: firewall.Create, Direction: firewall.Egress, Number: 1, Prefix: pfx("203.0.113.7/32")})
		var refused *firewall.RefusedError
		if errors.As(err, &refused) && (status < 300 || refused.Code == "" || !meanings[refused.Code].refused) {
			t.Errorf("status %d refuses a write by %q", status, refused.Code)
		}
	})
}

// callTime is long: nothing waits here.
const callTime = time.Hour
