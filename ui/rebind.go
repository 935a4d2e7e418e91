package ui

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Action is something that a key can be bound to, as documentation names it.
type Action struct {
	Name string
	Keys []string // as they come
	Help string
}

// Actions lists what keys can be bound to, in the order of the help.
func Actions() []Action {
	var out []Action
	for _, b := range bindings() {
		out = append(out, Action{b.action, slices.Clone(b.keys), b.help})
	}
	return out
}

// namedKeys are the keys with names that every terminal sends.
var namedKeys = regexp.MustCompile(`^(enter|tab|shift\+tab|space|up|down|left|right|home|end|pgup|pgdown|insert|delete|backspace|f([1-9]|1[0-2]))$`)

// forbiddenKeys are keys that never reach the console, or that must keep their
// meaning, with the reason.
var forbiddenKeys = map[string]string{
	"ctrl+s": "the terminal stops its output with it", "ctrl+q": "the terminal goes on with its output with it",
	"ctrl+b": "tmux takes it", "ctrl+a": "screen takes it", "ctrl+z": "it suspends the program",
	"ctrl+i": "a terminal cannot tell it from tab", "ctrl+m": "a terminal cannot tell it from enter", "ctrl+[": "a terminal cannot tell it from esc",
	"ctrl+h": "many terminals send it for backspace", "ctrl+j": "many terminals send it for enter",
	"ctrl+c": "it always quits", "esc": "it always goes back",
	"y": "it answers questions, so it must not open one", "Y": "it answers questions, so it must not open one",
}

var (
	ctrlKey = regexp.MustCompile(`^ctrl\+[a-z\\\]^_]$`)
	altKey  = regexp.MustCompile(`^alt\+[!-~]$`)
	// kittyKey is what only the kitty protocol can say.
	kittyKey = regexp.MustCompile(`^((ctrl|alt|shift|super|hyper|meta)\+)+\S+$`)
)

// badKey says why a key cannot be bound; empty when it can.
func badKey(k string) (why, instead string) {
	first, second, sequence := strings.Cut(k, " ")
	if sequence {
		if strings.Contains(second, " ") || first == "" || second == "" {
			return quoted("", k) + "is no key, nor two keys with a blank between them", ""
		}
		if w, i := badKey(first); w != "" {
			return w, i
		}
		return badKey(second)
	}
	if why := forbiddenKeys[k]; why != "" {
		return k + " cannot be bound: " + why, ""
	}
	switch {
	case utf8.RuneCountInString(k) == 1 && clean(k) == k && k != " ", namedKeys.MatchString(k), ctrlKey.MatchString(k), altKey.MatchString(k):
		return "", ""
	case k == " ":
		return "a blank is written space", `write "space"`
	case len(k) <= 24 && kittyKey.MatchString(k):
		return k + " cannot be bound: only terminals with the kitty protocol send it", ""
	}
	return quoted("", k) + "is no key", `write a character, or a name such as "enter", "space", "pgdown", "f5", "ctrl+n", or "* n" for two keys`
}

// quoted quotes a short text; a long one could be a secret in the wrong place.
func quoted(what, s string) string {
	if utf8.RuneCountInString(s) > 16 {
		return fmt.Sprintf("%sa text of %d bytes ", what, len(s))
	}
	return fmt.Sprintf("%s%q ", what, clean(s))
}

// KeyMistake is what is wrong with the keys of an action.
type KeyMistake struct {
	Action     string
	Key        string // which of its keys
	Also       string // another action of the operator's that has part in it
	Message    string
	Suggestion string
}

// CheckKeys says what is wrong with an operator's keys, sorted by action: names
// that are none, keys that cannot be bound, and conflicts among them. A key that an
// action has as it comes is no conflict: the operator's wins.
func CheckKeys(custom map[string][]string) []KeyMistake {
	c := keyCheck{custom: custom, known: map[string][]string{}, owner: map[string]string{}}
	for _, b := range bindings() {
		c.known[b.action] = append([]string{}, b.keys...)
		c.names = append(c.names, b.action)
	}
	actions := make([]string, 0, len(custom))
	for a := range custom {
		actions = append(actions, a)
	}
	slices.Sort(actions)
	good := map[string][]string{}
	for _, a := range actions {
		if keys := c.action(a); keys != nil {
			good[a] = keys
		}
	}
	for _, a := range actions {
		for _, k := range good[a] {
			c.sequences(a, k, good)
		}
	}
	return c.out
}

type keyCheck struct {
	custom map[string][]string
	known  map[string][]string // the actions, with the keys that they come with
	names  []string
	owner  map[string]string // of keys that the operator gives
	out    []KeyMistake
}

func (c *keyCheck) add(m KeyMistake) { c.out = append(c.out, m) }

// action checks the keys of one action and gives those that are good.
func (c *keyCheck) action(a string) []string {
	if c.known[a] == nil {
		m := KeyMistake{Action: a, Message: "no such action"}
		if n := nearest(a, c.names); n != "" && len(a) <= 32 {
			m.Suggestion = fmt.Sprintf("did you mean %q?", n)
		} else {
			m.Suggestion = "the help, on ?, names them behind each key"
		}
		c.add(m)
		return nil
	}
	var good []string
	for _, k := range c.custom[a] {
		if fixedKeys[k] == a {
			continue // it has it anyway
		}
		why, instead := badKey(k)
		if slices.Contains(c.known[a], k) {
			why = "" // such as ctrl+z for suspend
		}
		switch other := c.owner[k]; {
		case why != "":
			c.add(KeyMistake{Action: a, Key: k, Message: why, Suggestion: instead})
		case other == a:
			c.add(KeyMistake{Action: a, Key: k, Message: fmt.Sprintf("%q is there twice", k)})
		case other != "":
			c.add(KeyMistake{Action: a, Key: k, Also: other, Message: fmt.Sprintf("%q is bound to %s already", k, other)})
		default:
			c.owner[k] = a
			good = append(good, k)
		}
	}
	return good
}

// sequences refuses a key that both does something and begins other keys, with
// what is bound when the operator's keys are in place.
func (c *keyCheck) sequences(a, k string, good map[string][]string) {
	km := newKeymap(bindings(), good)
	first, _, sequence := strings.Cut(k, " ")
	if b := km.byKey[first]; sequence && b != nil {
		c.add(KeyMistake{Action: a, Key: k, Message: fmt.Sprintf("%s does %s, so it cannot begin other keys", first, b.action), Suggestion: "give " + b.action + " another key, or begin with one that is free"})
		return
	}
	if sequence || !km.prefixes[k] {
		return
	}
	for _, b := range km.list {
		begins := func(other string) bool { return strings.HasPrefix(other, k+" ") }
		if slices.ContainsFunc(b.keys, begins) && len(good[b.action]) == 0 {
			c.add(KeyMistake{Action: a, Key: k, Message: fmt.Sprintf("%s begins other keys, such as those of %s", k, b.action), Suggestion: "give those other keys too"})
			return
		}
	}
}
