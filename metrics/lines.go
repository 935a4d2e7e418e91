package metrics

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// Who has decided, as a label: names of people are none.
const (
	byAuto   = "auto"
	byPerson = "person"
	byEngine = "engine"
)

func by(actor string) string {
	switch actor {
	case blocklist.AutoActor:
		return byAuto
	case blocklist.EngineActor, "":
		return byEngine
	}
	return byPerson
}

// decisions are the events of the log that are decisions about blocks.
var decisions = []string{"approved", "denied", "revoked", "expired", "undone", "pinned", "unpinned", "snoozed", "allowed", "adopted"}

// line counts one line of the log.
func (m *Metrics) line(s *engine.Snapshot, l engine.LogLine) {
	switch {
	case l.Event == "refused":
		m.refused.WithLabelValues(refusalClass(l.Reason)).Inc()
	case l.Event == "blocked":
		m.blocked(s, l)
	case slices.Contains(decisions, l.Event):
		m.decided.WithLabelValues(l.Event, by(l.Actor)).Inc()
	}
}

// maxCounted bounds what is remembered of counted decisions.
const maxCounted = 20_000

// blocked counts how long each block took that an entry serves which was just read
// back: once for each decision of this run. What was decided before says nothing of
// this run.
func (m *Metrics) blocked(s *engine.Snapshot, l engine.LogLine) {
	created := map[string]time.Time{}
	for _, b := range s.Blocks {
		if b.State != blocklist.Active || b.DecidedAt.Before(m.began) || !served(b, l) {
			continue
		}
		key := string(b.ID) + " " + b.DecidedAt.UTC().Format(time.RFC3339Nano)
		if m.counted[key] {
			continue
		}
		if len(created) == 0 {
			for _, a := range s.Alerts {
				created[a.ID] = a.CreatedAt
			}
		}
		first := oldest(b.Alerts, created)
		if first.IsZero() {
			continue // a person asked for it, or the alert is forgotten
		}
		if len(m.counted) >= maxCounted {
			clear(m.counted)
		}
		m.counted[key] = true
		lag := l.At.Sub(first)
		for _, src := range s.Sources {
			lag += src.ClockOffset // creation is by the source's clock
		}
		m.lag.WithLabelValues(by(b.DecidedBy)).Observe(max(lag, 0).Seconds())
	}
}

// served says whether the entry of a line denies a block.
func served(b *engine.BlockView, l engine.LogLine) bool {
	return inside(l.Prefix, b.Prefix) && slices.ContainsFunc(b.Presence, func(p engine.Presence) bool {
		return p.ACL == l.ACL && p.Direction == l.Direction
	})
}

func inside(outer, inner netip.Prefix) bool {
	return outer.IsValid() && outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func oldest(ids []string, created map[string]time.Time) (first time.Time) {
	for _, id := range ids {
		if t, ok := created[id]; ok && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// refusalClasses are the classes of the guard's reasons, each with words that give
// it away; the last one is for all others.
var refusalClasses = []struct {
	name  string
	words []string
}{
	{"never_block", []string{"never_block"}},
	{"allowed", []string{"allowed by", "allowance"}},
	{"private", []string{"RFC 1918", "RFC 6598", "RFC 4193"}},
	{"own_network", []string{"the VPC's own network", "peered", "route"}},
	{"own_address", []string{"elastic IP", "public address of a watched host"}},
	{"service", []string{"the service at", "AWS service", "Amazon"}},
	{"ssh_peer", []string{"SSH session"}},
	{"reserved", []string{"loopback", "link-local", "multicast", "reserved", "unspecified", "broadcast", "NAT64", "6to4", "benchmarking", "IETF", "IPv4-compatible"}},
	{"other", nil},
}

func refusalClass(reason string) string {
	for _, c := range refusalClasses {
		if slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(reason, w) }) {
			return c.name
		}
	}
	return "other"
}
