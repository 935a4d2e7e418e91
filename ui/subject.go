package ui

import (
	"net/netip"
	"strings"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/engine"
)

// rowSubject is a row as a filter sees it. One is used for all rows in turn.
type rowSubject struct {
	m    *Model
	rec  record
	text string // what bare words look into, lower case; made when it is asked for
	word string // the state, likewise
}

func (s *rowSubject) set(r record, text, word string) { s.rec, s.text, s.word = r, text, word }

func (s *rowSubject) state() string {
	if s.word == "" {
		s.word = s.m.stateWordOf(&s.rec)
	}
	return s.word
}

// stateWordOf gives the state of a row in words, lower case.
func (m *Model) stateWordOf(r *record) string {
	switch {
	case r.alert != nil:
		return m.alertWord(r.alert)
	case r.proposal != nil:
		return m.pendingWord(&r.proposal.Block)
	case r.block != nil:
		word := m.blockState(r.block).word + " " + string(r.block.State)
		if r.block.Pinned {
			word += " pinned"
		}
		return word
	}
	return string(r.line.Severity)
}

func (s *rowSubject) shows(word string) bool {
	if s.text == "" {
		s.text = s.m.plainText(&s.rec)
	}
	return strings.Contains(s.text, word) || strings.Contains(s.state(), word)
}

// plainText is what bare words look into: all that a row may show but its state.
func (m *Model) plainText(r *record) string {
	if r.alert != nil {
		return alertText(r.alert)
	}
	var b strings.Builder
	add := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
			b.WriteByte('\n')
		}
	}
	if l := r.line; l != nil {
		add(l.Event, l.Text, l.Reason, l.Actor)
		return lower(b.String())
	}
	x := r.about()
	add(ruleName(r), x.Direction.String(), x.DecidedBy, x.Why)
	if r.proposal != nil {
		add(r.proposal.What())
	} else {
		add(r.block.What())
	}
	add(x.Reasons...)
	return lower(b.String())
}

// alertText is plainText of an alert. It depends on the alert alone.
func alertText(a *engine.AlertRow) string {
	var b strings.Builder
	add := func(p string) {
		if p != "" {
			b.WriteString(p)
			b.WriteByte('\n')
		}
	}
	add(string(a.Title))
	add(string(a.Host))
	add(a.RuleName)
	for _, s := range a.Sightings {
		add(s.Addr.String())
		add(s.Direction.String())
		for _, e := range s.Evidence {
			add(string(e.Process))
			add(string(e.User))
			add(string(e.Command))
			add(string(e.Container))
			add(string(e.Image))
		}
	}
	return lower(b.String())
}

func (s *rowSubject) holds(field, word string) bool {
	if field == "state" {
		return strings.Contains(s.state(), word)
	}
	has := func(texts ...string) bool {
		for _, t := range texts {
			if strings.Contains(lower(t), word) {
				return true
			}
		}
		return false
	}
	switch field {
	case "user", "process", "command", "container", "image":
		return s.evidence(func(e alert.Evidence) bool { return has(evidenceField(e, field)) })
	case "host":
		return s.onHost(has)
	case "rule":
		return has(ruleName(&s.rec), s.ruleID())
	}
	r := &s.rec
	switch {
	case r.alert != nil:
		return alertHolds(r.alert, field, has)
	case r.line != nil:
		return lineHolds(r.line, field, has)
	}
	return blockHolds(r, field, has)
}

func alertHolds(a *engine.AlertRow, field string, has func(...string) bool) bool {
	switch field {
	case "what":
		return has(string(a.Title))
	case "alert":
		return has(a.ID)
	case "addr":
		for _, s := range a.Sightings {
			if has(s.Addr.String()) {
				return true
			}
		}
	case "reason":
		for _, s := range a.Sightings {
			if has(s.Reasons...) {
				return true
			}
		}
		return has(a.Note)
	}
	return false
}

func blockHolds(r *record, field string, has func(...string) bool) bool {
	b := r.about()
	switch field {
	case "what", "addr":
		return has(b.Prefix.String())
	case "by":
		return has(b.DecidedBy, b.PinnedBy)
	case "reason":
		return has(b.Reasons...) || has(b.Why)
	case "alert":
		return has(b.Alerts...)
	case "acl":
		for _, t := range b.Targets {
			if has(t.ACL) {
				return true
			}
		}
	}
	return false
}

func lineHolds(l *engine.LogLine, field string, has func(...string) bool) bool {
	switch field {
	case "what":
		return has(l.Text)
	case "event":
		return has(l.Event)
	case "by":
		return has(l.Actor)
	case "reason":
		return has(l.Reason)
	case "acl":
		return has(l.ACL)
	case "alert":
		return has(l.Alert)
	case "addr":
		return l.Prefix.IsValid() && has(l.Prefix.String())
	}
	return false
}

