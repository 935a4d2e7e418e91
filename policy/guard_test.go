package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func guard(prefixes ...string) *Guard {
	var entries []Guarded
	for _, s := range prefixes {
		s, ask := strings.CutPrefix(s, "ask ")
		entries = append(entries, Guarded{Prefix: pfx(s), Why: "because", Ask: ask})
	}
	return NewGuard(entries)
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		guard []string
		p, by string // by: "" allowed, "!" refused whatever is guarded
	}{
		{[]string{"192.0.2.0/24"}, "192.0.2.7/32", "192.0.2.0/24"},
		{[]string{"192.0.2.7/32"}, "192.0.2.0/24", "192.0.2.7/32"},
		{[]string{"192.0.2.7/32"}, "192.0.2.7/32", "192.0.2.7/32"},
		{[]string{"192.0.2.7/32"}, "192.0.2.6/32", ""},
		{[]string{"192.0.2.7/32"}, "192.0.2.8/32", ""},
		{[]string{"192.0.2.7/24"}, "192.0.2.200/32", "192.0.2.0/24"}, // host bits of an entry do not count
		{[]string{"192.0.2.0/25"}, "192.0.2.129/24", "192.0.2.0/25"}, // nor those of the question
		{[]string{"192.0.0.0/8", "192.0.2.0/24"}, "192.0.2.7/32", "192.0.2.0/24"},
		{[]string{"192.0.0.0/8", "192.0.1.0/24"}, "192.0.2.7/32", "192.0.0.0/8"},
		{[]string{"192.0.2.0/24"}, "2001:db8::/32", ""},
		{[]string{"0.0.0.0/0"}, "192.0.2.7/32", "0.0.0.0/0"},
		{[]string{"0.0.0.0/0"}, "2001:db8::7/128", ""},
		{[]string{"::/0"}, "2001:db8::7/128", "::/0"},
		{[]string{"::/0"}, "::ffff:192.0.2.7/128", "::/0"},
		{[]string{"::/0"}, "192.0.2.7/32", ""},
		{[]string{"2001:db8::/64"}, "2001:db8::/48", "2001:db8::/64"},
		{[]string{"2001:db8::/64"}, "2001:db8::1/128", "2001:db8::/64"},
		{[]string{"2001:db8::/64"}, "2001:db8:0:1::1/128", ""},
		// One IPv4 address in the forms that carry it.
		{[]string{"192.0.2.0/24"}, "::ffff:192.0.2.7/128", "192.0.2.0/24"},
		{[]string{"::ffff:192.0.2.0/120"}, "192.0.2.7/32", "192.0.2.0/24"},
		{[]string{"192.0.2.0/24"}, "64:ff9b::192.0.2.7/128", "192.0.2.0/24"},
		{[]string{"192.0.2.7/32"}, "64:ff9b::192.0.2.0/120", "192.0.2.7/32"},
		{[]string{"192.0.2.0/24"}, "64:ff9b::192.0.3.7/128", ""},
		{[]string{"192.0.2.0/24"}, "64:ff9c::192.0.2.7/128", ""},
		{[]string{"192.0.2.0/24"}, "2002:c000:207::1/128", "192.0.2.0/24"},
		{[]string{"192.0.2.7/32"}, "2002:c000:200::/40", "192.0.2.7/32"},
		{[]string{"192.0.2.7/32"}, "2002:c000:206::1/128", ""},
		{[]string{"192.0.2.0/24"}, "2002:c000:307::1/128", ""},
		// A prefix wider than such a form carries every IPv4 address.
		{[]string{"192.0.2.7/32"}, "64:ff9b::/32", "192.0.2.7/32"},
		{[]string{"192.0.2.7/32"}, "64:ff9b::/95", "192.0.2.7/32"},
		{[]string{"192.0.2.7/32"}, "64:ff9b:1::/48", ""},
		{[]string{"192.0.2.7/32"}, "2002::/16", "192.0.2.7/32"},
		{[]string{"192.0.2.7/32"}, "::/64", "192.0.2.7/32"},
		{[]string{"192.0.2.7/32"}, "::fffe:0:0/95", "192.0.2.7/32"},
		// Too wide, whatever is guarded.
		{[]string{"192.0.2.7/32"}, "10.0.0.0/7", "!"},
		{[]string{"192.0.2.7/32"}, "10.0.0.0/8", ""},
		{[]string{"192.0.2.7/32"}, "0.0.0.0/0", "!"},
		{[]string{"192.0.2.7/32"}, "::ffff:10.0.0.0/103", "!"},
		{[]string{"192.0.2.7/32"}, "2600::/15", "!"},
		{[]string{"192.0.2.7/32"}, "2600::/16", ""},
		{[]string{"192.0.2.7/32"}, "::/0", "!"},
		// Asking is not refusing.
		{[]string{"ask 192.0.2.0/24"}, "192.0.2.7/32", ""},
		{[]string{"ask 192.0.2.0/24", "192.0.2.7/32"}, "192.0.2.7/32", "192.0.2.7/32"},
	} {
		err := guard(c.guard...).Check(pfx(c.p))
		var g *GuardedError
		switch is := errors.As(err, &g); {
		case c.by == "" && err == nil:
		case c.by == "!" && err != nil && !is:
		case is && g.By.Prefix.String() == c.by && g.Prefix == pfx(c.p):
			if !strings.Contains(err.Error(), pfx(c.p).String()) || !strings.Contains(err.Error(), c.by) || !strings.Contains(err.Error(), "because") {
				t.Errorf("%q does not name %s, %s and the reason", err, c.p, c.by)
			}
		default:
			t.Errorf("guard %v, Check(%s) = %v, want %q", c.guard, c.p, err, c.by)
		}
	}
}

