package main

import (
	"image/color"
	"strconv"
	"strings"
	"unicode/utf8"
)

// cell is one character of the screen.
type cell struct {
	r                            rune
	fg, bg                       *color.RGBA // nil: the terminal's own
	bold, faint, under, reversed bool
}

// parse reads a screen as tmux gives it: text and the sequences of its styles.
func parse(screen string, w, h int) [][]cell {
	out := make([][]cell, h)
	style := cell{}
	for y, l := range strings.SplitN(screen, "\n", h+1) {
		if y == h {
			break
		}
		out[y] = make([]cell, w)
		for x := range out[y] {
			out[y][x].r = ' '
		}
		x := 0
		for l != "" {
			if rest, ok := strings.CutPrefix(l, "\x1b["); ok {
				end := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' && r <= '~' })
				if end < 0 {
					break
				}
				if rest[end] == 'm' {
					style.apply(rest[:end])
				}
				l = rest[end+1:]
				continue
			}
			r, n := utf8.DecodeRuneInString(l)
			l = l[n:]
			if r < ' ' || x >= w {
				continue
			}
			out[y][x] = style
			out[y][x].r = r
			x++
		}
	}
	return out
}

// apply changes a style by the parameters of an SGR sequence.
func (c *cell) apply(params string) {
	var ns []int
	for _, p := range strings.FieldsFunc(params, func(r rune) bool { return r == ';' || r == ':' }) {
		n, _ := strconv.Atoi(p) // empty is 0
		ns = append(ns, n)
	}
	if len(ns) == 0 {
		ns = []int{0}
	}
	for i := 0; i < len(ns); i++ {
		switch n := ns[i]; {
		case n == 0:
			*c = cell{}
		case n == 1:
			c.bold = true
		case n == 2:
			c.faint = true
		case n == 4:
			c.under = true
		case n == 7:
			c.reversed = true
		case n == 22:
			c.bold, c.faint = false, false
		case n == 24:
			c.under = false
		case n == 27:
			c.reversed = false
		case n >= 30 && n <= 37:
			rgb := basic(n - 30)
			c.fg = &rgb
		case n == 39:
			c.fg = nil
		case n == 49:
			c.bg = nil
		case (n == 38 || n == 48) && i+4 < len(ns) && ns[i+1] == 2:
			rgb := &color.RGBA{uint8(ns[i+2]), uint8(ns[i+3]), uint8(ns[i+4]), 255}
			if n == 38 {
				c.fg = rgb
			} else {
				c.bg = rgb
			}
			i += 4
		}
	}
}

// basic gives the first eight colours as xterm has them, made a little lighter for
// a dark ground.
func basic(n int) color.RGBA {
	return [8]color.RGBA{{0x00, 0x00, 0x00, 255}, {0xE0, 0x4A, 0x4A, 255}, {0x4F, 0xB8, 0x4F, 255}, {0xD0, 0xB0, 0x2F, 255},
		{0x5C, 0x8F, 0xE6, 255}, {0xC8, 0x6C, 0xC8, 255}, {0x3F, 0xB8, 0xC4, 255}, {0xD8, 0xD8, 0xD8, 255}}[n]
}
