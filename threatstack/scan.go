package threatstack

import (
	"bytes"
	"encoding/json"
	"errors"
)

// The top of every answer is taken apart here and not by encoding/json, so that
// one element that is malformed or nested too deeply costs itself alone and not
// its neighbours. Nothing here recurses. What lies inside an element is left to
// encoding/json, which bounds its own depth.

var (
	errCutOff  = errors.New("the JSON is cut off")
	errNotJSON = errors.New("it is not the expected JSON")
)

// members takes an object apart. Of a key that stands twice the last one counts.
func members(b []byte) (map[string]json.RawMessage, error) {
	i, err := open(b, '{')
	if err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	for first := true; ; first = false {
		if i = space(b, i); i >= len(b) {
			return nil, errCutOff
		}
		if b[i] == '}' && first {
			return out, atEnd(b, i+1)
		}
		end, err := value(b, i)
		if err != nil {
			return nil, err
		}
		var key string
		if json.Unmarshal(b[i:end], &key) != nil || b[i] != '"' {
			return nil, errNotJSON
		}
		if i = space(b, end); i >= len(b) {
			return nil, errCutOff
		}
		if b[i] != ':' {
			return nil, errNotJSON
		}
		i = space(b, i+1)
		if end, err = value(b, i); err != nil {
			return nil, err
		}
		out[key] = b[i:end:end]
		next, done, err := separator(b, end, '}')
		if done || err != nil {
			return out, err
		}
		i = next
	}
}

// elements takes an array apart. Absent and null are no elements.
func elements(b []byte) ([]json.RawMessage, error) {
	if len(b) == 0 || string(bytes.TrimSpace(b)) == "null" {
		return nil, nil
	}
	i, err := open(b, '[')
	if err != nil {
		return nil, err
	}
	var out []json.RawMessage
	for first := true; ; first = false {
		if i = space(b, i); i >= len(b) {
			return nil, errCutOff
		}
		if b[i] == ']' && first {
			return out, atEnd(b, i+1)
		}
		end, err := value(b, i)
		if err != nil {
			return nil, err
		}
		out = append(out, json.RawMessage(b[i:end:end]))
		next, done, err := separator(b, end, ']')
		if done || err != nil {
			return out, err
		}
		i = next
	}
}

func open(b []byte, with byte) (int, error) {
	i := space(b, 0)
	if i >= len(b) {
		return 0, errCutOff
	}
	if b[i] != with {
		return 0, errNotJSON
	}
	return i + 1, nil
}

// separator reads what follows a member or an element: a comma, or the end.
func separator(b []byte, i int, closing byte) (next int, done bool, err error) {
	i = space(b, i)
	switch {
	case i >= len(b):
		return i, false, errCutOff
	case b[i] == ',':
		return i + 1, false, nil
	case b[i] == closing:
		return i + 1, true, atEnd(b, i+1)
	}
	return i, false, errNotJSON
}

func atEnd(b []byte, i int) error {
	if space(b, i) != len(b) {
		return errNotJSON
	}
	return nil
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// value gives the end of the value that begins at i, by its brackets and quotes.
func value(b []byte, i int) (int, error) {
	start, depth, quoted := i, 0, false
	for ; i < len(b); i++ {
		switch ch := b[i]; {
		case quoted && ch == '\\':
			i++
		case ch == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return i + 1, nil
			}
		case quoted:
		case ch == '{' || ch == '[':
			depth++
		case ch == '}' || ch == ']':
			if depth == 0 {
				return scalarEnd(start, i)
			}
			if depth--; depth == 0 {
				return i + 1, nil
			}
		case depth == 0 && (ch == ',' || ch == ':' || space(b[i:i+1], 0) == 1):
			return scalarEnd(start, i)
		}
	}
	return 0, errCutOff
}

func scalarEnd(start, i int) (int, error) {
	if start == i {
		return 0, errNotJSON
	}
	return i, nil
}