func TestGuardThatRefusesEverything(t *testing.T) {
	var none *Guard
	p := pfx("203.0.113.7/32")
	for name, g := range map[string]*Guard{"nil": none, "zero": {}, "empty": NewGuard(nil), "nil with nothing": none.With()} {
		if err := g.Check(p); !errors.Is(err, ErrEmptyGuard) {
			t.Errorf("%s guard: %v", name, err)
		}
		if _, ok := g.Soft(p); ok || len(g.Entries()) != 0 {
			t.Errorf("%s guard has an entry", name)
		}
	}
	broken := guard("192.0.2.0/24").With(Guarded{Why: "office network"})
	for _, g := range []*Guard{broken, broken.With(Guarded{Prefix: pfx("198.51.100.0/24")})} {
		if err := g.Check(p); err == nil || !strings.Contains(err.Error(), "office network") {
			t.Errorf("broken guard: %v", err)
		}
	}
	if err := guard("192.0.2.0/24").Check(netip.Prefix{}); err == nil {
		t.Error("an invalid prefix passes")
	}
	if err := none.With(Guarded{Prefix: pfx("192.0.2.0/24")}).Check(p); err != nil {
		t.Errorf("a guard made from nil: %v", err)
	}
}

func TestSoft(t *testing.T) {
	g := guard("ask 10.0.0.0/8", "10.1.0.0/16", "ask fc00::/7")
	for p, want := range map[string]string{
		"10.2.3.4/32": "10.0.0.0/8", "10.1.2.3/32": "10.0.0.0/8", "::ffff:10.2.3.4/128": "10.0.0.0/8", "64:ff9b::10.2.3.4/128": "10.0.0.0/8",
		"fd00::1/128": "fc00::/7", "11.0.0.1/32": "", "0.0.0.0/0": "",
	} {
		by, ok := g.Soft(pfx(p))
		if ok != (want != "") || ok && by.Prefix.String() != want {
			t.Errorf("Soft(%s) = %v, %v, want %q", p, by, ok, want)
		}
	}
	if _, ok := g.Soft(netip.Prefix{}); ok {
		t.Error("an invalid prefix asks")
	}
}

func TestGuardNeverChanges(t *testing.T) {
	entries := []Guarded{{Prefix: pfx("192.0.2.0/24"), Why: "b"}, {Prefix: pfx("192.0.2.0/24"), Why: "a"}, {Prefix: pfx("10.0.0.0/8"), Why: "c"},
		{Prefix: pfx("2001:db8::/32"), Why: "d"}, {Prefix: pfx("192.0.2.9/24"), Why: "a"}}
	g := NewGuard(entries)
	want := []Guarded{{Prefix: pfx("10.0.0.0/8"), Why: "c"}, {Prefix: pfx("192.0.2.0/24"), Why: "a"}, {Prefix: pfx("192.0.2.0/24"), Why: "b"},
		{Prefix: pfx("2001:db8::/32"), Why: "d"}}
	larger := g.With(Guarded{Prefix: pfx("203.0.113.0/24")})
	entries[0].Prefix = pfx("203.0.113.0/24")
	g.Entries()[0].Prefix = pfx("203.0.113.0/24")
	if got := g.Entries(); !reflect.DeepEqual(got, want) {
		t.Errorf("entries %v, want %v", got, want)
	}
	if err := g.Check(pfx("203.0.113.7/32")); err != nil {
		t.Errorf("the guard changed: %v", err)
	}
	if larger.Check(pfx("203.0.113.7/32")) == nil || larger.Check(pfx("10.1.1.1/32")) == nil || len(larger.Entries()) != 5 {
		t.Error("With lost an entry")
	}
}

