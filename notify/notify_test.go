package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/policy"
)

// inbox is a receiver that keeps what it is told, and fails or hangs when it is told to.
type inbox struct {
	mu   sync.Mutex
	got  []string
	at   []time.Time
	err  error
	hang chan struct{} // nil: does not
	runs int
}

func (i *inbox) Send(text string) error {
	i.mu.Lock()
	i.runs++
	hang, err := i.hang, i.err
	i.mu.Unlock()
	if hang != nil {
		<-hang
		return errors.New("too late")
	}
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got, i.at = append(i.got, text), append(i.at, time.Now())
	return nil
}

func (i *inbox) set(err error, hang chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.err, i.hang = err, hang
}

func (i *inbox) attempts() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.runs
}

func (i *inbox) texts() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.got...)
}

// start runs a notifier with one receiver until the end of the test's bubble.
func start(t *testing.T, in *inbox, cfg Config, r Receiver) (*Notifier, func()) {
	t.Helper()
	r.Name, r.Sender = "soc", in
	if r.Events == nil {
		r.Events = []string{Review, Blocked, Stopped, Drift, Stale, Credentials, Escalated}
	}
	cfg.Receivers = []Receiver{r}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); n.Run(ctx) }()
	return n, func() { cancel(); <-done }
}

const block = blocklist.ID("outbound:203.0.113.9/32@acl-0123456789abcdef0")

// told gives a notifier one line after another.
func told(n *Notifier, s *engine.Snapshot, lines ...engine.LogLine) {
	for _, l := range lines {
		l.ID, l.Seq, l.At = s.LastLine()+1, 1, time.Now()
		next := *s
		next.Log = append(s.Log[:len(s.Log):len(s.Log)], l)
		*s = next
		n.Observe(&next)
	}
}

// TestWhatIsTold holds which lines are news for whom.
func TestWhatIsTold(t *testing.T) {
	proposed := engine.LogLine{Event: "proposed", Block: block, Prefix: netip.MustParsePrefix("203.0.113.9/32"), Reason: "rule \x1b[31m<!channel> @everyone"}
	pending := []*engine.Proposal{{Block: blocklist.Block{ID: block, State: blocklist.Pending}}}
	by := func(actor string) []*engine.BlockView {
		return []*engine.BlockView{{Block: blocklist.Block{ID: block, State: blocklist.Active, DecidedBy: actor}}}
	}
	for _, c := range []struct {
		name string
		s    engine.Snapshot
		l    engine.LogLine
		want string // empty: nothing
	}{
		{"waits", engine.Snapshot{Proposals: pending}, proposed, "review: 203.0.113.9/32 waits for a decision: rule \\x1b[31m‹!channel› (at)everyone"},
		{"approved by auto mode at once", engine.Snapshot{Blocks: by("auto")}, proposed, ""},
		{"blocked by auto mode", engine.Snapshot{Blocks: by("auto")}, engine.LogLine{Event: "blocked", Block: block, Text: "denied"}, "blocked: denied"},
		{"blocked by a person", engine.Snapshot{Blocks: by("operator@host")}, engine.LogLine{Event: "blocked", Block: block, Text: "denied"}, ""},
		{"a limit", engine.Snapshot{}, engine.LogLine{Event: "mode", Actor: blocklist.EngineActor, Text: "auto mode stopped itself", Reason: "20 blocks a minute"}, "stopped: auto mode stopped itself: 20 blocks a minute"},
		{"an alert handed on", engine.Snapshot{}, engine.LogLine{Event: "escalated", Severity: engine.Warning, Actor: "alice@soc", Text: "alert a1 is escalated and archived by alice@soc", Reason: "ticket <4711>"}, "escalated: alert a1 is escalated and archived by alice@soc: ticket ‹4711›"},
		{"an alert archived", engine.Snapshot{}, engine.LogLine{Event: "archived", Actor: "alice@soc", Text: "alert a1 is archived by alice@soc"}, ""},
		{"a person's mode", engine.Snapshot{}, engine.LogLine{Event: "mode", Actor: "operator@host", Text: "mode review"}, ""},
		{"drift", engine.Snapshot{}, engine.LogLine{Event: "drift", Severity: engine.Warning, Text: "entry 1 was removed"}, "drift: entry 1 was removed"},
		{"back again", engine.Snapshot{}, engine.LogLine{Event: "drift", Severity: engine.Info, Text: "entry 1 is there after all"}, ""},
		{"a poll", engine.Snapshot{}, engine.LogLine{Event: "poll", Text: "polled"}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			in := &inbox{}
			n, stop := start(t, in, Config{Host: "op@bastion"}, Receiver{})
			c.s.Base, c.s.Ceiling = policy.Auto, policy.Auto
			c.s.Log = []engine.LogLine{{ID: 7, Event: "drift", Severity: engine.Warning, Text: "history"}}
			n.Begin(&c.s)
			told(n, &c.s, c.l)
			synctest.Wait()
			stop()
			got := strings.Join(in.texts(), "|")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "history") || strings.Contains(got, "\x1b") {
				t.Errorf("%s: told %q, want %q", c.name, got, c.want)
			}
			if c.want != "" && !strings.HasPrefix(got, "selfprotect on op@bastion (auto):\n- ") {
				t.Errorf("%s: told %q", c.name, got)
			}
		})
	}
}

