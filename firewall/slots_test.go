package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestLonelyOnesAreNotMissed holds that leaving out candidates which nothing can
// be joined with changes no choice.
func TestLonelyOnesAreNotMissed(t *testing.T) {
	often(t, 30, func(t *rapid.T) {
		minBits := rapid.IntRange(24, 32).Draw(t, "min")
		var want []Candidate
		for i := range rapid.IntRange(1, 40).Draw(t, "candidates") {
			a := netip.AddrFrom4([4]byte{20, 0, byte(rapid.IntRange(0, 12).Draw(t, "net")), byte(rapid.IntRange(0, 255).Draw(t, "host"))})
			p := netip.PrefixFrom(a, rapid.SampledFrom([]int{32, 32, 32, 31, 28, 23}).Draw(t, "bits")).Masked()
			want = append(want, Candidate{Direction: Egress, Prefix: p, Weight: rapid.IntRange(0, 50).Draw(t, "weight"), Since: time.Unix(int64(i), 0)})
		}
		acl := standard(manyDenies(1, 3)...)
		p := planner{acl: acl, lim: Limits{Owned: own(manyDenies(1, 3)...), Guard: open, MinBits4: minBits, Collateral: 300, Price: 1}.withDefaults()}
		l := &list{planner: &p, dir: Egress, fam: IPv4, used: p.usedNumbers(Egress)}
		l.gather(want)
		l.k = rapid.IntRange(0, 8).Draw(t, "slots")
		spots := l.spots()
		var all []item
		for from := 0; from < len(spots); {
			g := l.one(spots, from, l.existing())
			all, from = append(all, g.item), int(g.to)
		}
		l.makeItems()
		for k := range l.k + 2 {
			few, full := solve(l.items, l.k+1, l.rules()).best(k), solve(all, l.k+1, l.rules()).best(k)
			if few != full {
				t.Fatalf("%d slots: %v of %d items, %v of all %d", k, few, len(l.items), full, len(all))
			}
		}
	})
}

// TestShortfall holds what a plan says when slots are short: how many wait, what
// weighs how much, and who comes next.
func TestShortfall(t *testing.T) {
	var w []Candidate
	for i, p := range many(1, 31) {
		w = append(w, Candidate{Direction: Egress, Prefix: pfx(p), Weight: 100 - i, Since: time.Unix(0, 0), Ref: p})
	}
	p := Diff(standard(), w, Limits{Guard: open, Margin: 10})
	b := p.Budgets[0]
	if b.Wanted != 31 || b.Kept != 18 || b.Waiting != 13 || b.CutOff != 83 {
		t.Errorf("%d wanted, %d kept, %d waiting, cut-off %d; want 31, 18, 13, 83", b.Wanted, b.Kept, b.Waiting, b.CutOff)
	}
	if len(p.Coming) != 18 || len(p.Left) != 13 || !p.Left[0].Next || p.Left[1].Next || p.Left[0].Candidate.Weight != 82 {
		t.Errorf("%d coming; next is %+v", len(p.Coming), p.Left)
	}
	if why := p.Left[0].Why; !strings.Contains(why, "the lightest entry weighs 83, a newcomer needs 10 more") {
		t.Errorf("why: %q", why)
	}
	if b := p.Budgets[1]; b.Wanted != 0 || b.Slots != 18 || b.CutOff != 0 {
		t.Errorf("IPv6 has a budget of its own: %+v", b)
	}
}

func TestPinsComeFirst(t *testing.T) {
	w := want(many(1, 20)...)
	for i := range w {
		w[i].Weight = 1000
	}
	light := Candidate{Direction: Egress, Prefix: pfx("192.0.2.1/32"), Weight: 1, Pinned: true, Since: time.Unix(99, 0)}
	full := manyDenies(1, 18)
	p := Diff(standard(full...), append(w, light), Limits{Owned: own(full...), Guard: open, Margin: 50})
	if got, want := changes(p), []string{"~ egress 18 deny 192.0.2.1/32 in place of 203.0.113.36/32"}; !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	if p.Budgets[0].CutOff != 1000 {
		t.Errorf("cut-off %d: a pin is no measure", p.Budgets[0].CutOff)
	}
}

