package firewall

import (
	"encoding"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// TestWordsAreReadBack holds that each word that is written is read back, and no
// other.
func TestWordsAreReadBack(t *testing.T) {
	for _, tc := range []struct {
		value encoding.TextMarshaler
		back  func([]byte) (any, error)
	}{
		{Egress, func(b []byte) (any, error) { var d Direction; err := d.UnmarshalText(b); return d, err }},
		{Ingress, func(b []byte) (any, error) { var d Direction; err := d.UnmarshalText(b); return d, err }},
		{Create, func(b []byte) (any, error) { var o Op; err := o.UnmarshalText(b); return o, err }},
		{Replace, func(b []byte) (any, error) { var o Op; err := o.UnmarshalText(b); return o, err }},
		{Delete, func(b []byte) (any, error) { var o Op; err := o.UnmarshalText(b); return o, err }},
	} {
		text, err := tc.value.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tc.back(text); err != nil || got != tc.value {
			t.Errorf("%s is read back as %v, %v", text, got, err)
		}
		if got, err := tc.back([]byte("sideways")); err == nil {
			t.Errorf("sideways is %v", got)
		}
	}
	if Op(0).Verb() != "unknown" || Op('+').String() != "+" || Direction(9).String() == "" {
		t.Error("an unknown word is not said")
	}
	if b, _ := IPv6.MarshalText(); string(b) != "IPv6" {
		t.Errorf("IPv6 is %s", b)
	}
}

func TestErrorsSayWhatTheyMean(t *testing.T) {
	inner := errors.New("inner")
	r := &RefusedError{Code: "NetworkAclEntryLimitExceeded", Meaning: "the ACL is full", Err: inner}
	e := &TargetError{ACL: "acl-1", Err: r}
	if !errors.Is(e, inner) || e.Error() != "acl-1: the ACL is full (NetworkAclEntryLimitExceeded)" {
		t.Errorf("%v", e)
	}
}

func TestShortfallSaysEverything(t *testing.T) {
	if s := (Budget{Wanted: 31, Kept: 18, Covered: 1, Waiting: 12, CutOff: 42}).Shortfall(); s != "31 wanted, 18 kept, 1 denied by others, 12 waiting, cut-off weight 42" {
		t.Error(s)
	}
}

// TestWhatWaitsGetsNothing, whatever is free, but keeps what it has.
func TestWhatWaitsGetsNothing(t *testing.T) {
	p := netip.MustParsePrefix("203.0.113.7/32")
	c := Candidate{Direction: Egress, Prefix: p, Weight: 10, Ref: "x", Waits: "waits for somebody"}
	acl := ACL{ID: "acl-1"}
	lim := Limits{Guard: func(netip.Prefix) error { return nil }}
	plan := Diff(acl, []Candidate{c}, lim)
	if len(plan.Changes) != 0 || len(plan.Left) != 1 || !strings.Contains(plan.Left[0].Why, "somebody") {
		t.Errorf("%+v", plan)
	}
	acl.Entries = []Entry{{Number: 5, Direction: Egress, Deny: true, Protocol: AllProtocols, Prefix: p}}
	lim.Owned = []Owned{{Direction: Egress, Number: 5, Prefixes: []netip.Prefix{p}}}
	if plan = Diff(acl, []Candidate{c}, lim); len(plan.Changes) != 0 || len(plan.Kept) != 1 {
		t.Errorf("what is there is taken away: %+v", plan)
	}
}
