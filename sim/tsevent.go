package sim

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Event is one contributing event of an alert: the flat object that the API
// serves, of the keys that have a value here. Port 0 is a value; nil is none.
type Event struct {
	ID        string    `json:"_id"`
	EventType string    `json:"event_type"` // audit, threatintel, host, login, cloudtrail, winsec, …; empty: audit
	Type      string    `json:"type"`       // connect, accept, start, …
	Syscall   string    `json:"syscall"`
	Time      time.Time `json:"time"`
	AgentID   string    `json:"agent_id"`

	User    string `json:"user"`
	Exe     string `json:"exe"`
	Command string `json:"command"`
	Args    string `json:"arguments"`
	PID     int    `json:"pid"`

	ContainerID    string `json:"containerId"`
	ContainerImage string `json:"containerImage"`
	Hostname       string `json:"hostname"`
	VPC            string `json:"vpc_id"`

	Connection *Connection `json:"connection"`

	SrcIP    string `json:"src_ip"`
	DstIP    string `json:"dst_ip"`
	IP       string `json:"ip"`
	Port     *int   `json:"port"`
	SourceIP string `json:"sourceIPAddress"`
	Protocol string `json:"protocol"`

	// Extra is added to the object, over what the fields above give.
	Extra map[string]any `json:"extra"`
	// Raw is served in place of all this. It must be JSON.
	Raw json.RawMessage `json:"raw"`
}

// Connection is the connection object of a connect or accept event.
type Connection struct {
	SrcAddr string `json:"src_addr"`
	SrcPort *int   `json:"src_port"`
	DstAddr string `json:"dst_addr"`
	DstPort *int   `json:"dst_port"`
	Addr    string `json:"addr"`
	Port    *int   `json:"port"`
}

// insertLag is what the service takes from an event to its ingestion.
const insertLag = 4 * time.Second

// json gives the wire form of an event.
func (e Event) json(organization string, f ThreatStackFaults) any {
	if e.Raw != nil {
		return e.Raw
	}
	ms := e.Time.UnixMilli()
	o := object{
		"_id": e.ID, "event_type": cmp.Or(e.EventType, "audit"), "organization_id": organization,
		"timestamp": ms, "event_time": ms, "_insert_time": e.Time.Add(insertLag).UnixMilli(),
		// Larger than a float64 can hold exactly, as in real events.
		"header": object{"id": ms % 100_000, "timestamp": ms / 1000, "milliseconds": ms % 1000, "sequenceId": int64(424473629668277505)},
	}
	for key, v := range map[string]string{
		"type": e.Type, "syscall": e.Syscall, "agent_id": e.AgentID, "user": e.User, "exe": e.Exe, "command": e.Command,
		"arguments": e.Args, "containerImage": e.ContainerImage, "src_ip": e.SrcIP, "dst_ip": e.DstIP, "ip": e.IP,
		"sourceIPAddress": e.SourceIP, "protocol": e.Protocol,
		pick(f.ContainerSnake, "container_id", "containerId"): e.ContainerID,
	} {
		o.text(f, key, v)
	}
	o.optional(f, "args", strings.Fields(e.Args), e.Args != "")
	o.optional(f, "pid", e.PID, e.PID != 0)
	o.optional(f, "exit", "0", e.Syscall != "")
	o.optional(f, "success", true, e.Syscall != "")
	o.optional(f, "host_metadata", object{"hostname": e.Hostname}, e.Hostname != "")
	o.optional(f, "network_metadata", []any{object{"vpc_id": e.VPC}}, e.VPC != "")
	o.port(f, "port", e.Port)
	var c any
	if e.Connection != nil {
		c = e.Connection.json(f)
	}
	o.optional(f, "connection", c, e.Connection != nil)
	o.extra(f)
	for key, v := range e.Extra {
		o[key] = v
	}
	return o
}

func (c Connection) json(f ThreatStackFaults) object {
	o := object{}
	o.text(f, "src_addr", c.SrcAddr)
	o.text(f, "dst_addr", c.DstAddr)
	o.text(f, "addr", c.Addr)
	o.port(f, "src_port", c.SrcPort)
	o.port(f, "dst_port", c.DstPort)
	o.port(f, "port", c.Port)
	return o.extra(f)
}

func (o object) port(f ThreatStackFaults, key string, p *int) {
	if p == nil {
		o.optional(f, key, nil, false)
		return
	}
	var v any = *p
	if f.PortStrings {
		v = strconv.Itoa(*p)
	}
	o[key] = v
}
