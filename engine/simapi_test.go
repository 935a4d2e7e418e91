package engine

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"time"

	"selfprotect/alert"
	"selfprotect/sim"
	"selfprotect/threatstack"
)

// wireSource is the server of package sim, spoken to by the real client: requests
// are signed, tried again, and their answers verified and decoded. No socket is in
// between.
type wireSource struct {
	w      *simWorld
	server *sim.ThreatStack
}

var simAPI = sim.ThreatStackConfig{OrganizationID: "org-1", UserID: "user-1", APIKey: "a key of the simulation"}

func newWireSource(w *simWorld) *wireSource {
	cfg := simAPI
	cfg.Seed = w.seed
	s := &wireSource{w, sim.NewThreatStack(cfg)}
	for _, id := range []string{"agent-0", "agent-1", "agent-2"} { // the others are gone
		s.server.AddAgent(sim.Agent{ID: id, Hostname: id})
	}
	return s
}

// add lets the alert show at its time, and its later events at theirs.
func (s *wireSource) add(a simAlert) {
	wire := sim.Alert{ID: a.ID, Title: string(a.Title), CreatedAt: a.CreatedAt, Severity: a.Severity, AgentID: a.AgentID, RuleID: a.RuleID}
	if s.w.chance(0.3) { // the rule aggregates on the address of the first event
		name, addr := "dst_ip", a.Events[0].ConnDst
		if a.Events[0].Kind == "accept" {
			name, addr = "src_ip", a.Events[0].ConnSrc
		}
		wire.Aggregates = map[string]string{name: addr}
	}
	s.w.after(time.Until(a.shows), func() {
		s.server.AddAlert(wire)
		for i, e := range a.Events {
			if i > 0 && a.whole.After(time.Now()) {
				s.w.after(time.Until(a.whole), func() { s.server.AddEvent(a.ID, toWireEvent(a, e)) })
				continue
			}
			s.server.AddEvent(a.ID, toWireEvent(a, e))
		}
	})
}

func (s *wireSource) again(a simAlert) {
	e := a.Events[0]
	e.ID += "-again"
	s.server.AddEvent(a.ID, toWireEvent(a, e))
}

func toWireEvent(a simAlert, e alert.Event) sim.Event {
	src, dst := e.SrcPort, e.DstPort
	return sim.Event{ID: e.ID, Type: e.Kind, Syscall: e.Syscall, Time: e.Time, AgentID: a.AgentID, User: string(e.User), Exe: string(e.Process),
		Hostname: string(e.Host), Connection: &sim.Connection{SrcAddr: e.ConnSrc, SrcPort: &src, DstAddr: e.ConnDst, DstPort: &dst}}
}

// feed is the real client of one process.
func (s *wireSource) feed() (Source, func() SourceHealth) {
	c, err := threatstack.New(threatstack.Config{BaseURL: "https://api.test", OrganizationID: simAPI.OrganizationID, UserID: simAPI.UserID,
		APIKey: threatstack.Secret(simAPI.APIKey), RuleIDs: []string{rule}, Overlap: 40 * time.Minute, HTTP: sim.Transport(s.server),
		Jitter: s.w.upTo})
	if err != nil {
		s.w.fail("a client of the alert API: %v", err)
	}
	return &wireFeed{c, s}, func() SourceHealth {
		x := c.Status()
		return SourceHealth{Budget: x.BudgetLeft, Requests: x.Requests, ClockOffset: x.ClockOffset}
	}
}

type wireFeed struct {
	*threatstack.Client
	source *wireSource
}

// mostOfAPoll is how many alerts the loop of a simulation can take at once.
const mostOfAPoll = 200

var errEnough = errors.New("more alerts than one poll of the simulation takes")

// Alerts lets the server have the faults that the world draws, and holds that an
// answer that is not signed rightly feeds nothing.
func (f *wireFeed) Alerts(ctx context.Context, since time.Time) iter.Seq2[alert.Alert, error] {
	w := f.source.w
	return func(yield func(alert.Alert, error) bool) {
		w.count("poll over the wire")
		faults, forged := w.apiFaults()
		f.source.server.SetFaults(faults)
		before := f.source.server.Requests().Total
		n, failed := 0, false
		for a, err := range f.Client.Alerts(ctx, since) {
			failed = failed || err != nil
			if n++; n > mostOfAPoll && err == nil {
				yield(alert.Alert{}, errEnough)
				return
			}
			if !yield(a, err) {
				return
			}
		}
		if forged && !failed && f.source.server.Requests().Total > before {
			w.fail("a poll whose answers are not signed rightly succeeds")
		}
	}
}

// apiFaults draws what goes wrong in one poll; forged says that no answer is signed
// rightly.
func (w *simWorld) apiFaults() (f sim.ThreatStackFaults, forged bool) {
	f.ClockOffset = -w.ship.error() // the client has our clock, the server the true one
	if time.Now().Before(w.down) {
		f.Error, f.ErrorStatus = sim.Chance{Rate: 1}, http.StatusServiceUnavailable
		return f, false
	}
	if w.calm || !w.chance(w.odds.pollBreaks) {
		return f, false
	}
	w.count("paging broken")
	some := sim.Chance{Rate: w.rng.Float64()}
	switch w.rng.IntN(12) {
	case 0:
		f.Error = some
	case 1:
		f.Reset = some
	case 2:
		f.Abort = some
	case 3:
		f.Truncate = some
	case 4:
		f.HTML = some
	case 5:
		f.TooMany = sim.Chance{Next: 1}
	case 6:
		f.Unauthorized = some
	case 7:
		f.TokenLoop = true
	case 8:
		f.OffsetTokens, f.Order = true, []string{sim.OldestFirst, sim.Shuffled}[w.rng.IntN(2)]
	case 9:
		f.WrongMAC, forged = true, true
	case 10:
		f.WrongHash, forged = true, true
	case 11:
		f.Unsigned, forged = true, true
	}
	return f, forged
}
