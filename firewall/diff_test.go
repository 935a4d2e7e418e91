package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func deny(n int, p string) Entry {
	return Entry{Number: n, Direction: Egress, Deny: true, Protocol: AllProtocols, Prefix: pfx(p)}
}

func allow(n int, p string) Entry {
	return Entry{Number: n, Direction: Egress, Protocol: AllProtocols, Prefix: pfx(p)}
}

// standard is an egress list as AWS makes it, with more entries.
func standard(more ...Entry) ACL {
	a := ACL{ID: "acl-1", Entries: append([]Entry{allow(100, "0.0.0.0/0"), allow(101, "::/0"),
		deny(32767, "0.0.0.0/0"), deny(32768, "::/0")}, more...)}
	a.Sort()
	return a
}

func want(ps ...string) []Candidate {
	var out []Candidate
	for i, p := range ps {
		out = append(out, Candidate{Direction: Egress, Prefix: pfx(p), Weight: 10, Ref: p,
			Since: time.Unix(int64(i), 0)})
	}
	return out
}

func own(es ...Entry) []Owned {
	var out []Owned
	for _, e := range es {
		out = append(out, Owned{Direction: e.Direction, Number: e.Number, Prefixes: []netip.Prefix{e.Prefix}})
	}
	return out
}

func open(netip.Prefix) error { return nil }

func changes(p Plan) []string {
	var out []string
	for _, c := range p.Changes {
		out = append(out, c.String())
	}
	return out
}

// many gives addresses of which no two can be joined without a third.
func many(from, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("203.0.113.%d/32", 2*(from+i)))
	}
	return out
}

func manyDenies(from, n int) []Entry {
	var out []Entry
	for i, p := range many(from, n) {
		out = append(out, deny(i+1, p))
	}
	return out
}

