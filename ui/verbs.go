package ui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

func decideKeys() []binding {
	const group = "decide"
	on := func(a action) func(*Model) string { return func(m *Model) string { return m.why(a) } }
	return []binding{
		{"approve", []string{"a"}, group, "approve", "approve the highlighted proposal: it is blocked as shown", on(approving()), (*Model).approve},
		{"deny", []string{"d"}, group, "deny", "deny the highlighted proposal; asks why when an alert of high severity is behind it", on(denying()), (*Model).deny},
		{"snooze", []string{"s"}, group, "snooze", "put the highlighted proposal off for an hour, eight hours or a day", on(snoozing(time.Time{})), (*Model).snooze},
		{"wake", []string{"w"}, group, "wake", "ask a proposal again that was put off", on(waking()), (*Model).wakeUp},
		{"archive", []string{"e"}, group, "", "archive the highlighted alert: it is dealt with, and comes back when it grows; again brings it back", (*Model).whyArchive, (*Model).archive},
		{"escalate", []string{"E"}, group, "", "escalate the highlighted alert and archive it; asks why", on(filing(true)), (*Model).escalate},
		{"unblock", []string{"u"}, group, "unblock", "unblock the highlighted block; asks why", on(unblocking()), (*Model).revoke},
		{"restore", []string{"r"}, group, "restore", "write back an entry that somebody removed (asks first)", on(restoring()), (*Model).restore},
		{"pin", []string{"P"}, group, "pin", "pin the highlighted block, or unpin it: a pinned one comes before everything and does not expire", (*Model).whyPin, (*Model).pin},
		{"undo", []string{"U"}, group, "undo", "take back the last decision about the highlighted row (shows the effect, asks first)", on(undoing()), (*Model).undo},
		{"block", []string{"b"}, group, "", "block an address that you name, or that of the highlighted row; shows the effect and asks why", nil, (*Model).blockByHand},
		{"allow", []string{"A"}, group, "", "never block the address of the highlighted row; asks for how long and why", on(allowing(time.Time{})), (*Model).allow},
		{"allowed", []string{"N"}, group, "", "what is never blocked by the word of a person", nil, (*Model).openAllowed},
		{"recent", []string{"z"}, group, "", "what was decided lately, here and elsewhere, and take it back from there", nil, (*Model).openRecent},
		{"menu", []string{"."}, group, "", "what can be decided about the highlighted row, and why the rest cannot", nil, (*Model).openMenu},
		{"mode", []string{"m"}, group, "mode", "change the mode; auto needs the typed word", nil, (*Model).openMode},
	}
}

// action is something that a person decides about blocks.
type action struct {
	verb       blocklist.Verb
	name, done string // approve, approved
	// whyNot says why it cannot be done to a target; empty when it can.
	whyNot func(*Model, target) string
	until  time.Time // snooze, allow
	// exec carries it out; nil is by Decide. A loose one is about an address, whatever
	// became of its block.
	exec  func(context.Context, engine.Console, target, blocklist.Decision) error
	loose bool
	// alerts says that it is about alerts, not about blocks.
	alerts bool
}

// carryOut does it to one target, for whoever decides.
func (a action) carryOut(c engine.Console, t target, actor, reason string) error {
	ctx, cancel := context.WithTimeout(context.Background(), decideTimeout)
	defer cancel()
	d := blocklist.Decision{Verb: a.verb, Actor: actor, Reason: reason, Effect: cmp.Or(t.seal, t.digest), Until: a.until}
	if a.exec != nil {
		return a.exec(ctx, c, t, d)
	}
	return c.Decide(ctx, t.block, d)
}

func needs(state blocklist.State, otherwise string) func(*Model, target) string {
	return func(m *Model, t target) string {
		switch {
		case m.live != nil && m.live.ReadOnly:
			return "this console is read-only"
		case t.state != state:
			return otherwise + ": it is " + stateWord(t.state)
		}
		return ""
	}
}

// stateWord is the state of a block in words.
func stateWord(s blocklist.State) string {
	if s == blocklist.Pending {
		return "waiting for a decision"
	}
	return string(s)
}

func approving() action {
	pending := needs(blocklist.Pending, "nothing to approve on this row")
	return action{verb: blocklist.Approve, name: "approve", done: "approved", whyNot: func(m *Model, t target) string {
		if why := pending(m, t); why != "" {
			return why
		}
		if p := m.liveIndex().proposals[t.block]; p != nil && m.notNow(p) != "" {
			return "not now: " + m.notNow(p)
		}
		return ""
	}}
}

