package ui

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
)

// job is a decision about several blocks, one after the other. It stands on a
// page of its own that says of each what became of it.
type job struct {
	a      action
	reason string
	items  []item
	left   []leftOut
	next   int
	began  time.Time
}

// item is one block of a job.
type item struct {
	t    target
	done bool
	why  string // why it was not done
}

// jobMsg says what became of one item.
type jobMsg struct {
	j   *job
	i   int
	err error
}

// startJob acts on all that is still what was shown, and shows the page.
func (m *Model) startJob(a action, c choice, reason string) tea.Cmd {
	return m.runJob(&job{a: a, reason: reason}, c)
}

func (m *Model) runJob(j *job, c choice) tea.Cmd {
	ok, left := m.sort(j.a, c.ok)
	j.left, j.began = append(c.left, left...), m.now
	for _, t := range ok {
		j.items = append(j.items, item{t: t})
		m.deciding[t.block] = true
	}
	if c.marked {
		m.marks[m.tab] = m.marks[m.tab].without(m.drawn.isShown) // what is hidden keeps its mark
	}
	m.job, m.overlay, m.scroll[paneList] = j, overlayJob, 0
	if len(ok) == 0 {
		m.say("nothing was done: "+rowChanged, true)
	}
	return m.stepJob(j)
}

// stepJob decides about the next item without waiting for it.
func (m *Model) stepJob(j *job) tea.Cmd {
	if j.next >= len(j.items) {
		return nil
	}
	i, t := j.next, j.items[j.next].t
	c, actor := m.cfg.Console, m.cfg.Actor
	return func() tea.Msg { return jobMsg{j, i, j.a.carryOut(c, t, actor, j.reason)} }
}

// jobDone takes the result of one item and goes on with the next.
func (m *Model) jobDone(msg jobMsg) tea.Cmd {
	j, it := msg.j, &msg.j.items[msg.i]
	m.now = m.cfg.Now()
	delete(m.deciding, it.t.block)
	it.done = msg.err == nil
	if msg.err != nil {
		m.unwatch(it.t.block)
		it.why = clean(msg.err.Error())
	}
	j.next = msg.i + 1
	if j.next >= len(j.items) {
		m.say(j.summary(), j.failed() > 0)
	}
	return m.stepJob(j)
}

func (j *job) failed() int {
	n := len(j.left)
	for i := range j.items {
		if i < j.next && !j.items[i].done {
			n++
		}
	}
	return n
}

func (j *job) summary() string {
	done := 0
	for _, it := range j.items {
		if it.done {
			done++
		}
	}
	text := fmt.Sprintf("%d %s", done, j.a.done)
	if n := j.failed(); n > 0 {
		text += fmt.Sprintf(", %d not", n)
	}
	if wait := len(j.items) - j.next; wait > 0 {
		text += fmt.Sprintf(", %d to do", wait)
	}
	return text
}

// jobLines are the page of a job: which were done, which were not and why.
func (m *Model) jobLines() []string {
	j := m.job
	if j == nil {
		return nil
	}
	out := []string{line(m.w, seg{m.th.bold, " " + j.summary()}, seg{m.th.dim, "   because: " + clean(j.reason)})}
	row := func(p paint, sign, cidr, text string) {
		for i, l := range wrap(text, max(m.w-6-max(width(cidr), 22), 12)) {
			head := []seg{{p, " " + sign + " "}, {m.th.bold, fit(cidr, max(width(cidr), 22)) + " "}}
			if i > 0 {
				head = []seg{{p, fit("", 4+max(width(cidr), 22))}}
			}
			out = append(out, line(m.w, append(head, seg{m.th.plain, l})...))
		}
	}
	// What went wrong stands first: it is what a person must look at.
	for i, it := range j.items {
		if i < j.next && !it.done {
			row(m.th.bad, m.gl.refused, it.t.cidr, "not "+j.a.done+": "+it.why)
		}
	}
	for _, l := range j.left {
		row(m.th.warn, m.gl.refused, l.cidr, "left out: "+l.why)
	}
	for i, it := range j.items {
		switch {
		case it.done:
			row(m.th.good, m.gl.ours, it.t.cidr, j.a.done+m.nowIs(it.t.block))
		case i >= j.next:
			row(m.th.dim, m.gl.pending, it.t.cidr, "on its way")
		}
	}
	return out
}

// nowIs says where a block stands by now, as far as the last read shows it.
func (m *Model) nowIs(id blocklist.ID) string {
	switch v := m.ix.blocks[id]; {
	case v != nil:
		return "; now " + m.blockState(v).word
	case m.ix.proposals[id] != nil:
		return "; now " + m.pendingWord(&m.ix.proposals[id].Block)
	}
	return ""
}
