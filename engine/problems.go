package engine

import (
	"fmt"
	"slices"
	"time"

	"selfprotect/firewall"
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
	if err := l.dismissal.err; err != "" {
		add(Warning, t, "alerts could not be dismissed at the source: "+err, "blocks do not wait for that; it is tried again, more slowly each time")
	}
	if l.clock.doubt != "" {
		add(Fault, time.Time{}, l.clock.doubt, "auto mode has stopped and blocks expire by the time before, until the alert source's clock confirms ours")
	}
	l.accessProblems(t, add)
	out = append(out, l.mending...)
	for _, a := range l.acls {
		l.aclProblems(a, t, add)
	}
	if s.Stopped {
		add(Fault, l.list.Ceiling().At, "auto mode stopped itself: "+s.CeilingWhy, "look at the proposals, then set the mode again")
	} else if base, ceiling := l.policy.Modes(); base > ceiling {
		add(Warning, l.list.Ceiling().At, fmt.Sprintf("mode %s is held down to %s by %s", base, ceiling, s.CeilingBy), "set the mode again to raise it")
	}
	for _, acl := range s.StoppedFor {
		c, _ := l.list.Stopped(acl)
		add(Fault, c.At, fmt.Sprintf("auto mode stopped itself for %s: %s", acl, clean(c.Reason)), "what alerts name is proposed there; set the mode again when the cause is gone")
	}
	if l.guardShrunk != "" {
		add(Fault, t, l.guardShrunk+"; nothing is created or replaced", "look why; if it is right, set the mode, which confirms it")
	}
	for _, o := range s.Overrides {
		add(Warning, o.At, fmt.Sprintf("%s overrides the guard for %s until %s: %s", clean(o.Actor), o.Prefix, o.Expires.UTC().Format("15:04 MST"), clean(o.Reason)),
			"when that ends its entry is removed; guard override --end ends it now")
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

// expiresSoon is how long before their end credentials are a problem: those that
// renew themselves have done so by then.
const expiresSoon = 5 * time.Minute

// accessProblems says which credentials AWS does not accept or soon will not.
func (l *loop) accessProblems(t time.Time, add func(Severity, time.Time, string, string)) {
	const hint = "renew them, such as by aws sso login; proposals wait, nothing is dropped"
	for _, a := range l.access {
		switch left := a.Expires.Sub(t); {
		case a.Err != "":
			add(Fault, a.CheckedAt, "AWS does not accept our credentials in "+a.Region+": "+a.Err, hint)
		case a.Expires.IsZero() || left > expiresSoon:
		case left <= 0:
			add(Fault, a.Expires, "the AWS credentials for "+a.Region+" have expired", hint)
		default:
			add(Warning, a.CheckedAt, fmt.Sprintf("the AWS credentials for %s expire in %s", a.Region, max(left.Truncate(time.Minute), time.Minute)), hint)
		}
	}
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
	if !l.mayCallFor(a, t) {
		add(Warning, t, "calls to EC2 for "+id+" are held back: the budget of ten minutes is used up", "")
	}
	if n := len(l.list.Drifts(id)); n > 0 {
		add(Warning, l.list.Drifts(id)[0].Since, fmt.Sprintf("%d of our entries on %s were removed by somebody else", n, id),
			"restore or revoke the blocks; a Terraform default-ACL resource or Firewall Manager may remove them again")
	}
	if a.readAt.IsZero() {
		return
	}
	if n := len(a.strangers); n > 0 {
		e := a.strangers[0]
		add(Warning, a.readAt, fmt.Sprintf("%d entries of others are in our number range of %s, such as %s %d", n, id, e.Direction, e.Number),
			"they are never touched; their numbers are not used")
	}
	l.planProblems(a, l.planFor(a, t), t, add)
	for _, w := range a.live.Warnings {
		add(Warning, a.readAt, id+": "+clean(w), "")
	}
}

// planProblems says what the plan cannot do.
func (l *loop) planProblems(a *aclState, plan firewall.Plan, t time.Time, add func(Severity, time.Time, string, string)) {
	id := a.cfg.ID
	if n := len(plan.Void); n > 0 {
		add(Fault, t, fmt.Sprintf("%d denies on %s do not take full effect: an allow with a lower number matches first", n, id), plan.Void[0].Note)
	}
	shadowed := slices.DeleteFunc(slices.Clone(plan.Left), func(x firewall.Left) bool { return !x.Shadowed })
	if n := len(shadowed); n > 0 {
		add(Fault, t, fmt.Sprintf("%d blocks on %s cannot take effect: %s", n, id, shadowed[0].Why), "give the allow a higher number, or our entries a lower range")
	}
	for _, b := range plan.Budgets {
		if b.Waiting == 0 {
			continue
		}
		hint := "the heaviest are kept; who comes next is marked in the list"
		if b.Slots == 0 {
			hint = "entries of others fill the quota; remove some, or have the quota raised"
		}
		add(Warning, t, fmt.Sprintf("slots are short on %s %s %s: %s", id, b.Direction, b.Family, b.Shortfall()), hint)
	}
}
