package sim_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"selfprotect/sim"
)

func has(s *sim.EC2, number int) bool {
	return slices.ContainsFunc(s.Entries(aclID), func(e sim.Entry) bool { return e.Number == number && e.Egress })
}

// described tells whether a describe shows the egress entry.
func described(t *testing.T, c *ec2.Client, number int32) bool {
	t.Helper()
	out, err := c.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{aclID}})
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(out.NetworkAcls[0].Entries, func(e types.NetworkAclEntry) bool { return *e.RuleNumber == number && *e.Egress })
}

func TestWriteFaultsComeInTwoKinds(t *testing.T) {
	once := sim.Chance{Next: 1}
	tests := []struct {
		name    string
		faults  sim.EC2Faults
		code    string // empty: the connection breaks
		status  int
		applied bool
	}{
		{"throttled", sim.EC2Faults{Throttle: once}, "RequestLimitExceeded", 503, false},
		{"500 before", sim.EC2Faults{Internal: once}, "InternalError", 500, false},
		{"500 after", sim.EC2Faults{InternalApplied: once}, "InternalError", 500, true},
		{"reset before", sim.EC2Faults{Reset: once}, "", 0, false},
		{"reset after", sim.EC2Faults{Lost: once}, "", 0, true},
		{"denied", sim.EC2Faults{Denied: []string{"CreateNetworkAclEntry"}}, "UnauthorizedOperation", 403, false},
		{"expired", sim.EC2Faults{Expired: true}, "RequestExpired", 400, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := server(sim.EC2Config{})
			tt.faults.Actions = []string{"CreateNetworkAclEntry"}
			s.SetFaults(tt.faults)
			_, err := client(s).CreateNetworkAclEntry(t.Context(), create(5, true, "203.0.113.7/32"))
			if tt.code == "" {
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%v", err)
				}
			} else if got := code(t, err); got != tt.code {
				t.Errorf("code %q, want %q", got, tt.code)
			}
			var resp interface{ HTTPStatusCode() int }
			if tt.code != "" && (!errors.As(err, &resp) || resp.HTTPStatusCode() != tt.status) {
				t.Errorf("status of %v, want %d", err, tt.status)
			}
			if has(s, 5) != tt.applied {
				t.Errorf("applied: %v", has(s, 5))
			}
			call := s.Calls().Log[0]
			if call.Applied != tt.applied || call.Answered != (tt.code != "") || call.Code != tt.code || call.Prefix() != netip.MustParsePrefix("203.0.113.7/32") {
				t.Errorf("call %+v", call)
			}
			left := s.Faults()
			if left.Throttle.Next+left.Internal.Next+left.InternalApplied.Next+left.Reset.Next+left.Lost.Next != 0 {
				t.Errorf("faults left %+v", left)
			}
		})
	}
}

func TestDryRunAsksForPermissionOnly(t *testing.T) {
	s := server(sim.EC2Config{})
	before := s.Entries(aclID)
	ask := func() string {
		in := create(32766, true, "192.0.2.0/24")
		in.DryRun = aws.Bool(true)
		_, err := client(s).CreateNetworkAclEntry(t.Context(), in)
		return code(t, err)
	}
	if got := ask(); got != "DryRunOperation" {
		t.Errorf("allowed: %q", got)
	}
	s.SetFaults(sim.EC2Faults{Denied: []string{"CreateNetworkAclEntry"}})
	if got := ask(); got != "UnauthorizedOperation" {
		t.Errorf("denied: %q", got)
	}
	if calls := s.Calls(); !slices.Equal(s.Entries(aclID), before) || calls.Writes != 0 || calls.ByAction["CreateNetworkAclEntry"] != 2 {
		t.Errorf("entries %v, calls %+v", s.Entries(aclID), calls)
	}
}

