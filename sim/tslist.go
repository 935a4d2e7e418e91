package sim

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// cut is one page of a list.
type cut[T any] struct {
	items []T
	token any // nil: the end
}

// pageToken is what a token of a list holds. It is opaque to callers, and the
// MAC keeps it so.
type pageToken struct {
	Query  string `json:"q"`           // the parameters that it continues
	After  string `json:"a,omitempty"` // key of the last item given
	Offset int    `json:"o,omitempty"` // items given
	MAC    string `json:"m,omitempty"`
}

func (t pageToken) encode(key string) string {
	t.MAC = mac(key, fmt.Sprintf("%q %q %d", t.Query, t.After, t.Offset))
	b, err := json.Marshal(t)
	if err != nil {
		panic(fmt.Errorf("marshal a token: %w", err)) // texts and a number
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// resume gives the parameters that a list request stands for. With a token they
// may be left out, but those given must be the ones that the token was made for.
func resume(q url.Values, key string) (url.Values, pageToken, error) {
	text := q.Get("token")
	rest := url.Values{}
	for name, values := range q {
		if name != "token" {
			rest[name] = values
		}
	}
	if text == "" {
		return rest, pageToken{Query: rest.Encode()}, nil
	}
	var t pageToken
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil || t.encode(key) != text {
		return nil, t, errors.New("token is not valid")
	}
	made, err := url.ParseQuery(t.Query)
	if err != nil {
		return nil, t, fmt.Errorf("token is not valid: %w", err)
	}
	for name := range rest {
		if !slices.Equal(made[name], rest[name]) {
			return nil, t, fmt.Errorf("token does not belong to this %s", name)
		}
	}
	return made, t, nil
}

// page cuts the page out of items on which t stands. The key of an item gives its
// place in the list.
func page[T any](s *ThreatStack, items []T, t pageToken, f ThreatStackFaults, key func(T) string) cut[T] {
	type keyed struct {
		key  string
		item T
	}
	all := make([]keyed, 0, len(items))
	for _, item := range items {
		all = append(all, keyed{key(item), item})
	}
	slices.SortFunc(all, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	start := min(t.Offset, len(all))
	if !f.OffsetTokens {
		start = len(all)
		if i := slices.IndexFunc(all, func(k keyed) bool { return k.key > t.After }); i >= 0 {
			start = i
		}
	}
	end := min(start+s.config.PageSize, len(all))
	var out cut[T]
	for _, k := range all[start:end] {
		out.items = append(out.items, k.item)
	}
	if end == len(all) {
		return out
	}
	if !f.TokenLoop {
		t.After, t.Offset = all[end-1].key, end
	}
	out.token = t.encode(s.config.APIKey)
	return out
}

// listReply gives the answer of a list, with the end that the faults ask for.
func listReply(name string, items, token any, f ThreatStackFaults) reply {
	body := object{name: items, "token": token}
	if token == nil {
		switch f.TokenEnd {
		case TokenEmpty:
			body["token"] = ""
		case TokenAbsent:
			delete(body, "token")
		}
	}
	return ok(body)
}

// orderKey gives a text that sorts as the list is ordered.
func orderKey(order string, created time.Time, id string) string {
	ms := created.UnixMilli()
	switch order {
	case OldestFirst:
		return fmt.Sprintf("%020d %s", ms, id)
	case Shuffled:
		return mac("order", id) + " " + id
	}
	return fmt.Sprintf("%020d %s", int64(1)<<62-ms, id)
}

// span is the bounds on a time of creation.
type span struct {
	from, until time.Time // zero: none
	exclusive   bool
}

func parseSpan(q url.Values, f ThreatStackFaults) (span, error) {
	s := span{exclusive: f.ExclusiveBounds}
	for name, t := range map[string]*time.Time{"from": &s.from, "until": &s.until} {
		if !q.Has(name) {
			continue
		}
		var err error
		if *t, err = parseTime(q.Get(name)); err != nil {
			return s, fmt.Errorf("%s is not a valid date", name)
		}
	}
	if !s.from.IsZero() && !s.until.IsZero() && s.until.Before(s.from) {
		return s, errors.New("until must not be before from")
	}
	return s, nil
}

func (s span) holds(t time.Time) bool {
	if !s.from.IsZero() && (t.Before(s.from) || s.exclusive && t.Equal(s.from)) {
		return false
	}
	return s.until.IsZero() || t.Before(s.until) || !s.exclusive && t.Equal(s.until)
}

// parseTime reads the ISO 8601 forms that the API takes, UTC without a zone.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02", "2006-01-02T15", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, strings.TrimSuffix(text, "Z")); err == nil {
			return t, nil
		}
	}
	return time.Parse(time.RFC3339, text)
}

// object is a JSON object on its way out.
type object map[string]any

// optional puts a key that has a value, or null for one that has none where the
// faults ask for nulls.
func (o object) optional(f ThreatStackFaults, key string, v any, has bool) {
	switch {
	case has:
		o[key] = v
	case f.Nulls:
		o[key] = nil
	}
}

func (o object) text(f ThreatStackFaults, key, v string) { o.optional(f, key, v, v != "") }

// extra puts keys that no document names.
func (o object) extra(f ThreatStackFaults) object {
	if f.ExtraKeys {
		o["_links"] = map[string]any{"self": nil}
		o["x-added-later"] = []any{1, "two", map[string]any{"three": 3.0}}
	}
	return o
}

const wireTime = "2006-01-02T15:04:05.000Z"
