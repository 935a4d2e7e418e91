package cli

import (
	"net/netip"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/policy"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestWhen(t *testing.T) {
	for _, c := range []struct {
		word string
		want time.Time
	}{
		{"", time.Time{}},
		{"24h", noon.Add(-24 * time.Hour)},
		{"30d", noon.Add(-30 * 24 * time.Hour)},
		{"1d12h", noon.Add(-36 * time.Hour)},
		{"0s", noon},
		{"2026-11-24T10:00:00Z", time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)},
		{"2026-11-24T10:00:00+02:00", time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)},
		{"2026-11-24 10:30", time.Date(2026, 11, 24, 10, 30, 0, 0, time.Local)},
		{"2026-11-24", time.Date(2026, 11, 24, 0, 0, 0, 0, time.Local)},
	} {
		got, err := when("--since", c.word, noon)
		if err != nil || !got.Equal(c.want) {
			t.Errorf("%q: %v, %v; want %v", c.word, got, err, c.want)
		}
	}
	for _, word := range []string{"-1h", "yesterday", "24", "2026-13-01", "\x1b[2J"} {
		if got, err := when("--since", word, noon); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%q: %v, %v", word, got, err)
		}
	}
}

// TestHistoryOfAlerts: who archived, escalated or brought back an alert is told with
// the reason, and is about no address.
func TestHistoryOfAlerts(t *testing.T) {
	note := &blocklist.AlertNote{ID: "a1\x1b[2J"}
	for want, e := range map[string]blocklist.Event{
		"     1 2026-11-25T12:00:00Z archived  alert a1\\x1b[2J by alice@soc: a scan of ours\n":        {Kind: blocklist.Archived, Actor: "alice@soc", Reason: "a scan of ours", Alert: note},
		"     1 2026-11-25T12:00:00Z archived  alert a1\\x1b[2J escalated by alice@soc: ticket 4711\n": {Kind: blocklist.Archived, Actor: "alice@soc", Reason: "ticket 4711", Alert: note, Escalated: true},
		"     1 2026-11-25T12:00:00Z unarchived alert a1\\x1b[2J by bob@soc\n":                         {Kind: blocklist.Unarchived, Actor: "bob@soc", Alert: note},
	} {
		e.At = noon
		tl := &teller{o: &historyOptions{}}
		l, ok := tl.line(1, e)
		if got := l.text(); !ok || got != want || l.Escalated != e.Escalated {
			t.Errorf("%q, %t; want %q", got, ok, want)
		}
		tl.o.about = netip.MustParsePrefix("203.0.113.7/32")
		if _, ok := tl.line(1, e); ok {
			t.Errorf("%s is about an address", e.Kind)
		}
	}
}

// TestHistoryFilters: each filter leaves exactly what it names.
func TestHistoryFilters(t *testing.T) {
	id := blocklist.MakeID(alert.Outbound, netip.MustParsePrefix("203.0.113.7/32"), []policy.Target{{ACL: "acl-1"}, {ACL: "acl-2"}})
	events := []blocklist.Event{
		{Kind: blocklist.Proposed, At: noon, Actor: "engine", Block: id, Proposal: &blocklist.Proposal{RuleID: "rule-1"}},
		{Kind: blocklist.Approved, At: noon.Add(time.Minute), Actor: "alice@soc", Block: id},
		{Kind: blocklist.ModeSet, At: noon.Add(2 * time.Minute), Actor: "bob@soc", Mode: policy.Auto},
		{Kind: blocklist.Allowed, At: noon.Add(3 * time.Minute), Actor: "alice@noc", Prefix: netip.MustParsePrefix("203.0.113.0/24")},
		{Kind: blocklist.GuardSized, At: noon.Add(3 * time.Minute), Actor: "engine", Count: 3},
		{Kind: blocklist.Drifted, At: noon.Add(4 * time.Minute), Actor: "engine", Write: &blocklist.Write{ACL: "acl-1", Direction: alert.Outbound, Number: 3, Prefix: netip.MustParsePrefix("203.0.113.7/32")}},
	}
	for _, c := range []struct {
		o    historyOptions
		args []string
		want []uint64
	}{
		{historyOptions{}, nil, []uint64{1, 2, 3, 4, 6}},
		{historyOptions{}, []string{"203.0.113.7"}, []uint64{1, 2, 4, 6}},
		{historyOptions{}, []string{"203.0.113.8/32"}, []uint64{4}},
		{historyOptions{kinds: []string{"writes"}}, nil, []uint64{6}},
		{historyOptions{kinds: []string{"decisions"}}, nil, []uint64{1, 2, 3, 4}},
		{historyOptions{kinds: []string{"approved", "mode"}}, nil, []uint64{2, 3}},
		{historyOptions{actor: "alice"}, nil, []uint64{2, 4}},
		{historyOptions{actor: "alice@soc"}, nil, []uint64{2}},
		{historyOptions{since: "2026-11-25T12:01:00Z", until: "2026-11-25T12:03:00Z"}, nil, []uint64{2, 3}},
	} {
		if err := c.o.parse(c.args, noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		tl := &teller{o: &c.o, writes: map[string]blocklist.Write{}, rules: map[blocklist.ID]string{}}
		var got []uint64
		for i, e := range events {
			l, ok := tl.line(uint64(i+1), e)
			if !ok || !c.o.wanted(e) {
				continue
			}
			got = append(got, l.Seq)
			if l.Block != "" && (l.ACL != "acl-1+acl-2" || l.Direction != "outbound" || l.Rule != "rule-1" || l.CIDR != "203.0.113.7/32") {
				t.Errorf("a line about a block: %+v", l)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%+v %v: %v, want %v", c.o, c.args, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%+v %v: %v, want %v", c.o, c.args, got, c.want)
			}
		}
	}
}

// TestEveryKindIsKnown: what people decide is in the history.
func TestEveryKindIsKnown(t *testing.T) {
	o := historyOptions{kinds: []string{"perhaps"}}
	if err := o.parse(nil, noon); exitCode(err) != exitUsage {
		t.Errorf("an unknown kind: %v", err)
	}
	if o := (historyOptions{follow: true, until: "1h"}); exitCode(o.parse(nil, noon)) != exitUsage {
		t.Error("--follow with an end")
	}
}

// TestEveryCommandExplainsItself: what can be run has an example and says what it
// does.
func TestEveryCommandExplainsItself(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Runnable() && (c.Example == "" || c.Short == "") {
			t.Errorf("%s: example %q, short %q", c.CommandPath(), c.Example, c.Short)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(Host{Env: func(string) string { return "" }}))
}
