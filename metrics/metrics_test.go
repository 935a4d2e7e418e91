package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall"
	"selfprotect/policy"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const acl = "acl-0123456789abcdef0"

// run is a Metrics whose clock a test moves, with a snapshot in which all is well.
type run struct {
	*Metrics
	now time.Time
	s   engine.Snapshot
}

func newRun(t *testing.T) *run {
	t.Helper()
	r := &run{now: noon}
	r.Metrics = New(Config{Version: "v1.2.3", Commit: "abc", Go: "go1.26", PollInterval: 10 * time.Second, Now: func() time.Time { return r.now },
		Receivers: func() []Receiver { return []Receiver{{Name: "soc", Sent: 3, Failed: 1, Up: true}} }})
	r.s = engine.Snapshot{Version: 1, At: noon, Base: policy.Auto, Ceiling: policy.Auto, Guarded: true, StoppedFor: []string{acl},
		Sources: []engine.SourceStatus{{Name: "threatstack", LastOK: noon, LastTry: noon, Budget: 90, Requests: 30}},
		Access:  []engine.Access{{Region: "us-east-1", Account: "123456789012", Expires: noon.Add(time.Hour)}},
		ACLs: []*engine.ACLView{{ID: acl, ReadAt: noon, Budgets: []firewall.Budget{
			{Direction: firewall.Egress, Family: firewall.IPv4, Quota: 20, Slots: 18, Ours: 18, Wanted: 31, Kept: 18, Waiting: 13, CutOff: 42}}}}}
	r.Begin(&r.s)
	return r
}

// tell gives the metrics a snapshot with one more line.
func (r *run) tell(l engine.LogLine) {
	l.ID = r.s.LastLine() + 1
	if l.At.IsZero() {
		l.At = r.now
	}
	s := r.s
	s.At, s.Log = r.now, append(r.s.Log[:len(r.s.Log):len(r.s.Log)], l)
	r.s = s
	r.Observe(&s)
}

// get asks for a path.
func (r *run) get(t *testing.T, path string) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
	body, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Code, string(body)
}

// series holds that a scrape has a line.
func (r *run) series(t *testing.T, want ...string) {
	t.Helper()
	code, body := r.get(t, "/metrics")
	if code != 200 {
		t.Fatalf("status %d: %s", code, body)
	}
	for _, w := range want {
		if !strings.Contains("\n"+body, "\n"+w+"\n") {
			t.Errorf("no %q among\n%s", w, grep(body, strings.FieldsFunc(w, func(c rune) bool { return c == '{' || c == ' ' })[0]))
		}
	}
}

func grep(body, word string) string {
	var out []string
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, word) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

func TestScrape(t *testing.T) {
	r := newRun(t)
	list := `{acl="` + acl + `",direction="egress",family="ipv4"} `
	r.series(t, `selfprotect_build_info{commit="abc",go_version="go1.26",version="v1.2.3"} 1`, "selfprotect_up 1", `selfprotect_acl_auto_stopped{acl="`+acl+`"} 1`,
		`selfprotect_mode{mode="auto"} 1`, `selfprotect_mode{mode="review"} 0`, "selfprotect_journal_up 1",
		`selfprotect_source_up{source="threatstack"} 1`, `selfprotect_source_requests_total{source="threatstack"} 30`, `selfprotect_source_requests_left{source="threatstack"} 90`,
		"selfprotect_acl_slots"+list+"18", "selfprotect_acl_slots_free"+list+"0", "selfprotect_acl_wanted"+list+"31", "selfprotect_acl_kept"+list+"18",
		"selfprotect_acl_waiting"+list+"13", "selfprotect_acl_cut_off_weight"+list+"42",
		`selfprotect_aws_errors_total{class="throttled",operation="create"} 0`, `selfprotect_block_lag_seconds_count{decided_by="auto"} 0`,
		`selfprotect_notifications_total{outcome="sent",receiver="soc"} 3`, `selfprotect_blocks{state="proposed"} 0`,
		`selfprotect_credentials_up{account="123456789012",region="us-east-1"} 1`,
		fmt.Sprintf(`selfprotect_credentials_expiry_timestamp_seconds{account="123456789012",region="us-east-1"} %v`, float64(noon.Add(time.Hour).Unix())))
}

