package ui

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fakeRow is a row for the filter alone.
type fakeRow struct {
	text map[string]string
	num  map[string]int64
	nets []string
}

func (r fakeRow) shows(w string) bool {
	for _, v := range r.text {
		if strings.Contains(v, w) {
			return true
		}
	}
	return false
}
func (r fakeRow) holds(f, w string) bool { return strings.Contains(r.text[f], w) }
func (r fakeRow) number(f string, meets func(int64) bool) bool {
	n, ok := r.num[f]
	return ok && meets(n)
}
func (r fakeRow) within(p netip.Prefix) bool {
	for _, n := range r.nets {
		if netip.MustParsePrefix(n).Overlaps(p) {
			return true
		}
	}
	return false
}

func TestFilterLanguage(t *testing.T) {
	row := fakeRow{
		text: map[string]string{"state": "pending", "host": "web-1", "user": "root", "what": "outbound connection: http://evil.example", "process": "/usr/bin/curl"},
		num:  map[string]int64{"age": int64(90 * time.Minute), "sev": 3, "weight": 120, "dir": dirOut, "hosts": 2},
		nets: []string{"10.1.2.3/32"},
	}
	for src, want := range map[string]bool{
		"": true, "   ": true, "curl": true, "CURL": true, "wget": false, "!wget": true, "!curl": false,
		"curl root": true, "curl wget": false, `"outbound connection"`: true, `"connection outbound"`: false, `what:"outbound conn"`: true,
		"user:root": true, "USER:Root": true, "user=root": true, "user:bob": false, "user:bob|root": true, "!user:bob|root": false, "user:root|": true,
		"state:pending|refused": true, "state:blocked": false, "expires<1h": false, "!expires<1h": true,
		"age<2h": true, "age<=90m": true, "age<90m": false, "age>1h29m": true, "age>=1w": false,
		"sev>=high": true, "severity>=low": true, "sev:high|low": true, "sev<high": false, "sev:med": false, "sev<=HIGH": true,
		"weight>=120": true, "weight>120": false, "weight:120": true, "weight=7|120": true, "weight<1": false,
		"cidr:10.0.0.0/8": true, "cidr:10.1.2.3": true, "cidr:10.1.2.3/32|192.0.2.0/24": true, "cidr:192.0.2.0/24": false, "!cidr:10.0.0.0/8": false, "cidr:2001:db8::/32": false,
		"dir:out": true, "dir:in": false, "dir:egress|in": true,
		`"http://evil"`: true, "2001:db8::1": false, "fe80::1": false, "hosts>1": true, `user:"ro"ot`: true, `"a\"b"`: false,
	} {
		q, err := parseFilter(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := q.match(row); got != want {
			t.Errorf("%s is %v, want %v", src, got, want)
		}
	}
}

func TestFilterMistakes(t *testing.T) {
	for src, want := range map[string]string{
		"sta:x":               `at 1: no column "sta"; did you mean state?`,
		"curl wieght>1":       `at 6: no column "wieght"; did you mean weight?`,
		"http://evil":         `at 1: no column "http"; quote a text that holds a colon`,
		"!":                   "at 1: a text is missing here",
		`""`:                  "at 1: a text is missing here",
		"state:":              "at 7: state: needs a value",
		"age<":                "at 5: age< needs a value, such as age<2h or 30m, 7d",
		"age<soon":            `at 5: "soon" is no length of time, such as age<2h or 30m, 7d`,
		"age:2h":              "at 1: write age<2h or age>2h",
		"sev>=urgent":         `at 6: "urgent" is no severity: low, med or high`,
		"weight>=x":           `at 9: "x" is no whole number, such as weight>=3`,
		"weight>1|2":          "at 8: > takes one value",
		"cidr:foo":            `at 6: "foo" is no address or prefix, such as cidr:10.0.0.0/8`,
		"dir:up":              `at 5: "up" is no direction: out or in`,
		"host>web":            "at 1: host has no order; write host:web",
		`what:"a b`:           "at 6: the quote has no end",
		":x":                  "at 1: the name of a column must stand before :",
		">=3":                 "at 1: the name of a column must stand before >=",
		"age<99999999999999h": `at 5: "99999999999999h" is no length of time, such as age<2h or 30m, 7d`,
		"age<2000000000w":     `at 5: "2000000000w" is no length of time, such as age<2h or 30m, 7d`,
	} {
		_, err := parseFilter(src)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", src, err, want)
		}
	}
	if _, err := parseFilter(strings.Repeat("x", maxFilter+1)); err == nil {
		t.Error("a filter without end is taken")
	}
}

// FuzzFilter: whatever is typed, it is understood or the mistake lies within it, and
// a term and its opposite never both hold.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"curl !host:web", `what:"a b" sev>=high`, "cidr:10.0.0.0/8|::1 age<2h", "dir:in|out weight>=1", `"`, "!", "état:é"} {
		f.Add(s)
	}
	row := fakeRow{text: map[string]string{"host": "web"}, num: map[string]int64{"age": 1}, nets: []string{"10.0.0.0/8"}}
	f.Fuzz(func(t *testing.T, src string) {
		q, err := parseFilter(src)
		if err != nil {
			if err.at < 0 || err.at > utf8.RuneCountInString(src) || err.msg == "" {
				t.Fatalf("the mistake lies outside: %+v", err)
			}
			return
		}
		q.match(row)
		for _, one := range q.terms {
			other := one
			other.not = !one.not
			if (query{terms: []term{one, other}}).match(row) {
				t.Fatalf("%+v and its opposite hold", one)
			}
		}
	})
}
