package alert

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// event gives an event without ports, as a source that names none decodes it.
func event(set func(*Event)) Event {
	e := Event{ID: "e1", Type: "audit", Time: t0, SrcPort: NoPort, DstPort: NoPort, Port: NoPort}
	set(&e)
	return e
}

// short writes indicators as "outbound 203.0.113.7:443" for a compact comparison.
func short(in []Indicator) string {
	var out []string
	for _, i := range in {
		s := fmt.Sprintf("%s %s", i.Direction, i.Addr)
		if len(i.Evidence) > 0 && i.Evidence[0].Port != NoPort {
			s += fmt.Sprintf(" port %d", i.Evidence[0].Port)
		}
		if len(i.Evidence) > 0 && i.Evidence[0].Peer.IsValid() {
			s += " from " + i.Evidence[0].Peer.String()
		}
		if i.ProbeOnly {
			s += " probe"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestIndicatorsOfEvents(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Event)
		want string
	}{
		{"connect", func(e *Event) {
			e.Syscall, e.Kind, e.ConnSrc, e.SrcPort, e.ConnDst, e.DstPort = "connect", "connect", "10.1.1.5", 51234, "::ffff:203.0.113.7", 443
		}, "outbound 203.0.113.7 port 443 from 10.1.1.5"},
		{"connect, older connection.addr", func(e *Event) { e.Syscall, e.ConnAddr, e.Port = "connect", "203.0.113.7", 443 }, "outbound 203.0.113.7 port 443"},
		{"connect, flat", func(e *Event) { e.Syscall, e.DstIP, e.SrcIP = "connect", "203.0.113.7", "10.1.1.5" }, "outbound 203.0.113.7 from 10.1.1.5"},
		{"connect, ip", func(e *Event) { e.Kind, e.IP, e.Port = "connect", "203.0.113.7", 80 }, "outbound 203.0.113.7 port 80"},
		{"connect, order", func(e *Event) {
			e.Syscall, e.ConnDst, e.ConnAddr, e.DstIP, e.IP = "connect", "203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"
		}, "outbound 203.0.113.1"},
		{"connect, order without the first", func(e *Event) {
			e.Syscall, e.ConnDst, e.ConnAddr, e.DstIP, e.IP = "connect", "", "203.0.113.2", "203.0.113.3", "203.0.113.4"
		}, "outbound 203.0.113.2"},
		{"connect, text instead of an address", func(e *Event) { e.Syscall, e.ConnDst, e.DstIP = "connect", "evil.example", "203.0.113.3" }, "outbound 203.0.113.3"},
		{"connect names only our end", func(e *Event) { e.Syscall, e.ConnSrc, e.SrcIP = "connect", "203.0.113.1", "203.0.113.1" }, ""},
		{"probe", func(e *Event) { e.Syscall, e.ConnDst, e.DstPort = "connect", "203.0.113.7", 0 }, "outbound 203.0.113.7 port 0 probe"},
		{"unspecified is given", func(e *Event) { e.Syscall, e.ConnDst = "connect", "0.0.0.0" }, "outbound 0.0.0.0"},
		{"loopback is given", func(e *Event) { e.Syscall, e.ConnDst = "connect", "::1" }, "outbound ::1"},
		{"sendto", func(e *Event) { e.Syscall, e.ConnDst, e.DstPort = "sendto", "203.0.113.7", 53 }, "outbound 203.0.113.7 port 53"},
		{"accept", func(e *Event) {
			e.Syscall, e.ConnSrc, e.SrcPort, e.ConnDst, e.DstPort = "accept", "203.0.113.7", 40000, "10.1.1.5", 22
		}, "inbound 203.0.113.7 port 40000 from 10.1.1.5"},
		{"accept4, connection.addr", func(e *Event) { e.Syscall, e.ConnAddr, e.Port = "accept4", "203.0.113.7", 40000 }, "inbound 203.0.113.7 port 40000"},
		{"accept, src_ip and a listening port", func(e *Event) { e.Syscall, e.SrcIP, e.Port, e.DstIP = "accept", "203.0.113.7", 22, "10.1.1.5" }, "inbound 203.0.113.7 from 10.1.1.5"},
		{"accept, ip", func(e *Event) { e.Kind, e.IP = "ACCEPT", "203.0.113.7" }, "inbound 203.0.113.7"},
		{"accept from port 0 is no probe", func(e *Event) { e.Syscall, e.ConnSrc, e.SrcPort = "accept", "203.0.113.7", 0 }, "inbound 203.0.113.7 port 0"},
		{"accept names only our end", func(e *Event) { e.Syscall, e.ConnDst = "accept", "203.0.113.7" }, ""},
		{"intel connect", func(e *Event) { e.Type, e.Kind, e.IP, e.Port = "threatintel", "connect", "203.0.113.7", 6667 }, "outbound 203.0.113.7 port 6667"},
		{"intel takes the listed address", func(e *Event) {
			e.Type, e.Kind, e.IP, e.ConnDst = "threatintel", "connect", "203.0.113.7", "203.0.113.8"
		}, "outbound 203.0.113.7"},
		{"intel without ip", func(e *Event) { e.Type, e.Kind, e.ConnDst = "threatintel", "connect", "203.0.113.8" }, "outbound 203.0.113.8"},
		{"intel accept", func(e *Event) { e.Type, e.Kind, e.IP = "threatintel", "accept", "203.0.113.7" }, "inbound 203.0.113.7"},
		{"intel without type", func(e *Event) { e.Type, e.IP, e.SrcIP = "threatintel", "203.0.113.7", "10.1.1.5" }, "outbound 203.0.113.7 from 10.1.1.5"},
		{"intel without type, listed source", func(e *Event) { e.Type, e.IP, e.SrcIP = "threatintel", "203.0.113.7", "203.0.113.7" }, "inbound 203.0.113.7"},
		{"failed login", func(e *Event) { e.Type, e.SrcIP = "host", "203.0.113.7" }, "inbound 203.0.113.7"},
		{"failed login without address", func(e *Event) { e.Type = "host" }, ""},
		{"login, ip", func(e *Event) { e.Type, e.IP = "login", "203.0.113.7" }, "inbound 203.0.113.7"},
		{"login from inside is given", func(e *Event) { e.Type, e.SrcIP = "login", "10.9.9.9" }, "inbound 10.9.9.9"},
		{"CloudTrail", func(e *Event) { e.Type, e.SourceIP, e.IP = "cloudtrail", "203.0.113.7", "203.0.113.8" }, "inbound 203.0.113.7"},
		{"CloudTrail, ip", func(e *Event) { e.Type, e.SourceIP, e.IP = "CloudTrail", "AWS Internal", "203.0.113.8" }, "inbound 203.0.113.8"},
		{"CloudTrail by AWS", func(e *Event) { e.Type, e.SourceIP, e.IP = "cloudtrail", "AWS Internal", "AWS Internal" }, ""},
		{"Windows outbound", func(e *Event) { e.Type, e.SrcIP, e.DstIP, e.DstPort = "winsec", "10.1.1.5", "203.0.113.7", 443 }, "outbound 203.0.113.7 port 443 from 10.1.1.5"},
		{"Windows inbound", func(e *Event) { e.Type, e.SrcIP, e.SrcPort, e.DstIP = "winsec", "203.0.113.7", 5555, "10.1.1.5" }, "inbound 203.0.113.7 port 5555 from 10.1.1.5"},
		{"Windows, both public", func(e *Event) { e.Type, e.SrcIP, e.DstIP = "winsec", "203.0.113.7", "203.0.113.8" }, "outbound 203.0.113.8 from 203.0.113.7"},
		{"Windows, both private", func(e *Event) { e.Type, e.SrcIP, e.DstIP = "winsec", "10.1.1.5", "10.1.1.6" }, "outbound 10.1.1.6 from 10.1.1.5"},
		{"Windows, carrier-grade NAT is private", func(e *Event) { e.Type, e.SrcIP, e.DstIP = "winsec", "203.0.113.7", "100.64.0.1" }, "inbound 203.0.113.7 from 100.64.0.1"},
		{"Windows logon", func(e *Event) { e.Type, e.SrcIP, e.DstIP = "winsec", "203.0.113.7", "-" }, "inbound 203.0.113.7"},
		{"unknown with destination", func(e *Event) { e.Type, e.DstIP, e.SrcIP = "netflow", "203.0.113.7", "198.51.100.1" }, "outbound 203.0.113.7 from 198.51.100.1"},
		{"unknown with source", func(e *Event) { e.Type, e.SrcIP = "netflow", "203.0.113.7" }, "inbound 203.0.113.7"},
		{"unknown with private source", func(e *Event) { e.Type, e.SrcIP = "netflow", "10.1.1.5" }, ""},
		{"unknown with a name as destination", func(e *Event) { e.Type, e.SrcIP, e.DstIP = "netflow", "203.0.113.7", "host.example" }, ""},
		{"unknown, connection.addr tells nothing", func(e *Event) { e.Type, e.ConnAddr, e.IP = "netflow", "203.0.113.7", "203.0.113.7" }, ""},
		{"no connect by another name", func(e *Event) { e.Kind, e.IP = "disconnect", "203.0.113.7" }, ""},
		{"file", func(e *Event) { e.Type, e.Kind = "file", "open" }, ""},
	} {
		got := Indicators(Alert{Events: []Event{event(c.set)}})
		if s := short(got); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}
}

func TestIndicatorsOfFields(t *testing.T) {
	connect := event(func(e *Event) { e.Syscall, e.ConnSrc, e.ConnDst = "connect", "10.1.1.5", "203.0.113.7" })
	accept := event(func(e *Event) { e.ID, e.Syscall, e.ConnSrc, e.ConnDst = "e2", "accept", "203.0.113.9", "10.1.1.5" })
	silent := event(func(e *Event) { e.ID, e.Syscall = "e3", "execve" })
	for _, c := range []struct {
		name   string
		fields string // name=value, …
		source Text
		events []Event
		want   string
	}{
		{"destination", "dst_ip=203.0.113.1 user=root exe=/bin/sh", "", nil, "outbound 203.0.113.1"},
		{"destination, other names", "connection.dst_addr=203.0.113.1 DST_IPv6=2001:db8::1 destination=203.0.113.1", "", nil, "outbound 203.0.113.1, outbound 2001:db8::1"},
		{"source", "src_ip=203.0.113.1", "", nil, "inbound 203.0.113.1"},
		{"source, other names", "connection.src_addr=203.0.113.1 sourceIPAddress=203.0.113.2", "", nil, "inbound 203.0.113.1, inbound 203.0.113.2"},
		{"a lone private source waits", "src_ip=10.1.1.5", "", nil, ""},
		{"a lone private source is given at last", "src_ip=10.1.1.5", "", []Event{silent}, "inbound 10.1.1.5"},
		{"own source beside destination", "src_ip=10.1.1.5 dst_ip=203.0.113.1", "", nil, "outbound 203.0.113.1"},
		{"own destination beside source", "src_ip=203.0.113.1 dst_ip=10.1.1.5", "", nil, "inbound 203.0.113.1"},
		{"both private", "src_ip=10.1.1.5 dst_ip=10.1.1.6", "", nil, "outbound 10.1.1.6"},
		{"both public", "src_ip=203.0.113.1 dst_ip=203.0.113.2", "", nil, "outbound 203.0.113.2"},
		{"own source of a connect", "src_ip=198.51.100.1", "", []Event{connect}, "outbound 203.0.113.7 from 10.1.1.5"},
		{"own destination of an accept", "dst_ip=198.51.100.1", "", []Event{accept}, "inbound 203.0.113.9 from 10.1.1.5"},
		{"own end of both", "src_ip=10.1.1.5 dst_ip=10.1.1.5", "", []Event{connect, accept}, "outbound 203.0.113.7 from 10.1.1.5, inbound 203.0.113.9 from 10.1.1.5"},
		{"the field repeats the event", "dst_ip=::ffff:203.0.113.7", "", []Event{connect}, "outbound 203.0.113.7 from 10.1.1.5"},
		{"the field adds to the events", "dst_ip=203.0.113.1", "", []Event{connect}, "outbound 203.0.113.1, outbound 203.0.113.7 from 10.1.1.5"},
		{"ip", "ip=203.0.113.1", "", nil, "outbound 203.0.113.1"},
		{"ip of an agent", "ip=203.0.113.1", "host", nil, "outbound 203.0.113.1"},
		{"connection.addr", "connection.addr=203.0.113.1", "", nil, "outbound 203.0.113.1"},
		{"ip of CloudTrail", "ip=203.0.113.1", "CloudTrail", nil, "inbound 203.0.113.1"},
		{"ip of a login", "ip=203.0.113.1", "login", nil, "inbound 203.0.113.1"},
		{"ip beside connects", "ip=203.0.113.1", "cloudtrail", []Event{connect}, "outbound 203.0.113.1, outbound 203.0.113.7 from 10.1.1.5"},
		{"ip beside accepts", "ip=203.0.113.1", "", []Event{accept}, "inbound 203.0.113.1, inbound 203.0.113.9 from 10.1.1.5"},
		{"ip of the accept", "ip=203.0.113.9", "", []Event{accept, connect}, "outbound 203.0.113.7 from 10.1.1.5, inbound 203.0.113.9 from 10.1.1.5"},
		{"ip is our own end", "ip=10.1.1.5", "", []Event{connect}, "outbound 203.0.113.7 from 10.1.1.5"},
		{"no address", "ip=AWS_Internal dst_ip=undefined user=203.0.113.1", "", nil, ""},
	} {
		a := Alert{DataSource: c.source, Events: c.events, Complete: len(c.events) > 0}
		for _, f := range strings.Fields(c.fields) {
			name, value, _ := strings.Cut(f, "=")
			a.Fields = append(a.Fields, Field{name, value})
		}
		if s := short(Indicators(a)); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}
}

func TestEvidence(t *testing.T) {
	var a Alert
	for i := range 20 {
		a.Events = append(a.Events, event(func(e *Event) {
			e.ID, e.Syscall, e.ConnDst, e.DstPort = fmt.Sprintf("e%02d", i), "connect", "203.0.113.7", 443
			e.Time = t0.Add(time.Duration(i*7%20) * time.Minute)
			e.Host, e.Container, e.Image, e.Process = "web-1", "c1", "shop:3", "/usr/bin/curl"
			e.Command, e.User, e.Protocol, e.PID = "curl x", "www", "tcp", 77
		}))
	}
	a.Events = append(a.Events, a.Events[3], a.Events[3])
	got := Indicators(a)
	if len(got) != 1 || got[0].Events != 20 || len(got[0].Evidence) != MaxEvidence || got[0].ProbeOnly {
		t.Fatalf("indicators %+v", got)
	}
	for i, ev := range got[0].Evidence {
		if want := t0.Add(time.Duration(19-i) * time.Minute); !ev.Time.Equal(want) {
			t.Errorf("evidence %d is of %v, want %v", i, ev.Time, want)
		}
	}
	first := got[0].Evidence[0]
	want := Evidence{Event: first.Event, Time: first.Time, Port: 443, Protocol: "tcp", Host: "web-1", Container: "c1", Image: "shop:3",
		Process: "/usr/bin/curl", Command: "curl x", User: "www", PID: 77}
	if first != want {
		t.Errorf("evidence %+v, want %+v", first, want)
	}
}

func TestProbeOnly(t *testing.T) {
	at := func(id string, port int) Event {
		return event(func(e *Event) { e.ID, e.Syscall, e.ConnDst, e.DstPort = id, "connect", "203.0.113.7", port })
	}
	for _, c := range []struct {
		events []Event
		want   bool
	}{
		{[]Event{at("a", 0), at("b", 0)}, true},
		{[]Event{at("a", 0), at("b", 443)}, false},
		{[]Event{at("a", 0), at("b", NoPort)}, false},
		{[]Event{at("a", 0), at("a", 443)}, false},
		{nil, false},
	} {
		got := Indicators(Alert{Events: c.events, Fields: []Field{{"dst_ip", "203.0.113.7"}}})
		if len(got) != 1 || got[0].ProbeOnly != c.want {
			t.Errorf("%d events: %+v, want probe %v", len(c.events), got, c.want)
		}
	}
}

func TestDirectionWords(t *testing.T) {
	for _, d := range []Direction{Outbound, Inbound} {
		var back Direction
		if b, err := d.MarshalText(); err != nil || back.UnmarshalText(b) != nil || back != d {
			t.Errorf("%v comes back as %v, %v", d, back, err)
		}
	}
	for _, s := range []string{"", "Outbound", "Direction(0)"} {
		if d := Direction(0); d.UnmarshalText([]byte(s)) == nil || d != 0 {
			t.Errorf("%q reads as %v", s, d)
		}
	}
	if s := Direction(7).String(); s != "Direction(7)" {
		t.Errorf("no direction shows as %s", s)
	}
}

var (
	addrTexts = rapid.SampledFrom([]string{"", "", "", "-", "AWS Internal", "203.0.113.7", "::ffff:203.0.113.7", "203.0.113.8/24", "203.0.113.9:443",
		"10.1.1.5", "10.1.1.6", "2001:db8::1", "[2001:db8::2]:80", "fe80::1%eth0", "0.0.0.0", "::", "127.0.0.1", "100.64.0.1"})
	ports = rapid.SampledFrom([]int{NoPort, NoPort, 0, 22, 443})
)

func drawEvent(t *rapid.T) Event {
	return Event{
		ID:      rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}).Draw(t, "id"),
		Type:    rapid.SampledFrom([]string{"audit", "audit", "threatintel", "host", "login", "cloudtrail", "winsec", "file", ""}).Draw(t, "type"),
		Kind:    rapid.SampledFrom([]string{"", "connect", "accept", "start"}).Draw(t, "kind"),
		Syscall: rapid.SampledFrom([]string{"", "connect", "accept", "accept4", "execve"}).Draw(t, "syscall"),
		Time:    t0.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "minute")) * time.Minute),
		PID:     rapid.IntRange(0, 1).Draw(t, "pid"), User: rapid.SampledFrom([]Text{"", "root"}).Draw(t, "user"),
		ConnSrc: addrTexts.Draw(t, "csrc"), ConnDst: addrTexts.Draw(t, "cdst"), ConnAddr: addrTexts.Draw(t, "caddr"),
		SrcIP: addrTexts.Draw(t, "src"), DstIP: addrTexts.Draw(t, "dst"), IP: addrTexts.Draw(t, "ip"), SourceIP: addrTexts.Draw(t, "source"),
		SrcPort: ports.Draw(t, "sport"), DstPort: ports.Draw(t, "dport"), Port: ports.Draw(t, "port"),
	}
}