// TestHysteresis: a newcomer needs the margin and one more.
func TestHysteresis(t *testing.T) {
	full := manyDenies(1, 18)
	for weight, moves := range map[int]int{10: 0, 15: 0, 20: 0, 21: 1} {
		w := append(want(many(1, 18)...), Candidate{Direction: Egress, Prefix: pfx("192.0.2.1/32"), Weight: weight})
		p := Diff(standard(full...), w, Limits{Owned: own(full...), Guard: open, Margin: 10})
		if len(p.Changes) != moves {
			t.Errorf("a newcomer of %d against 10 with a margin of 10: %q", weight, changes(p))
		}
	}
}

// TestJoining: what is wanted whole is joined when that saves a slot or a write,
// and taken apart again without opening anything.
func TestJoining(t *testing.T) {
	x := manyDenies(1, 16)
	a, b := deny(17, "192.0.2.4/32"), deny(18, "192.0.2.5/32")
	full := append(slices.Clone(x), a, b)
	rest := want(many(1, 16)...)
	for _, tc := range []struct {
		name string
		acl  ACL
		own  []Entry
		want []Candidate
		out  []string
	}{
		{"two halves that are there stay apart while there is room", standard(a, b), []Entry{a, b}, want("192.0.2.4/32", "192.0.2.5/32"), nil},
		{"two new halves are one write", standard(), nil, want("192.0.2.4/32", "192.0.2.5/32"), []string{"+ egress 1 deny 192.0.2.4/31"}},
		{"joined when a slot is short: the half that the joined entry covers goes first", standard(full...), full,
			append(want("192.0.2.4/32", "192.0.2.5/32", "198.51.100.9/32"), rest...),
			[]string{"~ egress 17 deny 192.0.2.4/31 in place of 192.0.2.4/32", "~ egress 18 deny 198.51.100.9/32 in place of 192.0.2.5/32"}},
		{"apart again when one half expires: create before delete", standard(deny(1, "192.0.2.4/31")), []Entry{deny(1, "192.0.2.4/31")}, want("192.0.2.5/32"),
			[]string{"+ egress 2 deny 192.0.2.5/32", "- egress 1 deny 192.0.2.4/31"}},
		{"apart again when full: replace", standard(append(manyDenies(2, 17), deny(18, "192.0.2.4/31"))...), append(manyDenies(2, 17), deny(18, "192.0.2.4/31")),
			append(want("192.0.2.5/32"), want(many(2, 17)...)...), []string{"~ egress 18 deny 192.0.2.5/32 in place of 192.0.2.4/31"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := Diff(tc.acl, tc.want, Limits{Owned: own(tc.own...), Guard: open})
			if got := changes(p); !slices.Equal(got, tc.out) {
				t.Errorf("changes\n got %q\nwant %q", got, tc.out)
			}
		})
	}
}

// TestWidening: with the default cap of 0 nothing innocent is denied; what wider
// prefixes would do is offered; a cover or a cap makes it so; the guard holds.
func TestWidening(t *testing.T) {
	var w []Candidate
	var full []Entry
	for i := range 18 {
		p := fmt.Sprintf("203.0.%d.1/32", i)
		w, full = append(w, want(p)...), append(full, deny(i+1, p))
	}
	w = append(w, want("198.51.100.1/32", "198.51.100.2/32", "198.51.100.7/32")...)
	lim := Limits{Owned: own(full...), Guard: open, Price: 1, Margin: 5}
	p := Diff(standard(full...), w, lim)
	if len(p.Changes) > 0 || len(p.Left) != 3 {
		t.Fatalf("with a cap of 0: %q, left %v", changes(p), p.Left)
	}
	offers := Widenings(p, standard(full...), w, lim, 254)
	i := slices.IndexFunc(offers, func(o Widening) bool { return o.Prefix == pfx("198.51.100.0/29") })
	if i < 0 || offers[i].Innocent != 5 || offers[i].Waiting != 3 || len(offers[i].Serves) != 3 {
		t.Fatalf("offers %+v, want 198.51.100.0/29 for three that wait and five innocents", offers)
	}
	lim.Covers = []Cover{{Egress, pfx("198.51.100.0/28")}}
	p = Diff(standard(full...), w, lim)
	if i := slices.IndexFunc(p.Changes, func(c Change) bool { return c.Prefix == pfx("198.51.100.0/29") }); i < 0 {
		t.Errorf("inside a cover: %q", changes(p))
	} else if r := p.Changes[i].Reason; !strings.Contains(r, "5 innocent addresses") {
		t.Errorf("reason %q does not name the innocents", r)
	}
	if b := p.Budgets[0]; b.Waiting != 1 || b.Kept != 20 {
		t.Errorf("three come in with the slot of one: %+v", b)
	}
	if again := Widenings(p, standard(full...), w, lim, 254); slices.ContainsFunc(again, func(o Widening) bool { return o.Prefix == pfx("198.51.100.0/29") }) {
		t.Error("what is granted is offered again")
	}
	lim.Guard = func(p netip.Prefix) error {
		if p.Overlaps(pfx("198.51.100.4/32")) {
			return fmt.Errorf("ours")
		}
		return nil
	}
	for _, c := range Diff(standard(full...), w, lim).Changes {
		if c.Op != Delete && c.Prefix.Overlaps(pfx("198.51.100.4/32")) {
			t.Errorf("%s touches the guard", c)
		}
	}
}

