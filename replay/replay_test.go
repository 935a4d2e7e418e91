package replay

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

const (
	rule = "rule-1"
	acl1 = "acl-0123456789abcdef0"
)

func named(id string, after time.Duration, addrs ...string) alert.Alert {
	a := alert.Alert{ID: id, RuleID: rule, Severity: 3, CreatedAt: begin.Add(after), Complete: true}
	for _, s := range addrs {
		a.Fields = append(a.Fields, alert.Field{Name: "dst_ip", Value: s})
	}
	return a
}

func config(t interface{ Fatal(...any) }, mode policy.Mode, quota int) Config {
	p, err := policy.New(policy.Config{Mode: mode, Watches: []policy.Watch{{RuleID: rule}}, TTL: 24 * time.Hour,
		Targets: []policy.Target{{ACL: acl1, Directions: []alert.Direction{alert.Outbound}}}, Guard: policy.NewGuard(policy.BuiltIn(policy.RefusePrivate))})
	if err != nil {
		t.Fatal(err)
	}
	live := firewall.ACL{ID: acl1, Entries: []firewall.Entry{
		{Number: 100, Direction: firewall.Egress, Protocol: firewall.AllProtocols, Prefix: netip.MustParsePrefix("0.0.0.0/0")},
		{Number: 32767, Direction: firewall.Egress, Deny: true, Protocol: firewall.AllProtocols, Prefix: netip.MustParsePrefix("0.0.0.0/0")},
	}}
	return Config{Policy: p, From: begin, Until: begin.Add(10 * 24 * time.Hour), ACLs: []ACL{{live, firewall.Limits{Quota: quota, Margin: 20}}}}
}

func outcome(r Report, cidr string) Outcome {
	for _, o := range r.Addresses {
		if o.CIDR == cidr {
			return o
		}
	}
	return Outcome{}
}