// TestCredentials holds that the end of credentials is told once, and a new end again.
func TestCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &inbox{}
		n, stop := start(t, in, Config{}, Receiver{Every: time.Second})
		see := func(left time.Duration, err string) {
			s := &engine.Snapshot{At: time.Now(), Access: []engine.Access{{Region: "us-east-1", Err: err}}}
			if left != 0 {
				s.Access[0].Expires = s.At.Add(left).Truncate(time.Hour)
			}
			n.Observe(s)
			time.Sleep(time.Minute)
		}
		see(0, "")
		see(3*time.Hour, "")
		for range 3 {
			see(10*time.Minute, "")
		}
		see(3*time.Hour, "")
		see(0, "ExpiredToken")
		see(0, "ExpiredToken")
		stop()
		got := in.texts()
		if len(got) != 2 || !strings.Contains(got[0], "credentials: the AWS credentials for us-east-1 expire at 2000-01-01 00:00 UTC") || !strings.Contains(got[1], "are not accepted: ExpiredToken") {
			t.Errorf("told %q", got)
		}
	})
}

// TestOnlyWhatIsWanted holds that a receiver is told of its events alone.
func TestOnlyWhatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &inbox{}
		n, stop := start(t, in, Config{}, Receiver{Events: []string{Drift}})
		told(n, &engine.Snapshot{}, engine.LogLine{Event: "mode", Actor: blocklist.EngineActor, Text: "stopped"}, engine.LogLine{Event: "drift", Text: "removed"})
		synctest.Wait()
		stop()
		if got := strings.Join(in.texts(), "|"); !strings.Contains(got, "removed") || strings.Contains(got, "stopped") {
			t.Errorf("told %q", got)
		}
	})
}

func drift(i int) engine.LogLine {
	return engine.LogLine{Event: "drift", Text: fmt.Sprintf("entry %d", i)}
}

// TestOneMessageInAnInterval holds that the first item goes out at once, that what
// comes meanwhile is one message, and that a long list says how many are left out.
func TestOneMessageInAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &inbox{}
		n, stop := start(t, in, Config{}, Receiver{Every: time.Minute})
		s := &engine.Snapshot{}
		for i := range 26 {
			told(n, s, drift(i))
			synctest.Wait()
			time.Sleep(time.Second)
		}
		time.Sleep(3 * time.Minute)
		stop()
		got := in.texts()
		if len(got) != 2 || in.at[1].Sub(in.at[0]) != time.Minute {
			t.Fatalf("%d messages at %v: %q", len(got), in.at, got)
		}
		if !strings.Contains(got[0], "entry 0") || strings.Contains(got[1], "entry 5\n") || !strings.Contains(got[1], "entry 25") || !strings.Contains(got[1], "5 more") {
			t.Errorf("%q", got)
		}
	})
}

// TestReceiverFails holds that a receiver that fails is tried again, more slowly, is a
// problem meanwhile, gets in the end what fits, and that nothing waits for it.
func TestReceiverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &inbox{err: errors.New("Post \"https://hooks.example.com/T0K3N\": dial tcp 127.0.0.1:9: connect: connection refused")}
		var news []string
		n, stop := start(t, in, Config{Told: func(r, p string) { news = append(news, r+": "+p) }}, Receiver{Every: time.Second})
		s := &engine.Snapshot{}
		for i := range 2 * maxQueue {
			told(n, s, drift(i))
		}
		time.Sleep(time.Hour)
		if in.attempts() < 8 || in.attempts() > 20 {
			t.Errorf("%d attempts in an hour", in.attempts())
		}
		ps := n.Problems()
		if len(ps) != 1 || !strings.Contains(ps[0].Text, "notifications to soc fail: no connection to the receiver: dial tcp 127.0.0.1:9: connect: connection refused") {
			t.Errorf("problems %+v", ps)
		}
		if c := n.Counts()[0]; c.Up || c.Failed != in.attempts() || c.Dropped < maxQueue || c.Sent != 0 {
			t.Errorf("counts %+v after %d attempts", c, in.attempts())
		}
		in.set(nil, nil)
		time.Sleep(maxPause)
		if got := in.texts(); len(got) != 1 || !strings.Contains(got[0], fmt.Sprintf("entry %d", 2*maxQueue-1)) {
			t.Errorf("told %q", got)
		}
		if len(n.Problems()) != 0 {
			t.Errorf("still %+v", n.Problems())
		}
		stop()
		if len(news) != 2 || strings.Contains(fmt.Sprint(news, ps), "T0K3N") {
			t.Errorf("news %q", news)
		}
	})
}

