package config

import (
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go4.org/netipx"

	"selfprotect/policy"
)

const day = 24 * time.Hour

// setting is one key: how to set it from a decoded value, and how to show it.
// A set that finds a mistake leaves the value as it is.
type setting struct {
	key  string
	set  func(v any) []mistake
	show func() string
}

// found describes a value for a message. A text that could be a secret in the
// wrong place is described, not quoted.
func found(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" {
			return "an empty text"
		}
		if len(v) > 64 || mayBeSecret(v) {
			return fmt.Sprintf("a text of %d bytes", len(v))
		}
		return strconv.Quote(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return "the decimal number " + strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	case time.Time:
		return "a date or time"
	}
	return "something else"
}

// mayBeSecret says that a text has the look of a key: long, of letters and
// digits.
func mayBeSecret(s string) bool {
	run, digits, letters := 0, 0, 0
	for _, r := range s + " " {
		switch {
		case r >= '0' && r <= '9':
			digits++
			run++
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
			letters++
			run++
		case r == '+' || r == '/' || r == '=' || r == '_' || r == '-':
			run++
		default:
			if run >= 20 && digits > 1 && letters > 1 {
				return true
			}
			run, digits, letters = 0, 0, 0
		}
	}
	return false
}

// text is a string that check accepts; nil accepts every text but the empty one.
func text(key string, p *string, check func(string) []mistake) setting {
	return setting{key, func(v any) []mistake {
		s, ok := v.(string)
		if !ok {
			return wrong("must be a text in quotes, found %s", found(v))
		}
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return wrong("must not be empty or hold control characters")
		}
		if check != nil {
			if m := check(s); m != nil {
				return m
			}
		}
		*p = s
		return nil
	}, func() string { return *p }}
}

// choice is one of some words.
func choice(key string, p *string, words ...string) setting {
	return text(key, p, func(s string) []mistake { return oneOf(s, words...) })
}

func oneOf(s string, words ...string) []mistake {
	if slices.Contains(words, s) {
		return nil
	}
	m := wrong("must be %s, found %s", alternatives(words), found(s))
	if w := nearest(s, words); w != "" {
		return instead(m, "did you mean %q?", w)
	}
	return m
}

// alternatives gives "a", "b" or "c".
func alternatives(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = strconv.Quote(w)
	}
	if len(q) == 1 {
		return q[0]
	}
	return strings.Join(q[:len(q)-1], ", ") + " or " + q[len(q)-1]
}

// mode is one of the three modes.
func mode(key string, p *policy.Mode) setting {
	var word string
	s := choice(key, &word, "review", "auto", "observe")
	return setting{key, func(v any) []mistake {
		m := s.set(v)
		if m == nil {
			*p, _ = policy.ParseMode(word) // choice has let pass only words that parse
		}
		return m
	}, func() string {
		if *p == 0 {
			return ""
		}
		return p.String()
	}}
}

// duration is a length of time from low to high.
func duration(key string, p *time.Duration, low, high time.Duration) setting {
	return setting{key, func(v any) []mistake {
		s, ok := v.(string)
		if !ok {
			m := wrong("must be a duration in quotes, found %s", found(v))
			if n, isInt := v.(int64); isInt && n > 0 {
				return instead(m, `write "%ds" for seconds`, n)
			}
			return m
		}
		d, err := ParseDuration(s)
		if err != nil {
			return instead(wrong("must be a duration, found %s", found(s)), `write it like "90s", "24h" or "30d"`)
		}
		if d < low || d > high {
			return wrong("must be from %s to %s, found %s", FormatDuration(low), FormatDuration(high), FormatDuration(d))
		}
		*p = d
		return nil
	}, func() string {
		if *p == 0 {
			return ""
		}
		return FormatDuration(*p)
	}}
}

