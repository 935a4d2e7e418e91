package ui

import (
	"strings"
	"time"

	"selfprotect/engine"
)

// callLines are the calls that change an ACL, newest first, each as the AWS CLI
// command that would do the same, with what takes it back.
func (m *Model) callLines() []string {
	if m.snap == nil || len(m.snap.Calls) == 0 {
		return []string{line(m.w, seg{m.th.dim, "  no call has changed an ACL yet"})}
	}
	var out []string
	for i := len(m.snap.Calls) - 1; i >= 0; i-- {
		out = append(out, m.callBlock(m.snap.Calls[i])...)
	}
	return out
}

func (m *Model) callBlock(c engine.CallLine) []string {
	p := m.th.plain
	switch c.Outcome {
	case "present", "absent":
		p = m.th.good
	case "unknown":
		p = m.th.bad
	case "sent":
		p = m.th.warn
	}
	took := ""
	if !c.Ended.IsZero() {
		took = ", known after " + c.Ended.Sub(c.At).Round(100*time.Millisecond).String()
	}
	out := []string{line(m.w, seg{m.th.dim, "  " + m.clockOf(c.At) + "  "}, seg{p, fit(c.Outcome, 9)}, seg{m.th.dim, clean(c.ACL) + took})}
	more := func(p paint, label, text string) {
		for i, l := range wrap(text, max(m.w-12, 10)) {
			if i > 0 {
				label = strings.Repeat(" ", width(label))
			}
			out = append(out, line(m.w, seg{m.th.dim, "      " + label}, seg{p, l}))
		}
	}
	more(m.th.plain, "", clean(c.Command))
	if c.Undo != "" {
		more(m.th.dim, "undo: ", clean(c.Undo))
	}
	if c.Reason != "" {
		more(m.th.dim, "why:  ", m.masked(clean(c.Reason)))
	}
	return out
}
