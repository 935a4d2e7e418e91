package ui

import (
	"fmt"
	"strconv"
	"strings"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
)

// index finds what a snapshot says of an id.
type index struct {
	alerts    map[string]*engine.AlertRow
	proposals map[blocklist.ID]*engine.Proposal
	blocks    map[blocklist.ID]*engine.BlockView
	lines     map[string]*engine.LogLine
	drifted   map[blocklist.ID]bool
	filed     int // alerts that are archived
}

func newIndex(s *engine.Snapshot) *index {
	ix := &index{proposals: map[blocklist.ID]*engine.Proposal{}, blocks: map[blocklist.ID]*engine.BlockView{}, drifted: map[blocklist.ID]bool{}}
	if s == nil {
		return ix
	}
	for _, p := range s.Proposals {
		ix.proposals[p.ID] = p
	}
	for _, b := range s.Blocks {
		ix.blocks[b.ID] = b
	}
	for _, a := range s.ACLs {
		for _, d := range a.Drifted {
			ix.drifted[d.Block] = true
		}
	}
	ix.alerts = make(map[string]*engine.AlertRow, len(s.Alerts))
	for _, a := range s.Alerts {
		ix.alerts[a.ID] = a
		if ix.archived(a) {
			ix.filed++
		}
	}
	ix.lines = make(map[string]*engine.LogLine, len(s.Log))
	for i := range s.Log {
		ix.lines[lineID(&s.Log[i])] = &s.Log[i]
	}
	return ix
}

func lineID(l *engine.LogLine) string { return strconv.FormatUint(l.ID, 10) }

// state is what a row says of itself: a word, its sign and its style.
type state struct {
	word, glyph string
	p           paint
}

// alertState says what became of an alert: what needs a person comes first.
func (m *Model) alertState(a *engine.AlertRow) state {
	if m.ix.archived(a) {
		return m.archivedState(a)
	}
	best, found := state{}, 99
	better := func(rank int, s state) {
		if rank < found {
			best, found = s, rank
		}
	}
	for _, s := range a.Sightings {
		rank, st := m.sightingState(s)
		better(rank, st)
	}
	switch {
	case found < 99:
		return best
	case a.Note != "" || a.Complete:
		return state{"no address", m.gl.none, m.th.dim}
	}
	return state{"reading", m.gl.none, m.th.dim}
}

// sightingState says what became of one address of an alert.
func (m *Model) sightingState(s blocklist.Sighting) (rank int, st state) {
	if p := m.ix.proposals[s.Block]; p != nil {
		return m.pendingState(&p.Block)
	}
	if b := m.ix.blocks[s.Block]; b != nil && s.Block != "" {
		return 1, m.blockState(b)
	}
	switch s.Outcome {
	case blocklist.OutcomeRefused:
		return 2, state{"refused", m.gl.refused, m.th.bad}
	case blocklist.OutcomeDenied:
		return 3, state{"denied", m.gl.none, m.th.dim}
	case blocklist.OutcomeIgnored:
		return 4, state{"ignored", m.gl.none, m.th.dim}
	}
	return 5, state{"ended", m.gl.none, m.th.dim}
}

// blockState says where a block stands, in one word.
func (m *Model) blockState(b *engine.BlockView) state {
	switch b.State {
	case blocklist.Refused:
		return state{"denied", m.gl.none, m.th.dim}
	case blocklist.Lapsed:
		return state{"expired", m.gl.none, m.th.dim}
	case blocklist.Undone:
		return state{"revoked", m.gl.none, m.th.dim}
	}
	worst := "present"
	order := map[string]int{"present": 0, "covered": 1, "writing": 2, "waiting": 3, "unknown": 4, "failed": 5, "drifted": 6}
	void, partly, there := false, false, 0
	for _, p := range b.Presence {
		if order[p.Status] > order[worst] {
			worst = p.Status
		}
		if p.Status == "present" || p.Status == "covered" {
			there++
		}
		void = void || p.Status == "present" && strings.HasPrefix(p.Note, "not effective")
		partly = partly || p.Status == "present" && strings.HasPrefix(p.Note, "partly effective")
	}
	switch {
	case b.Cover && there > 0:
		return state{"widened", m.gl.ours, m.th.good}
	case b.Cover:
		return state{"granted", m.gl.none, m.th.dim}
	case void:
		return state{"no effect", m.gl.refused, m.th.bad}
	case partly:
		return state{"in part", m.gl.refused, m.th.bad}
	case worst == "present", worst == "covered":
		return state{"blocked", m.gl.ours, m.th.good}
	case worst == "drifted":
		return state{"removed!", m.gl.drift, m.th.bad}
	case worst == "failed", worst == "unknown":
		return state{worst, m.gl.refused, m.th.bad}
	case there > 0:
		return state{fmt.Sprintf("on %d of %d", there, len(b.Presence)), m.gl.pending, m.th.warn}
	}
	return state{worst, m.gl.pending, m.th.warn}
}

// severityWord says a severity by sign and word.
func (m *Model) severityWord(sev int) (string, paint) {
	switch sev {
	case 1:
		return m.gl.high + " high", m.th.bad
	case 2:
		return m.gl.medium + " med", m.th.warn
	case 3:
		return m.gl.low + " low", m.th.dim
	}
	return m.gl.none + " -", m.th.dim
}

func (m *Model) arrow(d alert.Direction) string {
	if d == alert.Inbound {
		return m.gl.left
	}
	return m.gl.right
}
