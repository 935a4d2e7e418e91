package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exposed gives every series name that a scrape of a run has, with the names of its
// labels.
func exposed(t *testing.T) map[string][]string {
	t.Helper()
	_, body := newRun(t).get(t, "/metrics")
	out := map[string][]string{}
	for line := range strings.Lines(body) {
		m := regexp.MustCompile(`^(selfprotect_\w+)(?:\{(.*)\})? `).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			out[m[1]] = append(out[m[1]], l[1])
		}
		out[m[1]] = append(out[m[1]], "")
	}
	if len(out) < 30 {
		t.Fatalf("only %d names", len(out))
	}
	return out
}

var (
	selector = regexp.MustCompile(`\b(selfprotect_\w+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*[=!]~?"`)
	legend   = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`)
)

// lateLabels are those of series that exist only after something has happened.
var lateLabels = map[string][]string{"selfprotect_decisions_total": {"decision", "by"}}

// usable holds that an expression names only what exists, and gives the labels that
// its series have.
func usable(t *testing.T, where, expr string, have map[string][]string) (labels []string, n int) {
	t.Helper()
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		l, ok := have[m[1]]
		if late, is := lateLabels[m[1]]; is {
			l, ok = late, true
		}
		if !ok {
			t.Errorf("%s names %s, which does not exist", where, m[1])
		}
		for _, k := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(l, k[1]) {
				t.Errorf("%s asks %s for the label %s, which it has not", where, m[1], k[1])
			}
		}
		labels, n = append(labels, l...), n+1
	}
	return labels, n
}

// TestRulesNameWhatExists holds the alert rules against the metrics.
func TestRulesNameWhatExists(t *testing.T) {
	data, err := os.ReadFile("../deploy/prometheus/selfprotect.yml")
	if err != nil {
		t.Fatal(err)
	}
	have := exposed(t)
	rules := strings.Split(string(data), "- alert: ")[1:]
	if len(rules) < 12 {
		t.Fatalf("%d rules", len(rules))
	}
	for _, r := range rules {
		name, rest, _ := strings.Cut(r, "\n")
		expr, text, ok := strings.Cut(rest, "labels: ")
		labels, n := usable(t, name, expr, have)
		if !ok || n == 0 || !strings.Contains(text, "summary: ") || !strings.Contains(text, "severity: ") {
			t.Errorf("%s has no expression, severity or summary", name)
		}
		for _, l := range legend.FindAllStringSubmatch(text, -1) {
			if strings.Contains(l[0], "$labels") && !slices.Contains(labels, l[1]) {
				t.Errorf("%s tells the label %s, which its series have not", name, l[1])
			}
		}
	}
}

// TestDashboardNamesWhatExists holds the dashboard against the metrics.
func TestDashboardNamesWhatExists(t *testing.T) {
	data, err := os.ReadFile("../deploy/grafana/selfprotect.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(data, &d); err != nil || len(d.Panels) < 10 {
		t.Fatalf("%d panels, %v", len(d.Panels), err)
	}
	have := exposed(t)
	for _, p := range d.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, x := range p.Targets {
			labels, n := usable(t, p.Title, x.Expr, have)
			if n == 0 {
				t.Errorf("%s asks for %q", p.Title, x.Expr)
			}
			for _, l := range legend.FindAllStringSubmatch(x.LegendFormat, -1) {
				if !slices.Contains(labels, l[1]) {
					t.Errorf("%s tells the label %s, which its series have not", p.Title, l[1])
				}
			}
		}
	}
}
