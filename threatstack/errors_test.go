package threatstack

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// cutOff is a body that breaks off.
type cutOff struct{ r io.Reader }

func (c cutOff) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

type noAnswer struct {
	name     string
	answer   func() *http.Response
	want     Kind
	text     string
	requests int
	retry    time.Duration
}

func noAnswers() []noAnswer {
	reset := func(r *http.Response, ms string) *http.Response { r.Header.Set("x-rate-limit-reset", ms); return r }
	redirect := func() *http.Response {
		r := plain(302, "")
		r.Header.Set("Location", "https://elsewhere.example/v2/alerts")
		return r
	}
	broken := func() *http.Response {
		r := plain(200, "")
		r.Body = io.NopCloser(cutOff{strings.NewReader(`{"alerts":[{"id`)})
		return r
	}
	const again = 3
	return []noAnswer{
		{"401", func() *http.Response { return plain(401, `{"errors":["Bad mac"]}`) }, Unauthorized, "Bad mac", 1, 5 * time.Minute},
		{"401 stale", func() *http.Response { return plain(401, `{"errors":["Stale timestamp"]}`) }, Unauthorized, "clock", 1, 5 * time.Minute},
		{"403", func() *http.Response { return plain(403, "") }, Forbidden, "role", 1, 5 * time.Minute},
		{"404", func() *http.Response { return plain(404, `{"status":"error","message":"gone"}`) }, NotFound, "gone", 1, time.Minute},
		{"400", func() *http.Response { return plain(400, "") }, BadRequest, "rule id", 1, time.Minute},
		{"429", func() *http.Response { return plain(429, "slow down") }, RateLimited, "rate limit", 1, time.Minute},
		{"429 reset", func() *http.Response { return reset(plain(429, "slow"), "2500") }, RateLimited, "rate limit", 1, 2500 * time.Millisecond},
		{"429 late", func() *http.Response { return reset(plain(429, "slow"), "99999999") }, RateLimited, "rate limit", 1, maxReset},
		{"500", func() *http.Response { return plain(500, "<html>oops</html>") }, Server, "status 500: ", again, 15 * time.Second},
		{"503", func() *http.Response { return plain(503, "") }, Server, "tried again", again, 15 * time.Second},
		{"page", func() *http.Response { return plain(200, "<html>log in</html>") }, BadAnswer, "proxy", again, 15 * time.Second},
		{"cut off", func() *http.Response { return plain(200, `{"alerts":[{"id":"a"`) }, BadAnswer, "cut off", again, 15 * time.Second},
		{"broken off", broken, BadAnswer, "broke off", again, 15 * time.Second},
		{"other object", func() *http.Response { return plain(200, `{"status":"ok"}`) }, BadAnswer, "no alerts", 1, 15 * time.Second},
		{"no array", func() *http.Response { return plain(200, `{"alerts":{"a":1}}`) }, BadAnswer, "not an array", 1, 15 * time.Second},
		{"odd token", func() *http.Response { return plain(200, `{"alerts":[],"token":{}}`) }, BadAnswer, "token", 1, 15 * time.Second},
		{"redirect", redirect, BadAnswer, "redirects are not followed", 1, 15 * time.Second},
		{"large", func() *http.Response { return plain(200, strings.Repeat(" ", 3<<20)) }, BadAnswer, "larger than 2 MiB", 1, 15 * time.Second},
	}
}

func TestAnswersThatAreNoAnswers(t *testing.T) {
	for _, tc := range noAnswers() {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newAPI()
				s.before = func(int, *http.Request) *http.Response { return tc.answer() }
				c := newClient(t, s, func(c *Config) { c.AllowUnsigned = true; c.MaxBody = 2 << 20 })
				begun := time.Now()
				_, err := run(c, begun)
				var e *Error
				if !errors.As(err, &e) || e.Kind != tc.want || !strings.Contains(err.Error(), tc.text) {
					t.Fatalf("error %v, want %v with %q", err, tc.want, tc.text)
				}
				if s.count() != tc.requests || time.Since(begun) > 5*time.Second {
					t.Errorf("%d requests in %v, want %d", s.count(), time.Since(begun), tc.requests)
				}
				if e.RetryIn() != tc.retry {
					t.Errorf("retry in %v, want %v", e.RetryIn(), tc.retry)
				}
				if strings.ContainsAny(err.Error(), "\n\x1b<") || strings.Contains(fmt.Sprintf("%+v", err), testKey) || len(err.Error()) > 500 {
					t.Errorf("text %q", err.Error())
				}
				if c.Status().LastError == nil {
					t.Error("the status has no error")
				}
				if tc.want == RateLimited {
					n := s.count()
					if _, err := run(c, begun); kindOf(err) != RateLimited || s.count() != n {
						t.Errorf("sent while blocked: %v", err)
					}
					time.Sleep(tc.retry + time.Millisecond)
					if _, _ = run(c, begun); s.count() != n+1 {
						t.Error("still blocked after the reset")
					}
				}
			})
		})
	}
}

func TestRetriesAreSignedAfreshAndSucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.add("a", covered)
		auth := map[string]bool{}
		s.before = func(n int, r *http.Request) *http.Response {
			auth[r.Header.Get("Authorization")] = true
			switch n {
			case 1:
				return plain(502, "")
			case 2:
				return plain(200, `{"alerts":[`)
			}
			return nil
		}
		c := newClient(t, s, func(c *Config) { c.AllowUnsigned = true })
		got, err := run(c, time.Now())
		if err != nil || len(got) != 2 || s.refused > 0 {
			t.Errorf("%v, %v", summary(got), err)
		}
		if len(auth) != s.count() {
			t.Errorf("%d signatures for %d requests", len(auth), s.count())
		}
	})
}

func TestNoAnswer(t *testing.T) {
	cases := []struct {
		name string
		err  error
		want Kind
		text string
	}{
		{"dns", &net.OpError{Op: "dial", Err: &net.DNSError{Name: "api.threatstack.com", Err: "no such host", IsNotFound: true}}, HostNotFound,
			"api.threatstack.com does not resolve: check base_url or TS_API_ENDPOINT"},
		{"dns timeout", &net.DNSError{Name: "x", Err: "i/o timeout", IsTimeout: true}, Network, "in time"},
		{"tls", x509.UnknownAuthorityError{}, Network, "TLS"},
		{"refused", &net.OpError{Op: "dial", Err: errors.New("connection refused\x1b[2J")}, Network, "no answer from api.threatstack.com"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, roundTrip(func(*http.Request) (*http.Response, error) { return nil, tc.err }))
				err := c.SelfTest(context.Background())
				if kindOf(err) != tc.want || !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), "\x1b") {
					t.Errorf("error %v", err)
				}
				if !errors.Is(err, tc.err) {
					t.Error("the cause is lost")
				}
			})
		})
	}
}

func TestOwnTransport(t *testing.T) {
	asked := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path == "/p/help/hawk/self-test" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	})
	open, sealed := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	sealed.Config.ErrorLog = log.New(io.Discard, "", 0)
	sealed.StartTLS()
	defer open.Close()
	defer sealed.Close()
	c := newClient(t, nil, func(c *Config) { c.BaseURL = open.URL + "/p/" })
	if err := c.SelfTest(t.Context()); kindOf(err) != BadAnswer || !strings.Contains(err.Error(), "redirects") || asked != 1 {
		t.Errorf("a redirect gives %v after %d requests", err, asked)
	}
	c = newClient(t, nil, func(c *Config) { c.BaseURL = sealed.URL })
	if err := c.SelfTest(t.Context()); kindOf(err) != Network || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("an unknown certificate gives %v", err)
	}
	open.Close()
	c = newClient(t, nil, func(c *Config) { c.BaseURL = open.URL })
	if err := c.SelfTest(t.Context()); kindOf(err) != Network || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a closed port gives %v", err)
	}
}

func TestTimeoutEndsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}), func(c *Config) { c.Timeout = 7 * time.Second })
		begun := time.Now()
		err := c.SelfTest(context.Background())
		if kindOf(err) != Network || !strings.Contains(err.Error(), "in time") || time.Since(begun) != 7*time.Second {
			t.Errorf("error %v after %v", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := c.SelfTest(ctx); !errors.Is(err, context.DeadlineExceeded) || kindOf(err) != 0 {
			t.Errorf("the caller's own deadline gives %v", err)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	good := testConfig(roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no") }))
	for name, change := range map[string]func(*Config){
		"http elsewhere": func(c *Config) { c.BaseURL = "http://api.threatstack.com" },
		"http trick":     func(c *Config) { c.BaseURL = "http://127.0.0.1.example.com" },
		"http user":      func(c *Config) { c.BaseURL = "http://127.0.0.1@example.com" },
		"ftp":            func(c *Config) { c.BaseURL = "ftp://localhost" },
		"no host":        func(c *Config) { c.BaseURL = "https://" },
		"query":          func(c *Config) { c.BaseURL = "https://a.example/?x=1" },
		"no key":         func(c *Config) { c.APIKey = "" },
		"key with line":  func(c *Config) { c.APIKey = "abc\n" },
		"quoted user":    func(c *Config) { c.UserID = `a"b` },
		"backslash":      func(c *Config) { c.OrganizationID = `a\b` },
		"newline":        func(c *Config) { c.OrganizationID = "a\nb" },
		"rule":           func(c *Config) { c.RuleIDs = []string{"a b"} },
		"negative":       func(c *Config) { c.RequestsPerMinute = -1 },
	} {
		cfg := good
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), testKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, base := range []string{"", "http://localhost:8080/", "http://[::1]:80", "http://127.9.9.9", "https://x.example/prefix"} {
		cfg := good
		cfg.BaseURL = base
		if _, err := New(cfg); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	cfg := testConfig(http.DefaultTransport)
	c := newClient(t, http.DefaultTransport)
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "cfg", cfg, "key", cfg.APIKey)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "cfg", cfg, "key", cfg.APIKey)
	cfg.HTTP = nil
	b, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out := logged.String() + string(b)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out += fmt.Sprintf(verb+verb+verb, cfg, cfg.APIKey, c)
	}
	for _, secret := range []string{testKey, fmt.Sprintf("%x", testKey), fmt.Sprint([]byte(testKey))} {
		if strings.Contains(out, secret) {
			t.Errorf("%s is in the output", secret)
		}
	}
	if string(cfg.APIKey) != testKey || !strings.Contains(out, redacted) {
		t.Error("the secret must stay usable, and print as redacted")
	}
}
