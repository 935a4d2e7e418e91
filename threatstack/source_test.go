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

func TestEventsAreReadAgainOnAWideningSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.add("open", map[string]any{"user": "root"})
		c := newClient(t, s)
		born := time.Now()
		mark := born
		var ages []int
		grown := 0
		for time.Since(born) < 2*time.Hour {
			n := s.count()
			got, err := run(c, mark)
			mark = time.Now()
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(s.paths(n), "/v2/alerts/open/events") {
				ages = append(ages, int(time.Since(born)/time.Minute))
			}
			if len(got) > 0 && time.Since(born) > 0 {
				grown++
				if a := got[0]; len(a.Events) != 2 || !a.Complete || a.Title == "" {
					t.Errorf("grown alert %+v", a)
				}
			}
			if time.Since(born) == 10*time.Minute {
				s.events["open"] = append(s.events["open"], connectEvent("late", "203.0.113.99"))
			}
			time.Sleep(10 * time.Second)
		}
		if want := []int{0, 1, 2, 4, 8, 16, 32, 60}; !slices.Equal(ages, want) {
			t.Errorf("events read at ages %v min, want %v", ages, want)
		}
		if grown != 1 {
			t.Errorf("delivered %d times for one change", grown)
		}
		if st := c.Status(); st.Open != 0 || st.Waiting != 0 || len(c.book.alerts) != 0 {
			t.Errorf("after the window: %+v, %d remembered", st, len(c.book.alerts))
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

func TestShortBudgetDeliversEverythingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		for i := range 100 {
			s.add(fmt.Sprintf("a%02d", i), covered)
		}
		c := newClient(t, s, func(c *Config) { c.RequestsPerMinute = 20 })
		begun := time.Now()
		mark := begun
		delivered, complete := 0, map[string]bool{}
		for len(complete) < 100 && time.Since(begun) < time.Hour {
			at := time.Now()
			got, err := run(c, mark)
			if err != nil {
				t.Fatal(err)
			}
			if time.Since(at) > time.Second {
				t.Fatalf("a poll took %v", time.Since(at))
			}
			mark = at
			for _, a := range got {
				if a.Complete {
					complete[a.ID] = true
				} else {
					delivered++
				}
			}
			if delivered != 100 {
				t.Fatalf("%d alerts delivered at the first answer", delivered)
			}
			time.Sleep(10 * time.Second)
		}
		if took := time.Since(begun); len(complete) != 100 || took > 12*time.Minute {
			t.Errorf("%d complete after %v", len(complete), took)
		}
		withinBudget(t, s.times, 20)
	})
}

func withinBudget(t interface{ Errorf(string, ...any) }, times []time.Time, limit int) {
	for i := range times {
		if j := i + limit; j < len(times) && times[j].Sub(times[i]) <= time.Minute {
			t.Errorf("%d requests within %v", limit+1, times[j].Sub(times[i]))
			return
		}
	}
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

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.agents["agent-1"] = map[string]any{"id": "agent-1"}
		s.add("done", map[string]any{"user": "root"})
		s.add("unread", map[string]any{"user": "root"})
		s.add("named", covered)
		s.add("gone", map[string]any{"user": "root"})
		known := func(id string, complete bool, born time.Time, f ...alert.Field) alert.Alert {
			return alert.Alert{ID: id, RuleID: testRule, CreatedAt: born, Complete: complete, Fields: f}
		}
		born, root := time.Now(), alert.Field{Name: "user", Value: "root"}
		time.Sleep(5 * time.Minute)
		c := newClient(t, s)
		c.Resume([]alert.Alert{
			known("done", true, born, root), known("unread", false, born, root), known("named", true, born, alert.Field{Name: "dst_ip", Value: "198.51.100.9"}, root),
			known("gone", true, born.Add(-2*time.Hour), root), known("not ours", true, born), {ID: "x", RuleID: "other"},
		})
		got, err := run(c, time.Now().Add(-10*time.Second))
		if err != nil || summary(got) != "unread:true:1" || got[0].Title == "" {
			t.Errorf("%v, %v", summary(got), err)
		}
		if want := []string{"/v2/alerts", "/v2/alerts/unread/events"}; !slices.Equal(s.paths(0), want) {
			t.Errorf("requests %v, want %v", s.paths(0), want)
		}
	})
}

func TestResumeAfterALongStopReadsWhatWasStillOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.add("open", map[string]any{"user": "root"})
		s.add("closed", map[string]any{"user": "root"})
		stop := time.Now().Add(10 * time.Minute)
		time.Sleep(5 * time.Hour)
		c := newClient(t, s)
		c.Resume([]alert.Alert{
			{ID: "open", RuleID: testRule, CreatedAt: stop.Add(-10 * time.Minute), Complete: true},
			{ID: "closed", RuleID: testRule, CreatedAt: stop.Add(-70 * time.Minute), Complete: true},
		})
		mark, n := stop, 0
		for range 3 {
			if _, err := run(c, mark); err != nil {
				t.Fatal(err)
			}
			mark = time.Now()
			time.Sleep(10 * time.Second)
		}
		for _, p := range s.paths(0) {
			if strings.HasSuffix(p, "/events") {
				n++
				if p != "/v2/alerts/open/events" {
					t.Errorf("read %s", p)
				}
			}
		}
		if n != 1 {
			t.Errorf("%d reads, want one", n)
		}
	})
}

