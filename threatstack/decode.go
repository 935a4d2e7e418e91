package threatstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"selfprotect/alert"
)

// object is a JSON object by exact key: the API has keys that differ only by
// case, which encoding/json would take for the same field of a struct.
type object map[string]json.RawMessage

const (
	maxText = 4 << 10 // bytes of a text before it is cleaned
	maxRaw  = 256     // bytes of an address or another raw value
	maxWhy  = 8       // reasons kept for one alert
)

// maxTime bounds every time stamp; later ones cannot be written as JSON.
var maxTime = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

func decodeObject(raw json.RawMessage) (object, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, errors.New("malformed or nested too deeply")
		}
		return nil, errors.New("not an object")
	}
	if o == nil {
		return nil, errors.New("null")
	}
	return o, nil
}

// scalar gives the text of a string, number or boolean; ok is false for null,
// objects and arrays.
func scalar(raw json.RawMessage) (s string, ok bool) {
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || raw[0] == 'n':
		return "", false
	case raw[0] == '"':
		return s, json.Unmarshal(raw, &s) == nil
	}
	return string(raw), json.Valid(raw)
}

// str gives the first of keys that holds a non-empty scalar, with white space at
// its ends removed.
func (o object) str(keys ...string) string {
	for _, k := range keys {
		if s, ok := scalar(o[k]); ok {
			if s = strings.TrimSpace(s); s != "" {
				return s
			}
		}
	}
	return ""
}

func (o object) text(keys ...string) alert.Text { return alert.Clean(head(o.str(keys...), maxText)) }

// word gives a short keyword, cleaned.
func (o object) word(keys ...string) string { return clip(o.str(keys...), 64) }

// id gives an id that can stand in a path, "" when there is none.
func (o object) id(keys ...string) string {
	for _, k := range keys {
		if s := o.str(k); usableID(s) {
			return s
		}
	}
	return ""
}

func (o object) bool(key string) bool { return o.str(key) == "true" }

// obj gives the object under key; absent and null are nil without error.
func (o object) obj(key string) (object, error) {
	raw := o[key]
	if len(raw) == 0 || raw[0] == 'n' {
		return nil, nil
	}
	return decodeObject(raw)
}

// strs gives the texts under key, which may be one text or an array of them.
func (o object) strs(key string, limit int) []string {
	if s, ok := scalar(o[key]); ok {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	list, _ := elements(o[key])
	var out []string
	for _, raw := range list {
		if s, ok := scalar(raw); ok && s != "" && len(out) < limit {
			out = append(out, s)
		}
	}
	return out
}

// integer reads a whole number that may be written as text, without passing
// through floating point. ok is false when there is none.
func (o object) integer(key string, lo, hi int64) (n int64, present, ok bool) {
	s := o.str(key)
	if s == "" {
		raw := o[key]
		return 0, len(raw) > 0 && (raw[0] == '{' || raw[0] == '['), false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, true, err == nil && n >= lo && n <= hi
}

// raw gives an address or another value that is shown nowhere unclean. A value
// that is too long is cut and marked, so that it can never pass for an address.
func raw(s string) string {
	if len(s) <= maxRaw {
		return s
	}
	return head(s, maxRaw) + "…"
}

// head cuts s to at most n bytes at a rune's edge.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02",
}

// parseTime reads epoch milliseconds or ISO 8601, with or without zone (UTC).
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, errors.New("no time")
	}
	digits, _, _ := strings.Cut(s, ".")
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		if n > 0 && n < epochMillis {
			n *= 1000 // seconds: as milliseconds this would lie before 1973
		}
		return checkTime(time.UnixMilli(n))
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return checkTime(t)
		}
	}
	return time.Time{}, fmt.Errorf("time %q", clip(s, 40))
}

func checkTime(t time.Time) (time.Time, error) {
	if t.Unix() <= 0 || t.After(maxTime) {
		return time.Time{}, errors.New("time out of range")
	}
	return t.UTC(), nil
}

// notes gathers what could not be understood.
type notes struct {
	n   int
	why []alert.Text
}

func (w *notes) add(format string, args ...any) {
	w.n++
	if len(w.why) < maxWhy {
		w.why = append(w.why, alert.Clean(fmt.Sprintf(format, args...)))
	}
}
