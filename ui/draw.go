package ui

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
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
	lines := m.head()
	switch {
	case m.overlay == overlayHelp:
		lines = append(lines, m.page2("Help", m.helpLines())...)
	case m.overlay == overlayProblems:
		lines = append(lines, m.page2("What is wrong now, and what was", m.problemLines())...)
	case m.overlay == overlayCalls:
		lines = append(lines, m.page2("Calls that changed an ACL", m.callLines())...)
	case m.overlay == overlayCopied:
		lines = append(lines, m.page2("Sent to the clipboard", m.copiedLines())...)
	case m.overlay == overlayJob:
		lines = append(lines, m.pageOf("What was done", "j/k: scroll  U: take all of it back  any other key: back", m.jobLines())...)
	case m.snap == nil:
		lines = append(lines, m.loading()...)
	case m.overlay == overlayAllowed:
		lines = append(lines, m.pageOf("Never blocked, says a person", "d or enter: may be blocked again  esc: back", m.allowedPage())...)
	case m.overlay == overlayRecent:
		lines = append(lines, m.pageOf("What was decided lately", "U or enter: take it back  esc: back", m.recentPage())...)
	case m.overlay == overlayRow:
		lines = append(lines, m.pageOf(m.pageTitle(), "j/k: scroll  esc: back", m.rowPage())...)
	default:
		lines = append(lines, m.body()...)
		m.noteDrawn()
	}
	lines = append(m.withMatches(lines), m.footer())
	if m.dialog != nil {
		lines = m.overlayBox(lines)
	}
	return strings.Join(lines, "\n")
}

// head is what stands above everything.
func (m *Model) head() []string {
	if m.tight() {
		return []string{m.header(), m.trustLine(), m.banner()}
	}
	return []string{m.header(), m.banner()}
}

// bodyHeight is what lies between header and footer.
func (m *Model) bodyHeight() int {
	if m.tight() {
		return m.h - 4
	}
	return m.h - 3
}

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
	edge, _, pipe := m.edge()
	bar := edge.text(pipe)
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

// footer is the last line: the last result, and the keys that are valid now.
func (m *Model) footer() string {
	if m.prompt != nil {
		return m.promptLine()
	}
	var right []seg
	if m.toast.text != "" && m.now.Sub(m.toast.at) < toastTime {
		p := m.th.good
		if m.toast.bad {
			p = m.th.warn
		}
		right = []seg{{p, " " + cut(m.toast.text, m.w*3/5) + " "}}
	}
	left := m.hints()
	if m.overlay != overlayNone && m.overlay != overlayRow && m.dialog == nil {
		left = nil // a page says its keys at its top
	}
	return spread(m.w, left, right)
}

func (m *Model) windowTitle() string {
	if m.snap == nil {
		return "selfprotect"
	}
	badge, _ := m.modeBadge()
	title := "selfprotect " + strings.TrimSpace(badge)
	if n, _ := m.queue(m.snap); n > 0 {
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
	room := w - left - n
	tail := ansi.TruncateLeft(under, left+n, "")
	if visibleWidth(tail) > room { // a wide character under the edge is kept whole there
		tail = ansi.TruncateLeft(under, left+n+1, "")
	}
	head += strings.Repeat(" ", max(left-visibleWidth(head), 0))
	tail = strings.Repeat(" ", max(room-visibleWidth(tail), 0)) + tail
	return head + piece + tail
}

// rule is a titled line between panes.
func (m *Model) rule(w int, title string, focus bool, right string) string {
	p := m.th.title
	if focus {
		p = m.th.focus
	}
	edge, rule, _ := m.edge()
	segs := []seg{{edge, rule}, {p, " " + title + " "}}
	var end []seg
	if right != "" {
		end = []seg{{m.th.dim, " " + right + " "}}
	}
	left := w - segWidth(segs) - segWidth(end)
	if left > 0 {
		segs = append(segs, seg{edge, strings.Repeat(rule, left)})
	}
	return spread(w, segs, end)
}
