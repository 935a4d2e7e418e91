package engine

import (
	"slices"

	"selfprotect/blocklist"
	"selfprotect/firewall"
)

// maxCalls bounds the calls that a snapshot carries.
const maxCalls = 200

// callStarted notes a call that is about to be sent.
func (l *loop) callStarted(e blocklist.Event) {
	w := *e.Write
	region := ""
	if a := l.acl(w.ACL); a != nil {
		region = a.live.Region
	}
	ops := map[string]firewall.Op{blocklist.OpCreate: firewall.Create, blocklist.OpReplace: firewall.Replace, blocklist.OpDelete: firewall.Delete}
	c := firewall.Change{Op: ops[w.Op], Direction: toFirewall(w.Direction), Number: w.Number, Prefix: w.Prefix, Old: w.Old}
	v := &l.view
	v.calls = append(v.calls, CallLine{ID: e.WriteID, At: e.At, ACL: clean(w.ACL), Command: firewall.Command(region, w.ACL, c), Undo: clean(w.Undo),
		Outcome: "sent", Reason: clean(e.Reason)})
	if len(v.calls) > maxCalls+maxCalls/4 {
		v.calls = slices.Clone(v.calls[len(v.calls)-maxCalls:])
	}
	v.callsOut = nil
}

// callSettled notes how a call ended.
func (l *loop) callSettled(e blocklist.Event) {
	v := &l.view
	for i := len(v.calls) - 1; i >= 0; i-- {
		c := &v.calls[i]
		if c.ID != e.WriteID {
			continue
		}
		c.Outcome, c.Ended = string(e.Outcome), e.At
		if e.Reason != "" {
			c.Reason = clean(e.Reason)
		}
		v.callsOut = nil
		return
	}
}
