package ui

import (
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/engine"
)

func TestCredentials(t *testing.T) {
	for _, x := range []struct {
		access engine.Access
		want   []string
	}{
		{engine.Access{Expires: t0.Add(7 * time.Hour)}, []string{"AWS login 7h00m left"}},
		{engine.Access{Expires: t0.Add(10 * time.Minute)}, []string{"AWS login ends in 10m", "the AWS credentials end in 10m → log in again before"}},
		{engine.Access{Expires: t0.Add(-time.Minute)}, []string{"AWS login ENDED 1m ago", "the AWS credentials have ended"}},
		{engine.Access{Err: "expired token"}, []string{"AWS REFUSES US"}},
	} {
		s := newScreen(t, 200, 40)
		snap := full()
		snap.Access = []engine.Access{x.access}
		s.show(snap)
		s.expect(x.want...)
	}
}

func TestCommandLog(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.m.Update(tea.KeyPressMsg{Code: 'l', Mod: tea.ModCtrl})
	s.expect("no call has changed an ACL yet")
	s.press("q")
	snap := full()
	snap.Calls = []engine.CallLine{{At: t0.Add(-time.Minute), Ended: t0.Add(-58 * time.Second), ACL: demoACL, Outcome: "present", Reason: "approved by alice@soc",
		Command: "aws ec2 create-network-acl-entry --network-acl-id " + demoACL + " --egress --rule-number 4", Undo: "aws ec2 delete-network-acl-entry --rule-number 4"},
		{At: t0, ACL: demoACL, Outcome: "unknown", Command: "aws ec2 create-network-acl-entry --rule-number 5"}}
	s.show(snap)
	s.m.Update(tea.KeyPressMsg{Code: 'l', Mod: tea.ModCtrl})
	s.expect("present", "aws ec2 create-network-acl-entry --network-acl-id "+demoACL, "undo: aws ec2 delete-network-acl-entry", "known after 2s", "unknown", "why:  approved by alice@soc")
}
