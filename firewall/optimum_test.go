package firewall

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// small is a problem in a space of a few bits, below a prefix of the family.
type small struct {
	family Family
	under  key // the space
	depth  int // bits below it
	items  []item
	k      int
	r      rules
}

func drawSmall(t *rapid.T) small {
	f := rapid.SampledFrom([]Family{IPv4, IPv6}).Draw(t, "family")
	s := small{family: f, depth: rapid.IntRange(3, 5).Draw(t, "depth"), k: rapid.IntRange(1, 6).Draw(t, "k")}
	leaf := 32
	if f == IPv6 {
		// Around the boundary of /64, where the price changes.
		leaf = rapid.SampledFrom([]int{64, 66, 67, 128}).Draw(t, "leaf")
	}
	s.under = key{hi: 0x2001_0db8_5a5a_5a5a, lo: 0x5a5a_5a5a_5a5a_5a5a, bits: 128}.cut(leaf - s.depth)
	seen := map[key]bool{}
	for range rapid.IntRange(1, 9).Draw(t, "items") {
		k := s.draw(t, "item")
		if k.bits < leaf && rapid.IntRange(0, 3).Draw(t, "wide") > 0 {
			k = s.leaf(t, leaf)
		}
		if seen[k] {
			continue
		}
		seen[k] = true
		s.items = append(s.items, item{key: k, weight: int64(rapid.IntRange(0, 9).Draw(t, "weight")),
			age: int64(rapid.IntRange(0, 20).Draw(t, "age")), count: int64(rapid.IntRange(1, 2).Draw(t, "count")), installed: rapid.Bool().Draw(t, "installed")})
	}
	slices.SortFunc(s.items, func(a, b item) int { return a.key.compare(b.key) })
	s.r = rules{family: f, price: int64(rapid.IntRange(0, 4).Draw(t, "price")), minBits: leaf - rapid.IntRange(0, s.depth).Draw(t, "min"),
		cap: int64(rapid.IntRange(0, 12).Draw(t, "cap")), existing: map[key]bool{}}
	for range rapid.IntRange(0, 2).Draw(t, "covers") {
		s.r.covers = append(s.r.covers, s.draw(t, "cover"))
	}
	for range rapid.IntRange(0, 2).Draw(t, "existing") {
		if k := s.draw(t, "there"); !seen[k] {
			s.r.existing[k] = true
		}
	}
	guard := s.leaf(t, leaf)
	s.r.allowed = func(k key) bool { return !k.covers(guard) && !guard.covers(k) }
	return s
}

func (s small) leaf(t *rapid.T, bits int) key { return s.at(t, "leaf", bits) }

func (s small) draw(t *rapid.T, label string) key {
	return s.at(t, label, s.under.bits+rapid.IntRange(0, s.depth).Draw(t, label+" depth"))
}

func (s small) at(t *rapid.T, label string, bits int) key {
	k := s.under
	for n := k.bits; n < bits; n++ {
		k = k.child(rapid.Bool().Draw(t, label+" bit"))
	}
	return k
}

// child gives one half of a prefix.
func (k key) child(one bool) key {
	n := k.bits
	k.bits++
	if one && n < 64 {
		k.hi |= 1 << (63 - n)
	} else if one {
		k.lo |= 1 << (127 - n)
	}
	return k
}

// worth gives the value of one prefix by its definition, and whether it may be
// taken: it counts addresses one by one where the program adds up.
func (s small) worth(k key) (value, bool) {
	var v value
	inside, own := 0, false
	tight := k // the common prefix of what is inside
	for _, it := range s.items {
		if k.covers(it.key) {
			if inside == 0 {
				tight = it.key
			}
			tight = tight.common(it.key)
			v.hi += it.weight
			v.lo += it.count*oneCount + it.age
			inside++
		}
		if it.key == k {
			own = true
			if it.installed {
				v.lo += 2 * oneWrite
			}
		}
	}
	v.lo -= oneWrite
	// An entry that is there is worth keeping only when it is no wider than needed.
	if s.r.existing[k] && !own && tight == k {
		v.lo += 2 * oneWrite
	}
	if own {
		return v, true
	}
	if inside == 0 || k.bits < s.r.minBits {
		return v, false
	}
	n := s.innocent(k)
	if n > 0 && (n > s.r.cap && !slices.ContainsFunc(s.r.covers, func(c key) bool { return c.covers(k) }) || !s.r.allowed(k)) {
		return v, false
	}
	v.hi -= n * s.r.price
	return v, true
}

