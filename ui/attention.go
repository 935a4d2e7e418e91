package ui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

const (
	// ringPause is the least time between two calls for attention; what happens
	// meanwhile is told with the next one.
	ringPause = 30 * time.Second
	// awayAfter is how long no key must have come before a terminal that does not
	// report its focus counts as unattended.
	awayAfter = time.Minute
)

// Notify says how a console calls for attention.
type Notify struct {
	Bell, OSC bool
	Tmux      bool // wrap desktop notifications for the terminal around tmux
	Rxvt      bool // OSC 777 instead of OSC 9
}

// NewNotify gives what a setting (auto, bell, osc or off) means on this terminal.
func NewNotify(setting string, env func(string) string) Notify {
	term := env("TERM")
	plain := term == "linux" || term == "dumb" // these would show the sequence
	return Notify{
		Bell: setting == "auto" || setting == "bell",
		OSC:  (setting == "auto" || setting == "osc") && !plain,
		Tmux: env("TMUX") != "",
		Rxvt: env("VTE_VERSION") != "" || strings.HasPrefix(term, "rxvt") || strings.HasPrefix(term, "foot"),
	}
}

// sequence is what a terminal gets. The bell goes to tmux itself, which marks the
// window (monitor-bell); the text goes through it.
func (n Notify) sequence(text string) string {
	var b strings.Builder
	if n.OSC {
		seq := ansi.Notify(text)
		if n.Rxvt {
			seq = ansi.URxvtExt("notify", "selfprotect", strings.ReplaceAll(text, ";", ","))
		}
		if n.Tmux {
			seq = ansi.TmuxPassthrough(seq)
		}
		b.WriteString(seq)
	}
	if n.Bell {
		b.WriteByte('\a')
	}
	return b.String()
}

// attention finds what should reach somebody who is not looking, and tells it now
// and then. Its texts hold parsed addresses and our own words, nothing else.
type attention struct {
	reports bool // the terminal has reported its focus
	focused bool
	keyAt   time.Time // when somebody last pressed a key

	primed    bool // what was there at the start is no news
	proposals map[blocklist.ID]bool
	seenAt    time.Time // of the newest alert that was looked at
	stopped   bool
	stops     int // ACLs for which alone auto mode stopped
	stale     map[string]bool

	news   news
	rungAt time.Time
}

// news is what happened since somebody was told.
type news struct {
	pending, high int
	first         string // the first address or prefix among them
	stopped       bool
	stale         string // a source, by our own name for it
}

func (n news) empty() bool { return n == news{} }

// text says it in one line.
func (n news) text() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if n.stopped {
		add("auto mode stopped itself")
	}
	if n.stale != "" {
		add("%s stale", n.stale)
	}
	if n.high > 0 {
		add("%s of high severity", plural(n.high, "alert", "alerts"))
	}
	if n.pending > 0 {
		add("%s for you", plural(n.pending, "proposal waits", "proposals wait"))
	}
	text := strings.Join(parts, ", ")
	if n.first != "" {
		text += ": " + n.first
	}
	return text
}

// away says whether nobody is looking, as far as can be told.
func (a *attention) away(now time.Time) bool {
	if a.reports {
		return !a.focused
	}
	return now.Sub(a.keyAt) >= awayAfter
}

// focus takes a report of the terminal. Who looks sees the news.
func (a *attention) focus(focused bool) {
	a.reports, a.focused = true, focused
	a.news = news{}
}

// look compares a snapshot with what was there before.
func (a *attention) look(s *engine.Snapshot, now time.Time) {
	var n news
	found := make(map[blocklist.ID]bool, len(s.Proposals))
	for _, p := range s.Proposals {
		if p.Snoozed(now) {
			continue // it is news again when its time has come
		}
		found[p.ID] = true
		if !a.proposals[p.ID] {
			n.pending++
			if n.first == "" {
				n.first = p.Prefix.String()
			}
		}
	}
	a.proposals = found
	newest := a.seenAt
	for _, r := range s.Alerts {
		if !r.SeenAt.After(a.seenAt) {
			continue
		}
		if r.SeenAt.After(newest) {
			newest = r.SeenAt
		}
		if r.Severity == 1 {
			n.high++
			if n.first == "" && len(r.Sightings) > 0 {
				n.first = r.Sightings[0].Addr.String()
			}
		}
	}
	a.seenAt = newest
	n.stopped = s.Stopped && !a.stopped || len(s.StoppedFor) > a.stops
	a.stopped, a.stops = s.Stopped, len(s.StoppedFor)
	n.stale = a.newlyStale(s, now)
	if a.primed {
		a.add(n)
	}
	a.primed = true
}

// newlyStale names a source or the ACLs when their data has become too old.
func (a *attention) newlyStale(s *engine.Snapshot, now time.Time) string {
	stale := map[string]bool{}
	for _, src := range s.Sources {
		if staleSource(src, now) {
			stale["the alerts are"] = true
		}
	}
	for _, v := range s.ACLs {
		if staleACL(v, now) {
			stale["what is known of a network ACL is"] = true
		}
	}
	first := ""
	for what := range stale {
		if !a.stale[what] && (first == "" || what < first) {
			first = what
		}
	}
	a.stale = stale
	return first
}

func (a *attention) add(n news) {
	a.news.pending += n.pending
	a.news.high += n.high
	a.news.stopped = a.news.stopped || n.stopped
	if a.news.first == "" {
		a.news.first = n.first
	}
	if n.stale != "" {
		a.news.stale = n.stale
	}
}

// due gives the text to tell now; empty when there is none, somebody looks, or the
// last one is too fresh.
func (a *attention) due(now time.Time) string {
	switch {
	case a.news.empty():
		return ""
	case !a.away(now):
		a.news = news{}
		return ""
	case !a.rungAt.IsZero() && now.Sub(a.rungAt) < ringPause:
		return ""
	}
	text := a.news.text()
	a.news, a.rungAt = news{}, now
	return text
}

// ring calls for attention when there is cause.
func (m *Model) ring() tea.Cmd {
	if m.live != nil {
		m.att.look(m.live, m.now)
	}
	text := m.att.due(m.now)
	if text == "" {
		return nil
	}
	if seq := m.cfg.Notify.sequence(text); seq != "" {
		return tea.Raw(seq)
	}
	return nil
}

// programStatus is what terminals show of a program (OSC 7501): whether it waits
// for a person, fails, works, or does nothing.
func (m *Model) programStatus() *tea.ProgramStatus {
	st := &tea.ProgramStatus{State: tea.ProgramStateIdle, App: "selfprotect"}
	s := m.live
	waiting, _ := m.queue(s)
	switch {
	case m.leaving || s == nil:
	case m.ended:
		st.State, st.Message = tea.ProgramStateError, "the engine has stopped"
	case waiting > 0 && !s.ReadOnly:
		st.State, st.Kind = tea.ProgramStateBlocked, tea.ProgramStatusKindPermission
		st.Message = plural(waiting, "proposal waits", "proposals wait")
	case len(s.Problems) > 0 && s.Problems[0].Severity == engine.Fault:
		st.State, st.Message = tea.ProgramStateError, plural(len(s.Problems), "problem", "problems")
	case len(m.deciding) > 0 || inFlight(s) > 0:
		st.State = tea.ProgramStateWorking
	}
	return st
}

// inFlight counts the writes whose outcome is not known.
func inFlight(s *engine.Snapshot) int {
	n := 0
	for _, a := range s.ACLs {
		n += a.InFlight
	}
	return n
}
