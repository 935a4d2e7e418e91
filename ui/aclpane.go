package ui

import (
	"fmt"
	"strings"

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
	lines, linked := m.aclLines(w, a)
	room := max(h-len(out), 0)
	out = append(out, m.window(lines, room, linked, w)...)
	return out[:h]
}

// window gives the part of the lines that fits: scrolled when the pane has the
// focus, else so that the linked line is visible.
func (m *Model) window(lines []string, room, linked, w int) []string {
	top := 0
	if m.pane == paneACL {
		m.scroll[paneACL] = max(0, min(m.scroll[paneACL], len(lines)-room))
		top = m.scroll[paneACL]
	} else if linked >= room {
		top = min(linked-room/2, max(len(lines)-room, 0))
	}
	out := append([]string(nil), lines[min(top, len(lines)):min(top+room, len(lines))]...)
	if hidden := len(lines) - top - room; hidden > 0 && room > 0 {
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
		used[b.Direction] = used[b.Direction] || b.Ours > 0 || b.Pending > 0
	}
	var out []string
	for _, b := range a.Budgets {
		if used[b.Direction] {
			out = append(out, m.gauge(w, b))
		}
	}
	return out
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

// aclLines are the entries and what belongs to them; linked is the line of the
// highlighted block, -1 for none.
func (m *Model) aclLines(w int, a *engine.ACLView) (out []string, linked int) {
	linked = -1
	pick := m.highlighted()
	dir := firewall.Direction(0)
	for _, e := range a.Entries {
		if e.Direction != dir {
			dir = e.Direction
			out = append(out, line(w, seg{m.th.header, " " + strings.ToUpper(dir.String())}))
		}
		isLinked := pick != nil && e.Owner != engine.SystemOwn && e.Prefix.IsValid() && e.Prefix.String() == pick.cidr
		if isLinked && linked < 0 {
			linked = len(out)
		}
		out = append(out, m.entryLine(w, e, isLinked))
	}
	if len(a.Waiting) > 0 {
		out = append(out, line(w, seg{m.th.warn, fmt.Sprintf(" WAITING for a slot: %d", len(a.Waiting))}))
		for _, x := range a.Waiting {
			out = append(out, line(w, seg{m.th.warn, fit(" "+m.gl.pending, 6)}, seg{m.th.plain, x.Prefix.String()}, seg{m.th.dim, fmt.Sprintf("  weight %d  %s", x.Weight, x.Why)}))
		}
	}
	if len(a.Drifted) > 0 {
		out = append(out, line(w, seg{m.th.bad, fmt.Sprintf(" REMOVED by somebody else: %d", len(a.Drifted))}))
		for _, x := range a.Drifted {
			out = append(out, line(w, seg{m.th.bad, fit(" "+m.gl.drift, 6)}, seg{m.th.plain, x.Prefix.String()}, seg{m.th.dim, fmt.Sprintf("  was %d, %s ago", x.Number, age(m.now, x.Since))}))
		}
	}
	if a.InFlight > 0 {
		out = append(out, line(w, seg{m.th.dim, " " + plural(a.InFlight, "write is", "writes are") + " not settled yet"}))
	}
	return out, linked
}

func (m *Model) entryLine(w int, e engine.EntryView, linked bool) string {
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
			tail = left(e.Expires.Sub(m.now))
		}
	case engine.SystemOwn:
		sign = m.gl.none
	default:
		if e.InRange && e.Deny {
			tail = "foreign"
		}
	}
	if e.Effect != "" {
		p, tail = m.th.bad, e.Effect
	}
	head := fmt.Sprintf("%s %s %s %s ", fitRight(number, numberWidth), sign, verb, prefix)
	if linked {
		return m.th.linked.text(fit(head+strings.Repeat(" ", max(w-width(head)-width(tail)-1, 0))+tail, w))
	}
	return spread(w, []seg{{p, head}}, []seg{{m.th.dim, cut(tail, max(w-width(head)-1, 0)) + " "}})
}
