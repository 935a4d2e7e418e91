package ui

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// subject is a row as a filter sees it.
type subject interface {
	// shows says whether any column holds a text, which is lower case.
	shows(word string) bool
	// holds says whether a text field holds one.
	holds(field, word string) bool
	// number says whether a value of a field meets a condition; one that the row
	// lacks meets none.
	number(field string, meets func(int64) bool) bool
	// within says whether an address of the row lies in a prefix or around it.
	within(p netip.Prefix) bool
}

// match says whether a row passes.
func (q query) match(s subject) bool {
	for i := range q.terms {
		if q.terms[i].holds(s) == q.terms[i].not {
			return false
		}
	}
	return true
}

// holds says whether a row meets the condition, the ! left aside.
func (t *term) holds(s subject) bool {
	switch {
	case t.field == "":
		return s.shows(t.words[0])
	case t.nets != nil:
		return slices.ContainsFunc(t.nets, s.within)
	case t.nums == nil:
		return slices.ContainsFunc(t.words, func(w string) bool { return s.holds(t.field, w) })
	}
	return s.number(t.field, t.meets)
}

func compare(have int64, op string, want int64) bool {
	switch c := cmp.Compare(have, want); op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	default:
		return c == 0
	}
}

// nearest gives the known word that was probably meant, or nothing.
func nearest(word string, known []string) string {
	best, at := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if len(word) > 1 && strings.HasPrefix(k, word) {
			return k
		}
		if d := edits(word, k); d < at && len(word) <= maxFilter {
			best, at = k, d
		}
	}
	return best
}

// edits is the edit distance of two words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
