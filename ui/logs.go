package ui

import (
	"strings"
	"time"
	"unicode"

	"selfprotect/engine"
)

// pastKept is how many problems of this session are kept.
const pastKept = 500

// pastProblem is a problem and when it was there.
type pastProblem struct {
	engine.Problem
	from, to time.Time // to is zero while it lasts
	key      string
}

// problemLog keeps what has been wrong in this session, oldest first, bounded.
type problemLog struct {
	list []*pastProblem
	open map[string]*pastProblem
	of   *engine.Snapshot
}

// take compares the problems of a snapshot with those that lasted.
func (l *problemLog) take(s *engine.Snapshot, now time.Time) {
	if l.of == s {
		return
	}
	l.of = s
	still := make(map[string]*pastProblem, len(s.Problems))
	for _, p := range s.Problems {
		k := problemKey(p)
		old := l.open[k]
		if old == nil {
			old = &pastProblem{from: now, key: k}
			l.list = append(l.list, old)
		}
		old.Problem = p // its numbers may have changed
		still[k] = old
	}
	for k, p := range l.open {
		if still[k] == nil {
			p.to = now
		}
	}
	l.open = still
	l.trim()
}

// add keeps something that went wrong once, such as a decision.
func (l *problemLog) add(text string, now time.Time) {
	l.list = append(l.list, &pastProblem{Problem: engine.Problem{Severity: engine.Warning, Text: text}, from: now, to: now})
	l.trim()
}

func (l *problemLog) trim() {
	if n := len(l.list) - pastKept; n > 0 {
		l.list = append([]*pastProblem(nil), l.list[n:]...)
	}
}

// problemKey is what stays of a problem while its numbers change.
func problemKey(p engine.Problem) string {
	return string(p.Severity) + strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, p.Text)
}

// problemLines are what is wrong now, then what was, newest first.
func (m *Model) problemLines() []string {
	head := func(t string) string { return line(m.w, seg{m.th.bold, "  " + t}) }
	var out []string
	if m.snap == nil || len(m.snap.Problems) == 0 {
		out = append(out, line(m.w, seg{m.th.good, "  nothing is wrong now"}))
	} else {
		out = append(out, head("now"))
		for _, p := range m.snap.Problems {
			since := p.Since
			if o := m.past.open[problemKey(p)]; o != nil {
				since = o.from
			}
			out = append(out, m.problemBlock("  "+m.clockOf(since), p)...)
		}
	}
	first := true
	for i := len(m.past.list) - 1; i >= 0; i-- {
		p := m.past.list[i]
		if p.to.IsZero() {
			continue
		}
		if first {
			out, first = append(out, head("earlier in this session")), false
		}
		at := "  " + m.clockOf(p.from)
		if p.to.After(p.from) {
			at += ", for " + spanLong(p.to.Sub(p.from))
		}
		out = append(out, m.problemBlock(at, p.Problem)...)
	}
	return out
}

func (m *Model) problemBlock(at string, p engine.Problem) []string {
	style := m.th.warn
	if p.Severity == engine.Fault {
		style = m.th.bad
	}
	out := []string{line(m.w, seg{style, "  " + fit(string(p.Severity), 8)}, seg{m.th.dim, at})}
	for _, l := range wrap(m.masked(p.Text), m.w-6) {
		out = append(out, line(m.w, seg{m.th.plain, "      " + l}))
	}
	if p.Hint != "" {
		for _, l := range wrap(m.gl.right+" "+p.Hint, m.w-8) {
			out = append(out, line(m.w, seg{m.th.dim, "        " + l}))
		}
	}
	return out
}

// clockOf gives the time of the day, with the date when it is another day.
func (m *Model) clockOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(m.cfg.Location)
	if m.now.Sub(t) < 20*time.Hour {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}
