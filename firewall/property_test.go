package firewall

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is a random ACL with entries of ours and of others.
type world struct {
	acl   ACL
	owned []Owned
	want  []Candidate
	quota int
	guard netip.Prefix

	price, collateral, margin int
	min4, min6                int
	covers                    []Cover
}

func drawPrefix(t *rapid.T, label string) netip.Prefix {
	if rapid.Bool().Draw(t, label+" v6") {
		return netip.MustParsePrefix(fmt.Sprintf("2001:db8::%x/%d", rapid.IntRange(0, 15).Draw(t, label), rapid.SampledFrom([]int{124, 126, 128}).Draw(t, label+" bits"))).Masked()
	}
	return netip.MustParsePrefix(fmt.Sprintf("203.0.113.%d/%d", rapid.IntRange(0, 31).Draw(t, label), rapid.SampledFrom([]int{28, 30, 32, 32, 32}).Draw(t, label+" bits"))).Masked()
}

func drawWorld(t *rapid.T) world {
	w := world{quota: rapid.IntRange(3, 12).Draw(t, "quota"), guard: drawPrefix(t, "guard")}
	used := map[[2]int]bool{}
	for _, d := range []Direction{Egress, Ingress} {
		w.acl.Entries = append(w.acl.Entries,
			Entry{Number: 32767, Direction: d, Deny: true, Protocol: AllProtocols, Prefix: netip.MustParsePrefix("0.0.0.0/0")},
			Entry{Number: 32768, Direction: d, Deny: true, Protocol: AllProtocols, Prefix: netip.MustParsePrefix("::/0")})
		at := rapid.IntRange(1, 120).Draw(t, "allow all")
		used[[2]int{int(d), at}], used[[2]int{int(d), at + 1}] = true, true
		w.acl.Entries = append(w.acl.Entries,
			Entry{Number: at, Direction: d, Protocol: AllProtocols, Prefix: netip.MustParsePrefix("0.0.0.0/0")},
			Entry{Number: at + 1, Direction: d, Protocol: AllProtocols, Prefix: netip.MustParsePrefix("::/0")})
	}
	for range rapid.IntRange(0, 10).Draw(t, "entries") {
		e := Entry{Number: rapid.IntRange(1, 30).Draw(t, "number"), Direction: rapid.SampledFrom([]Direction{Egress, Ingress}).Draw(t, "dir"),
			Deny: rapid.Bool().Draw(t, "deny"), Protocol: AllProtocols, Prefix: drawPrefix(t, "entry")}
		if k := [2]int{int(e.Direction), e.Number}; used[k] || w.acl.Count(e.Direction, FamilyOf(e.Prefix)) >= w.quota {
			continue
		} else {
			used[k] = true
		}
		w.acl.Entries = append(w.acl.Entries, e)
		if e.Deny && rapid.Bool().Draw(t, "ours") {
			w.owned = append(w.owned, own(e)...)
		}
	}
	w.acl.Sort()
	for i := range rapid.IntRange(0, 14).Draw(t, "candidates") {
		w.want = append(w.want, Candidate{Direction: drawDirection(t, "want dir"), Prefix: drawPrefix(t, "want"),
			Weight: rapid.IntRange(0, 5).Draw(t, "weight"), Pinned: rapid.IntRange(0, 9).Draw(t, "pinned") == 0, Since: time.Unix(int64(i), 0)})
	}
	w.price, w.margin = rapid.IntRange(0, 2).Draw(t, "price"), rapid.IntRange(0, 3).Draw(t, "margin")
	w.min4, w.min6 = rapid.IntRange(27, 32).Draw(t, "min4"), rapid.IntRange(124, 128).Draw(t, "min6")
	w.collateral = rapid.SampledFrom([]int{0, 0, 1, 4, 16}).Draw(t, "collateral")
	for range rapid.IntRange(0, 1).Draw(t, "covers") {
		w.covers = append(w.covers, Cover{Direction: drawDirection(t, "cover dir"), Prefix: drawPrefix(t, "cover")})
	}
	return w
}

func drawDirection(t *rapid.T, label string) Direction {
	return rapid.SampledFrom([]Direction{Egress, Ingress}).Draw(t, label)
}

func (w world) limits() Limits {
	return Limits{Quota: w.quota, Low: 1, High: 40, Owned: w.owned, Price: w.price, Collateral: w.collateral, Margin: w.margin,
		MinBits4: w.min4, MinBits6: w.min6, Covers: w.covers, Guard: func(p netip.Prefix) error {
			if p.Overlaps(w.guard) {
				return fmt.Errorf("guarded")
			}
			return nil
		}}
}

