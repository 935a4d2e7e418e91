package ui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// snoozed says whether a block waits for a decision and was put off until later.
func (m *Model) snoozed(b *blocklist.Block) bool { return b != nil && b.Snoozed(m.now) }

// pendingWord says how a proposal waits.
func (m *Model) pendingWord(b *blocklist.Block) string {
	if m.snoozed(b) {
		return "snoozed"
	}
	return "pending"
}

// pendingState is pendingWord with its sign.
func (m *Model) pendingState(b *blocklist.Block) (rank int, st state) {
	if m.snoozed(b) {
		return 1, state{"snoozed", m.gl.none, m.th.dim}
	}
	return 0, state{"pending", m.gl.pending, m.th.warn}
}

// queue counts what waits for a decision now, and what was put off.
func (m *Model) queue(s *engine.Snapshot) (waiting, later int) {
	if s == nil {
		return 0, 0
	}
	for _, p := range s.Proposals {
		if m.snoozed(&p.Block) {
			later++
		} else {
			waiting++
		}
	}
	return waiting, later
}

func snoozing(until time.Time) action {
	return action{verb: blocklist.Snooze, name: "snooze", done: "snoozed", until: until, whyNot: needs(blocklist.Pending, "nothing to snooze on this row")}
}

func waking() action {
	pending := needs(blocklist.Pending, "nothing to wake on this row")
	return action{verb: blocklist.Wake, name: "wake", done: "woken", whyNot: func(m *Model, t target) string {
		if why := pending(m, t); why != "" {
			return why
		}
		if !m.snoozed(m.liveIndex().block(t.block)) {
			return "nothing to wake on this row: it is not snoozed"
		}
		return ""
	}}
}

// snooze asks until when a proposal is put off. It leaves the queue meanwhile, and
// auto mode leaves it alone.
func (m *Model) snooze() tea.Cmd {
	a := snoozing(time.Time{})
	c, ok := m.choose(a)
	if !ok {
		return nil
	}
	until := func(key, text string, d time.Duration) option {
		at := m.now.Add(d)
		return option{key, text + ", until " + m.until(at), "", func(m *Model) tea.Cmd { return m.actOn(snoozing(at), c, "put off in the console") }}
	}
	choices := []option{until("1", "one hour", time.Hour), until("8", "eight hours", 8*time.Hour), until("d", "a day", 24*time.Hour)}
	if awake, _ := m.sort(waking(), c.ok); len(awake) > 0 {
		choices = append(choices, option{"w", "wake it now", "", func(m *Model) tea.Cmd { return m.actOn(waking(), c, "woken in the console") }})
	}
	text := []string{"It is asked again then. Until then it is not blocked, also in auto mode; state:snoozed shows it."}
	if !c.alone() {
		text = append(text, c.lines()...)
	}
	return m.askOne(c.title(a), text, choices)
}

func (m *Model) wakeUp() tea.Cmd {
	a := waking()
	c, ok := m.choose(a)
	if !ok {
		return nil
	}
	if c.alone() {
		return m.decide(c.ok[0], a, "woken in the console")
	}
	return m.askAll(a, c, "woken in the console", "They are asked again now.")
}

// actOn carries out what a question has answered: on one, or on all.
func (m *Model) actOn(a action, c choice, reason string) tea.Cmd {
	if c.alone() {
		return m.decideStill(a, c.ok[0], reason)
	}
	return m.startJob(a, c, reason)
}

// snoozedNote says how long a proposal is put off, and by whom.
func (m *Model) snoozedNote(b *blocklist.Block) string {
	return fmt.Sprintf("snoozed by %s until %s, %s left", clean(b.SnoozedBy), m.until(b.SnoozedUntil), spanLong(b.SnoozedUntil.Sub(m.now)))
}

// putOff says whether a row of a list was put off or archived, so that only those
// see it who ask for it.
func (m *Model) putOff(t tab, i int) bool {
	switch t {
	case tabAlerts:
		return m.ix.archived(m.snap.Alerts[i])
	case tabProposals:
		return m.snoozed(&m.snap.Proposals[i].Block)
	}
	return false
}

// asksForPutOff says whether a filter of a list asks for what was put off there.
func (q query) asksForPutOff(t tab) bool {
	if t == tabAlerts {
		return q.asksFor("archived") || q.asksFor("escalated")
	}
	return q.asksFor("snoozed")
}

// asksFor says whether a filter names a state.
func (q query) asksFor(word string) bool {
	for _, t := range q.terms {
		if t.not || t.field != "" && t.field != "state" {
			continue
		}
		for _, w := range t.words {
			if len(w) > 2 && strings.HasPrefix(word, w) {
				return true
			}
		}
	}
	return false
}

// laterCount says how many rows of the list were put off or archived.
func (m *Model) laterCount() []seg {
	if m.tab == tabAlerts && m.ix.filed > 0 {
		return []seg{{m.th.dim, fmt.Sprintf(" %d archived ", m.ix.filed)}}
	}
	_, later := m.queue(m.snap)
	if later == 0 || m.tab != tabProposals {
		return nil
	}
	return []seg{{m.th.dim, fmt.Sprintf(" %d snoozed ", later)}}
}
