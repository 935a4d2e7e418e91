package cli

import "selfprotect/engine"

// tee hands each snapshot of the engine on to several readers, each through a
// channel of one slot in which the newest wins: a slow reader holds up neither the
// engine nor the others. Readers are added before it runs.
type tee struct {
	// first is the snapshot of the start: what its log holds is history.
	first *engine.Snapshot
	// problems are those that the engine does not know of; may be nil.
	problems func() []engine.Problem
	outs     []chan *engine.Snapshot
}

// reader gives a channel in which the first snapshot waits. It is closed when the
// engine's is.
func (t *tee) reader() <-chan *engine.Snapshot {
	c := make(chan *engine.Snapshot, 1)
	c <- t.first
	t.outs = append(t.outs, c)
	return c
}

// run works until in is closed.
func (t *tee) run(in <-chan *engine.Snapshot) {
	for s := range in {
		s = t.with(s)
		for _, out := range t.outs {
			replace(out, s)
		}
	}
	for _, out := range t.outs {
		close(out)
	}
}

// with adds the problems that the engine does not know of.
func (t *tee) with(s *engine.Snapshot) *engine.Snapshot {
	if t.problems == nil {
		return s
	}
	more := t.problems()
	if len(more) == 0 {
		return s
	}
	c := *s
	c.Problems = append(s.Problems[:len(s.Problems):len(s.Problems)], more...)
	return &c
}

// replace puts a snapshot into a slot, in the place of one that nobody has taken.
// Only the tee puts any in, so there is room then.
func replace(out chan *engine.Snapshot, s *engine.Snapshot) {
	select {
	case out <- s:
		return
	default:
	}
	select {
	case <-out:
	default:
	}
	out <- s
}
