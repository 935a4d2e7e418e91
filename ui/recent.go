package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// recentShown bounds the page of recent actions.
const recentShown = 50

// deed is one thing that was decided, here or elsewhere.
type deed struct {
	key   string
	at    time.Time
	actor string
	what  string // approved, denied …
	text  string
	block blocklist.ID
	last  bool // no later one is about its block
}

// isDecision says whether an event of the log is a decision.
func isDecision(event string) bool {
	switch event {
	case "approved", "denied", "revoked", "undone", "pinned", "unpinned", "restored", "snoozed", "woken", "allowed", "disallowed", "overridden", "enforced", "adopted", "archived", "unarchived", "escalated", "mode":
		return true
	}
	return false
}

// deeds are the last decisions of this console and of others, newest first, that
// the page is searched for.
func (m *Model) deeds() []deed {
	all := m.allDeeds()
	all = all[:min(len(all), recentShown)]
	return slices.DeleteFunc(all, func(d deed) bool { return !m.searched(d.what + " " + d.actor + " " + d.text) })
}

// allDeeds are all decisions that are known. What the log does not reach back to
// is told by the blocks.
func (m *Model) allDeeds() []deed {
	var out []deed
	seen := map[string]bool{}
	add := func(d deed) {
		d.key = fmt.Sprintf("%s %s %d", d.what, d.block, d.at.UnixNano())
		told := fmt.Sprintf("%s %d", d.block, d.at.UnixNano())
		if !seen[told] || d.block == "" {
			seen[told] = true
			out = append(out, d)
		}
	}
	for _, l := range slices.Backward(m.snap.Log) {
		if isDecision(l.Event) {
			add(deed{at: l.At, actor: clean(l.Actor), what: l.Event, text: because(l.Text, l.Reason), block: l.Block})
		}
	}
	for _, b := range m.snap.Blocks {
		if b.State != blocklist.Lapsed && !b.DecidedAt.IsZero() {
			add(deed{at: b.DecidedAt, actor: clean(b.DecidedBy), what: string(b.State), text: because(b.What()+" "+b.Direction.String(), clean(b.Why)), block: b.ID})
		}
	}
	slices.SortStableFunc(out, func(a, b deed) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.key, b.key)) })
	told := map[blocklist.ID]bool{}
	for i := range out {
		out[i].last = out[i].block != "" && !told[out[i].block]
		told[out[i].block] = true
	}
	return out
}

// searched says whether a text has what a page is searched for.
func (m *Model) searched(text string) bool {
	return m.search.text == "" || strings.Contains(lower(text), lower(m.search.text))
}

// openRecent shows the last decisions, from where they can be taken back.
func (m *Model) openRecent() tea.Cmd {
	if m.snap == nil {
		return nil
	}
	m.overlay, m.deedAt, m.scroll[paneList] = overlayRecent, "", 0
	return nil
}

// recentPage is the page of the last decisions. The cursor is a decision, not a
// place.
func (m *Model) recentPage() []string {
	list := m.deeds()
	m.noteDrawn()
	m.drawn.marks, m.drawn.targets, m.drawn.target, m.drawn.row = marks{}, nil, nil, ""
	if len(list) == 0 {
		return []string{line(m.w, seg{m.th.dim, "  nothing was decided yet"})}
	}
	at := m.deedIndex(list)
	var out []string
	first, last := 0, 0
	for i, d := range list {
		if i == at {
			first = len(out)
		}
		out = append(out, m.deedLines(d, i == at)...)
		if i == at {
			last = len(out)
		}
	}
	if t := m.undoable(list[at]); t != nil {
		m.drawn.row, m.drawn.targets, m.drawn.target = list[at].key, []target{*t}, t
	}
	h := m.bodyHeight() - 1
	m.scroll[paneList] = min(max(m.scroll[paneList], last-h), first)
	return out
}

// deedIndex finds the decision under the cursor; the first when it is gone.
func (m *Model) deedIndex(list []deed) int {
	return max(slices.IndexFunc(list, func(d deed) bool { return d.key == m.deedAt }), 0)
}

// undoable gives the target of a decision that is the last about its block and can
// be taken back.
func (m *Model) undoable(d deed) *target {
	if t := m.ix.target(d.block); d.last && t != nil && t.decided {
		return t
	}
	return nil
}

func (m *Model) deedLines(d deed, picked bool) []string {
	when := m.shortTime(d.at)
	head := []seg{{m.th.dim, " " + fit(when, 15)}, {m.th.bold, fit(d.what, 11)}, {m.th.dim, fit(d.actor, max(min(m.w/5, 24), 8)) + " "}}
	note := ""
	if m.undoable(d) != nil {
		note = " U "
	}
	room := max(m.w-segWidth(head)-width(note), 10)
	text := line(m.w, append(head, seg{m.th.plain, fit(d.text, room)}, seg{m.th.key, note})...)
	if picked {
		text = m.th.cursor.text(fit(stripped(text), m.w))
	}
	out := []string{text}
	if proof := m.proven[d.block]; proof != "" && d.what == "undone" {
		out = append(out, line(m.w, seg{m.th.good, "                undone, " + proof}))
	}
	if picked {
		for _, l := range wrap(d.text, max(m.w-18, 10)) {
			out = append(out, line(m.w, seg{m.th.dim, "                " + l}))
		}
	}
	return out
}

