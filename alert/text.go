package alert

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Text is text that somebody outside wrote and that is safe to show: on a
// terminal, in a log, in a notification. Clean makes it, and so does decoding
// from JSON; nothing else should.
type Text string

// MaxText is the longest Text in runes; Clean cuts what is longer.
const MaxText = 512

// maxMarks is how many combining marks may follow one character. Written
// languages need up to four; more of them climb over the neighbouring lines.
const maxMarks = 4

const ellipsis = '…'

// Clean makes displayable text. Control characters, invalid UTF-8, characters
// that change the direction of text, zero-width and other invisible ones, line
// separators, tags, private and unassigned code points, and spaces other than
// the plain one become visible escapes: \x1b for an ASCII control character and
// for a byte that is not UTF-8, <U+202E> for any other. Of the marks combined
// with one character the first four stay. Nothing is passed on raw and nothing is
// dropped unseen: what is longer than MaxText runes ends in "…", and the rest of
// the input is not looked at. Cleaning twice changes nothing.
func Clean(raw string) Text { return CleanN(raw, MaxText) }

// CleanN is Clean with another bound in runes, at least 1. It never cuts an
// escape in two. A bound above MaxText does not outlive a trip through JSON.
func CleanN(raw string, bound int) Text {
	bound = max(bound, 1)
	if isPlain(raw, bound) {
		return Text(raw)
	}
	out := make([]byte, 0, min(len(raw)+16, 2*bound))
	run := newCluster()
	for i, runes := 0, 0; i < len(raw); {
		r, size := utf8.DecodeRuneInString(raw[i:])
		start := len(out)
		n := 1
		if valid := r != utf8.RuneError || size > 1; valid && run.take(r) {
			out = append(out, raw[i:i+size]...)
		} else {
			run.escaped()
			out = appendEscape(out, r, raw[i], valid)
			n = len(out) - start
		}
		i += size
		if runes += n; runes > bound || runes == bound && i < len(raw) {
			return Text(utf8.AppendRune(out[:start], ellipsis))
		}
	}
	return Text(out)
}

// isPlain says that text needs no change: printable ASCII within the bound.
func isPlain(s string, bound int) bool {
	if len(s) > bound {
		return false
	}
	for i := range len(s) {
		if !printableASCII(rune(s[i])) {
			return false
		}
	}
	return true
}

func printableASCII(r rune) bool { return ' ' <= r && r <= '~' }

// appendEscape writes a rune that is not shown as itself, or the first byte of
// what is no rune. It gives ASCII, so that its length is its width.
func appendEscape(out []byte, r rune, first byte, valid bool) []byte {
	const digits = "0123456789abcdef"
	if !valid || r < utf8.RuneSelf {
		return append(out, '\\', 'x', digits[first>>4], digits[first&15])
	}
	out = append(out, "<U+"...)
	for limit := rune(0x1000); limit > r; limit >>= 4 {
		out = append(out, '0')
	}
	start := len(out)
	out = strconv.AppendInt(out, int64(r), 16)
	for i := start; i < len(out); i++ {
		if 'a' <= out[i] && out[i] <= 'f' {
			out[i] -= 'a' - 'A'
		}
	}
	return append(out, '>')
}

// displayable says that a rune shows itself as one visible thing, or is the plain
// space.
func displayable(r rune) bool {
	if r < utf8.RuneSelf {
		return printableASCII(r)
	}
	// Graphic leaves out Cc, Cf, Co, Cs, Cn, Zl and Zp; of the spaces only U+0020
	// may pass.
	return unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r) && !invisible(r)
}

// invisible are characters that Unicode calls graphic but that show nothing.
func invisible(r rune) bool {
	switch r {
	case 0x2800, 0xfffc, 0x16fe4, 0x1d159: // Braille blank, object replacement, Khitan filler, null note head
		return true
	}
	return unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// UnmarshalText cleans what it reads, so that a stored text is as safe as a new
// one.
func (t *Text) UnmarshalText(b []byte) error {
	// A rune is at most four bytes, and shows as at least one.
	*t = Clean(string(b[:min(len(b), 4*MaxText+utf8.UTFMax)]))
	return nil
}

// String gives the text.
func (t Text) String() string { return string(t) }
