package ui

import (
	"fmt"
	"strings"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall"
)

// aclPane draws the network ACL: gauges, entries, what waits, what is gone.
func (m *Model) aclPane(w, h int) []string {
	a := m.currentACL()
	if a == nil {
		out := []string{m.rule(w, "network ACL", false, "")}
		for len(out) < h {
			out = append(out, strings.Repeat(" ", w))
		}
		return out
	}
	title := a.ID
	if a.Name != "" && w >= 40 {
		title = a.Name + " " + a.ID
	}
	right := ""
	if n := len(m.snap.ACLs); n > 1 {
		right = fmt.Sprintf("%d/%d []", m.acl+1, n)
	}
	out := []string{m.rule(w, cut(title, w-8), m.pane == paneACL, right)}
	out = append(out, m.gauges(w, a)...)
	room := max(h-len(out), 0)
	lines, see := m.paintACL(m.aclLines(w, a), w)
	out = append(out, m.window(lines, room, see, w)...)
	return out[:h]
}

// window gives the part of the lines that fits, so that one line is visible.
func (m *Model) window(lines []string, room, see, w int) []string {
	top := 0
	if see >= room-1 {
		top = max(min(see-min(room/2, max(room-2, 0)), len(lines)-room), 0)
	}
	out := append([]string(nil), lines[min(top, len(lines)):min(top+room, len(lines))]...)
	if hidden := len(lines) - top - room; hidden > 0 && room > 1 {
		out[room-1] = line(w, seg{m.th.dim, fmt.Sprintf("   %s %d more", m.gl.down, hidden+1)})
	}
	for len(out) < room {
		out = append(out, strings.Repeat(" ", w))
	}
	return out
}

// gauges show for each direction and family how the quota is used. Lists that
// hold nothing of ours and that nothing waits for are left out when narrow.
func (m *Model) gauges(w int, a *engine.ACLView) []string {
	if a.ReadAt.IsZero() {
		text := "not read yet"
		if a.Err != "" {
			text = a.Err
		}
		var out []string
		for _, l := range wrap(text, w-2) {
			out = append(out, line(w, seg{m.th.warn, " " + l}))
		}
		return out[:min(len(out), 4)]
	}
	used := map[firewall.Direction]bool{firewall.Egress: true}
	for _, b := range a.Budgets {
		used[b.Direction] = used[b.Direction] || b.Wanted > 0 || b.Ours > 0 || b.Pending > 0
	}
	var out []string
	for _, b := range a.Budgets {
		if used[b.Direction] {
			out = append(out, m.gauge(w, b))
		}
		if used[b.Direction] && b.Waiting > 0 {
			out = append(out, line(w, seg{m.th.warn, " " + shortfall(w-1, b)}))
			out = append(out, m.nextUp(w, a, b)...)
		}
	}
	return out
}

// nextUp shows who comes in when one slot more is free.
func (m *Model) nextUp(w int, a *engine.ACLView, b firewall.Budget) []string {
	for _, x := range a.Waiting {
		if x.Next && x.Direction == b.Direction && firewall.FamilyOf(x.Prefix) == b.Family {
			return []string{line(w, seg{m.th.dim, " next up "}, seg{m.th.plain, x.Prefix.String()}, seg{m.th.dim, fmt.Sprintf(" weight %d", x.Weight)})}
		}
	}
	return nil
}

// shortfall says what there is room for, shorter in a narrow pane; the numbers are
// never cut off.
func shortfall(w int, b firewall.Budget) string {
	if s := b.Shortfall(); width(s) <= w {
		return s
	}
	return fmt.Sprintf("%d of %d wait, cut-off %d", b.Waiting, b.Wanted, b.CutOff)
}

func (m *Model) gauge(w int, b firewall.Budget) string {
	label := fit(fmt.Sprintf(" %s %s", b.Direction, b.Family), 14)
	count := fmt.Sprintf(" %d of %d", b.Ours, b.Slots)
	if w >= 40 {
		count += fmt.Sprintf(", %d free", b.Free)
	}
	count = fitRight(count, max(9, width(count))) + " "
	cells := max(w-width(label)-width(count), 0)
	full := 0
	if b.Slots > 0 {
		full = min((b.Ours*cells+b.Slots-1)/b.Slots, cells)
	}
	p := m.th.good
	if b.Free == 0 {
		p = m.th.warn
	}
	return line(w, seg{m.th.dim, label}, seg{p, strings.Repeat(m.gl.bar, full)}, seg{m.th.rule, strings.Repeat(m.gl.bar0, cells-full)}, seg{p, count})
}

