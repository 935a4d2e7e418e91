package sim_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/sim"
)

func TestShapes(t *testing.T) {
	s := threatStack(sim.ThreatStackConfig{})
	s.AddAlert(sim.Alert{ID: "a1", Title: "x", CreatedAt: epoch, AgentID: "g", Aggregates: map[string]string{"user": "root", "dst_ip": "203.0.113.7"}})
	s.AddEvent("a1", sim.Event{ID: "e1", Time: epoch, Syscall: "connect", ContainerID: "c1", Connection: &sim.Connection{DstAddr: "203.0.113.7", DstPort: new(0)},
		Extra: map[string]any{"eventID": "x"}})
	s.AddEvent("a1", sim.Event{Raw: []byte(`{"odd":[1,2]}`)})
	s.AddAlert(sim.Alert{ID: "bare", Title: "x", CreatedAt: epoch})
	c := &caller{t: t, handler: s}
	alert := func(id string) map[string]any { return c.get("/v2/alerts/" + id).decode(t) }
	events := func() []any { return c.get("/v2/alerts/a1/events").decode(t)["events"].([]any) }

	plain := map[string]any{"id": "a1", "title": "x", "createdAt": "2023-11-14T12:00:00.000Z", "isDismissed": false, "severity": 3.0, "agentId": "g",
		"aggregates": map[string]any{"user": "root", "dst_ip": "203.0.113.7"}}
	if got := alert("a1"); !reflect.DeepEqual(got, plain) {
		t.Errorf("alert %v", got)
	}
	e := events()[0].(map[string]any)
	if e["_id"] != "e1" || e["event_type"] != "audit" || e["timestamp"] != float64(epoch.UnixMilli()) || e["containerId"] != "c1" || e["agent_id"] != "g" ||
		e["eventID"] != "x" || !reflect.DeepEqual(e["connection"], map[string]any{"dst_addr": "203.0.113.7", "dst_port": 0.0}) {
		t.Errorf("event %v", e)
	}
	if got := events()[1]; !reflect.DeepEqual(got, map[string]any{"odd": []any{1.0, 2.0}}) {
		t.Errorf("raw event %v", got)
	}
	s.SetFaults(sim.ThreatStackFaults{Nulls: true, AggregatesArray: true, PortStrings: true, ContainerSnake: true, ExtraKeys: true})
	bare := alert("bare")
	for _, key := range []string{"dataSource", "agentId", "ruleId", "rulesetId", "aggregates", "dismissedAt", "dismissReason", "dismissReasonText", "dismissedBy"} {
		if v, has := bare[key]; !has || v != nil {
			t.Errorf("%s is %v, %v", key, v, has)
		}
	}
	if _, has := bare["_links"]; !has {
		t.Errorf("no extra key: %v", bare)
	}
	if got := alert("a1")["aggregates"]; !reflect.DeepEqual(got, []any{map[string]any{"fieldName": "dst_ip", "value": "203.0.113.7"}, map[string]any{"fieldName": "user", "value": "root"}}) {
		t.Errorf("aggregates %v", got)
	}
	e = events()[0].(map[string]any)
	connection := e["connection"].(map[string]any)
	if v, has := connection["src_addr"]; connection["dst_port"] != "0" || v != nil || !has || e["container_id"] != "c1" {
		t.Errorf("event %v", e)
	}
}

func TestDismissalIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := threatStack(sim.ThreatStackConfig{DismissLag: 10 * time.Second})
		for i := range 4 {
			s.AddAlert(sim.Alert{ID: strconv.Itoa(i), Severity: 1 + i%2})
		}
		c := &caller{t: t, handler: s}
		now := time.Now().UTC()
		c.send("POST", "/v2/alerts/dismiss", `{"ids":["0","unknown"],"dismissReason":"OTHER","dismissReasonText":"noise"}`).decode(t)
		c.send("POST", "/v2/alerts/dismiss", fmt.Sprintf(`{"from":%q,"until":%q,"severity":2,"dismissReason":"MAINTENANCE"}`,
			now.Add(-time.Minute).Format("2006-01-02T15:04:05"), now.Add(time.Minute).Format("2006-01-02T15:04:05"))).decode(t)
		if got := ids(t, c, "/v2/alerts?status=active"); len(got) != 4 {
			t.Errorf("right after: %v", got)
		}
		<-time.After(10 * time.Second)
		if got := ids(t, c, "/v2/alerts?status=active"); !slices.Equal(got, []string{"2"}) {
			t.Errorf("active after the lag: %v", got)
		}
		if a := c.get("/v2/alerts/0").decode(t); a["isDismissed"] != true || a["dismissReason"] != "OTHER" || a["dismissReasonText"] != "noise" || a["dismissedBy"] != userID {
			t.Errorf("%v", a)
		}
		counts := c.get("/v2/alerts/severity-counts").body
		if counts != `{"severityCounts":[{"count":1,"severity":1},{"count":0,"severity":2},{"count":0,"severity":3}]}` {
			t.Errorf("counts %s", counts)
		}
	})
}

func TestRequestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := threatStack(sim.ThreatStackConfig{})
		c := &caller{t: t, handler: s}
		for i := range 200 {
			a := c.get("/v2/alerts?status=active")
			if left := a.Header.Get("x-rate-limit-remaining"); a.StatusCode != 200 || left != strconv.Itoa(199-i) {
				t.Fatalf("request %d: %d, %s left", i, a.StatusCode, left)
			}
			<-time.After(100 * time.Millisecond)
		}
		a := c.get("/v2/alerts?status=active")
		if a.StatusCode != 429 || a.Header.Get("x-rate-limit-reset") != "40000" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") ||
			a.Header.Get("x-rate-limit-remaining") != "0" || a.Header.Get("Server-Authorization") != "" {
			t.Errorf("%d %v", a.StatusCode, a.Header)
		}
		<-time.After(40*time.Second - time.Millisecond)
		if a := c.get("/v2/alerts?status=active"); a.StatusCode != 429 || a.Header.Get("x-rate-limit-reset") != "1" {
			t.Errorf("a millisecond before: %d %v", a.StatusCode, a.Header)
		}
		<-time.After(time.Millisecond)
		if a := c.get("/v2/alerts?status=active"); a.StatusCode != 200 {
			t.Errorf("after the reset: %d", a.StatusCode)
		}
		if n := s.Requests(); n.Total != 203 || n.Limited != 2 || n.PerMinuteMax != 202 || n.ByEndpoint["GET /v2/alerts"] != 203 {
			t.Errorf("%+v", n)
		}
	})
}

func TestThreatStackMishaps(t *testing.T) {
	once := sim.Chance{Next: 1}
	tests := []struct {
		name   string
		faults sim.ThreatStackFaults
		check  func(answered, error) bool
	}{
		{"500", sim.ThreatStackFaults{Error: once}, func(a answered, err error) bool {
			return err == nil && a.StatusCode == 500 && a.body == `{"message":"Internal Server Error","status":"error"}`
		}},
		{"503", sim.ThreatStackFaults{Error: once, ErrorStatus: 503}, func(a answered, err error) bool { return err == nil && a.StatusCode == 503 }},
		{"429", sim.ThreatStackFaults{TooMany: once}, func(a answered, err error) bool {
			return err == nil && a.StatusCode == 429 && a.Header.Get("x-rate-limit-reset") == "1000"
		}},
		{"reset", sim.ThreatStackFaults{Reset: once}, func(_ answered, err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"abort", sim.ThreatStackFaults{Abort: once}, func(a answered, err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF) && a.StatusCode == 200 && a.body == `{"alerts":[],`
		}},
		{"truncate", sim.ThreatStackFaults{Truncate: once}, func(a answered, err error) bool {
			return err == nil && a.StatusCode == 200 && a.body == `{"alerts":[],` && a.ContentLength == 13
		}},
		{"HTML", sim.ThreatStackFaults{HTML: once}, func(a answered, err error) bool {
			return err == nil && a.StatusCode == 200 && strings.HasPrefix(a.body, "<!doctype") && a.Header.Get("Server-Authorization") == ""
		}},
		{"401", sim.ThreatStackFaults{Unauthorized: once}, func(a answered, err error) bool { return err == nil && a.StatusCode == 401 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := threatStack(sim.ThreatStackConfig{})
			tt.faults.Endpoints = []string{"GET /v2/alerts"}
			s.SetFaults(tt.faults)
			c := &caller{t: t, handler: s}
			if a := c.get("/help/hawk/self-test"); a.StatusCode != 200 {
				t.Errorf("another endpoint: %d", a.StatusCode)
			}
			if a, err := c.do(c.request("GET", "/v2/alerts?status=active", "")); !tt.check(a, err) {
				t.Errorf("%+v %q %v", a.Response, a.body, err)
			}
			if a := c.get("/v2/alerts?status=active"); a.StatusCode != 200 {
				t.Errorf("the one after: %d", a.StatusCode)
			}
		})
	}
	s := threatStack(sim.ThreatStackConfig{})
	s.SetFaults(sim.ThreatStackFaults{Forbidden: true, OrganizationError: 403})
	c := &caller{t: t, handler: s}
	if a := c.get("/v2/alerts?status=active"); a.StatusCode != 403 {
		t.Errorf("forbidden: %d", a.StatusCode)
	}
	q := c.request("GET", "/v2/alerts?status=active", "")
	q.ext = "other"
	if a, err := c.do(q); err != nil || a.StatusCode != 403 || a.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("another organization: %+v %v", a, err)
	}
}

