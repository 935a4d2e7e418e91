package sim_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"selfprotect/sim"
)

// quotas gives the real SDK client of Service Quotas, without retries, on the
// handler.
func quotas(h http.Handler, set ...func(*servicequotas.Options)) *servicequotas.Client {
	c := sim.DefaultCredential()
	return servicequotas.New(servicequotas.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String("https://servicequotas.test"),
		Credentials:  credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, ""),
		HTTPClient:   &http.Client{Transport: sim.Transport(h)},
		Retryer:      aws.NopRetryer{},
	}, set...)
}

func rulesPerACL() *servicequotas.GetServiceQuotaInput {
	return &servicequotas.GetServiceQuotaInput{ServiceCode: aws.String("vpc"), QuotaCode: aws.String("L-2AEEBF1A")}
}

// TestQuotaIsTheOneThatIsKept: what is answered is what writes are held to.
func TestQuotaIsTheOneThatIsKept(t *testing.T) {
	for _, quota := range []int{0, 20, 40} {
		s := server(sim.EC2Config{Quota: quota})
		out, err := quotas(s).GetServiceQuota(t.Context(), rulesPerACL())
		if err != nil {
			t.Fatal(err)
		}
		answered := int(*out.Quota.Value)
		for n := 0; ; n++ {
			_, err := client(s).CreateNetworkAclEntry(t.Context(), create(int32(n+1), true, fmt.Sprintf("203.0.113.%d/32", n)))
			if got := code(t, err); got == "NetworkAclEntryLimitExceeded" {
				if n+2 != answered { // the allow and the default deny
					t.Errorf("quota %d: %d answered, %d kept", quota, answered, n+2)
				}
				break
			} else if got != "" {
				t.Fatal(got)
			}
		}
		if q := out.Quota; *q.QuotaName != "Rules per network ACL" || *q.QuotaCode != "L-2AEEBF1A" || *q.ServiceCode != "vpc" ||
			*q.QuotaArn != "arn:aws:servicequotas:us-east-1:123456789012:vpc/L-2AEEBF1A" || !q.Adjustable || q.GlobalQuota {
			t.Errorf("%+v", q)
		}
		if calls := s.Calls(); calls.ByAction["GetServiceQuota"] != 1 || calls.Log[0].IsWrite() {
			t.Errorf("%+v", calls)
		}
	}
}

func TestQuotaIsRaised(t *testing.T) {
	s := server(sim.EC2Config{})
	s.SetQuota(40)
	out, err := quotas(s).GetServiceQuota(t.Context(), rulesPerACL())
	if err != nil || *out.Quota.Value != 40 {
		t.Errorf("%+v, %v", out, err)
	}
	for n := range int32(38) {
		if _, err := client(s).CreateNetworkAclEntry(t.Context(), create(n+1, true, fmt.Sprintf("203.0.113.%d/32", n))); err != nil {
			t.Fatalf("entry %d: %v", n, err)
		}
	}
}

func TestQuotaErrors(t *testing.T) {
	once := sim.Chance{Next: 1}
	known := sim.DefaultCredential()
	as := func(key, secret string) func(*servicequotas.Options) {
		return func(o *servicequotas.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(key, secret, "")
		}
	}
	for _, tt := range []struct {
		name   string
		faults sim.EC2Faults
		in     func(*servicequotas.GetServiceQuotaInput)
		set    func(*servicequotas.Options)
		want   string
	}{
		{name: "allowed"},
		{name: "denied", faults: sim.EC2Faults{Denied: []string{"GetServiceQuota"}}, want: "AccessDeniedException"},
		{name: "another action denied", faults: sim.EC2Faults{Denied: []string{"DescribeNetworkAcls"}}},
		{name: "throttled", faults: sim.EC2Faults{Throttle: once}, want: "TooManyRequestsException"},
		{name: "broken", faults: sim.EC2Faults{Internal: once}, want: "ServiceException"},
		{name: "expired", faults: sim.EC2Faults{Expired: true}, want: "ExpiredTokenException"},
		{name: "another quota", in: func(in *servicequotas.GetServiceQuotaInput) { in.QuotaCode = aws.String("L-B4A6D682") }, want: "NoSuchResourceException"},
		{name: "another service", in: func(in *servicequotas.GetServiceQuotaInput) { in.ServiceCode = aws.String("ec2") }, want: "NoSuchResourceException"},
		{name: "no quota", in: func(in *servicequotas.GetServiceQuotaInput) { in.QuotaCode = aws.String("") }, want: "IllegalArgumentException"},
		{name: "unknown key", set: as("AKIDUNKNOWN", known.SecretAccessKey), want: "UnrecognizedClientException"},
		{name: "wrong secret", set: as(known.AccessKeyID, "wrong"), want: "InvalidSignatureException"},
		{name: "another region", set: func(o *servicequotas.Options) { o.Region = "eu-west-1" }, want: "InvalidSignatureException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := server(sim.EC2Config{})
			s.SetFaults(tt.faults)
			in, set := rulesPerACL(), []func(*servicequotas.Options){}
			if tt.in != nil {
				tt.in(in)
			}
			if tt.set != nil {
				set = append(set, tt.set)
			}
			_, err := quotas(s, set...).GetServiceQuota(t.Context(), in)
			if got := code(t, err); got != tt.want {
				t.Errorf("answers %q, want %q (%v)", got, tt.want, err)
			}
			if call := s.Calls().Log[0]; call.Action != "GetServiceQuota" || call.Code != tt.want {
				t.Errorf("call %+v", call)
			}
		})
	}
}

// TestQuotaActions: Service Quotas has the one action here, and EC2 has it not.
func TestQuotaActions(t *testing.T) {
	s := server(sim.EC2Config{})
	_, err := quotas(s).ListServiceQuotas(t.Context(), &servicequotas.ListServiceQuotasInput{ServiceCode: aws.String("vpc")})
	if got := code(t, err); got != "UnknownOperationException" {
		t.Errorf("another action answers %q", got)
	}
	if status, body := post(t, s, "Action=GetServiceQuota&Version=2016-11-15"); status != http.StatusBadRequest {
		t.Errorf("EC2 answers %d %s", status, body)
	}
}

func TestQuotaSignatureGrowsOld(t *testing.T) {
	for by, want := range map[time.Duration]string{14 * time.Minute: "", 16 * time.Minute: "InvalidSignatureException"} {
		synctest.Test(t, func(t *testing.T) {
			s := server(sim.EC2Config{})
			slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(by)
				s.ServeHTTP(w, r)
			})
			_, err := quotas(slow).GetServiceQuota(t.Context(), rulesPerACL())
			if got := code(t, err); got != want {
				t.Errorf("after %v: %q, want %q", by, got, want)
			}
		})
	}
}