func TestWideningIPv6(t *testing.T) {
	w := want("2001:db8::1/128", "2001:db8::2/128", "2001:db8:0:1::9/128", "2001:db8:7::1/128")
	lim := Limits{Quota: 3, Guard: open, Price: 1, Collateral: 1}
	p := Diff(standard(), w, lim)
	if got := changes(p); !slices.Equal(got, []string{"+ egress 1 deny 2001:db8::/126"}) {
		t.Errorf("two of one /64 cost one /64: %q", got)
	}
	lim.MinBits6, lim.Collateral = 63, 2
	if got := changes(Diff(standard(), w, lim)); !slices.Equal(got, []string{"+ egress 1 deny 2001:db8::/63"}) {
		t.Errorf("down to /63: %q", got)
	}
	lim.Collateral = 0
	if got := changes(Diff(standard(), w, lim)); len(got) != 1 || strings.Contains(got[0], "/126") {
		t.Errorf("nothing innocent: %q", got)
	}
}

// TestHeldStays: while a write for a candidate may still land nothing is made for
// it, and what denies it stays.
func TestHeldStays(t *testing.T) {
	x := deny(1, "192.0.2.4/31")
	w := want("192.0.2.5/32")
	w[0].Held = true
	p := Diff(standard(x), w, Limits{Owned: own(x), Guard: open})
	if len(p.Changes) > 0 || len(p.Kept) != 1 {
		t.Errorf("%q, kept %v", changes(p), p.Kept)
	}
	p = Diff(standard(), w, Limits{Guard: open})
	if len(p.Changes) > 0 || len(p.Coming) != 1 {
		t.Errorf("%q, coming %v", changes(p), p.Coming)
	}
}

