package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryEventIsExplained: the table in docs/operating.md has exactly the events
// that lines bear, as programs are written to it.
func TestEveryEventIsExplained(t *testing.T) {
	used := map[string]bool{}
	for _, pattern := range []string{"../engine/*.go", "*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") {
				eventsIn(t, f, used)
			}
		}
	}
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| event | what has happened |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	told := map[string]bool{}
	for row := range strings.SplitSeq(table, "\n") {
		for _, m := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(strings.SplitN(row, "|", 3)[1], -1) {
			told[m[1]] = true
		}
	}
	for e := range used {
		if !told[e] {
			t.Errorf("the event %q is not explained", e)
		}
	}
	for e := range told {
		if !used[e] {
			t.Errorf("the event %q is explained, and no line bears it", e)
		}
	}
	if len(used) < 25 {
		t.Errorf("only %d events were found", len(used))
	}
}

// eventsIn finds the events that a file gives to lines.
func eventsIn(t *testing.T, path string, into map[string]bool) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	forms := []*regexp.Regexp{regexp.MustCompile(`\bEvent: *"([a-z]+)"`), regexp.MustCompile(`\.Event(?:, [\w.]+)* = "([a-z]+)"`)}
	if filepath.Base(path) == "tell.go" {
		forms = append(forms, regexp.MustCompile(`return "([a-z]+)", fmt\.Sprintf`))
	}
	for _, re := range forms {
		for _, m := range re.FindAllSubmatch(src, -1) {
			into[string(m[1])] = true
		}
	}
}
