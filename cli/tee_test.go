package cli

import (
	"testing"

	"selfprotect/engine"
)

// TestTee holds that a reader who does not read holds up nobody, that everybody gets
// the newest, and that what the engine does not know of is added without a change to
// its snapshot.
func TestTee(t *testing.T) {
	problems := []engine.Problem{{Text: "a receiver fails"}}
	tee := &tee{first: &engine.Snapshot{Version: 1}, problems: func() []engine.Problem { return problems }}
	lazy, keen := tee.reader(), tee.reader()
	if s := <-keen; s.Version != 1 {
		t.Fatalf("first %d", s.Version)
	}
	in := make(chan *engine.Snapshot)
	done := make(chan struct{})
	go func() { defer close(done); tee.run(in) }()
	last := &engine.Snapshot{Version: 100, Problems: make([]engine.Problem, 1, 8)}
	for v := range uint64(99) {
		in <- &engine.Snapshot{Version: v + 1}
	}
	in <- last
	close(in)
	<-done
	for name, c := range map[string]<-chan *engine.Snapshot{"lazy": lazy, "keen": keen} {
		s := <-c
		if s.Version != 100 || len(s.Problems) != 2 || s.Problems[1].Text != "a receiver fails" {
			t.Errorf("%s got %d with %v", name, s.Version, s.Problems)
		}
		if _, open := <-c; open {
			t.Errorf("%s is not closed", name)
		}
	}
	if len(last.Problems) != 1 || last.Problems[:2][1].Text != "" {
		t.Error("the engine's snapshot was changed")
	}
}