// drawPrefix draws from small ranges, so that prefixes meet: IPv4 in 192.0.2.240/28,
// and IPv6 around the forms that carry those addresses.
func drawPrefix(t *rapid.T, shortest4 int) netip.Prefix {
	last := byte(rapid.IntRange(240, 255).Draw(t, "last"))
	v4 := netip.AddrFrom4([4]byte{192, 0, 2, last})
	bits := rapid.IntRange(shortest4, 32).Draw(t, "bits")
	switch rapid.SampledFrom([]string{"v4", "mapped", "nat64", "6to4", "v6"}).Draw(t, "form") {
	case "mapped":
		return netip.PrefixFrom(netip.AddrFrom16(v4.As16()), 96+bits)
	case "nat64":
		return netip.PrefixFrom(netip.MustParseAddr("64:ff9b::"+v4.String()), 96+bits)
	case "6to4":
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 2, 192, 0, 2, last}), 16+bits)
	case "v6":
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 13, 0xb8, 15: last}), 96+bits)
	}
	return netip.PrefixFrom(v4, bits)
}

// denies says whether a deny of p touches what an entry means, address by address
// in each form. It knows nothing of indexes and of the order of entries.
func denies(p, entry netip.Prefix) bool {
	contains := func(q netip.Prefix, a netip.Addr) bool {
		q = q.Masked()
		if q.Addr().Is4In6() && q.Bits() >= 96 {
			q = netip.PrefixFrom(q.Addr().Unmap(), q.Bits()-96)
		}
		return q.Contains(a)
	}
	for last := 240; last < 256; last++ {
		v4 := netip.AddrFrom4([4]byte{192, 0, 2, byte(last)})
		nat := netip.MustParseAddr("64:ff9b::" + v4.String())
		six := netip.AddrFrom16([16]byte{0x20, 2, 192, 0, 2, byte(last)})
		v6 := netip.AddrFrom16([16]byte{0x20, 1, 13, 0xb8, 15: byte(last)})
		if contains(entry, v4) && (contains(p, v4) || contains(p, nat) || contains(p, six)) {
			return true
		}
		for _, a := range []netip.Addr{nat, six, v6} {
			if contains(entry, a) && contains(p, a) {
				return true
			}
		}
	}
	// Two prefixes can meet beside those addresses.
	return p.Addr().Is6() && entry.Addr().Is6() && p.Overlaps(entry)
}

// TestGuardAgainstAnOracle compares Check and Soft with a look at every address of
// a small space.
func TestGuardAgainstAnOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Guarded {
			return Guarded{Prefix: drawPrefix(t, 28), Why: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "why"), Ask: rapid.Bool().Draw(t, "ask"), Overridable: rapid.Bool().Draw(t, "overridable")}
		}), 1, 8).Draw(t, "entries")
		over := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) netip.Prefix { return drawPrefix(t, 27) }), 0, 4).Draw(t, "overridden")
		g := NewGuard(entries).Overriding(over...)
		for i := range 8 + len(over) {
			p := drawPrefix(t, 27)
			if i < len(over) {
				p = over[i]
			}
			lifted := slices.ContainsFunc(over, func(o netip.Prefix) bool { return unmap(o) == unmap(p) })
			var hard, soft bool
			for _, e := range entries {
				hit := denies(p, e.Prefix)
				passes := e.Ask || e.Overridable && lifted
				hard, soft = hard || hit && !passes, soft || hit && passes
			}
			err := g.Check(p)
			if (err != nil) != hard {
				t.Fatalf("guard %v, Check(%s) = %v, want refusal %v", entries, p, err, hard)
			}
			var ge *GuardedError
			if hard && (!errors.As(err, &ge) || ge.By.Ask || !denies(p, ge.By.Prefix)) {
				t.Fatalf("guard %v, Check(%s) names %v", entries, p, err)
			}
			if by, ok := g.Soft(p); ok != soft || ok && (!by.Ask && !lifted || !denies(p, by.Prefix)) {
				t.Fatalf("guard %v, Soft(%s) = %v, %v, want %v", entries, p, by, ok, soft)
			}
		}
	})
}

