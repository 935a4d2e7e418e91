package threatstack

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Defaults of Config.
const (
	DefaultBaseURL           = "https://api.threatstack.com"
	DefaultRequestsPerMinute = 120
	DefaultOverlap           = 30 * time.Minute
	DefaultWindow            = time.Hour
	DefaultTimeout           = 30 * time.Second
	DefaultMaxBody           = 32 << 20
)

// Secret is a text that prints as [redacted] under every verb, in JSON and in logs.
type Secret string

const redacted = "[redacted]"

// Format writes [redacted] whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String gives [redacted].
func (Secret) String() string { return redacted }

// MarshalText gives [redacted]; JSON uses it too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue gives [redacted].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Config says how to reach the API and what to watch.
type Config struct {
	// BaseURL is scheme, host and perhaps a path prefix. Empty: DefaultBaseURL.
	// Plain http is accepted for loopback hosts only.
	BaseURL string

	OrganizationID string // sent as Hawk's ext
	UserID         string // Hawk's id; not an e-mail address
	APIKey         Secret // Hawk's key; belongs to the user

	// RuleIDs are the watched rules. Each costs one request for each poll.
	RuleIDs []string

	// RequestsPerMinute is the most requests in any 60 s, retries included. The
	// service allows 200 to a whole organization. 0: DefaultRequestsPerMinute.
	RequestsPerMinute int
	// Overlap is how far before the mark each list begins, for alerts that arrive
	// late: CloudTrail events take a quarter of an hour. 0: DefaultOverlap.
	Overlap time.Duration
	// Window is how long an alert may gain events. 0: DefaultWindow.
	Window time.Duration

	// AllowUnsigned accepts answers without Server-Authorization. A wrong one is
	// an error all the same.
	AllowUnsigned bool

	// HTTP carries the requests. Nil: a transport of our own with TLS 1.2 or
	// later, proxies from the environment, and timeouts. Redirects are never
	// followed.
	HTTP http.RoundTripper
	// Jitter draws how much of half a pause between two attempts is left out, from 0
	// to d. Nil: at random.
	Jitter func(d time.Duration) time.Duration `json:"-"`
	// Timeout bounds one attempt, body included. 0: DefaultTimeout.
	Timeout time.Duration
	// MaxBody is the largest answer accepted, in bytes. 0: DefaultMaxBody.
	MaxBody int64
}

// withDefaults fills what is zero and refuses what cannot be.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = DefaultBaseURL
	}
	base, err := checkBase(cfg.BaseURL)
	if err != nil {
		return cfg, err
	}
	cfg.BaseURL = base
	for _, v := range []struct{ name, value string }{
		{"organization id", cfg.OrganizationID}, {"user id", cfg.UserID},
	} {
		if v.value == "" || !attributeValue(v.value) || strings.TrimSpace(v.value) != v.value {
			return cfg, fmt.Errorf("alert API: the %s is empty or holds characters that a Hawk header cannot carry", v.name)
		}
	}
	if key := string(cfg.APIKey); key == "" || strings.TrimSpace(key) != key {
		return cfg, fmt.Errorf("alert API: the API key is empty or begins or ends with white space")
	}
	for _, id := range cfg.RuleIDs {
		if !usableID(id) {
			return cfg, fmt.Errorf("alert API: rule id %.80q is not usable", id)
		}
	}
	cfg.RuleIDs = slices.Clone(cfg.RuleIDs)
	slices.Sort(cfg.RuleIDs)
	cfg.RuleIDs = slices.Compact(cfg.RuleIDs)
	if cfg.RequestsPerMinute < 0 || cfg.Overlap < 0 || cfg.Window < 0 || cfg.Timeout < 0 || cfg.MaxBody < 0 {
		return cfg, fmt.Errorf("alert API: requests a minute, overlap, window, timeout and body size must not be negative")
	}
	if cfg.Jitter == nil {
		cfg.Jitter = func(d time.Duration) time.Duration { return rand.N(d + 1) }
	}
	setDefault(&cfg.RequestsPerMinute, DefaultRequestsPerMinute)
	setDefault(&cfg.Overlap, DefaultOverlap)
	setDefault(&cfg.Window, DefaultWindow)
	setDefault(&cfg.Timeout, DefaultTimeout)
	setDefault(&cfg.MaxBody, DefaultMaxBody)
	return cfg, nil
}

func setDefault[T int | int64 | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// checkBase gives the base URL without a trailing slash.
func checkBase(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return "", fmt.Errorf("alert API: base_url must look like %s", DefaultBaseURL)
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", fmt.Errorf("alert API: base_url must hold only scheme, host and path")
	}
	switch u.Scheme {
	case "https":
	case "http":
		if !loopback(u.Hostname()) {
			return "", fmt.Errorf("alert API: base_url must use https: plain http is accepted for loopback hosts only")
		}
	default:
		return "", fmt.Errorf("alert API: base_url must use https")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// maxID is the longest id in bytes; real ones have 24 or 36.
const maxID = 200

// usableID says whether an opaque id can stand as one segment of a path.
func usableID(id string) bool {
	if id == "" || len(id) > maxID || id == "." || id == ".." {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return false
		}
	}
	return true
}
