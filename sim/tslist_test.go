package sim_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"selfprotect/sim"
)

var epoch = time.Date(2023, 11, 14, 12, 0, 0, 0, time.UTC)

// fill adds n alerts, a second apart.
func fill(s *sim.ThreatStack, n int) {
	for i := range n {
		s.AddAlert(sim.Alert{ID: fmt.Sprintf("a%03d", i), Title: "t", CreatedAt: epoch.Add(time.Duration(i) * time.Second), Severity: 1 + i%3,
			AgentID: "agent" + strconv.Itoa(i%2), RuleID: "rule" + strconv.Itoa(i%2), RulesetID: "set"})
	}
}

// ids reads a list to its end and gives the ids in order.
func ids(t *testing.T, c *caller, target string) []string {
	t.Helper()
	var out []string
	for token := ""; ; {
		next := target
		if token != "" {
			next += "&token=" + token
		}
		body := c.get(next).decode(t)
		for _, a := range body["alerts"].([]any) {
			out = append(out, a.(map[string]any)["id"].(string))
		}
		if token, _ = body["token"].(string); token == "" {
			return out
		}
	}
}

func TestListFilters(t *testing.T) {
	s := threatStack(sim.ThreatStackConfig{})
	fill(s, 6)
	s.Dismiss("a005")
	c := &caller{t: t, handler: s}
	tests := []struct{ query, want string }{
		{"status=active", "a004 a003 a002 a001 a000"},
		{"status=dismissed", "a005"},
		{"status=active&severity=2", "a004 a001"},
		{"status=active&agentId=agent1", "a003 a001"},
		{"status=active&ruleId=rule0&rulesetId=set", "a004 a002 a000"},
		{"status=active&ruleId=nothing", ""},
		{"status=active&from=2023-11-14T12:00:03", "a004 a003"},
		{"status=active&from=2023-11-14T12:00:01&until=2023-11-14T12:00:02Z", "a002 a001"},
		{"status=active&until=2023-11-14T12:00:00.500000", "a000"},
		{"status=active&from=2023-11-14T12:00", "a004 a003 a002 a001 a000"},
		{"status=active&from=2023-11-14T12", "a004 a003 a002 a001 a000"},
		{"status=active&from=2023-11-15", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(ids(t, c, "/v2/alerts?"+tt.query), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.query, got, tt.want)
		}
	}
	s.SetFaults(sim.ThreatStackFaults{ExclusiveBounds: true, Order: sim.OldestFirst})
	if got := strings.Join(ids(t, c, "/v2/alerts?status=active&from=2023-11-14T12:00:01&until=2023-11-14T12:00:04"), " "); got != "a002 a003" {
		t.Errorf("exclusive bounds: %q", got)
	}
}

func TestBadParameters(t *testing.T) {
	s := threatStack(sim.ThreatStackConfig{PageSize: 1})
	fill(s, 3)
	c := &caller{t: t, handler: s}
	token, _ := c.get("/v2/alerts?status=active").decode(t)["token"].(string)
	tests := []struct {
		method, target, body string
		want                 int
	}{
		{"GET", "/v2/alerts", "", 400},
		{"GET", "/v2/alerts?status=open", "", 400},
		{"GET", "/v2/alerts?status=active&severity=4", "", 400},
		{"GET", "/v2/alerts?status=active&from=yesterday", "", 400},
		{"GET", "/v2/alerts?status=active&from=2023-11-15&until=2023-11-14", "", 400},
		{"GET", "/v2/alerts?status=active&token=abc", "", 400},
		{"GET", "/v2/alerts?status=dismissed&token=" + token, "", 400},
		{"GET", "/v2/alerts?status=active&severity=1&token=" + token, "", 400},
		{"GET", "/v2/alerts?status=active&token=" + token, "", 200},
		{"GET", "/v2/alerts?token=" + token, "", 200},
		{"GET", "/v2/alerts/nothing", "", 404},
		{"GET", "/v2/alerts/nothing/events", "", 404},
		{"GET", "/v2/alerts/severity-counts?from=x", "", 400},
		{"GET", "/v2/agents", "", 400},
		{"GET", "/v2/agents?status=online&type=spy", "", 400},
		{"GET", "/v2/agents/nothing", "", 404},
		{"GET", "/v2/rulesets", "", 404},
		{"GET", "/v2/rulesets?agentId=nothing", "", 400},
		{"GET", "/v2/rulesets/nothing", "", 404},
		{"GET", "/v2/rulesets/nothing/rules", "", 404},
		{"GET", "/v3/rules", "", 404},
		{"POST", "/v2/alerts/dismiss", `{"ids":["a000"]}`, 400},
		{"POST", "/v2/alerts/dismiss", `{"ids":["a000"],"dismissReason":"OTHER"}`, 400},
		{"POST", "/v2/alerts/dismiss", `{"ids":["a000"],"dismissReason":"MAINTENANCE","dismissReasonText":"x"}`, 400},
		{"POST", "/v2/alerts/dismiss", `{"from":"2023-11-14","until":"2023-11-15","dismissReason":"MAINTENANCE"}`, 400},
		{"POST", "/v2/alerts/dismiss", `[`, 400},
	}
	for _, tt := range tests {
		a := c.send(tt.method, tt.target, tt.body)
		if a.StatusCode != tt.want || (tt.want >= 400) != strings.HasPrefix(a.body, `{"errors":["`) {
			t.Errorf("%s %s %s: %d %s, want %d", tt.method, tt.target, tt.body, a.StatusCode, a.body, tt.want)
		}
	}
}

