package threatstack

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/sim"
)

var testSpec = RuleSpec{Name: "a rule", Type: "Host", Title: "{{exe}} <connected> to {{dst_ip}}", Description: "why", Severity: 2,
	Aggregates: []string{"user", "exe", "dst_ip"}, Filter: `syscall = "connect"`, Window: time.Hour, Threshold: 1}

// writable is the server of package sim, whose Hawk is its own, with one ruleset.
func writable(t *testing.T) (*sim.ThreatStack, *Client) {
	t.Helper()
	s := sim.NewThreatStack(sim.ThreatStackConfig{OrganizationID: testOrg, UserID: testID, APIKey: testKey, Seed: 1})
	s.AddRuleset(sim.Ruleset{ID: "set-1", Name: "Base"})
	s.AddRule(sim.Rule{ID: "other", RulesetID: "set-1", Name: "another", Title: "t", Type: "File", Severity: 3, AlertDescription: "d"})
	c, err := New(Config{BaseURL: "http://127.0.0.1:8443", OrganizationID: testOrg, UserID: testID, APIKey: testKey, HTTP: sim.Transport(s)})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func posts(s *sim.ThreatStack) int {
	return s.Requests().ByEndpoint["POST /v2/rulesets/{ruleset}/rules"]
}

func TestWriteRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		_, c := writable(t)
		req, err := NewRule("set-1", testSpec)
		if err != nil {
			t.Fatal(err)
		}
		made, err := c.WriteRule(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		want := testSpec
		want.Aggregates = slices.Sorted(slices.Values(testSpec.Aggregates))
		if got := made.Spec; !sameSpec(got, want) || made.ID == "" || made.RulesetID != "set-1" {
			t.Errorf("made %+v, want %+v", made, want)
		}
		req, err = made.Enable()
		if err != nil {
			t.Fatal(err)
		}
		on, err := c.WriteRule(ctx, req)
		if err != nil || !on.Enabled {
			t.Fatalf("enabled: %+v, %v", on, err)
		}
		want.Enabled = true
		if !sameSpec(on.Spec, want) {
			t.Errorf("enabling changed the rule: %+v, want %+v", on.Spec, want)
		}
		sets, err := c.Rulesets(ctx)
		if err != nil || len(sets) != 1 || len(sets[0].Rules) != 2 {
			t.Fatalf("rulesets: %+v, %v", sets, err)
		}
	})
}

func sameSpec(a, b RuleSpec) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// What this package does not know of a rule goes back as it came.
func TestEnableKeepsWhatIsUnknown(t *testing.T) {
	r, err := decodeRule("op", []byte(`{"id":"r","rulesetId":"s","name":"n","createdAt":"x","updatedAt":"y","enabled":false,
		"suppressions":["a < b"],"fileIntegrityPaths":[{"path":"/etc","recursive":true}],"later":{"deep":[1,2.50]}}`), "s", "r")
	if err != nil {
		t.Fatal(err)
	}
	req, err := r.Enable()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(req.Body, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 5 || string(got["enabled"]) != "true" || req.Path != "/v2/rulesets/s/rules/r" || req.Method != "PUT" {
		t.Errorf("%s %s %s", req.Method, req.Path, req.Body)
	}
	var deep struct{ Deep []json.Number }
	if err := json.Unmarshal(got["later"], &deep); err != nil || deep.Deep[1] != "2.50" {
		t.Errorf("later is %s", got["later"])
	}
}

// However a write fails, it is sent once, and the error says whether it may have
// been carried out.
func TestWriteIsSentOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault sim.ThreatStackFaults
		may   bool
		made  int
	}{
		{"error before", sim.ThreatStackFaults{Error: sim.Chance{Next: 1}}, true, 0},
		{"error after", sim.ThreatStackFaults{ErrorApplied: sim.Chance{Next: 1}}, true, 1},
		{"reset before", sim.ThreatStackFaults{Reset: sim.Chance{Next: 1}}, true, 0},
		{"answer lost", sim.ThreatStackFaults{Lost: sim.Chance{Next: 1}}, true, 1},
		{"answer broken off", sim.ThreatStackFaults{Abort: sim.Chance{Next: 1}}, true, 1},
		{"answer cut", sim.ThreatStackFaults{Truncate: sim.Chance{Next: 1}}, true, 1},
		{"a page in its place", sim.ThreatStackFaults{HTML: sim.Chance{Next: 1}}, true, 0},
		{"unsigned", sim.ThreatStackFaults{Unsigned: true}, true, 1},
		{"wrong signature", sim.ThreatStackFaults{WrongMAC: true}, true, 1},
		{"429", sim.ThreatStackFaults{TooMany: sim.Chance{Next: 1}}, false, 0},
		{"401", sim.ThreatStackFaults{Unauthorized: sim.Chance{Next: 1}}, false, 0},
		{"403", sim.ThreatStackFaults{Forbidden: true}, false, 0},
		{"reader", sim.ThreatStackFaults{ReadOnly: true}, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c := writable(t)
				s.SetFaults(tt.fault)
				req, err := NewRule("set-1", testSpec)
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.WriteRule(context.Background(), req)
				if err == nil || MayHaveHappened(err) != tt.may {
					t.Errorf("error %v, may have happened %v, want %v", err, MayHaveHappened(err), tt.may)
				}
				if n := posts(s); n != 1 {
					t.Errorf("sent %d times", n)
				}
				s.SetFaults(sim.ThreatStackFaults{})
				sets, err := c.Rulesets(context.Background())
				for err != nil { // after a 429 the budget opens by and by
					time.Sleep(time.Second)
					sets, err = c.Rulesets(context.Background())
				}
				if made := len(sets[0].Rules) - 1; made != tt.made {
					t.Errorf("%d rules made, want %d", made, tt.made)
				}
			})
		})
	}
}

// A wrong clock is the one refusal after which a write is sent again.
func TestWriteCorrectsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := writable(t)
		s.SetFaults(sim.ThreatStackFaults{ClockOffset: time.Hour})
		req, err := NewRule("set-1", testSpec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.WriteRule(context.Background(), req); err != nil {
			t.Fatal(err)
		}
		if n := posts(s); n != 2 {
			t.Errorf("sent %d times, want 2", n)
		}
	})
}

func TestWriteIsRefusedWithTheServersWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := writable(t)
		spec := testSpec
		spec.Description = ""
		req, err := NewRule("set-1", spec)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.WriteRule(context.Background(), req)
		const want = "alert API: create rule: status 400 (Validation failed: body has invalid alertDescription value.  Must be between 1 and 300 characters long.): the service does not accept this; nothing was changed"
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}
