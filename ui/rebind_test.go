package ui

import (
	"fmt"
	"strings"
	"testing"
)

func TestCheckKeys(t *testing.T) {
	for _, tc := range []struct {
		keys map[string][]string
		want string // mistakes, one a line
	}{
		{map[string][]string{"approve": {"+"}, "deny": {"ctrl+d", "f5"}, "mark-all": {", a"}, "down": {"space", "é"}, "back": {"esc", "x"}}, ""},
		{map[string][]string{"aprove": {"x"}}, `aprove: no such action; did you mean "approve"?`},
		{map[string][]string{"zzzzzzzz": {"x"}}, "zzzzzzzz: no such action; the help, on ?, names them behind each key"},
		{map[string][]string{"approve": {"x"}, "deny": {"x"}}, `deny: "x" is bound to approve already (approve)`},
		{map[string][]string{"approve": {"x", "x"}}, `approve: "x" is there twice`},
		{map[string][]string{"approve": {"ctrl+s"}}, "approve: ctrl+s cannot be bound: the terminal stops its output with it"},
		{map[string][]string{"approve": {"ctrl+q"}}, "approve: ctrl+q cannot be bound: the terminal goes on with its output with it"},
		{map[string][]string{"approve": {"ctrl+b"}}, "approve: ctrl+b cannot be bound: tmux takes it"},
		{map[string][]string{"approve": {"ctrl+a"}}, "approve: ctrl+a cannot be bound: screen takes it"},
		{map[string][]string{"approve": {"ctrl+shift+x"}}, "approve: ctrl+shift+x cannot be bound: only terminals with the kitty protocol send it"},
		{map[string][]string{"approve": {"ctrl+enter"}}, "approve: ctrl+enter cannot be bound: only terminals with the kitty protocol send it"},
		{map[string][]string{"approve": {"y"}}, "approve: y cannot be bound: it answers questions, so it must not open one"},
		{map[string][]string{"approve": {"ctrl+c"}}, "approve: ctrl+c cannot be bound: it always quits"},
		{map[string][]string{"approve": {" "}}, `approve: " " is no key, nor two keys with a blank between them`},
		{map[string][]string{"approve": {"aa"}}, `approve: "aa" is no key; write a character, or a name such as "enter", "space", "pgdown", "f5", "ctrl+n", or "* n" for two keys`},
		{map[string][]string{"approve": {"AKIA0123456789ABCDEFGH"}}, `approve: a text of 22 bytes is no key; write a character, or a name such as "enter", "space", "pgdown", "f5", "ctrl+n", or "* n" for two keys`},
		{map[string][]string{"approve": {"* a b"}}, `approve: "* a b" is no key, nor two keys with a blank between them`},
		{map[string][]string{"approve": {"*"}}, "approve: * begins other keys, such as those of mark-all; give those other keys too"},
		{map[string][]string{"approve": {"d x"}}, "approve: d does deny, so it cannot begin other keys; give deny another key, or begin with one that is free"},
		{map[string][]string{"top": {"g g"}}, ""},
		{map[string][]string{"approve": {"* a"}}, ""},
	} {
		var out []string
		for _, m := range CheckKeys(tc.keys) {
			s := m.Action + ": " + m.Message
			if m.Suggestion != "" {
				s += "; " + m.Suggestion
			}
			if m.Also != "" {
				s += " (" + m.Also + ")"
			}
			out = append(out, s)
		}
		if got := strings.Join(out, "\n"); got != tc.want {
			t.Errorf("%v:\n%s\nwant\n%s", tc.keys, got, tc.want)
		}
	}
}

// TestKeysAsTheyComeCanBeBound: whatever the console comes with could be written
// into a configuration.
func TestKeysAsTheyComeCanBeBound(t *testing.T) {
	all := map[string][]string{}
	for _, a := range Actions() {
		if fixedKeys["ctrl+c"] != a.Name {
			all[a.Name] = a.Keys
		}
	}
	if m := CheckKeys(all); len(m) > 0 {
		t.Errorf("%+v", m)
	}
	km := newKeymap(bindings(), all)
	for _, b := range bindings() {
		if got := km.byAction[b.action].keys; fmt.Sprint(got) != fmt.Sprint(b.keys) {
			t.Errorf("%s has %q, not %q", b.action, got, b.keys)
		}
	}
}

func FuzzCheckKeys(f *testing.F) {
	f.Add("approve", "* a", "deny", "*")
	f.Fuzz(func(t *testing.T, a, k, b, l string) {
		custom := map[string][]string{a: {k}, b: {l}}
		if len(CheckKeys(custom)) > 0 {
			return
		}
		// What is taken leaves no key that both acts and begins others.
		km := newKeymap(bindings(), custom)
		for p := range km.prefixes {
			if km.byKey[p] != nil {
				t.Fatalf("%v: %q acts and begins others", custom, p)
			}
		}
	})
}
