package sim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const jsonType = "application/json"

// reply is what an endpoint answers.
type reply struct {
	status int
	body   any // marshalled; for an error a map with its texts
}

func ok(body any) reply { return reply{http.StatusOK, body} }

func refusal(status int, format string, args ...any) reply {
	return reply{status, map[string]any{"errors": []string{fmt.Sprintf(format, args...)}}}
}

// exchange is what ServeHTTP knows of a request by the time its endpoint runs.
type exchange struct {
	hawk   hawkRequest
	faults ThreatStackFaults
	mishap mishap
	body   []byte
}

type exchangeKey struct{}

// endpoint serves a pattern with a handler that runs under the lock.
func (s *ThreatStack) endpoint(pattern string, h func(*http.Request, exchange) reply) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		x := r.Context().Value(exchangeKey{}).(exchange)
		s.mu.Lock()
		s.settle(time.Now())
		out := h(r, x)
		body, err := json.Marshal(out.body)
		s.mu.Unlock()
		if err != nil {
			panic(fmt.Errorf("marshal an answer: %w", err)) // a Raw that is no JSON
		}
		switch x.mishap {
		case lostAnswer:
			panic(http.ErrAbortHandler)
		case serverErrorApplied:
			s.sendReply(w, x, x.faults.failure())
			return
		}
		s.send(w, x, out.status, body)
	})
}

func (s *ThreatStack) routes() {
	s.endpoint("GET /help/hawk/self-test", func(*http.Request, exchange) reply { return ok(map[string]any{"status": "ok"}) })
	s.endpoint("GET /v2/alerts", s.listAlerts)
	s.endpoint("GET /v2/alerts/severity-counts", s.severityCounts)
	s.endpoint("POST /v2/alerts/dismiss", s.dismiss)
	s.endpoint("GET /v2/alerts/{id}", s.getAlert)
	s.endpoint("GET /v2/alerts/{id}/events", s.listEvents)
	s.endpoint("GET /v2/agents", s.listAgents)
	s.endpoint("GET /v2/agents/{id}", s.getAgent)
	s.endpoint("GET /v2/rulesets", s.listRulesets)
	s.endpoint("GET /v2/rulesets/{ruleset}", s.getRuleset)
	s.endpoint("GET /v2/rulesets/{ruleset}/rules", s.listRules)
	s.endpoint("POST /v2/rulesets/{ruleset}/rules", s.createRule)
	s.endpoint("GET /v2/rulesets/{ruleset}/rules/{rule}", s.getRule)
	s.endpoint("PUT /v2/rulesets/{ruleset}/rules/{rule}", s.updateRule)
	s.endpoint("/", func(*http.Request, exchange) reply { return refusal(http.StatusNotFound, "Not found") })
}

// ServeHTTP implements [http.Handler].
func (s *ThreatStack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, pattern := s.mux.Handler(r)

	s.mu.Lock()
	now := time.Now()
	s.counts.Total++
	s.counts.ByEndpoint[pattern]++
	x := exchange{faults: s.faults.clone(), mishap: s.draw(pattern), body: body}
	theirs := now.Add(x.faults.ClockOffset)
	hawk, problem := s.authenticate(r, body, theirs)
	if problem == "" && x.mishap == unauthorized {
		problem = "Unauthorized"
	}
	var left int
	var wait time.Duration
	if problem == "" {
		left, wait = s.charge(now)
	} else {
		s.counts.Unauthorized++
	}
	if x.mishap == tooMany && wait == 0 {
		wait = time.Second
	}
	if wait > 0 {
		s.counts.Limited++
	}
	s.mu.Unlock()

	x.hawk = hawk
	pauseOrAbort(r.Context(), x.faults.Latency)
	w.Header().Set("Date", theirs.UTC().Format(http.TimeFormat))
	switch {
	case x.mishap == resetConnection:
		panic(http.ErrAbortHandler)
	case problem != "":
		s.unauthorized(w, x, problem, theirs)
		return
	}
	w.Header().Set("X-Rate-Limit-Remaining", strconv.Itoa(left))
	if wait > 0 {
		tooManyRequests(w, wait)
		return
	}
	s.serve(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)), x)
}

// serve answers an authorized request within the budget.
func (s *ThreatStack) serve(w http.ResponseWriter, r *http.Request, x exchange) {
	switch {
	case x.mishap == serverError:
		s.sendReply(w, x, x.faults.failure())
	case x.mishap == htmlBody:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Please wait</title><p>One moment.</p>\n")
	case x.faults.Forbidden, x.faults.ReadOnly && r.Method != http.MethodGet:
		s.sendReply(w, x, refusal(http.StatusForbidden, "Forbidden"))
	default:
		s.mux.ServeHTTP(w, r)
	}
}

// failure is the answer of a server that fails.
func (f ThreatStackFaults) failure() reply {
	status := cmp.Or(f.ErrorStatus, http.StatusInternalServerError)
	return reply{status, map[string]any{"status": "error", "message": http.StatusText(status)}}
}

func (s *ThreatStack) unauthorized(w http.ResponseWriter, x exchange, problem string, now time.Time) {
	status := http.StatusUnauthorized
	if problem == wrongOrganization && x.faults.OrganizationError != 0 {
		status = x.faults.OrganizationError
	}
	if status == http.StatusUnauthorized && !x.faults.NoChallenge {
		w.Header().Set("WWW-Authenticate", s.challenge(problem, now))
	}
	s.sendReply(w, x, refusal(status, "%s", problem))
}

func tooManyRequests(w http.ResponseWriter, wait time.Duration) {
	milliseconds := (wait + time.Millisecond - 1) / time.Millisecond
	w.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(int64(milliseconds), 10))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = io.WriteString(w, "Too many requests\n")
}

func (s *ThreatStack) sendReply(w http.ResponseWriter, x exchange, out reply) {
	body, err := json.Marshal(out.body)
	if err != nil {
		panic(fmt.Errorf("marshal an answer: %w", err)) // only texts
	}
	s.send(w, x, out.status, body)
}

// send writes a JSON answer; a success is signed.
func (s *ThreatStack) send(w http.ResponseWriter, x exchange, status int, body []byte) {
	success := status/100 == 2
	if success && x.mishap == truncateBody {
		body = body[:len(body)/2]
	}
	w.Header().Set("Content-Type", jsonType)
	if success && !x.faults.Unsigned {
		w.Header().Set("Server-Authorization", x.hawk.authorization(s.config.APIKey, jsonType, body, x.faults))
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if success && x.mishap == abortBody {
		_, _ = w.Write(bytes.Clone(body[:len(body)/2]))
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}
