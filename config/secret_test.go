package config

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

const canary = "c4narys3cr3tc4narys3cr3tc4nary"

func TestSecretIsRedacted(t *testing.T) {
	s := NewSecret(canary)
	hidden := struct{ s Secret }{s}
	creds := Credentials{OrganizationID: "org", UserID: "user", APIKey: s}
	for _, v := range []any{s, &s, []Secret{s}, map[string]Secret{"k": s}, hidden, &hidden, creds, &creds} {
		for _, verb := range "vsqxXdtTpcobUeg" {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "40.30", "+#"} {
				format := "%" + flags + string(verb)
				if got := fmt.Sprintf(format, v); leaks(got) {
					t.Errorf("%s of %T gives %s", format, v, got)
				}
			}
		}
		for name, encode := range map[string]func(any) string{
			"json": func(v any) string { b, _ := json.Marshal(v); return string(b) },
			"xml":  func(v any) string { b, _ := xml.Marshal(v); return string(b) },
			"toml": func(v any) string { var b bytes.Buffer; _ = toml.NewEncoder(&b).Encode(v); return b.String() },
			"text log": func(v any) string {
				var b bytes.Buffer
				slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
				return b.String()
			},
			"json log": func(v any) string {
				var b bytes.Buffer
				slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
				return b.String()
			},
		} {
			if got := encode(v); leaks(got) {
				t.Errorf("%s of %T gives %s", name, v, got)
			}
		}
	}
	for _, got := range []string{s.String(), s.GoString(), fmt.Sprint(s), fmt.Sprintf("%#v", s), s.LogValue().String()} {
		if got != "[redacted]" {
			t.Errorf("got %s", got)
		}
	}
	if b, err := json.Marshal(creds); err != nil || !strings.Contains(string(b), `"[redacted]"`) {
		t.Errorf("%s, %v", b, err)
	}
	if s.Reveal() != canary || s.IsZero() || NewSecret("").Reveal() != "" || !NewSecret("").IsZero() || fmt.Sprint(Secret{}) != "" {
		t.Error("Reveal or IsZero is wrong")
	}
}

// leaks says that a text holds the canary, plain or in hexadecimal.
func leaks(s string) bool {
	s = strings.ToLower(s)
	return strings.Contains(s, canary[:8]) || strings.Contains(s, fmt.Sprintf("%x", canary[:8]))
}

// Wherever in the file somebody puts a secret by mistake, no message quotes it.
func TestErrorsDoNotLeak(t *testing.T) {
	l := newLoader(Options{Home: "/home/op"})
	values := []string{canary, `"` + canary + `"`, `'` + canary + `'`, `["` + canary + `"]`, `[["` + canary + `"]]`, `{ x = "` + canary + `" }`,
		`"` + canary, `"/tmp/` + canary + "\x01\"", `"\q` + canary + `"`, `"https://u:` + canary + `@x/"`, `true` + canary, `12` + canary, "\n" + canary}
	try := func(text string) {
		if p := problems(t, text); leaks(p.Error()) {
			t.Errorf("%s\ngives\n%v", text, p)
		}
	}
	for _, v := range values {
		for name, s := range l.root.tables {
			for _, x := range s.settings {
				try(fmt.Sprintf("[%s]\n%s = %s\n", name, x.key, v))
			}
			try(fmt.Sprintf("%s = %s\n", name, v))
			try(fmt.Sprintf("[%s]\nts_key = %s\n", name, v))
		}
		for _, x := range watchElement(&Watch{}).settings {
			try(fmt.Sprintf("[[watch]]\n%s = %s\n", x.key, v))
		}
		for _, x := range aclElement(&ACL{}).settings {
			try(fmt.Sprintf("[[acl]]\n%s = %s\n", x.key, v))
		}
		try("mode = " + v + "\n")
		try(v + "\n")
	}
}
