package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// Ruleset is a named set of rules.
type Ruleset struct {
	ID          string
	Name        string
	Description string
	AgentIDs    []string // the agents it is applied to; none: all
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Rule is a rule of a ruleset, as the API shows it.
type Rule struct {
	ID               string   `json:"id"`
	RulesetID        string   `json:"rulesetId"`
	Name             string   `json:"name"`
	Type             string   `json:"type"` // Host, File, CloudTrail, ThreatIntel, …
	Title            string   `json:"title"`
	Severity         int      `json:"severityOfAlerts"`
	AlertDescription string   `json:"alertDescription"`
	AggregateFields  []string `json:"aggregateFields"`
	Filter           string   `json:"filter"`
	Window           int      `json:"window"` // seconds
	Threshold        int      `json:"threshold"`
	Suppressions     []string `json:"suppressions"`
	Enabled          bool     `json:"enabled"`

	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

func (s *ThreatStack) rulesetJSON(rs Ruleset, f ThreatStackFaults) object {
	ids := []string{}
	for _, r := range s.rules {
		if r.RulesetID == rs.ID {
			ids = append(ids, r.ID)
		}
	}
	key := f.RulesKey
	if key == "" {
		key = "rules"
	}
	o := object{"id": rs.ID, "name": rs.Name, "createdAt": rs.CreatedAt.Format(wireTime), "updatedAt": rs.UpdatedAt.Format(wireTime), key: ids}
	o.text(f, "description", rs.Description)
	return o.extra(f)
}

func (r Rule) json(f ThreatStackFaults) object {
	o := object{"id": r.ID, "rulesetId": r.RulesetID, "name": r.Name, "type": r.Type, "title": r.Title, "severityOfAlerts": r.Severity,
		"aggregateFields": texts(r.AggregateFields), "filter": r.Filter, "window": r.Window, "threshold": r.Threshold,
		"suppressions": texts(r.Suppressions), "enabled": r.Enabled,
		"createdAt": r.CreatedAt.Format(wireTime), "updatedAt": r.UpdatedAt.Format(wireTime)}
	o.text(f, "alertDescription", r.AlertDescription)
	return o.extra(f)
}

func (s *ThreatStack) listRulesets(r *http.Request, x exchange) reply {
	agent := r.URL.Query().Get("agentId")
	if _, known := s.agents[agent]; agent != "" && !known {
		return refusal(http.StatusBadRequest, "agentId is not valid")
	}
	items := []any{}
	for _, rs := range s.rulesets {
		if agent == "" || named(rs.AgentIDs, agent) {
			items = append(items, s.rulesetJSON(rs, x.faults))
		}
	}
	if len(items) == 0 {
		return refusal(http.StatusNotFound, "No rulesets found")
	}
	return ok(object{"rulesets": items})
}

// ruleset gives the ruleset that the path names, or the answer that it is not known.
func (s *ThreatStack) ruleset(r *http.Request) (Ruleset, *reply) {
	i := slices.IndexFunc(s.rulesets, func(rs Ruleset) bool { return rs.ID == r.PathValue("ruleset") })
	if i < 0 {
		no := refusal(http.StatusNotFound, "Ruleset not found")
		return Ruleset{}, &no
	}
	return s.rulesets[i], nil
}

// rule gives the rule that the path names, or the answer that it is not known.
func (s *ThreatStack) rule(r *http.Request) (Rule, *reply) {
	rs, no := s.ruleset(r)
	if no != nil {
		return Rule{}, no
	}
	i := slices.IndexFunc(s.rules, func(rule Rule) bool { return rule.ID == r.PathValue("rule") && rule.RulesetID == rs.ID })
	if i < 0 {
		no := refusal(http.StatusNotFound, "Rule not found")
		return Rule{}, &no
	}
	return s.rules[i], nil
}

func (s *ThreatStack) getRuleset(r *http.Request, x exchange) reply {
	rs, no := s.ruleset(r)
	if no != nil {
		return *no
	}
	return ok(s.rulesetJSON(rs, x.faults))
}

func (s *ThreatStack) listRules(r *http.Request, x exchange) reply {
	rs, no := s.ruleset(r)
	if no != nil {
		return *no
	}
	items := []any{}
	for _, rule := range s.rules {
		if rule.RulesetID == rs.ID {
			items = append(items, rule.json(x.faults))
		}
	}
	return ok(object{"rules": items})
}

func (s *ThreatStack) getRule(r *http.Request, x exchange) reply {
	rule, no := s.rule(r)
	if no != nil {
		return *no
	}
	return ok(rule.json(x.faults))
}

func (s *ThreatStack) createRule(r *http.Request, x exchange) reply {
	rs, no := s.ruleset(r)
	if no != nil {
		return *no
	}
	rule := Rule{}
	if no := rule.read(x.body); no != nil {
		return *no
	}
	rule.ID, rule.RulesetID = uuid(s.rng), rs.ID
	rule.CreatedAt, rule.UpdatedAt = time.Time{}, time.Time{}
	s.putRule(rule)
	return reply{http.StatusCreated, s.rules[len(s.rules)-1].json(x.faults)}
}

func (s *ThreatStack) updateRule(r *http.Request, x exchange) reply {
	old, no := s.rule(r)
	if no != nil {
		return *no
	}
	rule := old
	if no := rule.read(x.body); no != nil {
		return *no
	}
	rule.ID, rule.RulesetID = old.ID, old.RulesetID
	rule.CreatedAt, rule.UpdatedAt = old.CreatedAt, milliseconds(time.Now())
	s.putRule(rule)
	return ok(rule.json(x.faults))
}

// read takes the fields that a body names, or gives the answer that they are
// not valid.
func (r *Rule) read(body []byte) *reply {
	// The slices must not be read into those of the rule as it was.
	r.AggregateFields, r.Suppressions = slices.Clone(r.AggregateFields), slices.Clone(r.Suppressions)
	problem := ""
	switch err := json.Unmarshal(body, r); {
	case err != nil:
		problem = "is not valid JSON."
	case r.Name == "":
		problem = invalidRule("name")
	case r.Title == "":
		problem = invalidRule("title")
	case r.Type == "":
		problem = invalidRule("type")
	case r.Severity < 1 || r.Severity > 3:
		problem = invalidRule("severityOfAlerts")
	case r.AlertDescription == "" || utf8.RuneCountInString(r.AlertDescription) > 300:
		problem = invalidRule("alertDescription") + "  Must be between 1 and 300 characters long."
	default:
		return nil
	}
	no := refusal(http.StatusBadRequest, "Validation failed: body %s", problem)
	return &no
}

func invalidRule(field string) string { return fmt.Sprintf("has invalid %s value.", field) }
