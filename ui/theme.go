package ui

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
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

// theme is every style of the console. Ours, good, warning and bad are told apart
// without red and green (after Okabe and Ito), and each also by a word or glyph.
type theme struct {
	plain, dim, bold, title, focus, header, rule paint
	good, warn, bad, ours, foreign               paint
	cursor, cursorIdle, linked                   paint
	auto, review, observe, stopped, brand, key   paint
}

type palette struct {
	text, faint, line, bar, barText, pick, pickIdle color.Color
	blue, sky, orange, red, purple, ink             color.Color
}

func darkPalette() palette {
	return palette{
		text: lipgloss.Color("#D6DBE1"), faint: lipgloss.Color("#7C8795"), line: lipgloss.Color("#3B4450"),
		bar: lipgloss.Color("#1F2630"), barText: lipgloss.Color("#C8D0DA"), pick: lipgloss.Color("#2F4A6B"), pickIdle: lipgloss.Color("#2A323D"),
		blue: lipgloss.Color("#6FA8E8"), sky: lipgloss.Color("#56B4E9"), orange: lipgloss.Color("#E69F00"),
		red: lipgloss.Color("#FF7A45"), purple: lipgloss.Color("#CC9BD2"), ink: lipgloss.Color("#10151B"),
	}
}

func lightPalette() palette {
	return palette{
		text: lipgloss.Color("#22272E"), faint: lipgloss.Color("#6A737D"), line: lipgloss.Color("#C6CDD5"),
		bar: lipgloss.Color("#E6EAF0"), barText: lipgloss.Color("#22272E"), pick: lipgloss.Color("#BBD6F5"), pickIdle: lipgloss.Color("#E1E6EC"),
		blue: lipgloss.Color("#0B5CAD"), sky: lipgloss.Color("#0072B2"), orange: lipgloss.Color("#9A5B00"),
		red: lipgloss.Color("#B83A00"), purple: lipgloss.Color("#7B3F8C"), ink: lipgloss.Color("#FFFFFF"),
	}
}

func newTheme(name string, dark bool) theme {
	s := lipgloss.NewStyle
	if name == "mono" {
		return theme{
			dim: newPaint(s().Faint(true)), bold: newPaint(s().Bold(true)), title: newPaint(s().Bold(true)), focus: newPaint(s().Bold(true).Underline(true)),
			rule: newPaint(s().Faint(true)), header: newPaint(s().Bold(true)), warn: newPaint(s().Bold(true)), bad: newPaint(s().Bold(true)),
			ours: newPaint(s().Bold(true)), foreign: newPaint(s().Faint(true)),
			cursor: newPaint(s().Reverse(true)), cursorIdle: newPaint(s().Underline(true)), linked: newPaint(s().Reverse(true)),
			auto: newPaint(s().Reverse(true).Bold(true)), review: newPaint(s().Reverse(true)), observe: newPaint(s().Reverse(true)),
			stopped: newPaint(s().Reverse(true).Bold(true)), brand: newPaint(s().Bold(true)), key: newPaint(s().Bold(true)),
		}
	}
	p := darkPalette()
	if name == "light" || name != "dark" && !dark {
		p = lightPalette()
	}
	badge := func(c color.Color) paint { return newPaint(s().Bold(true).Foreground(p.ink).Background(c)) }
	return theme{
		plain: newPaint(s().Foreground(p.text)), dim: newPaint(s().Foreground(p.faint)), bold: newPaint(s().Bold(true).Foreground(p.text)),
		title: newPaint(s().Foreground(p.faint).Bold(true)), focus: newPaint(s().Foreground(p.blue).Bold(true)),
		header: newPaint(s().Foreground(p.faint)), rule: newPaint(s().Foreground(p.line)),
		good: newPaint(s().Foreground(p.sky)), warn: newPaint(s().Foreground(p.orange)), bad: newPaint(s().Foreground(p.red).Bold(true)),
		ours: newPaint(s().Foreground(p.sky)), foreign: newPaint(s().Foreground(p.faint)),
		cursor: newPaint(s().Foreground(p.text).Background(p.pick).Bold(true)), cursorIdle: newPaint(s().Foreground(p.text).Background(p.pickIdle)),
		linked: newPaint(s().Foreground(p.ink).Background(p.sky)),
		auto:   badge(p.orange), review: badge(p.sky), observe: badge(p.faint), stopped: badge(p.red),
		brand: newPaint(s().Foreground(p.blue).Bold(true)), key: newPaint(s().Foreground(p.blue)),
	}
}

// glyphs are the signs beside words.
type glyphs struct {
	pending, ours, refused, foreign, none, pick  string
	up, down, left, right, bar, bar0, rule, pipe string
	high, medium, low, drift, dots               string
}

func newGlyphs(ascii bool) glyphs {
	if ascii {
		return glyphs{pending: "?", ours: "#", refused: "!", foreign: "o", none: ".", pick: ">", up: "^", down: "v", left: "<-", right: "->",
			bar: "#", bar0: "-", rule: "-", pipe: "|", high: "!", medium: "+", low: "-", drift: "~", dots: "..."}
	}
	return glyphs{pending: "◆", ours: "●", refused: "▲", foreign: "○", none: "·", pick: "▸", up: "↑", down: "↓", left: "←", right: "→",
		bar: "━", bar0: "─", rule: "─", pipe: "│", high: "▲", medium: "◆", low: "▽", drift: "≈", dots: "…"}
}
