package ui

import "strings"

// keyText gives the keys of a binding for the help.
func (b *binding) keyText() string {
	if len(b.keys) == 0 {
		return "(no key)"
	}
	return strings.Join(b.keys, ", ")
}

// helpLines is the help, made from the key map.
func (m *Model) helpLines() []string {
	var out []string
	group := ""
	for _, b := range m.keys.list {
		if b.group != group {
			group = b.group
			out = append(out, line(m.w, seg{m.th.bold, "  " + group}))
		}
		p, text := m.th.plain, b.help
		if group == "decide" && m.readOnly() {
			p, text = m.th.dim, "not in a read-only console: "+text
		}
		out = append(out, line(m.w, seg{m.th.key, "    " + fit(b.keyText(), 16)}, seg{p, text}))
	}
	row := func(k, v string) {
		out = append(out, line(m.w, seg{m.th.dim, "    " + fit(k, 16)}, seg{m.th.plain, clean(v)}))
	}
	out = append(out, line(m.w, seg{m.th.bold, "  signs"}))
	row(m.gl.ours, "ours: written by this program, or blocked")
	row(m.gl.foreign, "foreign: made by somebody else, never touched")
	row(m.gl.pending, "waits for a decision or for a write")
	row(m.gl.refused, "refused by the guard, or without effect")
	out = append(out, line(m.w, seg{m.th.bold, "  files"}))
	row("journal", m.cfg.JournalPath)
	row("log", m.cfg.LogPath)
	row("you", m.cfg.Actor)
	return out
}
