package ui

import (
	"context"
	"errors"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// errNoArchive says that the engine behind the console archives no alerts.
var errNoArchive = errors.New("this console cannot archive alerts")

// archived says whether an alert was taken out of the list. One of which an address
// waits for a decision is listed, whatever was said of it before.
func (ix *index) archived(a *engine.AlertRow) bool { return a.Archive != nil && !ix.waits(a) }

// waits says whether an address of an alert waits for a decision.
func (ix *index) waits(a *engine.AlertRow) bool {
	for _, s := range a.Sightings {
		if ix.proposals[s.Block] != nil {
			return true
		}
	}
	return false
}

// archivedState is what an archived alert says of itself.
func (m *Model) archivedState(a *engine.AlertRow) state {
	if a.Archive.Escalated {
		return state{"escalated", m.gl.up, m.th.warn}
	}
	return state{"archived", m.gl.none, m.th.dim}
}

// alertWord is the state of an alert as a filter finds it.
func (m *Model) alertWord(a *engine.AlertRow) string {
	word := m.alertState(a).word
	if word == "escalated" {
		word += " archived"
	}
	return word
}

// archivedNote says who archived an alert, and why.
func (m *Model) archivedNote(a *engine.AlertRow) string {
	how := "archived"
	if a.Archive.Escalated {
		how = "escalated and archived"
	}
	return because(fmt.Sprintf("%s by %s %s ago", how, clean(a.Archive.Actor), age(m.now, a.Archive.At)), m.masked(clean(a.Archive.Reason)))
}

// filing archives alerts, or escalates them too.
func filing(escalated bool) action {
	name, done := "archive", "archived"
	if escalated {
		name, done = "escalate", "escalated"
	}
	return action{name: name, done: done, alerts: true,
		whyNot: func(m *Model, t target) string {
			a := m.liveIndex().alerts[t.alert]
			switch {
			case m.live != nil && m.live.ReadOnly:
				return "this console is read-only"
			case a == nil:
				return "nothing to " + name + " on this row"
			case a.Archive != nil && (a.Archive.Escalated || !escalated):
				return "nothing to " + name + " on this row: it is " + m.archivedState(a).word
			case m.liveIndex().waits(a):
				return "one of its addresses waits, decide first"
			}
			return ""
		},
		exec: func(ctx context.Context, c engine.Console, t target, d blocklist.Decision) error {
			e, ok := c.(engine.Archiver)
			if !ok {
				return errNoArchive
			}
			return e.Archive(ctx, []blocklist.Filing{{Alert: t.alert, Shown: t.extent}}, blocklist.Archive{Actor: d.Actor, Reason: d.Reason, Escalated: escalated})
		}}
}

// unfiling brings archived alerts back into the list.
func unfiling() action {
	return action{name: "unarchive", done: "listed again", alerts: true,
		whyNot: func(m *Model, t target) string {
			switch a := m.liveIndex().alerts[t.alert]; {
			case m.live != nil && m.live.ReadOnly:
				return "this console is read-only"
			case a == nil || a.Archive == nil:
				return "nothing to unarchive on this row"
			}
			return ""
		},
		exec: func(ctx context.Context, c engine.Console, t target, d blocklist.Decision) error {
			e, ok := c.(engine.Archiver)
			if !ok {
				return errNoArchive
			}
			return e.Unarchive(ctx, []string{t.alert}, d.Actor, d.Reason)
		}}
}

// whyArchive is why for the key that archives and brings back.
func (m *Model) whyArchive() string {
	why := m.why(filing(false))
	if why != "" && m.why(unfiling()) == "" {
		return ""
	}
	return why
}

// archive archives alerts, or brings them back when all are archived.
func (m *Model) archive() tea.Cmd {
	a, reason, means := filing(false), "archived in the console", "Nothing is decided about their addresses. They come back when they grow; state:archived shows them."
	if !m.fitsAny(a) && m.fitsAny(unfiling()) {
		a, reason, means = unfiling(), "brought back in the console", "They are in the list again."
	}
	c, ok := m.choose(a)
	switch {
	case !ok:
		return nil
	case c.alone():
		return m.decide(c.ok[0], a, reason)
	}
	return m.askAll(a, c, reason, means)
}

// escalate asks why alerts are handed to somebody else, and archives them.
func (m *Model) escalate() tea.Cmd {
	a := filing(true)
	c, ok := m.choose(a)
	if !ok {
		return nil
	}
	return m.askReason(a, c, "It is handed to somebody else and archived; those who are notified of that get the reason. Nothing is decided about its addresses.")
}

// changedAlert says whether an alert is not any more what was shown.
func (m *Model) changedAlert(t target) bool {
	a := m.liveIndex().alerts[t.alert]
	return a == nil || a.Extent() != t.extent || (a.Archive == nil) != (t.filed == nil) || a.Archive != nil && a.Archive.Escalated != t.filed.Escalated
}

// bringBack brings back what a decision about several alerts has archived.
func (m *Model) bringBack() tea.Cmd {
	c := choice{marked: true}
	for _, it := range m.job.items {
		t, live := it.t, m.liveIndex().alerts[it.t.alert]
		if it.done && unfiling().whyNot(m, t) == "" {
			t.extent, t.filed = live.Extent(), live.Archive
			c.ok = append(c.ok, t)
		}
	}
	if len(c.ok) == 0 {
		m.say("nothing of it can be taken back yet", true)
		return nil
	}
	return m.askAll(unfiling(), c, "brought back in the console", "They are in the list again.")
}

// alertTarget gives an alert as what an action is about; nil when it is unknown.
func (ix *index) alertTarget(id string) *target {
	a := ix.alerts[id]
	if a == nil {
		return nil
	}
	t := target{block: blocklist.ID("alert " + id), alert: id, extent: a.Extent(), filed: a.Archive, cidr: "alert " + clean(id)}
	if n := len(a.Sightings); n > 0 {
		t.cidr = a.Sightings[0].Addr.String()
		if n > 1 {
			t.cidr += fmt.Sprintf(" +%d", n-1)
		}
	}
	t.about = t.cidr + ", " + string(a.Title)
	return &t
}

// alertTargets are the alerts behind rows of the list of alerts.
func (d *drawn) alertTargets(rows []string) []target {
	if d.tab != tabAlerts || d.ix == nil {
		return nil
	}
	var out []target
	for _, r := range rows {
		if t := d.ix.alertTarget(r); t != nil {
			out = append(out, *t)
		}
	}
	return out
}

// about is what an action would act on without marks.
func (d *drawn) about(a action) []target {
	if a.alerts {
		return d.alertTargets(d.single(d.row))
	}
	return d.targets
}

// marked is what an action would act on with marks: what is shown, and what the
// filter hides.
func (d *drawn) marked(a action) ([]target, []leftOut) {
	if !a.alerts {
		return d.markedTargets()
	}
	rows, hidden := d.markedRows()
	var left []leftOut
	for _, t := range d.alertTargets(hidden) {
		left = append(left, leftOut{t.cidr, hiddenWhy})
	}
	return d.alertTargets(rows), left
}
