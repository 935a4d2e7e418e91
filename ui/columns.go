package ui

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// record is one row of a list, of whichever kind.
type record struct {
	alert    *engine.AlertRow
	proposal *engine.Proposal
	block    *engine.BlockView
	line     *engine.LogLine
}

func (r *record) empty() bool { return *r == record{} }

// id is the id of the row.
func (r *record) id() string {
	switch {
	case r.alert != nil:
		return r.alert.ID
	case r.proposal != nil:
		return string(r.proposal.ID)
	case r.block != nil:
		return string(r.block.ID)
	case r.line != nil:
		return lineID(r.line)
	}
	return ""
}

// about is the block of a proposal or of a decided block; nil for others.
func (r *record) about() *blocklist.Block {
	switch {
	case r.proposal != nil:
		return &r.proposal.Block
	case r.block != nil:
		return &r.block.Block
	}
	return nil
}

// record finds a row by its id.
func (m *Model) record(t tab, id string) record {
	switch t {
	case tabAlerts:
		return record{alert: m.ix.alerts[id]}
	case tabProposals:
		return record{proposal: m.ix.proposals[blocklist.ID(id)]}
	case tabBlocks:
		return record{block: m.ix.blocks[blocklist.ID(id)]}
	}
	return record{line: m.ix.lines[id]}
}

// rank is a place in an order: by number, then by text.
type rank struct {
	n int64
	s string
}

// column is one thing that a list can show and be sorted by. Its name is that of
// the field which a filter asks for.
type column struct {
	name, head string
	width      int // in cells, with one between it and the next
	cell       func(*Model, *record) seg
	rank       func(*Model, *record) rank
	// down sorts the highest first, unless it is reversed.
	down bool
}

// columnsOf are all columns of a list, the usual ones first.
func columnsOf(t tab) []column {
	switch t {
	case tabAlerts:
		return alertColumns()
	case tabProposals:
		return proposalColumns()
	case tabBlocks:
		return blockColumns()
	}
	return logColumns()
}

func alertColumns() []column {
	plain := func(f func(*engine.AlertRow) string) (func(*Model, *record) seg, func(*Model, *record) rank) {
		return func(m *Model, r *record) seg { return seg{m.th.dim, f(r.alert)} },
			func(_ *Model, r *record) rank { return rank{s: lower(f(r.alert))} }
	}
	host, byHost := plain(func(a *engine.AlertRow) string { return string(a.Host) })
	rule, byRule := plain(func(a *engine.AlertRow) string { return a.RuleName })
	user, byUser := plain(func(a *engine.AlertRow) string { return firstEvidence(a).user })
	process, byProcess := plain(func(a *engine.AlertRow) string { return firstEvidence(a).process })
	alert, byAlert := plain(func(a *engine.AlertRow) string { return clean(a.ID) })
	return []column{
		{"state", "STATE", 13, func(m *Model, r *record) seg {
			st := m.alertState(r.alert)
			return seg{st.p, st.glyph + " " + st.word}
		}, func(m *Model, r *record) rank { return rank{s: m.alertState(r.alert).word} }, false},
		{"age", "AGE", 5, func(m *Model, r *record) seg { return seg{m.th.dim, age(m.now, r.alert.CreatedAt)} },
			func(_ *Model, r *record) rank { return rank{n: -r.alert.CreatedAt.UnixNano()} }, false},
		{"sev", "SEV", 7, func(m *Model, r *record) seg {
			word, p := m.severityWord(r.alert.Severity)
			return seg{p, word}
		}, func(_ *Model, r *record) rank { return rank{n: sevRank(r.alert.Severity)} }, true},
		{"addr", "ADDRESS", 22, func(m *Model, r *record) seg { return seg{m.th.plain, m.addresses(r.alert)} }, byAddress, false},
		{"host", "HOST", 15, host, byHost, false},
		{"what", "WHAT", 24, func(m *Model, r *record) seg { return seg{m.th.plain, what(r.alert)} },
			func(_ *Model, r *record) rank { return rank{s: lower(what(r.alert))} }, false},
		{"rule", "RULE", 18, rule, byRule, false},
		{"user", "USER", 10, user, byUser, false},
		{"process", "PROCESS", 18, process, byProcess, false},
		{"weight", "WEIGHT", 8, func(m *Model, r *record) seg { return seg{m.th.dim, number(m.weightOf(r))} },
			func(m *Model, r *record) rank { return rank{n: m.weightOf(r)} }, true},
		{"events", "EVENTS", 8, func(m *Model, r *record) seg { return seg{m.th.dim, fmt.Sprint(r.alert.Events)} },
			func(_ *Model, r *record) rank { return rank{n: int64(r.alert.Events)} }, true},
		{"alert", "ALERT", 18, alert, byAlert, false},
	}
}

