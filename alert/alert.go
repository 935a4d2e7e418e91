// Package alert holds what a source found: an [Alert], its [Event] list, and
// the [Indicator] values in them.
//
// The protocol is one way. A source decodes its wire form into an Alert; every
// text that somebody outside wrote passes through [Clean] on its way in, and
// every address stays text until [Indicators] parses it. Indicators reads the
// alert's aggregated fields and its events, and gives each remote address once
// for each direction, unmapped (an IPv4-mapped IPv6 address is the IPv4 address
// that it names), with the evidence that speaks of it, all sorted. It decides
// nothing: whether an address may be blocked is policy's question.
//
// An alert is a bucket: later events join an old alert without changing its id
// or its time of creation (the source's aggregation), so the same alert may be
// delivered many times and may grow. Nothing here remembers earlier deliveries.
//
// The package is pure: no I/O, no clock, sorted output.
package alert

import "time"

// NoPort says that an event names no port. Port 0 is different: it is a connect
// probe, not traffic.
const NoPort = -1

// Alert is one finding of the source.
type Alert struct {
	// ID, RuleID, RulesetID and AgentID are opaque; show them only through Clean.
	ID        string `json:"id"`
	RuleID    string `json:"rule,omitempty"`
	RulesetID string `json:"ruleset,omitempty"`
	AgentID   string `json:"agent,omitempty"`

	Title      Text `json:"title,omitempty"`
	DataSource Text `json:"data_source,omitempty"` // cloudtrail, or an agent's; empty when the source says nothing
	Severity   int  `json:"severity,omitempty"`    // 1 is worst, 3 is mildest, 0 unknown

	// CreatedAt is when the alert fired. Later events do not move it.
	CreatedAt time.Time `json:"created_at"`
	Dismissed bool      `json:"dismissed,omitempty"`

	// Fields are the values on which the rule aggregates, sorted by name.
	Fields []Field `json:"fields,omitempty"`
	Events []Event `json:"events,omitempty"`
	Agent  *Agent  `json:"-"`

	// Complete says that the events were read. An alert may be delivered before,
	// so that the addresses in its Fields are judged at once.
	Complete bool `json:"complete,omitempty"`
	// Skipped counts the parts of the alert that could not be understood, and
	// SkippedWhy names some of them.
	Skipped    int    `json:"skipped,omitempty"`
	SkippedWhy []Text `json:"skipped_why,omitempty"`
}

// Field is one aggregated value of an alert, such as dst_ip.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"` // raw; show it only through Clean
}

// Event is one contributing event of an alert. Addresses are text as found;
// Indicators parses them.
type Event struct {
	ID      string    `json:"id,omitempty"`
	Type    string    `json:"type,omitempty"` // event_type: audit, threatintel, host, login, cloudtrail, winsec, …
	Kind    string    `json:"kind,omitempty"` // type: connect, accept, start, …
	Syscall string    `json:"syscall,omitempty"`
	Time    time.Time `json:"time"`

	Host      Text `json:"host,omitempty"`
	Container Text `json:"container,omitempty"`
	Image     Text `json:"image,omitempty"`
	Process   Text `json:"process,omitempty"` // path of the executable
	Command   Text `json:"command,omitempty"` // its arguments
	User      Text `json:"user,omitempty"`
	Protocol  Text `json:"protocol,omitempty"`
	PID       int  `json:"pid,omitempty"`

	// The connection object: src_addr, dst_addr, and the older addr with port.
	// HasConnection tells an empty object from an absent one.
	HasConnection bool   `json:"has_connection,omitempty"`
	ConnSrc       string `json:"conn_src,omitempty"`
	ConnDst       string `json:"conn_dst,omitempty"`
	ConnAddr      string `json:"conn_addr,omitempty"`

	// The flat aliases: src_ip, dst_ip (or their IPv6 twins), ip, sourceIPAddress.
	SrcIP    string `json:"src_ip,omitempty"`
	DstIP    string `json:"dst_ip,omitempty"`
	IP       string `json:"ip,omitempty"`
	SourceIP string `json:"source_ip,omitempty"`

	// Ports, NoPort when absent. Port is the one that belongs to ConnAddr or IP.
	SrcPort int `json:"src_port"`
	DstPort int `json:"dst_port"`
	Port    int `json:"port"`
}

// Agent is the host that reported an alert. Its public addresses are ours and
// must never be blocked.
type Agent struct {
	ID       string
	Hostname Text
	Private  []string // as found; may carry a prefix length
	Public   []string
	// ReportedAt is when the agent was heard of last; zero when unknown.
	ReportedAt time.Time
}