func TestResumeWithoutFieldsLearnsThemFromTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.add("named", covered)
		s.add("open", map[string]any{"user": "root"})
		born := time.Now()
		time.Sleep(9 * time.Minute)
		c := newClient(t, s)
		c.Resume([]alert.Alert{{ID: "named", RuleID: testRule, CreatedAt: born, Complete: true}, {ID: "open", RuleID: testRule, CreatedAt: born, Complete: true}})
		mark := time.Now().Add(-5 * time.Minute) // before the read at eight minutes
		got, err := run(c, mark)
		if want := []string{"/v2/alerts", "/v2/alerts/open/events"}; err != nil || !slices.Equal(s.paths(0), want) || summary(got) != "open:true:1" {
			t.Errorf("%v, %v, requests %v", summary(got), err, s.paths(0))
		}
		if got[0].Title == "" || len(got[0].Fields) != 1 {
			t.Errorf("the list's content is missing: %+v", got[0])
		}
	})
}

func TestAgainDeliversAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.add("old", covered)
		c := newClient(t, s)
		c.Again()
		if _, err := run(c, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		s.add("a", covered)
		s.add("b", nil)
		mark := time.Now()
		for range 2 {
			got, err := run(c, mark)
			if err != nil || summary(got) != "a:false:0 b:false:0 b:true:1 a:true:1" {
				t.Fatalf("%v, %v", summary(got), err)
			}
			c.Again()
			time.Sleep(10 * time.Second)
		}
		if _, err := run(c, mark); err != nil {
			t.Fatal(err)
		}
		if got, err := run(c, mark); err != nil || len(got) != 0 || c.Status().Waiting != 0 {
			t.Errorf("%v, %v, %+v", summary(got), err, c.Status())
		}
	})
}

func TestChangedFieldsAreDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.add("a", covered)
		c := newClient(t, s)
		if _, err := run(c, time.Now()); err != nil {
			t.Fatal(err)
		}
		s.alerts[0]["aggregates"] = map[string]any{"dst_ip": "198.51.100.10"}
		time.Sleep(10 * time.Second)
		got, err := run(c, time.Now())
		if err != nil || summary(got) != "a:false:0 a:true:1" || got[0].Fields[0].Value != "198.51.100.10" {
			t.Errorf("%v, %v", summary(got), err)
		}
	})
}

func TestOneAlertsEventsFail(t *testing.T) {
	for _, status := range []int{404, 500, 403} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newAPI()
				for _, id := range []string{"a", "b", "c"} {
					s.add(id, covered)
				}
				broken := true
				s.before = func(_ int, r *http.Request) *http.Response {
					if broken && r.URL.Path == "/v2/alerts/b/events" {
						return plain(status, "no")
					}
					return nil
				}
				c := newClient(t, s)
				mark := time.Now()
				got, err := run(c, mark)
				if err != nil || summary(got) != "a:false:0 b:false:0 c:false:0 a:true:1 c:true:1" {
					t.Fatalf("%v, %v", summary(got), err)
				}
				if st := c.Status(); st.Waiting != 1 || st.LastError == nil {
					t.Errorf("status %+v", st)
				}
				broken = false
				time.Sleep(30 * time.Second)
				got, err = run(c, mark)
				if err != nil || summary(got) != "b:true:1" {
					t.Errorf("later: %v, %v", summary(got), err)
				}
				if st := c.Status(); st.Waiting != 0 || st.LastError != nil {
					t.Errorf("status %+v", st)
				}
			})
		})
	}
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

func TestEventPages(t *testing.T) {
	page := func(n int, token string) string {
		els := make([]string, n)
		for i := range els {
			els[i] = `{"_id":"e","timestamp":1654113399912,"dst_ip":"203.0.113.7"}`
		}
		els[n-1] = `"odd"`
		return `{"token":` + token + `,"events":[` + strings.Join(els, ",") + `]}`
	}
	cases := []struct {
		name, want     string
		body           func(token string) string
		requests, skip int
	}{
		{"two pages", "a:false:0 a:true:18", func(tok string) string {
			return page(10, map[string]string{"": `"n"`, "n": `""`}[tok])
		}, 3, 2},
		{"a loop", "a:false:0", func(string) string { return page(10, `"same"`) }, 3, 0},
		{"too many", "a:false:0 a:true:5000", func(tok string) string { return page(maxEvents+50, `"`+tok+`x"`) }, 2, 1},
		{"too many pages", "a:false:0 a:true:450", func(tok string) string { return page(10, `"`+tok+`x"`) }, 1 + maxEventPages, 51},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newAPI()
				s.add("a", nil)
				delete(s.alerts[0], "agentId")
				s.before = func(_ int, r *http.Request) *http.Response {
					if !strings.HasSuffix(r.URL.Path, "/events") {
						return nil
					}
					return plain(200, tc.body(r.URL.Query().Get("token")))
				}
				c := newClient(t, s, func(c *Config) { c.AllowUnsigned = true })
				got, err := run(c, time.Now())
				if err != nil || summary(got) != tc.want || s.count() != tc.requests {
					t.Fatalf("%v, %v, %d requests", summary(got), err, s.count())
				}
				if a := got[len(got)-1]; a.Skipped != tc.skip || len(a.SkippedWhy) > maxWhy {
					t.Errorf("skipped %d: %q", a.Skipped, a.SkippedWhy)
				}
			})
		})
	}
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
