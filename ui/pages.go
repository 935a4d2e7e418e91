package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// pageSearch narrows a page over the lists to the lines that hold a text.
type pageSearch struct {
	text   string
	typing bool
}

// overlayKey handles a key while a page is open.
func (m *Model) overlayKey(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	s := &m.search
	if s.typing {
		s.key(k, name)
		return nil
	}
	if name != "/" && (name != "esc" || s.text == "") {
		switch m.overlay {
		case overlayRow:
			return m.pageKey(name)
		case overlayRecent:
			return m.recentKey(name)
		case overlayAllowed:
			return m.allowedKey(name)
		case overlayJob:
			if b := m.keys.byKey[name]; b != nil && b.action == "undo" {
				return m.undoJob()
			}
		}
	}
	page := max(m.bodyHeight()-2, 1)
	switch name {
	case "/":
		*s = pageSearch{typing: true}
		m.scroll[paneList] = 0
	case "j", "down":
		m.scroll[paneList]++
	case "k", "up":
		m.scroll[paneList] = max(0, m.scroll[paneList]-1)
	case "pgdown", "ctrl+d", "space":
		m.scroll[paneList] += page
	case "pgup", "ctrl+u":
		m.scroll[paneList] = max(0, m.scroll[paneList]-page)
	case "g", "home":
		m.scroll[paneList] = 0
	case "G", "end":
		m.scroll[paneList] = 1 << 30
	case "esc":
		if s.text != "" {
			*s = pageSearch{}
			return nil
		}
		m.closePage()
	default:
		m.closePage()
	}
	return nil
}

func (m *Model) closePage() {
	m.overlay, m.scroll[paneList], m.search = overlayNone, 0, pageSearch{}
}

// openOverlay opens a page at its top.
func (m *Model) openOverlay(o overlay) tea.Cmd {
	m.overlay, m.scroll[paneList], m.search = o, 0, pageSearch{}
	return nil
}

func (s *pageSearch) key(k tea.KeyPressMsg, name string) {
	switch name {
	case "enter":
		s.typing = false
	case "esc":
		*s = pageSearch{}
	case "backspace":
		if r := []rune(s.text); len(r) > 0 {
			s.text = string(r[:len(r)-1])
		}
	default:
		if t := typed(k); t != "" && len(s.text) < 64 {
			s.text += lower(t)
		}
	}
}

// narrow keeps the blocks of lines that hold the text. A block is a line with the
// indented lines below it.
func (s *pageSearch) narrow(lines []string) []string {
	if s.text == "" {
		return lines
	}
	var out []string
	for i := 0; i < len(lines); {
		end := i + 1
		for end < len(lines) && indented(lines[end]) {
			end++
		}
		block := lines[i:end]
		if strings.Contains(strings.ToLower(ansi.Strip(strings.Join(block, "\n"))), s.text) {
			out = append(out, block...)
		}
		i = end
	}
	return out
}

func indented(l string) bool { return strings.HasPrefix(ansi.Strip(l), "    ") }

// page2 is a page instead of the lists.
func (m *Model) page2(title string, text []string) []string {
	return m.pageOf(title, "j/k: scroll  /: search  any other key: back", text)
}

// pageOf is a page that says which keys it takes.
func (m *Model) pageOf(title, keys string, text []string) []string {
	h := m.bodyHeight()
	if m.w < 60 { // the title matters more
		keys = "esc: back"
	}
	if m.overlay != overlayHelp { // which does it itself
		text = m.search.narrow(text)
	}
	m.scroll[paneList] = max(0, min(m.scroll[paneList], len(text)-(h-1)))
	out := m.blank(h)
	hint := keys
	switch {
	case m.search.typing:
		hint = "/" + clean(m.search.text) + "_  enter: keep  esc: clear"
	case m.search.text != "":
		hint = "/" + clean(m.search.text) + "  esc: all lines"
	}
	out[0] = m.rule(m.w, title, true, hint)
	if len(text) == 0 && h > 1 {
		out[1] = line(m.w, seg{m.th.dim, "  nothing here holds that text"})
	}
	for i := 1; i < h; i++ {
		if at := i - 1 + m.scroll[paneList]; at < len(text) {
			out[i] = text[at]
		}
	}
	return out
}
