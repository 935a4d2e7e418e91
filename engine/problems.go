package engine

import (
	"fmt"
	"slices"
	"time"
)

// problems says what is wrong now, worst first.
func (l *loop) problems(t time.Time, s *Snapshot) []Problem {
	var out []Problem
	add := func(sev Severity, since time.Time, text, hint string) {
		out = append(out, Problem{Severity: sev, Since: since, Text: text, Hint: hint})
	}
	if l.journal.err != "" {
		add(Fault, l.journal.since, "the journal fails: "+l.journal.err, "nothing is written to AWS until it works; check the disk and [state] path")
	}
	if l.source.Err != "" {
		add(Fault, l.source.LastOK, l.source.Err, "blocks stay as they are; polling goes on")
	}
	out = append(out, l.mending...)
	for _, a := range l.acls {
		l.aclProblems(a, t, add)
	}
	if s.Stopped {
		add(Fault, l.list.Ceiling().At, "auto mode stopped itself: "+s.CeilingWhy, "look at the proposals, then set the mode again")
	} else if base, ceiling := l.policy.Modes(); base > ceiling {
		add(Warning, l.list.Ceiling().At, fmt.Sprintf("mode %s is held down to %s by %s", base, ceiling, s.CeilingBy), "set the mode again to raise it")
	}
	if l.guardErr != "" {
		add(Warning, t, "some addresses that must be guarded could not be looked up: "+l.guardErr, "those that are known stay guarded")
	}
	if l.source.Unsigned {
		add(Warning, time.Time{}, "answers of the alert API are accepted without a signature", "set allow_unsigned = false if the API signs its answers")
	}
	slices.SortStableFunc(out, func(a, b Problem) int { return severityRank(a.Severity) - severityRank(b.Severity) })
	return out
}

func severityRank(s Severity) int {
	return slices.Index([]Severity{Fault, Warning, Info}, s)
}

func (l *loop) aclProblems(a *aclState, t time.Time, add func(Severity, time.Time, string, string)) {
	id := a.cfg.ID
	if a.err != "" {
		add(Fault, a.readAt, id+" could not be read: "+a.err, "nothing is changed until it can be read")
	}
	if a.fault != "" {
		add(Fault, a.retryAt, "the last write to "+id+" failed: "+a.fault, "it is tried again by itself, more slowly each time")
	}
	if !a.mayCall(t) {
		add(Warning, t, "calls to EC2 for "+id+" are held back: the budget of ten minutes is used up", "")
	}
	if n := len(l.list.Drifts(id)); n > 0 {
		add(Warning, l.list.Drifts(id)[0].Since, fmt.Sprintf("%d of our entries on %s were removed by somebody else", n, id),
			"restore or revoke the blocks; a Terraform default-ACL resource or Firewall Manager may remove them again")
	}
	if a.readAt.IsZero() {
		return
	}
	plan := l.planFor(a, t)
	if n := len(plan.Void); n > 0 {
		add(Fault, t, fmt.Sprintf("%d denies on %s take no effect: an allow with a lower number matches first", n, id), plan.Void[0].Note)
	}
	if n := len(plan.Left); n > 0 {
		add(Warning, t, fmt.Sprintf("%d blocks wait on %s: %s", n, id, plan.Left[0].Why), "")
	}
	for _, w := range a.live.Warnings {
		add(Warning, a.readAt, id+": "+clean(w), "")
	}
}
