package ui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall"
)

// copyLimit bounds what is copied at once, in bytes: terminals drop a longer
// OSC 52 without a word.
const copyLimit = 32 << 10

// clip sends a text to the clipboard. A terminal never says whether it took it, so
// the text is shown, too. Inside tmux it is sent to tmux and through it.
func (m *Model) clip(text string) tea.Cmd {
	set := tea.SetClipboard(text)
	if !m.cfg.Notify.Tmux {
		return set
	}
	return tea.Batch(set, tea.Raw(ansi.TmuxPassthrough(ansi.SetSystemClipboard(text))))
}

// copyCIDR copies the prefix of the highlighted row.
func (m *Model) copyCIDR() tea.Cmd {
	text := m.rowCIDR()
	if text == "" {
		m.say("this row names no single address", true)
		return nil
	}
	m.say("sent to the clipboard: "+text, false)
	return m.clip(text)
}

// rowCIDR is what the highlighted row is about: its block's prefix, else the
// only address of an alert.
func (m *Model) rowCIDR() string {
	if t := m.drawn.target; t != nil {
		return m.shown(t.cidr)
	}
	if a := m.drawnAlert(); a != nil && len(a.Sightings) == 1 {
		return m.shown(a.Sightings[0].Addr.String())
	}
	return ""
}

// shown is a text as the screen shows it.
func (m *Model) shown(s string) string {
	if m.mask == nil {
		return s
	}
	return xed.Replace(s)
}

// drawnAlert is the alert that the last frame highlighted; nil when it was
// something else.
func (m *Model) drawnAlert() *engine.AlertRow {
	if m.drawn.tab != tabAlerts {
		return nil
	}
	return m.ix.alerts[m.drawn.row]
}

// copyEvidence copies everything about the highlighted row as Markdown, and shows
// what was copied.
func (m *Model) copyEvidence() tea.Cmd {
	text := m.evidenceMarkdown()
	if text == "" {
		m.say("this row has no evidence", true)
		return nil
	}
	text = shorten(m.shown(text), copyLimit)
	m.copied = strings.Split(strings.TrimRight(text, "\n"), "\n")
	m.openOverlay(overlayCopied)
	m.say(fmt.Sprintf("sent to the clipboard: %d bytes", len(text)), false)
	return m.clip(text)
}

// shorten cuts a text at a line so that it has at most so many bytes, and says so.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const room = 100
	cut := strings.LastIndexByte(text[:limit-room], '\n') + 1
	return fmt.Sprintf("%s\n(shortened: %d lines more)\n", text[:cut], strings.Count(text[cut:], "\n"))
}

func (m *Model) evidenceMarkdown() string {
	if m.snap == nil {
		return ""
	}
	if t := m.drawn.target; t != nil {
		if p := m.ix.proposals[t.block]; p != nil {
			return m.blockMarkdown(p.Block, p.RuleName, p.Score, m.proposedMarkdown(p))
		}
		if b := m.ix.blocks[t.block]; b != nil {
			return m.blockMarkdown(b.Block, b.RuleName, b.Score, m.decidedMarkdown(b))
		}
	}
	if a := m.drawnAlert(); a != nil {
		var b strings.Builder
		m.alertMarkdown(&b, a, "")
		return b.String()
	}
	return ""
}

func utc(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// code makes a text from outside a span of code, in which Markdown means nothing.
func code(s string) string {
	s = strings.TrimSpace(strings.NewReplacer("`", "'", "|", "¦").Replace(clean(s)))
	if s == "" {
		return "-"
	}
	return "`" + s + "`"
}

func (m *Model) blockMarkdown(b blocklist.Block, rule string, score blocklist.Score, standing []string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "## %s %s\n\n", b.Prefix, b.Direction)
	for _, l := range standing {
		fmt.Fprintf(&out, "- %s\n", l)
	}
	fmt.Fprintf(&out, "- seen %s on %s, last %s; rule %s\n- weight %s\n", plural(b.Sightings, "time", "times"), plural(len(b.Hosts), "host", "hosts"), utc(b.LastSeen), code(rule), score)
	for _, r := range b.Reasons {
		fmt.Fprintf(&out, "- because %s\n", code(r))
	}
	for _, id := range b.Alerts {
		if a := m.ix.alerts[id]; a != nil {
			out.WriteByte('\n')
			m.alertMarkdown(&out, a, b.ID)
		}
	}
	return out.String()
}

func (m *Model) proposedMarkdown(p *engine.Proposal) []string {
	out := []string{"proposed " + utc(p.ProposedAt) + ", waits for a decision"}
	for _, s := range p.Steps {
		text := fmt.Sprintf("would %s entry %d, %s of %s", s.Op, s.Number, s.Direction, s.ACL)
		if s.Op == 0 {
			text = fmt.Sprintf("%s of %s: %s", s.Direction, s.ACL, s.Note)
		} else if s.Op == firewall.Create {
			text = fmt.Sprintf("would create entry %d, %s of %s", s.Number, s.Direction, s.ACL)
		}
		out = append(out, text)
	}
	return out
}

func (m *Model) decidedMarkdown(b *engine.BlockView) []string {
	out := []string{fmt.Sprintf("%s by %s %s, why: %s", b.State, code(b.DecidedBy), utc(b.DecidedAt), code(b.Why))}
	if b.State == blocklist.Active && !b.Pinned {
		out = append(out, "until "+utc(b.Expires))
	}
	for _, p := range b.Presence {
		out = append(out, fmt.Sprintf("%s of %s: %s, entry %d", p.Direction, p.ACL, p.Status, p.Number))
	}
	return out
}

// alertMarkdown writes an alert with its events; only those about one block when
// it is named.
func (m *Model) alertMarkdown(out *strings.Builder, a *engine.AlertRow, of blocklist.ID) {
	fmt.Fprintf(out, "### Alert %s\n\n%s\n\n- severity %d, %s, host %s, rule %s\n", code(a.ID), code(string(a.Title)), a.Severity, utc(a.CreatedAt), code(string(a.Host)), code(a.RuleName))
	var rows []string
	for _, s := range a.Sightings {
		if of != "" && s.Block != of {
			continue
		}
		fmt.Fprintf(out, "- %s %s: %s, %s\n", s.Addr, s.Direction, s.Outcome, plural(s.Events, "event", "events"))
		for _, e := range s.Evidence {
			rows = append(rows, evidenceRow(s.Addr.String(), e))
		}
	}
	if len(rows) > 0 {
		out.WriteString("\n| time | address | port | process | command | user | pid | host | container | own end |\n|---|---|---|---|---|---|---|---|---|---|\n")
		out.WriteString(strings.Join(rows, ""))
	}
}

func evidenceRow(addr string, e alert.Evidence) string {
	port, pid, peer := "-", "-", "-"
	if e.Port >= 0 {
		port = fmt.Sprint(e.Port)
	}
	if e.PID > 0 {
		pid = fmt.Sprint(e.PID)
	}
	if e.Peer.IsValid() {
		peer = e.Peer.String()
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", utc(e.Time), addr, port, code(string(e.Process)), code(string(e.Command)),
		code(string(e.User)), pid, code(string(e.Host)), code(string(e.Container)), peer)
}

// copiedLines are what was copied, to take with the mouse where the terminal has
// no clipboard for programs.
func (m *Model) copiedLines() []string {
	var out []string
	for _, l := range m.copied {
		parts := wrap(l, m.w-4)
		for _, p := range parts {
			out = append(out, line(m.w, seg{m.th.plain, "  " + p}))
		}
	}
	return out
}