func TestAgentsAndRules(t *testing.T) {
	s := threatStack(sim.ThreatStackConfig{})
	s.AddAgent(sim.Agent{ID: "g1", Hostname: "web-1", AgentType: "investigate", Private: []string{"10.1.1.5", "10.1.1.5/24"}, Public: []string{"192.0.2.10"}})
	s.AddAgent(sim.Agent{ID: "g2", Hostname: "db-1", Status: "offline"})
	s.AddRuleset(sim.Ruleset{ID: "set", Name: "Base"})
	s.AddRule(sim.Rule{ID: "r1", RulesetID: "set", Name: "n", Title: "t", Type: "Host", Severity: 3, AlertDescription: "d", AggregateFields: []string{"user"}, Window: 3600, Enabled: true})
	c := &caller{t: t, handler: s}
	if got := c.get("/v2/agents?status=online&hostname=WEB-1").decode(t)["agents"].([]any); len(got) != 1 || got[0].(map[string]any)["id"] != "g1" {
		t.Errorf("agents %v", got)
	}
	got := c.get("/v2/agents/g1").decode(t)["ipAddresses"]
	if want := map[string]any{"private": []any{"10.1.1.5", "10.1.1.5/24"}, "link_local": []any{}, "public": []any{"192.0.2.10"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("addresses %v", got)
	}
	s.RemoveAgent("g1")
	if a := c.get("/v2/agents/g1"); a.StatusCode != 404 {
		t.Errorf("a revoked agent: %d", a.StatusCode)
	}
	if got := c.get("/v2/rulesets").decode(t)["rulesets"].([]any)[0].(map[string]any)["rules"]; !reflect.DeepEqual(got, []any{"r1"}) {
		t.Errorf("rules %v", got)
	}
	s.SetFaults(sim.ThreatStackFaults{RulesKey: "rulesIds"})
	if got := c.get("/v2/rulesets/set").decode(t)["rulesIds"]; !reflect.DeepEqual(got, []any{"r1"}) {
		t.Errorf("rulesIds %v", got)
	}
	made := c.send("POST", "/v2/rulesets/set/rules", `{"name":"n2","title":"t2","type":"Host","severityOfAlerts":2,"alertDescription":"d"}`)
	if made.StatusCode != 201 {
		t.Fatalf("create: %d %s", made.StatusCode, made.body)
	}
	id := made.decode(t)["id"].(string)
	if got := c.get("/v2/rulesets/set/rules").decode(t)["rules"].([]any); len(got) != 2 {
		t.Errorf("rules %v", got)
	}
	changed := c.send("PUT", "/v2/rulesets/set/rules/r1", `{"id":"other","enabled":false,"aggregateFields":["user","dst_ip"]}`).decode(t)
	if changed["id"] != "r1" || changed["enabled"] != false || changed["name"] != "n" || !reflect.DeepEqual(changed["aggregateFields"], []any{"user", "dst_ip"}) {
		t.Errorf("changed %v", changed)
	}
	if got := c.get("/v2/rulesets/set/rules/r1").decode(t); !reflect.DeepEqual(got, changed) {
		t.Errorf("read back %v", got)
	}
	if a := c.send("PUT", "/v2/rulesets/set/rules/"+id, `{"alertDescription":""}`); a.StatusCode != 400 ||
		a.body != `{"errors":["Validation failed: body has invalid alertDescription value.  Must be between 1 and 300 characters long."]}` {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := c.get("/v2/rulesets/set/rules/none"); a.StatusCode != 404 {
		t.Errorf("unknown rule: %d", a.StatusCode)
	}
}

func TestOldAlertsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := threatStack(sim.ThreatStackConfig{Retention: 48 * time.Hour})
		s.AddAlert(sim.Alert{ID: "old"})
		<-time.After(49 * time.Hour)
		c := &caller{t: t, handler: s}
		if got := ids(t, c, "/v2/alerts?status=active"); got != nil {
			t.Errorf("listed: %v", got)
		}
		s.AddAlert(sim.Alert{ID: "new"})
		if got := s.Alerts(); !slices.Equal(got, []string{"new"}) {
			t.Errorf("kept: %v", got)
		}
		if s.AddEvent("old", sim.Event{}) {
			t.Error("a forgotten alert takes events")
		}
	})
}