func drawAlert(t *rapid.T) Alert {
	a := Alert{
		DataSource: rapid.SampledFrom([]Text{"", "cloudtrail", "host", "login"}).Draw(t, "data source"),
		Complete:   rapid.Bool().Draw(t, "complete"),
		Events:     rapid.SliceOfN(rapid.Custom(drawEvent), 0, 25).Draw(t, "events"),
	}
	names := rapid.SampledFrom([]string{"dst_ip", "src_ip", "ip", "connection.addr", "connection.dst_addr", "sourceIPAddress", "user"})
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		a.Fields = append(a.Fields, Field{names.Draw(t, "name"), addrTexts.Draw(t, "value")})
	}
	return a
}

// checkIndicators asserts what holds for every alert.
func checkIndicators(t interface{ Fatalf(string, ...any) }, a Alert, got []Indicator) {
	texts := map[string]bool{}
	for _, e := range a.Events {
		for _, s := range []string{e.ConnSrc, e.ConnDst, e.ConnAddr, e.SrcIP, e.DstIP, e.IP, e.SourceIP} {
			if addr, ok := ParseAddr(s); ok {
				texts[addr.String()] = true
			}
		}
	}
	for _, f := range a.Fields {
		if addr, ok := ParseAddr(f.Value); ok {
			texts[addr.String()] = true
		}
	}
	events := 0
	for i, in := range got {
		if !in.Addr.IsValid() || in.Addr.Is4In6() || in.Addr.Zone() != "" || !texts[in.Addr.String()] {
			t.Fatalf("address %v of %+v", in.Addr, a)
		}
		if in.Direction != Outbound && in.Direction != Inbound {
			t.Fatalf("direction %v", in.Direction)
		}
		if i > 0 && (got[i-1].Direction > in.Direction || got[i-1].Direction == in.Direction && !got[i-1].Addr.Less(in.Addr)) {
			t.Fatalf("%v is out of order or twice", in.Addr)
		}
		if len(in.Evidence) != min(in.Events, MaxEvidence) {
			t.Fatalf("%d pieces of evidence for %d events", len(in.Evidence), in.Events)
		}
		seen := map[string]bool{}
		for j, ev := range in.Evidence {
			if ev.Event != "" && seen[ev.Event] || j > 0 && ev.Time.After(in.Evidence[j-1].Time) {
				t.Fatalf("evidence %+v is out of order or repeats an event", in.Evidence)
			}
			seen[ev.Event] = true
		}
		events += in.Events
	}
	if events > len(a.Events) {
		t.Fatalf("%d events counted of %d", events, len(a.Events))
	}
}

func TestIndicatorsWhateverTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAlert(t)
		got := Indicators(a)
		checkIndicators(t, a, got)
		b := a
		b.Events = rapid.Permutation(a.Events).Draw(t, "events in another order")
		b.Fields = rapid.Permutation(a.Fields).Draw(t, "fields in another order")
		if again := Indicators(b); !reflect.DeepEqual(got, again) {
			t.Fatalf("in another order:\n%+v\n%+v", got, again)
		}
		b.Events = append(b.Events[:len(b.Events):len(b.Events)], withIDs(a.Events)...)
		if again := Indicators(b); !reflect.DeepEqual(got, again) {
			t.Fatalf("delivered twice:\n%+v\n%+v", got, again)
		}
	})
}

// withIDs leaves out the events that cannot be told from others.
func withIDs(events []Event) (out []Event) {
	for _, e := range events {
		if e.ID != "" {
			out = append(out, e)
		}
	}
	return out
}

// TestIndicatorsGrow holds that a later event never takes an event's indicator
// away.
func TestIndicatorsGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAlert(t)
		a.Fields = nil
		more := a
		more.Events = append(a.Events[:len(a.Events):len(a.Events)], drawEvent(t))
		have := map[indicatorKey]bool{}
		for _, in := range Indicators(more) {
			have[indicatorKey{in.Direction, in.Addr}] = true
		}
		for _, in := range Indicators(a) {
			if !have[indicatorKey{in.Direction, in.Addr}] {
				t.Fatalf("%v %v is gone after one more event", in.Direction, in.Addr)
			}
		}
	})
}

