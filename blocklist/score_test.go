package blocklist

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"selfprotect/alert"
	"selfprotect/policy"
)

// TestScore holds each number of a weight, and that they add up to what is shown.
func TestScore(t *testing.T) {
	b := Block{Proposal: Proposal{Weight: 120, Severity: 1, Repeat: 2}, ProposedAt: t0, LastSeen: t0, Sightings: 4, Missed: 1, Hosts: []string{"a", "b", "c"}}
	for _, tc := range []struct {
		after time.Duration
		want  string
	}{
		{0, "181 = rule 100 + severity 20 + sightings 6 + recency 15 + hosts 10 + repeats 20 + missed 10"},
		{time.Hour, "176 = rule 100 + severity 20 + sightings 6 + recency 10 + hosts 10 + repeats 20 + missed 10"},
		{7 * time.Hour, "171 = rule 100 + severity 20 + sightings 6 + recency 5 + hosts 10 + repeats 20 + missed 10"},
		{24 * time.Hour, "166 = rule 100 + severity 20 + sightings 6 + hosts 10 + repeats 20 + missed 10"},
	} {
		if got := b.Score(t0.Add(tc.after)).String(); got != tc.want {
			t.Errorf("after %s: %s, want %s", tc.after, got, tc.want)
		}
	}
	b.Sightings, b.Missed, b.Repeat, b.Hosts = 1000, 1000, 1000, make([]string, 16)
	if got := b.Score(t0).Total(); got != 100+20+20+15+25+50+50 {
		t.Errorf("at the bounds %d", got)
	}
}

// TestHeavierAlertCounts: a later alert of more weight raises its block.
func TestHeavierAlertCounts(t *testing.T) {
	l := New(Config{})
	see(t, l, t0, "first", policy.Block, 1)
	a := anAlert("second")
	a.Severity = 1
	v := aVerdict(policy.Block)
	v.Weight = 320
	tell(t, l, l.Note(t0, a, ""))
	tell(t, l, l.Observe(t0, a, anIndicator(1), v))
	if b, _ := l.Block(badID); b.Score(t0).Rule != 300 || b.Score(t0).Severity != 20 {
		t.Errorf("score %s", b.Score(t0))
	}
}

// TestLeftOutClimbs: a sighting of a block without a slot is counted, once.
func TestLeftOutClimbs(t *testing.T) {
	l := New(Config{})
	see(t, l, t0, "first", policy.Block, 1)
	before, _ := l.Block(badID)
	events := l.Observe(t0, anAlert("second"), anIndicator(1), aVerdict(policy.Block))
	events[0].Sighting.LeftOut = true
	tell(t, l, append(l.Note(t0, anAlert("second"), ""), events...))
	after, _ := l.Block(badID)
	if after.Missed != 1 || after.Score(t0).Total()-before.Score(t0).Total() != 10+2+5 {
		t.Errorf("missed %d: %s, before %s", after.Missed, after.Score(t0), before.Score(t0))
	}
}

// TestPin: a pinned block is first and does not expire; unpinned, its time starts
// anew and is never shorter than it was.
func TestPin(t *testing.T) {
	l := New(Config{})
	see(t, l, t0, "first", policy.Block, 1)
	decide := func(now time.Time, v Verb) error {
		events, err := l.Decide(now, badID, Decision{Verb: v, Actor: "alice@soc"})
		if err == nil {
			tell(t, l, events)
		}
		return err
	}
	if err := decide(t0, Unpin); !errors.Is(err, ErrDecided) {
		t.Errorf("unpin of what is not pinned: %v", err)
	}
	if err := decide(t0, Pin); err != nil {
		t.Fatal(err)
	}
	if err := decide(t0, Pin); !errors.Is(err, ErrDecided) {
		t.Errorf("a second pin: %v", err)
	}
	late := t0.Add(1000 * time.Hour)
	if got := l.Expire(late); len(got) != 0 {
		t.Errorf("a pinned block expires: %v", got)
	}
	if w := l.Wanted(late); len(w) != 1 || !w[0].Pinned {
		t.Errorf("wanted %+v", w)
	}
	if _, ok := l.NextExpiry(); ok {
		t.Error("a pinned block has an expiry")
	}
	saved, err := l.Save()
	if err != nil {
		t.Fatal(err)
	}
	if l, err = Load(Config{}, saved); err != nil {
		t.Fatal(err)
	}
	if err := decide(late, Unpin); err != nil {
		t.Fatal(err)
	}
	if b, _ := l.Block(badID); b.Pinned || !b.Expires.Equal(late.Add(24*time.Hour)) {
		t.Errorf("unpinned it ends %s", b.Expires)
	}
	tell(t, l, l.Expire(late.Add(25*time.Hour)))
	if err := decide(late, Pin); !errors.Is(err, ErrNotActive) {
		t.Errorf("a pin of what has ended: %v", err)
	}
}

