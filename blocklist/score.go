package blocklist

import (
	"fmt"
	"strings"
	"time"

	"selfprotect/policy"
)

// Score is what a block weighs when slots are scarce: one number for each reason,
// so that an operator can add it up.
type Score struct {
	Rule      int `json:"rule"`                // ten times the weight of the watch
	Severity  int `json:"severity,omitempty"`  // 20 for severity 1, 10 for severity 2
	Sightings int `json:"sightings,omitempty"` // 2 for each alert that names it after the first, up to 20
	Recency   int `json:"recency,omitempty"`   // 15, 10 or 5 when last named within 1, 6 or 24 hours
	Hosts     int `json:"hosts,omitempty"`     // 5 for each host after the first, up to 25
	Repeats   int `json:"repeats,omitempty"`   // 10 for each time it was blocked before, up to 50
	Missed    int `json:"missed,omitempty"`    // 10 for each alert that named it while it had no slot, up to 50
	// Pinned comes before every weight.
	Pinned bool `json:"pinned,omitempty"`
}

// Score gives the weight of the block at a time.
func (b Block) Score(now time.Time) Score {
	if b.Cover {
		return Score{Rule: b.Weight}
	}
	severity := policy.SeverityWeight(b.Severity)
	return Score{
		Rule:      b.Weight - severity,
		Severity:  severity,
		Sightings: 2 * min(max(b.Sightings-1, 0), 10),
		Recency:   recency(now, b.lastNamed()),
		Hosts:     5 * min(max(len(b.Hosts)-1, 0), 5),
		Repeats:   10 * min(b.Repeat, 5),
		Missed:    10 * min(b.Missed, 5),
		Pinned:    b.Pinned,
	}
}

func (b Block) lastNamed() time.Time {
	if b.LastSeen.After(b.ProposedAt) {
		return b.LastSeen
	}
	return b.ProposedAt
}

func recency(now, last time.Time) int {
	switch d := now.Sub(last); {
	case d < time.Hour:
		return 15
	case d < 6*time.Hour:
		return 10
	case d < 24*time.Hour:
		return 5
	}
	return 0
}

// Total adds the numbers up.
func (s Score) Total() int {
	return s.Rule + s.Severity + s.Sightings + s.Recency + s.Hosts + s.Repeats + s.Missed
}

// String gives the sum: "142 = rule 100 + severity 20 + sightings 12 + recency 10".
func (s Score) String() string {
	var parts []string
	for _, p := range []struct {
		name string
		n    int
	}{{"rule", s.Rule}, {"severity", s.Severity}, {"sightings", s.Sightings}, {"recency", s.Recency},
		{"hosts", s.Hosts}, {"repeats", s.Repeats}, {"missed", s.Missed}} {
		if p.n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", p.name, p.n))
		}
	}
	out := fmt.Sprint(s.Total())
	if len(parts) > 0 {
		out += " = " + strings.Join(parts, " + ")
	}
	if s.Pinned {
		out = "pinned, " + out
	}
	return out
}
