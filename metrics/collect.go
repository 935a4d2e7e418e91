package metrics

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/policy"
)

// collector makes metrics from the newest snapshot when they are asked for.
type collector struct{ m *Metrics }

// Describe tells nothing, as the labels depend on the configuration.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	e := emitter{out}
	cfg := c.m.cfg
	e.gauge("selfprotect_build_info", "What the program was built from.", 1, "version", label(cfg.Version), "commit", label(cfg.Commit), "go_version", label(cfg.Go))
	if cfg.Receivers != nil {
		e.receivers(cfg.Receivers())
	}
	s, ended := c.m.snapshot()
	e.gauge("selfprotect_up", "1 while the engine runs.", truth(s != nil && !ended))
	if s == nil {
		return
	}
	e.run(s)
	e.counts(s.Counts)
	for _, src := range s.Sources {
		e.source(src)
	}
	for _, a := range s.Access {
		e.access(a)
	}
	e.blocks(s)
	for _, a := range s.ACLs {
		e.acl(a)
		e.gauge("selfprotect_acl_auto_stopped", "1 when auto mode has stopped itself for this network ACL alone.", truth(slices.Contains(s.StoppedFor, a.ID)), "acl", label(a.ID))
	}
}

// emitter writes single metrics.
type emitter struct{ out chan<- prometheus.Metric }

func (e emitter) send(name, help string, kind prometheus.ValueType, v float64, pairs []string) {
	var names, values []string
	for i := 0; i+1 < len(pairs); i += 2 {
		names, values = append(names, pairs[i]), append(values, pairs[i+1])
	}
	m, err := prometheus.NewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, v, values...)
	if err == nil {
		e.out <- m
	}
}

func (e emitter) gauge(name, help string, v float64, pairs ...string) {
	e.send(name, help, prometheus.GaugeValue, v, pairs)
}