// innocent counts the addresses, or the /64s, of k that are denied without need.
func (s small) innocent(k key) int64 {
	named := func(k key) bool {
		return slices.ContainsFunc(s.items, func(it item) bool { return it.key.covers(k) })
	}
	bottom := s.under.bits + s.depth
	var walk func(k key) bool // all named
	walk = func(k key) bool {
		if named(k) {
			return true
		}
		return k.bits < bottom && walk(k.child(false)) && walk(k.child(true))
	}
	var count func(k key) int64
	count = func(k key) int64 {
		unit := 32
		if s.family == IPv6 {
			unit = 64
		}
		if k.bits >= unit || s.family == IPv6 && k.bits > 64 {
			if walk(k) {
				return 0
			}
			return 1
		}
		return count(k.child(false)) + count(k.child(true))
	}
	return count(k)
}

// exhaustive tries every set of disjoint prefixes of the space.
func (s small) exhaustive() value {
	bottom := s.under.bits + s.depth
	var best func(k key, f int) value
	best = func(k key, f int) value {
		if f == 0 {
			return value{}
		}
		var out value
		if k.bits < bottom {
			for i := range f + 1 {
				if v := best(k.child(false), i).plus(best(k.child(true), f-i)); v.over(out) {
					out = v
				}
			}
		}
		if v, ok := s.worth(k); ok && v.over(out) {
			out = v
		}
		return out
	}
	return best(s.under, s.k)
}

// TestOptimumIsExact holds the program against a search over every choice. An
// LCP prefix is judged where the search may also take a wider one of the same
// worth; so values are compared, and that the choice has the value it claims.
func TestOptimumIsExact(t *testing.T) {
	often(t, 200, func(t *rapid.T) {
		s := drawSmall(t)
		o := solve(s.items, s.k, s.r)
		got, want := o.best(s.k), s.exhaustive()
		if got != want {
			t.Fatalf("best is %v, a search finds %v\nitems %v\nrules %+v", got, want, s.items, s.r)
		}
		var sum value
		picks := o.picks(s.k)
		if len(picks) > s.k {
			t.Fatalf("%d picks for %d slots", len(picks), s.k)
		}
		for i, p := range picks {
			v, ok := s.worth(p.key)
			if !ok {
				t.Fatalf("%v may not be taken", p.key)
			}
			sum = sum.plus(v)
			if i > 0 && (picks[i-1].covers(p.key) || p.covers(picks[i-1].key)) {
				t.Fatalf("%v and %v overlap", picks[i-1].key, p.key)
			}
			for j, it := range s.items {
				if p.covers(it.key) != (j >= p.from && j < p.to) {
					t.Fatalf("pick %v says that it serves %d to %d", p.key, p.from, p.to)
				}
			}
		}
		if sum != got {
			t.Fatalf("the picks are worth %v, not %v", sum, got)
		}
	})
}

// plain is the same program the slow way: a walk over every bit of the tree, with
// a table for each node. It is the yardstick for large inputs.
func plain(items []item, k int, r rules, at key, bottom int) []value {
	if len(items) == 0 {
		return make([]value, k+1)
	}
	t := make([]value, k+1)
	if at.bits < bottom {
		i, _ := slices.BinarySearchFunc(items, at.child(true), func(it item, c key) int { return it.key.compare(c) })
		below := items
		if items[0].key == at {
			below, i = items[1:], i-1
		}
		l, rt := plain(below[:i], k, r, at.child(false), bottom), plain(below[i:], k, r, at.child(true), bottom)
		for f := range t {
			for i := range f + 1 {
				if v := l[i].plus(rt[f-i]); v.over(t[f]) {
					t[f] = v
				}
			}
		}
	}
	own := items[0].key == at
	if !own && at.bits < r.minBits {
		return t
	}
	var v value
	covered := int64(0)
	last := key{bits: -1}
	for _, it := range items {
		v = v.plus(value{it.weight, it.count*oneCount + it.age})
		if last.bits < 0 || !last.covers(it.key) {
			covered += units(IPv4, it.bits)
			last = it.key
		}
	}
	if own && items[0].installed {
		v.lo += oneWrite
	} else {
		v.lo -= oneWrite
	}
	if n := units(IPv4, at.bits) - covered; !own && n > 0 {
		if n > r.cap || !r.allowed(at) {
			return t
		}
		v.hi -= n * r.price
	}
	for f := 1; f <= k; f++ {
		if v.over(t[f]) {
			t[f] = v
		}
	}
	return t
}