func TestLateWriteLands(t *testing.T) {
	tests := []struct {
		by     time.Duration
		landed bool
	}{{40 * time.Second, true}, {15 * time.Minute, true}, {16 * time.Minute, false}}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			s := server(sim.EC2Config{})
			s.SetFaults(sim.EC2Faults{Late: sim.Chance{Next: 1}, LateBy: tt.by})
			c := client(s)
			if described(t, c, 5) {
				t.Fatal("entry before the write") // and a describe is never late
			}
			if _, err := c.CreateNetworkAclEntry(t.Context(), create(5, true, "203.0.113.7/32")); !errors.Is(err, syscall.ECONNRESET) {
				t.Fatal(err)
			}
			<-time.After(tt.by - time.Millisecond)
			if has(s, 5) {
				t.Error("landed too early")
			}
			<-time.After(time.Millisecond)
			if has(s, 5) != tt.landed || s.Calls().Log[1].Applied != tt.landed {
				t.Errorf("by %v: landed %v, %+v", tt.by, has(s, 5), s.Calls().Log[1])
			}
		})
	}
}

// TestLateWritesKeepTheirOrder lets a create land after the delete that was
// meant to undo it: the entry stays.
func TestLateWritesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(sim.EC2Config{})
		c := client(s)
		s.SetFaults(sim.EC2Faults{Late: sim.Chance{Next: 1}, LateBy: time.Minute})
		if _, err := c.CreateNetworkAclEntry(t.Context(), create(5, true, "203.0.113.7/32")); err == nil {
			t.Fatal("no error")
		}
		_, err := c.DeleteNetworkAclEntry(t.Context(), remove(5, true))
		if got := code(t, err); got != "InvalidNetworkAclEntry.NotFound" {
			t.Fatalf("delete %q", got)
		}
		s.SetFaults(sim.EC2Faults{Late: sim.Chance{Next: 2}, LateBy: 10 * time.Second})
		for _, cidr := range []string{"203.0.113.8/32", "203.0.113.9/32"} {
			if _, err := c.CreateNetworkAclEntry(t.Context(), create(6, true, cidr)); err == nil {
				t.Fatal("no error")
			}
		}
		<-time.After(2 * time.Minute)
		entries := s.Entries(aclID)
		find := func(n int) sim.Entry {
			return entries[slices.IndexFunc(entries, func(e sim.Entry) bool { return e.Number == n && e.Egress })]
		}
		if !has(s, 5) || find(6).Prefix != netip.MustParsePrefix("203.0.113.8/32") {
			t.Errorf("%v", entries)
		}
		if log := s.Calls().Log; !log[0].Applied || !log[2].Applied || log[3].Applied {
			t.Errorf("%+v", log)
		}
	})
}

func TestStaleDescribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(sim.EC2Config{Seed: 1})
		c := client(s)
		<-time.After(time.Minute)
		if _, err := c.CreateNetworkAclEntry(t.Context(), create(5, true, "203.0.113.7/32")); err != nil {
			t.Fatal(err)
		}
		s.SetFaults(sim.EC2Faults{Stale: sim.Chance{Rate: 1}, StaleBy: 20 * time.Second, StaleExact: true})
		if described(t, c, 5) || !has(s, 5) {
			t.Error("a describe shows a write at once")
		}
		<-time.After(20*time.Second - time.Millisecond)
		if described(t, c, 5) {
			t.Error("a describe shows a write too early")
		}
		<-time.After(time.Millisecond)
		if !described(t, c, 5) {
			t.Error("a describe never shows a write")
		}
		// A second write does not hide what was true before the first.
		s.SetFaults(sim.EC2Faults{})
		for range 2 {
			<-time.After(10 * time.Second)
			if _, err := c.CreateNetworkAclEntry(t.Context(), create(6, true, "203.0.113.8/32")); err != nil {
				t.Fatal(err)
			}
			<-time.After(10 * time.Second)
			if _, err := c.DeleteNetworkAclEntry(t.Context(), remove(6, true)); err != nil {
				t.Fatal(err)
			}
		}
		s.SetFaults(sim.EC2Faults{Stale: sim.Chance{Rate: 1}, StaleBy: 35 * time.Second, StaleExact: true})
		if described(t, c, 6) {
			t.Error("the past before two writes is not kept")
		}
		// Without StaleExact two answers running may disagree, in both ways.
		s.SetFaults(sim.EC2Faults{Stale: sim.Chance{Rate: 1}, StaleBy: 20 * time.Second})
		<-time.After(time.Minute)
		if _, err := c.DeleteNetworkAclEntry(t.Context(), remove(5, true)); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		seen := 0
		for range 200 {
			if described(t, c, 5) {
				seen++
			}
		}
		if seen < 60 || seen > 140 {
			t.Errorf("%d of 200 describes are older than 10 s, want about half", seen)
		}
	})
}

func TestLatencyHonoursTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			faults  sim.EC2Faults
			applied bool
		}{{sim.EC2Faults{Latency: time.Minute}, false}, {sim.EC2Faults{AnswerLatency: time.Minute}, true}} {
			s := server(sim.EC2Config{})
			s.SetFaults(tt.faults)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			start := time.Now()
			_, err := client(s).CreateNetworkAclEntry(ctx, create(5, true, "203.0.113.7/32"))
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second || has(s, 5) != tt.applied {
				t.Errorf("%+v: %v after %v, applied %v", tt.faults, err, time.Since(start), has(s, 5))
			}
			start = time.Now()
			if _, err := client(s).CreateNetworkAclEntry(t.Context(), create(5, true, "203.0.113.7/32")); err != nil || time.Since(start) != time.Minute {
				t.Errorf("%+v: %v after %v", tt.faults, err, time.Since(start))
			}
		}
	})
}

func TestUnknownActionIsRefused(t *testing.T) {
	_, err := client(server(sim.EC2Config{})).DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
	if got := code(t, err); got != "InvalidAction" {
		t.Errorf("%q", got)
	}
}

func TestSignatureIsChecked(t *testing.T) {
	known := sim.DefaultCredential()
	as := func(key, secret, token string) func(*ec2.Options) {
		return func(o *ec2.Options) { o.Credentials = credentials.NewStaticCredentialsProvider(key, secret, token) }
	}
	tamper := func(f func(*http.Request)) func(*ec2.Options) {
		return func(o *ec2.Options) {
			inner := o.HTTPClient
			o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) { f(r); return inner.Do(r) })
		}
	}
	tests := []struct {
		name string
		set  func(*ec2.Options)
		want string
	}{
		{"good", func(*ec2.Options) {}, ""},
		{"unknown key", as("AKIAUNKNOWN", known.SecretAccessKey, ""), "AuthFailure"},
		{"wrong secret", as(known.AccessKeyID, "wrong", ""), "AuthFailure"},
		{"unexpected session token", as(known.AccessKeyID, known.SecretAccessKey, "token"), "AuthFailure"},
		{"another region", func(o *ec2.Options) { o.Region = "eu-west-1" }, "AuthFailure"},
		{"no signature", tamper(func(r *http.Request) { r.Header.Del("Authorization") }), "AuthFailure"},
		{"changed header", tamper(func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }), "AuthFailure"},
		{"changed host", tamper(func(r *http.Request) { r.Host = "other.test" }), "AuthFailure"},
		{"no date", tamper(func(r *http.Request) { r.Header.Del("X-Amz-Date") }), "IncompleteSignature"},
	}
	for _, tt := range tests {
		s := server(sim.EC2Config{})
		_, err := client(s, tt.set).DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{})
		if got := code(t, err); got != tt.want {
			t.Errorf("%s answers %q, want %q", tt.name, got, tt.want)
		}
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// TestSignatureAges holds back a signed request on its way.
func TestSignatureAges(t *testing.T) {
	for held, want := range map[time.Duration]string{15 * time.Minute: "", 15*time.Minute + time.Second: "RequestExpired"} {
		synctest.Test(t, func(t *testing.T) {
			s := server(sim.EC2Config{})
			hold := func(o *ec2.Options) {
				inner := o.HTTPClient
				o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) { <-time.After(held); return inner.Do(r) })
			}
			_, err := client(s, hold).CreateNetworkAclEntry(t.Context(), create(5, true, "203.0.113.7/32"))
			if got := code(t, err); got != want || has(s, 5) != (want == "") {
				t.Errorf("held %v: %q", held, got)
			}
		})
	}
}

func TestTemporaryCredentialsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(sim.EC2Config{Credentials: []sim.Credential{{AccessKeyID: "ASIA1", SecretAccessKey: "s", SessionToken: "t", Expires: time.Now().Add(time.Hour)}}})
		c := client(s, func(o *ec2.Options) { o.Credentials = credentials.NewStaticCredentialsProvider("ASIA1", "s", "t") })
		if _, err := c.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{}); err != nil {
			t.Error(err)
		}
		<-time.After(time.Hour)
		_, err := c.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{})
		if got := code(t, err); got != "RequestExpired" {
			t.Errorf("expired: %q", got)
		}
	})
}

func TestBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(sim.EC2Config{Buckets: true})
		c := client(s)
		burst := func() (n int) {
			for ; ; n++ {
				if _, err := c.DeleteNetworkAclEntry(t.Context(), remove(9, true)); code(t, err) == "RequestLimitExceeded" {
					return n
				}
			}
		}
		if n := burst(); n != 50 {
			t.Errorf("%d writes at once", n)
		}
		<-time.After(2 * time.Second)
		if n := burst(); n != 10 {
			t.Errorf("%d writes after 2 s", n)
		}
	})
}

// TestSameSeedSameFaults replays a run.
func TestSameSeedSameFaults(t *testing.T) {
	run := func(seed uint64) (out []string) {
		s := server(sim.EC2Config{Seed: seed})
		s.SetFaults(sim.EC2Faults{Throttle: sim.Chance{Rate: 0.2}, Internal: sim.Chance{Rate: 0.2}, InternalApplied: sim.Chance{Rate: 0.2}})
		for i := range int32(60) {
			_, err := client(s).CreateNetworkAclEntry(t.Context(), create(1+i%20, true, fmt.Sprintf("203.0.113.%d/32", i%20)))
			out = append(out, code(t, err))
		}
		return out
	}
	first := run(1)
	if !slices.Equal(first, run(1)) {
		t.Error("the same seed gives other faults")
	}
	if slices.Equal(first, run(2)) {
		t.Error("another seed gives the same faults")
	}
	for _, want := range []string{"", "RequestLimitExceeded", "InternalError"} {
		if !slices.Contains(first, want) {
			t.Errorf("no %q in %v", want, first)
		}
	}
}

func TestHumanEdit(t *testing.T) {
	s := server(sim.EC2Config{})
	err := s.Edit(aclID, func(a *sim.ACL) {
		a.Name = "renamed"
		a.Entries = []sim.Entry{{Number: 50, Egress: true, Prefix: netip.MustParsePrefix("198.51.100.9/24")}}
	})
	if err != nil {
		t.Fatal(err)
	}
	got := s.Entries(aclID)
	want := []int{32767, 32768, 50, 32767, 32768}
	var numbers []int
	for _, e := range got {
		numbers = append(numbers, e.Number)
	}
	if !slices.Equal(numbers, want) || got[2] != (sim.Entry{Number: 50, Egress: true, Prefix: netip.MustParsePrefix("198.51.100.0/24"), Protocol: "-1"}) {
		t.Errorf("%+v", got)
	}
	if acls := s.ACLs(); acls[0].Name != "renamed" {
		t.Errorf("%+v", acls)
	}
	if err := s.Edit(otherID, func(*sim.ACL) {}); err == nil {
		t.Error("an unknown network ACL was edited")
	}
}

// TestOverASocket checks that a real connection sees what Transport shows: the
// signature over the host as addressed, and a broken connection.
func TestOverASocket(t *testing.T) {
	s := server(sim.EC2Config{})
	web := httptest.NewServer(s)
	defer web.Close()
	c := client(s, func(o *ec2.Options) { o.BaseEndpoint, o.HTTPClient = aws.String(web.URL), web.Client() })
	if _, err := c.CreateNetworkAclEntry(t.Context(), create(5, true, "203.0.113.7/32")); err != nil {
		t.Fatal(err)
	}
	if !described(t, c, 5) {
		t.Error("not described")
	}
	s.SetFaults(sim.EC2Faults{Lost: sim.Chance{Next: 1}})
	_, err := c.DeleteNetworkAclEntry(t.Context(), remove(5, true))
	if err == nil || has(s, 5) {
		t.Errorf("lost answer: %v, entry still there %v", err, has(s, 5))
	}
}