// TestOverride holds that an override lifts only what can be lifted, and for
// exactly its prefix.
func TestOverride(t *testing.T) {
	g := NewGuard([]Guarded{{Prefix: pfx("192.0.2.0/24"), Why: "a service", Overridable: true}, {Prefix: pfx("192.0.2.128/25"), Why: "our VPC"},
		{Prefix: pfx("2001:db8::/32"), Why: "a service", Overridable: true}})
	for p, want := range map[string]string{
		"192.0.2.7/32": "", "::ffff:192.0.2.7/128": "", "192.0.2.0/25": "", "2001:db8::1/128": "",
		"192.0.2.0/24": "our VPC", "192.0.2.200/32": "our VPC", "198.51.100.1/32": "no entry", "0.0.0.0/0": "too wide", "0.0.0.0/7": "too wide",
	} {
		err := g.MayOverride(pfx(p))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("MayOverride(%s) = %v, want %q", p, err, want)
		}
	}
	o := g.Overriding(pfx("192.0.2.7/32"), pfx("192.0.2.200/32"), pfx("192.0.2.0/24"), netip.Prefix{})
	for p, passes := range map[string]bool{
		"192.0.2.7/32": true, "::ffff:192.0.2.7/128": true, "64:ff9b::192.0.2.7/128": false, "192.0.2.6/31": false, "192.0.2.6/32": false,
		"192.0.2.0/24": false, "192.0.2.200/32": false, "2001:db8::1/128": false,
	} {
		if err := o.Check(pfx(p)); (err == nil) != passes {
			t.Errorf("overridden, Check(%s) = %v", p, err)
		}
		if by, soft := o.Soft(pfx(p)); passes && (!soft || !strings.Contains(by.Why, "overridden")) {
			t.Errorf("%s is blocked without asking", p)
		}
	}
	if err := o.With(Guarded{Prefix: pfx("203.0.113.0/24")}).Check(pfx("192.0.2.7/32")); err != nil {
		t.Errorf("With forgets what is overridden: %v", err)
	}
	if err := o.Overriding().Check(pfx("192.0.2.7/32")); err == nil {
		t.Error("an override does not end")
	}
	if err := o.With(Guarded{Prefix: pfx("192.0.2.7/32"), Why: "never_block"}).Check(pfx("192.0.2.7/32")); err == nil {
		t.Error("an override passes an entry that nobody can lift")
	}
	if g.Check(pfx("192.0.2.7/32")) == nil {
		t.Error("the guard itself has changed")
	}
	var none *Guard
	if none.Overriding(pfx("192.0.2.7/32")) != nil || (&Guard{}).Overriding(pfx("192.0.2.7/32")).Check(pfx("192.0.2.7/32")) == nil || none.MayOverride(pfx("192.0.2.7/32")) == nil {
		t.Error("no guard can be overridden")
	}
	for _, e := range append(BuiltIn(RefusePrivate), BuiltIn(AskPrivate)...) {
		if e.Overridable {
			t.Errorf("%s is built in and can be overridden", e.Prefix)
		}
	}
}

// TestGuardOfNestedEntries holds the index against a plain search where prefixes
// nest deeply.
func TestGuardOfNestedEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nested := rapid.Custom(func(t *rapid.T) netip.Prefix {
			a := netip.AddrFrom4([4]byte{rapid.SampledFrom([]byte{10, 11}).Draw(t, "a"), rapid.SampledFrom([]byte{0, 128}).Draw(t, "b"), 0, rapid.Byte().Draw(t, "d")})
			return netip.PrefixFrom(a, rapid.IntRange(8, 32).Draw(t, "bits")).Masked()
		})
		prefixes := rapid.SliceOfN(nested, 1, 40).Draw(t, "entries")
		var entries []Guarded
		for _, p := range prefixes {
			entries = append(entries, Guarded{Prefix: p})
		}
		g, p := NewGuard(entries), nested.Draw(t, "p")
		want := slices.ContainsFunc(prefixes, p.Overlaps)
		if err := g.Check(p); (err != nil) != want {
			t.Fatalf("guard %v, Check(%s) = %v, want refusal %v", prefixes, p, err, want)
		}
	})
}

