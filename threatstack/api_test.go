package threatstack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"selfprotect/alert"
)

const (
	testID   = "test-user"
	testKey  = "test-api-key"
	testOrg  = "test-org"
	testRule = "448889bf-eb81-11ec-b41e-1734e5d9feb0"
)

// api is a server behind a RoundTripper. Its Hawk is written apart from the
// client's, after Hawk's API.md.
type api struct {
	mu       sync.Mutex
	alerts   []map[string]any
	events   map[string][]any
	agents   map[string]any
	requests []string // path, or path and query of lists
	times    []time.Time
	nonces   map[string]bool
	perPage  int
	skew     time.Duration
	unsigned bool
	badTSM   bool
	refused  int // requests whose signature was wrong
	// before may answer in the server's place; n counts requests from 1.
	before func(n int, r *http.Request) *http.Response
	// after may change a good answer.
	after func(n int, r *http.Request, resp *http.Response)
}

func newAPI() *api {
	return &api{events: map[string][]any{}, agents: map[string]any{}, nonces: map[string]bool{}, perPage: 100}
}

var attr = regexp.MustCompile(`(\w+)="([^"\\]*)"`)

func (s *api) mac(kind string, at map[string]string, r *http.Request, hash, ext string) string {
	u, _ := url.Parse(r.URL.String())
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	text := fmt.Sprintf("hawk.1.%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n", kind, at["ts"], at["nonce"], r.Method,
		u.RequestURI(), strings.ToLower(u.Hostname()), port, hash, ext)
	h := hmac.New(sha256.New, []byte(testKey))
	_, _ = io.WriteString(h, text)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func (s *api) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.URL.RequestURI())
	s.times = append(s.times, time.Now())
	n := len(s.requests)
	if s.before != nil {
		if resp := s.before(n, r); resp != nil {
			return resp, nil
		}
	}
	at := map[string]string{}
	for _, m := range attr.FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
		at[m[1]] = m[2]
	}
	if at["id"] != testID || at["ext"] != testOrg || at["mac"] != s.mac("header", at, r, at["hash"], at["ext"]) || s.nonces[at["nonce"]] {
		s.refused++
		return plain(401, `{"errors":["Bad mac"]}`), nil
	}
	s.nonces[at["nonce"]] = true
	now := time.Now().Add(s.skew)
	if ts, _ := strconv.ParseInt(at["ts"], 10, 64); now.Sub(time.Unix(ts, 0)).Abs() > time.Minute {
		h := hmac.New(sha256.New, []byte(testKey))
		_, _ = fmt.Fprintf(h, "hawk.1.ts\n%d\n", now.Unix())
		tsm := base64.StdEncoding.EncodeToString(h.Sum(nil))
		if s.badTSM {
			tsm = "AAAA" + tsm[4:]
		}
		resp := plain(401, `{"errors":["Stale timestamp"]}`)
		resp.Header.Set("WWW-Authenticate", fmt.Sprintf(`Hawk ts="%d", tsm="%s", error="Stale timestamp"`, now.Unix(), tsm))
		return resp, nil
	}
	status, body := s.route(r)
	b, _ := json.Marshal(body)
	resp := plain(status, string(b))
	resp.Header.Set("Content-Type", "application/json; charset=utf-8")
	if status == 200 && !s.unsigned {
		s.sign(resp, at, r, b)
	}
	if s.after != nil {
		s.after(n, r, resp)
	}
	return resp, nil
}

func (s *api) sign(resp *http.Response, at map[string]string, r *http.Request, b []byte) {
	sum := sha256.Sum256([]byte("hawk.1.payload\napplication/json\n" + string(b) + "\n"))
	hash := base64.StdEncoding.EncodeToString(sum[:])
	resp.Header.Set("Server-Authorization", fmt.Sprintf(`Hawk mac="%s", hash="%s"`, s.mac("response", at, r, hash, ""), hash))
}

