package ui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// tab is one of the lists.
type tab int

const (
	tabAlerts tab = iota
	tabProposals
	tabBlocks
	tabLog
	tabCount
)

// pane is what the movement keys move.
type pane int

const (
	paneList pane = iota
	paneACL
	paneDetail
	paneCount
)

const (
	// settleTime is how long a row must have been highlighted before a decision
	// counts, when it came under the cursor by itself.
	settleTime = 500 * time.Millisecond
	// toastTime is how long a result stays on the last line.
	toastTime = 8 * time.Second
	// decideTimeout bounds one decision.
	decideTimeout = 20 * time.Second
)

// Model is the console. It is the only tea.Model.
type Model struct {
	cfg  Config
	th   theme
	gl   glyphs
	dark bool
	keys *keymap

	w, h int
	now  time.Time
	live *engine.Snapshot // the newest
	snap *engine.Snapshot // the one that is shown: live, or frozen while paused
	ix   *index           // of snap

	tab      tab
	pane     pane
	lists    [tabCount]list
	marks    [tabCount]marks
	acl      int    // which ACL is shown
	aclAt    string // the line of it under the cursor
	aclIdx   int
	linkedTo linkage
	linked   map[string]bool // rows that belong to that line
	allowAt  string          // the prefix under the cursor of what is never blocked
	deedAt   string          // the decision under the cursor of the recent ones
	pageRow  string          // the row that has a page
	scroll   [paneCount]int

	filter    string // in force, and understood
	query     query
	look      [tabCount]arrangement
	groups    [tabCount]map[string]*group
	unfolded  [tabCount]map[string]bool   // the groups that are open
	inside    [tabCount]map[string]string // rows of open groups: their group
	stale     [tabCount]bool              // lists that are arranged when they are looked at
	prompt    *prompt
	histories [promptCommand]history
	prefix    string // the first key of a sequence, while the second is awaited

	views      []View
	fixedViews int     // of these, from the configuration
	view       int     // which is open, from 1; 0 is none
	before     outside // how its list was before
	changes    []func(*kept)
	tally      []int // rows of each view in tallyAt
	tallyAt    *engine.Snapshot
	facts      []facts // of the alerts of factsAt
	factsAt    *engine.Snapshot
	words      []string // the states of the alerts of wordsAt
	wordsAt    *engine.Snapshot
	laid       laidOut
	lines      []*engine.LogLine // of linesAt
	linesAt    *engine.Snapshot
	paused     bool
	dialog     *dialog
	overlay    overlay
	job        *job                    // the last decision about several
	awaited    []awaited               // undos that are not read back yet
	proven     map[blocklist.ID]string // what was read back of undos
	pressed    string                  // the key that is being handled

	// movedAt is when another row came under the cursor by itself.
	movedAt  time.Time
	deciding map[blocklist.ID]bool
	toast    toast
	ended    bool  // the engine has stopped
	failed   error // why there is none

	liveIx *index // of liveOf
	liveOf *engine.Snapshot
	// wake asks for a frame after a while.
	wake func(time.Duration) tea.Cmd

	source *engine.Snapshot // of snap, before it was masked
	mask   *mask            // nil: nothing is hidden
	att    attention
	past   problemLog
	counts dayCounts
	search pageSearch
	copied []string // what was copied last
	// leaving says that the console ends.
	leaving                   bool
	suspendAsked, suspendedAt time.Time

	// drawn is what the last frame highlighted. Decisions refer to it.
	drawn drawn
	frame string // the last frame; empty when it must be drawn anew
}

type toast struct {
	text string
	bad  bool
	at   time.Time
}

// overlay is a page over the lists.
type overlay int

const (
	overlayNone overlay = iota
	overlayHelp
	overlayProblems
	overlayJob
	overlayRow
	overlayAllowed
	overlayRecent
	overlayCalls
	overlayCopied
)

// Messages.
type (
	snapshotMsg struct{ s *engine.Snapshot }
	endedMsg    struct{}
	tickMsg     struct{}
	wakeMsg     struct{}
	decidedMsg  struct {
		id   blocklist.ID
		text string
		err  error
	}
)

// New gives a console.
func New(cfg Config) *Model {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Location == nil {
		cfg.Location = time.Local
	}
	if cfg.Console == nil {
		cfg.Console = notYet{}
	}
	m := &Model{cfg: cfg, dark: true, gl: newGlyphs(cfg.ASCII), now: cfg.Now(), deciding: map[blocklist.ID]bool{}, ix: newIndex(nil),
		keys: newKeymap(append(bindings(), faultKeys(cfg.Faults)...), cfg.Keys), wake: wake, proven: map[blocklist.ID]string{}}
	m.lists[tabAlerts].follow = true
	m.lists[tabLog].follow = true
	m.lists[tabBlocks].follow = true
	m.restyle()
	m.restoreKept()
	return m
}