func TestBuiltIn(t *testing.T) {
	for rule, asks := range map[PrivateRule]bool{RefusePrivate: false, AskPrivate: true, "": false} {
		g := NewGuard(BuiltIn(rule))
		for _, p := range []string{"0.0.0.0/32", "0.1.2.3/32", "127.0.0.1/32", "169.254.169.254/32", "169.254.169.253/32", "192.0.0.8/32", "198.18.0.1/32", "198.19.255.255/32",
			"224.0.0.1/32", "239.1.2.3/32", "240.0.0.1/32", "255.255.255.255/32", "::/128", "::1/128", "::7f00:1/128", "fe80::1/128", "ff02::1/128",
			"64:ff9b::8.8.8.8/128", "64:ff9b:1::1/128", "2002:808:808::1/128", "fd00:ec2::254/128", "::ffff:127.0.0.1/128", "::ffff:169.254.169.254/128"} {
			if err := g.Check(pfx(p)); err == nil {
				t.Errorf("private %q: %s may be blocked", rule, p)
			}
		}
		for _, p := range []string{"10.1.1.5/32", "172.16.0.1/32", "172.31.255.255/32", "192.168.1.1/32", "100.64.0.1/32", "100.127.0.1/32", "fc00::1/128", "fd12::1/128", "::ffff:10.1.1.5/128"} {
			err := g.Check(pfx(p))
			if _, soft := g.Soft(pfx(p)); (err == nil) != asks || soft != asks {
				t.Errorf("private %q: %s gives %v, asks %v", rule, p, err, soft)
			}
		}
		for _, p := range []string{"192.0.2.1/32", "198.51.100.1/32", "203.0.113.7/32", "2001:db8::1/128", "8.8.8.8/32", "1.1.1.1/32", "172.32.0.1/32", "100.128.0.1/32",
			"192.0.1.1/32", "198.20.0.1/32", "126.255.255.255/32", "128.0.0.1/32", "2606:4700::1111/128", "192.167.0.1/32"} {
			if err := g.Check(pfx(p)); err != nil {
				t.Errorf("private %q: %s: %v", rule, p, err)
			}
			if by, soft := g.Soft(pfx(p)); soft {
				t.Errorf("private %q: %s asks for %v", rule, p, by)
			}
		}
		for _, e := range g.Entries() {
			if e.Why == "" || e.Prefix != e.Prefix.Masked() {
				t.Errorf("entry %+v has no reason or has host bits", e)
			}
		}
	}
	if err := NewGuard(BuiltIn(RefusePrivate)).Check(pfx("169.254.169.254/32")); !strings.Contains(err.Error(), "metadata") {
		t.Errorf("%v does not speak of metadata", err)
	}
}

func FuzzCheck(f *testing.F) {
	g := NewGuard(BuiltIn(RefusePrivate))
	f.Add([]byte{127, 0, 0, 1}, 32)
	f.Add(slices.Repeat([]byte{0}, 16), 128)
	f.Fuzz(func(t *testing.T, b []byte, bits int) {
		a, _ := netip.AddrFromSlice(b)
		p := netip.PrefixFrom(a, bits)
		if g.Check(p) != nil {
			return
		}
		// What passes names no special address at its first and at any inner one.
		for _, a := range []netip.Addr{p.Addr().Unmap(), p.Masked().Addr().Unmap()} {
			if !p.IsValid() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
				t.Fatalf("%v may be blocked", p)
			}
		}
	})
}

// many gives a guard of n entries, nested and apart.
func many(n int) *Guard {
	entries := BuiltIn(RefusePrivate)
	for i := range n {
		a := netip.AddrFrom4([4]byte{byte(20 + i%100), byte(i / 100), byte(i), 0})
		entries = append(entries, Guarded{Prefix: netip.PrefixFrom(a, 16+i%17).Masked(), Why: fmt.Sprint(i)})
	}
	return NewGuard(entries)
}

func BenchmarkCheck(b *testing.B) {
	g := many(10_000)
	for _, s := range []string{"203.0.113.7/32", "20.0.0.7/32", "2606:4700::1111/128"} {
		b.Run(strings.ReplaceAll(s, "/", "_"), func(b *testing.B) {
			p := pfx(s)
			b.ReportAllocs()
			for b.Loop() {
				_ = g.Check(p)
			}
		})
	}
}

func BenchmarkNewGuard(b *testing.B) {
	entries := many(10_000).Entries()
	for b.Loop() {
		_ = NewGuard(entries)
	}
}
