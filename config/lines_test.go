package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"pgregory.net/rapid"
)

func TestLines(t *testing.T) {
	src := "\ufeff# top\r\n" + `a = 1
"b.c" . 'd' = """
x = 1
"""""
list = [ # [x]
  "]", 'it''s' , # comment
] # closed late
`
	src = strings.Replace(src, "'it''s' ,", "'s',\n  [1,\n 2],", 1) + `
[t.u] # header
k = { x = 1, y = "}" }
[[w]]
r = '''
[w]'''
[w.sub]
s = 1979-05-27 07:32:00
  [[w]]
  r = 2
  [[w.inner]]
  q = 3
`
	var tree map[string]any
	if _, err := toml.Decode(src, &tree); err != nil {
		t.Fatal(err)
	}
	x := indexLines(src)
	for _, c := range []struct {
		line int
		path []string
	}{
		{2, []string{"a"}}, {3, []string{"b.c", "d"}}, {6, []string{"list"}},
		{7, []string{"list", item(0)}}, {7, []string{"list", item(1)}},
		{8, []string{"list", item(2)}}, {9, []string{"list", item(2), item(1)}},
		{12, []string{"t", "u"}}, {13, []string{"t", "u", "k", "y"}},
		{14, []string{"w", item(0)}}, {15, []string{"w", item(0), "r"}},
		{18, []string{"w", item(0), "sub", "s"}}, {19, []string{"w", item(1)}},
		{20, []string{"w", item(1), "r"}}, {22, []string{"w", item(1), "inner", item(0), "q"}},
		{19, []string{"w", item(1), "absent"}}, {0, []string{"absent"}},
	} {
		if got := x.line(c.path...); got != c.line {
			t.Errorf("%q is on line %d, want %d", c.path, got, c.line)
		}
	}
}

// A document is written piece by piece, and the scan must find each key on the
// line on which it was written.
func TestLinesProperty(t *testing.T) {
	values := []string{`1`, `"a # b"`, `'[x]'`, "\"\"\"\nk1 = 2\n[t]\n\\\"\"\"\"", "'''\n]\n'''", "[\n 1, # ]\n\n 2 ]",
		`{ a = [1, {b = "}"}], c = 1 }`, `1979-05-27 07:32:00`, `-1.5e3`, `nan`, `"\\"`, `"\""`, `[]`, `{}`}
	blanks := []string{"", "\n", "# [x] = \"\"\"\n", "\r\n\t\n", "  "}
	rapid.Check(t, func(t *rapid.T) {
		var doc strings.Builder
		want := map[string]int{}
		line := func() int { return 1 + strings.Count(doc.String(), "\n") }
		var table []string
		for i := range rapid.IntRange(1, 12).Draw(t, "pieces") {
			doc.WriteString(rapid.SampledFrom(blanks).Draw(t, "blank"))
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				table = []string{fmt.Sprintf("t%d", i)}
				want[pathKey(table)] = line()
				fmt.Fprintf(&doc, "[ %s ] # x\n", table[0])
			case 1:
				n := 0
				for want[pathKey([]string{"w", item(n)})] != 0 {
					n++
				}
				table = []string{"w", item(n)}
				want[pathKey(table)] = line()
				doc.WriteString("[[w]]\n")
			default:
				key := fmt.Sprintf("k%d", i)
				want[pathKey(append(table[:len(table):len(table)], key))] = line()
				fmt.Fprintf(&doc, "%s = %s\n", key, rapid.SampledFrom(values).Draw(t, "value"))
			}
		}
		var tree map[string]any
		if _, err := toml.Decode(doc.String(), &tree); err != nil {
			t.Fatalf("%v in\n%s", err, doc.String())
		}
		x := indexLines(doc.String())
		for k, n := range want {
			if x[k] != n {
				t.Fatalf("%q is on line %d, want %d, in\n%s", k, x[k], n, doc.String())
			}
		}
	})
}

// Every key that the decoder knows must have a line, in any valid document.
func FuzzLines(f *testing.F) {
	f.Add(example)
	f.Add("a.b = {c = [1, {d = 2}]}\n[[x]]\n[[x.y]]\nz=''\n")
	f.Add("a = \"\"\"\"\"\"\nb = ''''''''\nc=\"\"\"x\"\"\"\"\"\nd=1")
	f.Fuzz(func(t *testing.T, src string) {
		x := indexLines(src) // must end, whatever the text
		if len(src) > 4096 || strings.Contains(src, `\`) {
			return
		}
		var tree map[string]any
		md, err := toml.Decode(src, &tree)
		if err != nil {
			return
		}
		known := map[string]bool{}
		for k, n := range x {
			if n < 1 || n > 1+strings.Count(src, "\n") {
				t.Fatalf("%q is on line %d of %d", k, n, 1+strings.Count(src, "\n"))
			}
			var path []string
			for _, part := range strings.Split(k, "\x00") {
				if !strings.HasPrefix(part, "\x01") {
					path = append(path, part)
				}
			}
			known[pathKey(path)] = true
		}
		for _, k := range md.Keys() {
			if !known[pathKey(k)] {
				t.Fatalf("%q has no line in\n%s", k, src)
			}
		}
	})
}
