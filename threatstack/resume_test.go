package threatstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/alert"
)

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
		if want := []string{"/v2/alerts", "/v2/alerts/unread/events", "/v2/agents/agent-1"}; !slices.Equal(s.paths(0), want) {
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
		if want := []string{"/v2/alerts", "/v2/alerts/open/events", "/v2/agents/agent-1"}; err != nil || !slices.Equal(s.paths(0), want) || summary(got) != "open:true:1" {
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

func TestAlertMissingFromOneListIsNotNewAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.add("a", covered)
		c := newClient(t, s)
		all := s.alerts
		for i := range 3 {
			s.alerts = all[:1-i%2]
			got, err := run(c, time.Now())
			if err != nil || i > 0 && len(got) > 0 {
				t.Errorf("poll %d: %v, %v", i, summary(got), err)
			}
			time.Sleep(10 * time.Second)
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

// TestNothingIsLost polls a server that fails in every way while alerts arrive,
// with restarts in between, and wants each alert complete in the end.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			s := newAPI()
			s.perPage = 20
			faults := true
			s.before = func(int, *http.Request) *http.Response {
				if !faults || rng.IntN(4) > 0 {
					return nil
				}
				return []*http.Response{plain(500, ""), plain(429, "slow"), plain(200, "<html>"), plain(401, ""), plain(404, ""), plain(200, `{"alerts":[`)}[rng.IntN(6)]
			}
			known := map[string]alert.Alert{}
			mark := time.Now()
			c := newClient(t, s)
			for i := range 120 {
				faults = i < 90
				for j := range rng.IntN(4) {
					s.add(fmt.Sprintf("a%d-%d", i, j), []map[string]any{covered, nil}[rng.IntN(2)])
				}
				if rng.IntN(20) == 0 {
					c = newClient(t, s)
					c.Resume(slices.Collect(maps.Values(known)))
				}
				begun, kept := time.Now(), 1000
				if faults && rng.IntN(5) == 0 {
					kept = rng.IntN(5)
				}
				var err error
				for a, e := range c.Alerts(context.Background(), mark) {
					if err = e; e != nil {
						break
					}
					if kept--; kept < 0 {
						err = errors.New("the consumer stopped")
						break
					}
					a.Complete = a.Complete || known[a.ID].Complete
					known[a.ID] = a
				}
				if err == nil {
					mark = begun
				}
				time.Sleep(time.Duration(rng.IntN(60)) * time.Second)
			}
			time.Sleep(2 * time.Hour) // the longest pause after failures has passed
			for range 5 {
				for a, err := range c.Alerts(context.Background(), mark) {
					if err != nil {
						t.Fatal(err)
					}
					known[a.ID] = a
				}
				time.Sleep(time.Minute)
			}
			for _, a := range s.alerts {
				if got := known[a["id"].(string)]; !got.Complete {
					t.Errorf("seed %d: alert %v: seen %v, complete %v", seed, a["id"], got.ID != "", got.Complete)
				}
			}
		})
	}
}
