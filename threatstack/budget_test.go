package threatstack

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestBudgetHoldsInEveryMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		rules := rapid.IntRange(0, 4).Draw(t, "rules")
		b := newBudget(limit, rules)
		now := time.Unix(1700000000, 0)
		var sent []time.Time
		var low []time.Time
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
			p := priority(rapid.IntRange(0, 2).Draw(t, "priority"))
			until, ok := b.take(now, p)
			if !ok {
				if !until.After(now) || until.Sub(now) > minute+time.Second {
					t.Fatalf("refused until %v, %v from now", until, until.Sub(now))
				}
				continue
			}
			sent = append(sent, now)
			if p != forLists {
				low = append(low, now)
			}
		}
		withinBudget(t, sent, limit)
		if limit > 1 {
			withinBudget(t, low, limit-b.reserve(forEvents, limit)) // a list always finds its share
		}
		left, _, _ := b.left(now)
		used := 0
		for _, at := range sent {
			if now.Sub(at) <= minute {
				used++
			}
		}
		if left != limit-used {
			t.Fatalf("left %d, want %d", left, limit-used)
		}
	})
}

func TestBudgetWaitsNoLongerThanItMust(t *testing.T) {
	b := newBudget(3, 1)
	now := time.Unix(1700000000, 0)
	for range 3 {
		if _, ok := b.take(now, forLists); !ok {
			t.Fatal("a list may use the whole budget")
		}
	}
	until, ok := b.take(now, forLists)
	if ok {
		t.Fatal("four of three")
	}
	if _, ok := b.take(until, forLists); !ok || until.Sub(now) > minute+time.Second {
		t.Errorf("refused at %v", until)
	}
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestServiceBudgetIsHonoured(t *testing.T) {
	now := time.Unix(1700000000, 0)
	b := newBudget(120, 1)
	b.answer(now, 200, header("x-rate-limit-remaining", "200"))
	b.answer(now, 200, header("x-rate-limit-remaining", "20", "x-rate-limit-reset", "5000"))
	for p, want := range map[priority]bool{forLists: true, forEvents: false, forAgents: false} {
		if _, ok := b.take(now, p); ok != want {
			t.Errorf("priority %d with 20 left: %v", p, ok)
		}
	}
	b.answer(now, 200, header("x-rate-limit-remaining", "1", "x-rate-limit-reset", "5000"))
	if _, ok := b.take(now, forLists); !ok {
		t.Error("the last one is for lists")
	}
	if until, ok := b.take(now, forLists); ok || !until.Equal(now.Add(5*time.Second)) {
		t.Errorf("none left: %v until %v", ok, until)
	}
	if _, ok := b.take(now.Add(5*time.Second), forAgents); !ok {
		t.Error("after the reset all may go")
	}
	for _, odd := range []string{"-1", "x", "99999999999999999999", ""} {
		b.answer(now, 200, header("x-rate-limit-remaining", odd, "x-rate-limit-reset", odd))
	}
	far := strconv.FormatInt(now.Add(20*time.Second).UnixMilli(), 10)
	if until := b.answer(now, 429, header("x-rate-limit-reset", far)); !until.Equal(now.Add(20 * time.Second)) {
		t.Errorf("a reset as a point in time gives %v", until.Sub(now))
	}
}

func TestPollsUnderRandomLoadKeepTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.perPage = 7
		fail := 0
		s.before = func(n int, r *http.Request) *http.Response {
			if fail++; fail%11 == 0 {
				return plain(503, "")
			}
			return nil
		}
		c := newClient(t, s, func(c *Config) { c.RequestsPerMinute = 25 })
		mark := time.Now()
		for i := range 300 {
			for j := range (i * 7919) % 4 {
				s.add("a"+strconv.Itoa(i*10+j), nil)
			}
			at := time.Now()
			if _, err := run(c, mark); err == nil {
				mark = at
			}
			if i%50 == 0 {
				_, _ = c.OnlineAgents(context.Background())
				_, _ = c.Rule(context.Background(), testRule)
			}
			time.Sleep(time.Duration((i*104729)%9000) * time.Millisecond)
		}
		withinBudget(t, s.times, 25)
		if s.count() < 300 {
			t.Errorf("only %d requests", s.count())
		}
	})
}
