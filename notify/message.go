package notify

import (
	"errors"
	"strings"
	"text/template"
	"time"

	"selfprotect/alert"
)

// Message is what a template is executed with.
type Message struct {
	Host, Mode string
	Items      []Item // oldest first
	More       int    // items that were left out
}

// Item is one thing to tell. Every text is cleaned.
type Item struct {
	Event string
	Time  time.Time
	Text  string // one sentence
	// What the rest does not concern is empty.
	Reason, CIDR, ACL, Rule string
}

// DefaultTemplate is the text of a receiver that has none of its own.
const DefaultTemplate = `selfprotect on {{.Host}}{{with .Mode}} ({{.}}){{end}}:
{{range .Items}}- {{.Time.UTC.Format "15:04:05Z"}} {{.Event}}: {{.Text}}{{with .Reason}}: {{.}}{{end}}
{{end}}{{if .More}}- and {{.More}} more
{{end}}`

const (
	maxText  = 300      // runes of one text of an item
	maxBytes = 16 << 10 // of a message
)

var errLong = errors.New("the text is longer than 16 KiB")

// plain takes from a text what receivers take for markup or for a call to everybody.
var plain = strings.NewReplacer("<", "‹", ">", "›", "@everyone", "(at)everyone", "@here", "(at)here", "@channel", "(at)channel", "@all", "(at)all")

func clean(s string) string { return plain.Replace(string(alert.CleanN(s, maxText))) }

func (it Item) clean() Item {
	for _, s := range []*string{&it.Text, &it.Reason, &it.CIDR, &it.ACL, &it.Rule} {
		*s = clean(*s)
	}
	return it
}

// bounded is a writer that takes so much and no more.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxBytes {
		return 0, errLong
	}
	return b.Builder.Write(p)
}

func render(t *template.Template, m Message) (string, error) {
	var b bounded
	if err := t.Execute(&b, m); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}

// sample is a message in which everything is set.
func sample() Message {
	it := Item{Event: Blocked, Time: time.Unix(1_700_000_000, 0), Text: "203.0.113.9/32 denied", Reason: "rule", CIDR: "203.0.113.9/32", ACL: "acl-0123456789abcdef0", Rule: "rule"}
	return Message{Host: "host", Mode: "auto", Items: []Item{it, it}, More: 1}
}
