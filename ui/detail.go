package ui

import (
	"fmt"
	"net/netip"
	"strings"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall"
)

// detailPane draws everything about the highlighted row. What an approval would
// do comes first, and no text from outside stands in or above it.
func (m *Model) detailPane(w, h int) []string {
	title, text := m.detail(w)
	m.scroll[paneDetail] = max(0, min(m.scroll[paneDetail], len(text)-(h-1)))
	right := ""
	if hidden := len(text) - (h - 1) - m.scroll[paneDetail]; hidden > 0 {
		right = plural(hidden, "more line", "more lines") + ", tab and j"
	}
	out := []string{m.rule(w, title, m.pane == paneDetail, right)}
	for i := range max(h-1, 0) {
		at := i + m.scroll[paneDetail]
		if at < len(text) {
			out = append(out, text[at])
		} else {
			out = append(out, strings.Repeat(" ", w))
		}
	}
	return out
}

func (m *Model) detail(w int) (string, []string) {
	if m.pane == paneACL {
		return m.entryDetail(w)
	}
	id := m.list().cursor
	title, text := m.detailOf(w, m.lead(id))
	if g := m.group(id); g != nil {
		text = append([]string{m.groupLine(w, g)}, text...)
	}
	return title, text
}

// entryDetail shows the blocks of the entry under the cursor of the network ACL.
func (m *Model) entryDetail(w int) (string, []string) {
	var out []string
	title := "This entry is not ours: it is counted, and never touched"
	for _, id := range m.pickedBlocks() {
		if b := m.ix.blocks[id]; b != nil {
			title = "The blocks of this entry"
			out = append(out, append(m.standing(w, b), m.background(w, b.Block, b.Score, b.RuleName)...)...)
		}
	}
	if a := m.currentACL(); len(out) == 0 && a != nil {
		for _, e := range a.Entries {
			if entryKey(e) == m.aclAt {
				out = m.entryFacts(w, e)
			}
		}
	}
	return title, out
}

// entryFacts says what an entry without a block is and does.
func (m *Model) entryFacts(w int, e engine.EntryView) []string {
	verb, protocol := "allow", "all protocols"
	if e.Deny {
		verb = "deny"
	}
	if e.Protocol != firewall.AllProtocols {
		protocol = fmt.Sprintf("protocol %d", e.Protocol)
	}
	out := []string{line(w, seg{m.th.bold, fmt.Sprintf("   entry %d %s: %s %s", e.Number, e.Direction, verb, e.Prefix)}, seg{m.th.dim, ", " + protocol})}
	switch {
	case e.Owner == engine.SystemOwn:
		out = append(out, line(w, seg{m.th.dim, "   the rule that AWS puts at the end of every network ACL"}))
	case e.Owner == engine.Ours:
		out = append(out, line(w, seg{m.th.dim, "   no block needs it any more: it is about to be removed"}))
	}
	if e.Effect.Kind != firewall.Effective {
		out = append(out, line(w, seg{m.th.bad, "   " + e.Effect.String()}))
	}
	return out
}

// detailOf shows a row of the list on the screen.
func (m *Model) detailOf(w int, id string) (string, []string) {
	switch m.tab {
	case tabAlerts:
		if a := m.ix.alerts[id]; a != nil {
			return m.alertDetail(w, a)
		}
	case tabProposals:
		if p := m.ix.proposals[blocklist.ID(id)]; p != nil {
			return "Approving this would", append(m.effect(w, p), m.background(w, p.Block, p.Score, p.RuleName)...)
		}
	case tabBlocks:
		if b := m.ix.blocks[blocklist.ID(id)]; b != nil {
			return "Block", append(m.standing(w, b), m.background(w, b.Block, b.Score, b.RuleName)...)
		}
	case tabLog:
		if l := m.ix.lines[id]; l != nil {
			return "What happened", m.logDetail(w, l)
		}
	}
	return "Detail", nil
}