// TestLag holds what the histogram counts: from the first alert of a decision to the
// line that says that its entry was read back, by the source's clock, once.
func TestLag(t *testing.T) {
	r := newRun(t)
	r.now = noon.Add(time.Minute)
	p := netip.MustParsePrefix("203.0.113.9/32")
	block := &engine.BlockView{Block: blocklist.Block{ID: "outbound:203.0.113.9/32@" + acl, State: blocklist.Active, DecidedAt: noon.Add(30 * time.Second), DecidedBy: blocklist.AutoActor,
		Alerts: []string{"later", "first", "forgotten"}}, Presence: []engine.Presence{{ACL: acl, Direction: firewall.Egress}}}
	block.Prefix = p
	r.s.Blocks = []*engine.BlockView{block}
	r.s.Sources[0].ClockOffset = 2 * time.Second
	for id, at := range map[string]time.Duration{"first": 26 * time.Second, "later": 28 * time.Second} {
		r.s.Alerts = append(r.s.Alerts, &engine.AlertRow{AlertNote: blocklist.AlertNote{ID: id, CreatedAt: noon.Add(at)}})
	}
	other := engine.LogLine{Event: "blocked", ACL: acl, Direction: firewall.Ingress, Prefix: p}
	r.tell(other)
	r.series(t, `selfprotect_block_lag_seconds_count{decided_by="auto"} 0`)
	// An entry that is wider serves it too.
	for range 2 {
		r.tell(engine.LogLine{Event: "blocked", ACL: acl, Direction: firewall.Egress, Prefix: netip.MustParsePrefix("203.0.113.8/31")})
	}
	r.series(t, `selfprotect_block_lag_seconds_count{decided_by="auto"} 1`, `selfprotect_block_lag_seconds_sum{decided_by="auto"} 36`)
	// What was decided before this run says nothing of it.
	block.DecidedAt = noon.Add(-time.Second)
	r.tell(engine.LogLine{Event: "blocked", ACL: acl, Direction: firewall.Egress, Prefix: p})
	r.series(t, `selfprotect_block_lag_seconds_count{decided_by="auto"} 1`)
}

// TestRefusalClasses holds that every reason that the program itself has falls into a
// class of its own, and a stranger's words into other.
func TestRefusalClasses(t *testing.T) {
	for _, g := range policy.BuiltIn(policy.RefusePrivate) {
		if c := refusalClass("guarded: " + g.Why); c != "reserved" && c != "private" && c != "service" {
			t.Errorf("%s is %s", g.Why, c)
		}
	}
	for why, want := range map[string]string{
		"guarded: never_block in the config (198.51.100.0/24)":                        "never_block",
		"guarded: the VPC's own network (vpc-1) (10.0.0.0/8)":                         "own_network",
		"guarded: an address of our own (elastic IP or NAT gateway) (203.0.113.1/32)": "own_address",
		"guarded: a public address of a watched host (203.0.113.1/32)":                "own_address",
		"guarded: the service at ec2.us-east-1.amazonaws.com (203.0.113.1/32)":        "service",
		"guarded: the peer of this SSH session (203.0.113.1/32)":                      "ssh_peer",
		"\x1b[31m": "other",
	} {
		if c := refusalClass(why); c != want {
			t.Errorf("%s is %s, want %s", why, c, want)
		}
	}
}

func TestLines(t *testing.T) {
	r := newRun(t)
	r.tell(engine.LogLine{Event: "refused", Reason: "guarded: loopback (127.0.0.0/8)"})
	r.tell(engine.LogLine{Event: "approved", Actor: "auto"})
	r.tell(engine.LogLine{Event: "approved", Actor: "operator@host"})
	r.tell(engine.LogLine{Event: "poll"})
	r.series(t, `selfprotect_refusals_total{class="reserved"} 1`, `selfprotect_decisions_total{by="auto",decision="approved"} 1`, `selfprotect_decisions_total{by="person",decision="approved"} 1`)
	// The snapshot comes again: nothing counts twice.
	r.Observe(&r.s)
	r.series(t, `selfprotect_refusals_total{class="reserved"} 1`)
}