func (e emitter) counter(name, help string, v int, pairs ...string) {
	e.send(name, help, prometheus.CounterValue, float64(v), pairs)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// when gives seconds since 1970, 0 for never.
func when(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func (e emitter) run(s *engine.Snapshot) {
	e.gauge("selfprotect_snapshot_timestamp_seconds", "When the engine last said how it does.", when(s.At))
	mode := min(s.Base, s.Ceiling)
	for _, m := range []policy.Mode{policy.Observe, policy.Review, policy.Auto} {
		e.gauge("selfprotect_mode", "1 for the mode in effect for watches without one of their own.", truth(m == mode), "mode", m.String())
	}
	e.gauge("selfprotect_auto_stopped", "1 when a limit has stopped auto mode, until a person sets the mode.", truth(s.Stopped))
	e.gauge("selfprotect_read_only", "1 when this process never writes to AWS.", truth(s.ReadOnly))
	e.gauge("selfprotect_applying", "1 when this process applies changes, 0 when another one does.", truth(s.Holder == "" && !s.ReadOnly))
	e.gauge("selfprotect_guard_known", "1 when what must never be blocked was looked up.", truth(s.Guarded))
	e.gauge("selfprotect_journal_up", "1 when the journal works.", truth(s.JournalErr == ""))
	count := map[engine.Severity]int{}
	for _, p := range s.Problems {
		count[p.Severity]++
	}
	for _, sev := range []engine.Severity{engine.Warning, engine.Fault} {
		e.gauge("selfprotect_problems", "What is wrong now and a person should know.", float64(count[sev]), "severity", string(sev))
	}
}

func (e emitter) counts(c engine.Counts) {
	e.counter("selfprotect_polls_total", "Polls of the alert source that have ended.", c.Polls)
	e.counter("selfprotect_alerts_total", "Alerts that were new or have grown.", c.Alerts)
	e.counter("selfprotect_proposed_total", "Blocks that were proposed.", c.Proposed)
	e.counter("selfprotect_blocked_total", "Deny entries that were written and read back.", c.Blocked)
	e.counter("selfprotect_unblocked_total", "Deny entries that were removed and whose absence was read back.", c.Unblocked)
	e.counter("selfprotect_writes_total", "Changes of network ACLs that were begun.", c.Writes)
	e.counter("selfprotect_faults_total", "Faults of the source, of AWS and of writes.", c.Faults)
}

func (e emitter) source(s engine.SourceStatus) {
	name := label(s.Name)
	e.gauge("selfprotect_source_up", "1 when the last poll of the alert source was good.", truth(s.Err == ""), "source", name)
	e.gauge("selfprotect_source_last_success_timestamp_seconds", "When the last good poll ended; 0 before the first.", when(s.LastOK), "source", name)
	e.counter("selfprotect_source_requests_total", "Requests that were sent to the alert source, repeats counted.", s.Requests, "source", name)
	if s.Budget >= 0 {
		e.gauge("selfprotect_source_requests_left", "Requests that may still be sent in this minute.", float64(s.Budget), "source", name)
	}
	e.counter("selfprotect_source_skipped_total", "Alerts and events that could not be understood or kept.", s.Skipped, "source", name)
	e.gauge("selfprotect_source_clock_offset_seconds", "How far the clock of the alert source is ahead of ours.", s.ClockOffset.Seconds(), "source", name)
}

func (e emitter) access(a engine.Access) {
	l := []string{"region", label(a.Region), "account", label(a.Account)}
	e.gauge("selfprotect_credentials_up", "1 when AWS accepted the credentials when it was last asked.", truth(a.Err == ""), l...)
	if !a.Expires.IsZero() {
		e.gauge("selfprotect_credentials_expiry_timestamp_seconds", "When the AWS credentials expire, where that is known; some are renewed by themselves.", when(a.Expires), l...)
	}
}

// blocks counts the blocks by state. Ended ones are those that are still shown.
func (e emitter) blocks(s *engine.Snapshot) {
	states := map[blocklist.State]int{}
	snoozed := 0
	for _, p := range s.Proposals {
		states[blocklist.Pending]++
		if p.Snoozed(s.At) {
			snoozed++
		}
	}
	for _, b := range s.Blocks {
		states[b.State]++
	}
	for _, st := range []blocklist.State{blocklist.Pending, blocklist.Active, blocklist.Refused, blocklist.Undone, blocklist.Lapsed} {
		e.gauge("selfprotect_blocks", "Blocks by state: proposed ones wait for a decision, approved ones are in force; of ended ones those of late.",
			float64(states[st]), "state", string(st))
	}
	e.gauge("selfprotect_proposals_snoozed", "Of the proposed blocks those that were put off.", float64(snoozed))
	var oldest time.Time
	for _, p := range s.Proposals {
		if p.Snoozed(s.At) {
			continue
		}
		if oldest.IsZero() || p.ProposedAt.Before(oldest) {
			oldest = p.ProposedAt
		}
	}
	e.gauge("selfprotect_oldest_proposal_timestamp_seconds", "When the oldest block was proposed that still waits for a decision and was not put off; 0 when none does.", when(oldest))
}

func (e emitter) acl(a *engine.ACLView) {
	id := label(a.ID)
	e.gauge("selfprotect_acl_up", "1 when the last read of the network ACL was good.", truth(a.Err == "" && !a.ReadAt.IsZero()), "acl", id)
	e.gauge("selfprotect_acl_last_read_timestamp_seconds", "When the network ACL was last read; 0 before the first read.", when(a.ReadAt), "acl", id)
	e.gauge("selfprotect_acl_drifted_entries", "Entries of ours that somebody else removed and nobody has decided about.", float64(len(a.Drifted)), "acl", id)
	e.gauge("selfprotect_acl_writes_in_flight", "Changes whose outcome is not known yet.", float64(a.InFlight), "acl", id)
	for _, b := range a.Budgets {
		l := []string{"acl", id, "direction", b.Direction.String(), "family", strings.ToLower(b.Family.String())}
		g := func(name, help string, n int) { e.gauge("selfprotect_acl_"+name, help, float64(n), l...) }
		g("slots", "Entries of the quota that are ours to use.", b.Slots)
		g("slots_used", "Entries of ours.", b.Ours)
		g("slots_free", "Slots that are unused.", b.Free)
		g("foreign_entries", "Entries of others, the default deny counted.", b.Foreign)
		g("wanted", "Prefixes that should be denied.", b.Wanted)
		g("kept", "Of these, denied by an entry of ours, now or by the plan.", b.Kept)
		g("waiting", "Of these, left without a slot.", b.Waiting)
		g("cut_off_weight", "Weight of the lightest entry that keeps its slot; 0 when none waits.", b.CutOff)
	}
}

func (e emitter) receivers(list []Receiver) {
	for _, r := range list {
		name := label(r.Name)
		for _, x := range []struct {
			outcome string
			n       int
		}{{"sent", r.Sent}, {"failed", r.Failed}, {"dropped", r.Dropped}} {
			e.counter("selfprotect_notifications_total", "Messages by receiver and by what became of them; dropped counts events that were left out, not messages.", x.n, "receiver", name, "outcome", x.outcome)
		}
		e.gauge("selfprotect_receiver_up", "1 when the last message reached the receiver.", truth(r.Up), "receiver", name)
	}
}
