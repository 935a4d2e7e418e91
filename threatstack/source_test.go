package threatstack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/alert"
)

var covered = map[string]any{"dst_ip": "198.51.100.9", "user": "root"}

func TestPollCountsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.agents["agent-1"] = map[string]any{"id": "agent-1", "hostname": "web", "ipAddresses": map[string]any{
			"public": []any{"34.195.165.153/32", nil, "::ffff:34.195.165.154"}, "private": "10.1.1.5/24"}}
		s.add("a1", covered)
		c := newClient(t, s)
		mark := time.Now()
		got, err := run(c, mark)
		if err != nil || summary(got) != "a1:false:0 a1:true:1" {
			t.Fatalf("first poll: %v, %v", summary(got), err)
		}
		if want := []string{"/v2/alerts", "/v2/alerts/a1/events", "/v2/agents/agent-1"}; !slices.Equal(s.paths(0), want) {
			t.Fatalf("requests %v, want %v", s.paths(0), want)
		}
		if pub := fmt.Sprint(c.Status().Public); pub != "[34.195.165.153 34.195.165.154]" {
			t.Errorf("public addresses %v", pub)
		}
		e := got[1].Events[0]
		if e.ConnDst != "203.0.113.7" || e.DstPort != 443 || e.SrcPort != 51234 || e.Port != alert.NoPort || !e.HasConnection {
			t.Errorf("event %+v", e)
		}

		for range 30 { // five minutes
			time.Sleep(10 * time.Second)
			n := s.count()
			if got, err := run(c, mark); err != nil || len(got) != 0 || s.count() != n+1 {
				t.Fatalf("a poll with nothing new: %v, %v, %d requests", summary(got), err, s.count()-n)
			}
			mark = time.Now()
		}
		n := s.count()
		for i := range 3 {
			s.add(fmt.Sprintf("b%d", i), covered)
		}
		got, err = run(c, mark)
		if err != nil || len(got) != 6 || s.count() != n+4 {
			t.Fatalf("three alerts: %v, %v, requests %v", summary(got), err, s.paths(n))
		}
		if got[5].Agent == nil || got[5].Agent.Hostname != "web" {
			t.Errorf("agent %+v", got[5].Agent)
		}
		mark = time.Now()
		time.Sleep(25 * time.Hour)
		s.add("c1", covered)
		n = s.count()
		if _, err := run(c, mark); err != nil || !slices.Equal(s.paths(n), []string{"/v2/alerts", "/v2/alerts/c1/events", "/v2/agents/agent-1"}) {
			t.Errorf("a day later: %v, %v", err, s.paths(n))
		}
	})
}

func TestFromParameter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		c := newClient(t, s)
		for range 2 {
			if _, err := run(c, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{
			"/v2/alerts?status=active&ruleId=" + testRule + "&from=1999-12-31T23%3A00%3A00.000Z",
			"/v2/alerts?status=active&ruleId=" + testRule + "&from=1999-12-31T23%3A30%3A00.000Z",
		}
		if !slices.Equal(s.requests, want) {
			t.Errorf("requests\n%v, want\n%v", s.requests, want)
		}
	})
}

func TestPagesTokensAndRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.perPage = 10
		for i := range 35 {
			s.add(fmt.Sprintf("a%02d", i), covered)
		}
		s.alerts = append(s.alerts, s.alerts[3]) // twice in the list
		c := newClient(t, s)
		got, err := run(c, time.Now())
		if err != nil || len(got) != 70 {
			t.Fatalf("%d deliveries, %v", len(got), err)
		}
		for i, a := range got {
			if a.Complete != (i >= 35) {
				t.Fatalf("delivery %d complete %v: lists come before events", i, a.Complete)
			}
		}
		if s.refused > 0 {
			t.Errorf("%d signatures refused", s.refused)
		}
		if !strings.HasSuffix(s.requests[3], "&token=t%2B%2F%3D30") || !strings.HasPrefix(s.requests[3], s.requests[0]) {
			t.Errorf("last page asked with %s", s.requests[3])
		}
	})
}

func TestForeignAlertsAreSkippedAndCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.unsigned = true
		s.before = func(_ int, r *http.Request) *http.Response {
			if r.URL.Path != "/v2/alerts" {
				return nil
			}
			return plain(200, `{"alerts":[{"id":"x","ruleId":"other"},{"id":"y"},7,null,{"id":"z","ruleId":null},
				{"ruleId":"`+testRule+`"},{"id":"`+strings.Repeat("long", 100)+`"},{"id":"../up","ruleId":"`+testRule+`","title":5}, {"a":`+
				strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`},{"id":"bad\u00e9\x","ruleId":1}],"token":""}`)
		}
		c := newClient(t, s, func(c *Config) { c.AllowUnsigned = true })
		for range 3 {
			got, err := run(c, time.Now())
			if err != nil || len(got) > 1 {
				t.Fatalf("%v, %v", summary(got), err)
			}
		}
		if st := c.Status(); st.SkippedAlerts != 9 || len(st.SkippedWhy) == 0 {
			t.Errorf("skipped %d: %q", st.SkippedAlerts, st.SkippedWhy)
		}
		if st := c.Status(); st.Waiting != 1 {
			t.Errorf("waiting %d, want the one alert whose events are not there", st.Waiting)
		}
	})
}

func TestListLongerThanTheBudgetIsReadToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.perPage = 2
		for i := range 100 {
			s.add(fmt.Sprintf("a%02d", i), covered)
		}
		c := newClient(t, s, func(c *Config) { c.RequestsPerMinute = 20; c.Overlap = time.Minute })
		mark, begun := time.Now(), time.Now()
		seen := map[string]bool{}
		late := false
		for {
			got, err := run(c, mark)
			for _, a := range got {
				seen[a.ID] = true
			}
			if err == nil {
				break
			}
			var e *Error
			if !errors.As(err, &e) || e.Kind != RateLimited || e.RetryIn() <= 0 || e.RetryIn() > time.Minute+time.Second {
				t.Fatalf("error %v", err)
			}
			if !late {
				// Goes to the front of the list, behind the place that was reached.
				s.add("late", covered)
				last := len(s.alerts) - 1
				s.alerts = append([]map[string]any{s.alerts[last]}, s.alerts[:last]...)
				late = true
			}
			if time.Since(begun) > time.Hour {
				t.Fatal("the list never ends")
			}
			time.Sleep(e.RetryIn())
		}
		if len(seen) != 101 || !seen["late"] {
			t.Errorf("%d alerts seen, late %v", len(seen), seen["late"])
		}
		withinBudget(t, s.times, 20)
	})
}

func TestConsumerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.add("a", covered)
		s.add("b", covered)
		c := newClient(t, s)
		mark := time.Now()
		for range c.Alerts(context.Background(), mark) {
			break
		}
		got, err := run(c, mark)
		if err != nil || summary(got) != "a:false:0 b:false:0 a:true:1 b:true:1" {
			t.Fatalf("an alert that was not kept is lost: %v, %v", summary(got), err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for _, err := range c.Alerts(ctx, mark) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled poll gives %v", err)
			}
		}
		for range c.Alerts(context.Background(), mark) {
			t.Error("nothing is new")
		}
		s.add("c", covered)
		for range c.Alerts(context.Background(), mark) {
			if _, err := run(c, mark); err == nil {
				t.Error("two polls at once")
			}
			break
		}
	})
}

func TestServerClockBehindMovesFromBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.skew = -2 * time.Hour
		s.add("a", covered)
		s.alerts[0]["createdAt"] = time.Now().Add(s.skew).UTC().Format(timeLayout)
		c := newClient(t, s)
		if err := c.SelfTest(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got, err := run(c, time.Now()); err != nil || len(got) != 2 {
			t.Errorf("%v, %v, asked %v", summary(got), err, s.requests)
		}
	})
}

func TestEndlessPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.unsigned = true
		s.before = func(n int, r *http.Request) *http.Response {
			return plain(200, `{"alerts":[],"token":"again"}`)
		}
		c := newClient(t, s, func(c *Config) { c.AllowUnsigned = true })
		_, err := run(c, time.Now())
		if kindOf(err) != BadAnswer || s.count() != 2 {
			t.Errorf("%v after %d requests", err, s.count())
		}
	})
}

func TestOneRuleFailsTheOthersAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.add("a", covered)
		s.before = func(_ int, r *http.Request) *http.Response {
			if r.URL.Query().Get("ruleId") == "0-deleted" {
				return plain(400, `{"errors":["no such rule\u001b[31m"]}`)
			}
			return nil
		}
		c := newClient(t, s, func(c *Config) { c.RuleIDs = append(c.RuleIDs, "0-deleted", testRule) })
		got, err := run(c, time.Now())
		if kindOf(err) != BadRequest || strings.Contains(err.Error(), "\x1b") || summary(got) != "a:false:0 a:true:1" {
			t.Errorf("%v, %v", summary(got), err)
		}
	})
}
