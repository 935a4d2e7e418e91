package ui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// maxHistory bounds what a prompt remembers.
const maxHistory = 50

// history is what was entered at a prompt before, newest last.
type history struct {
	lines []string
	at    int    // which is shown; len(lines) is none
	draft string // what was typed before looking back
}

// add notes a line and stands behind the newest.
func (h *history) add(s string) {
	if s != "" {
		h.lines = slices.DeleteFunc(h.lines, func(l string) bool { return l == s })
		h.lines = append(h.lines, s)
		h.lines = h.lines[max(0, len(h.lines)-maxHistory):]
	}
	h.at = len(h.lines)
}

// step goes back or forth from what is typed now.
func (h *history) step(d int, now string) string {
	if h.at >= len(h.lines) {
		h.draft = now
	}
	h.at = max(0, min(h.at+d, len(h.lines)))
	if h.at == len(h.lines) {
		return h.draft
	}
	return h.lines[h.at]
}

// promptKind says what is typed on the last line.
type promptKind int

const (
	promptFilter promptKind = iota + 1
	promptCommand
)

// prompt is the line that is typed at. While that of a command is open, the lists
// stand still and actions are about what the frame before it highlighted.
type prompt struct {
	kind  promptKind
	in    *input
	err   *queryError // of a filter that is not understood
	was   string      // the filter before
	drawn drawn       // what the frame before showed
	pick  int         // of the completions; -1 is none
	found []match     // the completions of what is typed
	typed string      // what they complete
}

func (m *Model) openPrompt(kind promptKind, text string) {
	p := &prompt{kind: kind, in: &input{max: maxFilter}, drawn: m.drawn, pick: -1, was: m.filter}
	p.in.add(text)
	m.prompt = p
	if kind == promptCommand {
		m.complete()
	}
	h := m.pastOf(kind)
	h.at, h.draft = len(h.lines), ""
}

func (m *Model) pastOf(kind promptKind) *history { return &m.histories[kind-1] }

// openFilter types at the filter that is in force.
func (m *Model) openFilter() tea.Cmd {
	text := m.filter
	if text != "" {
		text += " "
	}
	m.openPrompt(promptFilter, text)
	return nil
}

// promptKey takes a key while something is typed.
func (m *Model) promptKey(k tea.KeyPressMsg) tea.Cmd {
	p := m.prompt
	name := k.String()
	before := string(p.in.text)
	switch name {
	case "up", "ctrl+p":
		if p.kind != promptCommand || len(p.found) == 0 || p.pick < 0 {
			p.set(m.pastOf(p.kind).step(-1, before))
			break
		}
		m.pickMatch(-1)
		return nil
	case "down", "ctrl+n":
		if p.kind != promptCommand || len(p.found) == 0 || p.pick < 0 {
			p.set(m.pastOf(p.kind).step(1, before))
			break
		}
		m.pickMatch(1)
		return nil
	case "tab", "shift+tab":
		m.completePrompt(name)
		return nil
	case "esc":
		m.cancelPrompt()
		return nil
	case "enter":
		return m.enterPrompt()
	default:
		p.in.key(k)
	}
	if string(p.in.text) != before {
		m.promptChanged()
	}
	return nil
}

func (p *prompt) set(text string) {
	p.in.text = nil
	p.in.add(text)
}

// promptChanged follows what is typed.
func (m *Model) promptChanged() {
	p := m.prompt
	switch p.kind {
	case promptFilter:
		p.err = m.setFilter(string(p.in.text))
	case promptCommand:
		m.complete()
	}
}

// setFilter filters the lists. A filter that is not understood leaves them as they
// are.
func (m *Model) setFilter(src string) *queryError {
	q, err := parseFilter(src)
	if err != nil {
		return err
	}
	src = strings.TrimSpace(src)
	if src == m.filter {
		return nil
	}
	m.filter, m.query = src, q
	m.refill()
	return nil
}

func (m *Model) cancelPrompt() {
	p := m.prompt
	m.prompt = nil
	switch p.kind {
	case promptFilter:
		m.setFilter(m.viewFilter())
	case promptCommand:
		m.thaw()
	}
}

func (m *Model) enterPrompt() tea.Cmd {
	p := m.prompt
	text := strings.TrimSpace(string(p.in.text))
	switch p.kind {
	case promptFilter:
		if p.err != nil {
			return nil // it stays open until it is understood
		}
		m.prompt = nil
		m.pastOf(promptFilter).add(text)
	case promptCommand:
		return m.enterCommand(text)
	}
	return nil
}

// completePrompt completes the name of a column at the filter, a command at the
// palette.
func (m *Model) completePrompt(key string) {
	p := m.prompt
	switch p.kind {
	case promptFilter:
		text := string(p.in.text)
		i := strings.LastIndexAny(text, " !") + 1
		if i == len(text) || strings.ContainsAny(text[i:], `:=<>"`) {
			return
		}
		for _, f := range fields() {
			if strings.HasPrefix(f.name, lower(text[i:])) {
				p.set(text[:i] + f.name + ":")
				m.promptChanged()
				return
			}
		}
	case promptCommand:
		if key == "shift+tab" {
			m.pickMatch(-1)
		} else {
			m.pickMatch(1)
		}
	}
}

// promptLine is the last line while something is typed.
func (m *Model) promptLine() string {
	p := m.prompt
	sign := map[promptKind]string{promptFilter: " /", promptCommand: " :"}[p.kind]
	var right []seg
	switch {
	case p.err != nil:
		right = []seg{{m.th.warn, " " + clean(p.err.msg) + " "}}
	case p.kind == promptFilter:
		right = []seg{{m.th.dim, "  enter: keep  esc: clear"}}
		if m.w >= 100 {
			right = []seg{{m.th.dim, "  col:value !not sev>=high age<2h cidr:10.0.0.0/8   enter: keep  esc: clear "}}
		}
	default:
		right = []seg{{m.th.dim, "  tab: complete  enter: run  esc: leave "}}
	}
	text := []rune(string(p.in.text))
	// What is typed is never cut off at its end; the hint gives way.
	for len(right) > 0 && width(sign)+width(string(text))+1+segWidth(right) > m.w && p.err == nil {
		right = nil
	}
	if p.err != nil {
		return m.mistakeLine(sign, text)
	}
	for len(text) > 0 && width(sign)+width(string(text))+1 > m.w {
		text = text[1:]
	}
	return line(m.w, append([]seg{{m.th.key, sign}, {m.th.bold, clean(string(text)) + "_"}}, right...)...)
}

// mistakeLine shows a filter that is not understood, with the place where the
// mistake begins, and what it is.
func (m *Model) mistakeLine(sign string, text []rune) string {
	e := m.prompt.err
	at := min(e.at, len(text))
	good, bad := text[:at], append(slices.Clone(text[at:]), '_')
	msg := "  " + m.gl.left + " " + clean(e.msg)
	room := m.w - width(sign) - min(width(msg), m.w/2)
	for len(good) > 0 && width(string(good))+width(string(bad)) > room {
		good = good[1:]
	}
	return line(m.w, seg{m.th.key, sign}, seg{m.th.bold, clean(string(good))}, seg{m.th.linked, clean(string(bad))}, seg{m.th.warn, msg})
}
