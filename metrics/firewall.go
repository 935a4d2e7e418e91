package metrics

import (
	"context"
	"errors"

	"selfprotect/engine"
	"selfprotect/firewall"
)

// operations are what is asked of AWS; errorClasses are the answers that are no yes.
var (
	operations   = []string{"read", "create", "replace", "delete"}
	errorClasses = []string{"permission", "throttled", "quota", "taken", "gone", "refused", "unknown"}
)

// counted counts what is asked of a firewall.
type counted struct {
	engine.Firewall
	m *Metrics
}

// Firewall gives a firewall that counts what is asked of fw and how it answers.
func (m *Metrics) Firewall(fw engine.Firewall) engine.Firewall { return counted{fw, m} }

// Read implements engine.Firewall.
func (c counted) Read(ctx context.Context) ([]firewall.ACL, error) {
	acls, err := c.Firewall.Read(ctx)
	c.count(ctx, "read", err)
	return acls, err
}

// Do implements engine.Firewall.
func (c counted) Do(ctx context.Context, aclID string, change firewall.Change) error {
	err := c.Firewall.Do(ctx, aclID, change)
	c.count(ctx, change.Op.Verb(), err)
	return err
}

func (c counted) count(ctx context.Context, operation string, err error) {
	c.m.calls.WithLabelValues(operation).Inc()
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	c.m.errors.WithLabelValues(operation, errorClass(err)).Inc()
}

// errorClass gives the class of an error; what is no definite no is unknown.
func errorClass(err error) string {
	var r *firewall.RefusedError
	if !errors.As(err, &r) {
		return "unknown"
	}
	switch {
	case r.Permission:
		return "permission"
	case r.Throttled:
		return "throttled"
	case r.Quota:
		return "quota"
	case r.Taken:
		return "taken"
	case r.Gone:
		return "gone"
	}
	return "refused"
}
