package sim

import (
	"slices"
	"time"
)

// EC2Faults are the ways in which an [EC2] misbehaves. The zero value is a
// server that does not.
type EC2Faults struct {
	// Actions limits every Chance below to these actions. None: all of them.
	Actions []string `json:"actions,omitempty"`

	Throttle Chance `json:"throttle,omitzero"` // RequestLimitExceeded, 503; nothing happened
	// Internal and InternalApplied answer InternalError, 500: before and after the
	// effect.
	Internal        Chance `json:"internal,omitzero"`
	InternalApplied Chance `json:"internal_applied,omitzero"`
	// Reset and Lost break the connection: before and after the effect.
	Reset Chance `json:"reset,omitzero"`
	Lost  Chance `json:"lost,omitzero"`
	// Late breaks the connection of a write, which takes effect LateBy later.
	Late   Chance        `json:"late,omitzero"`
	LateBy time.Duration `json:"late_by,omitempty"`

	// Stale lets DescribeNetworkAcls answer what was true up to StaleBy ago, and
	// exactly StaleBy ago with StaleExact.
	Stale      Chance        `json:"stale,omitzero"`
	StaleBy    time.Duration `json:"stale_by,omitempty"`
	StaleExact bool          `json:"stale_exact,omitempty"`

	Latency       time.Duration `json:"latency,omitempty"`        // before the effect
	AnswerLatency time.Duration `json:"answer_latency,omitempty"` // after it

	// Denied are actions that IAM does not allow: UnauthorizedOperation, 403
	// (Service Quotas: AccessDeniedException, 400).
	Denied  []string `json:"denied,omitempty"`
	Expired bool     `json:"expired,omitempty"` // the credentials have expired: RequestExpired (STS: ExpiredToken)
	// SkewCode is answered for a signature time that is off, in place of
	// RequestExpired (too old) and AuthFailure (too new).
	SkewCode string `json:"skew_code,omitempty"`
}

func (f EC2Faults) clone() EC2Faults {
	f.Actions, f.Denied = slices.Clone(f.Actions), slices.Clone(f.Denied)
	return f
}

// Faults gives the faults now set; a Chance counts down as it strikes.
func (s *EC2) Faults() EC2Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults.clone()
}

// SetFaults sets the faults, in place of those set before.
func (s *EC2) SetFaults(f EC2Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f.clone()
}

// fate is what becomes of one request.
type fate uint8

const (
	served fate = iota
	throttled
	failed        // 500, not applied
	failedApplied // 500, applied
	reset         // connection broken, not applied
	lost          // connection broken, applied
	late          // connection broken, applied later
)

// draw decides the fate of a request, the first fault that strikes.
func (s *EC2) draw(action string) fate {
	f := &s.faults
	if !named(f.Actions, action) {
		return served
	}
	chances := []struct {
		chance *Chance
		fate   fate
	}{
		{&f.Throttle, throttled}, {&f.Internal, failed}, {&f.InternalApplied, failedApplied},
		{&f.Reset, reset}, {&f.Lost, lost}, {&f.Late, late},
	}
	for _, c := range chances {
		if c.fate == late && !isWrite(action) {
			continue
		}
		if c.chance.strikes(s.rng) {
			return c.fate
		}
	}
	return served
}

// seenAt gives the time whose state a describe answers.
func (s *EC2) seenAt(now time.Time, action string) time.Time {
	f := &s.faults
	if f.StaleBy <= 0 || !named(f.Actions, action) || !f.Stale.strikes(s.rng) {
		return now
	}
	if f.StaleExact {
		return now.Add(-f.StaleBy)
	}
	return now.Add(-time.Duration(s.rng.Int64N(int64(f.StaleBy) + 1)))
}

// bucket is a token bucket of one action.
type bucket struct {
	tokens float64
	at     time.Time
}

// take tells whether the action has a request left in its bucket.
func (s *EC2) take(action string, now time.Time) bool {
	if !s.config.Buckets {
		return true
	}
	size, refill := 100.0, 20.0
	if isWrite(action) {
		size, refill = 50, 5
	}
	b, ok := s.buckets[action]
	if !ok {
		b = &bucket{tokens: size, at: now}
		s.buckets[action] = b
	}
	b.tokens = min(size, b.tokens+refill*now.Sub(b.at).Seconds())
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
