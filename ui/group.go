package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// group is several rows of a list with the same rule and address. Its row stands
// where its first member would.
type group struct {
	id          string
	ids         []string // of the members, in the order of the list
	first, last time.Time
	hours       [dayHours]int32 // members by the hour, the last one last
}

// groupMark begins the ids of groups; no row of the engine has such an id.
const groupMark = "\x00group\x00"

// groupKey is what the rows of one group share.
func groupKey(r *record) string {
	var b strings.Builder
	switch {
	case r.alert != nil:
		b.WriteString(r.alert.RuleID)
		for _, s := range r.alert.Sightings {
			b.WriteByte('\n')
			b.WriteByte('0' + byte(s.Direction))
			b.Write(s.Addr.AsSlice())
		}
		if len(r.alert.Sightings) == 0 {
			b.WriteString("\n" + string(r.alert.Title))
		}
	case r.line != nil:
		b.WriteString(r.line.RuleID + "\n" + r.line.Event + "\n" + r.line.Prefix.String())
		if !r.line.Prefix.IsValid() {
			b.WriteString("\n" + r.line.Text)
		}
	default:
		x := r.about()
		b.WriteString(x.RuleID + "\n" + x.Direction.String() + "\n" + x.Prefix.String())
	}
	return b.String()
}

// fold gives the rows of a list with the groups folded, except those that are open.
// It notes what stands behind each group's row.
func (m *Model) fold(t tab, rows []int32) []string {
	var known []facts
	if t == tabAlerts {
		known = m.factsOf()
	}
	at := make(map[string]int, len(rows))
	groups := make([]group, 0, len(rows))
	for _, i := range rows {
		r := m.at(t, int(i))
		key := ""
		if known != nil {
			key = known[i].key
		} else {
			key = groupKey(&r)
		}
		n, ok := at[key]
		if !ok {
			n = len(groups)
			at[key] = n
			groups = append(groups, group{id: key})
		}
		groups[n].add(r.id(), r.when(), m.snap.At)
	}
	return m.unfold(t, groups)
}

// add takes one more member in.
func (g *group) add(id string, at, now time.Time) {
	g.ids = append(g.ids, id)
	if g.first.IsZero() || at.Before(g.first) {
		g.first = at
	}
	if at.After(g.last) {
		g.last = at
	}
	if ago := int(now.Sub(at) / time.Hour); ago >= 0 && ago < dayHours {
		g.hours[dayHours-1-ago]++
	} else if ago < 0 {
		g.hours[dayHours-1]++
	}
}

// unfold gives the rows: of each group its own, and its members when it is open.
func (m *Model) unfold(t tab, groups []group) []string {
	ids := make([]string, 0, len(groups))
	named, members, open, inside := map[string]*group{}, map[string][]string{}, map[string]bool{}, map[string]string{}
	for i := range groups {
		g := &groups[i]
		if len(g.ids) == 1 {
			ids = append(ids, g.ids[0])
			continue
		}
		g.id = groupMark + g.id
		named[g.id], members[g.id] = g, g.ids
		ids = append(ids, g.id)
		if m.unfolded[t][g.id] {
			open[g.id] = true
			ids = append(ids, g.ids...)
			for _, id := range g.ids {
				inside[id] = g.id
			}
		}
	}
	m.unfolded[t], m.inside[t] = open, inside // groups that are gone are forgotten
	m.groups[t], m.lists[t].members = named, members
	return ids
}

// group gives the group whose row an id is; nil when it is a plain row.
func (m *Model) group(id string) *group {
	if !strings.HasPrefix(id, groupMark) {
		return nil
	}
	return m.groups[m.tab][id]
}

// lead is the row that a row is drawn from: of a group its first member.
func (m *Model) lead(id string) string {
	if g := m.group(id); g != nil {
		return g.ids[0]
	}
	return id
}

// leadOf is lead for any list.
func (m *Model) leadOf(t tab, id string) string {
	if g := m.groups[t][id]; g != nil {
		return g.ids[0]
	}
	return id
}

// inGroup says whether a row of the list on the screen stands below that of its
// open group.
func (m *Model) inGroup(id string) bool { return m.inside[m.tab][id] != "" }

