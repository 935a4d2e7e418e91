package ui

import (
	"regexp"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// TestBindings holds the key map to what help, palette and configuration rely on.
func TestBindings(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	actions, keys := map[string]bool{}, map[string]string{}
	list := bindings()
	km := newKeymap(list, nil)
	for _, b := range list {
		if !name.MatchString(b.action) || actions[b.action] {
			t.Errorf("action %q is misshapen or there twice", b.action)
		}
		actions[b.action] = true
		if b.help == "" || b.group == "" || b.do == nil {
			t.Errorf("%s lacks help, group or deed", b.action)
		}
		for _, k := range b.keys {
			if other := keys[k]; other != "" {
				t.Errorf("%q is bound to %s and %s", k, other, b.action)
			}
			keys[k] = b.action
			if km.prefixes[k] {
				t.Errorf("%q of %s also begins a sequence", k, b.action)
			}
		}
	}
}

// TestSequence: the second key of a sequence is waited for, shown, and given up
// with esc.
func TestSequence(t *testing.T) {
	s := newScreen(t, 120, 40)
	did := 0
	s.m.keys = newKeymap(append(bindings(), binding{action: "try", keys: []string{"* t"}, group: "x", help: "x", do: func(*Model) tea.Cmd { did++; return nil }}), nil)
	s.show(full())
	s.press("*")
	s.expect("*…", "t try")
	s.press("t")
	if did != 1 {
		t.Fatalf("the sequence ran %d times", did)
	}
	s.press("*", "esc", "t", "*", "x")
	if did != 1 {
		t.Errorf("ran without its sequence")
	}
	s.expect("* x is not bound to anything")
}

// TestOwnKeys: an operator's key wins over the default one, and the rest stays.
func TestOwnKeys(t *testing.T) {
	s := newScreen(t, 120, 40, func(c *Config) { c.Keys = map[string][]string{"deny": {"a"}, "approve": {"+", "ctrl+y"}} })
	s.show(full())
	s.press("2", "a")
	s.expect("denied 198.51.100.1/32", " + approve")
	s.press("d") // not bound any more
	if len(s.con.calls) != 1 {
		t.Errorf("asked for %+v", s.con.calls)
	}
	s.m.keys = newKeymap(bindings(), map[string][]string{"mode": {"q"}, "back": {"x"}})
	if b := s.m.keys.byAction["quit"]; len(b.keys) != 0 {
		t.Errorf("quit keeps %q", b.keys)
	}
	s.m.overlay = overlayHelp
	s.m.frame = ""
	s.m.search.text = "no key"
	s.expect("(no key)")
	if s.m.keys.byKey["esc"].action != "back" || s.m.keys.byKey["x"].action != "back" {
		t.Error("esc does not go back")
	}
}
