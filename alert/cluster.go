package alert

import "unicode"

// cluster follows the characters that a terminal draws on top of one another, so
// that text cannot pile up marks on one cell, or claim a width that it does not
// have.
type cluster struct {
	marks int  // joined to the present character
	prev  rune // the rune before, as shown
}

// newCluster begins a text. There is nothing yet that a mark could belong to, so
// one that comes first is not taken: it would join what stands before the text.
func newCluster() cluster { return cluster{marks: maxMarks} }

// take says whether r may be shown as itself, and remembers it if so.
func (c *cluster) take(r rune) bool {
	if printableASCII(r) {
		c.marks, c.prev = 0, r
		return true
	}
	if !displayable(r) {
		return false
	}
	switch {
	case joins(c.prev, r):
		if c.marks == maxMarks {
			return false
		}
		c.marks++
	case !continues(c.prev, r):
		c.marks = 0
	}
	c.prev = r
	return true
}

// escaped remembers that an escape was shown, whose last character is ASCII.
func (c *cluster) escaped() { c.marks, c.prev = 0, '>' }

// joins says that r is drawn onto what stands before it: marks, the emoji skin
// tones, the vowels and finals of Hangul, the vowel AM of Thai and Lao; also a Hangul initial after another,
// and a prefixed sign after another.
func joins(prev, r rune) bool {
	if unicode.In(r, unicode.M, unicode.Other_Grapheme_Extend) {
		return true
	}
	switch {
	case r == 0x0e33, r == 0x0eb3, 0x1f3fb <= r && r <= 0x1f3ff, 0x1160 <= r && r <= 0x11ff, 0xd7b0 <= r && r <= 0xd7ff:
		return true
	case hangulInitial(r):
		return hangulInitial(prev)
	}
	return prefixed(prev) && prefixed(r)
}

// continues says that r, which has a cell of its own, still belongs to the
// character before it: a consonant after a sign that links consonants.
func continues(prev, r rune) bool {
	switch prev {
	case 0x094d, 0x09cd, 0x0acd, 0x0b4d, 0x0c4d, 0x0d4d, 0x1039, 0x17d2, 0x1a60, 0x1bab, 0xa9c0, 0xaaf6, 0x10a3f, 0x11133, 0x11a47, 0x11a99:
		return unicode.IsLetter(r)
	}
	return prefixed(prev)
}

func hangulInitial(r rune) bool {
	return 0x1100 <= r && r <= 0x115f || 0xa960 <= r && r <= 0xa97c
}

// prefixed are the letters that Unicode joins to what follows them.
func prefixed(r rune) bool {
	switch r {
	case 0x0d4e, 0x111c2, 0x111c3, 0x1193f, 0x11941, 0x11a3a, 0x11d46, 0x11f02:
		return true
	}
	return 0x11a84 <= r && r <= 0x11a89
}