func denying() action {
	return action{verb: blocklist.Deny, name: "deny", done: "denied", whyNot: needs(blocklist.Pending, "nothing to deny on this row")}
}

func unblocking() action {
	return action{verb: blocklist.Revoke, name: "unblock", done: "unblocked", whyNot: needs(blocklist.Active, "nothing to unblock on this row")}
}

func restoring() action {
	active := needs(blocklist.Active, "nothing to restore on this row")
	return action{verb: blocklist.Restore, name: "restore", done: "restored", whyNot: func(m *Model, t target) string {
		why := active(m, t)
		if why == "" && !m.liveIndex().drifted[t.block] {
			why = "nothing to restore on this row: nobody removed its entry"
		}
		return why
	}}
}

func pinning(verb blocklist.Verb) action {
	active := needs(blocklist.Active, "nothing to pin on this row")
	name, done := "pin", "pinned"
	if verb == blocklist.Unpin {
		name, done = "unpin", "unpinned"
	}
	return action{verb: verb, name: name, done: done, whyNot: func(m *Model, t target) string {
		switch why := active(m, t); {
		case why != "":
			return why
		case t.cover:
			return "nothing to pin on this row: it is a grant to widen"
		case t.pinned == (verb == blocklist.Pin):
			return "it is " + done
		}
		return ""
	}}
}

func undoing() action {
	return action{verb: blocklist.Undo, name: "undo", done: "taken back", whyNot: func(m *Model, t target) string {
		switch {
		case m.live != nil && m.live.ReadOnly:
			return "this console is read-only"
		case !t.decided:
			return "nothing to undo on this row"
		}
		return ""
	}}
}

// why says why an action is not possible on what the last frame showed; empty when
// it is. With marks it is: the confirmation says on which.
func (m *Model) why(a action) string {
	if m.drawn.marks.len() > 0 {
		return ""
	}
	why := "nothing to " + a.name + " on this row"
	if a.loose && len(m.drawn.targets) == 0 && len(m.shownAddresses(m.drawn.row)) > 0 && !m.live.ReadOnly {
		return ""
	}
	for i, t := range m.drawn.about(a) {
		switch w := a.whyNot(m, t); {
		case w == "":
			return ""
		case i == 0:
			why = w
		}
	}
	return why
}

// whyPin is why for the key that pins and unpins.
func (m *Model) whyPin() string {
	why := m.why(pinning(blocklist.Pin))
	if why != "" && m.why(pinning(blocklist.Unpin)) == "" {
		return ""
	}
	return why
}

// alone says whether a choice is the highlighted row and nothing else.
func (c choice) alone() bool { return !c.marked && len(c.ok) == 1 && len(c.left) == 0 }

func (m *Model) approve() tea.Cmd {
	a := approving()
	c, ok := m.choose(a)
	switch {
	case !ok:
		return nil
	case c.alone() && wide(c.ok[0].prefix):
		return m.approveWide(c.ok[0])
	case c.alone():
		return m.decide(c.ok[0], a, "approved in the console")
	}
	c.leaveWide()
	means := append([]string{"Each is blocked exactly as shown, or not at all."}, m.together(c.ok)...)
	return m.askAll(a, c, "approved in the console", means...)
}

// leaveWide leaves out what is too wide to be approved among others.
func (c *choice) leaveWide() {
	kept := c.ok[:0:0]
	for _, t := range c.ok {
		if wide(t.prefix) {
			c.left = append(c.left, leftOut{t.cidr, "so wide a prefix is approved alone, by typing it"})
			continue
		}
		kept = append(kept, t)
	}
	c.ok = kept
}

// approveWide wants the CIDR typed: nobody blocks a thousand addresses by a slip.
func (m *Model) approveWide(t target) tea.Cmd {
	a := approving()
	return m.askText("Approve "+t.cidr+"? It is wide: "+coveredBy(t.prefix)+".", t.effect(), wordInput(t.cidr, "type "+t.cidr+" exactly; esc cancels"), "approve "+t.cidr,
		func(m *Model, _ string) tea.Cmd { return m.decideStill(a, t, "approved in the console") })
}

func (m *Model) deny() tea.Cmd {
	a := denying()
	c, ok := m.choose(a)
	switch {
	case !ok:
		return nil
	case c.anyHigh():
		return m.askReason(a, c, "An alert of high severity is behind it: say why it is denied.")
	case c.alone():
		return m.decide(c.ok[0], a, "denied in the console")
	}
	return m.askAll(a, c, "denied in the console", "They stay denied until that is forgotten.")
}

