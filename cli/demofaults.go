package cli

import (
	"slices"

	"selfprotect/firewall"
	"selfprotect/sim"
	"selfprotect/ui"
)

// demoQuota is how many entries a network ACL may have when the demo makes slots
// scarce: the default deny, an allow, and four of ours.
const demoQuota = 6

// demoFaults are what an operator of the demo can let go wrong: in the simulated
// services alone, so the program meets it as it would in earnest.
func demoFaults(w *sim.World) []ui.Fault {
	always := sim.Chance{Rate: 1}
	source := func(f sim.ThreatStackFaults) func() { return func() { w.ThreatStack.SetFaults(f) } }
	aws := func(f sim.EC2Faults) func() { return func() { w.EC2.SetFaults(f) } }
	return []ui.Fault{
		{Key: "0", Text: "all is well again", Do: func() {
			w.ThreatStack.SetFaults(sim.ThreatStackFaults{})
			w.EC2.SetFaults(sim.EC2Faults{})
			w.EC2.SetQuota(firewall.DefaultQuota)
		}},
		{Key: "1", Text: "the alert API is down", Do: source(sim.ThreatStackFaults{Error: always, ErrorStatus: 503})},
		{Key: "2", Text: "the alert API refuses our key", Do: source(sim.ThreatStackFaults{Unauthorized: always})},
		{Key: "3", Text: "answers of the alert API bear a wrong signature", Do: source(sim.ThreatStackFaults{WrongMAC: true})},
		{Key: "4", Text: "the AWS credentials have expired", Do: aws(sim.EC2Faults{Expired: true})},
		{Key: "5", Text: "AWS throttles every call", Do: aws(sim.EC2Faults{Throttle: always})},
		{Key: "6", Text: "every other answer to a write is lost", Do: aws(sim.EC2Faults{Lost: sim.Chance{Rate: 0.5},
			Actions: []string{"CreateNetworkAclEntry", "ReplaceNetworkAclEntry", "DeleteNetworkAclEntry"}})},
		{Key: "7", Text: "AWS does not let us delete entries", Do: aws(sim.EC2Faults{Denied: []string{"DeleteNetworkAclEntry"}})},
		{Key: "8", Text: "the network ACL may have only 6 entries", Do: func() { w.EC2.SetQuota(demoQuota) }},
		{Key: "9", Text: "somebody removes an entry of ours", Do: func() { removeOne(w) }},
	}
}

// removeOne removes the deny of all protocols with the lowest number, as a person
// would in the AWS console.
func removeOne(w *sim.World) {
	_ = w.EC2.Edit(w.ACLID, func(a *sim.ACL) {
		at := -1
		for i, e := range a.Entries {
			ours := !e.Allow && e.Number < 50 && (e.Protocol == "" || e.Protocol == "-1")
			if ours && (at < 0 || e.Number < a.Entries[at].Number) {
				at = i
			}
		}
		if at >= 0 {
			a.Entries = slices.Delete(slices.Clone(a.Entries), at, at+1)
		}
	})
}
