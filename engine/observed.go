package engine

import (
	"context"
	"time"

	"selfprotect/alert"
	"selfprotect/policy"
)

// offerObserved proposes what alerts have named while their rule was only observed,
// when its mode has risen since: of the last while in which a block of it would
// still be in force. A person decides each of them, in auto mode too: nobody has
// armed the program for the past.
func (l *loop) offerObserved(ctx context.Context, t time.Time) {
	if !l.modesNew || l.cfg.NoPoll || !l.guardKnown {
		return
	}
	l.modesNew = false
	var longest time.Duration
	for _, w := range l.policy.Watches() {
		longest = max(longest, w.TTL)
	}
	var found []finding
	for _, n := range l.list.Observing(t.Add(-longest)) {
		v := l.policy.Judge(n.Alert, n.Indicator)
		if !v.Observing && t.Sub(n.Alert.CreatedAt) < v.TTL {
			found = append(found, finding{n.Alert, []alert.Indicator{n.Indicator}})
		}
	}
	if err := l.judge(ctx, found, l.judgePast); err != nil {
		l.note(err)
		l.modesNew = true
	}
}

// judgePast judges as policy does, but asks where it would block.
func (l *loop) judgePast(a alert.Alert, in alert.Indicator) policy.Verdict {
	v := l.policy.Judge(a, in)
	if v.Action == policy.Ask || v.Action == policy.Block {
		v.Action = policy.Ask
		v.Reasons = append([]string{"named while its rule was only observed"}, v.Reasons...)
	}
	return v
}
