package threatstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Dismiss dismisses alerts for a reason in words. The service does it some time later,
// so a list right after still shows them. Dismissing again does no harm.
func (c *Client) Dismiss(ctx context.Context, ids []string, reason string) error {
	for _, id := range ids {
		if !usableID(id) {
			return refusedDismissal{fmt.Errorf("an alert has an id that cannot be sent")}
		}
	}
	body, err := json.Marshal(struct {
		IDs    []string `json:"ids"`
		Reason string   `json:"dismissReason"`
		Text   string   `json:"dismissReasonText"`
	}{ids, "OTHER", reason})
	if err != nil {
		return err
	}
	_, err = c.send(ctx, Request{Method: http.MethodPost, Path: "/v2/alerts/dismiss", Body: body, op: "dismiss alerts"}, false)
	var e *Error
	if errors.As(err, &e) && (e.Kind == BadRequest || e.Kind == NotFound) {
		return refusedDismissal{err}
	}
	return err
}

// refusedDismissal is an error that will come again for the same alerts.
type refusedDismissal struct{ error }

func (r refusedDismissal) Unwrap() error { return r.error }

// Permanent says that trying again does not help.
func (refusedDismissal) Permanent() bool { return true }
