package ui

import (
	"math"
	"slices"
	"strconv"
	"time"
)

// value reads what a column is held against.
func (p *filterParser) value(t term, f *field, start int) (term, *queryError) {
	at := p.pos
	words, err := p.values(true)
	if err != nil {
		return t, err
	}
	if len(words) == 0 {
		return t, p.fail(at, "%s%s needs a value%s", f.name, t.op, f.example())
	}
	ordered := f.kind == kindNumber || f.kind == kindSpan || f.kind == kindSeverity
	if t.op != ":" && !ordered {
		return t, p.fail(start, "%s has no order; write %s:%s", f.name, f.name, words[0])
	}
	if t.op != ":" && len(words) > 1 {
		return t, p.fail(at, "%s takes one value", t.op)
	}
	if f.kind == kindSpan && t.op == ":" {
		return t, p.fail(start, "write %s<%s or %s>%s", f.name, words[0], f.name, words[0])
	}
	if f.kind == kindText {
		t.words = words
		return t, nil
	}
	for _, w := range words {
		if msg := t.take(f, w); msg != "" {
			return t, p.fail(at, "%s%s", msg, f.example())
		}
	}
	op, nums := t.op, t.nums
	t.meets = func(have int64) bool {
		return slices.ContainsFunc(nums, func(want int64) bool { return compare(have, op, want) })
	}
	return t, nil
}

// take adds a value; a message says what is wrong with it.
func (t *term) take(f *field, w string) string {
	switch f.kind {
	case kindPrefix:
		n, err := parseNet(w)
		if err != nil {
			return quoted("", w) + "is no address or prefix"
		}
		t.nets = append(t.nets, n)
		return ""
	case kindSeverity:
		n := severityRank(w)
		if n == 0 {
			return quoted("", w) + "is no severity"
		}
		t.nums = append(t.nums, n)
		return ""
	case kindDirection:
		n, ok := parseDirection(w)
		if !ok {
			return quoted("", w) + "is no direction"
		}
		t.nums = append(t.nums, n)
		return ""
	case kindSpan:
		d, ok := parseSpan(w)
		if !ok {
			return quoted("", w) + "is no length of time"
		}
		t.nums = append(t.nums, int64(d))
		return ""
	}
	n, err := strconv.ParseInt(w, 10, 64)
	if err != nil {
		return quoted("", w) + "is no whole number"
	}
	t.nums = append(t.nums, n)
	return ""
}

// example shows how a value is written.
func (f *field) example() string {
	switch f.kind {
	case kindPrefix:
		return ", such as cidr:10.0.0.0/8"
	case kindSpan:
		return ", such as " + f.name + "<2h or 30m, 7d"
	case kindSeverity:
		return ": low, med or high"
	case kindDirection:
		return ": out or in"
	case kindNumber:
		return ", such as " + f.name + ">=3"
	}
	return ""
}

// severityRank orders severities; 0 is none.
func severityRank(w string) int64 {
	switch w {
	case "high", "hi":
		return 3
	case "medium", "med":
		return 2
	case "low":
		return 1
	}
	return 0
}

// The directions in a filter.
const (
	dirOut = 1
	dirIn  = 2
)

func parseDirection(w string) (int64, bool) {
	switch w {
	case "out", "outbound", "egress":
		return dirOut, true
	case "in", "inbound", "ingress":
		return dirIn, true
	}
	return 0, false
}

// parseSpan reads a length of time such as 90s, 2h30m, 7d or 2w.
func parseSpan(s string) (time.Duration, bool) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	var total time.Duration
	for s != "" {
		i := 0
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		n, err := strconv.ParseInt(s[:i], 10, 32)
		if err != nil || i == len(s) || units[s[i]] == 0 {
			return 0, false
		}
		u := units[s[i]]
		if time.Duration(n) > (math.MaxInt64-total)/u {
			return 0, false
		}
		total += time.Duration(n) * u
		s = s[i+1:]
	}
	return total, true
}

// filterNames are the names of the fields, sorted.
func filterNames() []string {
	var out []string
	for _, f := range fields() {
		out = append(out, f.name)
	}
	slices.Sort(out)
	return out
}
