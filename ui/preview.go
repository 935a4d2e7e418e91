package ui

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"selfprotect/engine"
	"selfprotect/firewall"
)

// effect says what an approval would do, line by line. No text from outside is in
// it: what stands beside a CIDR is ours.
func (m *Model) effect(w int, p *engine.Proposal) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, m.stepLines(w, s)...)
		if s.Innocent > 0 {
			out = append(out, m.indented(w, m.th.bold, "denies "+firewall.Innocent(s.Innocent, firewall.FamilyOf(s.Prefix))+" too")...)
		}
		if len(s.Admits) > 0 {
			out = append(out, m.indented(w, m.th.good, "lets in "+prefixList(s.Admits))...)
		}
	}
	out = append(out, m.indented(w, m.th.plain, m.lasts(p))...)
	out = append(out, m.indented(w, m.th.dim, askedBy(p)+repeated(p.Repeat))...)
	if m.snoozed(&p.Block) {
		out = append(out, m.indented(w, m.th.warn, m.snoozedNote(&p.Block))...)
	}
	out = append(out, m.elsewhere(w, p)...)
	if why := m.notNow(p); why != "" {
		for _, l := range wrap("not now: "+why, max(w-2, 1)) {
			out = append(out, line(w, seg{m.th.bad, " " + l}))
		}
	}
	return append(out, line(w, seg{m.th.rule, " " + strings.Repeat(m.gl.rule, max(w-2, 0))}))
}

// elsewhere says what else in the network ACLs an approval touches: entries with
// higher numbers that have no effect any more. What is guarded cannot be part of it.
func (m *Model) elsewhere(w int, p *engine.Proposal) []string {
	var out []string
	for _, s := range p.Steps {
		if s.Op == 0 {
			continue
		}
		for _, a := range m.snap.ACLs {
			if a.ID == s.ACL {
				out = append(out, m.shadowed(w, a, s)...)
			}
		}
	}
	if !m.snap.Guarded {
		out = append(out, m.indented(w, m.th.warn, "what must never be blocked was not looked up yet: nothing is written before")...)
	}
	return out
}

// shadowed names the entries that a new deny stands before, whole.
func (m *Model) shadowed(w int, a *engine.ACLView, s engine.Step) []string {
	entry := s.Prefix
	if s.Entry.IsValid() {
		entry = s.Entry
	}
	var out []string
	for _, e := range a.Entries {
		inside := e.Prefix.IsValid() && entry.Bits() <= e.Prefix.Bits() && entry.Contains(e.Prefix.Addr())
		if e.Direction != s.Direction || e.Number <= s.Number || e.Owner == engine.SystemOwn || !inside {
			continue
		}
		word := "allow"
		if e.Deny {
			word = "deny"
		}
		out = append(out, m.indented(w, m.th.bold, fmt.Sprintf("stands before entry %d, %s %s (%s), which then has no effect", e.Number, word, e.Prefix, e.Owner))...)
	}
	return out
}

// indented gives a text on lines of its own below a step.
func (m *Model) indented(w int, p paint, text string) []string {
	var out []string
	for _, l := range wrap(text, max(w-4, 1)) {
		out = append(out, line(w, seg{p, "   " + l}))
	}
	return out
}

// lasts says until when an approval now would block, and what.
func (m *Model) lasts(p *engine.Proposal) string {
	what := coveredBy(p.Prefix)
	if p.Cover {
		what = "lets entries inside this prefix deny addresses that no alert names, where slots are short"
	}
	return fmt.Sprintf("until %s, for %s; %s", m.until(m.now.Add(p.TTL)), spanLong(p.TTL), what)
}

// until names a time to come, with its day when that is not today.
func (m *Model) until(t time.Time) string {
	t, now := t.In(m.cfg.Location), m.now.In(m.cfg.Location)
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("Mon 2 Jan 15:04")
}

// askedBy says who wants it: a rule, or a person, whose reason is told elsewhere.
func askedBy(p *engine.Proposal) string {
	switch {
	case p.Cover:
		return "asked by the choice of entries"
	case p.RuleID == "":
		return "asked by a person"
	}
	return "asked by the rule " + p.RuleName
}

