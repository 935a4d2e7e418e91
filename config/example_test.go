package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var commentedKey = regexp.MustCompile(`(?m)^#(\S)`)

// uncommented takes in the keys of the example that have no default.
func uncommented(s string) string { return commentedKey.ReplaceAllString(s, "$1") }

func TestExampleIsTheFileAtTheRoot(t *testing.T) {
	data, err := os.ReadFile("../config.toml.example")
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != Example() {
		t.Error("config.toml.example and config/example.toml differ")
	}
}

func TestExampleHasTheDefaults(t *testing.T) {
	with, err := Load(Options{Path: write(t, "config.toml", Example()), Home: "/home/op", Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	without, err := Load(Options{Home: "/home/op", Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(with.sources) != len(without.sources) {
		t.Fatalf("%d keys, want %d", len(with.sources), len(without.sources))
	}
	for i, s := range with.sources {
		if s.Value != without.sources[i].Value {
			t.Errorf("%s is %s, the default is %s", s.Key, s.Value, without.sources[i].Value)
		}
		if s.From == "default" && s.Key != "threatstack.key_file" && s.Key != "metrics.address" {
			t.Errorf("%s is not in the example", s.Key)
		}
	}
	with.File, with.sources, with.env = "", nil, nil
	without.sources, without.env = nil, nil
	if with.Guard.NeverBlock == nil {
		with.Guard.NeverBlock = without.Guard.NeverBlock
	}
	if !reflect.DeepEqual(with, without) {
		t.Errorf("got\n%+v\nwant\n%+v", with, without)
	}
}

// With everything taken in, every key that exists comes from the file, and a key
// that has a default in an element is shown with it.
func TestExampleHasEveryKey(t *testing.T) {
	p := write(t, "config.toml", uncommented(Example()))
	c, err := Load(Options{Path: p, Home: "/home/op"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Sources() {
		if !strings.HasPrefix(s.From, p+":") || strings.HasSuffix(s.From, ":0") {
			t.Errorf("%s is from %s", s.Key, s.From)
		}
	}
	w, a := watchElement(&Watch{Weight: 10}), aclElement(&(&loader{}).addACL().value)
	for _, s := range append(w.settings, a.settings...) {
		switch s.key {
		case "weight", "directions", "rule_numbers", "quota", "reserve":
		default:
			continue
		}
		found := false
		for _, x := range c.Sources() {
			found = found || strings.HasSuffix(x.Key, "]."+s.key) && x.Value == s.show()
		}
		if !found {
			t.Errorf("%s is not shown with its default %s", s.key, s.show())
		}
	}
	// Every field of the configuration is bound to a key: none kept its zero value
	// that the example sets.
	fields := 0
	for _, v := range []any{c.ThreatStack, c.Limits, c.Guard, c.State, c.Log, c.Metrics, c.Notify[0], c.UI, c.UI.Columns, c.UI.Views[0], c.Watches[0], c.ACLs[0]} {
		fields += reflect.TypeOf(v).NumField()
	}
	fields -= 2 // the columns and the views of the console are tables of their own
	if keys := len(c.Sources()) - 1 - len(c.Keys); keys != fields {
		t.Errorf("%d keys for %d fields", keys, fields)
	}
}
