package config

import (
	"strconv"
	"strings"
)

// lineIndex knows the line of every key and list item of a TOML document. The
// decoder keeps only the last position of keys that occur in several elements
// of an array of tables, so the lines are found by a scan of our own. The scan
// trusts the decoder to have accepted the document.
type lineIndex map[string]int

// maxDepth is the length of the longest path that has a line of its own. Ours
// have four parts; a bound keeps the index of a nested document small.
const maxDepth = 16

// pathKey joins a path.
func pathKey(path []string) string { return strings.Join(path, "\x00") }

// below gives the path of a part, or the path itself, cut, when it is too long.
func below(path []string, part string) []string {
	if len(path) > maxDepth {
		return path
	}
	return append(path[:len(path):len(path)], part)
}

// item is the part of a path that stands for an item of a list, counted from 0.
// No key that somebody types looks like it.
func item(n int) string { return "\x01" + strconv.Itoa(n) }

// line gives the line of a path, or of the nearest thing around it.
func (x lineIndex) line(path ...string) int {
	for n := len(path); n > 0; n-- {
		if l, ok := x[pathKey(path[:n])]; ok {
			return l
		}
	}
	return 0
}

// indexLines scans a valid document.
func indexLines(src string) lineIndex {
	s := &lineScanner{src: strings.TrimPrefix(src, "\ufeff"), line: 1, index: lineIndex{}, arrays: map[string]int{}}
	var table []string
	for s.space(true); s.pos < len(s.src); s.space(true) {
		start, line := s.pos, s.line
		if !s.eat('[') {
			s.pair(table)
		} else {
			array := s.eat('[')
			table = s.element(s.key(), array)
			s.mark(table, line)
			s.eat(']')
			s.eat(']')
		}
		if s.pos == start { // only a document that is not valid
			s.pos++
		}
	}
	return s.index
}

type lineScanner struct {
	src       string
	pos, line int
	index     lineIndex
	arrays    map[string]int // path of an array of tables: its last element
}

func (s *lineScanner) mark(path []string, line int) {
	if len(path) > maxDepth {
		return
	}
	if k := pathKey(path); s.index[k] == 0 {
		s.index[k] = line
	}
}

// element resolves the name in a table header to the elements it speaks of.
func (s *lineScanner) element(name []string, array bool) []string {
	var path []string
	for i, part := range name {
		path = append(path, part)
		if len(path) > maxDepth {
			continue
		}
		s.mark(path, s.line)
		k := pathKey(path)
		n, ok := s.arrays[k]
		if array && i == len(name)-1 {
			if ok {
				n++
			}
			s.arrays[k] = n
			ok = true
		}
		if ok {
			path = append(path, item(n))
		}
	}
	return path
}

func (s *lineScanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *lineScanner) eat(c byte) bool {
	if s.pos < len(s.src) && s.src[s.pos] == c {
		s.advance(1)
		return true
	}
	return false
}

// advance moves on and counts lines.
func (s *lineScanner) advance(n int) {
	n = min(n, len(s.src)-s.pos)
	s.line += strings.Count(s.src[s.pos:s.pos+n], "\n")
	s.pos += n
}

// space skips blanks, and with lines also comments and line ends.
func (s *lineScanner) space(lines bool) {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == ' ' || c == '\t' || c == '\r':
			s.pos++
		case lines && c == '\n':
			s.advance(1)
		case lines && c == '#':
			if n := strings.IndexByte(s.src[s.pos:], '\n'); n >= 0 {
				s.pos += n
			} else {
				s.pos = len(s.src)
			}
		default:
			return
		}
	}
}

// pair scans key = value.
func (s *lineScanner) pair(table []string) {
	line := s.line
	path := table
	for _, part := range s.key() {
		path = below(path, part)
		s.mark(path, line)
	}
	s.space(false)
	if s.eat('=') {
		s.value(path)
	}
}

// key scans a dotted key.
func (s *lineScanner) key() (parts []string) {
	for {
		s.space(false)
		switch c := s.peek(); c {
		case '"', '\'':
			parts = append(parts, s.text())
		default:
			n := strings.IndexAny(s.src[s.pos:], " \t\r\n.=]#\"'")
			if n < 0 {
				n = len(s.src) - s.pos
			}
			parts = append(parts, s.src[s.pos:s.pos+n])
			s.pos += n
		}
		s.space(false)
		if !s.eat('.') {
			return parts
		}
	}
}

// value scans one value of any type.
func (s *lineScanner) value(path []string) {
	s.space(true)
	s.mark(path, s.line)
	switch c := s.peek(); c {
	case '"', '\'':
		s.text()
	case '[', '{':
		s.advance(1)
		for i := 0; ; i++ {
			s.space(true)
			start := s.pos
			if s.pos >= len(s.src) || s.eat(c+2) { // the closing one of either kind
				return
			}
			if c == '[' {
				s.value(below(path, item(i)))
			} else {
				s.pair(path)
			}
			s.space(true)
			s.eat(',')
			if s.pos == start {
				return
			}
		}
	default:
		n := strings.IndexAny(s.src[s.pos:], ",]}\n#")
		if n < 0 {
			n = len(s.src) - s.pos
		}
		s.pos += n
	}
}

// text scans a string of any of the four kinds and gives its value.
func (s *lineScanner) text() string {
	quote := s.src[s.pos : s.pos+1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s.src[s.pos:], long) {
		quote = long
	}
	start, end := s.pos, s.pos+len(quote)
	for end < len(s.src) && !strings.HasPrefix(s.src[end:], quote) {
		if s.src[end] == '\\' && quote[0] == '"' {
			end++
		}
		end++
	}
	end = min(end+len(quote), len(s.src))
	// Up to two quotes may stand before the closing three.
	for i := 0; len(quote) == 3 && i < 2 && end < len(s.src) && s.src[end] == quote[0]; i++ {
		end++
	}
	raw := s.src[start:end]
	s.advance(end - start)
	if quote == `"` {
		if v, err := strconv.Unquote(raw); err == nil {
			return v
		}
	}
	return strings.Trim(raw, quote)
}
