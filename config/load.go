package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"selfprotect/firewall"
)

// loader gathers values, their sources and the problems.
type loader struct {
	opts     Options
	env      func(string) string
	home     string
	config   *Config
	root     *schema
	lines    lineIndex
	tried    map[string]bool // the arrays of tables that the file names
	unread   bool            // the file could not be read, so what it lacks is unknown
	sources  map[string]Source
	problems Problems

	// The elements by pointer, as settings stay bound to them while more come.
	watches []*entry[Watch]
	acls    []*entry[ACL]
	notify  []*entry[Notify]
	views   []*entry[View]
}

// entry is an element and where it stands in the file.
type entry[T any] struct {
	value T
	path  []string
}

func newLoader(opts Options) *loader {
	l := &loader{opts: opts, env: opts.Env, home: opts.Home, lines: lineIndex{}, tried: map[string]bool{}, sources: map[string]Source{}}
	if l.env == nil {
		l.env = func(string) string { return "" }
	}
	if l.home == "" {
		l.home = l.env("HOME")
	}
	dir := l.xdg("XDG_STATE_HOME", filepath.Join(".local", "state"))
	if dir != "" {
		dir = filepath.Join(dir, "selfprotect")
	}
	c := defaults(dir, l.home)
	c.env, c.home = l.env, l.home
	l.config = &c
	l.root = l.schema()
	l.remember("", l.root.settings, "default")
	for name, s := range l.root.tables {
		l.remember(name+".", s.settings, "default")
		for sub, s := range s.tables {
			l.remember(name+"."+sub+".", s.settings, "default")
		}
	}
	return l
}

func (l *loader) addWatch() *entry[Watch] {
	e := &entry[Watch]{value: Watch{Weight: 10}, path: []string{"watch", item(len(l.watches))}}
	l.watches = append(l.watches, e)
	return e
}

func (l *loader) addACL() *entry[ACL] {
	e := &entry[ACL]{value: ACL{Directions: []firewall.Direction{firewall.Egress}, Numbers: Range{1, 99}},
		path: []string{"acl", item(len(l.acls))}}
	l.acls = append(l.acls, e)
	return e
}

func (l *loader) addNotify() *entry[Notify] {
	e := &entry[Notify]{value: Notify{Events: NotifyEvents(), Every: time.Minute}, path: []string{"notify", item(len(l.notify))}}
	l.notify = append(l.notify, e)
	return e
}

// remember notes where the values of settings come from.
func (l *loader) remember(prefix string, settings []setting, from string) {
	for _, s := range settings {
		l.sources[prefix+s.key] = Source{Key: prefix + s.key, Value: s.show(), From: from}
	}
}

func (l *loader) refuse(p Problem) { l.problems = append(l.problems, p) }

// mistakes turns mistakes at a path of the file into problems.
func (l *loader) mistakes(key string, path []string, ms []mistake) {
	for _, m := range ms {
		at := path
		if m.item >= 0 {
			at = append(path[:len(path):len(path)], item(m.item))
		}
		l.refuse(Problem{l.config.File, l.lines.line(at...), key, m.message, m.suggestion})
	}
}

// decode reads the document and walks it along the schema.
func (l *loader) decode(src string) {
	var tree map[string]any
	if _, err := toml.Decode(src, &tree); err != nil {
		l.refuse(syntax(l.config.File, err))
		l.unread = true
		return
	}
	l.lines = indexLines(src)
	l.walk(l.root, nil, "", tree)
}

// quoted finds what a syntax error quotes from the file, keys excepted.
var quoted = regexp.MustCompile(`"(\\.|[^"\\]){4,}"|'[^'\s]{4,}'|^\S+ is out of`)