// apply carries out a change as EC2 would and fails the test on misuse.
func (w *world) apply(t *rapid.T, c Change) {
	i := slices.IndexFunc(w.acl.Entries, func(e Entry) bool { return e.Direction == c.Direction && e.Number == c.Number })
	if c.Op == Create {
		if i >= 0 {
			t.Fatalf("%s: the number is taken", c)
		}
		w.acl.Entries = append(w.acl.Entries, c.Entry())
		w.owned = append(w.owned, own(c.Entry())...)
	} else {
		if i < 0 || !w.limits().Owns(w.acl.Entries[i]) {
			t.Fatalf("%s: the entry is not ours", c)
		}
		if c.Op == Delete {
			w.acl.Entries = slices.Delete(w.acl.Entries, i, i+1)
		} else {
			w.acl.Entries[i] = c.Entry()
		}
		w.owned = slices.DeleteFunc(w.owned, func(o Owned) bool { return o.Direction == c.Direction && o.Number == c.Number })
		if c.Op == Replace {
			w.owned = append(w.owned, own(c.Entry())...)
		}
	}
	w.acl.Sort()
	if c.Op != Delete && (c.Prefix.Overlaps(w.guard) || c.Number < 1 || c.Number > 40) {
		t.Fatalf("%s: guarded, or outside our numbers", c)
	}
	if c.Op != Delete {
		w.checkWidth(t, c)
	}
	if n := w.acl.Count(c.Direction, FamilyOf(c.Prefix)); n > w.quota {
		t.Fatalf("after %s: %d entries with a quota of %d", c, n, w.quota)
	}
}

// checkWidth holds that an entry denies innocents only within the limits.
func (w world) checkWidth(t *rapid.T, c Change) {
	innocent, inside := 0, 0
	for a := c.Prefix.Addr(); c.Prefix.Contains(a); a = a.Next() {
		if !slices.ContainsFunc(w.want, func(x Candidate) bool { return x.Direction == c.Direction && x.Prefix.Contains(a) }) {
			innocent++
		}
	}
	for _, x := range w.want {
		if x.Direction == c.Direction && x.Prefix == c.Prefix {
			return // wanted as it is
		}
		if x.Direction == c.Direction && covers(c.Prefix, x.Prefix) {
			inside++
		}
	}
	shortest := w.min4
	if FamilyOf(c.Prefix) == IPv6 {
		innocent, shortest = min(innocent, 1), w.min6
	}
	excepted := slices.ContainsFunc(w.covers, func(k Cover) bool { return k.Direction == c.Direction && covers(k.Prefix, c.Prefix) })
	if inside < 2 || c.Prefix.Bits() < shortest || innocent > w.collateral && !excepted {
		t.Fatalf("%s denies %d innocents for %d candidates; the limits are %d and /%d", c, innocent, inside, w.collateral, shortest)
	}
}

func (w world) foreign() []Entry {
	var out []Entry
	lim := w.limits()
	for _, e := range w.acl.Entries {
		if !lim.Owns(e) {
			out = append(out, e)
		}
	}
	return out
}

func (w world) blocked(d Direction, addr netip.Addr) bool {
	e, ok := w.acl.Match(d, addr, 6, 443)
	return ok && e.Deny
}

// TestPlanLeadsThere applies plans and holds what DESIGN promises of them: the
// wanted effect by first match, nothing foreign touched, the quota kept at every
// step, no guarded prefix, no wanted and blocked address open in between, and
// nothing left to do afterwards.
func TestPlanLeadsThere(t *testing.T) {
	often(t, 30, func(t *rapid.T) {
		w := drawWorld(t)
		before := w.foreign()
		var plan Plan
		for round := 0; ; round++ {
			plan = Diff(w.acl, w.want, w.limits())
			if len(plan.Changes) == 0 {
				break
			}
			// One round does it, a few when entries that an allow has made void must
			// give up their slots before they can be written anew below.
			if round == 4 {
				t.Fatalf("a fifth round still changes %v", plan.Changes)
			}
			w.round(t, plan)
		}
		if after := w.foreign(); !slices.Equal(before, after) {
			t.Fatalf("foreign entries changed:\n%v\n%v", before, after)
		}
		w.checkEffect(t, plan)
	})
}

// round applies a plan; what it keeps and is blocked must stay blocked.
func (w *world) round(t *rapid.T, plan Plan) {
	held := w.held(plan)
	for _, c := range plan.Changes {
		w.apply(t, c)
		w.checkHeld(t, c, held)
	}
}

