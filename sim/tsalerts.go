package sim

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Alert is one alert as the API shows it.
type Alert struct {
	ID         string            `json:"id"`
	Title      string            `json:"title"`
	DataSource string            `json:"dataSource"`
	CreatedAt  time.Time         `json:"createdAt"`
	Severity   int               `json:"severity"` // 1 is worst; 0 stands for 3
	AgentID    string            `json:"agentId"`
	RuleID     string            `json:"ruleId"`
	RulesetID  string            `json:"rulesetId"`
	Aggregates map[string]string `json:"aggregates"`
	// Raw is served in place of all this; the fields above still decide what
	// lists hold it. It must be JSON.
	Raw json.RawMessage `json:"raw"`
}

type liveAlert struct {
	Alert
	events  []Event
	dismiss *dismissal // nil: active
}

type dismissal struct {
	due              time.Time
	ids              []string
	reason, text, by string
}

// settle makes the dismissals that are due.
func (s *ThreatStack) settle(now time.Time) {
	s.dismissals = slices.DeleteFunc(s.dismissals, func(d dismissal) bool {
		if d.due.After(now) {
			return false
		}
		for _, id := range d.ids {
			if a, ok := s.alerts[id]; ok && a.dismiss == nil {
				a.dismiss = &d
			}
		}
		return true
	})
}

// json gives the wire form of an alert.
func (a *liveAlert) json(f ThreatStackFaults) any {
	if a.Raw != nil {
		return a.Raw
	}
	o := object{"id": a.ID, "title": a.Title, "createdAt": a.CreatedAt.Format(wireTime), "severity": a.Severity, "isDismissed": a.dismiss != nil}
	o.text(f, "dataSource", a.DataSource)
	o.text(f, "agentId", a.AgentID)
	o.text(f, "ruleId", a.RuleID)
	o.text(f, "rulesetId", a.RulesetID)
	var aggregates any = a.Aggregates
	if f.AggregatesArray {
		list := []any{}
		for _, name := range slices.Sorted(maps.Keys(a.Aggregates)) {
			list = append(list, object{"fieldName": name, "value": a.Aggregates[name]})
		}
		aggregates = list
	}
	o.optional(f, "aggregates", aggregates, a.Aggregates != nil)
	d := dismissal{}
	if a.dismiss != nil {
		d = *a.dismiss
	}
	o.optional(f, "dismissedAt", d.due.UTC().Format(wireTime), a.dismiss != nil)
	o.text(f, "dismissReason", d.reason)
	o.text(f, "dismissReasonText", d.text)
	o.text(f, "dismissedBy", d.by)
	return o.extra(f)
}

// wanted gives the filter that the parameters of a list of alerts make.
func wanted(q url.Values, f ThreatStackFaults) (func(*liveAlert) bool, string) {
	status := q.Get("status")
	if status != "active" && status != "dismissed" {
		return nil, "status must be one of active, dismissed"
	}
	severity := 0
	if q.Has("severity") {
		severity, _ = strconv.Atoi(q.Get("severity"))
		if severity < 1 || severity > 3 {
			return nil, "severity must be one of 1, 2, 3"
		}
	}
	created, err := parseSpan(q, f)
	if err != nil {
		return nil, err.Error()
	}
	is := func(name, value string) bool { return !q.Has(name) || q.Get(name) == value }
	return func(a *liveAlert) bool {
		return (a.dismiss != nil) == (status == "dismissed") && (severity == 0 || a.Severity == severity) &&
			is("agentId", a.AgentID) && is("ruleId", a.RuleID) && is("rulesetId", a.RulesetID) && created.holds(a.CreatedAt)
	}, ""
}

