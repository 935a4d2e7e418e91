package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// openMenu shows what can be decided about the row, or about what is marked, and
// why the rest cannot.
func (m *Model) openMenu() tea.Cmd {
	var choices []option
	for _, b := range m.keys.list {
		if b.group != "decide" || len(b.keys) == 0 || b.when == nil && b.action != "mode" && b.action != "block" {
			continue
		}
		o := option{key: b.keys[0], text: b.help, why: b.why(m), do: b.do}
		if o.why != "" {
			o.text = b.label()
			if _, because, ok := strings.Cut(o.why, "on this row: "); ok {
				o.why = because
			}
		}
		choices = append(choices, o)
	}
	return m.askOne(m.menuTitle(), nil, choices)
}

func (m *Model) menuTitle() string {
	d := &m.drawn
	switch n := d.marks.len(); {
	case n > 0:
		return plural(n, "row is marked", "rows are marked")
	case len(d.targets) == 1:
		return d.targets[0].cidr
	case len(d.targets) > 1:
		return fmt.Sprintf("%s and %d more", d.targets[0].cidr, len(d.targets)-1)
	}
	return "This row is about no block"
}
