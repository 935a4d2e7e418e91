package threatstack

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"selfprotect/alert"
)

const sampleAlert = `{"id":"cc3c6e27-1","title":"CloudTrail: Access Denied: Event: DescribeScalingP...","dataSource":"cloudtrail",
 "createdAt":"2020-07-21T19:19:58.625Z","isDismissed":false,"severity":3,"ruleId":"4eabd6aa-1","rulesetId":"770b3d96-1",
 "aggregates":{"ip":"198.51.100.100","user":"user@example.com","accountId":"017484651936"},"new":{"key":[1]}}`

func TestDecodeAlert(t *testing.T) {
	a, err := decodeAlert(json.RawMessage(sampleAlert))
	if err != nil {
		t.Fatal(err)
	}
	want := alert.Alert{ID: "cc3c6e27-1", Title: "CloudTrail: Access Denied: Event: DescribeScalingP...", DataSource: "cloudtrail",
		CreatedAt: time.Date(2020, 7, 21, 19, 19, 58, 625e6, time.UTC), Severity: 3, RuleID: "4eabd6aa-1", RulesetID: "770b3d96-1",
		Fields: []alert.Field{{Name: "accountId", Value: "017484651936"}, {Name: "ip", Value: "198.51.100.100"}, {Name: "user", Value: "user@example.com"}}}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
	nulls := `{"id":"x","title":null,"dataSource":null,"createdAt":null,"isDismissed":null,"severity":null,"agentId":null,"ruleId":null,"rulesetId":null,"aggregates":null}`
	if a, err = decodeAlert(json.RawMessage(nulls)); err != nil || a.Skipped != 1 || !a.CreatedAt.IsZero() || a.Fields != nil {
		t.Errorf("nulls: %+v, %v", a, err)
	}
}

func TestDecodeFields(t *testing.T) {
	for in, want := range map[string]string{
		`{"dst_ip":"1.2.3.4"}`: "[{dst_ip 1.2.3.4}] 0",
		`[{"fieldName":"dst_ip","value":"1.2.3.4"},{"name":"user","value":"u"}]`: "[{dst_ip 1.2.3.4} {user u}] 0",
		`[{"dst_ip":"1.2.3.4"}]`:                             "[{dst_ip 1.2.3.4}] 0",
		`{"dst_ip":["1.2.3.4","::ffff:5.6.7.8",null,{}]}`:    "[{dst_ip 1.2.3.4} {dst_ip ::ffff:5.6.7.8}] 2",
		`{"n":9007199254740993123,"b":true,"z":null,"o":{}}`: "[{b true} {n 9007199254740993123}] 1",
		`[1,null,"x"]`: "[] 3",
		`"text"`:       "[] 1",
		`null`:         "[] 0",
		`{}`:           "[] 0",
		`{"dst_ip":"1.2.3.4` + strings.Repeat(" ", 300) + `x"}`: "[{dst_ip 1.2.3.4" + strings.Repeat(" ", maxRaw-7) + "…}] 0",
	} {
		var odd notes
		if got := fmt.Sprint(decodeFields(json.RawMessage(in), &odd), odd.n); strings.Replace(got, "] ", "] ", 1) != want {
			t.Errorf("%.80s gives %s, want %s", in, got, want)
		}
	}
}

func decodeOne(t *testing.T, in string) (alert.Event, notes) {
	t.Helper()
	var odd notes
	e, err := decodeEvent(json.RawMessage(in), &odd)
	if err != nil {
		t.Fatalf("%.100s: %v", in, err)
	}
	return e, odd
}

func TestDecodeEvent(t *testing.T) {
	e, odd := decodeOne(t, `{"_id":"f6a36904","event_type":"audit","timestamp":1654113399912,"args":["runc","delete"],"arguments":"runc delete",
	"command":"runc","exe":"/snap/runc","syscall":"connect","type":"connect","pid":"46758","user":"root","containerId":"9b8d314d","containerImage":"spring4shell",
	"header":{"sequenceId":424473629668277500},"host_metadata":{"hostname":"web-1","server_name":"ip-10-1-1-5"},
	"connection":{"src_addr":"10.1.1.5","src_port":51234,"dst_addr":"::ffff:203.0.113.7","dst_port":"443","protocol":"tcp"}}`)
	want := alert.Event{ID: "f6a36904", Type: "audit", Kind: "connect", Syscall: "connect", Time: time.UnixMilli(1654113399912).UTC(), Host: "web-1",
		Container: "9b8d314d", Image: "spring4shell", Process: "/snap/runc", Command: "runc delete", User: "root", Protocol: "tcp", PID: 46758,
		HasConnection: true, ConnSrc: "10.1.1.5", ConnDst: "::ffff:203.0.113.7", SrcPort: 51234, DstPort: 443, Port: alert.NoPort}
	if odd.n != 0 || !reflect.DeepEqual(e, want) {
		t.Errorf("got  %+v %v\nwant %+v", e, odd, want)
	}
}

