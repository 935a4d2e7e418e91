package ui

import (
	"fmt"
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

// dialog is a question over the lists. It names the key that confirms; any other
// cancels, but those that move its text. While it is open the lists stand still.
type dialog struct {
	title string
	text  []string // scrolls when there is no room for all
	yes   string   // the key that confirms
	verb  string   // what it does
	act   func(*Model) tea.Cmd

	input   *input   // a line to type instead of a key
	choices []option // or one of several keys
	pick    int      // the choice under the cursor
	waiting string   // what it waits for before it can be answered

	opened time.Time
	last   time.Time // when the last key came
	heard  bool      // it listens
	scroll int
}

// option is one of several answers.
type option struct {
	key, text string
	why       string // why it cannot be chosen now; empty when it can
	do        func(*Model) tea.Cmd
}

func newDialog(now time.Time, title string, text []string, yes, verb string, act func(*Model) tea.Cmd) *dialog {
	return &dialog{title: title, text: text, yes: yes, verb: verb, act: act, opened: now, last: now}
}

// ask opens a question that one key confirms. The key that opened it does not.
func (m *Model) ask(title string, text []string, verb string, act func(*Model) tea.Cmd) tea.Cmd {
	yes := "y"
	if m.pressed == yes {
		yes = "Y"
	}
	return m.openDialog(newDialog(m.now, title, text, yes, verb, act))
}

// askText opens a question that a typed line and enter confirm.
func (m *Model) askText(title string, text []string, in *input, verb string, act func(*Model, string) tea.Cmd) tea.Cmd {
	d := newDialog(m.now, title, text, "enter", verb, func(m *Model) tea.Cmd { return act(m, in.value()) })
	d.input = in
	return m.openDialog(d)
}

// askOne opens a question with several answers.
func (m *Model) askOne(title string, text []string, choices []option) tea.Cmd {
	d := newDialog(m.now, title, text, "", "", nil)
	d.choices, d.pick = choices, -1
	return m.openDialog(d)
}

// openDialog shows a dialog and asks for a frame when it begins to listen.
func (m *Model) openDialog(d *dialog) tea.Cmd {
	m.dialog = d
	return m.wake(quiet)
}

// closeDialog goes back to the lists, which show what has come meanwhile.
func (m *Model) closeDialog() {
	m.dialog = nil
	m.thaw()
}

// ready says whether a key that comes now is an answer.
func (d *dialog) ready(now time.Time) bool {
	return d.waiting == "" && (d.heard || now.Sub(d.last) >= quiet || now.Sub(d.opened) >= quietLimit)
}

// listens is ready, and notes the key.
func (d *dialog) listens(now time.Time) bool {
	d.heard = d.ready(now)
	d.last = now
	return d.heard
}

func (m *Model) dialogKey(k tea.KeyPressMsg) tea.Cmd {
	d := m.dialog
	name := k.String()
	if name == "esc" {
		m.closeDialog()
		m.say("cancelled", false)
		return nil
	}
	if !d.listens(m.now) {
		return m.wake(quiet)
	}
	if step, ok := scrollStep(name); ok && (d.choices == nil || name[0] == 'p') {
		d.scroll = max(d.scroll+step, 0)
		return nil
	}
	switch {
	case d.choices != nil && (d.input == nil || len(d.input.text) == 0):
		if cmd, done := m.choiceKey(name); done || d.input == nil {
			return cmd
		}
		return m.inputKey(k)
	case d.input != nil:
		return m.inputKey(k)
	}
	m.closeDialog()
	if name != d.yes {
		m.say("cancelled", false)
		return nil
	}
	return d.act(m)
}

// scrollStep gives by how many lines a key moves the text of a dialog.
func scrollStep(name string) (int, bool) {
	switch name {
	case "down":
		return 1, true
	case "up":
		return -1, true
	case "pgdown":
		return 5, true
	case "pgup":
		return -5, true
	}
	return 0, false
}

// choiceKey takes a key of a dialog with several answers. It says whether the key
// meant one.
func (m *Model) choiceKey(name string) (tea.Cmd, bool) {
	d := m.dialog
	switch name {
	case "down", "j":
		d.pick = min(d.pick+1, len(d.choices)-1)
		return nil, true
	case "up", "k":
		d.pick = max(d.pick-1, 0)
		return nil, true
	}
	for i, o := range d.choices {
		if name != o.key && (name != "enter" || i != d.pick) {
			continue
		}
		if o.why != "" {
			m.say(o.text+": "+o.why, true)
			return nil, true
		}
		m.closeDialog()
		m.pressed = name
		// It acts on the frame under the dialog, which stood still long enough.
		moved := m.movedAt
		m.movedAt = time.Time{}
		cmd := o.do(m)
		m.movedAt = moved
		return cmd, true
	}
	if d.input == nil {
		m.closeDialog()
		m.say("cancelled", false)
	}
	return nil, false
}

// inputKey takes a key of a dialog with a line.
func (m *Model) inputKey(k tea.KeyPressMsg) tea.Cmd {
	d := m.dialog
	if k.String() != "enter" {
		d.input.key(k)
		return nil
	}
	if why := d.input.lacks(d.input.value()); why != "" {
		if d.input.once {
			m.closeDialog()
		}
		m.say(why, true)
		return nil
	}
	m.closeDialog()
	return d.act(m)
}

func (m *Model) openMode() tea.Cmd {
	set := func(mode policy.Mode) func(*Model) tea.Cmd {
		return func(m *Model) tea.Cmd { return m.setMode(mode) }
	}
	d := newDialog(m.now, "Mode", []string{"In auto it blocks by itself, within its limits. Type the word auto and press enter."}, "enter", "auto",
		set(policy.Auto))
	d.choices = []option{{"o", "observe: propose nothing, write nothing new", "", set(policy.Observe)}, {"r", "review: a person approves each block", "", set(policy.Review)}}
	d.pick = -1
	d.input = wordInput("auto", "the mode stays as it is")
	d.input.once = true
	return m.openDialog(d)
}

func lower(s string) string { return strings.ToLower(s) }

// box draws the dialog in at most w cells and h lines. Its title and keys are
// always whole; the text between them scrolls when there is no room.
func (m *Model) box(w, h int) []string {
	d := m.dialog
	inner := min(max(w-4, 10), 76)
	var head, body, foot []seg
	for _, l := range wrap(d.title, inner) {
		head = append(head, seg{m.th.bold, l})
	}
	for _, t := range d.text {
		for i, l := range wrap(t, inner-2) {
			if i > 0 && !unicode.IsUpper(rune(t[0])) {
				l = "  " + l // what belongs to an item
			}
			body = append(body, seg{m.th.plain, l})
		}
	}
	body, foot = m.boxChoices(body, inner), m.boxKeys(inner)
	lines := 2 + len(head) + len(foot)
	if airy := lines + len(body) + 2; airy <= h {
		head = append(head, seg{m.th.rule, strings.Repeat(m.gl.rule, inner)})
		foot = append([]seg{{}}, foot...)
		lines += 2
	}
	body = m.boxWindow(body, max(h-lines, 0), inner)
	edge := m.th.warn.text("+" + strings.Repeat(m.gl.rule, inner+2) + "+")
	out := []string{edge}
	for _, g := range append(append(head, body...), foot...) {
		out = append(out, m.boxLine(g.p, g.s, inner))
	}
	return append(out, edge)
}

// boxWindow gives the part of the text that there is room for.
func (m *Model) boxWindow(body []seg, room, inner int) []seg {
	d := m.dialog
	if len(body) <= room {
		d.scroll = 0
		return body
	}
	if room == 0 {
		return nil
	}
	room--
	d.scroll = min(d.scroll, len(body)-room)
	below := len(body) - d.scroll - room
	note := fmt.Sprintf("%s %s, pgdown", m.gl.down, plural(below, "line more", "lines more"))
	if below == 0 {
		note = fmt.Sprintf("%s %s above, pgup", m.gl.up, plural(d.scroll, "line", "lines"))
	}
	return append(append([]seg(nil), body[d.scroll:d.scroll+room]...), seg{m.th.warn, cut(note, inner)})
}

// boxChoices adds the answers to choose from.
func (m *Model) boxChoices(body []seg, inner int) []seg {
	d := m.dialog
	for i, o := range d.choices {
		sign, p := "  ", m.th.plain
		if i == d.pick {
			sign, p = m.gl.pick+" ", m.th.focus
		}
		text := sign + fit(o.key, 3) + o.text
		if o.why != "" {
			p, text = m.th.dim, text+"  ("+o.why+")"
		}
		for j, l := range wrap(text, inner-5) {
			if j > 0 {
				l = "     " + l
			}
			body = append(body, seg{p, l})
		}
	}
	return body
}

// boxKeys says what answers the dialog now.
func (m *Model) boxKeys(inner int) []seg {
	d := m.dialog
	var out []seg
	add := func(p paint, text string) {
		for _, l := range wrap(text, inner) {
			out = append(out, seg{p, l})
		}
	}
	if d.input != nil {
		label := d.input.label + "> "
		text := []rune(d.input.value() + "_")
		for len(text) > 1 && width(label+string(text)) > inner {
			text = text[1:]
		}
		out = append(out, seg{m.th.bold, label + string(text)})
	}
	switch {
	case d.waiting != "":
		add(m.th.dim, d.waiting+m.gl.dots+"  esc: cancel")
	case !d.ready(m.now):
		add(m.th.dim, "keys count in a moment"+m.gl.dots+"  esc: cancel")
	case d.input != nil:
		add(m.th.key, "enter: "+d.verb+"   esc: cancel")
	case d.choices != nil:
		add(m.th.key, "a key above, or up, down and enter; any other cancels")
	default:
		add(m.th.key, d.yes+": "+d.verb+"   any other key: cancel")
	}
	return out
}

func (m *Model) boxLine(p paint, s string, inner int) string {
	bar := m.th.warn.text(m.gl.pipe)
	return bar + " " + p.text(fit(s, inner)) + " " + bar
}