func proposalColumns() []column {
	return []column{
		{"age", "WAITS", 7, func(m *Model, r *record) seg {
			if m.deciding[r.proposal.ID] {
				return seg{m.th.dim, m.gl.dots}
			}
			return seg{m.th.dim, age(m.now, r.proposal.ProposedAt)}
		}, func(_ *Model, r *record) rank { return rank{n: -r.proposal.ProposedAt.UnixNano()} }, false},
		{"weight", "WEIGHT", 8, func(m *Model, r *record) seg { return seg{m.th.warn, fmt.Sprint(r.proposal.Score.Total())} }, byWeight, true},
		{"addr", "PREFIX", 28, func(m *Model, r *record) seg {
			p := m.th.bold
			if m.notNow(r.proposal) != "" {
				p = m.th.dim
			}
			return seg{p, m.arrow(r.proposal.Direction) + " " + r.proposal.What()}
		}, byAddress, false},
		seenColumn(), hostsColumn(), ruleColumn(), sevColumn(),
		{"reason", "REASON", 30, func(m *Model, r *record) seg { return seg{m.th.dim, clean(strings.Join(r.proposal.Reasons, "; "))} },
			func(_ *Model, r *record) rank { return rank{s: strings.Join(r.proposal.Reasons, "; ")} }, false},
	}
}

func blockColumns() []column {
	return []column{
		{"state", "STATE", 12, func(m *Model, r *record) seg {
			st := m.blockState(r.block)
			return seg{st.p, st.glyph + " " + st.word}
		}, func(m *Model, r *record) rank { return rank{s: m.blockState(r.block).word} }, false},
		{"addr", "PREFIX", 28, func(m *Model, r *record) seg {
			return seg{m.th.plain, m.arrow(r.block.Direction) + " " + r.block.What()}
		}, byAddress, false},
		{"expires", "EXPIRES", 9, func(m *Model, r *record) seg { return seg{m.th.dim, m.remaining(r.block)} },
			func(m *Model, r *record) rank { return rank{n: expiry(r.block)} }, false},
		{"weight", "WEIGHT", 7, func(m *Model, r *record) seg { return seg{m.th.dim, fmt.Sprint(r.block.Score.Total())} }, byWeight, true},
		{"by", "BY", 12, func(m *Model, r *record) seg { return seg{m.th.dim, clean(r.block.DecidedBy)} },
			func(_ *Model, r *record) rank { return rank{s: lower(r.block.DecidedBy)} }, false},
		ruleColumn(),
		{"age", "DECIDED", 9, func(m *Model, r *record) seg { return seg{m.th.dim, age(m.now, r.block.DecidedAt)} },
			func(_ *Model, r *record) rank { return rank{n: -r.block.DecidedAt.UnixNano()} }, false},
		seenColumn(), hostsColumn(), sevColumn(),
		{"reason", "REASON", 30, func(m *Model, r *record) seg { return seg{m.th.dim, clean(r.block.Why)} },
			func(_ *Model, r *record) rank { return rank{s: lower(r.block.Why)} }, false},
	}
}

func logColumns() []column {
	return []column{
		{"age", "TIME", 10, func(m *Model, r *record) seg { return seg{m.th.dim, r.line.At.In(m.cfg.Location).Format("15:04:05")} },
			func(_ *Model, r *record) rank { return rank{n: -r.line.At.UnixNano()} }, false},
		{"event", "EVENT", 11, func(m *Model, r *record) seg { return seg{m.severityPaint(r.line), r.line.Event} },
			func(_ *Model, r *record) rank { return rank{s: r.line.Event} }, false},
		{"what", "WHAT", 40, func(m *Model, r *record) seg { return seg{m.th.plain, logText(r.line)} },
			func(_ *Model, r *record) rank { return rank{s: lower(r.line.Text)} }, false},
		{"by", "BY", 14, func(m *Model, r *record) seg { return seg{m.th.dim, clean(r.line.Actor)} },
			func(_ *Model, r *record) rank { return rank{s: lower(r.line.Actor)} }, false},
		{"addr", "PREFIX", 22, func(m *Model, r *record) seg {
			if !r.line.Prefix.IsValid() {
				return seg{m.th.dim, "-"}
			}
			return seg{m.th.dim, r.line.Prefix.String()}
		}, byAddress, false},
		{"acl", "ACL", 23, func(m *Model, r *record) seg { return seg{m.th.dim, clean(r.line.ACL)} },
			func(_ *Model, r *record) rank { return rank{s: r.line.ACL} }, false},
	}
}

func seenColumn() column {
	return column{"seen", "SEEN", 6, func(m *Model, r *record) seg { return seg{m.th.plain, fmt.Sprint(r.about().Sightings)} },
		func(_ *Model, r *record) rank { return rank{n: int64(r.about().Sightings)} }, true}
}

func hostsColumn() column {
	return column{"hosts", "HOSTS", 7, func(m *Model, r *record) seg { return seg{m.th.plain, fmt.Sprint(len(r.about().Hosts))} },
		func(_ *Model, r *record) rank { return rank{n: int64(len(r.about().Hosts))} }, true}
}

func ruleColumn() column {
	return column{"rule", "RULE", 18, func(m *Model, r *record) seg { return seg{m.th.dim, ruleName(r)} },
		func(_ *Model, r *record) rank { return rank{s: lower(ruleName(r))} }, false}
}

