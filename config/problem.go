package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake.
type Problem struct {
	File       string // empty for a flag or a variable
	Line       int    // from 1; 0 when no line is at fault
	Key        string // such as limits.ttl, --mode, TS_HOST
	Message    string
	Suggestion string // what to do; may be empty
}

// String gives one line such as
//
//	config.toml:12: limits.ttl: must be from 1m to 365d, found 0s
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
		if p.Line > 0 {
			fmt.Fprintf(&b, "%d:", p.Line)
		}
		b.WriteString(" ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	if p.Suggestion != "" {
		b.WriteString("; " + p.Suggestion)
	}
	return b.String()
}

// Problems are all the mistakes of a configuration, sorted by line. Find them
// with errors.As.
type Problems []Problem

// Error gives one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, x := range p {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(-cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Key, b.Key), cmp.Compare(a.Message, b.Message))
	})
}

// mistake is what is wrong with one value, before it is known where it stands.
type mistake struct {
	item       int // of a list; -1 for the value as a whole
	message    string
	suggestion string
}

// wrong makes the mistake of a whole value.
func wrong(format string, args ...any) []mistake {
	return []mistake{{item: -1, message: fmt.Sprintf(format, args...)}}
}

// instead adds what to do to the mistakes.
func instead(m []mistake, format string, args ...any) []mistake {
	for i := range m {
		m[i].suggestion = fmt.Sprintf(format, args...)
	}
	return m
}

// nearest gives the word that was probably meant, or nothing.
func nearest(word string, known []string) string {
	best, at := "", 1+max(1, len(word)/3)
	if len(word) > 64 { // no key is so long, and distance is quadratic
		return ""
	}
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d < at {
			best, at = k, d
		}
	}
	return best
}

// distance is the edit distance of two words, with a swap of neighbours as one
// edit (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before []int
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(x); i++ {
		next := make([]int, len(y)+1)
		next[0] = i
		for j := 1; j <= len(y); j++ {
			edit := 1
			if x[i-1] == y[j-1] {
				edit = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+edit)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(y)]
}
