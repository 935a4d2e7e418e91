package ui

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall/firewalltest"
	"selfprotect/journal/journaltest"
	"selfprotect/policy"
)

// A story is a test that an operator could have written: what comes, what is
// pressed, what must be on the screen. It runs the real model on the real engine in
// a bubble of virtual time, against an alert source, a network ACL and a journal in
// memory. Between two keys lies half a second; after each the console settles.

const storyRule = "rule-1"

// stage is the world of a story: what several consoles share.
type stage struct {
	t   *testing.T
	src *scriptedSource
	fw  *firewalltest.Memory
	log *journaltest.Memory
}

// story runs a story in a bubble.
func story(t *testing.T, tell func(st *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		st := &stage{t: t, src: &scriptedSource{}, fw: firewalltest.New(t, firewalltest.Standard(demoACL)), log: journaltest.NewMemory()}
		tell(st)
	})
}

// scriptedSource is an alert source that a story fills.
type scriptedSource struct {
	mu     sync.Mutex
	alerts []alert.Alert
	err    error
}

func (s *scriptedSource) Alerts(_ context.Context, since time.Time) iter.Seq2[alert.Alert, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	alerts, err := slices.Clone(s.alerts), s.err
	return func(yield func(alert.Alert, error) bool) {
		for _, a := range alerts {
			if err == nil && !a.CreatedAt.Before(since.Add(-30*time.Minute)) && !yield(a, nil) {
				return
			}
		}
		if err != nil {
			yield(alert.Alert{}, err)
		}
	}
}

// fail lets every poll fail from now on; nil lets them work again.
func (s *scriptedSource) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// alert adds an alert about connections to these addresses.
func (st *stage) alert(severity int, addrs ...string) {
	st.src.mu.Lock()
	defer st.src.mu.Unlock()
	now := time.Now().UTC()
	a := alert.Alert{ID: fmt.Sprintf("alert-%d", len(st.src.alerts)+1), RuleID: storyRule, Title: "Outbound Connection", Severity: severity, CreatedAt: now, AgentID: "agent-1", Complete: true}
	for i, addr := range addrs {
		a.Events = append(a.Events, alert.Event{ID: fmt.Sprintf("%s-%d", a.ID, i), Type: "audit", Kind: "connect", Syscall: "connect", Time: now, ConnDst: addr, ConnSrc: "10.1.1.5",
			HasConnection: true, DstPort: 443, SrcPort: 50000, Port: alert.NoPort, Host: "web-1", Process: "/usr/bin/curl", User: "root"})
	}
	st.src.alerts = append(st.src.alerts, a)
}

// denied gives the prefixes that entries of ours deny.
func (st *stage) denied() []string {
	var out []string
	for _, e := range st.fw.Ours(demoACL) {
		out = append(out, e.Prefix.String())
	}
	slices.Sort(out)
	return out
}

func (st *stage) expectDenied(prefixes ...string) {
	st.t.Helper()
	if got := st.denied(); !slices.Equal(got, prefixes) {
		st.t.Errorf("denied are %v, want %v", got, prefixes)
	}
}

// operator is a person at a console of their own.
type operator struct {
	*screen
	st     *stage
	eng    *engine.Engine
	cancel context.CancelFunc
	ended  chan error
	inbox  chan tea.Msg
	done   chan struct{}
	rung   []string // what went to the terminal beside frames
}

