package threatstack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
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

	// Spec is what makes the rule, as the service has it: show its texts only cleaned.
	Spec RuleSpec
	raw  object
}

// RuleSpec is what makes a rule.
type RuleSpec struct {
	Name        string
	Type        string // Host, File, CloudTrail and so on
	Title       string // of its alerts; {{field}} is filled in
	Description string
	Severity    int // of its alerts, 1 is worst
	Aggregates  []string
	Filter      string
	Window      time.Duration
	Threshold   int
	Enabled     bool
}

// ruleBody is the form in which a rule is written.
type ruleBody struct {
	Name         string   `json:"name"`
	Type         string   `json:"type"`
	Title        string   `json:"title"`
	Severity     int      `json:"severityOfAlerts"`
	Description  string   `json:"alertDescription"`
	Aggregates   []string `json:"aggregateFields"`
	Filter       string   `json:"filter"`
	Window       int      `json:"window"` // seconds
	Threshold    int      `json:"threshold"`
	Suppressions []string `json:"suppressions"`
	Enabled      bool     `json:"enabled"`
}

// Ruleset is a set of rules.
type Ruleset struct {
	ID    string
	Name  alert.Text
	Rules []Rule // sorted by name, then id
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
		return c.ruleOf(ctx, op, set, id)
	}
	return Rule{}, &Error{Kind: NotFound, Op: op, Message: "no ruleset holds the rule " + clip(id, maxID),
		Hint: "check the rule id, and that the API user may see its ruleset"}
}

// ruleOf gives a rule of a known ruleset.
func (c *Client) ruleOf(ctx context.Context, op, set, id string) (Rule, error) {
	body, err := c.get(ctx, op, forEvents, true, rulePath(set, id), "")
	if err != nil {
		return Rule{}, err
	}
	return decodeRule(op, body, set, id)
}

func rulesPath(set string) string { return "/v2/rulesets/" + url.PathEscape(set) + "/rules" }

func rulePath(set, id string) string { return rulesPath(set) + "/" + url.PathEscape(id) }

// Rulesets gives every ruleset with its rules, sorted by name: one request, and
// one more for each ruleset. A rule that cannot be read is left out and counted
// in Status.
func (c *Client) Rulesets(ctx context.Context) ([]Ruleset, error) {
	const op = "list rules"
	sets, err := c.all(ctx, op, forEvents, "/v2/rulesets", "", "rulesets")
	if kindOf(err) == NotFound {
		return nil, nil // the service's word for none
	}
	if err != nil {
		return nil, err
	}
	var out []Ruleset
	for _, raw := range sets {
		o, err := decodeObject(raw)
		s := Ruleset{ID: o.id("id"), Name: o.text("name")}
		if err != nil || s.ID == "" {
			continue
		}
		if s.Rules, err = c.rulesOf(ctx, op, s.ID); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Ruleset) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

func (c *Client) rulesOf(ctx context.Context, op, set string) ([]Rule, error) {
	els, err := c.all(ctx, op, forEvents, rulesPath(set), "", "rules")
	if kindOf(err) == NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Rule
	for _, el := range els {
		r, err := decodeRule(op, el, set, "")
		if err != nil {
			c.noteError(err)
			continue
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Rule) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// NewRule is the request that makes a rule in a ruleset.
func NewRule(set string, s RuleSpec) (Request, error) {
	const op = "create rule"
	if !usableID(set) {
		return Request{}, &Error{Kind: BadRequest, Op: op, Message: "the ruleset id is not usable"}
	}
	body, err := indented(ruleBody{Name: s.Name, Type: s.Type, Title: s.Title, Severity: s.Severity, Description: s.Description,
		Aggregates: s.Aggregates, Filter: s.Filter, Window: int(s.Window / time.Second), Threshold: s.Threshold,
		Suppressions: []string{}, Enabled: s.Enabled})
	return Request{Method: http.MethodPost, Path: rulesPath(set), Body: body, op: op}, err
}

// Enable is the request that enables a rule as it was read. A rule is written
// whole, so everything else is sent back as it came, also what this package does
// not know.
func (r Rule) Enable() (Request, error) {
	o := object{}
	for k, v := range r.raw {
		switch k {
		case "id", "rulesetId", "createdAt", "updatedAt": // the service's own
		default:
			o[k] = v
		}
	}
	o["enabled"] = json.RawMessage("true")
	body, err := indented(o)
	return Request{Method: http.MethodPut, Path: rulePath(r.RulesetID, r.ID), Body: body, op: "enable rule"}, err
}

// indented is JSON that people can read, with no character escaped that need not be.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// WriteRule sends a request of NewRule or Enable, once, and gives the rule as the
// service has it now. For its errors see [MayHaveHappened].
func (c *Client) WriteRule(ctx context.Context, r Request) (Rule, error) {
	body, err := c.send(ctx, r, true)
	if err != nil {
		return Rule{}, err
	}
	return decodeRule(r.op, body, "", "")
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

// decodeRule reads a rule; an id that is not empty must be its own.
func decodeRule(op string, body []byte, set, id string) (Rule, error) {
	o, err := decodeObject(body)
	switch {
	case err == nil && o.id("id") == "":
		err = errors.New("no usable id")
	case err == nil && id != "" && o.str("id") != id:
		err = errors.New("it is another rule")
	}
	if err != nil {
		return Rule{}, &Error{Kind: BadAnswer, Op: op, Status: http.StatusOK,
			Message: "the rule could not be read: " + err.Error(), Hint: "check the rule id"}
	}
	r := Rule{
		ID: o.id("id"), RulesetID: cmp.Or(o.id("rulesetId"), set), Name: o.text("name"), Title: o.text("title"),
		Enabled: o.bool("enabled"), raw: o,
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
	r.Spec = RuleSpec{Name: o.str("name"), Type: o.str("type"), Title: o.str("title"), Description: o.str("alertDescription", "description"),
		Severity: r.Severity, Aggregates: r.Aggregates, Filter: o.str("filter"), Window: r.Window, Enabled: r.Enabled}
	if n, _, ok := o.integer("threshold", 0, 1<<31); ok {
		r.Spec.Threshold = int(n)
	}
	return r, nil
}