func TestDecodeEventVariants(t *testing.T) {
	const stamp = `"timestamp":"1654113399912",`
	for in, check := range map[string]func(alert.Event, notes) bool{
		`"container_id":"abc"`: func(e alert.Event, _ notes) bool {
			return e.Container == "abc" && !e.HasConnection && e.Port == alert.NoPort
		},
		`"connection":{}`:   func(e alert.Event, n notes) bool { return e.HasConnection && n.n == 0 },
		`"connection":null`: func(e alert.Event, n notes) bool { return !e.HasConnection && n.n == 0 },
		`"connection":[1]`:  func(e alert.Event, n notes) bool { return !e.HasConnection && n.n == 1 },
		`"connection":{"addr":"203.0.113.7","port":0}`: func(e alert.Event, _ notes) bool {
			return e.ConnAddr == "203.0.113.7" && e.Port == 0
		},
		`"connection":{"dst_addr":null,"dst_port":null,"src_addr":""}`: func(e alert.Event, n notes) bool {
			return e.HasConnection && e.ConnDst == "" && e.DstPort == alert.NoPort && n.n == 0
		},
		`"connection":{"dst_addr":["203.0.113.7"],"dst_port":70000}`: func(e alert.Event, n notes) bool {
			return e.ConnDst == "" && e.DstPort == alert.NoPort && n.n == 2
		},
		`"dst_port":-1,"src_port":"x","port":1e3`: func(e alert.Event, n notes) bool {
			return e.DstPort == alert.NoPort && e.SrcPort == alert.NoPort && e.Port == alert.NoPort && n.n == 3
		},
		`"dst_ip":"0.0.0.0","dst_ipv6":"2001:db8::1","src_ip":"-","src_ipv6":null`: func(e alert.Event, _ notes) bool {
			return e.DstIP == "2001:db8::1" && e.SrcIP == "-"
		},
		`"ip":"AWS Internal","sourceIPAddress":"AWS Internal","IP":"203.0.113.1","Ip":"203.0.113.2"`: func(e alert.Event, _ notes) bool {
			return e.IP == "AWS Internal" && e.SourceIP == "AWS Internal"
		},
		`"DST_IP":"203.0.113.1","Connection":{"dst_addr":"203.0.113.1"},"_ID":"no"`: func(e alert.Event, _ notes) bool {
			return e.DstIP == "" && !e.HasConnection && e.ID == ""
		},
		`"dst_ip":"1.2.3.4` + strings.Repeat(`\u0000`, 300) + `"`: func(e alert.Event, n notes) bool {
			return strings.HasSuffix(e.DstIP, "…") && n.n == 1
		},
		`"exe":"` + strings.Repeat("é", 1<<20) + `\u001b[31m"`: func(e alert.Event, _ notes) bool {
			return utf8.RuneCountInString(string(e.Process)) <= alert.MaxText && !strings.Contains(string(e.Process), "\x1b")
		},
		`"args":["a","b",3,null]`:     func(e alert.Event, _ notes) bool { return e.Command == "a b 3" },
		`"pid":99999999999999999999`:  func(e alert.Event, _ notes) bool { return e.PID == 0 },
		`"x":12345678901234567890123`: func(e alert.Event, n notes) bool { return n.n == 0 },
	} {
		e, odd := decodeOne(t, "{"+stamp+in+"}")
		if !check(e, odd) {
			t.Errorf("%.100s gives %+v, %d odd %q", in, e, odd.n, odd.why)
		}
	}
}

