package ui

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// paint is a style made ready: what stands before and after the text. Styling a
// cell is then two appends.
type paint struct{ on, off string }

func (p paint) text(s string) string {
	if p.on == "" || s == "" {
		return s
	}
	return p.on + s + p.off
}

func newPaint(s lipgloss.Style) paint {
	const mark = "x"
	on, off, _ := strings.Cut(s.Render(mark), mark)
	return paint{on, off}
}

// theme is every style of the console. No two meanings differ by red and green
// alone, and each is also told by a word or a sign.
type theme struct {
	plain, dim, bold, title, focus, header, rule paint
	good, warn, bad, ours, foreign               paint
	cursor, cursorIdle, linked                   paint
	auto, review, observe, stopped, brand, key   paint
	production                                   paint // the whole first line
	spark                                        paint
}

type palette struct {
	text, faint, line, pick, pickIdle           color.Color
	focus, good, warn, bad                      color.Color
	ink                                         color.Color // on a badge
	production, productionText, linked, observe color.Color
}

func darkPalette() palette {
	return palette{
		text: lipgloss.Color("#D6DBE1"), faint: lipgloss.Color("#8D98A6"), line: lipgloss.Color("#3B4450"),
		pick: lipgloss.Color("#2F4A6B"), pickIdle: lipgloss.Color("#2A323D"),
		focus: lipgloss.Color("#6FA8E8"), good: lipgloss.Color("#56B4E9"), warn: lipgloss.Color("#E69F00"), bad: lipgloss.Color("#FF7A45"),
		ink: lipgloss.Color("#10151B"), linked: lipgloss.Color("#56B4E9"), observe: lipgloss.Color("#8D98A6"),
		production: lipgloss.Color("#6B1F5C"), productionText: lipgloss.Color("#FFFFFF"),
	}
}

func lightPalette() palette {
	return palette{
		text: lipgloss.Color("#22272E"), faint: lipgloss.Color("#5C656F"), line: lipgloss.Color("#C6CDD5"),
		pick: lipgloss.Color("#BBD6F5"), pickIdle: lipgloss.Color("#E1E6EC"),
		focus: lipgloss.Color("#0B5CAD"), good: lipgloss.Color("#00659E"), warn: lipgloss.Color("#8A5200"), bad: lipgloss.Color("#B03700"),
		ink: lipgloss.Color("#FFFFFF"), linked: lipgloss.Color("#00659E"), observe: lipgloss.Color("#5C656F"),
		production: lipgloss.Color("#F3D3EC"), productionText: lipgloss.Color("#5A0F4B"),
	}
}

// safePalette keeps to blue, yellow and grey: these stay apart for every common
// kind of colour blindness, and by lightness alone. What is bad is the brightest
// (on light the darkest) of all.
func safePalette(dark bool) palette {
	if dark {
		return palette{
			text: lipgloss.Color("#C9CED6"), faint: lipgloss.Color("#8D98A6"), line: lipgloss.Color("#3B4450"),
			pick: lipgloss.Color("#1D3F73"), pickIdle: lipgloss.Color("#2A323D"),
			focus: lipgloss.Color("#7FB2FF"), good: lipgloss.Color("#4F93F5"), warn: lipgloss.Color("#D9A400"), bad: lipgloss.Color("#FFF3A6"),
			ink: lipgloss.Color("#000000"), linked: lipgloss.Color("#7FB2FF"), observe: lipgloss.Color("#8D98A6"),
			production: lipgloss.Color("#FFFFFF"), productionText: lipgloss.Color("#000000"),
		}
	}
	return palette{
		text: lipgloss.Color("#2E343B"), faint: lipgloss.Color("#5C656F"), line: lipgloss.Color("#C6CDD5"),
		pick: lipgloss.Color("#C4DAFF"), pickIdle: lipgloss.Color("#E1E6EC"),
		focus: lipgloss.Color("#0A49A8"), good: lipgloss.Color("#1A63D6"), warn: lipgloss.Color("#5A4300"), bad: lipgloss.Color("#1E1400"),
		ink: lipgloss.Color("#FFFFFF"), linked: lipgloss.Color("#0A49A8"), observe: lipgloss.Color("#5C656F"),
		production: lipgloss.Color("#000000"), productionText: lipgloss.Color("#FFFFFF"),
	}
}

func paletteOf(name string, dark bool) palette {
	switch {
	case name == "safe":
		return safePalette(dark)
	case name == "light" || name != "dark" && !dark:
		return lightPalette()
	}
	return darkPalette()
}

