package engine

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// endedShown is how many ended blocks a snapshot carries.
const endedShown = 200

// viewState is what the snapshots are made from beside the block list.
type viewState struct {
	rev         uint64 // grows with everything that can change a plan or a row
	dirty       bool
	publishedAt time.Time
	version     uint64

	lines        []LogLine
	linesChanged bool
	linesOut     []LogLine // as handed out, never changed
	lineID       uint64
	counts       Counts
	started      map[string]blocklist.Write // writes not settled, by id
	calls        []CallLine
	callsOut     []CallLine // as handed out, never changed; nil when calls has changed

	rows     map[string]rowCache
	previews map[blocklist.ID]previewCache

	index    map[netip.Prefix][]blocklist.Block
	indexRev uint64
}

type rowCache struct {
	state *blocklist.AlertState
	row   *AlertRow
}

type previewCache struct {
	rev uint64
	p   *Proposal
}

func newViewState() viewState {
	return viewState{rev: 1, dirty: true, started: map[string]blocklist.Write{},
		rows: map[string]rowCache{}, previews: map[blocklist.ID]previewCache{}}
}

// byPrefix indexes the blocks, anew when anything has changed.
func (v *viewState) byPrefix(l *loop) map[netip.Prefix][]blocklist.Block {
	if v.index == nil || v.indexRev != v.rev {
		v.index = map[netip.Prefix][]blocklist.Block{}
		for _, b := range l.list.Blocks() {
			v.index[b.Prefix] = append(v.index[b.Prefix], b)
		}
		v.indexRev = v.rev
	}
	return v.index
}

// publish hands out a new snapshot; one that nobody has taken is replaced.
func (l *loop) publish(t time.Time) {
	l.view.dirty = false
	l.view.publishedAt = t
	s := l.snapshot(t)
	for {
		select {
		case l.updates <- s:
			return
		default:
		}
		select {
		case <-l.updates:
		default:
		}
	}
}

func (l *loop) snapshot(t time.Time) *Snapshot {
	v := &l.view
	v.version++
	base, ceiling := l.policy.Modes()
	s := &Snapshot{Version: v.version, At: t, Base: base, Ceiling: ceiling, ReadOnly: l.cfg.ReadOnly, Guarded: l.guardKnown,
		JournalErr: l.journal.err, GuardShrunk: l.guardShrunk, Sources: []SourceStatus{l.sourceView()}, Counts: v.counts}
	if c := l.list.Ceiling(); c.Mode != 0 && c.Mode < policy.Auto {
		s.CeilingWhy, s.CeilingBy = clean(c.Reason), clean(c.Actor)
		s.Stopped = c.Actor == blocklist.EngineActor
	}
	s.StoppedFor = l.list.Stops()
	for _, a := range l.acls {
		s.ACLs = append(s.ACLs, l.aclView(a, t))
		if a.holder != "" {
			s.Holder = clean(a.holder)
		}
	}
	s.Alerts = l.alertRows()
	s.Proposals, s.Blocks = l.blockViews(t)
	if v.linesChanged {
		v.linesOut, v.linesChanged = slices.Clone(v.lines), false
	}
	s.Log = v.linesOut
	if v.callsOut == nil {
		v.callsOut = slices.Clone(v.calls)
	}
	s.Calls, s.Access, s.Allowances = v.callsOut, l.access, l.list.Allowances(l.expiryTime(t))
	s.Overrides = l.overrides(t)
	s.Problems = l.problems(t, s)
	return s
}

func (l *loop) sourceView() SourceStatus {
	s := l.source
	s.Watches = nil
	for _, w := range l.policy.Watches() {
		s.Watches = append(s.Watches, WatchView{RuleID: clean(w.RuleID), Name: clean(w.Name), Mode: l.policy.ModeOf(w.RuleID)})
	}
	return s
}

func (l *loop) ruleName(id string) string {
	for _, w := range l.policy.Watches() {
		if w.RuleID == id && w.Name != "" {
			return clean(w.Name)
		}
	}
	return clean(id)
}

func (l *loop) alertRows() []*AlertRow {
	states := l.list.Alerts()
	if len(states) > l.cfg.MaxAlerts {
		states = states[:l.cfg.MaxAlerts]
	}
	out := make([]*AlertRow, len(states))
	for i, st := range states {
		c, ok := l.view.rows[st.Note.ID]
		if !ok || c.state != st {
			c = rowCache{state: st, row: &AlertRow{AlertNote: st.Note, RuleName: l.ruleName(st.Note.RuleID), Sightings: st.Sightings, SeenAt: st.SeenAt, Archive: st.Archive}}
			l.view.rows[st.Note.ID] = c
		}
		out[i] = c.row
	}
	if len(l.view.rows) > 2*len(states)+100 {
		clear(l.view.rows) // rows of alerts that were dropped
	}
	return out
}

