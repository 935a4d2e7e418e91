package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"selfprotect/policy"
)

func loadText(t interface{ Fatalf(string, ...any) }, path string) *Config {
	c, err := Load(Options{Path: path, Home: "/home/op"})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return c
}

// What was chosen is what is read; all else has its default, and every comment of
// the example is there.
func TestAnnotated(t *testing.T) {
	text := Annotated(Choices{Mode: policy.Observe, BaseURL: "http://127.0.0.1:8080", State: "~/s/journal.db", Log: "/tmp/x.log",
		Watches: []Watch{{Rule: "rule-1", Name: `a "quoted\" name`}, {Rule: "rule-2", Name: `a "quoted\" name`}},
		ACLs: []ACL{{ID: "acl-0123456789abcdef0", Name: "web", Region: "eu-west-1", Profile: "prod"},
			{ID: "acl-0123456789abcdef1", Name: "acl-like", Region: "eu-west-1", Role: "arn:aws:iam::123456789012:role/x"}}})
	got := loadText(t, write(t, "config.toml", text))
	if got.Mode != policy.Observe || got.ThreatStack.BaseURL != "http://127.0.0.1:8080" || len(got.Watches) != 2 || len(got.ACLs) != 2 {
		t.Fatalf("%+v\n%s", got, text)
	}
	if got.State.Path != "/home/op/s/journal.db" || got.Log.Path != "/tmp/x.log" {
		t.Errorf("state %q, log %q", got.State.Path, got.Log.Path)
	}
	if w := got.Watches; w[0].Rule != "rule-1" || w[0].Name != `a "quoted\" name` || w[1].Rule != "rule-2" || w[1].Name != "" {
		t.Errorf("watches %+v", w)
	}
	if a := got.ACLs; a[0].ID != "acl-0123456789abcdef0" || a[0].Name != "web" || a[0].Profile != "prod" || a[1].Name != "" || a[1].Role == "" || a[1].Region != "eu-west-1" {
		t.Errorf("ACLs %+v", a)
	}
	if want := loadText(t, write(t, "example.toml", uncommented(Example()))); !reflect.DeepEqual(got.Limits, want.Limits) {
		t.Errorf("limits %+v, want %+v", got.Limits, want.Limits)
	}
	comments := regexp.MustCompile(`(?m)^(# .*|#)$`)
	if got, want := comments.FindAllString(text, -1), comments.FindAllString(Example(), -1); !reflect.DeepEqual(got, want) {
		t.Errorf("%d comments, the example has %d", len(got), len(want))
	}
}

func TestAnnotatedWithoutChoicesIsTheExample(t *testing.T) {
	if got := Annotated(Choices{}); got != Example() {
		t.Errorf("it differs:\n%s", got)
	}
}

// Whatever services call things, the file can be read and says what was chosen.
func TestAnnotatedIsReadable(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		c := Choices{Mode: policy.Review, Watches: []Watch{{Rule: "rule-1", Name: rapid.String().Draw(rt, "name")}, {Rule: "rule-2", Name: rapid.String().Draw(rt, "name")}},
			ACLs: []ACL{{ID: "acl-0123456789abcdef0", Name: rapid.String().Draw(rt, "acl"), Region: "us-east-1"}}}
		got := loadText(rt, writeIn(rt, dir, Annotated(c)))
		for i, w := range got.Watches {
			if w.Rule != c.Watches[i].Rule || w.Name != "" && w.Name != c.Watches[i].Name && !strings.HasSuffix(w.Name, "…") {
				rt.Fatalf("%+v from %+v", w, c.Watches[i])
			}
		}
		if a := got.ACLs[0]; a.ID != c.ACLs[0].ID || a.Name != "" && a.Name != c.ACLs[0].Name && !strings.HasSuffix(a.Name, "…") {
			rt.Fatalf("%+v from %+v", a, c.ACLs[0])
		}
	})
}

func writeIn(t interface{ Fatalf(string, ...any) }, dir, text string) string {
	p := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	return p
}
