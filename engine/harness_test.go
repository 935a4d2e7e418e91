package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/firewall/firewalltest"
	"selfprotect/journal/journaltest"
	"selfprotect/policy"
)

const (
	acl1 = "acl-1"
	rule = "rule-1"
)

// source is an alert source that a test fills.
type source struct {
	mu     sync.Mutex
	alerts []alert.Alert
	err    error
	polls  []time.Time // since of each poll
}

func (s *source) Alerts(_ context.Context, since time.Time) iter.Seq2[alert.Alert, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polls = append(s.polls, since)
	alerts, err := slices.Clone(s.alerts), s.err
	return func(yield func(alert.Alert, error) bool) {
		for _, a := range alerts {
			if a.CreatedAt.Before(since.Add(-30 * time.Minute)) {
				continue
			}
			if !yield(a, nil) {
				return
			}
		}
		if err != nil {
			yield(alert.Alert{}, err)
		}
	}
}

func (s *source) add(alerts ...alert.Alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alerts = append(s.alerts, alerts...)
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// outbound is an alert about connections to addresses.
func outbound(id string, addrs ...string) alert.Alert {
	a := alert.Alert{ID: id, RuleID: rule, Title: "outbound", Severity: 2, CreatedAt: time.Now().UTC(), AgentID: "agent-1", Complete: true}
	for i, addr := range addrs {
		a.Events = append(a.Events, alert.Event{ID: fmt.Sprintf("%s-%d", id, i), Type: "audit", Kind: "connect", Syscall: "connect",
			Time: time.Now().UTC(), ConnDst: addr, ConnSrc: "10.1.1.5", HasConnection: true, DstPort: 443, SrcPort: 50000, Port: alert.NoPort,
			Host: "web-1", Process: "/usr/bin/curl", User: "root"})
	}
	return a
}

// rig is an engine with everything around it in memory.
type rig struct {
	t   *testing.T
	src *source
	fw  *firewalltest.Memory
	log *journaltest.Memory
	cfg Config

	eng    *Engine
	cancel context.CancelFunc
	done   chan error
	last   *Snapshot
}

func newRig(t *testing.T, mode policy.Mode, more ...firewall.Entry) *rig {
	t.Helper()
	r := &rig{t: t, src: &source{}, log: journaltest.NewMemory()}
	r.fw = firewalltest.New(t, firewalltest.Standard(acl1, more...))
	r.fw.Guarded = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("198.51.100.9/32")}
	guard := policy.NewGuard(append(policy.BuiltIn(policy.RefusePrivate),
		policy.Guarded{Prefix: netip.MustParsePrefix("198.51.100.9/32"), Why: "never_block"}))
	p, err := policy.New(policy.Config{Mode: mode, Guard: guard, Watches: []policy.Watch{{RuleID: rule, Name: "the rule"}},
		Targets: []policy.Target{{ACL: acl1, Directions: []alert.Direction{alert.Outbound}}}})
	if err != nil {
		t.Fatal(err)
	}
	r.cfg = Config{Source: r.src, Firewall: r.fw, Journal: r.log, Policy: p, ACLs: []ACLConfig{{ID: acl1}}, Holder: "me@here:1"}
	return r
}

// start runs the engine. It must be called in a synctest bubble.
func (r *rig) start() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	eng, err := New(ctx, r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.eng, r.cancel, r.done = eng, cancel, make(chan error, 1)
	go func() { r.done <- eng.Run(ctx) }()
	synctest.Wait()
}

// stop ends the engine as a signal would.
func (r *rig) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Fatalf("Run: %v", err)
	}
}

func (r *rig) wait(d time.Duration) *Snapshot {
	r.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	return r.snap()
}

func (r *rig) snap() *Snapshot {
	select {
	case s, ok := <-r.eng.Updates():
		if ok {
			r.last = s
		}
	default:
	}
	return r.last
}

// ours are the prefixes that our entries deny.
func (r *rig) ours() []string {
	var out []string
	for _, e := range r.fw.ACL(acl1).Entries {
		if e.Deny && !e.Default() && e.Number < 100 {
			out = append(out, e.Prefix.String())
		}
	}
	slices.Sort(out)
	return out
}

func (r *rig) wantOurs(ps ...string) {
	r.t.Helper()
	slices.Sort(ps)
	if got := r.ours(); !slices.Equal(got, ps) {
		r.t.Errorf("denied %v, want %v", got, ps)
	}
}

func (r *rig) approve(prefix string) error {
	r.t.Helper()
	s := r.snap()
	for _, p := range s.Proposals {
		if p.Prefix.String() == prefix {
			return r.eng.Decide(context.Background(), p.ID, blocklist.Decision{Verb: blocklist.Approve, Actor: "alice@soc", Effect: p.Digest})
		}
	}
	return errors.New("no such proposal")
}

func (r *rig) block(prefix string) *BlockView {
	for _, b := range r.snap().Blocks {
		if b.Prefix.String() == prefix {
			return b
		}
	}
	return nil
}

func (r *rig) lines(event string) []LogLine {
	var out []LogLine
	for _, l := range r.snap().Log {
		if l.Event == event {
			out = append(out, l)
		}
	}
	return out
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func contains(list []LogLine, text string) bool {
	return slices.ContainsFunc(list, func(l LogLine) bool { return strings.Contains(l.Text+" "+l.Reason, text) })
}