func (c choice) anyHigh() bool {
	for _, t := range c.ok {
		if t.high {
			return true
		}
	}
	return false
}

func (m *Model) revoke() tea.Cmd {
	a := unblocking()
	c, ok := m.choose(a)
	if !ok {
		return nil
	}
	return m.askReason(a, c, "The deny entries are removed from every network ACL. Traffic is possible again.")
}

// pin pins what is in force, or takes the pins back when all is pinned.
func (m *Model) pin() tea.Cmd {
	a, reason, means := pinning(blocklist.Pin), "pinned in the console", "They come before everything and do not expire."
	if !m.fitsAny(a) && m.fitsAny(pinning(blocklist.Unpin)) {
		a, reason, means = pinning(blocklist.Unpin), "unpinned in the console", "Their time to live starts anew."
	}
	c, ok := m.choose(a)
	switch {
	case !ok:
		return nil
	case c.alone():
		return m.decide(c.ok[0], a, reason)
	}
	return m.askAll(a, c, reason, means)
}

// fitsAny says whether an action fits something of what the last frame showed as
// marked, else as highlighted.
func (m *Model) fitsAny(a action) bool {
	ts := m.drawn.about(a)
	if m.drawn.marks.len() > 0 {
		ts, _ = m.drawn.marked(a)
	}
	return slices.ContainsFunc(ts, func(t target) bool { return a.whyNot(m, t) == "" })
}

func (m *Model) restore() tea.Cmd {
	a := restoring()
	c, ok := m.choose(a)
	if !ok {
		return nil
	}
	text := []string{"Somebody removed its entry from the network ACL.", "Ask them first if you do not know why."}
	if c.alone() {
		return m.ask("Write "+c.ok[0].cidr+" back?", text, "write it back", func(m *Model) tea.Cmd { return m.decideStill(a, c.ok[0], "restored in the console") })
	}
	return m.askAll(a, c, "restored in the console", strings.Join(text, " "))
}

// askReason asks why, then acts on one or on all.
func (m *Model) askReason(a action, c choice, means string) tea.Cmd {
	text := append([]string{means}, c.lines()...)
	if c.alone() && !a.alerts {
		text = append(text[:1:1], c.ok[0].effect()...)
	}
	return m.askText(c.title(a), text, reasonInput(), a.name, func(m *Model, why string) tea.Cmd {
		if c.alone() {
			return m.decideStill(a, c.ok[0], why)
		}
		return m.startJob(a, c, why)
	})
}

// askAll asks before it acts on several.
func (m *Model) askAll(a action, c choice, reason string, means ...string) tea.Cmd {
	if len(c.ok) == 0 {
		m.say("nothing to "+a.name+": "+c.left[0].cidr+": "+c.left[0].why, true)
		return nil
	}
	count := plural(len(c.ok), "block", "blocks")
	if a.alerts {
		count = plural(len(c.ok), "alert", "alerts")
	}
	return m.ask(c.title(a), append(means, c.lines()...), a.name+" "+count, func(m *Model) tea.Cmd {
		return m.startJob(a, c, reason)
	})
}

// title names the count, the first and the last.
func (c choice) title(a action) string {
	verb := strings.ToUpper(a.name[:1]) + a.name[1:]
	switch n := len(c.ok); n {
	case 1:
		return verb + " " + c.ok[0].cidr + "?"
	default:
		return fmt.Sprintf("%s %d: %s to %s?", verb, n, c.ok[0].cidr, c.ok[n-1].cidr)
	}
}

// lines name every CIDR that is acted on, what would happen to each, and what is
// left out.
func (c choice) lines() []string {
	var out []string
	for _, t := range c.ok {
		line := cmp.Or(t.about, t.cidr)
		if e := t.effect(); len(e) > 0 {
			line = e[0]
		}
		out = append(out, line)
	}
	for _, l := range c.left {
		out = append(out, "left out: "+l.cidr+": "+l.why)
	}
	return out
}

// decideStill decides when what was shown is still what is.
func (m *Model) decideStill(a action, t target, reason string) tea.Cmd {
	if ok, left := m.sort(a, []target{t}); len(ok) == 0 {
		m.say(left[0].why, true)
		return nil
	}
	return m.decide(t, a, reason)
}
