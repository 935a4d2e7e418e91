package notify

import (
	"fmt"
	"net/netip"

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
	for _, l := range lines {
		if event := eventOf(s, l); event != "" {
			n.tell(itemOf(event, l))
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
	case "drift":
		if l.Severity != engine.Info {
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