func FuzzIndicators(f *testing.F) {
	f.Add("audit", "connect", "10.1.1.5", "203.0.113.7", "", "", "dst_ip", "203.0.113.7", 443)
	f.Add("threatintel", "accept", "", "", "203.0.113.7", "", "ip", "203.0.113.7", 0)
	f.Add("cloudtrail", "", "", "", "AWS Internal", "AWS Internal", "ip", "AWS Internal", -1)
	f.Fuzz(func(t *testing.T, typ, call, src, dst, ip, addr, field, value string, port int) {
		e := Event{ID: "a", Type: typ, Kind: call, ConnSrc: src, DstIP: dst, IP: ip, ConnAddr: addr, SrcPort: port, DstPort: port, Port: port}
		f := Event{ID: "b", Type: typ, Syscall: call, SrcIP: src, ConnDst: dst, SourceIP: ip, SrcPort: NoPort, DstPort: NoPort, Port: port}
		a := Alert{DataSource: Text(typ), Events: []Event{e, f}, Fields: []Field{{field, value}}}
		got := Indicators(a)
		checkIndicators(t, a, got)
		a.Events = []Event{f, e}
		if again := Indicators(a); !reflect.DeepEqual(got, again) {
			t.Fatalf("in another order:\n%+v\n%+v", got, again)
		}
	})
}

func BenchmarkIndicators(b *testing.B) {
	var a Alert
	for i := range 1000 {
		a.Events = append(a.Events, event(func(e *Event) {
			e.ID, e.Syscall, e.ConnSrc, e.ConnDst = fmt.Sprint(i), "connect", "10.1.1.5", fmt.Sprintf("203.0.113.%d", i%250)
		}))
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = Indicators(a)
	}
}