// shortTime is a time of today, or a date and a time.
func (m *Model) shortTime(t time.Time) string {
	t, now := t.In(m.cfg.Location), m.now.In(m.cfg.Location)
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("2 Jan 15:04")
}

func (m *Model) recentKey(name string) tea.Cmd {
	list := m.deeds()
	move := func(i int) {
		if len(list) > 0 {
			m.deedAt = list[max(0, min(i, len(list)-1))].key
		}
	}
	switch name {
	case "j", "down":
		move(m.deedIndex(list) + 1)
	case "k", "up":
		move(m.deedIndex(list) - 1)
	case "pgdown", "ctrl+d":
		move(m.deedIndex(list) + m.bodyHeight()/2)
	case "pgup", "ctrl+u":
		move(m.deedIndex(list) - m.bodyHeight()/2)
	case "g", "home":
		move(0)
	case "G", "end":
		move(len(list))
	case "esc", "q", "z":
		m.closePage()
	default:
		if b := m.keys.byKey[name]; name == "enter" || b != nil && b.action == "undo" {
			return m.undo()
		}
	}
	return nil
}

// awaited is an undo whose effect on the network ACLs is not read back yet.
type awaited struct {
	block blocklist.ID
	cidr  string
	since time.Time
	want  blocklist.State
}

// awaitLimit is how long an undo is waited for.
const awaitLimit = 30 * time.Minute

// watch waits for what a read of the network ACLs says of what was taken back.
func (m *Model) watch(ts ...target) {
	for _, t := range ts {
		m.unwatch(t.block)
		m.awaited = append(m.awaited, awaited{t.block, t.cidr, m.now, t.after})
	}
	if n := len(m.awaited) - maxMarked; n > 0 {
		m.awaited = m.awaited[n:]
	}
}

// unwatch stops that: the undo was refused, or is asked for again.
func (m *Model) unwatch(id blocklist.ID) {
	m.awaited = slices.DeleteFunc(m.awaited, func(w awaited) bool { return w.block == id })
	delete(m.proven, id)
}

// readBack says of each undo that is settled what the read of the network ACLs
// has shown.
func (m *Model) readBack() {
	if len(m.awaited) == 0 {
		return
	}
	var said string
	m.awaited = slices.DeleteFunc(m.awaited, func(w awaited) bool {
		text := m.provenOf(w)
		if text != "" {
			if len(m.proven) > maxMarked {
				clear(m.proven)
			}
			said = w.cidr + " undone, " + text
			m.proven[w.block] = text
		}
		return text != "" || m.now.Sub(w.since) > awaitLimit
	})
	if said != "" {
		m.say(said, false)
	}
}

// provenOf says what the network ACLs hold of a block by a read that was made
// after the decision; empty while that is not settled.
func (m *Model) provenOf(w awaited) string {
	b := m.liveIndex().block(w.block)
	if b == nil || m.deciding[w.block] || b.State != w.want {
		return ""
	}
	at := m.readOf(b)
	if !at.After(w.since) {
		return ""
	}
	word := "absent"
	switch {
	case b.State == blocklist.Active && m.present(w.block):
		word = "present"
	case b.State == blocklist.Active || !m.absent(b):
		return ""
	}
	return fmt.Sprintf("read back at %s: %s", at.In(m.cfg.Location).Format("15:04:05"), word)
}

// readOf is when the network ACLs of a block were read, the oldest of them; zero
// when one was not.
func (m *Model) readOf(b *blocklist.Block) time.Time {
	var at time.Time
	for _, t := range b.Targets {
		i := slices.IndexFunc(m.live.ACLs, func(a *engine.ACLView) bool { return a.ID == t.ACL })
		if i < 0 {
			return time.Time{}
		}
		if r := m.live.ACLs[i].ReadAt; at.IsZero() || r.Before(at) {
			at = r
		}
	}
	return at
}

// present says whether every entry of a block stands.
func (m *Model) present(id blocklist.ID) bool {
	v := m.liveIndex().blocks[id]
	return v != nil && !slices.ContainsFunc(v.Presence, func(p engine.Presence) bool {
		return p.Status != "present" && p.Status != "covered" && p.Status != "none"
	})
}

// absent says whether no entry of ours denies exactly the prefix of a block.
func (m *Model) absent(b *blocklist.Block) bool {
	for _, a := range m.live.ACLs {
		for _, e := range a.Entries {
			if e.Owner == engine.Ours && e.Prefix == b.Prefix && !slices.ContainsFunc(e.Serves, func(id blocklist.ID) bool { return id != b.ID }) {
				return false
			}
		}
	}
	return true
}
