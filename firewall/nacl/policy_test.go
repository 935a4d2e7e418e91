package nacl

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// services are the prefixes of IAM actions by the package of the SDK.
var services = map[string]string{"ec2": "ec2", "servicequotas": "servicequotas", "sts": "sts"}

// called gives the IAM actions that the package calls, by the file and function in
// which their input is made. GetCallerIdentity needs no permission.
func called(t *testing.T) map[string]map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			where := name
			if fn, ok := d.(*ast.FuncDecl); ok {
				where += " " + fn.Name.Name
			}
			ast.Inspect(d, func(n ast.Node) bool {
				lit, ok := n.(*ast.CompositeLit)
				if !ok {
					return true
				}
				sel, ok := lit.Type.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				action, isInput := strings.CutSuffix(sel.Sel.Name, "Input")
				service, known := services[sel.X.(*ast.Ident).Name]
				if !isInput || !known || action == "GetCallerIdentity" {
					return true
				}
				if out[where] == nil {
					out[where] = map[string]bool{}
				}
				out[where][service+":"+action] = true
				return true
			})
		}
	}
	return out
}

// granted gives the actions that a policy allows; nothing else may be in it.
func granted(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile("../../deploy/iam/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Version   string
		Statement []struct {
			Sid, Effect string
			Action      []string
			Resource    string
			Condition   map[string]map[string]string
		}
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&policy); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var out []string
	for _, s := range policy.Statement {
		if s.Effect != "Allow" || policy.Version != "2012-10-17" {
			t.Errorf("%s: statement %s: %s, version %s", name, s.Sid, s.Effect, policy.Version)
		}
		for _, a := range s.Action {
			if write := !strings.Contains(a, ":Describe") && !strings.Contains(a, ":Get"); write != strings.HasSuffix(s.Resource, ":network-acl/ACL_ID") {
				t.Errorf("%s: %s on %s", name, a, s.Resource)
			}
		}
		out = append(out, s.Action...)
	}
	slices.Sort(out)
	return out
}

// Each action that is called is in the policy of the modes that call it, and no
// other action is in any.
func TestPoliciesGrantWhatIsCalled(t *testing.T) {
	reads, writes, discovers := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for where, actions := range called(t) {
		into := reads
		switch {
		case where == "nacl.go send":
			into = writes
		case strings.HasPrefix(where, "discover.go"):
			into = discovers
		}
		maps.Copy(into, actions)
	}
	if len(writes) != 3 || len(reads) < 5 || !discovers["ec2:DescribeSubnets"] {
		t.Fatalf("found %v, %v, %v", reads, writes, discovers)
	}
	for name, sets := range map[string][]map[string]bool{
		"observe.json": {reads}, "review-auto.json": {reads, writes}, "check-init.json": {reads, discovers},
	} {
		want := map[string]bool{}
		for _, s := range sets {
			maps.Copy(want, s)
		}
		if got, want := granted(t, name), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
			t.Errorf("%s grants\n%v, want\n%v", name, got, want)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("../../deploy/iam")
	if err != nil || len(entries) != 3 {
		t.Errorf("%d policies, %v", len(entries), err)
	}
	for _, e := range entries {
		if !strings.Contains(string(readme), "(deploy/iam/"+e.Name()+")") {
			t.Errorf("the README does not name %s", e.Name())
		}
	}
}

// Each read that is made is also asked for by DryRun.
func TestDryReadsAreTheReads(t *testing.T) {
	var asked []string
	for _, r := range dryReads {
		asked = append(asked, r.action)
	}
	slices.Sort(asked)
	want := slices.DeleteFunc(granted(t, "observe.json"), func(a string) bool { return !strings.HasPrefix(a, "ec2:") })
	if !slices.Equal(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
}