// TestCovers: a grant is proposed once, decided by a person, remembered when it
// was denied, and wanted by itself by nobody.
func TestCovers(t *testing.T) {
	l := New(Config{})
	w := Widening{ACL: "acl-1", Direction: alert.Outbound, Prefix: netip.MustParsePrefix("203.0.113.0/29"), Weight: 300, Until: t0.Add(5 * time.Hour), Reasons: []string{"why"}}
	tell(t, l, l.ProposeCover(t0, w))
	if again := l.ProposeCover(t0, w); again != nil {
		t.Errorf("it is proposed twice: %v", again)
	}
	id := l.Blocks()[0].ID
	if b, _ := l.Block(id); b.TTL != 5*time.Hour || b.What() != "widening to 203.0.113.0/29" || b.Score(t0).Total() != 300 {
		t.Errorf("proposed %+v", b)
	}
	events, err := l.Decide(t0, id, Decision{Verb: Approve, Actor: "alice@soc"})
	if err != nil {
		t.Fatal(err)
	}
	tell(t, l, events)
	if c := l.Covers(t0); len(c) != 1 || c[0].Prefix != w.Prefix || len(l.Wanted(t0)) != 0 {
		t.Errorf("covers %v, wanted %v", c, l.Wanted(t0))
	}
	tell(t, l, l.Expire(t0.Add(5*time.Hour)))
	if c := l.Covers(t0.Add(5 * time.Hour)); len(c) != 0 {
		t.Errorf("after its time: %v", c)
	}
	tell(t, l, l.ProposeCover(t0.Add(6*time.Hour), w))
	if b, _ := l.Block(id); b.State != Pending || b.Repeat != 0 {
		t.Errorf("proposed again: %+v", b)
	}
	if out := l.WithdrawCovers(t0.Add(6*time.Hour), func(Block) bool { return false }); len(out) != 1 {
		t.Fatal("what is not useful any more stays")
	} else {
		tell(t, l, out)
	}
	tell(t, l, l.ProposeCover(t0.Add(7*time.Hour), w))
	events, _ = l.Decide(t0.Add(7*time.Hour), id, Decision{Verb: Deny, Actor: "alice@soc"})
	tell(t, l, events)
	w.Prefix = netip.MustParsePrefix("203.0.113.0/28")
	if out := l.ProposeCover(t0.Add(8*time.Hour), w); out != nil {
		t.Error("a no is not remembered for a prefix that overlaps")
	}
}

// TestDriftOfAJoinedEntry: when somebody removes an entry that served two blocks,
// neither is written again until a person says so, each by itself.
func TestDriftOfAJoinedEntry(t *testing.T) {
	l := New(Config{})
	var ids []ID
	for i, s := range []string{"203.0.113.6/32", "203.0.113.7/32", "203.0.113.9/32"} {
		p := netip.MustParsePrefix(s)
		v := aVerdict(policy.Block)
		v.Prefix = p
		a := anAlert(string(rune('a' + i)))
		tell(t, l, l.Observe(t0, a, alert.Indicator{Addr: p.Addr(), Direction: alert.Outbound, Events: 1}, v))
		ids = append(ids, MakeID(alert.Outbound, p, targets))
	}
	joined := Write{ACL: "acl-1", Direction: alert.Outbound, Number: 1, Prefix: netip.MustParsePrefix("203.0.113.6/31")}
	tell(t, l, []Event{{Kind: Drifted, At: t0, Write: &joined}})
	wanted := func() []string {
		var out []string
		for _, c := range l.Wanted(t0) {
			out = append(out, c.Prefix.String())
		}
		return out
	}
	if got := wanted(); !slices.Equal(got, []string{"203.0.113.9/32"}) {
		t.Errorf("wanted %q", got)
	}
	if d := l.Drifts("acl-1"); len(d) != 2 || d[0].Number != 1 || d[0].Prefix.Bits() != 32 {
		t.Errorf("drifts %+v", d)
	}
	events, err := l.Decide(t0, ids[0], Decision{Verb: Restore, Actor: "alice@soc"})
	if err != nil {
		t.Fatal(err)
	}
	tell(t, l, events)
	if got := wanted(); !slices.Equal(got, []string{"203.0.113.6/32", "203.0.113.9/32"}) {
		t.Errorf("restored one: wanted %q", got)
	}
	tell(t, l, []Event{{Kind: Drifted, At: t0, Write: &joined}, {Kind: Returned, At: t0, Write: &joined}})
	if got := wanted(); len(got) != 3 {
		t.Errorf("it came back: wanted %q", got)
	}
}
