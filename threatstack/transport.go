package threatstack

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	retries  = 2 // after the first attempt, in one call
	retryMin = 200 * time.Millisecond
	retryMax = 2 * time.Second

	// clockSlack is how far two clocks may differ before a refusal is its fault.
	clockSlack = 5 * time.Second
)

// newTransport is the transport that Config.HTTP replaces.
func newTransport(timeout time.Duration) http.RoundTripper {
	dial := &net.Dialer{Timeout: min(timeout, 10*time.Second), KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    min(timeout, 10*time.Second),
		ResponseHeaderTimeout:  timeout,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    2,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // the payload hash is over the plain body
		ForceAttemptHTTP2:      true,
	}
}

// call is one request to the API. It is the RoundTripper under the retries, so
// that each attempt is signed afresh, counted, and checked before it counts as
// an answer. A request with a body is a write: it is sent once, and again only
// when the service has refused it for our clock.
type call struct {
	c      *Client
	op     string
	prio   priority
	json   bool   // a good answer is one JSON object
	method string // "": GET
	body   []byte // JSON; nil for none
}

// good says whether a status is that of a request which was carried out.
func (k *call) good(status int) bool {
	return status == http.StatusOK || k.body != nil && (status == http.StatusCreated || status == http.StatusAccepted || status == http.StatusNoContent)
}

// jsonType is the content type of every body.
const jsonType = "application/json"

// errDamaged marks a body that did not arrive whole; it is asked for again.
var errDamaged = errors.New("damaged")

// do sends the request and gives the status and the body.
func (k *call) do(ctx context.Context, target string) (status int, header http.Header, body []byte, err error) {
	req, err := retryablehttp.NewRequestWithContext(ctx, cmp.Or(k.method, http.MethodGet), target, nil)
	if err != nil {
		return 0, nil, nil, &Error{Kind: BadRequest, Op: k.op, Message: "the request could not be built", Err: err}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "selfprotect")
	again := retries
	if k.body != nil {
		req.Header.Set("Content-Type", jsonType)
		again = 0
	}
	client := &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport: k, Timeout: k.c.cfg.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryWaitMin: retryMin, RetryWaitMax: retryMax, RetryMax: again,
		CheckRetry: checkRetry, Backoff: k.c.backoff, ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, nil, failed(ctx, k.op, k.c.host, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body) // from memory: attempt has read it
	return resp.StatusCode, resp.Header, body, err
}

// checkRetry retries what a moment may cure: 5xx, a damaged body, a connection
// that broke. A timeout has cost enough time already.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return errors.Is(err, errDamaged) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
			errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED), nil
	}
	return resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented, nil
}

// backoff doubles from lo to hi, half of it at random.
func (c *Client) backoff(lo, hi time.Duration, attempt int, _ *http.Response) time.Duration {
	d := min(lo<<attempt, hi)
	return d - c.cfg.Jitter(d/2)
}

// RoundTrip makes one attempt, and a second one when the server says, and
// proves, that our clock is wrong.
func (k *call) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, moved, err := k.attempt(req)
	if err == nil && moved {
		resp, _, err = k.attempt(req)
	}
	return resp, err
}

