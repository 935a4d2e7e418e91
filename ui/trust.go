package ui

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"selfprotect/engine"
	"selfprotect/policy"
)

// pollOverdue is how late a poll may be before its source counts as stale.
const pollOverdue = 30 * time.Second

// modeBadge says the mode in one unmistakable word.
func (m *Model) modeBadge() (string, paint) {
	s := m.snap
	switch {
	case s == nil:
		return " STARTING ", m.th.observe
	case s.ReadOnly:
		return " READ-ONLY ", m.th.observe
	case s.Stopped:
		return " AUTO STOPPED " + m.gl.right + " REVIEW ", m.th.stopped
	}
	switch highestMode(s) {
	case policy.Auto:
		if len(s.StoppedFor) == 1 {
			return " AUTO, STOPPED ON " + s.StoppedFor[0] + " ", m.th.stopped
		} else if n := len(s.StoppedFor); n > 0 {
			return fmt.Sprintf(" AUTO, STOPPED ON %d ACLS ", n), m.th.stopped
		}
		return " AUTO ", m.th.auto
	case policy.Review:
		return " REVIEW ", m.th.review
	}
	return " OBSERVE ", m.th.observe
}

// highestMode is the highest mode that any watched rule has now.
func highestMode(s *engine.Snapshot) policy.Mode {
	mode := min(s.Base, s.Ceiling)
	for _, src := range s.Sources {
		for i, w := range src.Watches {
			if i == 0 || w.Mode > mode {
				mode = w.Mode
			}
		}
	}
	return mode
}

// edge is how the lines between panes look: in auto mode they are double and in
// the colour of the mode.
func (m *Model) edge() (p paint, rule, pipe string) {
	if m.snap == nil || m.snap.ReadOnly || m.snap.Stopped || highestMode(m.snap) != policy.Auto {
		return m.th.rule, m.gl.rule, m.gl.pipe
	}
	if len(m.snap.StoppedFor) > 0 {
		return m.th.bad, m.gl.autoRule, m.gl.autoPipe
	}
	return m.th.warn, m.gl.autoRule, m.gl.autoPipe
}

// readOnly says whether this console may decide nothing.
func (m *Model) readOnly() bool { return m.snap != nil && m.snap.ReadOnly }

// production says whether anything here is production by the patterns of the
// configuration: a profile, an account, an ACL's name or id.
func (m *Model) production() bool {
	names := slices.Clone(m.cfg.Profiles)
	if m.snap != nil {
		for _, a := range m.snap.ACLs {
			names = append(names, a.Account, a.Name, a.ID)
		}
		names = append(names, m.accounts()...)
	}
	for _, pattern := range m.cfg.Production {
		if slices.ContainsFunc(names, func(n string) bool { ok, err := path.Match(pattern, n); return err == nil && ok && n != "" }) {
			return true
		}
	}
	return false
}

// freshForm is how much the header says of the age of data.
type freshForm int

const (
	freshLong  freshForm = iota // "alerts 3s ago, next poll in 7s"
	freshMid                    // "alerts 3s ago, next in 7s"
	freshShort                  // "alerts 3s, next 7s"
	freshTiny                   // "alerts 3s"
	freshBad                    // only what is stale
)

// headForm is how much the header says; the mode is in every one.
type headForm struct {
	title, place bool
	fresh        freshForm
}

// headForms are from the roomiest to the tightest.
var headForms = [...]headForm{{true, true, freshLong}, {true, true, freshMid}, {true, true, freshShort}, {false, true, freshShort}, {false, true, freshTiny},
	{false, false, freshTiny}, {true, false, freshBad}, {false, false, freshBad}}

// tight says that where we are and how old the data is have a line of their own.
func (m *Model) tight() bool { return m.w < sideBySide && m.h >= 14 }

// header is the first line: name, mode, what is special about this console, where
// it works, and how old the data is.
func (m *Model) header() string {
	for i, f := range headForms {
		if m.tight() && (f.place || f.fresh != freshBad) {
			continue
		}
		left, right := m.headLeft(f), m.headRight(f)
		if i == len(headForms)-1 || segWidth(left)+segWidth(right) < m.w {
			return m.headLine(left, right)
		}
	}
	return ""
}

