package sim_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/sim"
)

func TestStoryIsDeterministic(t *testing.T) {
	if !reflect.DeepEqual(sim.Steps(7), sim.Steps(7)) {
		t.Error("the same seed tells another story")
	}
	if reflect.DeepEqual(sim.Steps(7), sim.Steps(8)) {
		t.Error("another seed tells the same story")
	}
	a, b := sim.NewWorld(7), sim.NewWorld(7)
	if a.ACLID != b.ACLID || a.APIKey != b.APIKey || !slices.Equal(a.EC2.Entries(a.ACLID), b.EC2.Entries(b.ACLID)) {
		t.Error("the same seed builds another world")
	}
	for _, id := range []struct{ form, text string }{
		{`^acl-0[0-9a-f]{16}$`, a.ACLID}, {`^vpc-0[0-9a-f]{16}$`, a.VPCID}, {`^[0-9a-f]{24}$`, a.OrganizationID}, {`^[0-9a-f]{64}$`, a.APIKey},
		{`^[0-9a-f]{8}-[0-9a-f]{4}-11[0-9a-f]{2}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, a.RuleID},
	} {
		if !regexp.MustCompile(id.form).MatchString(id.text) {
			t.Errorf("%s has not the form %s", id.text, id.form)
		}
	}
}

// TestStoryHasWhatIsWorthWatching looks for each kind of step.
func TestStoryHasWhatIsWorthWatching(t *testing.T) {
	w := sim.NewWorld(1)
	steps := sim.Steps(1)
	byMinute := map[netip.Addr]bool{}
	hosts := map[string]bool{}
	found := map[string]bool{}
	titles := ""
	for i, s := range steps {
		if i > 0 && s.After < steps[i-1].After {
			t.Errorf("step %d goes back in time", i)
		}
		if s.Alert == nil {
			found["joined"] = true
		} else {
			titles += s.Alert.Title
			found["inbound"] = found["inbound"] || s.Alert.RuleID == w.InboundRuleID
		}
		for _, e := range s.Events {
			titles += e.Exe
			if e.Connection == nil {
				found["no address"] = true
				continue
			}
			dst, err := netip.ParseAddr(e.Connection.DstAddr)
			if err != nil {
				t.Errorf("step %d: %v", i, err)
			}
			if dst.Unmap().Is4() && !dst.IsPrivate() && !dst.IsLinkLocalUnicast() && !slices.Contains(w.Own, dst) && s.After <= time.Minute {
				byMinute[dst.Unmap()] = true
			}
			found["IPv6"] = found["IPv6"] || dst.Is6() && !dst.Is4In6()
			found["mapped"] = found["mapped"] || dst.Is4In6()
			found["own"] = found["own"] || slices.Contains(w.Own, dst)
			found["private"] = found["private"] || dst.IsPrivate() && e.Syscall == "connect"
			found["metadata"] = found["metadata"] || dst.IsLinkLocalUnicast()
			found["probe"] = found["probe"] || *e.Connection.DstPort == 0
			found["container"] = found["container"] || e.ContainerID != ""
			if dst == netip.MustParseAddr("203.0.113.66") {
				hosts[e.AgentID] = true
			}
		}
	}
	for _, kind := range []string{"joined", "inbound", "no address", "IPv6", "mapped", "own", "private", "metadata", "probe", "container"} {
		if !found[kind] {
			t.Errorf("no step is %s", kind)
		}
	}
	for _, part := range []string{"\x1b[2J", "\u202e", "\r", "\u009b", "\x00", strings.Repeat("A", 4000)} {
		if !strings.Contains(titles, part) {
			t.Errorf("no text has %.10q", part)
		}
	}
	if len(byMinute) <= 18 || len(hosts) != 3 {
		t.Errorf("%d addresses in a minute, the offender on %d hosts", len(byMinute), len(hosts))
	}
	if last := steps[len(steps)-1].After; last < 75*time.Second || last > 95*time.Second {
		t.Errorf("the story lasts %v", last)
	}
}

func TestRunTellsTheStoryAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sim.NewWorld(1)
		steps := sim.Steps(1)
		alerts := 0
		for _, s := range steps {
			if s.Alert != nil {
				alerts++
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx, 2) }()
		<-time.After(steps[len(steps)-1].After/2 + time.Millisecond)
		if got := len(w.ThreatStack.Alerts()); got != alerts {
			t.Errorf("%d alerts by the end of the story, want %d", got, alerts)
		}
		err := <-done
		if got := len(w.ThreatStack.Alerts()) - alerts; !errors.Is(err, context.DeadlineExceeded) || got < 40 || got > 150 {
			t.Errorf("%d alerts after the story, %v", got, err)
		}
	})
	if err := sim.NewWorld(1).Run(t.Context(), 0); err == nil {
		t.Error("pace 0 is taken")
	}
}

// TestWorldAtOnce plays every step and reads it through the API.
func TestWorldAtOnce(t *testing.T) {
	w := sim.NewWorld(3)
	for _, s := range sim.Steps(3) {
		w.Play(s)
	}
	for _, e := range w.EC2.Entries(w.ACLID) {
		if e.Number < 100 && e.Allow {
			t.Errorf("entry %+v", e)
		}
	}
	c := &caller{t: t, handler: w.ThreatStack}
	q := c.request("GET", "/v2/alerts?status=active&ruleId="+w.RuleID, "")
	q.id, q.key, q.ext = w.UserID, w.APIKey, w.OrganizationID
	a, err := c.do(q)
	if err != nil || !q.verifies(a) {
		t.Fatalf("%v %v", a.Response, err)
	}
	if got := len(a.decode(t)["alerts"].([]any)); got < 30 {
		t.Errorf("%d alerts", got)
	}
}

func TestControl(t *testing.T) {
	w := sim.NewWorld(1)
	web := &http.Client{Transport: sim.Transport(w.Control())}
	call := func(method, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b strings.Builder
		if err := resp.Write(&b); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b.String()
	}
	expect := func(method, path, body string, status int, parts ...string) {
		t.Helper()
		got, text := call(method, path, body)
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s %s: no %q in %s", method, path, part, text)
			}
		}
		if got != status {
			t.Errorf("%s %s %s: %d %s", method, path, body, got, text)
		}
	}
	expect("GET", "/_sim/acl", "", 200, w.ACLID, `"198.51.100.250/32"`)
	expect("POST", "/_sim/alert", `{"alert":{"id":"x","severity":1},"events":[{"connection":{"dst_addr":"203.0.113.9","dst_port":443}}]}`, 200, `"x"`)
	expect("POST", "/_sim/event?alert=x", `{"connection":{"dst_addr":"203.0.113.10"}}`, 200)
	expect("POST", "/_sim/event?alert=y", `{}`, 400)
	expect("POST", "/_sim/alert", `{"alrt":{}}`, 400)
	expect("POST", "/_sim/fault", `{"ec2":{"throttle":{"next":3},"late_by":"30s"},"threatstack":{"latency":"2s","order":"shuffled"}}`, 200, "30000000000")
	expect("POST", "/_sim/fault", `{"ec2":{"denied":["CreateNetworkAclEntry"]}}`, 200)
	expect("POST", "/_sim/fault", `{"ec2":{"thrott":1}}`, 400)
	expect("GET", "/_sim/fault", "", 200, "CreateNetworkAclEntry", "shuffled")
	expect("POST", "/_sim/quota", `{"quota":40}`, 200, "40")
	expect("POST", "/_sim/quota", `{"quota":0}`, 400)
	expect("POST", "/_sim/quota", `{"quotas":40}`, 400)
	expect("GET", "/_sim/requests", "", 200, `"writes": 0`)
	if f := w.EC2.Faults(); f.Throttle.Next != 3 || f.LateBy != 30*time.Second || len(f.Denied) != 1 {
		t.Errorf("%+v", f)
	}
	if f := w.ThreatStack.Faults(); f.Latency != 2*time.Second || f.Order != sim.Shuffled {
		t.Errorf("%+v", f)
	}
	if got := w.ThreatStack.Alerts(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("%v", got)
	}
}