// held gives what is wanted, keeps its place in the plan and is blocked now,
// address by address.
func (w world) held(plan Plan) map[Direction][]netip.Addr {
	out := map[Direction][]netip.Addr{}
	for _, k := range plan.Kept {
		c := k.Candidate
		for a := c.Prefix.Addr(); c.Prefix.Contains(a); a = a.Next() {
			if w.blocked(c.Direction, a) {
				out[c.Direction] = append(out[c.Direction], a)
			}
		}
	}
	return out
}

func (w world) checkHeld(t *rapid.T, c Change, held map[Direction][]netip.Addr) {
	for d, addrs := range held {
		for _, a := range addrs {
			if !w.blocked(d, a) {
				t.Fatalf("after %s: %s %s is open", c, d, a)
			}
		}
	}
}

// TestPlanContinues carries out one change, plans anew, and so on, as the engine
// does: it must come to the same end with as many writes, whichever change was
// the last before a restart.
func TestPlanContinues(t *testing.T) {
	often(t, 30, func(t *rapid.T) {
		w := drawWorld(t)
		whole := world(w)
		whole.acl.Entries = slices.Clone(w.acl.Entries)
		whole.owned = slices.Clone(w.owned)
		planned := 0
		if slices.ContainsFunc(w.acl.Entries, func(e Entry) bool { return !e.Deny && e.Number < 40 }) {
			return // which of those that lack a number comes first may depend on the way
		}
		for plan := Diff(whole.acl, w.want, whole.limits()); len(plan.Changes) > 0; plan = Diff(whole.acl, w.want, whole.limits()) {
			whole.round(t, plan)
			planned += len(plan.Changes)
		}
		writes := 0
		for plan := Diff(w.acl, w.want, w.limits()); len(plan.Changes) > 0; plan = Diff(w.acl, w.want, w.limits()) {
			held := w.held(plan)
			w.apply(t, plan.Changes[0])
			w.checkHeld(t, plan.Changes[0], held)
			if writes++; writes > planned {
				t.Fatalf("more than the %d writes that were planned", planned)
			}
		}
		if got, want := prefixSet(w), prefixSet(whole); !slices.Equal(got, want) {
			t.Fatalf("step by step it ends with\n%v\nthe whole plans end with\n%v", got, want)
		}
	})
}

func prefixSet(w world) []string {
	var out []string
	for _, e := range w.acl.Entries {
		out = append(out, fmt.Sprint(e.Direction, e.Prefix, e.Deny))
	}
	slices.Sort(out)
	return out
}

// checkEffect holds that each candidate is in one part of the plan, and that what
// the plan says of it is true by first match.
func (w world) checkEffect(t *rapid.T, plan Plan) {
	if n := len(plan.Kept) + len(plan.Covered) + len(plan.Left) + len(plan.Refused) + len(plan.Void); n != len(w.want) {
		t.Fatalf("%d candidates, the plan speaks of %d: %+v", len(w.want), n, plan)
	}
	if len(plan.Coming) > 0 {
		t.Fatalf("nothing is left to do, and yet %v is coming", plan.Coming)
	}
	for _, k := range append(slices.Clone(plan.Kept), plan.Covered...) {
		c := k.Candidate
		if !covers(k.Entry.Prefix, c.Prefix) {
			t.Fatalf("%s is said to be denied by %v", c.Prefix, k.Entry)
		}
		for a := c.Prefix.Addr(); c.Prefix.Contains(a); a = a.Next() {
			if !w.blocked(c.Direction, a) {
				t.Fatalf("%s %s is said to be denied, but %s is open\n%v", c.Direction, c.Prefix, a, w.acl.Entries)
			}
		}
	}
	for _, b := range plan.Budgets {
		waits := 0
		for _, x := range plan.Left {
			if x.Candidate.Direction == b.Direction && FamilyOf(x.Candidate.Prefix) == b.Family {
				waits++
			}
		}
		if waits > 0 && b.Ours < b.Slots && !numbersShort(plan) {
			t.Fatalf("%d wait though %d of %d slots are used", waits, b.Ours, b.Slots)
		}
	}
}

// numbersShort says that allows leave too few numbers, which may leave slots empty.
func numbersShort(plan Plan) bool {
	return slices.ContainsFunc(plan.Left, func(l Left) bool { return !strings.HasPrefix(l.Why, "no slot") })
}

