package ui

import (
	"net/netip"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
)

// drawn is what the last frame showed. A key acts on that, whatever has come
// since. Everything that it points to is never written to.
type drawn struct {
	tab     tab
	row     string
	target  *target  // what the highlighted row is about; nil when it is nothing, or several
	targets []target // all of it
	ids     []string // the rows of the list, as filtered and sorted
	members map[string][]string
	marks   marks
	ix      *index
}

// target is one block that a decision is about, as it was shown.
type target struct {
	block   blocklist.ID
	digest  string          // of a proposal; empty for others
	after   blocklist.State // where an undo would leave it
	seal    string          // of what else was shown and is bound: the plan of an undo
	cidr    string
	prefix  netip.Prefix
	state   blocklist.State
	drifted bool
	pinned  bool
	cover   bool             // a grant to widen
	decided bool             // its last decision can be taken back
	high    bool             // an alert of high severity is behind it
	shown   *engine.Proposal // whose effect is decided
	// Of an alert that is archived: its id, how much of it and in which standing it was
	// shown, and its name in a question.
	alert  string
	extent blocklist.Extent
	filed  *blocklist.Archive
	about  string
}

// noteDrawn keeps what the frame that was just made shows.
func (m *Model) noteDrawn() {
	if p := m.prompt; p != nil && p.kind == promptCommand {
		m.drawn = p.drawn // what the palette acts on
		return
	}
	l := m.list()
	d := drawn{tab: m.tab, row: l.cursor, ids: l.ids, members: l.members, marks: m.marks[m.tab], ix: m.ix}
	d.targets = m.targetsOf(d.row)
	if m.pane == paneACL { // its entry is what stands out
		d.row, d.targets, d.marks = m.aclAt, nil, marks{}
		for _, id := range m.pickedBlocks() {
			if t := m.ix.target(id); t != nil {
				d.targets = append(d.targets, *t)
			}
		}
	}
	if len(d.targets) == 1 {
		d.target = &d.targets[0]
	}
	m.drawn = d
}

// targetsOf gives what a decision on a row of the list on the screen is about:
// nothing, one block, or all of a group or of an alert with several addresses.
func (m *Model) targetsOf(row string) []target {
	if m.snap == nil || row == "" {
		return nil
	}
	return m.ix.targets(m.tab, row, m.list().members)
}

// targets is targetsOf for any list.
func (ix *index) targets(t tab, row string, members map[string][]string) []target {
	rows, grouped := members[row]
	if !grouped {
		rows = []string{row}
	}
	var out []target
	seen := map[blocklist.ID]bool{}
	for _, r := range rows {
		for _, id := range ix.blocksOf(t, r) {
			if b := ix.target(id); b != nil && !seen[id] {
				seen[id] = true
				out = append(out, *b)
			}
		}
	}
	return out
}

// blocksOf gives the blocks of one row: of an alert those that wait, else all.
func (ix *index) blocksOf(t tab, row string) []blocklist.ID {
	switch t {
	case tabProposals, tabBlocks:
		return []blocklist.ID{blocklist.ID(row)}
	case tabLog:
		if l := ix.lines[row]; l != nil && l.Block != "" {
			return []blocklist.ID{l.Block}
		}
	case tabAlerts:
		if a := ix.alerts[row]; a != nil {
			return ix.blocksOfAlert(a)
		}
	}
	return nil
}

func (ix *index) blocksOfAlert(a *engine.AlertRow) []blocklist.ID {
	var pending, others []blocklist.ID
	for _, s := range a.Sightings {
		switch {
		case s.Block == "":
		case ix.proposals[s.Block] != nil:
			pending = append(pending, s.Block)
		case ix.blocks[s.Block] != nil:
			others = append(others, s.Block)
		}
	}
	if len(pending) > 0 {
		return pending
	}
	return others
}

