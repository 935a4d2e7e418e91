package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "selfprotect"

// imports is the house: which packages of ours each package may import. "all"
// stands for every one of them, "pure" for the pure ones.
var imports = map[string][]string{
	"":                      {"cli"},
	"cli":                   {"all"},
	"docs/picture":          {},
	"config":                {"policy", "firewall", "alert"},
	"threatstack":           {"alert"},
	"alert":                 {},
	"policy":                {"alert"},
	"blocklist":             {"alert", "policy"},
	"firewall":              {},
	"firewall/nacl":         {"firewall"},
	"firewall/firewalltest": {"firewall"},
	"journal":               {},
	"journal/journaltest":   {"journal"},
	"engine":                {"pure"},
	"metrics":               {"engine", "pure"},
	"notify":                {"engine", "pure"},
	"replay":                {"pure"},
	"ui":                    {"engine", "pure"},
	"sim":                   {},
}

var pure = []string{"alert", "policy", "blocklist", "firewall", "replay"}

// impure are imports and calls that a pure package must not have.
var (
	impureImports = []string{"context", "net/http", "os", "log", "log/slog", "math/rand", "math/rand/v2", "net", "os/exec", "sync", "database/sql"}
	impureCalls   = []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.Tick", "time.NewTimer", "time.NewTicker", "time.AfterFunc"}
)

type pkg struct {
	ImportPath, Dir string
	GoFiles         []string
	Imports         []string
	Doc             string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,Doc", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func short(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

// TestImports holds the table of imports against the code.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name := short(p.ImportPath)
		seen[name] = true
		allowed, ok := imports[name]
		if !ok {
			t.Errorf("package %q is not in the table: give it a place in the house", name)
			continue
		}
		if p.Doc == "" {
			t.Errorf("package %q has no package doc", name)
		}
		for _, i := range p.Imports {
			if i != module && !strings.HasPrefix(i, module+"/") {
				continue
			}
			dep := short(i)
			if slices.Contains(allowed, "all") || slices.Contains(allowed, dep) || slices.Contains(allowed, "pure") && slices.Contains(pure, dep) {
				continue
			}
			t.Errorf("package %q imports %q", name, dep)
		}
	}
	for name := range imports {
		if !seen[name] {
			t.Errorf("package %q of the table does not exist", name)
		}
	}
}

// TestPurity holds that the pure packages neither reach out nor look at a clock.
func TestPurity(t *testing.T) {
	for _, p := range packages(t) {
		if !slices.Contains(pure, short(p.ImportPath)) {
			continue
		}
		for _, i := range p.Imports {
			if slices.Contains(impureImports, i) {
				t.Errorf("pure package %q imports %q", short(p.ImportPath), i)
			}
		}
		for _, f := range p.GoFiles {
			checkPure(t, filepath.Join(p.Dir, f))
		}
	}
}

func checkPure(t *testing.T, file string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s: a pure package starts a goroutine", fset.Position(n.Pos()))
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impureCalls, x.Name+"."+n.Sel.Name) {
				t.Errorf("%s: a pure package uses %s.%s", fset.Position(n.Pos()), x.Name, n.Sel.Name)
			}
		}
		return true
	})
}

// TestNoInit holds that no package does anything when it is loaded.
func TestNoInit(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s: init function", fset.Position(fn.Pos()))
				}
			}
		}
	}
}

// TestSafetyNamesItsTests holds that each test that docs/safety.md names exists, and
// each file: a promise that nothing holds any more must not stay on the page.
func TestSafetyNamesItsTests(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("docs", "safety.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	named := 0
	for _, m := range regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)(…?)`).FindAllStringSubmatch(string(page), -1) {
		named++
		if !slices.ContainsFunc(tests, func(n string) bool { return n == m[1] || m[2] != "" && strings.HasPrefix(n, m[1]) }) {
			t.Errorf("docs/safety.md names %s, which does not exist", m[0])
		}
	}
	for _, m := range regexp.MustCompile("`((?:[a-z]+/)+[a-z_]+\\.go)`").FindAllStringSubmatch(string(page), -1) {
		if _, err := os.Stat(m[1]); err != nil {
			t.Errorf("docs/safety.md: %v", err)
		}
	}
	if named < 25 {
		t.Errorf("docs/safety.md names %d tests only", named)
	}
}

// testNames gives the names of all tests and fuzz targets.
func testNames(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, p := range packages(t) {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
					out = append(out, fn.Name.Name)
				}
			}
		}
	}
	return out
}