// syntax tells of a file that is no TOML.
func syntax(file string, err error) Problem {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return Problem{File: file, Line: 1, Message: "cannot be read as TOML"}
	}
	msg := strings.TrimSuffix(pe.Message, ".")
	if !strings.HasPrefix(msg, "Key '") {
		// A secret without its quotes must not get into a log.
		msg = quoted.ReplaceAllStringFunc(msg, func(s string) string {
			if strings.HasSuffix(s, " is out of") {
				return "a number is out of"
			}
			return "a value"
		})
	}
	if msg != "" {
		msg = strings.ToLower(msg[:1]) + msg[1:]
	}
	msg = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?' // it must not disturb a terminal
		}
		return r
	}, msg)
	return Problem{File: file, Line: max(1, pe.Position.Line), Message: msg,
		Suggestion: "the rest of the file is read when this is mended"}
}

// walk sets what a table names.
func (l *loader) walk(s *schema, path []string, label string, table map[string]any) {
	for _, key := range sortedKeys(table) {
		v, at := table[key], append(path[:len(path):len(path)], key)
		if sub, ok := s.tables[key]; ok {
			if t, ok := v.(map[string]any); ok {
				l.walk(sub, at, label+key+".", t)
			} else {
				l.mistakes(label+key, at, instead(wrong("must be a table, found %s", found(v)), "write [%s]", key))
			}
			continue
		}
		if add, ok := s.arrays[key]; ok {
			l.elements(label+key, at, v, add)
			continue
		}
		settings := s.settings
		if s.free != nil {
			settings = []setting{s.free(key)}
		}
		i := slices.IndexFunc(settings, func(x setting) bool { return x.key == key })
		if i < 0 {
			l.mistakes(label+printable(key), at, l.unknown(s, key))
			continue
		}
		if m := settings[i].set(v); m != nil {
			l.mistakes(label+key, at, m)
			continue
		}
		from := fmt.Sprintf("%s:%d", l.config.File, l.lines.line(at...))
		l.remember(label, settings[i:i+1], from)
	}
}

// elements sets what an array of tables names.
func (l *loader) elements(name string, path []string, v any, add func() *element) {
	l.tried[name] = true
	var tables []map[string]any
	switch v := v.(type) {
	case []map[string]any:
		tables = v
	case []any:
		for i, x := range v {
			t, ok := x.(map[string]any)
			if !ok {
				l.mistakes(name, path, []mistake{{item: i, message: "must be a table, found " + found(x)}})
				return
			}
			tables = append(tables, t)
		}
	default:
		l.mistakes(name, path, instead(wrong("must be an array of tables, found %s", found(v)), "write [[%s]] with two brackets", name))
		return
	}
	for i, t := range tables {
		e, at := add(), append(path[:len(path):len(path)], item(i))
		if _, ok := t[e.required]; !ok {
			l.mistakes(name+"."+e.required, at, wrong("is missing"))
		}
		l.walkElement(e, at, name, t)
	}
}

// walkElement walks one element; its sources bear its id.
func (l *loader) walkElement(e *element, path []string, name string, t map[string]any) {
	before := l.sources
	l.sources = map[string]Source{}
	l.remember(name+".", e.settings, "default")
	l.walk(&e.schema, path, name+".", t)
	for key, s := range l.sources {
		s.Key = fmt.Sprintf("%s[%s]%s", name, *e.id, strings.TrimPrefix(key, name))
		before[s.Key] = s
	}
	l.sources = before
}

var secretKey = regexp.MustCompile(`(?i)secret|passw|token|api_?key|access_?key|ts_key`)

// unknown says what may have been meant by a key that does not exist.
func (l *loader) unknown(s *schema, key string) []mistake {
	m := wrong("unknown key")
	var names []string
	for _, x := range s.settings {
		names = append(names, x.key)
	}
	names = append(names, sortedKeys(s.tables)...)
	names = append(names, sortedKeys(s.arrays)...)
	if w := nearest(key, names); w != "" {
		return instead(m, "did you mean %q?", w)
	}
	if secretKey.MatchString(key) {
		return instead(m, "secrets do not belong in this file: set TS_API_KEY, or threatstack.key_file")
	}
	if home := l.homeOf(key); home != "" {
		return instead(m, "%q belongs %s", key, home)
	}
	return instead(m, "known here: %s", strings.Join(names, ", "))
}

