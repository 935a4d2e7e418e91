package threatstack

import (
	"encoding/json"
	"math"
	"net/netip"
	"strings"

	"selfprotect/alert"
)

// decodeEvent reads one contributing event. An error means that it is no object;
// anything else that is odd goes to odd and the rest of the event is kept.
func decodeEvent(v json.RawMessage, odd *notes) (alert.Event, error) {
	o, err := decodeObject(v)
	if err != nil {
		return alert.Event{}, err
	}
	e := alert.Event{
		ID: clip(o.str("_id", "id"), maxID), Type: o.word("event_type"), Kind: o.word("type"), Syscall: o.word("syscall"),
		Host:      eventHost(o),
		Container: o.text("containerId", "container_id"), Image: o.text("containerImage", "container_image"),
		Process: o.text("exe", "eventSource"), Command: eventCommand(o),
		User: o.text("user", "auser"), Protocol: o.text("protocol"),
		IP: address(o, odd, "ip"), SourceIP: address(o, odd, "sourceIPAddress"),
		SrcIP: address(o, odd, "src_ip", "src_ipv6", "src_addr"), DstIP: address(o, odd, "dst_ip", "dst_ipv6", "dst_addr"),
	}
	if e.Time, err = parseTime(o.str("timestamp", "event_time", "eventTime")); err != nil {
		odd.add("event: timestamp: %v", err)
	}
	if n, _, ok := o.integer("pid", 0, math.MaxInt32); ok {
		e.PID = int(n)
	}
	conn, err := o.obj("connection")
	if err != nil {
		odd.add("event: connection: %v", err)
	}
	e.HasConnection = conn != nil
	e.ConnSrc = address(conn, odd, "src_addr")
	e.ConnDst = address(conn, odd, "dst_addr")
	e.ConnAddr = address(conn, odd, "addr")
	if e.Protocol == "" {
		e.Protocol = conn.text("protocol")
	}
	e.SrcPort = port(odd, "src_port", conn, o)
	e.DstPort = port(odd, "dst_port", conn, o)
	e.Port = port(odd, "port", conn, o)
	return e, nil
}

func eventHost(o object) alert.Text {
	meta, _ := o.obj("host_metadata")
	if t := meta.text("hostname", "server_name"); t != "" {
		return t
	}
	return o.text("hostname", "server_or_region", "node_name")
}

// eventCommand gives the arguments of the process, or what comes next to them.
func eventCommand(o object) alert.Text {
	if t := o.text("arguments"); t != "" {
		return t
	}
	if args := o.strs("args", 256); len(args) > 0 {
		return alert.Clean(head(strings.Join(args, " "), maxText))
	}
	return o.text("command", "eventName", "summary")
}

// address gives the text under the first of keys that is a usable address, else
// the first that is not empty.
func address(o object, odd *notes, keys ...string) string {
	first := ""
	for _, k := range keys {
		s := o.str(k)
		if v := o[k]; s == "" && len(v) > 0 && (v[0] == '{' || v[0] == '[') {
			odd.add("event: %s is no plain value", k)
		}
		if len(s) > maxRaw {
			odd.add("event: %s is too long", k)
		}
		if a, err := netip.ParseAddr(s); err == nil && !a.IsUnspecified() {
			return s
		}
		if first == "" {
			first = raw(s)
		}
	}
	return first
}

// port gives the port under key from the first object that has one.
func port(odd *notes, key string, from ...object) int {
	for _, o := range from {
		n, present, ok := o.integer(key, 0, math.MaxUint16)
		if ok {
			return int(n)
		}
		if present {
			odd.add("event: %s is not a port", key)
		}
	}
	return alert.NoPort
}
