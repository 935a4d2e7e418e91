package ui

import (
	"fmt"
	"net/netip"
	"strings"
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