func plain(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func (s *api) route(r *http.Request) (int, any) {
	part := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	switch {
	case r.URL.Path == "/help/hawk/self-test":
		return 200, map[string]any{"ok": true}
	case r.URL.Path == "/v2/alerts":
		return s.list(q)
	case len(part) == 4 && part[1] == "alerts" && part[3] == "events":
		if ev, ok := s.events[part[2]]; ok {
			return 200, map[string]any{"events": ev}
		}
	case len(part) == 3 && part[1] == "agents":
		if a, ok := s.agents[part[2]]; ok {
			return 200, a
		}
	case r.URL.Path == "/v2/agents" && q.Get("status") == "online":
		var all []any
		for _, a := range s.agents {
			all = append(all, a)
		}
		return 200, map[string]any{"agents": all, "token": nil}
	case r.URL.Path == "/v2/rulesets":
		return 200, map[string]any{"rulesets": []any{
			map[string]any{"id": "rs0", "rules": nil, "ruleIds": []any{"other"}},
			map[string]any{"id": "rs1", "rulesIds": []any{"x", testRule}},
		}}
	case r.URL.Path == "/v2/rulesets/rs1/rules/"+testRule:
		return 200, map[string]any{"id": testRule, "rulesetId": "rs1", "name": "WAN", "title": "to {{dst_ip}}", "severityOfAlerts": 3,
			"aggregateFields": []any{"user", "exe", "dst_ip"}, "window": 86400, "enabled": true}
	}
	return 404, map[string]any{"errors": []string{"not found"}}
}

func (s *api) list(q url.Values) (int, any) {
	from, err := time.Parse("2006-01-02T15:04:05.000Z", q.Get("from"))
	if q.Get("status") != "active" || err != nil || q.Get("ruleId") == "" {
		return 400, map[string]any{"errors": []string{"bad parameters"}}
	}
	var all []any
	for _, a := range s.alerts {
		created, _ := time.Parse(time.RFC3339Nano, a["createdAt"].(string))
		if a["ruleId"] == q.Get("ruleId") && !created.Before(from) {
			all = append(all, a)
		}
	}
	start := 0
	if tok := q.Get("token"); tok != "" {
		if start, err = strconv.Atoi(strings.TrimPrefix(tok, "t+/=")); err != nil {
			return 400, map[string]any{"errors": []string{"bad token"}}
		}
	}
	start = min(start, len(all))
	end := min(start+s.perPage, len(all))
	out := map[string]any{"alerts": all[start:end], "token": nil}
	if end < len(all) {
		out["token"] = "t+/=" + strconv.Itoa(end)
	}
	return 200, out
}

// add makes an alert created now, with one event, and gives its id.
func (s *api) add(id string, fields map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alerts = append(s.alerts, map[string]any{
		"id": id, "title": "Connects to WAN", "ruleId": testRule, "rulesetId": "rs1", "severity": 3, "isDismissed": false,
		"createdAt": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "agentId": "agent-1", "aggregates": fields,
	})
	s.events[id] = []any{connectEvent("e1-"+id, "203.0.113.7")}
}

func connectEvent(id, dst string) map[string]any {
	return map[string]any{"_id": id, "event_type": "audit", "type": "connect", "syscall": "connect", "timestamp": time.Now().UnixMilli(),
		"connection": map[string]any{"src_addr": "10.1.1.5", "src_port": 51234, "dst_addr": dst, "dst_port": "443"}}
}

// since gives the requests after the first n, without queries.
func (s *api) paths(n int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, r := range s.requests[n:] {
		p, _, _ := strings.Cut(r, "?")
		out = append(out, p)
	}
	return out
}

func (s *api) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func testConfig(rt http.RoundTripper) Config {
	return Config{BaseURL: "https://api.threatstack.com", OrganizationID: testOrg, UserID: testID, APIKey: testKey,
		RuleIDs: []string{testRule}, HTTP: rt}
}

func newClient(t *testing.T, rt http.RoundTripper, change ...func(*Config)) *Client {
	t.Helper()
	cfg := testConfig(rt)
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run polls once and gives everything delivered, and the error.
func run(c *Client, since time.Time) (got []alert.Alert, err error) {
	for a, e := range c.Alerts(context.Background(), since) {
		if e != nil {
			return got, e
		}
		got = append(got, a)
	}
	return got, nil
}

// summary gives id and completeness of each delivery.
func summary(got []alert.Alert) string {
	var out []string
	for _, a := range got {
		out = append(out, fmt.Sprintf("%s:%v:%d", a.ID, a.Complete, len(a.Events)))
	}
	return strings.Join(out, " ")
}
