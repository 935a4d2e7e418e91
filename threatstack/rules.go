package threatstack

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"selfprotect/alert"
)

// Rule is one rule of the service.
type Rule struct {
	ID, RulesetID string
	Name, Title   alert.Text
	Severity      int // of its alerts, 1 is worst, 0 unknown
	Enabled       bool
	Aggregates    []string      // fields whose values make an alert its own, sorted
	Window        time.Duration // how long an alert gains events; 0 unknown
}

// Rule finds a rule by its id. The API knows rules only under their rulesets, so
// this lists the rulesets first: two requests.
func (c *Client) Rule(ctx context.Context, id string) (Rule, error) {
	const op = "find rule"
	if !usableID(id) {
		return Rule{}, &Error{Kind: BadRequest, Op: op, Message: "the rule id is not usable", Hint: "check the rule id"}
	}
	sets, err := c.all(ctx, op, forEvents, "/v2/rulesets", "", "rulesets")
	if err != nil {
		return Rule{}, err
	}
	for _, raw := range sets {
		o, err := decodeObject(raw)
		set := o.id("id")
		if err != nil || set == "" || !holdsRule(o, id) {
			continue
		}
		body, err := c.get(ctx, op, forEvents, true, "/v2/rulesets/"+url.PathEscape(set)+"/rules/"+url.PathEscape(id), "")
		if err != nil {
			return Rule{}, err
		}
		return decodeRule(body, set, id)
	}
	return Rule{}, &Error{Kind: NotFound, Op: op, Message: "no ruleset holds the rule " + clip(id, maxID),
		Hint: "check the rule id, and that the API user may see its ruleset"}
}

// holdsRule looks in each spelling of a ruleset's list of rules.
func holdsRule(ruleset object, id string) bool {
	for _, key := range []string{"rules", "rulesIds", "ruleIds"} {
		list, _ := elements(ruleset[key])
		for _, el := range list {
			if s, ok := scalar(el); ok && s == id {
				return true
			}
			if o, err := decodeObject(el); err == nil && o.str("id") == id {
				return true
			}
		}
	}
	return false
}

func decodeRule(body []byte, set, id string) (Rule, error) {
	o, err := decodeObject(body)
	if err == nil && o.str("id") != id {
		err = errors.New("it is another rule")
	}
	if err != nil {
		return Rule{}, &Error{Kind: BadAnswer, Op: "find rule", Status: http.StatusOK,
			Message: "the rule could not be read: " + err.Error(), Hint: "check the rule id"}
	}
	r := Rule{
		ID: id, RulesetID: cmp.Or(o.id("rulesetId"), set), Name: o.text("name"), Title: o.text("title"),
		Enabled: o.bool("enabled"),
	}
	if n, _, ok := o.integer("severityOfAlerts", 1, 3); ok {
		r.Severity = int(n)
	}
	if n, _, ok := o.integer("window", 0, 365*86400); ok {
		r.Window = time.Duration(n) * time.Second
	}
	for _, f := range o.strs("aggregateFields", maxFields) {
		r.Aggregates = append(r.Aggregates, clip(f, 64))
	}
	slices.Sort(r.Aggregates)
	return r, nil
}
