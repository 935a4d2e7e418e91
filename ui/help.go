package ui

import "strings"

// keyText gives the keys of a binding for the help.
func (b *binding) keyText() string {
	if len(b.keys) == 0 {
		return "(no key)"
	}
	return strings.Join(b.keys, ", ")
}

// helpLine is one thing that the help explains.
type helpLine struct {
	group, key, text string
	plain            bool // the key is no key
	off              bool // it does nothing in this console
}

// helpTopics is everything that the help explains: the keys as they are bound now,
// the commands, the language of filters, signs and files.
func (m *Model) helpTopics() []helpLine {
	var out []helpLine
	for _, b := range m.keys.list {
		t := helpLine{group: b.group, key: b.keyText(), text: b.help + "  (" + b.action + ")"}
		if t.off = b.group == "decide" && m.readOnly(); t.off {
			t.text = "not in a read-only console: " + t.text
		}
		out = append(out, t)
	}
	for _, c := range commands() {
		out = append(out, helpLine{"commands, at : with tab to complete", ":" + c.name, c.args + "  " + c.help, false, false})
	}
	const filter = "filters, at /"
	for _, x := range [][2]string{{"curl", "rows that show the text; \"in quotes\" with blanks"}, {"!curl", "rows that do not"},
		{"user:root|bob", "the column holds one of them"}, {"age<2h", "also <= > >= with numbers, times such as 30m or 7d, and severities"}} {
		out = append(out, helpLine{filter, x[0], x[1], true, false})
	}
	for _, f := range fields() {
		out = append(out, helpLine{filter, f.name, f.help, true, false})
	}
	return append(out, m.helpSigns()...)
}

func (m *Model) helpSigns() []helpLine {
	const signs, files = "signs", "files"
	return []helpLine{
		{signs, m.gl.ours, "ours: written by this program, or blocked", true, false},
		{signs, m.gl.foreign, "foreign: made by somebody else, never touched", true, false},
		{signs, m.gl.pending, "waits for a decision or for a write", true, false},
		{signs, m.gl.refused, "refused by the guard, or without effect", true, false},
		{signs, "+12, -12", "a group of 12 rows, folded or open; beside it the last 24 hours, the first and the last", true, false},
		{files, "journal", m.cfg.JournalPath, true, false},
		{files, "log", m.cfg.LogPath, true, false},
		{files, "you", m.cfg.Actor, true, false},
	}
}

// helpLines is the help, as far as it holds what is searched for.
func (m *Model) helpLines() []string {
	var out []string
	group := ""
	search := lower(strings.TrimSpace(m.search.text))
	for _, t := range m.helpTopics() {
		if !strings.Contains(lower(t.group+" "+t.key+" "+t.text), search) {
			continue
		}
		if t.group != group {
			group = t.group
			out = append(out, line(m.w, seg{m.th.bold, "  " + group}))
		}
		out = append(out, m.helpEntry(t)...)
	}
	if len(out) == 0 {
		out = append(out, line(m.w, seg{m.th.dim, "  nothing in the help holds that text"}))
	}
	return out
}

// helpEntry explains one thing, on as many lines as that takes.
func (m *Model) helpEntry(t helpLine) []string {
	const indent, keys = 4, 17
	p := m.th.key
	if t.plain {
		p = m.th.dim
	}
	text := m.th.plain
	if t.off {
		text = m.th.dim
	}
	var out []string
	key := clean(t.key)
	if width(key) >= keys {
		out = append(out, line(m.w, seg{p, strings.Repeat(" ", indent) + key}))
		key = ""
	}
	for _, l := range wrap(clean(t.text), max(m.w-indent-keys-1, 12)) {
		out = append(out, line(m.w, seg{p, strings.Repeat(" ", indent) + fit(key, keys)}, seg{text, l}))
		key = ""
	}
	return out
}
