package ui

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The filter language. A filter is a list of terms that must all hold:
//
//	curl                  a row that shows the text, in any column
//	"by root"             the same, with blanks
//	user:root             the column holds the text
//	state:pending|refused one of several
//	!host:web             not
//	age<2h weight>=120    for numbers and times: < <= > >= and : for equal
//	sev>=med              severities are low, med, high
//	cidr:10.0.0.0/8       an address or prefix inside it, or around it
//	dir:out               out or in
//
// Case does not matter.

// fieldKind says what may be asked of a field.
type fieldKind int

const (
	kindText fieldKind = iota
	kindNumber
	kindSpan // a length of time
	kindSeverity
	kindPrefix
	kindDirection
)

// field is something that a filter can ask for by name.
type field struct {
	name string
	kind fieldKind
	help string
}

// fields are all of them, the first of each meaning under its own name.
func fields() []field {
	return []field{
		{"state", kindText, "what became of it: pending, blocked, refused, denied, ..."},
		{"addr", kindText, "part of an address or prefix as it is written"},
		{"cidr", kindPrefix, "inside this prefix, or around it"},
		{"dir", kindDirection, "out or in"},
		{"age", kindSpan, "how long ago it was made"},
		{"sev", kindSeverity, "low, med or high"},
		{"weight", kindNumber, "what its block weighs"},
		{"seen", kindNumber, "how many alerts named it"},
		{"hosts", kindNumber, "how many hosts it was seen on"},
		{"expires", kindSpan, "how long it still lives"},
		{"events", kindNumber, "how many events an alert has"},
		{"port", kindNumber, "the port"},
		{"host", kindText, "the host"},
		{"rule", kindText, "name or id of the rule"},
		{"user", kindText, "the user"},
		{"process", kindText, "the process"},
		{"command", kindText, "the command line"},
		{"container", kindText, "id of the container"},
		{"image", kindText, "image of the container"},
		{"what", kindText, "title of the alert, or text of the log line"},
		{"reason", kindText, "why"},
		{"by", kindText, "who decided"},
		{"event", kindText, "kind of the log line"},
		{"acl", kindText, "the network ACL"},
		{"alert", kindText, "id of the alert"},
	}
}

// fieldNames are other names of fields.
var fieldNames = map[string]string{"severity": "sev", "title": "what", "address": "addr", "proc": "process", "cmd": "command", "prefix": "cidr", "ip": "cidr", "direction": "dir"}

// findField gives a field by one of its names; nil when there is none.
func findField(name string) *field {
	if full, ok := fieldNames[name]; ok {
		name = full
	}
	for _, f := range fields() {
		if f.name == name {
			return &f
		}
	}
	return nil
}

// query is a filter that was understood. The zero query lets every row pass.
type query struct{ terms []term }

func (q query) empty() bool { return len(q.terms) == 0 }

// term is one condition.
type term struct {
	not   bool
	field string   // empty: any column
	op    string   // : < <= > >=
	words []string // kindText: lower case, one must be there
	nums  []int64  // numbers, lengths of time, ranks of severities, directions
	meets func(int64) bool
	nets  []netip.Prefix
}

// queryError is a mistake in a filter.
type queryError struct {
	at  int // in runes, where it begins
	msg string
}

func (e *queryError) Error() string { return fmt.Sprintf("at %d: %s", e.at+1, e.msg) }

// maxFilter bounds a filter, in runes.
const maxFilter = 200

// parseFilter reads a filter. The error is nil or a *queryError.
func parseFilter(src string) (query, *queryError) {
	p := &filterParser{src: []rune(src)}
	var q query
	if len(p.src) > maxFilter {
		return q, &queryError{maxFilter, fmt.Sprintf("a filter has at most %d characters", maxFilter)}
	}
	for p.blanks(); p.pos < len(p.src); p.blanks() {
		t, err := p.term()
		if err != nil {
			return query{}, err
		}
		q.terms = append(q.terms, t)
	}
	return q, nil
}

type filterParser struct {
	src []rune
	pos int
}

func (p *filterParser) blanks() {
	for p.pos < len(p.src) && unicode.IsSpace(p.src[p.pos]) {
		p.pos++
	}
}

func (p *filterParser) fail(at int, format string, args ...any) *queryError {
	return &queryError{at, fmt.Sprintf(format, args...)}
}

// term reads one condition.
func (p *filterParser) term() (term, *queryError) {
	var t term
	at := p.pos
	if p.src[p.pos] == '!' {
		t.not = true
		p.pos++
	}
	start := p.pos
	name, op := p.head()
	if op == "" {
		words, err := p.values(false)
		if err == nil && len(words) == 0 {
			err = p.fail(at, "a text is missing here")
		}
		t.words = words
		return t, err
	}
	if name == "" {
		return t, p.fail(start, "the name of a column must stand before %s", op)
	}
	f := findField(name)
	if f == nil {
		hint := "quote a text that holds a colon"
		if n := nearest(name, filterNames()); n != "" {
			hint = "did you mean " + n + "?"
		}
		return t, p.fail(start, "%s; %s", strings.TrimSuffix(quoted("no column ", name), " "), hint)
	}
	t.field, t.op = f.name, op
	return p.value(t, f, start)
}

// head reads the name and the operator of a term; op is empty for a bare word, of
// which nothing is read then.
func (p *filterParser) head() (name, op string) {
	i := p.pos
	for i < len(p.src) && (p.src[i] >= 'a' && p.src[i] <= 'z' || p.src[i] >= 'A' && p.src[i] <= 'Z') {
		i++
	}
	if i == len(p.src) || !strings.ContainsRune(":=<>", p.src[i]) || isAddress(p.word()) {
		return "", ""
	}
	name = strings.ToLower(string(p.src[p.pos:i]))
	op = string(p.src[i])
	i++
	if op == "=" {
		op = ":"
	} else if op != ":" && i < len(p.src) && p.src[i] == '=' {
		op += "="
		i++
	}
	p.pos = i
	return name, op
}

// word is the text up to the next blank.
func (p *filterParser) word() string {
	i := p.pos
	for i < len(p.src) && !unicode.IsSpace(p.src[i]) {
		i++
	}
	return string(p.src[p.pos:i])
}

// isAddress says that a word with colons is an address, not a condition.
func isAddress(s string) bool {
	_, err := parseNet(s)
	return err == nil
}

func parseNet(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// values reads a text, with | between alternatives where they are allowed. Texts
// come lower case.
func (p *filterParser) values(alternatives bool) ([]string, *queryError) {
	var out []string
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			out = append(out, b.String())
			b.Reset()
		}
	}
	for p.pos < len(p.src) && !unicode.IsSpace(p.src[p.pos]) {
		switch r := p.src[p.pos]; {
		case r == '"':
			if err := p.quoted(&b); err != nil {
				return nil, err
			}
			continue
		case r == '|' && alternatives:
			flush()
		default:
			b.WriteRune(unicode.ToLower(r))
		}
		p.pos++
	}
	flush()
	return out, nil
}

// quoted reads a text in quotes, in which \" is a quote.
func (p *filterParser) quoted(b *strings.Builder) *queryError {
	at := p.pos
	for p.pos++; p.pos < len(p.src); p.pos++ {
		r := p.src[p.pos]
		if r == '"' {
			p.pos++
			return nil
		}
		if r == '\\' && p.pos+1 < len(p.src) && (p.src[p.pos+1] == '"' || p.src[p.pos+1] == '\\') {
			p.pos++
			r = p.src[p.pos]
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return p.fail(at, "the quote has no end")
}

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