// headLine joins the ends of the header; in production all of it has the colour
// of production, the mode excepted.
func (m *Model) headLine(left, right []seg) string {
	if segWidth(left)+segWidth(right) > m.w {
		right = nil // the mode stands at the left and is never cut off
	}
	fill := seg{paint{}, strings.Repeat(" ", max(m.w-segWidth(left)-segWidth(right), 0))}
	all := slices.Concat(left, []seg{fill}, right)
	if m.production() {
		for i := range all {
			if all[i].s != "" && !isBadge(all[i].s) {
				all[i].p = m.th.production
			}
		}
	}
	return line(m.w, all...)
}

// isBadge tells a word in capitals, which keeps its colour.
func isBadge(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 'A' && r <= 'Z' }) && strings.ToUpper(s) == s
}

func (m *Model) headLeft(f headForm) []seg {
	badge, p := m.modeBadge()
	name := " selfprotect "
	if f.title && m.cfg.Title != "" {
		name += clean(m.cfg.Title) + " "
	}
	out := []seg{{m.th.brand, name}, {p, badge}}
	if m.production() {
		out = append(out, seg{m.th.production, " PRODUCTION "})
	}
	if m.mask != nil {
		out = append(out, seg{m.th.observe, " MASKED "})
	}
	if m.paused {
		out = append(out, seg{m.th.warn, fmt.Sprintf(" PAUSED, %d newer", m.newer())})
	}
	if f.place {
		if place := m.place(); place != "" {
			out = append(out, seg{m.th.dim, "  " + place})
		}
	}
	return out
}

func (m *Model) headRight(f headForm) []seg {
	if m.snap == nil {
		return nil
	}
	return append(m.freshness(f.fresh), seg{m.th.dim, " "})
}

// place names account and region.
func (m *Model) place() string {
	a := m.currentACL()
	if a == nil {
		return ""
	}
	return strings.TrimSpace(a.Account + " " + a.Region)
}

// trustLine is the second line of a narrow console: where we are, and how old the
// data is.
func (m *Model) trustLine() string {
	if m.snap == nil {
		return line(m.w)
	}
	left := seg{m.th.dim, " " + m.place()}
	for f := freshShort; f < freshBad; f++ {
		right := append(m.freshness(f), seg{m.th.dim, " "})
		if width(left.s)+segWidth(right) < m.w {
			return spread(m.w, []seg{left}, right)
		}
	}
	right := append(m.freshness(freshTiny), seg{m.th.dim, " "})
	left.s, _, _ = strings.Cut(left.s[1:], " ") // the account alone
	return spread(m.w, []seg{{left.p, " " + left.s}}, right)
}

// newer counts the alerts that came since the view was frozen.
func (m *Model) newer() int {
	if m.live == nil || m.snap == nil {
		return 0
	}
	return max(len(m.live.Alerts)-len(m.snap.Alerts), 0)
}

// freshness says for each source and for the ACLs how old their data is, and how
// long the credentials last.
func (m *Model) freshness(f freshForm) []seg {
	var groups [][]seg
	for _, src := range m.snap.Sources {
		groups = append(groups, m.sourceAge(src, f))
	}
	groups = append(groups, m.aclAge(f), m.credentials(f))
	var out []seg
	for _, g := range groups {
		if len(g) == 0 {
			continue
		}
		if len(out) > 0 {
			sep := " " + m.gl.pipe + " "
			if f >= freshTiny {
				sep = "  "
			}
			out = append(out, seg{m.th.rule, sep})
		}
		out = append(out, g...)
	}
	return out
}

// staleSource says whether a source's data is older than it should be.
func staleSource(src engine.SourceStatus, now time.Time) bool {
	if src.LastOK.IsZero() && src.Err == "" {
		return false
	}
	return src.Err != "" || !src.NextPoll.IsZero() && now.Sub(src.NextPoll) > pollOverdue && !src.Polling
}

// staleACL says whether what is known of an ACL is too old to decide on.
func staleACL(a *engine.ACLView, now time.Time) bool {
	return a.Err != "" || !a.ReadAt.IsZero() && now.Sub(a.ReadAt) > engine.DefaultStale
}

// stale says how old stale data is.
func stale(now, at time.Time) string {
	if at.IsZero() {
		return "NEVER READ"
	}
	return "STALE " + age(now, at)
}

