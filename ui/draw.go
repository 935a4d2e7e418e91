package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"selfprotect/engine"
	"selfprotect/policy"
)

// Sizes of the layouts.
const (
	tooSmallW, tooSmallH = 40, 10
	sideBySide           = 80  // from here on list and network ACL stand side by side
	roomy                = 140 // from here on the network ACL has room for everything
)

// draw makes one frame and notes what it highlights.
func (m *Model) draw() string {
	if m.w <= 0 || m.h <= 0 {
		return ""
	}
	if m.w < tooSmallW || m.h < tooSmallH {
		return cut(fmt.Sprintf("too small: %dx%d, needs %dx%d", m.w, m.h, tooSmallW, tooSmallH), m.w)
	}
	m.drawn = drawn{}
	lines := []string{m.header(), m.banner()}
	switch {
	case m.overlay == overlayHelp:
		lines = append(lines, m.page2("Help", m.helpLines())...)
	case m.overlay == overlayProblems:
		lines = append(lines, m.page2("What is wrong now", m.problemLines())...)
	case m.overlay == overlayJob:
		lines = append(lines, m.pageOf("What was done", "j/k: scroll  U: take all of it back  any other key: back", m.jobLines())...)
	case m.snap == nil:
		lines = append(lines, m.loading()...)
	case m.overlay == overlayRecent:
		lines = append(lines, m.pageOf("What was decided lately", "U or enter: take it back  esc: back", m.recentPage())...)
	case m.overlay == overlayRow:
		lines = append(lines, m.pageOf(m.pageTitle(), "j/k: scroll  esc: back", m.rowPage())...)
	default:
		lines = append(lines, m.body()...)
		m.noteDrawn()
	}
	lines = append(lines, m.footer())
	if m.dialog != nil {
		lines = m.overlayBox(lines)
	}
	return strings.Join(lines, "\n")
}

// bodyHeight is what lies between header and footer.
func (m *Model) bodyHeight() int { return m.h - 3 }

func (m *Model) loading() []string {
	out := m.blank(m.bodyHeight())
	text := "waiting for the first look at the journal" + m.gl.dots
	if m.ended {
		text = "the engine has stopped; press q"
	}
	out[0] = line(m.w, seg{m.th.dim, "  " + text})
	return out
}

func (m *Model) blank(n int) []string {
	out := make([]string, max(n, 0))
	for i := range out {
		out[i] = strings.Repeat(" ", m.w)
	}
	return out
}

// body draws the list, the network ACL and the detail.
func (m *Model) body() []string {
	h := m.bodyHeight()
	detail := min(max(h*3/10, 6), 16)
	if h < 16 {
		detail = max(h/3, 2)
	}
	upper := h - detail
	var out []string
	switch {
	case m.w >= roomy: // room for the network ACL from top to bottom
		right := m.aclWidth()
		left := m.w - right - 1
		return m.beside(append(m.listPane(left, upper), m.detailPane(left, detail)...), m.aclPane(right, h))
	case m.w >= sideBySide:
		right := m.aclWidth()
		left := m.w - right - 1
		out = m.beside(m.listPane(left, upper), m.aclPane(right, upper))
	case m.pane == paneACL:
		m.listPane(m.w, upper)
		out = m.aclPane(m.w, upper)
	default:
		out = m.listPane(m.w, upper)
	}
	return append(out, m.detailPane(m.w, detail)...)
}

// beside puts two panes of the same height beside each other.
func (m *Model) beside(left, right []string) []string {
	bar := m.th.rule.text(m.gl.pipe)
	out := make([]string, len(left))
	for i := range left {
		out[i] = left[i] + bar + right[i]
	}
	return out
}

func (m *Model) aclWidth() int {
	switch {
	case m.w >= roomy:
		return min(m.w*36/100, 76)
	case m.w >= 110:
		return 44
	}
	return 33
}

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

// header is the first line: name, mode, account, how fresh the data is.
func (m *Model) header() string {
	badge, p := m.modeBadge()
	name := " selfprotect "
	if m.cfg.Title != "" {
		name += m.cfg.Title + " "
	}
	left := []seg{{m.th.brand, name}, {p, badge}, {m.th.plain, " "}}
	if m.snap == nil {
		return line(m.w, left...)
	}
	if a := m.currentACL(); a != nil && a.Account != "" && m.w >= 100 {
		left = append(left, seg{m.th.dim, " " + a.Account + " " + a.Region})
	}
	if m.paused {
		left = append(left, seg{m.th.warn, fmt.Sprintf("  PAUSED, %d newer", m.newer())})
	}
	// The mode is never cut off; how fresh the data is gives way.
	room := max(m.w-segWidth(left), 0)
	right := m.freshness()
	for segWidth(right) > room && len(right) > 0 {
		right = right[1:]
	}
	return spread(m.w, left, right)
}

// newer counts the alerts that came since the view was frozen.
func (m *Model) newer() int {
	if m.live == nil || m.snap == nil {
		return 0
	}
	return max(len(m.live.Alerts)-len(m.snap.Alerts), 0)
}

