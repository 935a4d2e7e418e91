package alert

import (
	"fmt"
	"net/netip"
	"time"
)

// Direction tells on which end of the traffic an address stands.
type Direction uint8

const (
	// Outbound: the address is a destination that one of our hosts spoke to.
	Outbound Direction = iota + 1
	// Inbound: the address is a source that spoke to one of our hosts.
	Inbound
)

// String gives outbound or inbound.
func (d Direction) String() string {
	switch d {
	case Outbound:
		return "outbound"
	case Inbound:
		return "inbound"
	}
	return fmt.Sprintf("Direction(%d)", uint8(d))
}

// MarshalText gives the word of String.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the word of String; any other text is an error.
func (d *Direction) UnmarshalText(b []byte) error {
	switch string(b) {
	case "outbound":
		*d = Outbound
	case "inbound":
		*d = Inbound
	default:
		return fmt.Errorf("direction %q is neither outbound nor inbound", b)
	}
	return nil
}

// Indicator is one address found in an alert, with its direction and evidence.
type Indicator struct {
	Addr      netip.Addr `json:"addr"`
	Direction Direction  `json:"direction"`
	// Evidence is sorted by time, newest first; at most MaxEvidence are kept.
	Evidence []Evidence `json:"evidence,omitempty"`
	// Events counts the events that name the address, those beyond Evidence
	// included. It is 0 when only the alert's fields name it so far.
	Events int `json:"events,omitempty"`
	// ProbeOnly says that every event that names the address is a connect to
	// port 0, which carries no traffic.
	ProbeOnly bool `json:"probe_only,omitempty"`
}

// MaxEvidence bounds the evidence kept for one indicator.
const MaxEvidence = 8

// Evidence is what one event says about an address.
type Evidence struct {
	Event     string     `json:"event,omitempty"`
	Time      time.Time  `json:"time"`
	Peer      netip.Addr `json:"peer"` // our own end, invalid when the event does not name it
	Port      int        `json:"port"` // of the remote end, NoPort when absent
	Protocol  Text       `json:"protocol,omitempty"`
	Host      Text       `json:"host,omitempty"`
	Container Text       `json:"container,omitempty"`
	Image     Text       `json:"image,omitempty"`
	Process   Text       `json:"process,omitempty"`
	Command   Text       `json:"command,omitempty"`
	User      Text       `json:"user,omitempty"`
	PID       int        `json:"pid,omitempty"`
}