// crowd gives n random items, some of them close to each other.
func crowd(n int, seed uint64) []item {
	rnd := rand.New(rand.NewPCG(seed, 1))
	out := make([]item, 0, n)
	seen := map[key]bool{}
	for len(out) < n {
		a := rnd.Uint32()
		if rnd.IntN(3) > 0 {
			a = 20<<24 | uint32(rnd.IntN(n/20+1))<<8 | uint32(rnd.IntN(256))
		}
		k := key{hi: uint64(a) << 32, bits: 32}
		if rnd.IntN(50) == 0 {
			k = k.cut(28 + rnd.IntN(4))
		}
		if !seen[k] {
			seen[k] = true
			out = append(out, item{key: k, weight: int64(rnd.IntN(200)), age: int64(rnd.IntN(1000)), count: 1, installed: rnd.IntN(500) == 0})
		}
	}
	slices.SortFunc(out, func(a, b item) int { return a.key.compare(b.key) })
	return out
}

// TestOptimumOfMany holds the program against the plain one on large inputs.
func TestOptimumOfMany(t *testing.T) {
	guard := netip.MustParsePrefix("20.0.3.0/26")
	allowed := func(k key) bool { return !k.prefix(IPv4).Overlaps(guard) }
	for seed, c := range []struct {
		n, k  int
		price int64
		cap   int64
	}{{300, 18, 1, 255}, {300, 38, 0, 255}, {2_000, 18, 5, 30}, {2_000, 5, 2, 0}, {5_000, 18, 1, 255}} {
		items := crowd(c.n, uint64(seed))
		r := rules{family: IPv4, price: c.price, minBits: 24, cap: c.cap, allowed: allowed}
		o := solve(items, c.k, r)
		want := plain(items, c.k, r, key{}, 32)
		for f := range c.k + 1 {
			if got := o.best(f); got != want[f] {
				t.Fatalf("%d items, %d slots: %v, the plain program finds %v", c.n, f, got, want[f])
			}
		}
	}
}

// often checks a property so many times as often as a property is checked by
// default, which is a hundred times.
func often(t *testing.T, times int, property func(*rapid.T)) {
	t.Helper()
	for range times {
		if rapid.Check(t, property); t.Failed() {
			return
		}
	}
}

func TestKeys(t *testing.T) {
	for _, s := range []string{"0.0.0.0/0", "203.0.113.7/32", "128.0.0.0/1", "::/0", "2001:db8::/64", "2001:db8::1:0:0:0/65", "2001:db8::7/128"} {
		p := netip.MustParsePrefix(s).Masked()
		if got := keyOf(p).prefix(FamilyOf(p)); got != p {
			t.Errorf("%s comes back as %s", p, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawPrefix(t, "a"), drawPrefix(t, "b")
		if a.Addr().Is4() != b.Addr().Is4() {
			return
		}
		ka, kb := keyOf(a), keyOf(b)
		if ka.covers(kb) != covers(a, b) {
			t.Fatalf("%s covers %s: %v", a, b, ka.covers(kb))
		}
		c := ka.common(kb)
		if !c.covers(ka) || !c.covers(kb) || c.bits < min(a.Bits(), b.Bits()) && c.child(ka.bit(c.bits)).covers(kb) {
			t.Fatalf("%v is not the longest common prefix of %s and %s", c, a, b)
		}
	})
}

func BenchmarkOptimum(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		items := crowd(n, 7)
		for _, k := range []int{18, 38} {
			b.Run(fmt.Sprintf("%d candidates/%d slots", n, k), func(b *testing.B) {
				r := rules{family: IPv4, price: 1, minBits: 24, cap: 255, allowed: func(key) bool { return true }}
				b.ReportAllocs()
				for b.Loop() {
					solve(items, k, r)
				}
			})
		}
	}
}
