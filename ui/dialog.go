package ui

import (
	"strings"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"selfprotect/policy"
)

const (
	// quiet is how long no key may come before a dialog listens, quietLimit how
	// long it waits for that at most: keys that were meant for something else must
	// not answer it.
	quiet      = 425 * time.Millisecond
	quietLimit = 1500 * time.Millisecond
)

// dialog is a question over the lists. Any key but the one that it names cancels.
type dialog struct {
	title  string
	text   []string
	yes    string // the key that confirms
	verb   string // what it does
	act    func(*Model) tea.Cmd
	opened time.Time
	last   time.Time // when the last key came
	heard  bool      // it listens
	// word is typed instead of a key: the mode.
	typing bool
	word   string
}

func newDialog(now time.Time, title string, text []string, yes, verb string, act func(*Model) tea.Cmd) *dialog {
	return &dialog{title: title, text: text, yes: yes, verb: verb, act: act, opened: now, last: now}
}

// listens says whether a key that comes now is an answer.
func (d *dialog) listens(now time.Time) bool {
	if !d.heard {
		d.heard = now.Sub(d.last) >= quiet || now.Sub(d.opened) >= quietLimit
		d.last = now
	}
	return d.heard
}

func (m *Model) dialogKey(k tea.KeyPressMsg) tea.Cmd {
	d := m.dialog
	name := k.String()
	if name == "esc" {
		m.dialog = nil
		return nil
	}
	if !d.listens(m.now) {
		return nil
	}
	if d.typing {
		return m.modeKey(k)
	}
	m.dialog = nil
	if name != d.yes {
		m.say("cancelled", false)
		return nil
	}
	return d.act(m)
}

func (m *Model) openMode() tea.Cmd {
	m.dialog = newDialog(m.now, "Mode", []string{
		"o  observe: propose nothing, write nothing new",
		"r  review: a person approves each block",
		"auto: blocks by itself, within its limits. Type the word auto and press enter.",
	}, "", "", nil)
	m.dialog.typing = true
	return nil
}

// modeKey takes one key of the mode dialog: lowering the mode needs one key,
// raising it to auto the typed word.
func (m *Model) modeKey(k tea.KeyPressMsg) tea.Cmd {
	d := m.dialog
	name := k.String()
	switch {
	case d.word == "" && name == "o":
		m.dialog = nil
		return m.setMode(policy.Observe)
	case d.word == "" && name == "r":
		m.dialog = nil
		return m.setMode(policy.Review)
	case name == "enter":
		m.dialog = nil
		if d.word == "auto" {
			return m.setMode(policy.Auto)
		}
		m.say("the mode stays as it is", false)
	case name == "backspace":
		if d.word != "" {
			d.word = d.word[:len(d.word)-1]
		}
	default:
		if t := typed(k); t != "" && len(d.word) < 12 {
			d.word += lower(t)
		}
	}
	return nil
}

// typed gives the printable text of a key; empty for all others.
func typed(k tea.KeyPressMsg) string {
	t := k.Key().Text
	for _, r := range t {
		if !unicode.IsPrint(r) {
			return ""
		}
	}
	return t
}

func lower(s string) string { return strings.ToLower(s) }

// box draws the dialog's lines, never wider than w.
func (m *Model) box(w int) []string {
	d := m.dialog
	inner := min(max(w-4, 10), 72)
	var body []seg
	for _, t := range d.text {
		for _, l := range wrap(t, inner) {
			body = append(body, seg{m.th.plain, l})
		}
	}
	body = append(body, seg{m.th.plain, ""})
	if d.typing {
		body = append(body, seg{m.th.bold, "> " + d.word + "_"}, seg{m.th.dim, "esc: leave it as it is"})
	} else {
		body = append(body, seg{m.th.key, d.yes + ": " + d.verb}, seg{m.th.dim, "any other key: cancel"})
	}
	rule := strings.Repeat(m.gl.rule, inner+2)
	out := []string{m.th.warn.text("+" + rule + "+"), m.boxLine(m.th.bold, d.title, inner), m.th.warn.text("+" + rule + "+")}
	for _, b := range body {
		out = append(out, m.boxLine(b.p, b.s, inner))
	}
	return append(out, m.th.warn.text("+"+rule+"+"))
}

func (m *Model) boxLine(p paint, s string, inner int) string {
	bar := m.th.warn.text(m.gl.pipe)
	return bar + " " + p.text(fit(s, inner)) + " " + bar
}
