package threatstack

import (
	"context"
	"errors"
	"net/http"
)

// Request is one write that can be shown before it is sent.
type Request struct {
	Method string `json:"method"`
	Path   string `json:"path"` // below the base URL, escaped
	Body   []byte `json:"-"`    // JSON
	op     string
}

// send makes a write once. An error may mean that it was carried out all the
// same: see [MayHaveHappened].
func (c *Client) send(ctx context.Context, r Request, isJSON bool) ([]byte, error) {
	if r.Body == nil {
		r.Body = []byte("{}")
	}
	k := &call{c: c, op: r.op, prio: forLists, json: isJSON, method: r.Method, body: r.Body}
	status, header, body, err := k.do(ctx, c.target(r.Path, ""))
	if err == nil && !k.good(status) {
		e := refused(r.op, status, body, c.staleClock(header))
		switch status {
		case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity:
			e.Kind, e.Hint = BadRequest, "the service does not accept this; nothing was changed"
		case http.StatusForbidden:
			e.Hint = "the API user may not change this: it needs a role above Reader"
		}
		err = e
	}
	if err != nil {
		c.noteError(err)
		return nil, err
	}
	return body, nil
}

// MayHaveHappened says whether a write that ended in this error may have been
// carried out: an answer that was lost says nothing about it. Who gets true must
// look before writing again.
func MayHaveHappened(err error) bool {
	var e *Error
	if err == nil || !errors.As(err, &e) {
		return err != nil
	}
	switch e.Kind {
	case Unauthorized, Forbidden, NotFound, RateLimited, HostNotFound, BadRequest:
		return false
	}
	return true
}
