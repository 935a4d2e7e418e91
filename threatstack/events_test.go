package threatstack

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