func evidenceField(e alert.Evidence, field string) string {
	switch field {
	case "user":
		return string(e.User)
	case "process":
		return string(e.Process)
	case "command":
		return string(e.Command)
	case "container":
		return string(e.Container)
	}
	return string(e.Image)
}

func (s *rowSubject) ruleID() string {
	switch {
	case s.rec.alert != nil:
		return s.rec.alert.RuleID
	case s.rec.line != nil:
		return s.rec.line.RuleID
	}
	return s.rec.about().RuleID
}

// onHost looks into the names and ids of the hosts of a row.
func (s *rowSubject) onHost(has func(...string) bool) bool {
	if a := s.rec.alert; a != nil && has(string(a.Host), a.AgentID) {
		return true
	}
	if b := s.rec.about(); b != nil && has(b.Hosts...) {
		return true
	}
	return s.evidence(func(e alert.Evidence) bool { return has(string(e.Host)) })
}

// evidence says whether something holds for an event behind the row; behind a
// block are those of its alerts.
func (s *rowSubject) evidence(holds func(alert.Evidence) bool) bool {
	any := func(a *engine.AlertRow, of blocklist.ID) bool {
		for _, x := range a.Sightings {
			if of != "" && x.Block != of {
				continue
			}
			for _, e := range x.Evidence {
				if holds(e) {
					return true
				}
			}
		}
		return false
	}
	if s.rec.alert != nil {
		return any(s.rec.alert, "")
	}
	b := s.rec.about()
	if b == nil {
		return false
	}
	for _, id := range b.Alerts {
		if a := s.m.ix.alerts[id]; a != nil && any(a, b.ID) {
			return true
		}
	}
	return false
}

func (s *rowSubject) number(field string, meets func(int64) bool) bool {
	r := &s.rec
	switch field {
	case "age":
		t := r.when()
		return !t.IsZero() && meets(int64(s.m.now.Sub(t)))
	case "port":
		return s.evidence(func(e alert.Evidence) bool { return e.Port >= 0 && meets(int64(e.Port)) })
	case "dir":
		return s.directed(meets)
	case "sev":
		n := r.severity()
		return n > 0 && meets(n)
	case "weight":
		n := s.m.weightOf(r)
		return n > 0 && meets(n)
	case "events":
		return r.alert != nil && meets(int64(r.alert.Events))
	}
	b := r.about()
	if b == nil {
		return false
	}
	switch field {
	case "seen":
		return meets(int64(b.Sightings))
	case "hosts":
		return meets(int64(len(b.Hosts)))
	case "expires":
		return r.block != nil && b.State == blocklist.Active && !b.Pinned && meets(int64(b.Expires.Sub(s.m.now)))
	}
	return false
}

// when is the time that the age of a row counts from.
func (r *record) when() time.Time {
	switch {
	case r.alert != nil:
		return r.alert.CreatedAt
	case r.proposal != nil:
		return r.proposal.ProposedAt
	case r.block != nil:
		return r.block.DecidedAt
	}
	return r.line.At
}

func (r *record) severity() int64 {
	if r.alert != nil {
		return sevRank(r.alert.Severity)
	}
	if b := r.about(); b != nil {
		return sevRank(b.Severity)
	}
	return 0
}

func (s *rowSubject) directed(meets func(int64) bool) bool {
	of := func(d alert.Direction) bool {
		if d == alert.Inbound {
			return meets(dirIn)
		}
		return meets(dirOut)
	}
	if a := s.rec.alert; a != nil {
		for _, x := range a.Sightings {
			if of(x.Direction) {
				return true
			}
		}
		return false
	}
	if b := s.rec.about(); b != nil {
		return of(b.Direction)
	}
	n, ok := parseDirection(s.rec.line.Direction.String())
	return ok && meets(n)
}

func (s *rowSubject) within(p netip.Prefix) bool {
	if a := s.rec.alert; a != nil {
		for _, x := range a.Sightings {
			if p.Contains(x.Addr.Unmap()) {
				return true
			}
		}
		return false
	}
	if b := s.rec.about(); b != nil {
		return p.Overlaps(b.Prefix)
	}
	return s.rec.line.Prefix.IsValid() && p.Overlaps(s.rec.line.Prefix)
}

// firstAddress is the address that a row is sorted by.
func firstAddress(r *record) (netip.Addr, int, bool) {
	if a := r.alert; a != nil {
		if len(a.Sightings) == 0 {
			return netip.Addr{}, 0, false
		}
		x := a.Sightings[0].Addr
		return x, x.BitLen(), x.IsValid()
	}
	p := netip.Prefix{}
	if b := r.about(); b != nil {
		p = b.Prefix
	} else {
		p = r.line.Prefix
	}
	return p.Addr(), max(p.Bits(), 0), p.IsValid()
}
