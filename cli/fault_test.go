package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"selfprotect/journal"
	"selfprotect/sim"
)

// cmdFault sets faults of the servers as POST /_sim/fault takes them.
func cmdFault(ts *testscript.TestScript, _ bool, args []string) {
	var now any
	ts.Check(control(stageOf(ts).server.url+"/_sim/fault", only(ts, args, "fault JSON"), &now))
}

// cmdQuota sets the quota that is enforced and answered.
func cmdQuota(ts *testscript.TestScript, _ bool, args []string) {
	var now any
	body := fmt.Sprintf(`{"quota":%d}`, number(ts, only(ts, args, "quota N")))
	ts.Check(control(stageOf(ts).server.url+"/_sim/quota", body, &now))
}

// cmdPast adds an alert that fired some time ago.
func cmdPast(ts *testscript.TestScript, _ bool, args []string) { addPast(ts, args) }

// cmdDismissed adds one that a person has dismissed.
func cmdDismissed(ts *testscript.TestScript, _ bool, args []string) {
	stageOf(ts).world.ThreatStack.Dismiss(addPast(ts, args))
}

func addPast(ts *testscript.TestScript, args []string) string {
	if len(args) != 2 {
		ts.Fatalf("usage: past AGO ADDRESS")
	}
	ago, err := time.ParseDuration(args[0])
	ts.Check(err)
	w := stageOf(ts).world
	id := w.ThreatStack.AddAlert(sim.Alert{RuleID: w.RuleID, RulesetID: w.RulesetID, AgentID: w.Agents[0].ID, Title: "past", CreatedAt: time.Now().Add(-ago)})
	w.ThreatStack.AddEvent(id, sim.Event{EventType: "audit", Type: "connect", Syscall: "connect", Connection: &sim.Connection{DstAddr: args[1]}})
	return id
}

// cmdRequests holds how often an endpoint of the alert API was asked.
func cmdRequests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: requests ENDPOINT N")
	}
	var got struct {
		ThreatStack struct {
			ByEndpoint map[string]int `json:"by_endpoint"`
		} `json:"threatstack"`
	}
	ts.Check(control(stageOf(ts).server.url+"/_sim/requests", "", &got))
	if n := got.ThreatStack.ByEndpoint[args[0]]; n != number(ts, args[1]) {
		ts.Fatalf("%d requests of %s, want %s", n, args[0], args[1])
	}
}

// cmdPolicy lets AWS deny every action that a policy of deploy/iam does not grant.
func cmdPolicy(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile("../deploy/iam/" + only(ts, args, "policy FILE"))
	ts.Check(err)
	var policy struct{ Statement []struct{ Action []string } }
	ts.Check(json.Unmarshal(b, &policy))
	granted := map[string]bool{}
	for _, s := range policy.Statement {
		for _, a := range s.Action {
			_, name, _ := strings.Cut(a, ":")
			granted[name] = true
		}
	}
	var f struct {
		EC2 struct {
			Denied []string `json:"denied"`
		} `json:"ec2"`
	}
	f.EC2.Denied = []string{}
	for _, a := range []string{"DescribeNetworkAcls", "CreateNetworkAclEntry", "ReplaceNetworkAclEntry", "DeleteNetworkAclEntry", "DescribeVpcs", "DescribeSubnets",
		"DescribeAddresses", "DescribeNatGateways", "DescribeVpcPeeringConnections", "DescribeRouteTables", "GetServiceQuota"} {
		if !granted[a] {
			f.EC2.Denied = append(f.EC2.Denied, a)
		}
	}
	body, err := json.Marshal(f)
	ts.Check(err)
	var now any
	ts.Check(control(stageOf(ts).server.url+"/_sim/fault", string(body), &now))
}

// cmdRecord appends a record as it is to a journal, which is made when it is not there.
func cmdRecord(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: record FILE JSON")
	}
	j, err := journal.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	n, err := j.Head(context.Background())
	ts.Check(err)
	_, err = j.Append(context.Background(), n, []byte(args[1]))
	ts.Check(err)
	ts.Check(j.Close())
}

// cmdIdleRule adds a rule that is not enabled, and sets IDLERULE to its id.
func cmdIdleRule(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: idlerule")
	}
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	w := stageOf(ts).world
	w.ThreatStack.AddRule(sim.Rule{ID: id, RulesetID: w.RulesetID, Name: "idle", Title: "idle", Type: "Host", Severity: 3, AlertDescription: "idle"})
	ts.Setenv("IDLERULE", id)
}

// cmdEffect waits until the network ACL denies an address, whether the program
// knows it or not.
func cmdEffect(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	cidr := only(ts, args, "effect ADDRESS") + "/32"
	often := time.NewTicker(20 * time.Millisecond)
	defer often.Stop()
	late := time.After(patience)
	for {
		all, err := entries(s.server.url, s.world.ACLID)
		ts.Check(err)
		if slices.ContainsFunc(all, func(e entry) bool { return e.CIDR == cidr && e.Action == "deny" }) {
			return
		}
		select {
		case <-often.C:
		case <-late:
			ts.Fatalf("no deny of %s for %s", cidr, patience)
		}
	}
}

// cmdExitedIn is exited with limits of its own for the time that the end takes.
func cmdExitedIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: exitedin LEAST MOST CODE")
	}
	least, err := time.ParseDuration(args[0])
	ts.Check(err)
	most, err := time.ParseDuration(args[1])
	ts.Check(err)
	began := time.Now()
	cmdExited(ts, false, args[2:])
	if d := time.Since(began); d < least || d > most {
		ts.Fatalf("it took %s to end, want %s to %s", d, least, most)
	}
}