func TestWhatWouldHaveBeenDone(t *testing.T) {
	dismissed := named("a3", 26*time.Hour, "203.0.113.9")
	dismissed.Dismissed = true
	alerts := []alert.Alert{
		named("a1", time.Hour, "203.0.113.7"), named("a2", 2*time.Hour, "10.1.2.3"), named("a2b", 2*time.Hour),
		dismissed, named("a4", 3*24*time.Hour, "203.0.113.7"),
	}
	r, err := Run(config(t, policy.Auto, 20), alerts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Alerts != 5 || r.Dismissed != 1 || r.WithoutAddress != 1 || r.Blocked != 2 || r.Refused != 1 || r.Asked != 0 || r.FalseAlarms != 1 || r.Waited != 0 {
		t.Errorf("%+v", r)
	}
	again := outcome(r, "203.0.113.7/32")
	if again.Result != Blocked || again.Blocks != 2 || again.Alerts != 2 || again.Score.Repeats != 10 {
		t.Errorf("the block of a day ended, and the next one is a repeat: %+v", again)
	}
	if refused := outcome(r, "10.1.2.3/32"); refused.Result != Refused || len(refused.Reasons) == 0 {
		t.Errorf("%+v", refused)
	}
	if p := r.Periods; len(p) != 10 || p[0].Blocked != 1 || p[0].Refused != 1 || p[1].Blocked != 1 || p[3].Blocked != 1 || p[9].Used != 0 || p[0].Slots != 18 {
		t.Errorf("%+v", p)
	}

	// In review a person is asked each time; the slots are those of a yes.
	r, err = Run(config(t, policy.Review, 20), alerts)
	if err != nil || r.Asked != 2 || r.Blocked != 0 || r.Lists[0].PeakUsed != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = Run(config(t, policy.Observe, 20), alerts)
	if err != nil || r.Asked+r.Blocked != 0 || r.Ignored != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What has no slot waits, by weight, and the shortfall is told.
func TestShortfall(t *testing.T) {
	var alerts []alert.Alert
	for i := range 10 {
		alerts = append(alerts, named(fmt.Sprint(i), time.Duration(i)*time.Hour, fmt.Sprintf("203.0.113.%d", 4*i)))
	}
	cfg := config(t, policy.Auto, 6) // four beside the allow and the default deny
	cfg.ACLs[0].Limits.MinBits4 = 32
	r, err := Run(cfg, alerts)
	if err != nil {
		t.Fatal(err)
	}
	if l := r.Lists[0]; l.Slots != 4 || l.PeakUsed != 4 || l.PeakWanted != 10 || l.PeakWaiting != 6 || !l.PeakAt.Equal(begin.Add(9*time.Hour)) {
		t.Errorf("%+v", l)
	}
	if r.Waited < 6 || r.Periods[0].Waiting != 6 || r.Blocked != 10 {
		t.Errorf("waited %d, %+v", r.Waited, r.Periods[0])
	}
}

// Auto mode stops itself, asks for an hour, and is told.
func TestStops(t *testing.T) {
	var alerts []alert.Alert
	for i := range 8 {
		alerts = append(alerts, named(fmt.Sprint(i), time.Duration(i)*time.Second, fmt.Sprintf("203.0.113.%d", i)))
	}
	alerts = append(alerts, named("later", 2*time.Hour, "203.0.113.200"))
	cfg := config(t, policy.Auto, 20)
	cfg.Auto.PerMinute = 5
	r, err := Run(cfg, alerts)
	if err != nil || r.Blocked != 6 || r.Asked != 3 || len(r.Stops) != 1 || !r.Stops[0].At.Equal(begin.Add(5*time.Second)) {
		t.Errorf("%d blocked, %d asked, %+v, %v", r.Blocked, r.Asked, r.Stops, err)
	}
}

// Whatever the past was, the same input gives the same report, each address is in it
// once, no guarded one is blocked, and no list has more entries than slots.
func TestReportProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := config(t, rapid.SampledFrom([]policy.Mode{policy.Observe, policy.Review, policy.Auto}).Draw(t, "mode"), rapid.IntRange(3, 8).Draw(t, "quota"))
		cfg.Auto = AutoLimits{PerMinute: rapid.IntRange(0, 4).Draw(t, "minute"), PerHour: rapid.IntRange(0, 8).Draw(t, "hour")}
		cfg.List = blocklist.Config{MaxTTL: 72 * time.Hour}
		var alerts []alert.Alert
		at := time.Duration(0)
		addresses := map[string]bool{}
		for i := range rapid.IntRange(0, 60).Draw(t, "alerts") {
			at += time.Duration(rapid.IntRange(0, 5*3600).Draw(t, "after")) * time.Second
			addr := rapid.SampledFrom([]string{"203.0.113.%d", "10.0.0.%d", "2001:db8:5::%d"}).Draw(t, "net")
			addr = fmt.Sprintf(addr, rapid.IntRange(1, 9).Draw(t, "host"))
			a := named(fmt.Sprint(i), at, addr)
			if a.CreatedAt.Before(cfg.Until) {
				addresses[addr] = true
			}
			a.Dismissed = rapid.Bool().Draw(t, "dismissed")
			alerts = append(alerts, a)
		}
		r, err := Run(cfg, alerts)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Run(cfg, alerts)
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%+v\n%+v, %v", r, again, err)
		}
		if len(r.Addresses) != len(addresses) || r.Blocked+r.Asked+r.Refused+r.Ignored != len(addresses) {
			t.Fatalf("%d addresses, want %d", len(r.Addresses), len(addresses))
		}
		for _, o := range r.Addresses {
			if netip.MustParsePrefix("10.0.0.0/8").Contains(netip.MustParsePrefix(o.CIDR).Addr()) && o.Result != Refused {
				t.Fatalf("%+v", o)
			}
		}
		for _, l := range r.Lists {
			if l.PeakUsed > max(l.Slots, 0) || l.PeakWaiting > l.PeakWanted {
				t.Fatalf("%+v", l)
			}
		}
	})
}

func BenchmarkRun(b *testing.B) {
	cfg := config(b, policy.Auto, 20)
	var alerts []alert.Alert
	for i := range 10_000 {
		alerts = append(alerts, named(fmt.Sprint(i), time.Duration(i)*86*time.Second, fmt.Sprintf("198.%d.%d.%d", 18+i%2, i%250, i/250)))
	}
	for b.Loop() {
		if _, err := Run(cfg, alerts); err != nil {
			b.Fatal(err)
		}
	}
}