// prefixList names the first few prefixes and counts the others.
func prefixList(list []netip.Prefix) string {
	var names []string
	for _, p := range list[:min(len(list), 3)] {
		names = append(names, p.String())
	}
	if more := len(list) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// standing says where the entries of a block are.
func (m *Model) standing(w int, b *engine.BlockView) []string {
	st := m.blockState(b)
	head := []seg{{st.p, " " + st.glyph + " " + st.word + " "}, {m.th.bold, b.What()}}
	switch {
	case b.Pinned:
		head = append(head, seg{m.th.bold, "  pinned by " + clean(b.PinnedBy) + ": before everything, without an end"})
	case b.State == blocklist.Active:
		head = append(head, seg{m.th.dim, "  until " + b.Expires.In(m.cfg.Location).Format("2006-01-02 15:04:05") + ", " + spanLong(b.Expires.Sub(m.now)) + " left"})
	}
	out := []string{line(w, head...)}
	for _, p := range b.Presence {
		if p.Status == "none" {
			continue
		}
		text := fmt.Sprintf("   %s of %s: %s", p.Direction, p.ACL, p.Status)
		if p.Number > 0 {
			text += fmt.Sprintf(", entry %d", p.Number)
		}
		if p.Entry.IsValid() {
			text += " " + p.Entry.String()
		}
		if p.Innocent > 0 {
			text += ", denies " + firewall.Innocent(p.Innocent, firewall.FamilyOf(b.Prefix)) + " too"
		}
		if p.Next {
			text += ", next to come in"
		}
		if p.Note != "" {
			text += " (" + p.Note + ")"
		}
		for i, part := range wrap(strings.TrimSpace(text), max(w-8, 10)) {
			indent := "   "
			if i > 0 {
				indent = "       "
			}
			out = append(out, line(w, seg{m.th.plain, indent + part}))
		}
	}
	by := fmt.Sprintf("   %s by %s %s ago", b.State, clean(b.DecidedBy), age(m.now, b.DecidedAt))
	if b.Why != "" {
		by += ": " + clean(b.Why)
	}
	return append(out, line(w, seg{m.th.dim, by}))
}

// background is where a block comes from: numbers, reasons, evidence.
func (m *Model) background(w int, b blocklist.Block, score blocklist.Score, rule string) []string {
	if b.Cover {
		out := []string{}
		for _, r := range b.Reasons {
			out = append(out, line(w, seg{m.th.dim, "   because " + clean(r)}))
		}
		return out
	}
	out := []string{line(w, seg{m.th.dim, "   seen "}, seg{m.th.plain, plural(b.Sightings, "time", "times")}, seg{m.th.dim, " on "},
		seg{m.th.plain, plural(len(b.Hosts), "host", "hosts")}, seg{m.th.dim, fmt.Sprintf(", last %s ago, rule %s", age(m.now, b.LastSeen), rule)}),
		line(w, seg{m.th.dim, "   weight "}, seg{m.th.plain, score.String()})}
	if b.Missed > 0 {
		out = append(out, line(w, seg{m.th.warn, fmt.Sprintf("   named %s while it had no slot", plural(b.Missed, "time", "times"))}))
	}
	for _, r := range b.Reasons {
		out = append(out, line(w, seg{m.th.dim, "   because " + clean(r)}))
	}
	for _, id := range b.Alerts {
		a := m.ix.alerts[id]
		if a == nil || m.overlay == overlayRow { // the page shows all of them
			continue
		}
		out = append(out, line(w, seg{m.th.dim, "   " + fit(age(m.now, a.CreatedAt)+" ago", 8)}, seg{m.th.plain, string(a.Title)}))
		for _, s := range a.Sightings {
			if s.Block == b.ID {
				out = append(out, m.evidenceLines(w, s.Evidence)...)
			}
		}
	}
	return out
}

func (m *Model) evidenceLines(w int, list []alert.Evidence) []string {
	var out []string
	for _, e := range list {
		out = append(out, line(w, seg{m.th.dim, "     " + e.Time.In(m.cfg.Location).Format("15:04:05") + "  "}, seg{m.th.plain, evidence(e)}))
	}
	return out
}

// alertDetail shows an alert. When it has just one proposal that waits, what
// approving it would do stands first, apart from the alert's text.
func (m *Model) alertDetail(w int, a *engine.AlertRow) (string, []string) {
	var out []string
	title := "Alert"
	if ids := m.ix.blocksOfAlert(a); len(ids) == 1 && m.ix.proposals[ids[0]] != nil {
		title = "Approving this would"
		out = m.effect(w, m.ix.proposals[ids[0]])
	}
	for _, s := range a.Sightings {
		_, st := m.sightingState(s)
		text := fmt.Sprintf(" %s  %s", s.Direction, plural(s.Events, "event", "events"))
		out = append(out, line(w, seg{st.p, " " + st.glyph + " " + fit(st.word, 10)}, seg{m.th.bold, s.Addr.String()}, seg{m.th.dim, text}))
		for _, r := range s.Reasons {
			out = append(out, line(w, seg{m.th.dim, "     " + clean(r)}))
		}
		out = append(out, m.evidenceLines(w, s.Evidence)...)
	}
	if a.Archive != nil {
		out = append(out, m.indented(w, m.th.warn, m.archivedNote(a))...)
	}
	sev, p := m.severityWord(a.Severity)
	out = append(out, line(w, seg{p, " " + sev}, seg{m.th.plain, "  " + string(a.Title)}))
	out = append(out, line(w, seg{m.th.dim, fmt.Sprintf("   %s ago, rule %s, alert %s, %s", age(m.now, a.CreatedAt), a.RuleName, clean(a.ID), m.reading(a))}))
	return title, out
}

// reading says how much of an alert has been read.
func (m *Model) reading(a *engine.AlertRow) string {
	text := plural(a.Events, "event", "events")
	if !a.Complete {
		text = "its events are not read yet"
	}
	if a.Skipped > 0 {
		text += fmt.Sprintf(", %d not understood", a.Skipped)
	}
	if a.Note != "" {
		text += ", " + a.Note
	}
	return text
}

func (m *Model) logDetail(w int, l *engine.LogLine) []string {
	var out []string
	row := func(k, v string) {
		if v == "" {
			return
		}
		for i, part := range wrap(v, max(w-16, 10)) {
			if i > 0 {
				k = ""
			}
			out = append(out, line(w, seg{m.th.dim, "   " + fit(k, 12)}, seg{m.th.plain, part}))
		}
	}
	row(l.Event, l.Text)
	row("reason", l.Reason)
	row("when", l.At.In(m.cfg.Location).Format("2006-01-02 15:04:05"))
	row("who", l.Actor)
	if l.Prefix.IsValid() {
		row("prefix", l.Prefix.String())
	}
	if l.ACL != "" && l.Number > 0 {
		row("entry", fmt.Sprintf("%d, %s of %s", l.Number, l.Direction, l.ACL))
	}
	row("alert", clean(l.Alert))
	if l.Seq > 0 {
		row("record", fmt.Sprint(l.Seq))
	}
	return out
}