func (m *Model) restyle() {
	name := m.cfg.Theme
	if m.cfg.NoColor {
		name = "mono"
	}
	m.th = newTheme(name, m.dark)
	m.frame = ""
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd {
	first := m.waitSnapshot()
	if m.cfg.Open != nil {
		first = m.opening()
	}
	return tea.Batch(first, tick(), tea.RequestBackgroundColor)
}

func tick() tea.Cmd {
	return tea.Tick(time.Second, func(time.Time) tea.Msg { return tickMsg{} })
}

func wake(d time.Duration) tea.Cmd {
	return tea.Tick(d, func(time.Time) tea.Msg { return wakeMsg{} })
}

func (m *Model) waitSnapshot() tea.Cmd {
	updates := m.cfg.Updates
	return func() tea.Msg {
		s, ok := <-updates
		if !ok {
			return endedMsg{}
		}
		return snapshotMsg{s}
	}
}

// Update implements tea.Model. It only dispatches.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = max(msg.Width, 0), max(msg.Height, 0)
	case tea.BackgroundColorMsg:
		m.dark = msg.IsDark()
		m.restyle()
	case snapshotMsg:
		m.now = m.cfg.Now()
		m.take(msg.s)
		m.frame = ""
		return m, tea.Batch(m.waitSnapshot(), m.ring())
	case openedMsg:
		m.frame = ""
		return m, m.opened(msg)
	case endedMsg:
		m.ended = true
	case tickMsg:
		if m.ended {
			return m, nil
		}
		m.now = m.cfg.Now()
		m.frame = ""
		return m, tea.Batch(tick(), m.ring())
	case decidedMsg:
		m.decided(msg)
	case wakeMsg:
		m.now = m.cfg.Now()
	case undoMsg:
		m.frame = ""
		return m, m.askUndo(msg)
	case blockMsg:
		m.frame = ""
		return m, m.askBlock(msg)
	case jobMsg:
		m.frame = ""
		return m, m.jobDone(msg)
	case storedMsg:
		if msg.err != nil {
			m.say("not kept for the next session: "+clean(msg.err.Error()), true)
		}
	case tea.KeyPressMsg:
		m.now = m.cfg.Now()
		m.frame, m.att.keyAt = "", m.now
		cmd := m.key(msg)
		if keep := m.storing(); keep != nil {
			cmd = tea.Batch(cmd, keep)
		}
		return m, cmd
	case tea.PasteMsg:
		m.pasted(msg.Content) // a paste never decides anything
	default:
		return m, m.other(msg)
	}
	m.frame = ""
	return m, nil
}

// take shows a new snapshot, unless the view stands still.
func (m *Model) take(s *engine.Snapshot) {
	m.live = s
	m.past.take(s, m.now)
	m.readBack()
	if m.snap == nil || !m.frozen() {
		m.show(s)
	}
}

// frozen says whether the lists stand still: the operator has paused them, or a
// question about them or the palette is open.
func (m *Model) frozen() bool {
	return m.paused || m.dialog != nil || m.prompt != nil && m.prompt.kind == promptCommand
}

// thaw shows what has come while the lists stood still.
func (m *Model) thaw() {
	if !m.frozen() && m.live != nil && m.live != m.snap {
		m.show(m.live)
	}
}

func (m *Model) show(s *engine.Snapshot) {
	m.source, m.snap = s, m.seen(s)
	s = m.snap
	m.ix = newIndex(s)
	m.prune()
	if n := len(s.ACLs); n > 0 {
		m.acl = min(m.acl, n-1)
	}
	m.refill()
}

// refill gives the list on the screen its rows; the others get theirs when they
// are looked at.
func (m *Model) refill() {
	for t := range tabCount {
		m.stale[t] = true
	}
	m.refillOne(m.tab)
}

// refillOne gives a list its rows. When another row comes under the cursor of the
// list on the screen, decisions wait a moment.
func (m *Model) refillOne(t tab) {
	m.stale[t] = false
	if m.lists[t].set(m.arrange(t)) && t == m.tab {
		m.movedAt = m.now
		m.scroll[paneDetail] = 0
	}
}

func (m *Model) list() *list { return &m.lists[m.tab] }

func (m *Model) say(text string, bad bool) {
	m.toast = toast{text: text, bad: bad, at: m.now}
}

// decided takes the result of a command.
func (m *Model) decided(msg decidedMsg) {
	delete(m.deciding, msg.id)
	m.now = m.cfg.Now()
	if msg.err != nil {
		m.unwatch(msg.id)
		m.say(clean(msg.err.Error()), true)
		m.past.add(clean(msg.err.Error()), m.now)
		return
	}
	m.say(msg.text, false)
}

// decide sends a decision without waiting for it.
func (m *Model) decide(t target, a action, reason string) tea.Cmd {
	if m.deciding[t.block] {
		m.say("wait: a decision on it is on its way", true)
		return nil
	}
	m.deciding[t.block] = true
	m.say(a.done+" "+t.cidr+m.gl.dots, false)
	c, actor := m.cfg.Console, m.cfg.Actor
	return func() tea.Msg {
		return decidedMsg{id: t.block, text: a.done + " " + t.cidr, err: a.carryOut(c, t, actor, reason)}
	}
}

// View implements tea.Model.
func (m *Model) View() tea.View {
	if m.frame == "" {
		m.frame = m.shown(m.draw())
		if m.cfg.ASCII {
			m.frame = plainASCII(m.frame)
		}
	}
	v := tea.NewView(m.frame)
	v.AltScreen = true
	v.ReportFocus = true
	v.WindowTitle = m.windowTitle()
	v.ProgramStatus = m.programStatus()
	if m.cfg.Mouse == "wheel" {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}
