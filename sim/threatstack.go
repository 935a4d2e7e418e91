package sim

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// ThreatStackConfig configures a [ThreatStack].
type ThreatStackConfig struct {
	OrganizationID string
	UserID         string
	APIKey         string
	// RequestsPerMinute is the budget of the organization in a rolling minute: 200.
	RequestsPerMinute int
	PageSize          int           // items on a page of a list: 100
	DismissLag        time.Duration // from a dismissal to its effect
	Retention         time.Duration // after which an alert is forgotten: 365 days
	Seed              uint64        // of faults that strike at a rate, and of ids
}

// ThreatStack is a Threat Stack API as an [http.Handler]. It is safe for
// concurrent use.
type ThreatStack struct {
	config ThreatStackConfig
	mux    *http.ServeMux

	mu         sync.Mutex
	rng        *rand.Rand
	faults     ThreatStackFaults
	rulesets   []Ruleset // in the order added
	rules      []Rule
	agents     map[string]Agent
	alerts     map[string]*liveAlert
	forgotten  time.Time
	dismissals []dismissal
	nonces     map[string]bool
	nonceOrder []seenNonce
	minute     []time.Time // requests of the last minute that counted
	counts     RequestCounts
}

// NewThreatStack gives a server without rules, agents or alerts.
func NewThreatStack(c ThreatStackConfig) *ThreatStack {
	c.RequestsPerMinute = cmp.Or(c.RequestsPerMinute, 200)
	c.PageSize = cmp.Or(c.PageSize, 100)
	c.Retention = cmp.Or(c.Retention, 365*24*time.Hour)
	s := &ThreatStack{
		config: c,
		mux:    http.NewServeMux(),
		rng:    seeded(c.Seed, purposeThreatStack),
		agents: map[string]Agent{},
		alerts: map[string]*liveAlert{},
		nonces: map[string]bool{},
		counts: RequestCounts{ByEndpoint: map[string]int{}},
	}
	s.routes()
	return s
}

// RequestCounts is what a [ThreatStack] was asked.
type RequestCounts struct {
	Total      int            `json:"total"`
	ByEndpoint map[string]int `json:"by_endpoint"` // such as "GET /v2/alerts/{id}/events"
	// Unauthorized and Limited count the answers 401 and 429.
	Unauthorized int `json:"unauthorized"`
	Limited      int `json:"limited"`
	// PerMinuteMax is the most authorized requests in any rolling minute, those
	// refused for the budget included.
	PerMinuteMax int `json:"per_minute_max"`

	arrivals []time.Time // of the last minute
}

// Requests gives the requests so far.
func (s *ThreatStack) Requests() RequestCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.ByEndpoint, c.arrivals = maps.Clone(c.ByEndpoint), nil
	return c
}

// charge counts an authorized request. It gives how many are left in the
// minute, and if there was none, the time until there is.
func (s *ThreatStack) charge(now time.Time) (left int, wait time.Duration) {
	s.counts.arrivals = append(within(s.counts.arrivals, now), now)
	s.counts.PerMinuteMax = max(s.counts.PerMinuteMax, len(s.counts.arrivals))
	s.minute = within(s.minute, now)
	if left = s.config.RequestsPerMinute - len(s.minute); left <= 0 {
		return 0, s.minute[0].Add(time.Minute).Sub(now)
	}
	s.minute = append(s.minute, now)
	return left - 1, 0
}

// within gives the times that lie less than a minute before now.
func within(times []time.Time, now time.Time) []time.Time {
	i := slices.IndexFunc(times, func(t time.Time) bool { return now.Sub(t) < time.Minute })
	if i < 0 {
		return nil
	}
	return times[i:]
}

// AddRuleset adds a ruleset, or replaces the one of that id.
func (s *ThreatStack) AddRuleset(rs Ruleset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := milliseconds(time.Now())
	rs.CreatedAt, rs.UpdatedAt = orTime(rs.CreatedAt, now), orTime(rs.UpdatedAt, now)
	s.rulesets = slices.DeleteFunc(s.rulesets, func(other Ruleset) bool { return other.ID == rs.ID })
	s.rulesets = append(s.rulesets, rs)
}

// AddRule adds a rule to its ruleset, or replaces the one of that id.
func (s *ThreatStack) AddRule(r Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putRule(r)
}

func (s *ThreatStack) putRule(r Rule) {
	now := milliseconds(time.Now())
	r.CreatedAt, r.UpdatedAt = orTime(r.CreatedAt, now), orTime(r.UpdatedAt, now)
	if i := slices.IndexFunc(s.rules, func(other Rule) bool { return other.ID == r.ID }); i >= 0 {
		s.rules[i] = r
		return
	}
	s.rules = append(s.rules, r)
}

// AddAgent adds an agent, or replaces the one of that id.
func (s *ThreatStack) AddAgent(a Agent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := milliseconds(time.Now())
	a.Status = cmp.Or(a.Status, "online")
	a.CreatedAt = orTime(a.CreatedAt, now)
	s.agents[a.ID] = a
}

// RemoveAgent revokes an agent: its alerts stay, its id is unknown.
func (s *ThreatStack) RemoveAgent(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.agents, id)
}

// AddAlert adds an alert and gives its id. An alert without an id gets one, and
// one without a time of creation fires now.
func (s *ThreatStack) AddAlert(a Alert) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.forget(now)
	if a.ID == "" {
		a.ID = uuid(s.rng)
	}
	a.CreatedAt = milliseconds(orTime(a.CreatedAt, now))
	a.Severity = cmp.Or(a.Severity, 3)
	s.alerts[a.ID] = &liveAlert{Alert: a}
	return a.ID
}

// forget drops the alerts that are older than is kept, now and then.
func (s *ThreatStack) forget(now time.Time) {
	if now.Sub(s.forgotten) < time.Hour {
		return
	}
	s.forgotten = now
	maps.DeleteFunc(s.alerts, func(_ string, a *liveAlert) bool { return now.Sub(a.CreatedAt) > s.config.Retention })
}

// AddEvent adds an event to an alert, which may be old. An event without an id,
// time or agent gets one; it tells whether the alert is known.
func (s *ThreatStack) AddEvent(alertID string, e Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.alerts[alertID]
	if !ok {
		return false
	}
	if e.ID == "" {
		e.ID = uuid(s.rng)
	}
	e.Time = milliseconds(orTime(e.Time, time.Now()))
	e.AgentID = cmp.Or(e.AgentID, a.AgentID)
	a.events = append(a.events, e)
	return true
}

// Dismiss lets a person dismiss alerts, at once.
func (s *ThreatStack) Dismiss(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dismissals = append(s.dismissals, dismissal{due: time.Now(), ids: ids, reason: "BUSINESS_OP", by: s.config.UserID})
}

// Alerts gives the ids of the alerts that are kept, oldest first.
func (s *ThreatStack) Alerts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.SortedFunc(maps.Values(s.alerts), func(a, b *liveAlert) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	var ids []string
	for _, a := range all {
		ids = append(ids, a.ID)
	}
	return ids
}

func orTime(t, or time.Time) time.Time {
	if t.IsZero() {
		return or
	}
	return t
}

// milliseconds cuts a time to what the wire carries.
func milliseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
