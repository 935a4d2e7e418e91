package sim

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"syscall"
)

// Transport gives a round tripper that runs h in the caller's goroutine, without
// a socket. A handler that panics with [http.ErrAbortHandler] before it answers
// gives a connection reset, and one that does so in the middle of its answer
// gives a body that ends in [io.ErrUnexpectedEOF]. Any other panic goes through.
// A request whose context has ended gives the context's error.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	r, err := arriving(req)
	if err != nil {
		return nil, err
	}
	rec := &recorder{header: http.Header{}}
	aborted := rec.run(t.handler, r)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if aborted && rec.status == 0 {
		return nil, fmt.Errorf("read from %s: %w", r.Host, syscall.ECONNRESET)
	}
	return rec.response(req, aborted), nil
}

// arriving gives the request as a server would see it.
func arriving(req *http.Request) (*http.Request, error) {
	r := req.Clone(req.Context())
	r.RequestURI = req.URL.RequestURI()
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return nil, fmt.Errorf("request target: %w", err)
	}
	r.URL = u
	if r.Host == "" {
		r.Host = req.URL.Host
	}
	if req.URL.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.RemoteAddr = "127.0.0.1:40000"
	return r, nil
}

// recorder is a response writer that keeps what was written.
type recorder struct {
	header http.Header // as the handler sees it
	sent   http.Header // as it was when the answer began
	status int
	body   bytes.Buffer
}

func (rec *recorder) Header() http.Header { return rec.header }

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 {
		rec.status, rec.sent = status, rec.header.Clone()
	}
}

func (rec *recorder) Write(b []byte) (int, error) {
	rec.WriteHeader(http.StatusOK)
	return rec.body.Write(b)
}

// run tells whether the handler broke the connection.
func (rec *recorder) run(h http.Handler, r *http.Request) (aborted bool) {
	defer func() {
		switch p := recover(); {
		case p == nil:
		case isAbort(p):
			aborted = true
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(rec, r)
	rec.WriteHeader(http.StatusOK)
	return false
}

func isAbort(p any) bool {
	err, ok := p.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

func (rec *recorder) response(req *http.Request, aborted bool) *http.Response {
	var body io.Reader = &rec.body
	length := int64(rec.body.Len())
	if aborted {
		body, length = io.MultiReader(body, brokenBody{}), -1
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", rec.status, http.StatusText(rec.status)),
		StatusCode:    rec.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        rec.sent,
		Body:          io.NopCloser(body),
		ContentLength: length,
		Request:       req,
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
