package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// binding is one thing that a key does. The help, the last line and the palette
// are made from the bindings, so they are always true.
type binding struct {
	// action is its name in the configuration and in the palette. It stays as it is
	// once released.
	action string
	// keys are as Bubble Tea names them: "a", "G", "ctrl+d", "pgdown". "* a" is a
	// sequence: first *, then a.
	keys  []string
	group string // in the help
	short string // on the last line; empty keeps it off
	help  string
	// when says why it is not possible now, such as "nothing to approve on this
	// row"; empty when it is. A nil when is always possible.
	when func(*Model) string
	do   func(*Model) tea.Cmd
}

// only makes a when of a condition.
func only(possible func(*Model) bool, why string) func(*Model) string {
	return func(m *Model) string {
		if possible(m) {
			return ""
		}
		return why
	}
}

// why says why a binding is not possible now; empty when it is.
func (b *binding) why(m *Model) string {
	if m.live == nil && b.group != "program" {
		return "the journal is still being read"
	}
	if b.group == "decide" && m.readOnly() {
		return "this console is read-only"
	}
	if b.when == nil {
		return ""
	}
	return b.when(m)
}

// keymap finds bindings by key and by name. It is made once for a console.
type keymap struct {
	list     []*binding // in the order of the help
	byKey    map[string]*binding
	byAction map[string]*binding
	prefixes map[string]bool // the first keys of sequences
}

// fixedKeys always do what they do.
var fixedKeys = map[string]string{"ctrl+c": "quit-now", "esc": "back"}

// newKeymap gives the bindings with the keys of the operator in place of the
// default ones. A key of the operator is taken from whatever had it.
func newKeymap(list []binding, custom map[string][]string) *keymap {
	taken := map[string]string{}
	for action, keys := range custom {
		for _, k := range keys {
			taken[k] = action
		}
	}
	km := &keymap{byKey: map[string]*binding{}, byAction: map[string]*binding{}, prefixes: map[string]bool{}}
	for i := range list {
		b := &list[i]
		keys, own := custom[b.action]
		if !own {
			keys = slices.DeleteFunc(slices.Clone(b.keys), func(k string) bool { return taken[k] != "" })
		}
		for k, action := range fixedKeys {
			if action == b.action && !slices.Contains(keys, k) {
				keys = append(slices.Clone(keys), k)
			}
		}
		b.keys = keys
		km.list = append(km.list, b)
		km.byAction[b.action] = b
		for _, k := range keys {
			km.byKey[k] = b
			if first, _, ok := strings.Cut(k, " "); ok {
				km.prefixes[first] = true
			}
		}
	}
	return km
}

// press does what a key is bound to.
func (m *Model) press(name string) tea.Cmd {
	if m.prefix != "" {
		name, m.prefix = m.prefix+" "+name, ""
		if strings.HasSuffix(name, " esc") {
			return nil
		}
	} else if m.keys.prefixes[name] {
		m.prefix = name
		return nil
	}
	if b := m.keys.byKey[name]; b != nil {
		return m.run(b, name)
	}
	if strings.Contains(name, " ") {
		m.say(clean(name)+" is not bound to anything", true)
	}
	return nil
}

// run does what a binding does, or says why not now; by is the key, or the name
// in the palette.
func (m *Model) run(b *binding, by string) tea.Cmd {
	if why := b.why(m); why != "" {
		m.say(fmt.Sprintf("%s: %s", by, why), true)
		return nil
	}
	return b.do(m)
}

// hints are the keys that are valid now, for the last line: after the first key of
// a sequence those that may follow.
func (m *Model) hints() []seg {
	var out []seg
	add := func(key, text string) {
		out = append(out, seg{m.th.key, " " + key}, seg{m.th.dim, " " + text + " "})
	}
	if m.prefix != "" {
		out = append(out, seg{m.th.bold, " " + m.prefix + m.gl.dots})
	}
	for _, b := range m.keys.list {
		if m.prefix != "" {
			for _, k := range b.keys {
				if next, ok := strings.CutPrefix(k, m.prefix+" "); ok {
					add(next, b.label())
				}
			}
			continue
		}
		if b.short != "" && len(b.keys) > 0 && b.why(m) == "" {
			add(b.keys[0], b.short)
		}
	}
	return out
}

// label names a binding in a word or two.
func (b *binding) label() string {
	if b.short != "" {
		return b.short
	}
	return strings.ReplaceAll(b.action, "-", " ")
}
