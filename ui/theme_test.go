package ui

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rgb is a colour, each part 0 to 1.
type rgb [3]float64

var sgrColour = regexp.MustCompile(`([34])8;2;(\d+);(\d+);(\d+)`)

// colours reads foreground and background of a paint; nil where it sets none.
func colours(p paint) (fg, bg *rgb) {
	for _, m := range sgrColour.FindAllStringSubmatch(p.on, -1) {
		var c rgb
		for i := range c {
			n, _ := strconv.Atoi(m[2+i])
			c[i] = float64(n) / 255
		}
		if m[1] == "3" {
			fg = &c
		} else {
			bg = &c
		}
	}
	return fg, bg
}

func linear(c float64) float64 {
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

func luminance(c rgb) float64 {
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}

func contrast(a, b rgb) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// paints gives every paint of a theme by name.
func paints(th theme) map[string]paint {
	out := map[string]paint{}
	v := reflect.ValueOf(th)
	for i := range v.NumField() {
		f := v.Field(i)
		out[v.Type().Field(i).Name] = paint{f.FieldByName("on").String(), f.FieldByName("off").String()}
	}
	return out
}

// grounds are usual backgrounds of a terminal.
func grounds(dark bool) []rgb {
	if dark {
		return []rgb{{0, 0, 0}, {0x1e / 255.0, 0x1e / 255.0, 0x1e / 255.0}, {0, 0x2b / 255.0, 0x36 / 255.0}} // black, grey, Solarized
	}
	return []rgb{{1, 1, 1}, {0xfd / 255.0, 0xf6 / 255.0, 0xe3 / 255.0}}
}

// TestContrast holds that every text of every theme can be read on its
// background: a ratio of 4.5 at least (WCAG AA). Lines between panes are no text.
func TestContrast(t *testing.T) {
	for _, x := range []struct {
		name string
		dark bool
	}{{"dark", true}, {"light", false}, {"auto", true}, {"auto", false}, {"safe", true}, {"safe", false}} {
		found := 0
		for name, p := range paints(newTheme(x.name, x.dark)) {
			if name == "rule" {
				continue
			}
			fg, bg := colours(p)
			if fg == nil {
				t.Errorf("%s: %s has no colour", x.name, name)
				continue
			}
			on := grounds(x.dark)
			if bg != nil {
				on = []rgb{*bg}
			}
			for _, g := range on {
				if c := contrast(*fg, g); c < 4.5 {
					t.Errorf("%s (dark %v): %s has a contrast of %.2f on %.2f", x.name, x.dark, name, c, g)
				}
				found++
			}
		}
		if found < 20 {
			t.Errorf("only %d texts looked at", found)
		}
	}
}

// lab is CIE L*a*b*, in which distances are about what an eye sees.
func lab(c rgb) [3]float64 {
	r, g, b := linear(c[0]), linear(c[1]), linear(c[2])
	f := func(t float64) float64 {
		if t > 0.008856 {
			return math.Cbrt(t)
		}
		return 7.787*t + 16.0/116
	}
	x, y, z := f((0.4124*r+0.3576*g+0.1805*b)/0.9505), f(0.2126*r+0.7152*g+0.0722*b), f((0.0193*r+0.1192*g+0.9505*b)/1.089)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

// blindness are the matrices of Machado, Oliveira and Fernandes (2009) at full
// severity, for linear RGB.
var blindness = map[string][3][3]float64{
	"none":         {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
	"greys":        {{0.2126, 0.7152, 0.0722}, {0.2126, 0.7152, 0.0722}, {0.2126, 0.7152, 0.0722}},
}

func seen(c rgb, m [3][3]float64) rgb {
	var out rgb
	for i := range out {
		l := 0.0
		for j := range c {
			l += m[i][j] * linear(c[j])
		}
		l = min(max(l, 0), 1)
		if l <= 0.0031308 {
			out[i] = l * 12.92
		} else {
			out[i] = 1.055*math.Pow(l, 1/2.4) - 0.055
		}
	}
	return out
}

func distance(a, b rgb) float64 {
	x, y := lab(a), lab(b)
	return math.Sqrt((x[0]-y[0])*(x[0]-y[0]) + (x[1]-y[1])*(x[1]-y[1]) + (x[2]-y[2])*(x[2]-y[2]))
}

// TestSafeTheme holds that good, warning and bad stay apart in the safe theme,
// for every kind of colour blindness and without any colour at all.
func TestSafeTheme(t *testing.T) {
	for _, dark := range []bool{true, false} {
		th := newTheme("safe", dark)
		signs := map[string]paint{"good": th.good, "warn": th.warn, "bad": th.bad}
		for kind, m := range blindness {
			least := 20.0
			if kind == "greys" {
				least = 8 // lightness alone; bad is bold beside
			}
			for a, p := range signs {
				for b, q := range signs {
					x, _ := colours(p)
					y, _ := colours(q)
					if d := distance(seen(*x, m), seen(*y, m)); a < b && d < least {
						t.Errorf("dark %v, %s: %s and %s are %.1f apart", dark, kind, a, b, d)
					}
				}
			}
		}
	}
}

// TestNoRedGreenPair holds for every theme that no two colours are told apart by
// red and green alone: what differs for all eyes differs for those, too.
func TestNoRedGreenPair(t *testing.T) {
	for _, name := range []string{"dark", "light", "safe"} {
		th := newTheme(name, name != "light")
		for kind, m := range blindness {
			if kind == "greys" {
				continue
			}
			good, _ := colours(th.good)
			for other, p := range map[string]paint{"warn": th.warn, "bad": th.bad} {
				x, _ := colours(p)
				if d := distance(seen(*good, m), seen(*x, m)); d < 20 {
					t.Errorf("%s, %s: good and %s are %.1f apart", name, kind, other, d)
				}
			}
		}
	}
}

// TestAnsiThemeIsTheTerminals holds that the theme sets no colour of its own, and
// none of those that schemes use as a background.
func TestAnsiThemeIsTheTerminals(t *testing.T) {
	told := map[string]bool{}
	for name, p := range paints(newTheme("ansi", true)) {
		for _, m := range regexp.MustCompile(`\x1b\[([\d;]*)m`).FindAllStringSubmatch(p.on, -1) {
			for code := range strings.SplitSeq(m[1], ";") {
				if !slices.Contains([]string{"1", "2", "4", "7", "31", "33", "35", "36"}, code) {
					t.Errorf("%s sets %s", name, code)
				}
			}
		}
		told[p.on] = true
	}
	if len(told) < 10 {
		t.Errorf("only %d styles differ", len(told))
	}
}

func TestPlainASCII(t *testing.T) {
	for in, want := range map[string]string{"abc": "abc", "a…b": "a.b", "漢字 é": "???? ?", "\x1b[1mx\x1b[m": "\x1b[1mx\x1b[m"} {
		if got := plainASCII(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestASCII(t *testing.T) {
	for _, x := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"TERM": "linux", "LANG": "de_DE.UTF-8"}, true},
		{map[string]string{"TERM": "xterm-256color", "LANG": "C.utf8"}, false},
		{map[string]string{"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, true},
		{map[string]string{"LC_CTYPE": "en_US.ISO-8859-1"}, true},
	} {
		if got := ASCII(func(k string) string { return x.env[k] }); got != x.want {
			t.Errorf("%v: %v", x.env, got)
		}
	}
}

// TestASCIIFrames holds that nothing beyond ASCII is drawn, whatever alerts hold.
func TestASCIIFrames(t *testing.T) {
	s := newScreen(t, 100, 30, func(c *Config) { c.ASCII, c.NoColor = true, true })
	snap := hostile()
	snap.Alerts[0].Title = "漢字 é…"
	for _, key := range []string{"1", "2", "3", "4", "?", "x", "m"} {
		s.show(snap)
		s.press(key)
		for _, r := range s.frame() {
			if r > 0x7e {
				t.Fatalf("%s: %q in ASCII mode", key, r)
			}
		}
	}
}

func ExampleNoColor() {
	for _, v := range []string{"", "1", "yes", "0", "false"} {
		fmt.Print(NoColor(func(k string) string { return map[string]string{"NO_COLOR": v}[k] }), " ")
	}
	// Output: false true true true true
}