func TestTokenIsOpaque(t *testing.T) {
	s := threatStack(sim.ThreatStackConfig{PageSize: 1})
	fill(s, 3)
	c := &caller{t: t, handler: s}
	token := c.get("/v2/alerts?status=active").decode(t)["token"].(string)
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	forged := base64.RawURLEncoding.EncodeToString(bytes.Replace(b, []byte("active"), []byte("dismissed"), 1))
	if a := c.get("/v2/alerts?token=" + forged); forged == token || a.StatusCode != 400 {
		t.Errorf("a forged token: %d %s", a.StatusCode, a.body)
	}
}

func TestPagesInEveryOrderAndEnd(t *testing.T) {
	for _, order := range []string{"", sim.OldestFirst, sim.Shuffled} {
		for _, end := range []string{sim.TokenNull, sim.TokenEmpty, sim.TokenAbsent} {
			for _, offset := range []bool{false, true} {
				s := threatStack(sim.ThreatStackConfig{PageSize: 10})
				fill(s, 25)
				s.SetFaults(sim.ThreatStackFaults{Order: order, TokenEnd: end, OffsetTokens: offset})
				c := &caller{t: t, handler: s}
				got := ids(t, c, "/v2/alerts?status=active")
				sorted := slices.Sorted(slices.Values(got))
				if len(got) != 25 || !slices.Equal(sorted, s.Alerts()) {
					t.Errorf("%s %s: %v", order, end, got)
				}
				if inOrder := slices.IsSorted(got); inOrder != (order == sim.OldestFirst) {
					t.Errorf("%s: in order %v: %v", order, inOrder, got)
				}
				if n := s.Requests().ByEndpoint["GET /v2/alerts"]; n != 3 {
					t.Errorf("%d pages", n)
				}
			}
		}
	}
}

func TestTokenEndsAndLoop(t *testing.T) {
	s := threatStack(sim.ThreatStackConfig{PageSize: 2})
	c := &caller{t: t, handler: s}
	for end, want := range map[string]string{"": `{"alerts":[],"token":null}`, sim.TokenEmpty: `{"alerts":[],"token":""}`, sim.TokenAbsent: `{"alerts":[]}`} {
		s.SetFaults(sim.ThreatStackFaults{TokenEnd: end})
		if got := c.get("/v2/alerts?status=active").body; got != want {
			t.Errorf("%s: %s", end, got)
		}
	}
	fill(s, 5)
	first := c.get("/v2/alerts?status=active").decode(t)
	s.SetFaults(sim.ThreatStackFaults{TokenLoop: true})
	token := first["token"].(string)
	for range 3 {
		page := c.get("/v2/alerts?status=active&token=" + url.QueryEscape(token)).decode(t)
		if page["token"] != token || len(page["alerts"].([]any)) != 2 {
			t.Errorf("%v is no loop", page)
		}
	}
}

// TestPagesShift shows what OffsetTokens is for: an alert that comes between two
// pages moves the rest, where a token that names a place does not.
func TestPagesShift(t *testing.T) {
	for _, offset := range []bool{false, true} {
		s := threatStack(sim.ThreatStackConfig{PageSize: 2})
		fill(s, 4)
		s.SetFaults(sim.ThreatStackFaults{OffsetTokens: offset})
		c := &caller{t: t, handler: s}
		token := c.get("/v2/alerts?status=active").decode(t)["token"].(string)
		s.AddAlert(sim.Alert{ID: "new", CreatedAt: epoch.Add(time.Hour)})
		second := c.get("/v2/alerts?token=" + token).body
		if again := strings.Contains(second, `"a002"`); again != offset {
			t.Errorf("offset %v: second page %s", offset, second)
		}
	}
}
