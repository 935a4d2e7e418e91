package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"selfprotect/config"
	"selfprotect/ui"
)

func TestUIState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	s := newUIState(filepath.Join(dir, "journal.db"))
	if data, err := s.Load(); err != nil || data != nil {
		t.Fatalf("nothing kept gives %q, %v", data, err)
	}
	to := func(text string, damaged bool) func([]byte) ([]byte, bool) {
		return func([]byte) ([]byte, bool) { return []byte(text), damaged }
	}
	for _, text := range []string{"one", "two"} {
		if err := s.Update(to(text, false)); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(s.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if err := s.Update(to("three", true)); err != nil {
		t.Fatal(err)
	}
	if data, err := s.Load(); err != nil || string(data) != "three" {
		t.Errorf("kept %q, %v", data, err)
	}
	if data, err := os.ReadFile(s.path + ".damaged"); err != nil || string(data) != "two" {
		t.Errorf("put aside %q, %v", data, err)
	}
	if rest, _ := filepath.Glob(filepath.Join(dir, ".console-*")); len(rest) > 0 {
		t.Errorf("left behind %q", rest)
	}
	if err := os.WriteFile(s.path, make([]byte, maxUIState+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a file without end gives %v", err)
	}
	if err := s.Update(to("four", true)); err != nil {
		t.Fatal(err)
	}
	if data, err := s.Load(); err != nil || string(data) != "four" {
		t.Errorf("kept %q, %v", data, err)
	}
}

// TestExampleNamesEveryAction: the example of the configuration shows each action of
// the console with the keys that it comes with, in the order of the help.
func TestExampleNamesEveryAction(t *testing.T) {
	var want []string
	for _, a := range ui.Actions() {
		var q []string
		for _, k := range a.Keys {
			q = append(q, fmt.Sprintf("%q", k))
		}
		v := strings.Join(q, ", ")
		if len(q) != 1 {
			v = "[" + v + "]"
		}
		want = append(want, fmt.Sprintf("#%s = %s", a.Name, v))
	}
	_, got, _ := strings.Cut(config.Example(), "\n[keys]\n")
	if keys := strings.Join(want, "\n"); strings.TrimSpace(got) != keys {
		t.Errorf("config/example.toml and config.toml.example must end, after [keys], with\n%s", keys)
	}
}