// TestOddACLs: each has a plan that makes sense and says why.
func TestOddACLs(t *testing.T) {
	foreign := manyDenies(1, 18)
	byHand := func(acl ACL, e Entry) ACL {
		acl.Entries = append(slices.Clone(acl.Entries), e)
		acl.Sort()
		return acl
	}
	seen := standard(manyDenies(1, 17)...)
	v6 := ACL{Entries: []Entry{allow(100, "::/0"), deny(32767, "0.0.0.0/0"), deny(32768, "::/0")}}
	for _, tc := range []struct {
		name  string
		acl   ACL
		lim   Limits
		want  []Candidate
		out   []string
		kept  int
		waits string
	}{
		{name: "full of foreign entries", acl: standard(foreign...), want: want("192.0.2.1/32", "2001:db8::1/128"),
			out: []string{"+ egress 19 deny 2001:db8::1/128"}, kept: 1, waits: "entries of others fill the quota of 20 egress IPv4 entries"},
		{name: "foreign entries beyond the quota", acl: standard(manyDenies(1, 25)...), want: want("192.0.2.1/32"),
			waits: "entries of others fill the quota"},
		{name: "an allow with number 1", acl: standard(allow(1, "0.0.0.0/0")), want: want("192.0.2.1/32", "2001:db8::1/128"),
			out: []string{"+ egress 2 deny 2001:db8::1/128"}, kept: 1, waits: "not effective: allow 1 matches before any number of our range 1-99"},
		{name: "an allow with number 3 leaves two places", acl: standard(allow(3, "0.0.0.0/0")), want: want(many(1, 4)...),
			out: []string{"+ egress 1 deny 203.0.113.2/32", "+ egress 2 deny 203.0.113.4/32"}, kept: 2, waits: "no free rule number below 3"},
		{name: "IPv6 only", acl: v6, want: want("2001:db8::1/128", "2001:db8:1::1/128"),
			out: []string{"+ egress 1 deny 2001:db8::1/128", "+ egress 2 deny 2001:db8:1::1/128"}, kept: 2},
		{name: "a quota of 40", acl: standard(manyDenies(1, 18)...), lim: Limits{Quota: 40, Owned: own(manyDenies(1, 18)...)}, want: want(many(1, 41)...),
			out: func() []string {
				var out []string
				for i := 19; i <= 38; i++ {
					out = append(out, fmt.Sprintf("+ egress %d deny 203.0.113.%d/32", i, 2*i))
				}
				return out
			}(), kept: 38, waits: "all 38 egress IPv4 slots are taken"},
		{name: "edited between plan and apply: somebody took the number and the last slot", acl: byHand(seen, deny(18, "198.51.100.0/24")), lim: Limits{Owned: own(manyDenies(1, 17)...)},
			want: append(want(many(1, 17)...), want("192.0.2.1/32")...), kept: 17, waits: "all 17 egress IPv4 slots are taken"},
		{name: "edited between plan and apply: somebody denies it already", acl: byHand(seen, deny(40, "192.0.2.0/24")), lim: Limits{Owned: own(manyDenies(1, 17)...)},
			want: append(want(many(1, 17)...), want("192.0.2.1/32")...), kept: 17},
		{name: "edited between plan and apply: an allow was put before our entries", acl: byHand(standard(deny(5, "192.0.2.1/32")), allow(4, "192.0.2.0/24")), lim: Limits{Owned: own(deny(5, "192.0.2.1/32"))},
			want: want("192.0.2.1/32"), out: []string{"+ egress 1 deny 192.0.2.1/32", "- egress 5 deny 192.0.2.1/32"}, kept: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.lim.Guard = open
			p := Diff(tc.acl, tc.want, tc.lim)
			if got := changes(p); !slices.Equal(got, tc.out) {
				t.Errorf("changes\n got %q\nwant %q", got, tc.out)
			}
			if n := len(p.Kept) + len(p.Coming); n != tc.kept {
				t.Errorf("%d kept, want %d", n, tc.kept)
			}
			switch {
			case tc.waits == "" && len(p.Left) > 0:
				t.Errorf("left out %v", p.Left[0])
			case tc.waits != "" && (len(p.Left) == 0 || !strings.Contains(p.Left[0].Why, tc.waits)):
				t.Errorf("left out %v, want %q", p.Left, tc.waits)
			}
		})
	}
}

// TestEffectOf evaluates by first match what is left of a deny.
func TestEffectOf(t *testing.T) {
	tcp := Entry{Number: 5, Direction: Egress, Protocol: 6, PortFrom: 443, PortTo: 443, Prefix: pfx("0.0.0.0/0")}
	for _, tc := range []struct {
		name   string
		before []Entry
		want   Effect
	}{
		{"nothing before it", nil, Effect{}},
		{"an allow of all", []Entry{allow(5, "0.0.0.0/0")}, Effect{Shadowed, 5}},
		{"allows of both halves", []Entry{allow(5, "192.0.2.0/25"), allow(6, "192.0.2.128/25")}, Effect{Shadowed, 5}},
		{"an allow of one half", []Entry{allow(5, "192.0.2.0/25")}, Effect{PartlyShadowed, 5}},
		{"an allow of one port", []Entry{tcp}, Effect{PartlyShadowed, 5}},
		{"a deny of all", []Entry{deny(5, "192.0.0.0/16")}, Effect{Redundant, 5}},
		{"denies of both halves", []Entry{deny(5, "192.0.2.0/25"), deny(6, "192.0.2.128/25")}, Effect{Redundant, 5}},
		{"a deny of one half", []Entry{deny(5, "192.0.2.0/25")}, Effect{}},
		{"an allow behind a deny of all", []Entry{deny(5, "192.0.2.0/24"), allow(6, "0.0.0.0/0")}, Effect{Redundant, 5}},
		{"a deny and an allow share it", []Entry{deny(5, "192.0.2.0/25"), allow(6, "0.0.0.0/0")}, Effect{PartlyShadowed, 6}},
		{"an allow of another family", []Entry{allow(5, "::/0")}, Effect{}},
	} {
		e := deny(50, "192.0.2.0/24")
		if got := standard(append(tc.before, e)...).EffectOf(e); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}