// aclLines are the entries and what belongs to them.
func (m *Model) aclLines(w int, a *engine.ACLView) []aclLine {
	var out []aclLine
	dir := firewall.Direction(0)
	for _, e := range a.Entries {
		if e.Direction != dir {
			dir = e.Direction
			out = append(out, aclLine{text: line(w, seg{m.th.header, " " + strings.ToUpper(dir.String())})})
		}
		out = append(out, aclLine{entryKey(e), m.entryLine(w, e), servedBy(e)})
	}
	if len(a.Waiting) > 0 {
		out = append(out, aclLine{text: line(w, seg{m.th.warn, fmt.Sprintf(" WAITING for a slot: %d", len(a.Waiting))})})
		for _, x := range a.Waiting {
			out = append(out, aclLine{fmt.Sprintf("waiting %s %s", x.Direction, x.Block), m.waitingLine(w, x), []blocklist.ID{x.Block}})
		}
	}
	if len(a.Drifted) > 0 {
		out = append(out, aclLine{text: line(w, seg{m.th.bad, fmt.Sprintf(" REMOVED by somebody else: %d", len(a.Drifted))})})
		for _, x := range a.Drifted {
			text := line(w, seg{m.th.bad, fit(" "+m.gl.drift, 6)}, seg{m.th.plain, x.Prefix.String()}, seg{m.th.dim, fmt.Sprintf("  was %d, %s ago", x.Number, age(m.now, x.Since))})
			out = append(out, aclLine{fmt.Sprintf("drifted %s %d %s", x.Direction, x.Number, x.Prefix), text, []blocklist.ID{x.Block}})
		}
	}
	if a.InFlight > 0 {
		out = append(out, aclLine{text: line(w, seg{m.th.dim, " " + plural(a.InFlight, "write is", "writes are") + " not settled yet"})})
	}
	return out
}

// waitingLine shows a block without a slot: its weight, whether it is next, and
// how often it was named since.
func (m *Model) waitingLine(w int, x engine.WaitingView) string {
	if x.Shadowed {
		return line(w, seg{m.th.bad, fit(" "+m.gl.refused, 6)}, seg{m.th.bad, x.Prefix.String()}, seg{m.th.bad, "  " + x.Why})
	}
	head := []seg{{m.th.warn, fit(" "+m.gl.pending, 6)}, {m.th.plain, x.Prefix.String()}, {m.th.dim, fmt.Sprintf("  weight %d", x.Weight)}}
	if x.Score.Pinned {
		head = append(head, seg{m.th.bold, " pinned"})
	}
	if x.Next {
		head = append(head, seg{m.th.warn, " next"})
	}
	if x.Missed > 0 {
		head = append(head, seg{m.th.warn, fmt.Sprintf(" named %s since", plural(x.Missed, "time", "times"))})
	}
	return line(w, head...)
}

// entryTail says what serves an entry of ours: when it ends, how many blocks it
// serves, what innocents it denies.
func entryTail(e engine.EntryView, left string) string {
	tail := left
	if e.Pinned {
		tail = "pinned"
	}
	if n := len(e.Serves); n > 1 {
		tail = fmt.Sprintf("for %d  %s", n, tail)
	}
	if e.Innocent > 0 {
		tail = fmt.Sprintf("+%d innocent  %s", e.Innocent, tail)
	}
	return tail
}

func (m *Model) entryLine(w int, e engine.EntryView) string {
	number, verb, left, numberWidth := fmt.Sprint(e.Number), "allow", spanLong, 6
	if w < 40 {
		left, numberWidth = span, 4
	}
	if e.Default() {
		number = "*"
	}
	if e.Deny {
		verb = "deny"
	}
	if w >= 40 {
		verb = fit(verb, 5)
	}
	prefix := "not understood"
	if e.Prefix.IsValid() {
		prefix = e.Prefix.String()
	}
	if e.Protocol != firewall.AllProtocols && e.Prefix.IsValid() {
		prefix += fmt.Sprintf(" proto %d", e.Protocol)
	}
	sign, p, tail := m.gl.foreign, m.th.foreign, ""
	switch e.Owner {
	case engine.Ours:
		sign, p = m.gl.ours, m.th.ours
		tail = "removing"
		if !e.Expires.IsZero() {
			tail = entryTail(e, left(e.Expires.Sub(m.now)))
		}
	case engine.SystemOwn:
		sign = m.gl.none
	default:
		if e.InRange && e.Deny {
			tail = "foreign"
		}
	}
	switch e.Effect.Kind {
	case firewall.Effective:
	case firewall.Redundant:
		p, tail = m.th.warn, e.Effect.String()
	default:
		p, tail = m.th.bad, e.Effect.String()
	}
	head := fmt.Sprintf("%s %s %s %s ", fitRight(number, numberWidth), sign, verb, prefix)
	return spread(w, []seg{{p, head}}, []seg{{m.th.dim, cut(tail, max(w-width(head)-1, 0)) + " "}})
}
