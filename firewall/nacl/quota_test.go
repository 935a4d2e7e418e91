package nacl

import (
	"context"
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas/types"

	"selfprotect/sim"
)

// quotas is a Service Quotas that answers what it is told to.
type quotas struct {
	mu     sync.Mutex
	calls  int
	delay  time.Duration
	answer *types.ServiceQuota
	err    error
}

func (s *quotas) set(answer *types.ServiceQuota, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer, s.err = answer, err
}

func (s *quotas) GetServiceQuota(ctx context.Context, in *servicequotas.GetServiceQuotaInput, _ ...func(*servicequotas.Options)) (*servicequotas.GetServiceQuotaOutput, error) {
	s.mu.Lock()
	s.calls++
	delay, answer, err := s.delay, s.answer, s.err
	s.mu.Unlock()
	if *in.ServiceCode != "vpc" || *in.QuotaCode != "L-2AEEBF1A" {
		return nil, apiError{"NoSuchResourceException"}
	}
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return &servicequotas.GetServiceQuotaOutput{Quota: answer}, nil
}

func value(v float64) *types.ServiceQuota { return &types.ServiceQuota{Value: aws.Float64(v)} }

func TestQuotaIsRead(t *testing.T) {
	for _, tc := range []struct {
		name string
		s    *quotas
		want int
		why  string
		took time.Duration
	}{
		{name: "allowed", s: &quotas{answer: value(40)}, want: 40},
		{name: "the default", s: &quotas{answer: value(20)}, want: 20},
		{name: "least", s: &quotas{answer: value(1)}, want: 1},
		{name: "most", s: &quotas{answer: value(1000)}, want: 1000},
		{name: "allowed after a while", s: &quotas{answer: value(40), delay: 4 * time.Second}, want: 40, took: 4 * time.Second},
		{name: "slow", s: &quotas{answer: value(40), delay: time.Minute}, why: "did not answer in time", took: 5 * time.Second},
		{name: "denied", s: &quotas{err: apiError{"AccessDeniedException"}}, why: "servicequotas:GetServiceQuota not allowed"},
		{name: "no other", s: &quotas{err: apiError{"NoSuchResourceException"}}, why: "Service Quotas holds no other"},
		{name: "broken", s: &quotas{err: apiError{"ServiceException"}}, why: "Service Quotas answered ServiceException"},
		{name: "unreachable", s: &quotas{err: errors.New("connection refused")}, why: "connection refused"},
		{name: "no quota", s: &quotas{}, why: "no value"},
		{name: "no value", s: &quotas{answer: &types.ServiceQuota{}}, why: "no value"},
		{name: "zero", s: &quotas{answer: value(0)}, why: "cannot be a number of entries"},
		{name: "negative", s: &quotas{answer: value(-20)}, why: "cannot be a number of entries"},
		{name: "too many", s: &quotas{answer: value(1001)}, why: "cannot be a number of entries"},
		{name: "half a rule", s: &quotas{answer: value(20.5)}, why: "cannot be a number of entries"},
		{name: "no number", s: &quotas{answer: value(math.NaN())}, why: "cannot be a number of entries"},
		{name: "infinite", s: &quotas{answer: value(math.Inf(1))}, why: "cannot be a number of entries"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &Backend{groups: []*group{{targets: []Target{{ACL: aclID}}, quota: quota{client: tc.s}}}}
				began := time.Now()
				if got := b.groups[0].quota.read(t.Context()); got != tc.want {
					t.Errorf("read %d, want %d", got, tc.want)
				}
				if took := time.Since(began); took != tc.took {
					t.Errorf("it took %v, want %v", took, tc.took)
				}
				n, err := b.Quota(aclID)
				if n != tc.want || (err == nil) != (tc.why == "") || err != nil && !strings.Contains(err.Error(), tc.why) {
					t.Errorf("known: %d, %v, want %q", n, err, tc.why)
				}
			})
		})
	}
}