// newTheme gives a theme; dark says what the terminal's background is, for the
// names that leave it open.
func newTheme(name string, dark bool) theme {
	switch name {
	case "mono":
		return monoTheme()
	case "ansi":
		return ansiTheme()
	}
	s := lipgloss.NewStyle
	p := paletteOf(name, dark)
	fg := func(c color.Color) paint { return newPaint(s().Foreground(c)) }
	strong := func(c color.Color) paint { return newPaint(s().Foreground(c).Bold(true)) }
	on := func(text, ground color.Color) paint { return newPaint(s().Foreground(text).Background(ground)) }
	badge := func(c color.Color) paint { return newPaint(s().Bold(true).Foreground(p.ink).Background(c)) }
	return theme{
		plain: fg(p.text), dim: fg(p.faint), bold: strong(p.text), title: strong(p.faint), focus: strong(p.focus),
		header: fg(p.faint), rule: fg(p.line), spark: fg(p.good),
		good: fg(p.good), warn: fg(p.warn), bad: strong(p.bad), ours: fg(p.good), foreign: fg(p.faint),
		cursor: newPaint(s().Foreground(p.text).Background(p.pick).Bold(true)), cursorIdle: on(p.text, p.pickIdle),
		linked: on(p.ink, p.linked),
		auto:   badge(p.warn), review: badge(p.good), observe: badge(p.observe), stopped: badge(p.bad),
		brand: strong(p.focus), key: fg(p.focus), production: newPaint(s().Bold(true).Foreground(p.productionText).Background(p.production)),
	}
}

// ansiTheme keeps to the colours that the terminal itself has been given: its own
// text and background, and cyan, yellow, red and magenta. Of the sixteen it uses
// neither black, white nor the bright ones, which some schemes make a background.
func ansiTheme() theme {
	s := lipgloss.NewStyle
	fg := func(c ansi.BasicColor) lipgloss.Style { return s().Foreground(c) }
	good, warn, bad := fg(ansi.Cyan), fg(ansi.Yellow), fg(ansi.Red).Bold(true)
	faint, bold := newPaint(s().Faint(true)), newPaint(s().Bold(true))
	badge := func(c lipgloss.Style) paint { return newPaint(c.Reverse(true).Bold(true)) }
	return theme{
		dim: faint, bold: bold, title: bold, focus: newPaint(good.Bold(true)), header: faint, rule: faint, spark: newPaint(good),
		good: newPaint(good), warn: newPaint(warn), bad: newPaint(bad), ours: newPaint(good), foreign: faint,
		cursor: badge(s()), cursorIdle: newPaint(s().Underline(true)), linked: newPaint(good.Reverse(true)),
		auto: badge(warn), review: badge(good), observe: badge(s()), stopped: badge(bad),
		brand: newPaint(good.Bold(true)), key: newPaint(good), production: badge(fg(ansi.Magenta)),
	}
}

// monoTheme has no colours: bold, faint, underlined and reversed alone.
func monoTheme() theme {
	s := lipgloss.NewStyle
	faint, bold, under := newPaint(s().Faint(true)), newPaint(s().Bold(true)), newPaint(s().Underline(true))
	reverse, loud := newPaint(s().Reverse(true)), newPaint(s().Reverse(true).Bold(true))
	return theme{
		dim: faint, bold: bold, title: bold, focus: newPaint(s().Bold(true).Underline(true)),
		rule: faint, header: bold, warn: bold, bad: bold, ours: bold, foreign: faint,
		cursor: reverse, cursorIdle: under, linked: reverse,
		auto: loud, review: reverse, observe: reverse, stopped: loud, brand: bold, key: bold, production: loud,
	}
}

// glyphs are the signs beside words.
type glyphs struct {
	pending, ours, refused, foreign, none, pick  string
	up, down, left, right, bar, bar0, rule, pipe string
	high, medium, low, drift, dots               string
	autoRule, autoPipe                           string   // lines between panes in auto mode
	levels                                       []string // of a sparkline, lowest first
	ascii                                        bool
}

func newGlyphs(ascii bool) glyphs {
	if ascii {
		return glyphs{pending: "?", ours: "#", refused: "!", foreign: "o", none: ".", pick: ">", up: "^", down: "v", left: "<-", right: "->",
			bar: "#", bar0: "-", rule: "-", pipe: "|", high: "!", medium: "+", low: "-", drift: "~", dots: "...",
			autoRule: "=", autoPipe: "#", levels: []string{"_", ".", ":", "=", "#"}, ascii: true}
	}
	return glyphs{pending: "◆", ours: "●", refused: "▲", foreign: "○", none: "·", pick: "▸", up: "↑", down: "↓", left: "←", right: "→",
		bar: "━", bar0: "─", rule: "─", pipe: "│", high: "▲", medium: "◆", low: "▽", drift: "≈", dots: "…",
		autoRule: "═", autoPipe: "║", levels: []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}}
}

// plainASCII gives a frame in ASCII alone: what stands in texts from outside is
// replaced cell by cell, so nothing moves.
func plainASCII(frame string) string {
	ascii := true
	for i := range len(frame) {
		ascii = ascii && frame[i] < 0x80
	}
	if ascii {
		return frame
	}
	var b strings.Builder
	for _, r := range frame {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r == '…' || r == '·':
			b.WriteByte('.')
		case r == '≈':
			b.WriteByte('~')
		default:
			b.WriteString(strings.Repeat("?", width(string(r))))
		}
	}
	return b.String()
}