func TestDiff(t *testing.T) {
	x, y := deny(1, "203.0.113.1/32"), deny(2, "203.0.113.2/32")
	full := manyDenies(1, 18)
	for _, tc := range []struct {
		name string
		acl  ACL
		want []Candidate
		lim  Limits
		out  []string // changes
		left string   // part of the first reason for being left out
	}{
		{name: "nothing wanted, nothing there", acl: standard()},
		{name: "first entry takes the lowest number", acl: standard(), want: want("203.0.113.1/32"),
			out: []string{"+ egress 1 deny 203.0.113.1/32"}},
		{name: "host bits do not matter", acl: standard(), want: []Candidate{{Direction: Egress, Prefix: netip.PrefixFrom(netip.MustParseAddr("203.0.113.77"), 24)}},
			out: []string{"+ egress 1 deny 203.0.113.0/24"}},
		{name: "families share numbers", acl: standard(x), want: want("203.0.113.1/32", "2001:db8::1/128"), lim: Limits{Owned: own(x)},
			out: []string{"+ egress 2 deny 2001:db8::1/128"}},
		{name: "there already", acl: standard(x), want: want("203.0.113.1/32"), lim: Limits{Owned: own(x)}},
		{name: "no longer wanted", acl: standard(x, y), want: want("203.0.113.2/32"), lim: Limits{Owned: own(x, y)},
			out: []string{"- egress 1 deny 203.0.113.1/32"}},
		{name: "a foreign number is never used", acl: standard(deny(1, "198.51.100.0/24")), want: want("203.0.113.1/32"),
			out: []string{"+ egress 2 deny 203.0.113.1/32"}},
		{name: "a foreign deny is never deleted", acl: standard(deny(1, "198.51.100.0/24"))},
		{name: "an entry that differs from the journal is foreign", acl: standard(deny(1, "203.0.113.9/32")), lim: Limits{Owned: own(x)}},
		{name: "a deny of others covers it", acl: standard(deny(50, "203.0.113.0/24")), want: want("203.0.113.1/32")},
		{name: "a deny of others above the allow does not", acl: standard(deny(200, "203.0.113.0/24")), want: want("203.0.113.1/32"),
			out: []string{"+ egress 1 deny 203.0.113.1/32"}},
		{name: "a deny of one protocol does not", acl: standard(Entry{Number: 50, Direction: Egress, Deny: true, Protocol: 6, Prefix: pfx("203.0.113.0/24")}),
			want: want("203.0.113.1/32"), out: []string{"+ egress 1 deny 203.0.113.1/32"}},
		{name: "an ingress deny does not", acl: standard(Entry{Number: 50, Direction: Ingress, Deny: true, Protocol: AllProtocols, Prefix: pfx("203.0.113.0/24")}),
			want: want("203.0.113.1/32"), out: []string{"+ egress 1 deny 203.0.113.1/32"}},
		{name: "an allow of the very address does not", acl: standard(allow(50, "203.0.113.1/32")), want: want("203.0.113.1/32"),
			out: []string{"+ egress 1 deny 203.0.113.1/32"}},
		{name: "below an early allow", acl: standard(allow(3, "203.0.113.0/24"), deny(1, "198.51.100.1/32"), deny(2, "198.51.100.2/32")), want: want("203.0.113.1/32", "192.0.2.1/32"),
			out: []string{"+ egress 4 deny 192.0.2.1/32"}, left: "no free rule number below 3"},
		{name: "an allow with number 1", acl: standard(allow(1, "0.0.0.0/0")), want: want("203.0.113.1/32"),
			left: "not effective: allow 1 matches before"},
		{name: "an entry of ours that became void moves below", acl: standard(allow(2, "203.0.113.0/24"), deny(3, "203.0.113.1/32")), want: want("203.0.113.1/32"),
			lim: Limits{Owned: own(deny(3, "203.0.113.1/32"))}, out: []string{"+ egress 1 deny 203.0.113.1/32", "- egress 3 deny 203.0.113.1/32"}},
		{name: "a resting number is left alone", acl: standard(), want: want("203.0.113.1/32"),
			lim: Limits{Resting: map[Direction]map[int]bool{Egress: {1: true}}}, out: []string{"+ egress 2 deny 203.0.113.1/32"}},
		{name: "a resting entry is not deleted", acl: standard(x), lim: Limits{Owned: own(x), Resting: map[Direction]map[int]bool{Egress: {1: true}}}},
		{name: "eighteen slots", acl: standard(), want: want(many(1, 20)...), out: func() []string {
			var out []string
			for i, p := range many(1, 18) {
				out = append(out, fmt.Sprintf("+ egress %d deny %s", i+1, p))
			}
			return out
		}(), left: "all 18 egress IPv4 slots"},
		{name: "equals do not displace", acl: standard(full...), want: want(append([]string{"192.0.2.1/32"}, many(1, 18)...)...), lim: Limits{Owned: own(full...)},
			left: "all 18"},
		{name: "a heavier one takes the place when full", acl: standard(full...), lim: Limits{Owned: own(full...)},
			want: append(want(many(1, 18)...), Candidate{Direction: Egress, Prefix: pfx("192.0.2.1/32"), Weight: 99}),
			out:  []string{"~ egress 18 deny 192.0.2.1/32 in place of 203.0.113.36/32"}, left: "all 18"},
		{name: "a swap when full is a replace", acl: standard(full...), lim: Limits{Owned: own(full...)}, want: append(want(many(2, 17)...), want("192.0.2.1/32")...),
			out: []string{"~ egress 1 deny 192.0.2.1/32 in place of 203.0.113.2/32"}},
		{name: "a swap with a free slot creates first", acl: standard(x), lim: Limits{Owned: own(x)}, want: want("192.0.2.1/32"),
			out: []string{"+ egress 2 deny 192.0.2.1/32", "- egress 1 deny 203.0.113.1/32"}},
		{name: "a create that may still land takes a slot", acl: standard(manyDenies(1, 17)...), want: append(want(many(1, 17)...), want("192.0.2.1/32")...),
			lim:  Limits{Owned: own(manyDenies(1, 17)...), Pending: map[Direction]map[Family]int{Egress: {IPv4: 1}}, Resting: map[Direction]map[int]bool{Egress: {18: true}}},
			left: "all 17"},
		{name: "full of foreign entries", acl: standard(full...), want: want("192.0.2.1/32"), left: "entries of others fill the quota"},
		{name: "quota 40", acl: standard(full...), lim: Limits{Quota: 40, Owned: own(full...)}, want: append(want(many(1, 18)...), want("192.0.2.1/32")...),
			out: []string{"+ egress 19 deny 192.0.2.1/32"}},
		{name: "IPv6 only", acl: ACL{Entries: []Entry{allow(100, "::/0"), deny(32768, "::/0"), deny(32767, "0.0.0.0/0")}}, want: want("2001:db8::1/128"),
			out: []string{"+ egress 1 deny 2001:db8::1/128"}},
		{name: "an entry that cannot be read counts for both families", acl: standard(append(manyDenies(1, 17), Entry{Number: 60, Direction: Egress, Deny: true})...),
			want: append(want(many(1, 17)...), want("192.0.2.1/32")...), lim: Limits{Owned: own(manyDenies(1, 17)...)}, left: "all 17"},
		{name: "an entry that a lost delete may still remove serves nobody", acl: standard(x), lim: Limits{Owned: own(x), Unsure: map[Direction]map[int]bool{Egress: {1: true}}, Resting: map[Direction]map[int]bool{Egress: {1: true}}},
			want: want("203.0.113.1/32"), out: []string{"+ egress 2 deny 203.0.113.1/32"}},
		{name: "twins of ours are thinned out", acl: standard(x, deny(7, "203.0.113.1/32")), lim: Limits{Owned: own(x, deny(7, "203.0.113.1/32"))}, want: want("203.0.113.1/32"),
			out: []string{"- egress 7 deny 203.0.113.1/32"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.lim.Guard = open
			p := Diff(tc.acl, tc.want, tc.lim)
			if got := changes(p); !slices.Equal(got, tc.out) {
				t.Errorf("changes\n got %q\nwant %q", got, tc.out)
			}
			switch {
			case tc.left == "" && len(p.Left) > 0:
				t.Errorf("left out %v, want none", p.Left)
			case tc.left != "" && (len(p.Left) == 0 || !strings.Contains(p.Left[0].Why, tc.left)):
				t.Errorf("left out %v, want a reason with %q", p.Left, tc.left)
			}
		})
	}
}