// groupCells are the last cell of a group's row: how many, since when, how they are
// spread over the day, and what the last cell of its first member holds.
func (m *Model) groupCells(g *group, w int, rest seg) []seg {
	sign := "+"
	if m.unfolded[m.tab][g.id] {
		sign = "-"
	}
	count := fmt.Sprintf("%s%d ", sign, len(g.ids))
	span := fmt.Sprintf("%s-%s ", age(m.now, g.first), age(m.now, g.last))
	out := []seg{{m.th.bold, fit(count, max(6, width(count)))}}
	if bars := sparkBars(w); bars > 0 {
		out = append(out, seg{m.th.spark, m.spark(g, bars) + " "})
	}
	if w >= 20 {
		out = append(out, seg{m.th.dim, fit(span, 10)})
	}
	if left := w - segWidth(out); left > 0 {
		rest.s = fit(rest.s, left)
		return append(out, rest)
	}
	return []seg{{m.th.bold, fit(count, w)}}
}

// sparkBars is how many bars there is room for in a cell.
func sparkBars(w int) int {
	switch {
	case w >= 48:
		return dayHours
	case w >= 34:
		return dayHours / 2
	case w >= 25:
		return dayHours / 3
	}
	return 0
}

// spark draws the day of a group.
func (m *Model) spark(g *group, bars int) string {
	var hours [dayHours]int
	for i, n := range g.hours {
		hours[i] = int(n)
	}
	text, _ := m.sparkline(hours, bars)
	return text
}

// groupLine says above the detail what a group stands for; nothing of it comes from
// outside.
func (m *Model) groupLine(w int, g *group) string {
	text := fmt.Sprintf(" %s, first %s ago, last %s ago; a decision is about all of them  ", plural(len(g.ids), "row", "rows"), age(m.now, g.first), age(m.now, g.last))
	out := []seg{{m.th.bold, text}}
	for _, bars := range []int{dayHours, dayHours / 2, dayHours / 3} {
		if width(text)+bars+5 <= w {
			out = append(out, seg{m.th.spark, m.spark(g, bars)}, seg{m.th.dim, " 24 h"})
			break
		}
	}
	return line(w, out...)
}

// toggleGroups folds the list on the screen by rule and address, or shows every
// row again. The cursor stays on its row, or on the group that holds it.
func (m *Model) toggleGroups() tea.Cmd {
	look := &m.look[m.tab]
	look.Grouped = !look.Grouped
	m.regroup()
	m.keep()
	if look.Grouped {
		m.say(fmt.Sprintf("%s by rule and address", plural(len(m.groups[m.tab]), "group", "groups")), false)
	} else {
		m.say("every row by itself", false)
	}
	return nil
}

// regroup arranges the list on the screen anew and puts the cursor on the row that
// stands for what it was on.
func (m *Model) regroup() {
	l := m.list()
	was, members := l.cursor, l.members
	m.refillOne(m.tab)
	if l.cursor == was || was == "" {
		return
	}
	want := was
	if ids := members[was]; len(ids) > 0 {
		want = ids[0]
	}
	for id, ids := range l.members {
		if slices.Contains(ids, want) {
			want = id
			break
		}
	}
	if i := slices.Index(l.ids, want); i >= 0 {
		l.to(i)
		m.movedAt = time.Time{}
	}
}

// onGroup says whether the last frame highlighted a group or a member of one.
func (m *Model) onGroup() bool { return m.groupOf(m.drawn.row) != "" }

// groupOf is the group of a row that was drawn; empty when it has none.
func (m *Model) groupOf(row string) string {
	if m.drawn.members[row] != nil {
		return row
	}
	return m.inside[m.tab][row]
}

// toggleFold opens the highlighted group or closes it.
func (m *Model) toggleFold() tea.Cmd {
	g := m.groupOf(m.drawn.row)
	if g == "" || m.drawn.tab != m.tab {
		return nil
	}
	m.list().follow = false
	if open := m.unfolded[m.tab]; open[g] {
		delete(open, g)
	} else {
		open[g] = true
	}
	m.regroup()
	return nil
}