// target gives a block as the snapshot has it; nil when it has none.
func (ix *index) target(id blocklist.ID) *target {
	if p := ix.proposals[id]; p != nil {
		return &target{block: id, digest: p.Digest, cidr: p.Prefix.String(), prefix: p.Prefix, state: blocklist.Pending,
			cover: p.Cover, decided: p.Before != nil, high: high(p.Severity), shown: p}
	}
	if b := ix.blocks[id]; b != nil {
		return &target{block: id, cidr: b.Prefix.String(), prefix: b.Prefix, state: b.State, drifted: ix.drifted[id],
			pinned: b.Pinned, cover: b.Cover, decided: b.Before != nil, high: high(b.Severity)}
	}
	return nil
}

// high says whether a severity of the source, 1 to 3, is the highest.
func high(severity int) bool { return severity == 1 }

// liveIndex finds what is true now, also while the view stands still.
func (m *Model) liveIndex() *index {
	if m.live == m.snap {
		return m.ix
	}
	if m.liveOf != m.live {
		m.liveIx, m.liveOf = newIndex(m.live), m.live
	}
	return m.liveIx
}

// rowChanged says that what was shown is not what is.
const rowChanged = "row changed, look again"

// changed says whether a target is not any more what was shown.
func (m *Model) changed(t target) bool {
	if t.alert != "" {
		return m.changedAlert(t)
	}
	now := m.liveIndex().target(t.block)
	return now == nil || now.state != t.state || now.digest != t.digest || now.pinned != t.pinned
}

// choice is what a decision is about: what is marked on the list, else what is
// highlighted, less what it does not fit or what has changed since it was drawn.
type choice struct {
	marked bool
	ok     []target
	left   []leftOut
}

// leftOut is a target on which a decision does not act.
type leftOut struct{ cidr, why string }

// choose gives what an action is about, from the last frame alone. When that is
// nothing it says why, and gives false.
func (m *Model) choose(a action) (choice, bool) {
	d := &m.drawn
	if m.live == nil || d.ix == nil {
		return choice{}, false
	}
	c := choice{marked: d.marks.len() > 0}
	ts := d.about(a)
	var hidden []leftOut
	if c.marked {
		ts, hidden = d.marked(a)
	} else if m.overlay == overlayNone && m.now.Sub(m.movedAt) < settleTime {
		m.say("another row has just come under the cursor, look again", true)
		return c, false
	}
	if a.loose && len(ts) == 0 && !c.marked && d.tab == m.tab { // its addresses, if no block is behind the row
		for _, p := range m.shownAddresses(d.row) {
			ts = append(ts, addressTarget(p))
		}
	}
	c.ok, c.left = m.sort(a, ts)
	c.left = append(c.left, hidden...)
	if len(c.ok) > 0 {
		return c, true
	}
	switch {
	case len(c.left) == 1:
		m.say(c.left[0].why, true)
	case c.marked && len(c.left) == 0:
		m.say("nothing to "+a.name+" among what is marked", true)
	case len(c.left) > 1:
		m.say("nothing to "+a.name+": "+c.left[0].cidr+": "+c.left[0].why, true)
	default:
		m.say("nothing to "+a.name+" on this row", true)
	}
	return c, false
}

// sort parts targets into those on which an action can act now and the others.
func (m *Model) sort(a action, ts []target) (ok []target, left []leftOut) {
	for _, t := range ts {
		why := a.whyNot(m, t)
		if !a.loose && m.changed(t) {
			why = rowChanged
		}
		if why == "" && m.deciding[t.block] {
			why = "wait: a decision on it is on its way"
		}
		if why != "" {
			left = append(left, leftOut{t.cidr, why})
			continue
		}
		ok = append(ok, t)
	}
	return ok, left
}

// wide says that a prefix is so wide that a person must type it.
func wide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 24
	}
	return p.Bits() < 48
}

// directionWord names the traffic that an entry stops.
func directionWord(d alert.Direction) string {
	if d == alert.Inbound {
		return "inbound"
	}
	return "outbound"
}

// effect says in plain lines what approving a target would do; nothing for others.
func (t target) effect() []string {
	if t.shown == nil {
		return nil
	}
	return effectText(t.shown)
}
