package sim

import (
	"slices"
	"time"
)

// Orders of a list of alerts; the API documents none.
const (
	NewestFirst = "newest"
	OldestFirst = "oldest"
	Shuffled    = "shuffled"
)

// Ends of a list: what the last page says in place of a token.
const (
	TokenNull   = "null"
	TokenEmpty  = "empty"
	TokenAbsent = "absent"
)

// ThreatStackFaults are the ways in which a [ThreatStack] misbehaves, and the
// choices that its documentation leaves open. The zero value is a server that
// does not misbehave and makes the usual choices.
type ThreatStackFaults struct {
	// Endpoints limits every Chance below to these endpoints, named as in
	// [RequestCounts]. None: all of them.
	Endpoints []string `json:"endpoints,omitempty"`

	Error        Chance `json:"error,omitzero"`         // ErrorStatus with a JSON body; nothing happened
	ErrorApplied Chance `json:"error_applied,omitzero"` // the same after the effect
	Lost         Chance `json:"lost,omitzero"`          // connection broken after the effect, before the answer
	ErrorStatus  int    `json:"error_status,omitempty"` // 500
	TooMany      Chance `json:"too_many,omitzero"`      // 429, whatever is left of the budget
	Reset        Chance `json:"reset,omitzero"`         // connection broken before the answer
	Abort        Chance `json:"abort,omitzero"`         // connection broken in the middle of the body
	Truncate     Chance `json:"truncate,omitzero"`      // half a JSON text, in a complete answer
	HTML         Chance `json:"html,omitzero"`          // 200 with a page, as proxies do
	Unauthorized Chance `json:"unauthorized,omitzero"`  // 401 for a good request
	// Forbidden answers 403 to every request, as for a user without access,
	// ReadOnly to every write, as for a user with the role Reader.
	Forbidden bool          `json:"forbidden,omitempty"`
	ReadOnly  bool          `json:"read_only,omitempty"`
	Latency   time.Duration `json:"latency,omitempty"`

	// Of the signatures.
	Unsigned          bool          `json:"unsigned,omitempty"` // no Server-Authorization
	WrongMAC          bool          `json:"wrong_mac,omitempty"`
	WrongHash         bool          `json:"wrong_hash,omitempty"`
	NoChallenge       bool          `json:"no_challenge,omitempty"`       // no WWW-Authenticate
	ClockOffset       time.Duration `json:"clock_offset,omitempty"`       // of the server's clock, for Hawk only
	OrganizationError int           `json:"organization_error,omitempty"` // status for a wrong organization: 401

	// Of the lists.
	Order           string `json:"order,omitempty"`            // NewestFirst
	TokenEnd        string `json:"token_end,omitempty"`        // TokenNull
	TokenLoop       bool   `json:"token_loop,omitempty"`       // the token leads back to its own page
	OffsetTokens    bool   `json:"offset_tokens,omitempty"`    // pages shift when alerts come and go
	ExclusiveBounds bool   `json:"exclusive_bounds,omitempty"` // from and until themselves do not count
	RulesKey        string `json:"rules_key,omitempty"`        // of a ruleset's rule ids: rules; else rulesIds

	// Of the shapes.
	ExtraKeys       bool `json:"extra_keys,omitempty"`
	Nulls           bool `json:"nulls,omitempty"`            // null for each optional key that has no value, in place of no key
	AggregatesArray bool `json:"aggregates_array,omitempty"` // [{"fieldName":…,"value":…}] in place of an object
	PortStrings     bool `json:"port_strings,omitempty"`
	ContainerSnake  bool `json:"container_snake,omitempty"` // container_id in place of containerId
}

// Faults gives the faults now set; a Chance counts down as it strikes.
func (s *ThreatStack) Faults() ThreatStackFaults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults.clone()
}

// SetFaults sets the faults, in place of those set before.
func (s *ThreatStack) SetFaults(f ThreatStackFaults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f.clone()
}

func (f ThreatStackFaults) clone() ThreatStackFaults {
	f.Endpoints = slices.Clone(f.Endpoints)
	return f
}

// mishap is what goes wrong with one answer.
type mishap uint8

const (
	none mishap = iota
	serverError
	tooMany
	resetConnection
	abortBody
	truncateBody
	htmlBody
	unauthorized
	serverErrorApplied
	lostAnswer
)

// draw decides what goes wrong with a request, the first fault that strikes.
func (s *ThreatStack) draw(endpoint string) mishap {
	f := &s.faults
	if !named(f.Endpoints, endpoint) {
		return none
	}
	chances := []struct {
		chance *Chance
		mishap mishap
	}{
		{&f.Error, serverError}, {&f.TooMany, tooMany}, {&f.Reset, resetConnection}, {&f.Abort, abortBody},
		{&f.Truncate, truncateBody}, {&f.HTML, htmlBody}, {&f.Unauthorized, unauthorized},
		{&f.ErrorApplied, serverErrorApplied}, {&f.Lost, lostAnswer},
	}
	for _, c := range chances {
		if c.chance.strikes(s.rng) {
			return c.mishap
		}
	}
	return none
}