// TestTwentyFiveEquals: equal offenders settle in one round and cause no write
// after it.
func TestTwentyFiveEquals(t *testing.T) {
	w := world{acl: standard(), quota: 20, want: want(many(1, 25)...), guard: netip.MustParsePrefix("192.0.2.0/24")}
	writes := 0
	for round := range 1_000 {
		plan := Diff(w.acl, w.want, w.limits())
		if round > 0 && len(plan.Changes) > 0 {
			t.Fatalf("round %d still changes %v", round, plan.Changes)
		}
		for _, c := range plan.Changes {
			writes++
			w.acl.Entries = append(w.acl.Entries, c.Entry())
			w.owned = append(w.owned, own(c.Entry())...)
		}
		w.acl.Sort()
		slices.Reverse(w.want)
	}
	if writes != 18 {
		t.Errorf("%d writes, want 18", writes)
	}
}

func TestMatch(t *testing.T) {
	a := standard(deny(5, "203.0.113.0/24"), Entry{Number: 3, Direction: Egress, Protocol: 6, PortFrom: 443, PortTo: 443, Prefix: pfx("203.0.113.7/32")})
	for _, tc := range []struct {
		dir   Direction
		addr  string
		proto int
		port  int
		want  int
	}{
		{Egress, "203.0.113.7", 6, 443, 3},
		{Egress, "203.0.113.7", 6, 80, 5},
		{Egress, "203.0.113.7", 17, 443, 5},
		{Egress, "203.0.113.8", 6, 443, 5},
		{Egress, "198.51.100.1", 6, 443, 100},
		{Egress, "2001:db8::1", 6, 443, 101},
		{Ingress, "203.0.113.7", 6, 443, 0},
	} {
		e, ok := a.Match(tc.dir, netip.MustParseAddr(tc.addr), tc.proto, tc.port)
		if e.Number != tc.want || ok != (tc.want != 0) {
			t.Errorf("%s %s/%d:%d matches %d, want %d", tc.dir, tc.addr, tc.proto, tc.port, e.Number, tc.want)
		}
	}
}

func TestEffect(t *testing.T) {
	a := standard(deny(5, "203.0.113.0/24"), deny(6, "203.0.113.7/32"), deny(200, "198.51.100.1/32"), allow(50, "192.0.2.128/25"), deny(60, "192.0.2.0/24"))
	for n, want := range map[int]string{5: "", 6: "redundant: deny 5 covers it", 200: "not effective: allow 100 matches first",
		60: "partly effective: allow 50 matches first for a part", 32767: ""} {
		i := slices.IndexFunc(a.Entries, func(e Entry) bool { return e.Number == n })
		if got := a.EffectOf(a.Entries[i]).String(); got != want {
			t.Errorf("effect of %d: %q, want %q", n, got, want)
		}
	}
}

// BenchmarkDiff plans a full ACL for a crowd of candidates, scattered at random.
func BenchmarkDiff(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 120_000} {
		w := scattered(n)
		for _, slots := range []int{18, 38} {
			b.Run(fmt.Sprintf("%d candidates/%d slots", n, slots), func(b *testing.B) {
				acl := standard(manyDenies(1, slots)...)
				lim := Limits{Quota: slots + 2, Owned: own(manyDenies(1, slots)...), Guard: open, Margin: 10, Price: 1, Collateral: 255}
				b.ReportAllocs()
				for b.Loop() {
					Diff(acl, w, lim)
				}
			})
		}
	}
}

// BenchmarkDiffClustered is the hardest input: every candidate has neighbours
// that it could be joined with.
func BenchmarkDiffClustered(b *testing.B) {
	w := scattered(120_000)
	for i := range w {
		a := w[i].Prefix.Addr().As4()
		binary.BigEndian.PutUint32(a[:], 20<<24|uint32(i%2_400)<<8|uint32(a[3]))
		w[i].Prefix = netip.PrefixFrom(netip.AddrFrom4(a), 32)
	}
	acl := standard(manyDenies(1, 18)...)
	lim := Limits{Owned: own(manyDenies(1, 18)...), Guard: open, Margin: 10, Price: 1, Collateral: 255}
	b.ReportAllocs()
	for b.Loop() {
		Diff(acl, w, lim)
	}
}

// scattered gives random IPv4 candidates, most of them apart from each other.
func scattered(n int) []Candidate {
	rnd := rand.New(rand.NewPCG(uint64(n), 3))
	out := make([]Candidate, n)
	for i := range out {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 1<<24+rnd.Uint32N(200<<24))
		out[i] = Candidate{Direction: Egress, Prefix: netip.PrefixFrom(netip.AddrFrom4(a), 32), Weight: 100 + rnd.IntN(100),
			Since: time.Unix(rnd.Int64N(1_000_000), 0), Ref: "b"}
	}
	return out
}
