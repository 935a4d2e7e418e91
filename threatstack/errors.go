package threatstack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"selfprotect/alert"
)

// Kind says what went wrong with a request.
type Kind uint8

// The kinds.
const (
	Unauthorized Kind = iota + 1 // credentials or clock
	Forbidden                    // the user may not do this
	NotFound                     // no such thing, or no data
	RateLimited                  // our budget or the service's limit is used up
	Server                       // the service failed
	BadAnswer                    // the answer could not be understood
	BadSignature                 // the answer is not signed, or not with our key
	HostNotFound                 // the host name does not resolve
	Network                      // no connection, TLS failure, timeout
	BadRequest                   // the service refused the request's form
)

var kindNames = [...]string{"", "unauthorized", "forbidden", "not found", "rate limited", "server error",
	"bad answer", "bad signature", "host not found", "network error", "bad request"}

// String names the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) && k > 0 {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Error is a request that failed. Its text is one sentence that says what to do;
// words of the server stand in it only cleaned and cut, and no secret does.
type Error struct {
	Kind    Kind
	Status  int    // HTTP status, 0 when none arrived
	Op      string // what was asked, such as "list alerts"
	Message string // what happened
	Hint    string // what to do; may be empty
	// RetryAfter is how long to wait, when the failure itself says so.
	RetryAfter time.Duration
	// Until is the time at which a RateLimited request may be sent again.
	Until time.Time
	Err   error // the cause; may be nil
}

// Error gives the sentence.
func (e *Error) Error() string {
	parts := []string{"alert API"}
	for _, s := range []string{e.Op, e.Message, e.Hint} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary says whether the same request may succeed later with nobody's help.
func (e *Error) Temporary() bool {
	switch e.Kind {
	case RateLimited, Server, BadAnswer, HostNotFound, Network:
		return true
	}
	return false
}

// RetryIn says how long to leave the service alone.
func (e *Error) RetryIn() time.Duration {
	if e.RetryAfter > 0 {
		return e.RetryAfter
	}
	switch e.Kind {
	case Unauthorized, Forbidden:
		return 5 * time.Minute
	case HostNotFound, NotFound, BadRequest, RateLimited:
		return time.Minute
	}
	return 15 * time.Second
}

// kindOf gives the kind of err, 0 when it has none.
func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// everyRequest says whether the failure would meet every other request too.
func everyRequest(err error) bool {
	switch kindOf(err) {
	case 0, Unauthorized, RateLimited, HostNotFound, Network:
		return true
	}
	return false
}

// failed gives the error of a request that brought no answer.
func failed(ctx context.Context, op, host string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("alert API: %s: stopped: %w", op, context.Cause(ctx))
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		err = ue.Err
	}
	e := &Error{Kind: Network, Op: op, Err: err}
	var dns *net.DNSError
	var nerr net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Kind = HostNotFound
		e.Message = clip(dns.Name, 100) + " does not resolve"
		e.Hint = "check base_url or TS_API_ENDPOINT, and whether the service still exists"
	case isTLS(err):
		e.Message = "the TLS connection to " + host + " failed (" + clip(err.Error(), maxServerText) + ")"
		e.Hint = "check base_url, the system's certificates and any proxy on the way"
	case errors.As(err, &nerr) && nerr.Timeout():
		e.Message = host + " did not answer in time"
		e.Hint = "check the network and any proxy; it is tried again"
	default:
		e.Message = "no answer from " + host + " (" + clip(err.Error(), maxServerText) + ")"
		e.Hint = "check the network and any proxy; it is tried again"
	}
	return e
}

func isTLS(err error) bool {
	var (
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		tlsSays tls.AlertError
	)
	return errors.As(err, &cert) || errors.As(err, &record) || errors.As(err, &unknown) ||
		errors.As(err, &name) || errors.As(err, &invalid) || errors.As(err, &tlsSays)
}

// refused gives the error of an answer whose status is not 200.
func refused(op string, status int, body []byte, staleClock bool) *Error {
	e := &Error{Kind: BadAnswer, Status: status, Op: op}
	says := serverText(body)
	e.Message = fmt.Sprintf("status %d", status)
	if says != "" {
		e.Message += " (" + says + ")"
	}
	switch {
	case status == http.StatusUnauthorized:
		e.Kind = Unauthorized
		e.Hint = "check TS_USER_ID, TS_API_KEY and TS_ORGANIZATION_ID"
		if staleClock || strings.Contains(strings.ToLower(says), "stale") {
			e.Hint = "the service calls the time stamp stale: set this machine's clock (NTP)"
		}
	case status == http.StatusForbidden:
		e.Kind = Forbidden
		e.Hint = "the API user has no access to this organization or action: check TS_ORGANIZATION_ID and the user's role"
	case status == http.StatusNotFound:
		e.Kind = NotFound
		e.Hint = "check the id, and base_url"
	case status == http.StatusBadRequest:
		e.Kind = BadRequest
		e.Hint = "check the rule id"
	case status >= 500:
		e.Kind = Server
		e.Hint = "the service fails; it is tried again"
	case status >= 300 && status < 400:
		e.Hint = "redirects are not followed: set base_url to the final address"
	default:
		e.Hint = "check base_url"
	}
	return e
}

const maxServerText = 160

// serverText finds the words in an error body, cleaned and cut: {"errors":[…]},
// {"message":…}, or plain text that is not a web page.
func serverText(body []byte) string {
	if len(body) > 16<<10 {
		body = body[:16<<10]
	}
	if o, err := members(body); err == nil {
		if list, err := elements(o["errors"]); err == nil && len(list) > 0 {
			return clip(object{"e": list[0]}.str("e"), maxServerText)
		}
		return clip(object(o).str("message", "error"), maxServerText)
	}
	text := strings.TrimSpace(string(body))
	if strings.HasPrefix(text, "<") || strings.HasPrefix(text, "{") {
		return ""
	}
	return clip(text, maxServerText)
}

// clip cleans s and cuts it to n runes.
func clip(s string, n int) string { return string(alert.CleanN(head(s, 4*n+16), n)) }