// TestReceiverHangs holds that a receiver that never answers costs a few goroutines
// and a problem, and that neither snapshots nor a stop wait for it.
func TestReceiverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		in := &inbox{hang: hang}
		n, stop := start(t, in, Config{}, Receiver{Every: time.Second})
		s := &engine.Snapshot{}
		began := time.Now()
		told(n, s, drift(1))
		if time.Since(began) != 0 {
			t.Error("a snapshot waited")
		}
		for i := range 100 {
			told(n, s, drift(i))
			time.Sleep(time.Minute)
		}
		if in.attempts() != maxHanging {
			t.Errorf("%d messages hang, want %d", in.attempts(), maxHanging)
		}
		if p := n.Problems(); len(p) != 1 || !strings.Contains(p[0].Text, "has not answered for long") {
			t.Errorf("problems %+v", p)
		}
		began = time.Now()
		stop()
		if d := time.Since(began); d > lastTimeout {
			t.Errorf("the stop took %s", d)
		}
		close(hang)
		synctest.Wait()
	})
}

// TestLastWords holds that what is queued at the end is told.
func TestLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &inbox{}
		n, stop := start(t, in, Config{}, Receiver{Every: time.Hour})
		s := &engine.Snapshot{}
		told(n, s, drift(1))
		synctest.Wait()
		told(n, s, drift(2))
		synctest.Wait()
		stop()
		if got := in.texts(); len(got) != 2 || !strings.Contains(got[1], "entry 2") {
			t.Errorf("told %q", got)
		}
	})
}

// TestStale holds that staleness is told once, and its end too.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &inbox{}
		var mu sync.Mutex
		var wrong []string
		_, stop := start(t, in, Config{Health: func() []string {
			mu.Lock()
			defer mu.Unlock()
			return wrong
		}}, Receiver{Every: time.Second})
		set := func(s ...string) { mu.Lock(); wrong = s; mu.Unlock(); time.Sleep(5 * time.Minute) }
		set()
		set("the source threatstack is stale")
		set()
		stop()
		if got := in.texts(); len(got) != 2 || !strings.Contains(got[0], "the source threatstack is stale") || !strings.Contains(got[1], "nothing is stale any more") {
			t.Errorf("told %q", got)
		}
	})
}

// TestCheck holds what is said of URLs and templates at the start, and that a URL is
// never quoted.
func TestCheck(t *testing.T) {
	const good = "generic+https://hooks.example.com/T0K3N"
	for _, c := range []struct{ url, template, badURL, badTemplate string }{
		{good, "", "", ""},
		{good, "{{range .Items}}{{.Text}} {{.CIDR}}{{end}}", "", ""},
		{"nosuch://T0K3N", "", `names no service that is known: it begins with "nosuch"`, ""},
		{"slack://T0K3N", "", `"slack" wants another form`, ""},
		{good, "{{range .Items}}", "", "unexpected EOF"},
		{good, "{{.Nope}}", "", "can't evaluate field Nope"},
		{good, `{{printf "%20000d" 1}}`, "", "longer than 16 KiB"},
		{good, `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`, "", "exceeded maximum template depth"},
	} {
		badURL, badTemplate := Check(c.url, c.template)
		if (badURL == "") != (c.badURL == "") || !strings.Contains(badURL, c.badURL) || (badTemplate == "") != (c.badTemplate == "") || !strings.Contains(badTemplate, c.badTemplate) {
			t.Errorf("%s, %s: %q, %q", c.url, c.template, badURL, badTemplate)
		}
		if strings.Contains(badURL+badTemplate, "T0K3N") {
			t.Errorf("quoted: %q", badURL)
		}
	}
}

// TestExplain holds that no words of an error that may hold a token are told.
func TestExplain(t *testing.T) {
	secret := "https://hooks.example.com/T0K3N?key=T0K3N"
	for _, c := range []struct {
		err  error
		want string
	}{
		{&url.Error{Op: "Post", URL: secret, Err: &net.DNSError{Name: "hooks.example.com", IsNotFound: true}}, "does not resolve"},
		{&url.Error{Op: "Post", URL: secret, Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}, "no connection to the receiver: connection refused"},
		{fmt.Errorf("send to %s: server returned 404 Not Found", secret), "status 404"},
		{fmt.Errorf("strange: %s", secret), "did not take the message"},
		{errSlow, "did not answer in time"},
	} {
		if got := explain(c.err); !strings.Contains(got, c.want) || strings.Contains(got, "T0K3N") {
			t.Errorf("%v is %q, want %q", c.err, got, c.want)
		}
	}
}
