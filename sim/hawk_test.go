package sim_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/sim"
)

// What follows signs as Hawk's API.md says, and shares no code with the server.

const (
	orgID, userID, apiKey = "test-org", "test-user", "test-api-key"
	host                  = "api.threatstack.com"
)

func hmacText(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(h, text)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func hashText(contentType, body string) string {
	sum := sha256.Sum256([]byte("hawk.1.payload\n" + contentType + "\n" + body + "\n"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// signed is one request as a caller signs it.
type signed struct {
	method, target, body string
	ts                   int64
	nonce                string
	id, key, ext         string
	hash                 string
	authorization        string // sent in place of the one made, "-" for none
	origin               string // host and port as addressed, each on a line; empty: https of host
}

func (q signed) mac(kind, hash, ext string) string {
	origin := cmp.Or(q.origin, host+"\n443")
	return hmacText(q.key, fmt.Sprintf("hawk.1.%s\n%d\n%s\n%s\n%s\n%s\n%s\n%s\n", kind, q.ts, q.nonce, q.method, q.target, origin, hash, ext))
}

func (q signed) header() string {
	h := fmt.Sprintf(`Hawk id="%s", ts="%d", nonce="%s", ext="%s", mac="%s"`, q.id, q.ts, q.nonce, q.ext, q.mac("header", q.hash, q.ext))
	if q.hash != "" {
		h += fmt.Sprintf(`, hash="%s"`, q.hash)
	}
	return h
}

// caller sends signed requests with a new nonce each.
type caller struct {
	t       *testing.T
	handler http.Handler
	n       int
}

type answered struct {
	*http.Response
	body string
}

func (c *caller) request(method, target, body string) signed {
	c.n++
	q := signed{method: method, target: target, body: body, ts: time.Now().Unix(), nonce: fmt.Sprint("n", c.n), id: userID, key: apiKey, ext: orgID}
	if body != "" {
		q.hash = hashText("application/json", body)
	}
	return q
}

func (c *caller) do(q signed) (answered, error) {
	c.t.Helper()
	scheme := "https://"
	if strings.HasSuffix(q.origin, "\n80") {
		scheme = "http://"
	}
	r, err := http.NewRequestWithContext(context.Background(), q.method, scheme+host+q.target, strings.NewReader(q.body))
	if err != nil {
		c.t.Fatal(err)
	}
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	switch q.authorization {
	case "":
		r.Header.Set("Authorization", q.header())
	case "-":
	default:
		r.Header.Set("Authorization", q.authorization)
	}
	resp, err := sim.Transport(c.handler).RoundTrip(r)
	if err != nil {
		return answered{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answered{resp, string(b)}, err
}

// get sends a request that must be answered, and whose 200 must be signed.
func (c *caller) get(target string) answered { c.t.Helper(); return c.send("GET", target, "") }

func (c *caller) send(method, target, body string) answered {
	c.t.Helper()
	q := c.request(method, target, body)
	a, err := c.do(q)
	if err != nil {
		c.t.Fatal(err)
	}
	if a.StatusCode/100 == 2 && !q.verifies(a) {
		c.t.Errorf("%s: Server-Authorization %q does not verify", target, a.Header.Get("Server-Authorization"))
	}
	return a
}

var serverAuthorization = regexp.MustCompile(`^Hawk mac="([^"]+)", hash="([^"]+)"$`)

func (q signed) verifies(a answered) bool {
	m := serverAuthorization.FindStringSubmatch(a.Header.Get("Server-Authorization"))
	return m != nil && m[2] == hashText("application/json", a.body) && m[1] == q.mac("response", m[2], "")
}

// decode reads an answer that must be a success.
func (a answered) decode(t *testing.T) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.StatusCode/100 != 2 {
		t.Fatalf("%d %s: %v", a.StatusCode, a.body, err)
	}
	return out
}

func threatStack(c sim.ThreatStackConfig) *sim.ThreatStack {
	c.OrganizationID, c.UserID, c.APIKey = orgID, userID, apiKey
	c.Retention = cmp.Or(c.Retention, 100*365*24*time.Hour) // fixtures bear old dates
	return sim.NewThreatStack(c)
}

// TestSignerVectors holds the signer of these tests against published numbers.
func TestSignerVectors(t *testing.T) {
	q := signed{method: "GET", target: "/v2/alerts?status=active&from=2023-11-14&until=2023-11-15", ts: 1700000000, nonce: "abc123", id: userID, key: apiKey, ext: orgID}
	for _, tt := range []struct{ name, got, want string }{
		{"GET", q.mac("header", "", orgID), "FciMpUDWY5NWEEepR6mjOmAQsx7BR+04k+Vy0El5MV4="},
		{"answer hash", hashText("application/json", `{"alerts":[],"token":null}`), "0gDBFESTe1VoXQqKEZIuPvBwgUAbhBZS2kgdNhAKFp8="},
		{"answer", q.mac("response", hashText("application/json", `{"alerts":[],"token":null}`), ""), "V3X6o9rkOWudlDVdVlO4BiWXJdx6uo3I74T1YG/iFdk="},
		{"tsm", hmacText(apiKey, "hawk.1.ts\n1700000000\n"), "IQHnpRilVH7WRkO2Non+d2md0dYseJaQ0iQehdeVe9w="},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

// TestHawkVectors sends the published requests, at their time, and expects the
// published answer.
func TestHawkVectors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(time.Unix(1700000000, 0)))
		c := &caller{t: t, handler: threatStack(sim.ThreatStackConfig{})}
		a, err := c.do(signed{method: "GET", target: "/v2/alerts?status=active&from=2023-11-14&until=2023-11-15",
			authorization: `Hawk id="test-user", ts="1700000000", nonce="abc123", ext="test-org", mac="FciMpUDWY5NWEEepR6mjOmAQsx7BR+04k+Vy0El5MV4="`})
		if err != nil || a.StatusCode != 200 || a.body != `{"alerts":[],"token":null}` {
			t.Fatalf("%+v %v", a, err)
		}
		want := `Hawk mac="V3X6o9rkOWudlDVdVlO4BiWXJdx6uo3I74T1YG/iFdk=", hash="0gDBFESTe1VoXQqKEZIuPvBwgUAbhBZS2kgdNhAKFp8="`
		if got := a.Header.Get("Server-Authorization"); got != want {
			t.Errorf("Server-Authorization %s, want %s", got, want)
		}
		a, err = c.do(signed{method: "POST", target: "/v2/alerts/dismiss", body: `{"ids":["7788eda0-e674-11ec-bb21-e7b597cd71fd"],"dismissReason":"MAINTENANCE"}`,
			authorization: `Hawk id="test-user", ts="1700000000", nonce="abc123", ext="test-org", hash="SSj9pSv8O6o4xExxXOm3l5f2+rCyAzQ2rg0G9PDd9OQ=", mac="BsJC6u1SIi/Lhyzgn/l9ageFMY0uFoZPItH+lgoBWW4="`})
		if err != nil || a.StatusCode != 401 || !strings.Contains(a.body, "Invalid nonce") {
			t.Errorf("a nonce used twice: %+v %v", a, err)
		}
		fresh := &caller{t: t, handler: threatStack(sim.ThreatStackConfig{})}
		a, err = fresh.do(signed{method: "POST", target: "/v2/alerts/dismiss", body: `{"ids":["7788eda0-e674-11ec-bb21-e7b597cd71fd"],"dismissReason":"MAINTENANCE"}`,
			authorization: `Hawk id="test-user", ts="1700000000", nonce="abc123", ext="test-org", hash="SSj9pSv8O6o4xExxXOm3l5f2+rCyAzQ2rg0G9PDd9OQ=", mac="BsJC6u1SIi/Lhyzgn/l9ageFMY0uFoZPItH+lgoBWW4="`})
		if err != nil || a.StatusCode != 200 {
			t.Errorf("the published POST: %+v %v", a, err)
		}
	})
}

func TestUnauthorizedInHawksOrder(t *testing.T) {
	tests := []struct {
		name string
		edit func(*signed)
		want string
	}{
		{"good", func(*signed) {}, ""},
		{"no header", func(q *signed) { q.authorization = "-" }, "Unauthorized"},
		{"another scheme", func(q *signed) { q.authorization = "Bearer x" }, "Unauthorized"},
		{"no MAC", func(q *signed) { q.authorization = `Hawk id="test-user", ts="1", nonce="x"` }, "Missing attributes"},
		{"unknown attribute", func(q *signed) { q.authorization = q.header() + `, colour="red"` }, "Unknown attribute: colour"},
		{"attribute twice", func(q *signed) { q.authorization = q.header() + `, id="test-user"` }, "Unknown attribute: id"},
		{"bad format", func(q *signed) { q.authorization = `Hawk id=test-user` }, "Bad header format"},
		{"unknown id before bad MAC", func(q *signed) { q.id, q.key = "who", "what" }, "Unknown credentials"},
		{"bad MAC before stale time", func(q *signed) { q.key, q.ts = "what", 1 }, "Bad mac"},
		{"reordered query", func(q *signed) {
			q.authorization = q.header()
			q.target = "/v2/agents?type=monitor&status=online"
		}, "Bad mac"},
		{"wrong hash before stale time", func(q *signed) { q.hash, q.ts = hashText("application/json", "other"), 1 }, "Bad payload hash"},
		{"stale before the organization", func(q *signed) { q.ts, q.ext = q.ts-62, "other" }, "Stale timestamp"},
		{"61 s ahead", func(q *signed) { q.ts += 62 }, "Stale timestamp"},
		{"59 s behind", func(q *signed) { q.ts -= 58 }, ""},
		{"the port of http", func(q *signed) { q.origin = host + "\n80" }, ""},
		{"another port", func(q *signed) { q.origin = host + "\n8443" }, "Bad mac"},
		{"another host", func(q *signed) { q.origin = "other.test\n443" }, "Bad mac"},
		{"another organization", func(q *signed) { q.ext = "other" }, "Unknown organization"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := threatStack(sim.ThreatStackConfig{})
			c := &caller{t: t, handler: s}
			q := c.request("GET", "/v2/agents?status=online&type=monitor", "")
			tt.edit(&q)
			a, err := c.do(q)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if a.StatusCode != 200 || !q.verifies(a) {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
				return
			}
			if want := fmt.Sprintf(`{"errors":[%q]}`, tt.want); a.StatusCode != 401 || a.body != want {
				t.Errorf("%d %s, want %s", a.StatusCode, a.body, want)
			}
			if a.Header.Get("Server-Authorization") != "" || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Hawk") {
				t.Errorf("headers %v", a.Header)
			}
			if n := s.Requests(); n.Unauthorized != 1 || n.PerMinuteMax != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestBodyNeedsItsHash(t *testing.T) {
	c := &caller{t: t, handler: threatStack(sim.ThreatStackConfig{})}
	q := c.request("POST", "/v2/alerts/dismiss", `{"ids":["x"],"dismissReason":"MAINTENANCE"}`)
	q.hash = ""
	a, err := c.do(q)
	if err != nil || a.StatusCode != 401 || !strings.Contains(a.body, "Missing required payload hash") {
		t.Errorf("%+v %v", a, err)
	}
}

// TestStaleTimeCarriesTheServers checks that a caller with a wrong clock can
// learn the server's, and that the answer proves itself.
func TestStaleTimeCarriesTheServers(t *testing.T) {
	s := threatStack(sim.ThreatStackConfig{})
	s.SetFaults(sim.ThreatStackFaults{ClockOffset: time.Hour})
	c := &caller{t: t, handler: s}
	a, err := c.do(c.request("GET", "/help/hawk/self-test", ""))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`^Hawk ts="(\d+)", tsm="([^"]+)", error="Stale timestamp"$`).FindStringSubmatch(a.Header.Get("WWW-Authenticate"))
	if a.StatusCode != 401 || m == nil || m[2] != hmacText(apiKey, "hawk.1.ts\n"+m[1]+"\n") {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	q := c.request("GET", "/help/hawk/self-test", "")
	if _, err := fmt.Sscan(m[1], &q.ts); err != nil {
		t.Fatal(err)
	}
	if a, err := c.do(q); err != nil || a.StatusCode != 200 {
		t.Errorf("with the server's time: %+v %v", a, err)
	}
	s.SetFaults(sim.ThreatStackFaults{ClockOffset: time.Hour, NoChallenge: true})
	a, err = c.do(c.request("GET", "/help/hawk/self-test", ""))
	if err != nil || a.StatusCode != 401 || a.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("without a challenge: %+v %v", a, err)
	}
}

func TestSignatureFaults(t *testing.T) {
	for name, f := range map[string]sim.ThreatStackFaults{"unsigned": {Unsigned: true}, "wrong MAC": {WrongMAC: true}, "wrong hash": {WrongHash: true}} {
		s := threatStack(sim.ThreatStackConfig{})
		s.SetFaults(f)
		c := &caller{t: t, handler: s}
		q := c.request("GET", "/v2/alerts?status=active", "")
		a, err := c.do(q)
		if err != nil || a.StatusCode != 200 || q.verifies(a) {
			t.Errorf("%s: %+v %v", name, a, err)
		}
		if has := a.Header.Get("Server-Authorization") != ""; has == f.Unsigned {
			t.Errorf("%s: %v", name, a.Header)
		}
		if !bytes.Contains([]byte(a.body), []byte(`"token":null`)) {
			t.Errorf("%s: body %s", name, a.body)
		}
	}
}

// TestThreatStackOverASocket checks that a real connection signs with the host
// and port as addressed, and sees an answer that breaks off.
func TestThreatStackOverASocket(t *testing.T) {
	s := threatStack(sim.ThreatStackConfig{})
	web := httptest.NewServer(s)
	defer web.Close()
	c := &caller{t: t, handler: s}
	read := func() (string, error) {
		q := c.request("GET", "/v2/alerts?status=active", "")
		q.origin = strings.Replace(strings.TrimPrefix(web.URL, "http://"), ":", "\n", 1)
		r, err := http.NewRequestWithContext(t.Context(), q.method, web.URL+q.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", q.header())
		resp, err := web.Client().Do(r)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if a := (answered{resp, string(b)}); err == nil && !q.verifies(a) {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		return string(b), err
	}
	if got, err := read(); err != nil || got != `{"alerts":[],"token":null}` {
		t.Errorf("%q %v", got, err)
	}
	s.SetFaults(sim.ThreatStackFaults{Abort: sim.Chance{Next: 1}})
	if got, err := read(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken off: %q %v", got, err)
	}
	s.SetFaults(sim.ThreatStackFaults{Reset: sim.Chance{Next: 2}}) // the client asks again on a connection that was idle
	if got, err := read(); err == nil {
		t.Errorf("reset: %q", got)
	}
}
