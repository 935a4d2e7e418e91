package ui

import (
	"unicode"

	tea "charm.land/bubbletea/v2"
)

// maxReason bounds a reason, in characters.
const maxReason = 200

// input is a line that is typed into a dialog.
type input struct {
	label string
	text  []rune
	max   int
	paste bool // pasted text may be part of it
	once  bool // a wrong answer cancels
	// lacks says what the text lacks; empty when enter may take it.
	lacks func(string) string
}

// reasonInput asks why; nothing goes on without an answer.
func reasonInput() *input {
	return &input{label: "why", max: maxReason, paste: true, lacks: func(s string) string {
		if s == "" {
			return "a reason is needed; esc cancels"
		}
		return ""
	}}
}

// wordInput asks for one word to be typed.
func wordInput(word, otherwise string) *input {
	return &input{label: "type " + word, max: len(word) + 8, lacks: func(s string) string {
		if s != word {
			return otherwise
		}
		return ""
	}}
}

// value is what was typed, as it may be written to a journal and shown.
func (in *input) value() string { return clean(string(in.text)) }

func (in *input) add(s string) {
	for _, r := range s {
		if unicode.IsPrint(r) && len(in.text) < in.max {
			in.text = append(in.text, r)
		}
	}
}

// key takes a key that is no answer. It says whether it was one for the line.
func (in *input) key(k tea.KeyPressMsg) bool {
	switch k.String() {
	case "backspace":
		in.text = in.text[:max(len(in.text)-1, 0)]
	case "ctrl+u":
		in.text = nil
	case "ctrl+w":
		n := len(in.text)
		for n > 0 && in.text[n-1] == ' ' {
			n--
		}
		for n > 0 && in.text[n-1] != ' ' {
			n--
		}
		in.text = in.text[:n]
	default:
		t := typed(k)
		in.add(t)
		return t != ""
	}
	return true
}

// pasted adds pasted text to the line of a dialog that takes it. A paste never
// answers anything.
func (m *Model) pasted(text string) {
	if m.prompt != nil && m.dialog == nil {
		m.prompt.in.add(clean(text))
		m.promptChanged()
		return
	}
	if d := m.dialog; d != nil && d.input != nil && d.input.paste && d.ready(m.now) {
		d.input.add(clean(text))
	}
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
