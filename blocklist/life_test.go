package blocklist

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"selfprotect/alert"
	"selfprotect/policy"
)

var (
	t0      = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	targets = []policy.Target{{ACL: "acl-1", Directions: []alert.Direction{alert.Outbound}}}
	bad     = netip.MustParsePrefix("203.0.113.7/32")
	badID   = MakeID(alert.Outbound, bad, targets)
)

func anAlert(id string) alert.Alert {
	return alert.Alert{ID: id, RuleID: "rule", AgentID: "agent-" + id, CreatedAt: t0, Complete: true}
}

func anIndicator(events int) alert.Indicator {
	return alert.Indicator{Addr: bad.Addr(), Direction: alert.Outbound, Events: events}
}

func aVerdict(act policy.Action) policy.Verdict {
	return policy.Verdict{Action: act, Prefix: bad, Targets: targets, TTL: 24 * time.Hour, Weight: 100, Reasons: []string{"because"}}
}

// tell applies events as the journal would give them back.
func tell(t *testing.T, l *List, events []Event) []Kind {
	t.Helper()
	var kinds []Kind
	for _, e := range events {
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Apply(back); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// see delivers an alert with one indicator and gives the kinds of its events.
func see(t *testing.T, l *List, now time.Time, id string, act policy.Action, events int) []Kind {
	t.Helper()
	a := anAlert(id)
	kinds := tell(t, l, l.Note(now, a, ""))
	return append(kinds, tell(t, l, l.Observe(now, a, anIndicator(events), aVerdict(act)))...)
}

func decide(t *testing.T, l *List, now time.Time, v Verb) error {
	t.Helper()
	events, err := l.Decide(now, badID, Decision{Verb: v, Actor: "alice@soc", Effect: "seen"})
	tell(t, l, events)
	return err
}

// prepared gives a list in which the block has a state.
func prepared(t *testing.T, state State) *List {
	t.Helper()
	l := New(Config{})
	if state == "" {
		return l
	}
	see(t, l, t0, "first", policy.Ask, 1)
	steps := map[State][]Verb{Pending: nil, Active: {Approve}, Refused: {Deny}, Undone: {Approve, Revoke}, Lapsed: {Approve}}
	for _, v := range steps[state] {
		if err := decide(t, l, t0, v); err != nil {
			t.Fatal(err)
		}
	}
	if state == Lapsed {
		tell(t, l, l.Expire(t0.Add(24*time.Hour)))
	}
	if b, _ := l.Block(badID); b.State != state {
		t.Fatalf("prepared %q, want %q", b.State, state)
	}
	return l
}

// TestObserve is the table of what a sighting by a new alert does, for each
// verdict and each state of the block.
func TestObserve(t *testing.T) {
	for _, tc := range []struct {
		state   State
		act     policy.Action
		after   State
		outcome Outcome
	}{
		{"", policy.Ignore, "", OutcomeIgnored},
		{"", policy.Refuse, "", OutcomeRefused},
		{"", policy.Ask, Pending, OutcomeProposed},
		{"", policy.Block, Active, OutcomeProposed},
		{Pending, policy.Ignore, Pending, OutcomeIgnored},
		{Pending, policy.Refuse, Pending, OutcomeRefused},
		{Pending, policy.Ask, Pending, OutcomeKnown},
		{Pending, policy.Block, Active, OutcomeKnown},
		{Active, policy.Ask, Active, OutcomeKnown},
		{Active, policy.Block, Active, OutcomeKnown},
		{Refused, policy.Ask, Refused, OutcomeDenied},
		{Refused, policy.Block, Refused, OutcomeDenied}, // people outrank the program
		{Undone, policy.Ask, Pending, OutcomeProposed},
		{Undone, policy.Block, Pending, OutcomeProposed}, // likewise: it asks
		{Lapsed, policy.Ask, Pending, OutcomeProposed},
		{Lapsed, policy.Block, Active, OutcomeProposed},
	} {
		t.Run(string(tc.state)+" "+tc.act.String(), func(t *testing.T) {
			l := prepared(t, tc.state)
			now := t0.Add(25 * time.Hour)
			see(t, l, now, "second", tc.act, 1)
			b, _ := l.Block(badID)
			if b.State != tc.after {
				t.Errorf("the block is %q, want %q", b.State, tc.after)
			}
			st, _ := l.Alert("second")
			if got := st.Sightings[0].Outcome; got != tc.outcome {
				t.Errorf("outcome %q, want %q", got, tc.outcome)
			}
			if again := see(t, l, now, "second", tc.act, 1); len(again) != 0 {
				t.Errorf("the same delivery again gives %v", again)
			}
			if b, _ := l.Block(badID); b.State != tc.after {
				t.Errorf("the same delivery again made it %q", b.State)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	for _, tc := range []struct {
		state State
		verb  Verb
		after State
		err   error
	}{
		{"", Approve, "", ErrUnknownBlock},
		{Pending, Approve, Active, nil},
		{Pending, Deny, Refused, nil},
		{Pending, Revoke, Pending, ErrNotActive},
		{Pending, Restore, Pending, ErrNotActive},
		{Active, Approve, Active, ErrDecided},
		{Active, Deny, Active, ErrDecided},
		{Active, Revoke, Undone, nil},
		{Active, Restore, Active, ErrDecided}, // nothing was removed
		{Refused, Approve, Refused, ErrDecided},
		{Refused, Deny, Refused, ErrDecided},
		{Undone, Approve, Undone, ErrDecided},
		{Lapsed, Revoke, Lapsed, ErrNotActive},
	} {
		l := prepared(t, tc.state)
		err := decide(t, l, t0, tc.verb)
		if !errors.Is(err, tc.err) {
			t.Errorf("%s of %q: %v, want %v", tc.verb, tc.state, err, tc.err)
		}
		if b, _ := l.Block(badID); b.State != tc.after {
			t.Errorf("%s of %q leaves %q, want %q", tc.verb, tc.state, b.State, tc.after)
		}
	}
}

func TestTimeToLiveDoubles(t *testing.T) {
	l := New(Config{MaxTTL: 5 * 24 * time.Hour})
	now := t0
	for i, want := range []time.Duration{24, 48, 96, 120, 120} {
		see(t, l, now, string(rune('a'+i)), policy.Block, 1)
		b, _ := l.Block(badID)
		if b.TTL != want*time.Hour || b.Repeat != i || !b.Expires.Equal(now.Add(b.TTL)) {
			t.Errorf("time %d: lives %s after %d repeats until %s", i, b.TTL, b.Repeat, b.Expires)
		}
		if next, ok := l.NextExpiry(); !ok || !next.Equal(b.Expires) {
			t.Errorf("next expiry %s", next)
		}
		if early := l.Expire(b.Expires.Add(-time.Nanosecond)); len(early) != 0 {
			t.Errorf("expires early: %v", early)
		}
		now = b.Expires
		if n := len(l.Wanted(now)); n != 0 {
			t.Errorf("%d wanted at the moment of expiry", n)
		}
		tell(t, l, l.Expire(now))
	}
}

func TestDenialIsForgotten(t *testing.T) {
	l := prepared(t, Refused)
	see(t, l, t0.Add(29*24*time.Hour), "early", policy.Ask, 1)
	if b, _ := l.Block(badID); b.State != Refused {
		t.Errorf("a no was forgotten early")
	}
	see(t, l, t0.Add(31*24*time.Hour), "late", policy.Ask, 1)
	if b, _ := l.Block(badID); b.State != Pending {
		t.Errorf("a no is remembered for ever: %s", b.State)
	}
}

// TestGrowingAlert: later events of an old alert are evidence, not a new offence.
func TestGrowingAlert(t *testing.T) {
	l := prepared(t, Pending)
	kinds := see(t, l, t0, "first", policy.Ask, 3)
	if len(kinds) != 1 || kinds[0] != Sighted {
		t.Errorf("more evidence gives %v", kinds)
	}
	if b, _ := l.Block(badID); b.Sightings != 1 {
		t.Errorf("%d sightings of one alert", b.Sightings)
	}
	if kinds := see(t, l, t0, "first", policy.Ask, 2); len(kinds) != 0 {
		t.Errorf("an older look gives %v", kinds)
	}
	if err := decide(t, l, t0, Approve); err != nil {
		t.Fatal(err)
	}
	tell(t, l, l.Expire(t0.Add(25*time.Hour)))
	see(t, l, t0.Add(26*time.Hour), "first", policy.Block, 9)
	if b, _ := l.Block(badID); b.State != Lapsed {
		t.Errorf("the alert that led to a block led to another one: %s", b.State)
	}
}

func TestDecodeRefusesNewer(t *testing.T) {
	if _, err := Decode(fmt.Appendf(nil, `{"v":%d,"kind":"observed"}`, Version+1)); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer record gives %v", err)
	}
	if _, err := Decode([]byte(`{"v":1,"kind":`)); err == nil {
		t.Errorf("a cut record is read")
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := Event{Kind: Proposed, At: t0, Block: badID, Proposal: &Proposal{Direction: alert.Outbound, Prefix: bad, Targets: targets}}.Encode()
	f.Add(b)
	f.Add([]byte(`{"v":1,"kind":"started","write_id":"x","write":{"acl":"a","op":"create","direction":"outbound","number":1,"prefix":"1.2.3.4/32"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		l := New(Config{})
		_ = l.Apply(e) // must not panic, whatever it says
		l.Wanted(t0)
		_, _ = l.Save() // a time that JSON cannot hold is an error
	})
}