// attempt claims budget, signs, sends, reads the whole body and verifies it.
func (k *call) attempt(req *http.Request) (_ *http.Response, moved bool, _ error) {
	c := k.c
	if until, ok := c.budget.take(time.Now(), k.prio); !ok {
		return nil, false, limited(k.op, "the requests of this minute, ours or the organization's, are used up", until)
	}
	out := req.Clone(req.Context())
	hash := ""
	if k.body != nil {
		// net/http must not send it again by itself, so it cannot be had twice.
		out.Body, out.GetBody, out.ContentLength = io.NopCloser(bytes.NewReader(k.body)), nil, int64(len(k.body))
		hash = payloadHash(jsonType, k.body)
	}
	header, signed := c.cred.sign(c.now(), req.Method, req.URL, hash)
	out.Header.Set("Authorization", header)
	c.requests.Add(1)
	resp, err := c.rt.RoundTrip(out)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = resp.Body.Close() }()
	c.noteDate(resp.Header)
	until := c.budget.answer(time.Now(), resp.StatusCode, resp.Header)
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxBody+1))
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		return nil, false, err
	}
	if err != nil && k.good(resp.StatusCode) {
		return nil, false, &Error{Kind: BadAnswer, Op: k.op, Status: resp.StatusCode, Message: "the answer broke off",
			Hint: "it is tried again", Err: fmt.Errorf("%w: %w", errDamaged, err)}
	}
	if int64(len(body)) > c.cfg.MaxBody {
		return nil, false, &Error{Kind: BadAnswer, Op: k.op, Status: resp.StatusCode,
			Message: fmt.Sprintf("the answer is larger than %d MiB", c.cfg.MaxBody>>20), Hint: "check base_url"}
	}
	if err := k.verify(resp, signed, body); err != nil {
		return nil, false, err
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		return nil, false, limited(k.op, "the organization's rate limit is reached", until)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		moved = c.learnClock(resp.Header)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, moved, nil
}

// verify checks the signature of an answer, and that a good one is whole.
func (k *call) verify(resp *http.Response, signed artifacts, body []byte) error {
	bad := &Error{Kind: BadSignature, Op: k.op, Status: resp.StatusCode,
		Hint: "the answer was not used: check base_url, and for a proxy that changes answers"}
	headers := resp.Header.Values("Server-Authorization")
	switch {
	case len(headers) > 1:
		bad.Message = "the answer has more than one signature"
		return bad
	case len(headers) == 1:
		err := k.c.cred.verifyResponse(headers[0], signed, resp.Header.Get("Content-Type"), body)
		if err != nil && !(errors.Is(err, errNoHash) && k.c.cfg.AllowUnsigned) {
			bad.Message, bad.Err = "the answer is not to be trusted: "+err.Error(), err
			if errors.Is(err, errPayloadHash) {
				bad.Err = fmt.Errorf("%w: %w", errDamaged, err)
			}
			return bad
		}
	case k.good(resp.StatusCode) && !k.c.cfg.AllowUnsigned:
		bad.Message = "the answer bears no signature"
		return bad
	}
	if !k.good(resp.StatusCode) {
		return nil
	}
	k.c.setSigned(len(headers) == 1)
	if k.json {
		if _, err := members(body); err != nil {
			return &Error{Kind: BadAnswer, Op: k.op, Status: resp.StatusCode, Message: "the answer could not be read: " + err.Error(),
				Hint: "check base_url, and for a proxy that answers in the service's place", Err: fmt.Errorf("%w: %w", errDamaged, err)}
		}
	}
	return nil
}

func limited(op, message string, until time.Time) *Error {
	return &Error{Kind: RateLimited, Op: op, Message: message, Until: until,
		Hint:       "the next request may go out at " + until.UTC().Format("15:04:05") + " UTC",
		RetryAfter: max(time.Until(until), time.Millisecond)}
}

// learnClock takes the server's time from a stale-timestamp challenge that is
// signed with our key, and says whether that moved our offset enough to matter.
func (c *Client) learnClock(h http.Header) bool {
	for _, v := range h.Values("WWW-Authenticate") {
		if t, _, ok := c.cred.serverTime(v); ok {
			now := time.Until(t).Round(time.Second)
			before := time.Duration(c.offset.Swap(int64(now)))
			return (now - before).Abs() > clockSlack
		}
	}
	return false
}

// staleClock says whether a refusal speaks of our time stamp.
func (c *Client) staleClock(h http.Header) bool {
	for _, v := range h.Values("WWW-Authenticate") {
		if _, said, _ := c.cred.serverTime(v); said {
			return true
		}
	}
	return false
}

// target gives the URL of a path and a query that are escaped already. The text
// is parsed once and sent as it is, so that the signature covers its very bytes.
func (c *Client) target(path, query string) string {
	if query != "" {
		path += "?" + query
	}
	return c.cfg.BaseURL + path
}

// query joins name and value pairs in the given order.
func query(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(pairs[i] + "=" + url.QueryEscape(pairs[i+1]))
	}
	return b.String()
}