func sevColumn() column {
	return column{"sev", "SEV", 7, func(m *Model, r *record) seg {
		word, p := m.severityWord(r.about().Severity)
		return seg{p, word}
	}, func(_ *Model, r *record) rank { return rank{n: sevRank(r.about().Severity)} }, true}
}

func byWeight(m *Model, r *record) rank { return rank{n: m.weightOf(r)} }

// byAddress sorts by the first address, IPv4 first.
func byAddress(_ *Model, r *record) rank {
	a, bits, ok := firstAddress(r)
	if !ok {
		return rank{n: math.MaxInt64}
	}
	n := int64(a.BitLen())
	raw := a.AsSlice()
	return rank{n: n, s: string(append(raw, byte(bits)))}
}

// weightOf is the weight of a row; of an alert the highest of its blocks.
func (m *Model) weightOf(r *record) int64 {
	switch {
	case r.proposal != nil:
		return int64(r.proposal.Score.Total())
	case r.block != nil:
		return int64(r.block.Score.Total())
	case r.alert == nil:
		return 0
	}
	best := 0
	for _, s := range r.alert.Sightings {
		if p := m.ix.proposals[s.Block]; p != nil {
			best = max(best, p.Score.Total())
		} else if b := m.ix.blocks[s.Block]; b != nil {
			best = max(best, b.Score.Total())
		}
	}
	return int64(best)
}

func ruleName(r *record) string {
	switch {
	case r.alert != nil:
		return r.alert.RuleName
	case r.proposal != nil:
		return r.proposal.RuleName
	case r.block != nil:
		return r.block.RuleName
	}
	return clean(r.line.RuleID)
}

// sevRank orders the severities of the source, of which 1 is the highest.
func sevRank(severity int) int64 {
	if severity < 1 || severity > 3 {
		return 0
	}
	return int64(4 - severity)
}

// expiry orders blocks by their end; what has none comes last.
func expiry(b *engine.BlockView) int64 {
	if b.Pinned || b.State != blocklist.Active {
		return math.MaxInt64
	}
	return b.Expires.UnixNano()
}

func number(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// usualColumns are the columns of a list that nobody has chosen, by what there is
// room for.
func usualColumns(t tab, w int) []string {
	switch t {
	case tabAlerts:
		switch {
		case w < 56:
			return []string{"state", "age", "addr"}
		case w < 84:
			return []string{"state", "age", "sev", "addr", "what"}
		}
		return []string{"state", "age", "sev", "addr", "host", "what"}
	case tabProposals:
		if w < 56 {
			return []string{"age", "weight", "addr"}
		}
		return []string{"age", "weight", "addr", "seen", "hosts", "rule"}
	case tabBlocks:
		if w < 56 {
			return []string{"state", "addr"}
		}
		return []string{"state", "addr", "expires", "weight", "by", "rule"}
	}
	return []string{"age", "event", "what"}
}

// placed is a column with the cells that it has on the screen.
type placed struct {
	column
	cells int
}

// place gives the columns that there is room for. The last one takes what is left.
func place(t tab, names []string, w int) []placed {
	if len(names) == 0 {
		names = usualColumns(t, w)
	}
	all := columnsOf(t)
	var out []placed
	left := w - 1 // the mark stands in the first cell
	for _, name := range names {
		i := slices.IndexFunc(all, func(c column) bool { return c.name == name })
		if i < 0 {
			continue
		}
		c := placed{all[i], all[i].width}
		if t == tabAlerts && w >= 84 {
			switch name {
			case "addr":
				c.cells = 26
			case "host":
				c.cells = min(w/8, 20)
			}
		}
		if len(out) > 0 && c.cells > left && left < 8 {
			break
		}
		c.cells = min(c.cells, left)
		left -= c.cells
		out = append(out, c)
	}
	if n := len(out); n > 0 {
		out[n-1].cells += max(left, 0)
	}
	return out
}

// laidOut are the columns of one width, as most rows of a frame share them.
type laidOut struct {
	t     tab
	w     int
	names []string
	cells []placed
}

// cellsOf gives the columns of the list on the screen.
func (m *Model) cellsOf(w int) []placed {
	names := m.look[m.tab].Columns
	if l := &m.laid; l.cells == nil || l.t != m.tab || l.w != w || !slices.Equal(l.names, names) {
		*l = laidOut{m.tab, w, names, place(m.tab, names, w)}
	}
	return m.laid.cells
}

// columnNames are the names of the columns of a list.
func columnNames(t tab) []string {
	var out []string
	for _, c := range columnsOf(t) {
		out = append(out, c.name)
	}
	return out
}

// findColumn finds a column of a list by its name, or by another name of its
// field; nil when the list has none.
func findColumn(t tab, name string) *column {
	name = lower(name)
	if full, ok := fieldNames[name]; ok {
		name = full
	}
	if name == "cidr" {
		name = "addr"
	}
	for _, c := range columnsOf(t) {
		if c.name == name {
			return &c
		}
	}
	return nil
}

// listWidth is how wide the list on the screen is.
func (m *Model) listWidth() int {
	if m.w >= sideBySide {
		return m.w - m.aclWidth() - 1
	}
	return m.w
}
