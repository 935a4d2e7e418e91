package ui

import (
	"fmt"
	"slices"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// awaited is an undo whose effect on the network ACLs is not read back yet.
type awaited struct {
	block blocklist.ID
	cidr  string
	since time.Time
}

// watch waits for what a read of the network ACLs says of targets.
func (m *Model) watch(_ blocklist.Verb, ts ...target) {
	for _, t := range ts {
		m.awaited = append(m.awaited, awaited{t.block, t.cidr, m.now})
	}
	if n := len(m.awaited) - maxMarked; n > 0 {
		m.awaited = m.awaited[n:]
	}
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
			said = w.cidr + " undone, " + text
			m.proven[w.block] = text
		}
		return text != ""
	})
	if said != "" {
		m.say(said, false)
	}
}

// provenOf says what the network ACLs hold of a block by a read that began after
// the decision; empty while that is not settled.
func (m *Model) provenOf(w awaited) string {
	b := m.liveIndex().block(w.block)
	if b == nil || m.deciding[w.block] {
		return ""
	}
	var at time.Time
	for _, t := range b.Targets {
		i := slices.IndexFunc(m.live.ACLs, func(a *engine.ACLView) bool { return a.ID == t.ACL })
		if i < 0 || !m.live.ACLs[i].ReadAt.After(w.since) {
			return ""
		}
		if r := m.live.ACLs[i].ReadAt; at.IsZero() || r.Before(at) {
			at = r
		}
	}
	if at.IsZero() {
		return ""
	}
	word := ""
	switch {
	case b.State == blocklist.Active && m.present(w.block):
		word = "present"
	case b.State != blocklist.Active && m.absent(b):
		word = "absent"
	default:
		return ""
	}
	return fmt.Sprintf("read back at %s: %s", at.In(m.cfg.Location).Format("15:04:05"), word)
}

// present says whether every entry of a block stands.
func (m *Model) present(id blocklist.ID) bool {
	v := m.liveIndex().blocks[id]
	return v != nil && !slices.ContainsFunc(v.Presence, func(p engine.Presence) bool { return p.Status != "present" && p.Status != "covered" })
}

// absent says whether no entry of ours denies exactly the prefix of a block.
func (m *Model) absent(b *blocklist.Block) bool {
	for _, a := range m.live.ACLs {
		for _, e := range a.Entries {
			if e.Owner == engine.Ours && e.Prefix == b.Prefix {
				return false
			}
		}
	}
	return true
}