func TestDiffGuard(t *testing.T) {
	x := deny(1, "203.0.113.1/32")
	no := func(p netip.Prefix) error {
		if p.Overlaps(pfx("203.0.113.0/24")) {
			return errors.New("our own network")
		}
		return nil
	}
	p := Diff(standard(x), want("203.0.113.1/32", "203.0.113.2/32", "192.0.2.1/32"), Limits{Owned: own(x), Guard: no})
	if got, w := changes(p), []string{"- egress 1 deny 203.0.113.1/32", "+ egress 2 deny 192.0.2.1/32"}; !slices.Equal(got, w) {
		t.Errorf("a guard that grew over a block: %q, want %q", got, w)
	}
	if len(p.Refused) != 2 {
		t.Errorf("refused %v, want both", p.Refused)
	}
	p = Diff(standard(x, deny(2, "203.0.113.9/32")), want("203.0.113.1/32", "192.0.2.1/32"), Limits{Owned: own(x, deny(2, "203.0.113.9/32"))})
	if got, w := changes(p), []string{"- egress 2 deny 203.0.113.9/32"}; !slices.Equal(got, w) {
		t.Errorf("without a guard: %q, want only what nobody wants removed: %q", got, w)
	}
}

func TestDiffIsRepeatable(t *testing.T) {
	acl := standard(manyDenies(1, 18)...)
	w := want(append(many(5, 40), "2001:db8::1/128", "2001:db8::2/128")...)
	lim := Limits{Owned: own(manyDenies(1, 18)...), Guard: open}
	first := Diff(acl, w, lim)
	for range 20 {
		slices.Reverse(w)
		if again := Diff(acl, w, lim); !reflect.DeepEqual(first.Changes, again.Changes) {
			t.Fatalf("the same input in another order gives another plan:\n%v\n%v", first.Changes, again.Changes)
		}
	}
}

// TestOursIsNotWrittenTwice: a read that lags may lack an entry of ours that
// another process has seen; its number is not taken for anything.
func TestOursIsNotWrittenTwice(t *testing.T) {
	p := netip.MustParsePrefix("203.0.113.7/32")
	lim := Limits{Guard: func(netip.Prefix) error { return nil }, Owned: []Owned{{Direction: Egress, Number: 1, Prefixes: []netip.Prefix{p}}}}
	for _, c := range Diff(ACL{ID: "acl-1"}, []Candidate{{Direction: Egress, Prefix: p, Weight: 1, Ref: "x"}}, lim).Changes {
		if c.Number == 1 {
			t.Errorf("%s", c)
		}
	}
}
