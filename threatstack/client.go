package threatstack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Client speaks to the API. Its methods may be called from any goroutine; two
// polls at once are refused.
type Client struct {
	cfg    Config // without the key
	host   string
	cred   *credentials
	rt     http.RoundTripper
	budget *budget
	offset atomic.Int64 // nanoseconds that the server's clock is ahead
	// requests counts those that were sent.
	requests atomic.Int64

	polling sync.Mutex // held by a poll; guards book
	book    *book

	mu     sync.Mutex // guards what follows
	health health
	agents map[string]*agentEntry
	public map[netip.Addr]bool
}

// New checks the configuration and gives a client. It sends nothing.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("alert API: base_url: %w", err)
	}
	c := &Client{
		host: u.Hostname(), rt: cfg.HTTP, budget: newBudget(cfg.RequestsPerMinute, len(cfg.RuleIDs)),
		cred: newCredentials(cfg.UserID, cfg.APIKey, cfg.OrganizationID),
		book: newBook(cfg.Window), agents: map[string]*agentEntry{}, public: map[netip.Addr]bool{},
	}
	c.health.counted = map[string]struct{}{}
	if c.rt == nil {
		c.rt = newTransport(cfg.Timeout)
	}
	cfg.APIKey = ""
	c.cfg = cfg
	return c, nil
}

// now is the time on the server's clock as far as it is known.
func (c *Client) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// get asks for path and query, both escaped, and gives the body of a 200.
func (c *Client) get(ctx context.Context, op string, prio priority, isJSON bool, path, query string) ([]byte, error) {
	k := &call{c: c, op: op, prio: prio, json: isJSON}
	status, header, body, err := k.do(ctx, c.target(path, query))
	if err == nil && status != http.StatusOK {
		err = refused(op, status, body, c.staleClock(header))
	}
	if err != nil {
		c.noteError(err)
		return nil, err
	}
	return body, nil
}

// page asks for one page of a list and gives its elements and the token of the
// next page, "" at the end.
func (c *Client) page(ctx context.Context, op string, prio priority, path, query, key string) ([]json.RawMessage, string, error) {
	body, err := c.get(ctx, op, prio, true, path, query)
	if err != nil {
		return nil, "", err
	}
	bad := func(what string) error {
		err := &Error{Kind: BadAnswer, Op: op, Status: http.StatusOK, Message: what,
			Hint: "check base_url: this does not look like the Threat Stack API"}
		c.noteError(err)
		return err
	}
	top, err := members(body)
	if err != nil {
		return nil, "", bad("the answer could not be read")
	}
	list, present := top[key]
	if !present {
		return nil, "", bad("the answer has no " + key)
	}
	els, err := elements(list)
	if err != nil {
		return nil, "", bad(key + " is not an array")
	}
	token, ok := scalar(top["token"])
	if v := top["token"]; !ok && len(v) > 0 && string(v) != "null" || len(token) > maxToken {
		return nil, "", bad("the page token could not be read")
	}
	return els, token, nil
}

const (
	maxToken = 4 << 10
	maxPages = 10_000
)

// all asks for every page of a short list.
func (c *Client) all(ctx context.Context, op string, prio priority, path, params, key string) ([]json.RawMessage, error) {
	var out []json.RawMessage
	seen := map[string]struct{}{}
	for token := ""; ; {
		els, next, err := c.page(ctx, op, prio, path, withToken(params, token), key)
		if err != nil {
			return nil, err
		}
		out = append(out, els...)
		if next == "" {
			return out, nil
		}
		if _, again := seen[next]; again || len(seen) >= maxPages {
			return nil, c.endless(op)
		}
		seen[next] = struct{}{}
		token = next
	}
}

func withToken(params, token string) string {
	if token == "" {
		return params
	}
	if params != "" {
		params += "&"
	}
	return params + query("token", token)
}

func (c *Client) endless(op string) error {
	err := &Error{Kind: BadAnswer, Op: op, Message: fmt.Sprintf("the pages do not end (a token came twice, or more than %d pages)", maxPages),
		Hint: "it is tried again from the start"}
	c.noteError(err)
	return err
}

// SelfTest asks the service to check the credentials and the signature. It is
// the cheapest request that proves both.
func (c *Client) SelfTest(ctx context.Context) error {
	_, err := c.get(ctx, "self-test", forLists, false, "/help/hawk/self-test", "")
	return err
}