// TestNoAlertTextInLabels holds that nothing that an alert says becomes a label.
func TestNoAlertTextInLabels(t *testing.T) {
	r := newRun(t)
	evil := "evil\x1b[2Jtext"
	r.s.Sources[0].Err = "x"
	r.tell(engine.LogLine{Event: "refused", Reason: evil, Text: evil, Alert: evil, RuleID: evil, Actor: evil})
	r.tell(engine.LogLine{Event: evil, Reason: evil, Text: evil, Alert: evil, RuleID: evil})
	r.s.Alerts = []*engine.AlertRow{{AlertNote: blocklist.AlertNote{ID: evil, Title: alert.Text(evil)}}}
	r.s.Proposals = []*engine.Proposal{{Block: blocklist.Block{ID: blocklist.ID(evil)}, RuleName: evil}}
	r.Observe(&r.s)
	if _, body := r.get(t, "/metrics"); strings.Contains(body, "evil") {
		t.Error("text of an alert is a label")
	}
}

// TestHealth holds that stale is told from well, with a sentence that says what.
func TestHealth(t *testing.T) {
	type change func(*run)
	later := func(d time.Duration) change { return func(r *run) { r.now = noon.Add(d) } }
	for _, c := range []struct {
		name   string
		change change
		health string // empty: well
		ready  string
	}{
		{"well", func(*run) {}, "", ""},
		{"a little later", later(2 * time.Minute), "", ""},
		{"source and ACL are old", later(3 * time.Minute), "the source threatstack is stale: no good poll for 3m0s", "network ACL " + acl + " is stale"},
		{"the source fails", func(r *run) {
			r.now, r.s.ACLs[0].ReadAt = noon.Add(5*time.Minute), noon.Add(5*time.Minute)
			r.s.Sources[0].Err = "alert API: no answer"
		}, "no good poll for 5m0s (alert API: no answer)", "is stale"},
		{"the journal fails", func(r *run) { r.s.JournalErr = "no space left on device" }, "the journal fails: no space left on device", "journal"},
		{"starting", func(r *run) {
			r.s.Sources[0].LastOK, r.s.ACLs[0].ReadAt, r.s.Guarded = time.Time{}, time.Time{}, false
		}, "", "has not answered yet"},
		{"never started", func(r *run) {
			r.s.Sources[0].LastOK, r.s.ACLs[0].ReadAt = time.Time{}, time.Time{}
			r.now = noon.Add(3 * time.Minute)
		}, "no good poll since the start", "no good read since the start"},
		{"ended", func(r *run) { r.End() }, "the engine does not run", "does not run"},
	} {
		r := newRun(t)
		c.change(r)
		r.Observe(&r.s)
		for path, want := range map[string]string{"/healthz": c.health, "/readyz": c.ready} {
			code, body := r.get(t, path)
			if (code == 200) != (want == "") || !strings.Contains(body, want) {
				t.Errorf("%s: %s gives %d %q, want %q", c.name, path, code, body, want)
			}
		}
	}
}

func TestAlive(t *testing.T) {
	r := newRun(t)
	if !r.Alive() {
		t.Error("not alive at the start")
	}
	if r.now = noon.Add(4 * time.Minute); r.Alive() {
		t.Error("alive though nothing was told for four minutes")
	}
}

type stub struct{ err error }

func (s stub) Read(context.Context) ([]firewall.ACL, error)      { return nil, s.err }
func (s stub) Do(context.Context, string, firewall.Change) error { return s.err }

func TestFirewall(t *testing.T) {
	r := newRun(t)
	for _, err := range []error{nil, errors.New("connection reset"), fmt.Errorf("write: %w", &firewall.RefusedError{Throttled: true}),
		&firewall.TargetError{ACL: acl, Err: &firewall.RefusedError{Permission: true}}} {
		fw := r.Firewall(stub{err})
		_, _ = fw.Read(t.Context())
		if got := fw.Do(t.Context(), acl, firewall.Change{Op: firewall.Create}); got != err {
			t.Errorf("Do gives %v, want %v", got, err)
		}
	}
	r.series(t, `selfprotect_aws_requests_total{operation="create"} 4`, `selfprotect_aws_requests_total{operation="read"} 4`,
		`selfprotect_aws_errors_total{class="unknown",operation="create"} 1`, `selfprotect_aws_errors_total{class="throttled",operation="create"} 1`,
		`selfprotect_aws_errors_total{class="permission",operation="read"} 1`, `selfprotect_aws_errors_total{class="permission",operation="delete"} 0`)
}