func (l *loop) aclView(a *aclState, t time.Time) *ACLView {
	v := &ACLView{ID: a.cfg.ID, Name: clean(cmp.Or(a.cfg.Name, a.live.Name)), Account: a.live.Account, Region: a.live.Region, VPC: a.live.VPC,
		Subnets: a.live.Subnets, ReadAt: a.readAt, Err: a.err, Warnings: a.live.Warnings, Quarantined: map[int]time.Time{}}
	if a.readAt.IsZero() {
		return v
	}
	lim := l.limits(a, t)
	plan := l.planFor(a, t)
	v.Budgets, v.Changes = plan.Budgets, plan.Changes
	v.Quota, v.QuotaFrom = a.quotaNow(t)
	for _, e := range a.live.Entries {
		v.Entries = append(v.Entries, l.entryView(a, lim, plan, e))
	}
	for _, left := range plan.Left {
		v.Waiting = append(v.Waiting, l.waitingView(left, t))
	}
	for _, d := range l.list.Drifts(a.cfg.ID) {
		b, _ := l.blockFor(a.cfg.ID, d.Direction, d.Prefix)
		v.Drifted = append(v.Drifted, DriftView{Block: b.ID, Prefix: d.Prefix, Direction: toFirewall(d.Direction), Number: d.Number, Since: d.Since})
	}
	v.InFlight = len(l.list.Pending(a.cfg.ID))
	for _, numbers := range l.list.Resting(t, a.cfg.ID, l.rules()) {
		for n, until := range numbers {
			v.Quarantined[n] = until
		}
	}
	return v
}

func (l *loop) waitingView(left firewall.Left, t time.Time) WaitingView {
	v := WaitingView{Block: blocklist.ID(left.Candidate.Ref), Prefix: left.Candidate.Prefix, Direction: left.Candidate.Direction,
		Weight: left.Candidate.Weight, Why: left.Why, Next: left.Next, Shadowed: left.Shadowed}
	if b, ok := l.list.Block(v.Block); ok {
		v.Score, v.Missed = b.Score(t), b.Missed
	}
	return v
}

func (l *loop) entryView(a *aclState, lim firewall.Limits, plan firewall.Plan, e firewall.Entry) EntryView {
	v := EntryView{Entry: e, Owner: Foreign, Effect: a.live.EffectOf(e)}
	low, high := a.numbers()
	v.InRange = e.Number >= low && e.Number <= high
	switch {
	case e.Default():
		v.Owner = SystemOwn
	case lim.Owns(e):
		v.Owner = Ours
		for _, k := range slices.Concat(plan.Kept, plan.Void) {
			if k.Entry.Number == e.Number && k.Candidate.Direction == e.Direction {
				l.serve(&v, k)
			}
		}
	}
	return v
}

// serve adds a block to the view of its entry.
func (l *loop) serve(v *EntryView, k firewall.Placed) {
	id := blocklist.ID(k.Candidate.Ref)
	v.Serves = append(v.Serves, id)
	v.Weight += k.Candidate.Weight
	v.Innocent = max(v.Innocent, k.Innocent)
	v.Pinned = v.Pinned || k.Candidate.Pinned
	b, ok := l.list.Block(id)
	if len(v.Serves) == 1 {
		v.Block = id // the best, as the plan is sorted
	}
	if ok && (v.Expires.IsZero() || b.Expires.After(v.Expires)) {
		v.Expires = b.Expires
	}
}

// blockViews gives the proposals, best first, and the decided blocks, newest
// decision first.
func (l *loop) blockViews(t time.Time) ([]*Proposal, []*BlockView) {
	var pending, decided []blocklist.Block
	for _, b := range l.list.Blocks() {
		if b.State == blocklist.Pending {
			pending = append(pending, b)
		} else {
			decided = append(decided, b)
		}
	}
	rank := map[blocklist.ID]int{}
	for _, b := range pending {
		rank[b.ID] = b.Score(t).Total()
	}
	later := func(b blocklist.Block) int { // what was put off comes last
		if b.Snoozed(t) {
			return 1
		}
		return 0
	}
	slices.SortFunc(pending, func(a, b blocklist.Block) int {
		return cmp.Or(later(a)-later(b), cmp.Compare(rank[b.ID], rank[a.ID]), a.ProposedAt.Compare(b.ProposedAt), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(decided, func(a, b blocklist.Block) int {
		return cmp.Or(b.DecidedAt.Compare(a.DecidedAt), cmp.Compare(a.ID, b.ID))
	})
	proposals := make([]*Proposal, len(pending))
	for i, b := range pending {
		if i < previewed {
			proposals[i] = l.cachedPreview(b, t)
		} else {
			proposals[i] = &Proposal{Block: b, Score: b.Score(t), RuleName: l.ruleName(b.RuleID),
				Blocked: fmt.Sprintf("its effect is shown once it is among the first %d", previewed)}
		}
	}
	var views []*BlockView
	ended := 0
	for _, b := range decided {
		if b.State != blocklist.Active {
			if ended++; ended > endedShown {
				continue
			}
		}
		views = append(views, &BlockView{Block: b, Score: b.Score(t), RuleName: l.ruleName(b.RuleID), Presence: l.presence(b, t)})
	}
	return proposals, views
}