func TestQuotaIsAskedOnceAnHour(t *testing.T) {
	denied := apiError{"AccessDeniedException"}
	for _, tc := range []struct {
		name         string
		first, later error
		want         [2]int
	}{
		{name: "allowed", want: [2]int{40, 30}},
		{name: "denied", first: denied, later: denied},
		{name: "granted later", first: denied, want: [2]int{0, 30}},
		// What was known stays: the default would cost blocks their entries.
		{name: "taken back later", later: denied, want: [2]int{40, 40}},
		{name: "lost later", later: context.DeadlineExceeded, want: [2]int{40, 40}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &quotas{answer: value(40), err: tc.first}
				q := &quota{client: s}
				for range 60 {
					if got := q.read(t.Context()); got != tc.want[0] {
						t.Errorf("read %d, want %d", got, tc.want[0])
					}
					s.set(value(30), tc.later)
					time.Sleep(time.Minute - time.Nanosecond)
				}
				if s.calls != 1 {
					t.Errorf("asked %d times within the hour", s.calls)
				}
				time.Sleep(time.Second)
				if got := q.read(t.Context()); got != tc.want[1] || s.calls != 2 {
					t.Errorf("after the hour: %d, asked %d times", got, s.calls)
				}
			})
		})
	}
}

// TestQuotaIsAskedByOne: who comes while the question is open does not wait.
func TestQuotaIsAskedByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &quotas{answer: value(40), delay: 3 * time.Second}
		q := &quota{client: s}
		go q.read(t.Context())
		synctest.Wait()
		began := time.Now()
		if got := q.read(t.Context()); got != 0 || time.Since(began) != 0 {
			t.Errorf("read %d after %v", got, time.Since(began))
		}
		time.Sleep(4 * time.Second)
		if got := q.read(t.Context()); got != 40 || s.calls != 1 {
			t.Errorf("read %d, asked %d times", got, s.calls)
		}
	})
}

// TestGivenUpIsNoAnswer: a read that was stopped does not cost the hour, one whose
// time was up does.
func TestGivenUpIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &quotas{answer: value(40), delay: 3 * time.Second}
		q := &quota{client: s}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if got := q.read(ctx); got != 0 {
			t.Errorf("read %d", got)
		}
		if got := q.read(t.Context()); got != 40 || s.calls != 2 {
			t.Errorf("read %d, asked %d times", got, s.calls)
		}
		q = &quota{client: s}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		q.read(ctx)
		if got := q.read(t.Context()); got != 0 || s.calls != 3 {
			t.Errorf("read %d, asked %d times", got, s.calls)
		}
	})
}

func TestReadGivesTheQuota(t *testing.T) {
	const other = "acl-0fedcba9876543210"
	for _, tc := range []struct {
		name string
		f    sim.EC2Faults
		want int
		most int // requests of the one question, with the SDK's retries
	}{
		{"allowed", sim.EC2Faults{}, 40, 1},
		{"denied", sim.EC2Faults{Denied: []string{"GetServiceQuota"}}, 0, 1},
		{"throttled once", sim.EC2Faults{Actions: []string{"GetServiceQuota"}, Throttle: sim.Chance{Next: 1}}, 40, 2},
		{"broken", sim.EC2Faults{Actions: []string{"GetServiceQuota"}, Internal: sim.Chance{Rate: 1}}, 0, 3},
		{"unreachable", sim.EC2Faults{Actions: []string{"GetServiceQuota"}, Reset: sim.Chance{Rate: 1}}, 0, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			isolate(t)
			synctest.Test(t, func(t *testing.T) {
				s := server()
				s.AddACL(sim.ACL{ID: other, VPC: "vpc-0123456789abcdef0", Entries: sim.AllowAll()})
				s.SetQuota(40)
				s.SetFaults(tc.f)
				b, err := Open(t.Context(), Config{Targets: []Target{{ACL: aclID}, {ACL: other}}, HTTP: &http.Client{Transport: sim.Transport(s)}})
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					acls, err := b.Read(t.Context())
					if err != nil || len(acls) != 2 {
						t.Fatalf("read %d ACLs, %v", len(acls), err)
					}
					for _, a := range acls {
						if a.Quota != tc.want || len(a.Warnings) != 0 {
							t.Errorf("%s: quota %d, want %d, warnings %q", a.ID, a.Quota, tc.want, a.Warnings)
						}
					}
				}
				if n := s.Calls().ByAction["GetServiceQuota"]; n < 1 || n > tc.most {
					t.Errorf("%d requests, want at most %d", n, tc.most)
				}
			})
		})
	}
}

