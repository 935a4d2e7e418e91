package engine

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
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
	s := &Snapshot{Version: v.version, At: t, Base: base, Ceiling: ceiling, ReadOnly: l.cfg.ReadOnly,
		Sources: []SourceStatus{l.sourceView()}, Counts: v.counts}
	if c := l.list.Ceiling(); c.Mode != 0 && c.Mode < policy.Auto {
		s.CeilingWhy, s.CeilingBy = clean(c.Reason), clean(c.Actor)
		s.Stopped = c.Actor == blocklist.EngineActor
	}
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
			c = rowCache{state: st, row: &AlertRow{AlertNote: st.Note, RuleName: l.ruleName(st.Note.RuleID), Sightings: st.Sightings, SeenAt: st.SeenAt}}
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
	v.Budgets = plan.Budgets
	for _, e := range a.live.Entries {
		v.Entries = append(v.Entries, l.entryView(a, lim, e))
	}
	for _, left := range plan.Left {
		v.Waiting = append(v.Waiting, WaitingView{Block: blocklist.ID(left.Candidate.Ref), Prefix: left.Candidate.Prefix,
			Direction: left.Candidate.Direction, Weight: left.Candidate.Weight, Why: left.Why})
	}
	for _, d := range l.list.Drifts(a.cfg.ID) {
		b, _ := l.blockFor(a.cfg.ID, d.Direction, d.Prefix)
		v.Drifted = append(v.Drifted, DriftView{Block: b.ID, Prefix: d.Prefix, Direction: toFirewall(d.Direction), Number: d.Number, Since: d.Since})
	}
	v.InFlight = len(l.list.Pending(a.cfg.ID))
	for _, numbers := range l.list.Resting(a.cfg.ID, l.rules()) {
		for n, until := range numbers {
			v.Quarantined[n] = until
		}
	}
	return v
}

func (l *loop) entryView(a *aclState, lim firewall.Limits, e firewall.Entry) EntryView {
	v := EntryView{Entry: e, Owner: Foreign, Effect: a.live.Effect(e)}
	low, high := cmp.Or(a.cfg.Low, 1), cmp.Or(a.cfg.High, 99)
	v.InRange = e.Number >= low && e.Number <= high
	switch {
	case e.Default():
		v.Owner = SystemOwn
	case lim.Owns(e):
		v.Owner = Ours
		if b, ok := l.blockFor(a.cfg.ID, toAlert(e.Direction), e.Prefix); ok && b.State == blocklist.Active {
			v.Block, v.Expires = b.ID, b.Expires
		}
	}
	return v
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
	slices.SortFunc(pending, func(a, b blocklist.Block) int {
		return cmp.Or(cmp.Compare(b.Rank(), a.Rank()), a.ProposedAt.Compare(b.ProposedAt), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(decided, func(a, b blocklist.Block) int {
		return cmp.Or(b.DecidedAt.Compare(a.DecidedAt), cmp.Compare(a.ID, b.ID))
	})
	proposals := make([]*Proposal, len(pending))
	for i, b := range pending {
		if i < previewed {
			proposals[i] = l.cachedPreview(b, t)
		} else {
			proposals[i] = &Proposal{Block: b, RuleName: l.ruleName(b.RuleID),
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
		views = append(views, &BlockView{Block: b, RuleName: l.ruleName(b.RuleID), Presence: l.presence(b, t)})
	}
	return proposals, views
}

// presence says for each ACL and direction where the entry of a block stands.
func (l *loop) presence(b blocklist.Block, t time.Time) []Presence {
	var out []Presence
	for _, target := range b.Targets {
		a := l.acl(target.ACL)
		for _, d := range target.Directions {
			p := Presence{ACL: target.ACL, Direction: toFirewall(d)}
			if a == nil {
				p.Status, p.Note = "unknown", "this ACL is not in the configuration"
			} else {
				l.presenceOn(&p, a, b, d, t)
			}
			out = append(out, p)
		}
	}
	return out
}

func (l *loop) presenceOn(p *Presence, a *aclState, b blocklist.Block, d alert.Direction, t time.Time) {
	if a.readAt.IsZero() {
		p.Status, p.Note = "unknown", "the ACL was not read yet"
		return
	}
	lim := l.limits(a, t)
	for _, e := range a.live.Entries {
		if e.Direction == p.Direction && e.Prefix == b.Prefix && lim.Owns(e) {
			p.Number, p.Status, p.Note = e.Number, "present", a.live.Effect(e)
			if b.State != blocklist.Active {
				p.Status = "removing"
			}
			return
		}
	}
	switch b.State {
	case blocklist.Active:
	case blocklist.Refused:
		p.Status = "none"
		return
	default:
		p.Status = "removed"
		return
	}
	for _, dr := range l.list.Drifts(a.cfg.ID) {
		if dr.Direction == d && dr.Prefix == b.Prefix {
			p.Number, p.Status, p.Note = dr.Number, "drifted", "somebody removed it"
			return
		}
	}
	for _, w := range l.list.Pending(a.cfg.ID) {
		if w.Direction == d && w.Prefix == b.Prefix && w.Op != blocklist.OpDelete {
			p.Number, p.Status = w.Number, "writing"
			if w.Unknown {
				p.Status, p.Note = "unknown", "the answer was lost"
			}
			return
		}
	}
	p.Status, p.Note = planned(l.planFor(a, t), p.Direction, b.Prefix)
}

// planned says what the plan has in mind for a prefix that has no entry.
func planned(plan firewall.Plan, dir firewall.Direction, pfx netip.Prefix) (status, note string) {
	match := func(c firewall.Candidate) bool { return c.Direction == dir && c.Prefix == pfx }
	for _, c := range plan.Covered {
		if match(c.Candidate) {
			return "covered", c.Note
		}
	}
	for _, c := range plan.Left {
		if match(c.Candidate) {
			return "waiting", c.Why
		}
	}
	for _, c := range plan.Refused {
		if match(c.Candidate) {
			return "failed", c.Why
		}
	}
	return "writing", ""
}
