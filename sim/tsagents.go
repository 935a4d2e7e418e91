package sim

import (
	"net/http"
	"strings"
	"time"
)

// Agent is a host that reports events, as the API shows it.
type Agent struct {
	ID             string
	InstanceID     string
	Status         string // online or offline; empty: online
	CreatedAt      time.Time
	LastReportedAt time.Time // zero: just now
	Version        string
	Name           string
	Description    string
	Hostname       string
	AgentType      string // monitor or investigate
	OSVersion      string
	Kernel         string
	// Addresses as found on the host; those may carry a prefix length, and repeat.
	Private, LinkLocal, Public []string
	Tags                       []Tag
}

// Tag is a tag of an agent.
type Tag struct {
	Source string `json:"source"`
	Key    string `json:"key"`
	Value  string `json:"value"`
}

func (a Agent) json(f ThreatStackFaults) object {
	o := object{"id": a.ID, "status": a.Status, "createdAt": a.CreatedAt.Format(wireTime),
		"lastReportedAt": orTime(a.LastReportedAt, milliseconds(time.Now())).Format(wireTime), "version": a.Version, "hostname": a.Hostname, "agentType": a.AgentType}
	o.text(f, "instanceId", a.InstanceID)
	o.text(f, "name", a.Name)
	o.text(f, "description", a.Description)
	o.text(f, "osVersion", a.OSVersion)
	o.text(f, "kernel", a.Kernel)
	o.optional(f, "tags", a.Tags, a.Tags != nil)
	addresses := object{"private": texts(a.Private), "link_local": texts(a.LinkLocal), "public": texts(a.Public)}
	o.optional(f, "ipAddresses", addresses, len(a.Private)+len(a.LinkLocal)+len(a.Public) > 0)
	return o.extra(f)
}

// texts gives a list that is never null.
func texts(list []string) []string { return append([]string{}, list...) }

func (s *ThreatStack) listAgents(r *http.Request, x exchange) reply {
	q, token, err := resume(r.URL.Query(), s.config.APIKey)
	if err != nil {
		return refusal(http.StatusBadRequest, "%s", err)
	}
	status := q.Get("status")
	if status != "online" && status != "offline" {
		return refusal(http.StatusBadRequest, "status must be one of online, offline")
	}
	if kind := q.Get("type"); kind != "" && kind != "monitor" && kind != "investigate" {
		return refusal(http.StatusBadRequest, "type must be one of monitor, investigate")
	}
	created, err := parseSpan(q, x.faults)
	if err != nil {
		return refusal(http.StatusBadRequest, "%s", err)
	}
	var found []Agent
	for _, a := range s.agents {
		if a.Status == status && created.holds(a.CreatedAt) &&
			(!q.Has("type") || q.Get("type") == a.AgentType) && (!q.Has("hostname") || strings.EqualFold(q.Get("hostname"), a.Hostname)) {
			found = append(found, a)
		}
	}
	p := page(s, found, token, x.faults, func(a Agent) string { return orderKey(x.faults.Order, a.CreatedAt, a.ID) })
	items := []any{}
	for _, a := range p.items {
		items = append(items, a.json(x.faults))
	}
	return listReply("agents", items, p.token, x.faults)
}

func (s *ThreatStack) getAgent(r *http.Request, x exchange) reply {
	a, found := s.agents[r.PathValue("id")]
	if !found {
		return refusal(http.StatusNotFound, "Agent not found")
	}
	return ok(a.json(x.faults))
}