// freshness says for the source and the ACL how old their data is.
func (m *Model) freshness() []seg {
	var out []seg
	s := m.snap
	for _, src := range s.Sources {
		switch {
		case src.Err != "":
			out = append(out, seg{m.th.bad, "alerts stale " + age(m.now, src.LastOK)})
		case src.LastOK.IsZero():
			out = append(out, seg{m.th.warn, "alerts not read yet"})
		default:
			out = append(out, seg{m.th.dim, "alerts " + age(m.now, src.LastOK) + " ago"})
			if d := src.NextPoll.Sub(m.now); d > 0 && m.w >= 100 {
				out = append(out, seg{m.th.dim, ", next in " + span(d+time.Second/2)})
			}
		}
	}
	if a := m.currentACL(); a != nil {
		out = append(out, seg{m.th.rule, " " + m.gl.pipe + " "})
		switch {
		case a.Err != "":
			out = append(out, seg{m.th.bad, "ACL stale " + age(m.now, a.ReadAt)})
		case a.ReadAt.IsZero():
			out = append(out, seg{m.th.warn, "ACL not read yet"})
		default:
			out = append(out, seg{m.th.dim, "ACL " + age(m.now, a.ReadAt) + " ago"})
		}
	}
	return append(out, seg{m.th.dim, " "})
}

func (m *Model) currentACL() *engine.ACLView {
	if m.snap == nil || len(m.snap.ACLs) == 0 {
		return nil
	}
	return m.snap.ACLs[min(m.acl, len(m.snap.ACLs)-1)]
}

// banner is the second line: the worst that is wrong, else the notice.
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
		return line(m.w, seg{m.th.dim, " " + clean(text)})
	}
	p := s.Problems[0]
	style, sign := m.th.warn, "!"
	if p.Severity == engine.Fault {
		style = m.th.bad
	}
	text := " " + sign + " " + p.Text
	if p.Hint != "" {
		text += " " + m.gl.right + " " + p.Hint
	}
	var right []seg
	if n := len(s.Problems); n > 1 {
		right = []seg{{m.th.dim, fmt.Sprintf("  %d more on ! ", n-1)}}
	}
	return spread(m.w, []seg{{style, text}}, right)
}

// footer is the last line: the last result, and the keys that are valid now.
func (m *Model) footer() string {
	if m.filtering {
		return line(m.w, seg{m.th.key, " /"}, seg{m.th.bold, clean(m.filter) + "_"}, seg{m.th.dim, "  enter: keep  esc: clear"})
	}
	var right []seg
	if m.toast.text != "" && m.now.Sub(m.toast.at) < toastTime {
		p := m.th.good
		if m.toast.bad {
			p = m.th.warn
		}
		right = []seg{{p, " " + cut(m.toast.text, m.w*3/5) + " "}}
	}
	return spread(m.w, m.hints(), right)
}

func (m *Model) windowTitle() string {
	if m.snap == nil {
		return "selfprotect"
	}
	badge, _ := m.modeBadge()
	title := "selfprotect " + strings.TrimSpace(badge)
	if n := len(m.snap.Proposals); n > 0 {
		title = fmt.Sprintf("selfprotect (%d) %s", n, strings.TrimSpace(badge))
	}
	return title
}

// overlayBox puts the dialog over the middle of the frame, whole.
func (m *Model) overlayBox(lines []string) []string {
	box := m.box(m.w, len(lines))
	top := max((len(lines)-len(box))/2, 0)
	for i, b := range box {
		if top+i < len(lines) {
			lines[top+i] = over(lines[top+i], b, m.w)
		}
	}
	return lines
}

// over puts a piece over the middle of a line of w cells.
func over(under, piece string, w int) string {
	n := visibleWidth(piece)
	left := max((w-n)/2, 0)
	head := ansi.Truncate(under, left, "")
	tail := ansi.TruncateLeft(under, left+n, "")
	head += strings.Repeat(" ", max(left-visibleWidth(head), 0))
	tail = strings.Repeat(" ", max(w-left-n-visibleWidth(tail), 0)) + tail
	return head + piece + tail
}

// page2 is a page instead of the lists.
func (m *Model) page2(title string, text []string) []string {
	return m.pageOf(title, "j/k: scroll  any other key: back", text)
}

// pageOf is a page that says which keys it takes.
func (m *Model) pageOf(title, keys string, text []string) []string {
	h := m.bodyHeight()
	m.scroll[paneList] = max(0, min(m.scroll[paneList], len(text)-(h-1)))
	out := m.blank(h)
	out[0] = m.rule(m.w, title, true, keys)
	for i := 1; i < h; i++ {
		if at := i - 1 + m.scroll[paneList]; at < len(text) {
			out[i] = text[at]
		}
	}
	return out
}

// rule is a titled line between panes.
func (m *Model) rule(w int, title string, focus bool, right string) string {
	p := m.th.title
	if focus {
		p = m.th.focus
	}
	segs := []seg{{m.th.rule, m.gl.rule}, {p, " " + title + " "}}
	var end []seg
	if right != "" {
		end = []seg{{m.th.dim, " " + right + " "}}
	}
	left := w - segWidth(segs) - segWidth(end)
	if left > 0 {
		segs = append(segs, seg{m.th.rule, strings.Repeat(m.gl.rule, left)})
	}
	return spread(w, segs, end)
}

func (m *Model) problemLines() []string {
	if m.snap == nil || len(m.snap.Problems) == 0 {
		return []string{line(m.w, seg{m.th.good, "  nothing is wrong"})}
	}
	var out []string
	for _, p := range m.snap.Problems {
		style := m.th.warn
		if p.Severity == engine.Fault {
			style = m.th.bad
		}
		for i, l := range wrap(p.Text, m.w-14) {
			head := fit("  "+string(p.Severity), 12)
			if i > 0 {
				head = fit("", 12)
			}
			out = append(out, line(m.w, seg{style, head}, seg{m.th.plain, l}))
		}
		if p.Hint != "" {
			out = append(out, line(m.w, seg{m.th.dim, fit("", 12) + p.Hint}))
		}
	}
	return out
}
