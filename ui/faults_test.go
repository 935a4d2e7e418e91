package ui

import "testing"

func TestFaultsAreOfTheDemoAlone(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.show(full())
	s.press("F")
	s.expectNot("go wrong")

	broken := ""
	s = newScreen(t, 80, 24, func(c *Config) {
		c.Faults = []Fault{{"1", "AWS throttles", func() { broken = "throttled" }}, {"0", "all is well again", func() { broken = "" }}}
	})
	s.show(full())
	s.press("F")
	s.expect("What shall go wrong?", "AWS throttles")
	s.press("1")
	if broken != "throttled" {
		t.Errorf("it is %q", broken)
	}
	s.press("F", "0")
	if broken != "" {
		t.Errorf("it is %q", broken)
	}
}