// homeOf says where a key belongs that stands in the wrong table.
func (l *loader) homeOf(key string) string {
	has := func(s []setting) bool {
		return slices.ContainsFunc(s, func(x setting) bool { return x.key == key })
	}
	if has(l.root.settings) {
		return "at the top, before the first table"
	}
	for _, name := range sortedKeys(l.root.tables) {
		if has(l.root.tables[name].settings) {
			return "in [" + name + "]"
		}
	}
	if has(watchElement(&Watch{}).settings) {
		return "in [[watch]]"
	}
	if has(aclElement(&ACL{}).settings) {
		return "in [[acl]]"
	}
	if has(notifyElement(&Notify{}, "").settings) {
		return "in [[notify]]"
	}
	if _, ok := l.root.tables[key]; ok {
		return "at the top, as [" + key + "]"
	}
	return ""
}

// printable keeps a key from the file from disturbing a terminal.
func printable(key string) string {
	if mayBeSecret(key) || len(key) > 64 {
		return fmt.Sprintf("(a key of %d bytes)", len(key))
	}
	if ruleID.MatchString(key) {
		return key
	}
	return strconv.QuoteToASCII(key)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// environment sets what variables name. Only one variable speaks for a key.
func (l *loader) environment() {
	s := l.root.tables["threatstack"].settings[:1] // base_url
	if v := l.env("TS_API_ENDPOINT"); v != "" {
		l.outside("TS_API_ENDPOINT", "environment TS_API_ENDPOINT", "threatstack.", s[0], v)
	} else if v := l.env("TS_HOST"); v != "" {
		if strings.ContainsAny(v, "/@?# ") {
			l.refuse(Problem{Key: "TS_HOST", Message: "must be a host alone", Suggestion: "write a URL into TS_API_ENDPOINT"})
			return
		}
		l.outside("TS_HOST", "environment TS_HOST", "threatstack.", s[0], "https://"+v)
	}
}

// outside sets a key from a flag or variable.
func (l *loader) outside(name, from, prefix string, s setting, v string) {
	if m := s.set(v); m != nil {
		l.refuse(Problem{Key: name, Message: m[0].message, Suggestion: m[0].suggestion})
		return
	}
	l.remember(prefix, []setting{s}, from)
}

// flags sets what flags name.
func (l *loader) flags() {
	f, c := l.opts.Flags, l.config
	for _, x := range []struct {
		flag, value, prefix string
		setting             setting
	}{
		{"--mode", f.Mode, "", mode("mode", &c.Mode)},
		{"--poll-interval", f.PollInterval, "threatstack.", duration("poll_interval", &c.ThreatStack.PollInterval, time.Second, time.Hour)},
		{"--state", f.State, "state.", localPath("path", &c.State.Path, l.home)},
		{"--log", f.Log, "log.", localPath("path", &c.Log.Path, l.home)},
		{"--log-level", f.LogLevel, "log.", choice("level", &c.Log.Level, "debug", "info", "warn", "error")},
		{"--theme", f.Theme, "ui.", theme(&c.UI.Theme)},
	} {
		if x.value != "" {
			l.outside(x.flag, "flag "+x.flag, x.prefix, x.setting, x.value)
		}
	}
}

// localPath is a path on the command line, where a relative one is usual.
func localPath(key string, p *string, home string) setting {
	s := path(key, p, home)
	return setting{key, func(v any) []mistake {
		if t, ok := v.(string); ok && !strings.HasPrefix(t, "~/") {
			if abs, err := filepath.Abs(t); err == nil {
				v = abs
			}
		}
		return s.set(v)
	}, s.show}
}