func (s *ThreatStack) listAlerts(r *http.Request, x exchange) reply {
	q, token, err := resume(r.URL.Query(), s.config.APIKey)
	if err != nil {
		return refusal(http.StatusBadRequest, "%s", err)
	}
	keep, problem := wanted(q, x.faults)
	if problem != "" {
		return refusal(http.StatusBadRequest, "%s", problem)
	}
	oldest := time.Now().Add(-s.config.Retention)
	var found []*liveAlert
	for _, a := range s.alerts {
		if !a.CreatedAt.Before(oldest) && keep(a) {
			found = append(found, a)
		}
	}
	p := page(s, found, token, x.faults, func(a *liveAlert) string { return orderKey(x.faults.Order, a.CreatedAt, a.ID) })
	items := []any{}
	for _, a := range p.items {
		items = append(items, a.json(x.faults))
	}
	return listReply("alerts", items, p.token, x.faults)
}

func (s *ThreatStack) getAlert(r *http.Request, x exchange) reply {
	a, found := s.alerts[r.PathValue("id")]
	if !found {
		return refusal(http.StatusNotFound, "Alert not found")
	}
	return ok(a.json(x.faults))
}

func (s *ThreatStack) listEvents(r *http.Request, x exchange) reply {
	a, found := s.alerts[r.PathValue("id")]
	if !found {
		return refusal(http.StatusNotFound, "Alert not found")
	}
	items := []any{}
	for _, e := range a.events {
		items = append(items, e.json(s.config.OrganizationID, x.faults))
	}
	return ok(object{"events": items})
}

func (s *ThreatStack) severityCounts(r *http.Request, x exchange) reply {
	created, err := parseSpan(r.URL.Query(), x.faults)
	if err != nil {
		return refusal(http.StatusBadRequest, "%s", err)
	}
	counts := [4]int{}
	for _, a := range s.alerts {
		if a.dismiss == nil && created.holds(a.CreatedAt) && a.Severity < len(counts) {
			counts[a.Severity]++
		}
	}
	list := []any{}
	for severity := 1; severity < len(counts); severity++ {
		list = append(list, object{"severity": severity, "count": counts[severity]})
	}
	return ok(object{"severityCounts": list})
}

// dismissRequest is both forms of the body: by ids, or by a query.
type dismissRequest struct {
	IDs      []string `json:"ids"`
	From     string   `json:"from"`
	Until    string   `json:"until"`
	Severity int      `json:"severity"`
	RuleID   string   `json:"ruleID"`
	AgentID  string   `json:"agentID"`
	Reason   string   `json:"dismissReason"`
	Text     string   `json:"dismissReasonText"`
}

const maxDismissals = 512

func (d dismissRequest) problem() string {
	switch {
	case !slices.Contains([]string{"BUSINESS_OP", "COMPANY_POLICY", "MAINTENANCE", "OTHER"}, d.Reason):
		return "Validation failed: body has invalid dismissReason value."
	case (d.Reason == "OTHER") != (d.Text != ""):
		return "Validation failed: body has invalid dismissReasonText value."
	case len(d.IDs) > maxDismissals:
		return "Validation failed: body has too many ids."
	case len(d.IDs) > 0:
		return ""
	case d.From == "" || d.Until == "" || d.Severity == 0 && d.RuleID == "" && d.AgentID == "":
		return "Validation failed: body has neither ids nor a query."
	}
	return ""
}

func (s *ThreatStack) dismiss(_ *http.Request, x exchange) reply {
	var d dismissRequest
	if err := json.Unmarshal(x.body, &d); err != nil {
		return refusal(http.StatusBadRequest, "Validation failed: body is not valid JSON.")
	}
	if p := d.problem(); p != "" {
		return refusal(http.StatusBadRequest, "%s", p)
	}
	ids := d.IDs
	if len(ids) == 0 {
		created, err := parseSpan(url.Values{"from": {d.From}, "until": {d.Until}}, x.faults)
		if err != nil {
			return refusal(http.StatusBadRequest, "%s", err)
		}
		for id, a := range s.alerts {
			if created.holds(a.CreatedAt) && (d.Severity == 0 || a.Severity == d.Severity) &&
				(d.RuleID == "" || a.RuleID == d.RuleID) && (d.AgentID == "" || a.AgentID == d.AgentID) {
				ids = append(ids, id)
			}
		}
	}
	s.dismissals = append(s.dismissals, dismissal{time.Now().Add(s.config.DismissLag), ids, d.Reason, d.Text, s.config.UserID})
	return ok(object{})
}
