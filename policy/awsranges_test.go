package policy

import (
	"net/netip"
	"strings"
	"testing"
)

const awsSample = `{"syncToken":"1","createDate":"2026-11-01-10-00-00","prefixes":[
 {"ip_prefix":"192.0.2.0/24","region":"us-east-1","service":"AMAZON","network_border_group":"us-east-1"},
 {"ip_prefix":"192.0.2.128/25","region":"us-east-1","service":"EC2","network_border_group":"us-east-1"},
 {"ip_prefix":"198.51.100.0/28","region":"us-east-1","service":"S3","network_border_group":"us-east-1"}],
 "ipv6_prefixes":[{"ipv6_prefix":"2001:db8::/40","region":"us-east-1","service":"AMAZON","network_border_group":"us-east-1"}]}`

// TestAWSRanges: what customers rent is not guarded, everything else is.
func TestAWSRanges(t *testing.T) {
	r, err := ParseAWSRanges([]byte(awsSample))
	if err != nil || r.Ranges != 4 || r.Made.Format("2006-01-02") != "2026-11-01" {
		t.Fatalf("%+v, %v", r, err)
	}
	g := NewGuard(r.Entries)
	for p, guarded := range map[string]bool{"192.0.2.1/32": true, "192.0.2.129/32": false, "192.0.2.0/23": true, "198.51.100.3/32": true,
		"198.51.100.16/32": false, "2001:db8:1::1/128": true, "2001:db9::1/128": false} {
		if err := g.Check(netip.MustParsePrefix(p)); (err != nil) != guarded {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestAWSRangesMustBeWhole(t *testing.T) {
	for name, s := range map[string]string{
		"empty": "", "no JSON": "<html>", "nothing in it": "{}", "no IPv6": strings.Replace(awsSample, `"ipv6_prefixes"`, `"x"`, 1),
		"no date": strings.Replace(awsSample, "2026-11-01-10-00-00", "soon", 1), "everything": strings.Replace(awsSample, "192.0.2.0/24", "0.0.0.0/0", 1),
		"host bits": strings.Replace(awsSample, "192.0.2.0/24", "192.0.2.1/24", 1), "no service": strings.Replace(awsSample, `"S3"`, `""`, 1),
		"cut": awsSample[:len(awsSample)/2],
	} {
		if _, err := ParseAWSRanges([]byte(s)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func FuzzParseAWSRanges(f *testing.F) {
	f.Add([]byte(awsSample))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseAWSRanges(b)
		if err == nil && (r.Ranges == 0 || r.Made.IsZero()) {
			t.Errorf("an empty set is accepted: %+v", r)
		}
		for _, e := range r.Entries {
			if e.Prefix.Bits() < 8 {
				t.Errorf("%s guards too much", e.Prefix)
			}
		}
	})
}