func TestParseTime(t *testing.T) {
	want := time.Date(2022, 6, 3, 11, 27, 10, 0, time.UTC)
	for _, in := range []string{"2022-06-03T11:27:10Z", "2022-06-03T11:27:10", "2022-06-03T11:27:10.000", "2022-06-03T13:27:10+02:00",
		"2022-06-03T13:27:10+0200", "1654255630000", "1654255630", "2022-06-03 11:27:10", "1654255630000.0"} {
		if got, err := parseTime(in); err != nil || !got.Equal(want) {
			t.Errorf("%s gives %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "0", "-5", "soon", "99999999999999999", "1e300", "2022-13-01", "0001-01-01T00:00:00Z", "9999999999999999999999"} {
		if got, err := parseTime(in); err == nil {
			t.Errorf("%s gives %v", in, got)
		}
	}
}

func TestScanKeepsNeighbours(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 50_000) + strings.Repeat("]}", 50_000)
	els, err := elements([]byte(` [ {"a":"]},["} , ` + deep + `, "x\"y", tru, -1.5e3 , [] ,null] `))
	if err != nil || len(els) != 7 || string(els[0]) != `{"a":"]},["}` || string(els[2]) != `"x\"y"` || string(els[6]) != "null" {
		t.Fatalf("%d elements, %v", len(els), err)
	}
	if _, err := decodeObject(els[1]); err == nil {
		t.Error("an element nested 100,000 deep was decoded")
	}
	for _, cut := range []string{`[`, `[{"a":1}`, `[{"a":1},`, `[{"a":"`, `["\`, `[1`} {
		if _, err := elements([]byte(cut)); err == nil {
			t.Errorf("%s is accepted", cut)
		}
	}
	whole := `{"alerts":[{"id":"a"}],"token":null}`
	for i := range len(whole) {
		if _, err := members([]byte(whole[:i])); err == nil {
			t.Errorf("%s is accepted", whole[:i])
		}
	}
	for _, bad := range []string{whole + "x", `{"a":1,}`, `{"a" 1}`, `{1:2}`, `{"a":}`, `[]`, `null`, `{"a":1]`, `[1}`, `[1,,2]`, `[,]`} {
		_, err1 := members([]byte(bad))
		if _, err2 := elements([]byte(bad)); err1 == nil && bad != "null" || err2 == nil && bad != "[]" && bad != "null" {
			t.Errorf("%s is accepted: %v, %v", bad, err1, err2)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"alerts":[{"id":"a"},null,"x"],"token":null}`))
	f.Add([]byte(`[{"a":"\"]"},[[]],1]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, errM := members(b)
		e, errE := elements(b)
		var wantM map[string]json.RawMessage
		if json.Unmarshal(b, &wantM) == nil && wantM != nil && (errM != nil || len(m) != len(wantM)) {
			t.Fatalf("%s: %d members, %v, want %d", b, len(m), errM, len(wantM))
		}
		var wantE []json.RawMessage
		if json.Unmarshal(b, &wantE) == nil && (errE != nil || len(e) != len(wantE)) {
			t.Fatalf("%s: %d elements, %v, want %d", b, len(e), errE, len(wantE))
		}
		for k, v := range wantM {
			if string(m[k]) != string(v) {
				t.Fatalf("%s: %q is %s, want %s", b, k, m[k], v)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(sampleAlert))
	f.Add([]byte(`{"_id":"1","timestamp":"x","connection":{"dst_port":"1"},"args":[1,"a"]}`))
	f.Add([]byte(`{"id":"a","ipAddresses":{"private":"1.2.3.4/24","public":[null,1]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeAlert(b); err == nil {
			if !usableID(a.ID) || len(a.Fields) > maxFields {
				t.Fatalf("%+v", a)
			}
			if _, err := json.Marshal(a); err != nil {
				t.Fatalf("the alert cannot be written: %v", err)
			}
		}
		var odd notes
		if e, err := decodeEvent(b, &odd); err == nil {
			for _, p := range []int{e.SrcPort, e.DstPort, e.Port} {
				if p < alert.NoPort || p > 65535 {
					t.Fatalf("port %d", p)
				}
			}
			for _, s := range []string{e.ConnSrc, e.ConnDst, e.ConnAddr, e.SrcIP, e.DstIP, e.IP, e.SourceIP} {
				if len(s) > maxRaw+len("…") {
					t.Fatalf("address of %d bytes", len(s))
				}
			}
			if _, err := json.Marshal(e); err != nil {
				t.Fatalf("the event cannot be written: %v", err)
			}
		}
		_, _ = decodeAgent(b)
		_, _ = decodeRule("find rule", b, "set", "id")
		_ = serverText(b)
	})
}

func TestRuleAndAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.agents["b"] = map[string]any{"id": "b", "hostname": nil, "name": "web\u001b[2J", "ipAddresses": map[string]any{"public": []any{"34.195.165.153"}}}
		s.agents["a"] = map[string]any{"id": "a", "ipAddresses": nil}
		s.agents["odd"] = 5
		c := newClient(t, s)
		r, err := c.Rule(context.Background(), testRule)
		want := Rule{ID: testRule, RulesetID: "rs1", Name: "WAN", Title: "to {{dst_ip}}", Severity: 3, Enabled: true,
			Aggregates: []string{"dst_ip", "exe", "user"}, Window: 24 * time.Hour}
		want.Spec = RuleSpec{Name: "WAN", Title: "to {{dst_ip}}", Severity: 3, Enabled: true, Aggregates: want.Aggregates, Window: want.Window}
		r.raw = nil
		if err != nil || !reflect.DeepEqual(r, want) || s.count() != 2 {
			t.Errorf("%+v, %v, %d requests", r, err, s.count())
		}
		if _, err := c.Rule(context.Background(), "unknown"); kindOf(err) != NotFound {
			t.Errorf("an unknown rule gives %v", err)
		}
		agents, err := c.OnlineAgents(context.Background())
		if err != nil || len(agents) != 2 || agents[0].ID != "a" || strings.Contains(string(agents[1].Hostname), "\x1b") {
			t.Errorf("%+v, %v", agents, err)
		}
		if st := c.Status(); len(st.Public) != 1 || st.LastError == nil || !st.Signed {
			t.Errorf("%+v", st)
		}
	})
}