func (m *Model) sourceAge(src engine.SourceStatus, f freshForm) []seg {
	what := "alerts "
	if len(m.snap.Sources) > 1 {
		what = clean(src.Name) + " "
	}
	switch {
	case staleSource(src, m.now):
		return []seg{{m.th.bad, what + stale(m.now, src.LastOK)}}
	case f == freshBad:
		return nil
	case src.LastOK.IsZero():
		return []seg{{m.th.warn, what + "not read yet"}}
	}
	ago, next := "", ""
	if f <= freshMid {
		ago = " ago"
	}
	if d := src.NextPoll.Sub(m.now); d > 0 && f < freshTiny {
		next = map[freshForm]string{freshLong: ", next poll in ", freshMid: ", next in ", freshShort: ", next "}[f] + span(d+time.Second/2)
	}
	return []seg{{m.th.dim, what + age(m.now, src.LastOK) + ago + next}}
}

// aclAge is about the ACL that is shown, and about others when they are stale.
func (m *Model) aclAge(f freshForm) []seg {
	a := m.currentACL()
	if a == nil {
		return nil
	}
	var out []seg
	switch {
	case staleACL(a, m.now):
		out = []seg{{m.th.bad, "ACL " + stale(m.now, a.ReadAt)}}
	case f == freshBad:
	case a.ReadAt.IsZero():
		out = []seg{{m.th.warn, "ACL not read yet"}}
	case f <= freshMid:
		out = []seg{{m.th.dim, "ACL " + age(m.now, a.ReadAt) + " ago"}}
	default:
		out = []seg{{m.th.dim, "ACL " + age(m.now, a.ReadAt)}}
	}
	stale := 0
	for _, b := range m.snap.ACLs {
		if b != a && staleACL(b, m.now) {
			stale++
		}
	}
	if stale > 0 {
		out = append(out, seg{m.th.bad, fmt.Sprintf(" +%d STALE", stale)})
	}
	return out
}

func (m *Model) currentACL() *engine.ACLView {
	if m.snap == nil || len(m.snap.ACLs) == 0 {
		return nil
	}
	return m.snap.ACLs[min(m.acl, len(m.snap.ACLs)-1)]
}

// notNow says why a proposal cannot be approved now; empty when it can. The engine
// says it with its snapshot; this adds what has become too old since.
func (m *Model) notNow(p *engine.Proposal) string {
	if p.Blocked != "" || m.live == nil {
		return p.Blocked
	}
	for _, s := range p.Steps {
		for _, a := range m.live.ACLs {
			if a.ID == s.ACL && !a.ReadAt.IsZero() && m.now.Sub(a.ReadAt) > engine.DefaultStale {
				return fmt.Sprintf("what is known of %s is stale: it was last read %s ago", a.ID, spanLong(m.now.Sub(a.ReadAt)))
			}
		}
	}
	return ""
}

// banner is the second line: the worst that is wrong, what will be soon, else the
// notice; and at its end, where there is room, how the last day was.
func (m *Model) banner() string {
	if m.ended {
		return line(m.w, seg{m.th.bad, " the engine has stopped: nothing is watched any more; press q and start again"})
	}
	s := m.snap
	if s == nil || len(s.Problems) == 0 {
		text := m.cfg.Notice
		if s != nil && s.Holder != "" {
			text = "changes are applied by " + s.Holder + "; this console decides only"
		}
		if w := m.warning(); w != "" {
			return spread(m.w, []seg{{m.th.warn, " ! " + w}}, nil)
		}
		left := []seg{{m.th.dim, " " + clean(text)}}
		return spread(m.w, left, m.day(m.w-segWidth(left)))
	}
	p := s.Problems[0]
	style := m.th.warn
	if p.Severity == engine.Fault {
		style = m.th.bad
	}
	text := " ! " + p.Text
	if p.Hint != "" {
		text += " " + m.gl.right + " " + p.Hint
	}
	var right []seg
	if n := len(s.Problems); n > 1 {
		right = []seg{{m.th.dim, fmt.Sprintf("  %d more on ! ", n-1)}}
	}
	left := []seg{{style, text}}
	return spread(m.w, left, append(right, m.day(m.w-segWidth(left)-segWidth(right))...))
}