func repeated(n int) string {
	if n == 0 {
		return ", never blocked before"
	}
	return fmt.Sprintf(", blocked %s before, so it lives longer", plural(n, "time", "times"))
}

// stepLines is the effect on one ACL: the change and its CIDR first, never cut,
// and what belongs to it on the same line where there is room.
func (m *Model) stepLines(w int, s engine.Step) []string {
	sign, head, tail := stepParts(s)
	segs := []seg{{m.th.warn, " " + sign + " "}, {m.th.bold, head}}
	if rest := w - segWidth(segs) - 2; width(tail) <= rest {
		return []string{line(w, append(segs, seg{m.th.plain, "  " + tail})...)}
	}
	var out []string
	for i, l := range wrap(head, max(w-3, 1)) {
		if i > 0 {
			sign = strings.Repeat(" ", width(sign))
		}
		out = append(out, line(w, seg{m.th.warn, " " + sign + " "}, seg{m.th.bold, l}))
	}
	return append(out, m.indented(w, m.th.plain, tail)...)
}

// stepParts are the sign of a change, what it denies, and the rest.
func stepParts(s engine.Step) (sign, head, tail string) {
	if s.Op == 0 {
		tail = s.Note
		if tail == "" {
			tail = "nothing yet: the ACL was not read"
		}
		return "=", s.Prefix.String(), fmt.Sprintf("%s %s: %s", s.Direction, s.ACL, tail)
	}
	entry := s.Prefix
	if s.Entry.IsValid() {
		entry = s.Entry
	}
	tail = fmt.Sprintf("%s, entry %d, %s left after, on %s", s.Direction, s.Number, plural(s.SlotsAfter, "slot", "slots"), s.ACL)
	if len(s.Displaces) > 0 {
		tail = fmt.Sprintf("%s, entry %d, IN PLACE OF %s, %s left after, on %s", s.Direction, s.Number, prefixList(s.Displaces), plural(s.SlotsAfter, "slot", "slots"), s.ACL)
	}
	return s.Op.String(), "deny " + entry.String(), tail
}

// effectText says in plain lines what an approval would do.
func effectText(p *engine.Proposal) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, stepText(s))
	}
	return append(out, fmt.Sprintf("for %s, %s%s", spanLong(p.TTL), coveredBy(p.Prefix), repeated(p.Repeat)))
}

func stepText(s engine.Step) string {
	sign, head, tail := stepParts(s)
	if s.Innocent > 0 {
		tail += ", denies " + firewall.Innocent(s.Innocent, firewall.FamilyOf(s.Prefix)) + " too"
	}
	return sign + " " + head + "  " + tail
}

// coveredBy counts the addresses of a prefix.
func coveredBy(p netip.Prefix) string {
	bits := p.Addr().BitLen() - p.Bits()
	if bits == 0 {
		return "this one address, all protocols"
	}
	if bits > 20 {
		return fmt.Sprintf("2^%d addresses, all protocols", bits)
	}
	return fmt.Sprintf("%d addresses, all protocols", 1<<bits)
}

// together says what several approvals need of the slots; empty when there is
// room for all.
func (m *Model) together(ts []target) []string {
	type list struct {
		acl string
		dir firewall.Direction
		fam firewall.Family
	}
	need := map[list]int{}
	var order []list
	for _, t := range ts {
		p := m.ix.proposals[t.block]
		if p == nil {
			continue
		}
		for _, s := range p.Steps {
			if s.Op != firewall.Create {
				continue
			}
			k := list{s.ACL, s.Direction, firewall.FamilyOf(s.Prefix)}
			if need[k] == 0 {
				order = append(order, k)
			}
			need[k]++
		}
	}
	var out []string
	for _, k := range order {
		for _, a := range m.snap.ACLs {
			for _, b := range a.Budgets {
				if a.ID == k.acl && b.Direction == k.dir && b.Family == k.fam && b.Free < need[k] {
					out = append(out, fmt.Sprintf("Only %s free for %s %s on %s, and they need %d: the last ones displace others or wait.",
						plural(max(b.Free, 0), "slot is", "slots are"), k.dir, k.fam, k.acl, need[k]))
				}
			}
		}
	}
	return out
}
