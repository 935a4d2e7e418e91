package config

import (
	"strings"
	"testing"
)

// A file may be as large and as nested as it likes: it is answered soon, because
// the scan for lines stops to tell things apart below a certain depth.
func TestDeepDocuments(t *testing.T) {
	n := maxFile/2 - 64
	for name, text := range map[string]string{
		"lists":  "a = " + strings.Repeat("[", n) + strings.Repeat("]", n),
		"open":   "a = " + strings.Repeat("[", n),
		"quotes": "a = " + strings.Repeat("'", n),
		"lines":  strings.Repeat("\n", n) + "a",
		"keys":   strings.Repeat("a.", 2000) + "a = 1",
		"tables": "[" + strings.Repeat("a.", 2000) + "a]",
		"inline": strings.Repeat("a = {", 2000) + strings.Repeat("}", 2000),
		"items":  "[guard]\nnever_block = [" + strings.Repeat("1,", n-100) + "]",
	} {
		if p := problems(t, text); len(p) == 0 || p[len(p)-1].File == "" {
			t.Errorf("%s: %v", name, p)
		}
	}
}
