package alert

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is text that somebody outside wrote and that is safe to show: on a
// terminal, in a log, in a notification. Clean makes it, and so does decoding
// from JSON.
type Text string

// MaxText is the longest Text in runes; Clean cuts what is longer.
const MaxText = 512

// maxMarks is how many combining marks may follow one character.
const maxMarks = 2

// Clean makes displayable text. Control characters, invalid UTF-8, marks that
// change the direction of text, zero-width and other invisible characters, line
// separators, tags, and spaces other than the plain one are shown as visible
// escapes (\x1b, <U+202E>); nothing is passed on raw and nothing is dropped
// silently. What is longer than MaxText ends in "…". Cleaning twice changes
// nothing.
func Clean(raw string) Text { return CleanN(raw, MaxText) }

// CleanN is Clean with another bound, in runes; it never cuts an escape in two.
func CleanN(raw string, bound int) Text {
	if isPlain(raw, bound) {
		return Text(raw)
	}
	var b strings.Builder
	runes, marks := 0, 0
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRuneInString(raw[i:])
		piece := raw[i : i+size]
		switch {
		case r == utf8.RuneError && size == 1:
			piece = fmt.Sprintf(`\x%02x`, raw[i])
		case unicode.In(r, unicode.Mn, unicode.Me) && visibleMark(r) && marks < maxMarks:
			marks++
		case unicode.In(r, unicode.Mn, unicode.Me) || !displayable(r):
			piece = escape(r)
			marks = 0
		default:
			marks = 0
		}
		n := utf8.RuneCountInString(piece)
		last := i+size == len(raw)
		if runes+n > bound || runes+n == bound && !last {
			b.WriteString("…")
			break
		}
		b.WriteString(piece)
		runes += n
		i += size
	}
	return Text(b.String())
}

// isPlain says that text needs no change: printable ASCII within the bound.
func isPlain(s string, bound int) bool {
	if len(s) > bound {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// displayable says that a rune shows itself as one visible thing, or is a space.
func displayable(r rune) bool {
	if r == ' ' {
		return true
	}
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Zs, unicode.Cf, unicode.Co) && !invisible(r)
}

// invisible are letters and symbols that Unicode calls graphic but that show
// nothing: the Hangul fillers, the Braille blank, and the like.
func invisible(r rune) bool {
	switch r {
	case 0x115f, 0x1160, 0x3164, 0xffa0, 0x2800, 0x17b4, 0x17b5, 0x034f, 0xfffc:
		return true
	}
	return false
}

// visibleMark leaves out the variation selectors and the grapheme joiner, which
// Unicode counts among the marks.
func visibleMark(r rune) bool {
	return !unicode.In(r, unicode.Variation_Selector) && !invisible(r)
}

func escape(r rune) string {
	if r < 0x100 {
		return fmt.Sprintf(`\x%02x`, r)
	}
	return fmt.Sprintf("<U+%04X>", r)
}

// UnmarshalText cleans what it reads, so that a stored text is as safe as a new
// one.
func (t *Text) UnmarshalText(b []byte) error {
	*t = Clean(string(b))
	return nil
}

// String gives the text.
func (t Text) String() string { return string(t) }
