package notify

import (
	"fmt"
	"net/netip"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// Begin takes the snapshot of a start: what its log holds is history.
func (n *Notifier) Begin(s *engine.Snapshot) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last, n.mode = s.LastLine(), modeOf(s)
}

// Observe tells what is news in a snapshot.
func (n *Notifier) Observe(s *engine.Snapshot) {
	n.mu.Lock()
	lines := s.LinesAfter(n.last)
	n.last, n.mode = max(n.last, s.LastLine()), modeOf(s)
	n.mu.Unlock()
	n.access(s)
	for _, l := range lines {
		if event := eventOf(s, l); event != "" {
			n.tell(itemOf(event, l))
		}
	}
}

// expiresSoon is how long before their end credentials are told of.
const expiresSoon = 15 * time.Minute

// access tells of credentials that are about to end, or that AWS does not accept: once
// for each end, as some are renewed by themselves.
func (n *Notifier) access(s *engine.Snapshot) {
	for _, a := range s.Access {
		key, what := a.Region+" "+a.Account, ""
		switch {
		case a.Err != "":
			what = fmt.Sprintf("the AWS credentials for %s are not accepted: %s", a.Region, a.Err)
		case !a.Expires.IsZero() && a.Expires.Sub(s.At) < expiresSoon:
			what = fmt.Sprintf("the AWS credentials for %s expire at %s", a.Region, a.Expires.UTC().Format("2006-01-02 15:04 MST"))
		}
		n.mu.Lock()
		known := n.ends[key]
		n.ends[key] = what
		n.mu.Unlock()
		if what != "" && what != known {
			n.tell(Item{Event: Credentials, Time: s.At, Text: what})
		}
	}
}

func modeOf(s *engine.Snapshot) string {
	if m := min(s.Base, s.Ceiling); m != 0 {
		return m.String()
	}
	return ""
}

// eventOf says what a line is for a receiver; empty: nothing.
func eventOf(s *engine.Snapshot, l engine.LogLine) string {
	switch l.Event {
	case "proposed":
		for _, p := range s.Proposals {
			if p.ID == l.Block {
				return Review // and not approved by auto mode at once
			}
		}
	case "blocked":
		for _, b := range s.Blocks {
			if b.ID == l.Block && b.DecidedBy == blocklist.AutoActor {
				return Blocked
			}
		}
	case "mode":
		if l.Actor == blocklist.EngineActor {
			return Stopped
		}
	case "escalated":
		return Escalated
	case "drift":
		// Entries of others among our numbers are told anew by every start; they are in
		// no record.
		if l.Severity != engine.Info && l.Seq != 0 {
			return Drift
		}
	}
	return ""
}

func itemOf(event string, l engine.LogLine) Item {
	it := Item{Event: event, Time: l.At, Text: l.Text, Reason: l.Reason, ACL: l.ACL, Rule: l.RuleID}
	if l.Prefix != (netip.Prefix{}) {
		it.CIDR = l.Prefix.String()
	}
	if event == Review {
		it.Text = fmt.Sprintf("%s waits for a decision", it.CIDR)
	}
	return it
}
