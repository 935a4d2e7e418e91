package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the messages of testdata/mistakes anew")

const wanted = "#! "

// env makes an environment of pairs.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// write puts a file of mode 0600 into a directory of the test.
func write(t testing.TB, name, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// problems loads a text and gives its problems, with the directory cut off.
func problems(t testing.TB, text string) Problems {
	t.Helper()
	p := write(t, "config.toml", text)
	c, err := Load(Options{Path: p, Home: "/home/op"})
	if err == nil {
		return nil
	}
	var ps Problems
	if !errors.As(err, &ps) || c != nil {
		t.Fatalf("Load gave %v and %T %v", c, err, err)
	}
	for i := range ps {
		ps[i].File = strings.TrimPrefix(ps[i].File, filepath.Dir(p)+"/")
	}
	return ps
}

// Each file has one mistake (many.toml has many) and ends with the messages.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.toml")
	if err != nil || len(files) < 70 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".toml"), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text, want, _ := strings.Cut(string(data), wanted)
			got := ""
			for _, p := range problems(t, text) {
				got += wanted + p.String() + "\n"
			}
			if *update {
				if err := os.WriteFile(f, []byte(text+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want = wanted + want; got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// A file of the lab's size is right, so that the mistakes above are the only ones.
func TestMistakesAreTheOnlyOnes(t *testing.T) {
	if p := problems(t, minimal); p != nil {
		t.Fatal(p)
	}
}

const minimal = `[[watch]]
rule = "rule-1"
[[acl]]
id = "acl-0123456789abcdef0"
`
