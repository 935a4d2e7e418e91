package firewall

import (
	"fmt"
	"net/netip"
	"slices"
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
		w.want = append(w.want, Candidate{Direction: rapid.SampledFrom([]Direction{Egress, Ingress}).Draw(t, "want dir"), Prefix: drawPrefix(t, "want"),
			Weight: rapid.IntRange(0, 5).Draw(t, "weight"), Since: time.Unix(int64(i), 0)})
	}
	return w
}

func (w world) limits() Limits {
	return Limits{Quota: w.quota, Low: 1, High: 40, Owned: w.owned, Guard: func(p netip.Prefix) error {
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
	if n := w.acl.Count(c.Direction, FamilyOf(c.Prefix)); n > w.quota {
		t.Fatalf("after %s: %d entries with a quota of %d", c, n, w.quota)
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

func (w world) blocked(c Candidate, addr netip.Addr) bool {
	e, ok := w.acl.Match(c.Direction, addr, 6, 443)
	return ok && e.Deny
}

// TestPlanLeadsThere applies plans and holds what DESIGN promises of them: the
// wanted effect by first match, nothing foreign touched, the quota kept at every
// step, no guarded prefix, no wanted and blocked address open in between, and
// nothing left to do afterwards.
func TestPlanLeadsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
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
	var held []Candidate
	for _, k := range plan.Kept {
		if w.blocked(k.Candidate, k.Candidate.Prefix.Addr()) {
			held = append(held, k.Candidate)
		}
	}
	for _, c := range plan.Changes {
		w.apply(t, c)
		for _, h := range held {
			if !w.blocked(h, h.Prefix.Addr()) {
				t.Fatalf("after %s: %s is open", c, h.Prefix)
			}
		}
	}
}

// checkEffect holds that each candidate is denied whole, or named with a reason.
func (w world) checkEffect(t *rapid.T, plan Plan) {
	excused := func(c Candidate) bool {
		same := func(o Candidate) bool { return o.Direction == c.Direction && o.Prefix == c.Prefix }
		return slices.ContainsFunc(plan.Left, func(l Left) bool { return same(l.Candidate) }) ||
			slices.ContainsFunc(plan.Refused, func(l Left) bool { return same(l.Candidate) }) ||
			slices.ContainsFunc(plan.Void, func(p Placed) bool {
				return covers(p.Candidate.Prefix, c.Prefix) && p.Candidate.Direction == c.Direction
			})
	}
	for _, c := range w.want {
		if excused(c) {
			continue
		}
		wider := func(l Left) bool { return l.Candidate.Direction == c.Direction && covers(l.Candidate.Prefix, c.Prefix) }
		if slices.ContainsFunc(plan.Left, wider) {
			continue
		}
		for a := c.Prefix.Addr(); c.Prefix.Contains(a); a = a.Next() {
			if !w.blocked(c, a) {
				t.Fatalf("%s %s is wanted and not excused, but %s is open\n%v", c.Direction, c.Prefix, a, w.acl.Entries)
			}
		}
	}
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
		if got := a.Effect(a.Entries[i]); got != want {
			t.Errorf("effect of %d: %q, want %q", n, got, want)
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	for _, n := range []int{20, 200, 2_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var w []Candidate
			for i := range n {
				w = append(w, Candidate{Direction: Egress, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)}), 32), Weight: i % 50})
			}
			acl := standard()
			b.ReportAllocs()
			for b.Loop() {
				Diff(acl, w, Limits{Guard: open})
			}
		})
	}
}
