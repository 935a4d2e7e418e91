// Package policy says what shall become of an indicator: a [Verdict], and what
// may never be blocked: the [Guard].
//
// Judge looks at one alert and one of its indicators and answers ignore, refuse,
// ask or auto, with the ACLs that are concerned, a time to live, a weight, and
// reasons that an operator can read. Guard is asked when a block is proposed and
// again in the same function as every create and replace; it knows nothing of
// modes, approvals or journals, so none of them can talk it round.
//
// A Policy never changes. With… methods give a changed copy, so that the engine
// can hand one value to several goroutines.
//
// The package is pure: no I/O, no clock, sorted output.
package policy

import (
	"fmt"
	"net/netip"
	"time"

	"selfprotect/alert"
)

// Mode tells how far the program goes by itself.
type Mode uint8

const (
	// Observe proposes nothing: alerts and verdicts are shown and recorded.
	Observe Mode = iota + 1
	// Review proposes, and a person approves each block.
	Review
	// Auto blocks by itself, within limits.
	Auto
)

// String gives observe, review or auto.
func (m Mode) String() string {
	switch m {
	case Observe:
		return "observe"
	case Review:
		return "review"
	case Auto:
		return "auto"
	}
	return "unset"
}

// ParseMode reads the word of String.
func ParseMode(s string) (Mode, error) {
	switch s {
	case "observe":
		return Observe, nil
	case "review":
		return Review, nil
	case "auto":
		return Auto, nil
	}
	return 0, fmt.Errorf("mode %q is none of observe, review, auto", s)
}

// MarshalText gives the word of String.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the word of String; any other text is an error.
func (m *Mode) UnmarshalText(b []byte) (err error) {
	*m, err = ParseMode(string(b))
	return err
}

// Action is what policy wants done about an indicator.
type Action uint8

const (
	// Ignore: nothing to do, the reasons say why.
	Ignore Action = iota + 1
	// Refuse: the guard forbids it, whatever anybody approves.
	Refuse
	// Ask: propose it, a person decides.
	Ask
	// Block: block it without asking.
	Block
)

// String gives ignore, refuse, ask or auto.
func (a Action) String() string {
	switch a {
	case Ignore:
		return "ignore"
	case Refuse:
		return "refuse"
	case Ask:
		return "ask"
	case Block:
		return "auto"
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Verdict is what policy says of one indicator of one alert.
type Verdict struct {
	Action Action
	// Prefix is what would be denied: the address alone, /32 or /128.
	Prefix netip.Prefix
	// Targets are the ACLs that would get entries, sorted by id.
	Targets []Target
	// TTL is how long a first block lives; the block list doubles it for repeats.
	TTL time.Duration
	// Weight ranks the block when slots are scarce; larger is kept first.
	Weight int
	// Reasons are short sentences without a full stop, most important first.
	Reasons []string
	// Observing says that nothing but observe mode stands against asking or blocking.
	Observing bool
}

// Target is one ACL and the directions in which it takes entries.
type Target struct {
	ACL        string            `json:"acl"`
	Directions []alert.Direction `json:"directions"`
}

// Watch is one watched rule.
type Watch struct {
	RuleID string
	Name   string        // for people; may be empty
	Mode   Mode          // 0: the mode for all
	TTL    time.Duration // 0: the default
	Weight int           // 0: 10
	ACLs   []string      // empty: all targets
}

// Config is what a Policy is made from.
type Config struct {
	Mode    Mode
	Watches []Watch
	Targets []Target // every configured ACL
	TTL     time.Duration
	Guard   *Guard
}
