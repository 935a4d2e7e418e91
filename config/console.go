package config

import (
	"fmt"
	"slices"
	"strings"
)

// Columns are the columns of the console's lists, in their order; empty for the
// usual ones.
type Columns struct{ Alerts, Proposals, Blocks, Log []string }

// List gives the columns by the names of the lists.
func (c Columns) List() map[string][]string {
	return map[string][]string{"alerts": c.Alerts, "proposals": c.Proposals, "blocks": c.Blocks, "log": c.Log}
}

// View is a list of the console, as somebody likes to see it, under a name.
type View struct {
	Name    string
	List    string // alerts, proposals, blocks, log
	Filter  string // in the language of the console's filters; empty: none
	Sort    string // a column, - before it for the other way round; empty: the usual order
	Columns []string
	Group   bool // fold rows of the same rule and address
}

// Console checks what only the console knows. Nil functions check nothing.
type Console struct {
	Keys    func(keys map[string][]string) []ConsoleMistake
	Columns func(list string, names []string) string // what is wrong; empty when nothing is
	View    func(View) []ConsoleMistake
}

// ConsoleMistake is what is wrong with an action's keys or with a view.
type ConsoleMistake struct {
	Key        string // the action, or the key of the view
	Value      string // the key that is at fault, empty for all of it
	Also       string // another action of the table that has part in it
	Message    string
	Suggestion string
}

func columns(c *Columns) []setting {
	name := func(s string) string { return s }
	return []setting{
		list("alerts", &c.Alerts, plainText, name),
		list("proposals", &c.Proposals, plainText, name),
		list("blocks", &c.Blocks, plainText, name),
		list("log", &c.Log, plainText, name),
	}
}

func (l *loader) addView() *entry[View] {
	e := &entry[View]{path: []string{"ui", "view", item(len(l.views))}}
	l.views = append(l.views, e)
	return e
}

func viewElement(v *View) *element {
	return &element{required: "name", id: &v.Name, schema: schema{settings: []setting{
		text("name", &v.Name, checkName),
		choice("list", &v.List, "alerts", "proposals", "blocks", "log"),
		text("filter", &v.Filter, nil),
		text("sort", &v.Sort, nil),
		list("columns", &v.Columns, plainText, func(s string) string { return s }),
		boolean("group", &v.Group),
	}}}
}

// keys takes one key or a list of keys for an action.
func keys(action string, c *Config) setting {
	var own []string
	many := list(action, &own, plainText, func(s string) string { return s })
	return setting{action, func(v any) []mistake {
		if s, ok := v.(string); ok {
			v = []any{s}
		}
		if _, ok := v.([]any); !ok {
			return instead(wrong("must be a key, or a list of keys, found %s", found(v)), `write "x", or ["x", "ctrl+x"]`)
		}
		if m := many.set(v); m != nil {
			return m
		}
		if c.Keys == nil {
			c.Keys = map[string][]string{}
		}
		c.Keys[action] = own
		return nil
	}, many.show}
}

// checkConsole holds what is said of the console against what it knows.
func (l *loader) checkConsole() {
	c, check := l.config, l.opts.Console
	for _, e := range l.views {
		l.checkView(e)
		c.UI.Views = append(c.UI.Views, e.value)
	}
	if check.Keys != nil {
		for _, m := range check.Keys(c.Keys) {
			l.keyMistake(m)
		}
	}
	if check.Columns == nil {
		return
	}
	for name, names := range c.UI.Columns.List() {
		if m := check.Columns(name, names); m != "" {
			l.mistakes("ui.columns."+name, []string{"ui", "columns", name}, wrong("%s", m))
		}
	}
}

// checkView holds one view against the console, and against those before it.
func (l *loader) checkView(e *entry[View]) {
	at := func(key string) []string { return append(e.path[:3:3], key) }
	if e.value.List == "" && l.lines.line(at("list")...) == l.lines.line(e.path...) {
		l.mistakes("ui.view.list", e.path, wrong("is missing"))
	}
	for _, o := range l.views {
		if o == e {
			break
		}
		if o.value.Name == e.value.Name && e.value.Name != "" {
			l.mistakes("ui.view.name", at("name"), wrong("%q is there already, on line %d", e.value.Name, l.lines.line(append(o.path[:3:3], "name")...)))
		}
	}
	if l.opts.Console.View == nil || e.value.List == "" || e.value.Name == "" {
		return
	}
	for _, m := range l.opts.Console.View(e.value) {
		l.mistakes("ui.view."+m.Key, at(m.Key), []mistake{{item: -1, message: m.Message, suggestion: m.Suggestion}})
	}
}

// keyMistake reports a mistake of the key map with its line.
func (l *loader) keyMistake(m ConsoleMistake) {
	n := -1
	if own := l.config.Keys[m.Key]; len(own) > 1 {
		n = slices.Index(own, m.Value)
	}
	text := m.Message
	if m.Also != "" {
		text += fmt.Sprintf(", on line %d", l.lines.line("keys", m.Also))
	}
	l.mistakes("keys."+printable(m.Key), []string{"keys", m.Key}, []mistake{{item: n, message: strings.TrimSpace(text), suggestion: m.Suggestion}})
}