// console starts an engine with a console at it.
func (st *stage) console(name string, mode policy.Mode, change ...func(*engine.Config)) *operator {
	st.t.Helper()
	p, err := policy.New(policy.Config{Mode: mode, Guard: policy.NewGuard(policy.BuiltIn(policy.RefusePrivate)), Watches: []policy.Watch{{RuleID: storyRule, Name: "Outbound to WAN"}},
		Targets: []policy.Target{{ACL: demoACL, Directions: []alert.Direction{alert.Outbound}}}})
	if err != nil {
		st.t.Fatal(err)
	}
	cfg := engine.Config{Source: st.src, Firewall: st.fw, Journal: st.log, Policy: p, ACLs: []engine.ACLConfig{{ID: demoACL, Name: "web"}}, Holder: name + "@soc:1"}
	for _, f := range change {
		f(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	eng, err := engine.New(ctx, cfg)
	if err != nil {
		st.t.Fatal(err)
	}
	o := &operator{st: st, eng: eng, cancel: cancel, ended: make(chan error, 1), inbox: make(chan tea.Msg), done: make(chan struct{})}
	o.screen = &screen{t: st.t, m: New(Config{Updates: eng.Updates(), Console: eng, Actor: name + "@soc", Theme: "mono", Location: time.UTC, Notify: Notify{Bell: true, OSC: true}})}
	go func() { o.ended <- eng.Run(ctx) }()
	st.t.Cleanup(o.leave)
	o.run(o.m.Init())
	o.take(tea.WindowSizeMsg{Width: 160, Height: 45})
	o.wait(2 * time.Second)
	return o
}

// leave ends console and engine as a signal does, at the end of every story.
func (o *operator) leave() {
	o.cancel()
	if err := <-o.ended; err != nil {
		o.st.t.Errorf("the engine ended: %v", err)
	}
	close(o.done)
	time.Sleep(time.Minute) // until the timers of the console have run out
}

// run does a command as Bubble Tea does: each in a goroutine.
func (o *operator) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		msg := cmd()
		if msg == nil {
			return
		}
		select {
		case o.inbox <- msg:
		case <-o.done:
		}
	}()
}

// take gives a message to the model.
func (o *operator) take(msg tea.Msg) {
	switch msg := msg.(type) {
	case tea.BatchMsg:
		for _, cmd := range msg {
			o.run(cmd)
		}
		return
	case tea.RawMsg:
		o.rung = append(o.rung, fmt.Sprint(msg.Msg))
		return
	}
	_, cmd := o.m.Update(msg)
	o.run(cmd)
}

// idle lets everything happen that needs no time.
func (o *operator) idle() {
	for {
		synctest.Wait()
		select {
		case msg := <-o.inbox:
			o.take(msg)
		default:
			return
		}
	}
}

// wait lets time pass.
func (o *operator) wait(d time.Duration) {
	end := time.After(d)
	for {
		select {
		case msg := <-o.inbox:
			o.take(msg)
		case <-end:
			o.idle()
			return
		}
	}
}

// press types keys half a second apart, each after a frame was drawn.
func (o *operator) press(keys ...string) {
	for _, k := range keys {
		o.wait(500 * time.Millisecond)
		o.frame()
		o.take(keyMsg(k))
		o.idle()
	}
}

// expectRow holds that a line of the screen shows all of these texts.
func (o *operator) expectRow(texts ...string) {
	o.t.Helper()
	f := o.frame()
	for _, l := range strings.Split(f, "\n") {
		all := true
		for _, x := range texts {
			all = all && strings.Contains(l, x)
		}
		if all {
			return
		}
	}
	o.t.Errorf("no row shows %q:\n%s", texts, f)
}

// expectPrompt holds that a question about this is open.
func (o *operator) expectPrompt(text string) {
	o.t.Helper()
	if o.m.dialog == nil {
		o.t.Fatalf("no question is open:\n%s", o.frame())
	}
	if !strings.Contains(o.frame(), text) {
		o.t.Errorf("the question is not about %q:\n%s", text, o.frame())
	}
}

func (o *operator) expectNoPrompt() {
	o.t.Helper()
	if o.m.dialog != nil {
		o.t.Errorf("a question is open:\n%s", o.frame())
	}
}

// expectRung holds that the terminal was told of this.
func (o *operator) expectRung(text string) {
	o.t.Helper()
	if !slices.ContainsFunc(o.rung, func(s string) bool { return strings.Contains(ansi.Strip(s)+s, text) }) {
		o.t.Errorf("nothing rang for %q: %q", text, o.rung)
	}
}

// proposal finds a proposal as another person's console knows it.
func (o *operator) proposal(prefix string) *engine.Proposal {
	for _, p := range o.m.live.Proposals {
		if p.Prefix == netip.MustParsePrefix(prefix) {
			return p
		}
	}
	return nil
}

// elsewhere decides as another process on the same journal would.
func (o *operator) elsewhere(prefix string, verb blocklist.Verb) {
	o.t.Helper()
	p := o.proposal(prefix)
	if p == nil {
		o.t.Fatalf("no proposal %s", prefix)
	}
	if err := o.eng.Decide(context.Background(), p.ID, blocklist.Decision{Verb: verb, Actor: "carol@soc", Reason: "known", Effect: p.Digest}); err != nil {
		o.t.Fatal(err)
	}
}