// TestSlowQuotaDoesNotHoldARead: the entries come after 5 seconds at the latest,
// and later reads do not wait at all.
func TestSlowQuotaDoesNotHoldARead(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		s := server()
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Amz-Target") != "" {
				<-r.Context().Done()
			}
			s.ServeHTTP(w, r)
		})
		b, err := Open(t.Context(), Config{Targets: []Target{{ACL: aclID}}, HTTP: &http.Client{Transport: sim.Transport(slow)}})
		if err != nil {
			t.Fatal(err)
		}
		for _, most := range []time.Duration{5 * time.Second, 0} {
			began := time.Now()
			acls, err := b.Read(t.Context())
			if took := time.Since(began); err != nil || len(acls) != 1 || acls[0].Quota != 0 || took > most {
				t.Errorf("%+v, %v after %v", acls, err, took)
			}
		}
	})
}

// TestNoQuestionLeavesAStandIn: where EC2 is elsewhere, no request goes to AWS.
func TestNoQuestionLeavesAStandIn(t *testing.T) {
	const standIn = "stand-in.test"
	at := "http://" + standIn
	for _, tc := range []struct {
		name  string
		env   map[string]string
		file  string
		host  string // that Service Quotas is asked at; empty: nowhere
		ec2At string
	}{
		{name: "AWS", host: "servicequotas.us-east-1.amazonaws.com", ec2At: "ec2.us-east-1.amazonaws.com"},
		{name: "EC2 alone", env: map[string]string{"AWS_ENDPOINT_URL_EC2": at}, ec2At: standIn},
		{name: "EC2 alone beside an empty one", env: map[string]string{"AWS_ENDPOINT_URL_EC2": at, "AWS_ENDPOINT_URL": ""}, ec2At: standIn},
		{name: "EC2 alone beside an empty one of its own", env: map[string]string{"AWS_ENDPOINT_URL_EC2": at, "AWS_ENDPOINT_URL_SERVICE_QUOTAS": ""}, ec2At: standIn},
		{name: "all", env: map[string]string{"AWS_ENDPOINT_URL": at}, host: standIn, ec2At: standIn},
		{name: "both", env: map[string]string{"AWS_ENDPOINT_URL_EC2": at, "AWS_ENDPOINT_URL_SERVICE_QUOTAS": at}, host: standIn, ec2At: standIn},
		{name: "Service Quotas alone", env: map[string]string{"AWS_ENDPOINT_URL_SERVICE_QUOTAS": at}, host: standIn, ec2At: "ec2.us-east-1.amazonaws.com"},
		{name: "EC2 alone in the file", file: "[default]\nservices = s\n[services s]\nec2 =\n  endpoint_url = " + at + "\n", ec2At: standIn},
		{name: "all in the file", file: "[default]\nendpoint_url = " + at + "\n", host: standIn, ec2At: standIn},
		{name: "all in the file, ignored", file: "[default]\nendpoint_url = " + at + "\n", env: map[string]string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
			host: "servicequotas.us-east-1.amazonaws.com", ec2At: "ec2.us-east-1.amazonaws.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			isolate(t)
			for _, k := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SERVICE_QUOTAS"} {
				if err := os.Unsetenv(k); err != nil {
					t.Fatal(err)
				}
			}
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			if tc.file != "" {
				path := filepath.Join(t.TempDir(), "config")
				if err := os.WriteFile(path, []byte(tc.file), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Setenv("AWS_CONFIG_FILE", path)
			}
			s := server()
			s.SetQuota(40)
			var mu sync.Mutex
			hosts := map[bool]string{}
			seen := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				hosts[r.Header.Get("X-Amz-Target") != ""] = r.Host
				mu.Unlock()
				s.ServeHTTP(w, r)
			})
			b, err := Open(t.Context(), Config{Targets: []Target{{ACL: aclID}}, HTTP: &http.Client{Transport: sim.Transport(seen)}})
			if err != nil {
				t.Fatal(err)
			}
			acls, err := b.Read(t.Context())
			if err != nil || len(acls) != 1 || hosts[true] != tc.host || hosts[false] != tc.ec2At || (acls[0].Quota == 40) != (tc.host != "") {
				t.Errorf("quota asked at %q, want %q; EC2 at %q, want %q; %+v, %v", hosts[true], tc.host, hosts[false], tc.ec2At, acls, err)
			}
			if _, err := b.Quota(aclID); (err == nil) != (tc.host != "") || err != nil && !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_SERVICE_QUOTAS") {
				t.Errorf("%v", err)
			}
		})
	}
}
