package firewalltest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"selfprotect/firewall"
)

// Backend is what the suite tries.
type Backend interface {
	Read(ctx context.Context) ([]firewall.ACL, error)
	Do(ctx context.Context, aclID string, c firewall.Change) error
}

// SuiteACL is the id of the ACL that the suite wants to be opened with.
const SuiteACL = "acl-0123456789abcdef0"

// Run is the suite that every back end must pass. open gives a back end for one
// ACL with the id SuiteACL that is as Standard makes it.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, s suite)
	}{
		{"read", testRead}, {"create", testCreate}, {"create again", testCreateAgain}, {"taken", testTaken},
		{"replace", testReplace}, {"delete", testDelete}, {"missing", testMissing}, {"quota", testQuota},
		{"unknown ACL", testUnknownACL}, {"ended context", testEndedContext},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, suite{t, open(t)}) })
	}
}

type suite struct {
	t *testing.T
	b Backend
}

func change(op firewall.Op, d firewall.Direction, n int, p string) firewall.Change {
	return firewall.Change{Op: op, Direction: d, Number: n, Prefix: netip.MustParsePrefix(p)}
}

func (s suite) do(c firewall.Change) {
	s.t.Helper()
	if err := s.b.Do(context.Background(), SuiteACL, c); err != nil {
		s.t.Fatalf("%s: %v", c, err)
	}
}

// refused makes a change that must be refused definitely.
func (s suite) refused(c firewall.Change) *firewall.RefusedError {
	s.t.Helper()
	var r *firewall.RefusedError
	if err := s.b.Do(context.Background(), SuiteACL, c); !errors.As(err, &r) {
		s.t.Fatalf("%s: %v, want a definite refusal", c, err)
	}
	return r
}

func (s suite) entries() []firewall.Entry {
	s.t.Helper()
	acls, err := s.b.Read(context.Background())
	if err != nil || len(acls) != 1 || acls[0].ID != SuiteACL {
		s.t.Fatalf("read: %v, %v", acls, err)
	}
	sorted := acls[0]
	sorted.Entries = slices.Clone(sorted.Entries)
	sorted.Sort()
	if !slices.Equal(sorted.Entries, acls[0].Entries) {
		s.t.Errorf("entries are not sorted: %v", acls[0].Entries)
	}
	return acls[0].Entries
}

func (s suite) shows(c firewall.Change, want bool) {
	s.t.Helper()
	if got := slices.Contains(s.entries(), c.Entry()); got != want {
		s.t.Errorf("%v is shown: %v, want %v", c.Entry(), got, want)
	}
}

func testRead(t *testing.T, s suite) {
	if got := s.entries(); !slices.Equal(got, Standard(SuiteACL).Entries) {
		t.Errorf("a fresh ACL holds %v", got)
	}
}

func testCreate(t *testing.T, s suite) {
	cs := []firewall.Change{
		change(firewall.Create, firewall.Egress, 1, "203.0.113.7/32"),
		change(firewall.Create, firewall.Egress, 2, "2001:db8::7/128"),
		change(firewall.Create, firewall.Ingress, 1, "198.51.100.0/24"),
	}
	for _, c := range cs {
		s.do(c)
	}
	for _, c := range cs {
		s.shows(c, true)
	}
	if n := len(s.entries()); n != len(Standard(SuiteACL).Entries)+len(cs) {
		t.Errorf("%d entries", n)
	}
}

// An answer that was lost is asked for again: the same create succeeds.
func testCreateAgain(t *testing.T, s suite) {
	c := change(firewall.Create, firewall.Egress, 1, "203.0.113.7/32")
	s.do(c)
	s.do(c)
	s.shows(c, true)
}

func testTaken(t *testing.T, s suite) {
	s.do(change(firewall.Create, firewall.Egress, 1, "203.0.113.7/32"))
	for _, p := range []string{"203.0.113.8/32", "2001:db8::8/128"} { // families share numbers
		if r := s.refused(change(firewall.Create, firewall.Egress, 1, p)); !r.Taken || r.Quota || r.Gone || r.Permission {
			t.Errorf("%s at a taken number: %+v", p, r)
		}
	}
	s.shows(change(firewall.Create, firewall.Egress, 1, "203.0.113.7/32"), true)
}

func testReplace(t *testing.T, s suite) {
	s.do(change(firewall.Create, firewall.Egress, 1, "203.0.113.7/32"))
	s.do(change(firewall.Replace, firewall.Egress, 1, "203.0.113.8/32"))
	s.shows(change(firewall.Create, firewall.Egress, 1, "203.0.113.7/32"), false)
	s.shows(change(firewall.Create, firewall.Egress, 1, "203.0.113.8/32"), true)
}

func testDelete(t *testing.T, s suite) {
	s.do(change(firewall.Create, firewall.Egress, 1, "203.0.113.7/32"))
	s.do(change(firewall.Create, firewall.Ingress, 1, "203.0.113.7/32"))
	s.do(change(firewall.Delete, firewall.Egress, 1, "203.0.113.7/32"))
	s.shows(change(firewall.Create, firewall.Egress, 1, "203.0.113.7/32"), false)
	s.shows(change(firewall.Create, firewall.Ingress, 1, "203.0.113.7/32"), true)
}

func testMissing(t *testing.T, s suite) {
	for _, op := range []firewall.Op{firewall.Replace, firewall.Delete} {
		if r := s.refused(change(op, firewall.Egress, 7, "203.0.113.7/32")); !r.Gone || r.Taken {
			t.Errorf("%s of a missing entry: %+v", op.Verb(), r)
		}
	}
}

func testQuota(t *testing.T, s suite) {
	for i := range 18 {
		s.do(change(firewall.Create, firewall.Egress, i+1, fmt.Sprintf("203.0.113.%d/32", i+1)))
	}
	if r := s.refused(change(firewall.Create, firewall.Egress, 19, "203.0.113.99/32")); !r.Quota || r.Taken {
		t.Errorf("beyond the quota: %+v", r)
	}
	s.do(change(firewall.Create, firewall.Egress, 19, "2001:db8::1/128")) // its own budget
	s.do(change(firewall.Create, firewall.Ingress, 1, "203.0.113.1/32"))  // likewise
	s.do(change(firewall.Replace, firewall.Egress, 18, "203.0.113.99/32"))
}

func testUnknownACL(t *testing.T, s suite) {
	err := s.b.Do(context.Background(), "acl-0fffffffffffffff0", change(firewall.Create, firewall.Egress, 1, "203.0.113.7/32"))
	var r *firewall.RefusedError
	if !errors.As(err, &r) || !r.Gone {
		t.Errorf("an unknown ACL gives %v", err)
	}
}

func testEndedContext(t *testing.T, s suite) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.b.Read(ctx); err == nil {
		t.Errorf("a read with an ended context succeeds")
	}
	err := s.b.Do(ctx, SuiteACL, change(firewall.Create, firewall.Egress, 1, "203.0.113.7/32"))
	var r *firewall.RefusedError
	if err == nil || errors.As(err, &r) {
		t.Errorf("a write with an ended context gives %v: its outcome is not known", err)
	}
}
