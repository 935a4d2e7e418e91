package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"selfprotect/alert"
)

// width is the number of cells that clean text takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		if !single(r) {
			return ansi.StringWidth(s)
		}
		n++
	}
	return n
}

// single says that a rune is known to take one cell and to join no other:
// printable ASCII, arrows, lines and shapes, the ellipsis.
func single(r rune) bool {
	return r >= ' ' && r < 0x7f || r >= 0x2190 && r <= 0x21ff || r >= 0x2500 && r <= 0x25ff || r == '…' || r == '·' || r == '≈'
}

// fit cuts or pads clean text to exactly w cells.
func fit(s string, w int) string {
	if w <= 0 {
		return ""
	}
	n := width(s)
	if n > w {
		s = ansi.Truncate(s, w, "…")
		n = width(s)
	}
	if n < w {
		s += strings.Repeat(" ", w-n)
	}
	return s
}

// fitRight is fit with the text at the right edge.
func fitRight(s string, w int) string {
	if n := width(s); n < w {
		return strings.Repeat(" ", w-n) + s
	}
	return fit(s, w)
}

// cut shortens clean text to at most w cells.
func cut(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if width(s) > w {
		return ansi.Truncate(s, w, "…")
	}
	return s
}

// stripped gives the text of a line without its styles.
func stripped(s string) string { return ansi.Strip(s) }

// seg is a piece of a line with its style.
type seg struct {
	p paint
	s string
}

// line joins pieces to exactly w cells, cutting the last ones.
func line(w int, segs ...seg) string {
	var b strings.Builder
	left := w
	for _, g := range segs {
		if left <= 0 {
			break
		}
		s := cut(g.s, left)
		left -= width(s)
		b.WriteString(g.p.text(s))
	}
	if left > 0 {
		b.WriteString(strings.Repeat(" ", left))
	}
	return b.String()
}

// segWidth is the cells that pieces take.
func segWidth(segs []seg) int {
	n := 0
	for _, g := range segs {
		n += width(g.s)
	}
	return n
}

// spread puts pieces at both ends of a line; the left ones give way.
func spread(w int, left, right []seg) string {
	rw := segWidth(right)
	if rw >= w {
		return line(w, right...)
	}
	return line(w-rw, left...) + line(rw, right...)
}

// wrap breaks clean text into lines of at most w cells: between words, and inside
// a word only when it is wider than a line. An address or an id stays whole.
func wrap(s string, w int) []string {
	if w < 1 {
		return nil
	}
	var out []string
	at := ""
	for i, word := range strings.Split(s, " ") {
		if i > 0 {
			if width(at)+1+width(word) <= w {
				at += " " + word
				continue
			}
			out, at = append(out, at), ""
		}
		for width(word) > w {
			head := ansi.Truncate(word, w, "")
			if head == "" {
				break // a character wider than the line
			}
			out, word = append(out, head), word[len(head):]
		}
		at = word
	}
	return append(out, at)
}

// age says how long ago something was, in at most four cells.
func age(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return span(now.Sub(t))
}

// span says a duration in at most four cells.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d/time.Hour))
	}
	return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
}

// spanLong says a duration to the minute, for countdowns.
func spanLong(d time.Duration) string {
	switch {
	case d < time.Minute:
		return span(d)
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d/time.Hour), int(d/time.Minute)%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d/(24*time.Hour)), int(d/time.Hour)%24)
}

func clean(s string) string { return string(alert.Clean(s)) }

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}