// ParseDuration reads Go's syntax, with whole days in front.
func ParseDuration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > uint64(math.MaxInt64/day) {
		return 0, fmt.Errorf("%d bytes are no duration", len(s))
	}
	d := time.Duration(n) * day
	if rest == "" {
		return d, nil
	}
	r, err := time.ParseDuration(rest)
	if err != nil || rest[0] == '-' || rest[0] == '+' || r > math.MaxInt64-d {
		return 0, fmt.Errorf("%d bytes are no duration", len(s))
	}
	return d + r, nil
}

// FormatDuration gives the shortest text that ParseDuration reads back.
func FormatDuration(d time.Duration) string {
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// integer is a whole number from low to high.
func integer(key string, p *int, low, high int) setting {
	return setting{key, func(v any) []mistake {
		n, ok := v.(int64)
		if !ok {
			return wrong("must be a whole number without quotes, found %s", found(v))
		}
		if n < int64(low) || n > int64(high) {
			return wrong("must be from %d to %d, found %d", low, high, n)
		}
		*p = int(n)
		return nil
	}, func() string { return strconv.Itoa(*p) }}
}

// boolean is true or false.
func boolean(key string, p *bool) setting {
	return setting{key, func(v any) []mistake {
		b, ok := v.(bool)
		if !ok {
			return wrong("must be true or false without quotes, found %s", found(v))
		}
		*p = b
		return nil
	}, func() string { return strconv.FormatBool(*p) }}
}

// path is the name of a file. It must be absolute or below the home directory,
// because the program is started from many places; so a secret that was put here
// by mistake is not quoted either.
func path(key string, p *string, home string) setting {
	return text(key, p, func(s string) []mistake {
		_, m := resolvePath(s, home)
		return m
	}).then(p, func(s string) string {
		s, _ = resolvePath(s, home)
		return s
	})
}

// then changes a text that was set.
func (s setting) then(p *string, change func(string) string) setting {
	return setting{s.key, func(v any) []mistake {
		m := s.set(v)
		if m == nil {
			*p = change(*p)
		}
		return m
	}, s.show}
}

func resolvePath(s, home string) (string, []mistake) {
	if rest, ok := strings.CutPrefix(s, "~/"); ok {
		if home == "" {
			return "", wrong("begins with ~ and no home directory is known")
		}
		return filepath.Join(home, rest), nil
	}
	if !filepath.IsAbs(s) {
		return "", instead(wrong("must be a path that begins with / or ~/, found a text of %d bytes", len(s)),
			"write the whole path")
	}
	return filepath.Clean(s), nil
}

// list is a list of texts, each of which parse understands.
func list[T any](key string, p *[]T, parse func(string) (T, []mistake), show func(T) string) setting {
	return setting{key, func(v any) []mistake {
		items, ok := v.([]any)
		if !ok {
			return instead(wrong("must be a list, found %s", found(v)), `write [ "…", "…" ]`)
		}
		var mistakes []mistake
		var values []T
		for i, item := range items {
			s, ok := item.(string)
			if !ok {
				mistakes = append(mistakes, mistake{item: i, message: "must hold texts in quotes, found " + found(item)})
				continue
			}
			x, m := parse(s)
			for _, one := range m {
				one.item = i
				mistakes = append(mistakes, one)
			}
			if m == nil {
				values = append(values, x)
			}
		}
		if mistakes == nil {
			*p = values
		}
		return mistakes
	}, func() string {
		s := make([]string, len(*p))
		for i, x := range *p {
			s[i] = show(x)
		}
		return strings.Join(s, ", ")
	}}
}

// parsePrefix reads an address or a prefix; host bits are masked, and an
// IPv4-mapped IPv6 prefix is the IPv4 prefix that it names.
func parsePrefix(s string) (netip.Prefix, []mistake) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return p, instead(wrong("must be an address or a prefix, found %s", found(s)),
				`write it like "192.0.2.7", "192.0.2.0/24" or "2001:db8::/32"`)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, wrong("is a range of IPv4-mapped addresses that is no IPv4 prefix: %s", found(s))
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// sortPrefixes sorts and drops what is there twice.
func sortPrefixes(p []netip.Prefix) []netip.Prefix {
	slices.SortFunc(p, netipx.ComparePrefix)
	return slices.Compact(p)
}
