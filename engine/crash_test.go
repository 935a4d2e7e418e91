package engine

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"selfprotect/alert"
	"selfprotect/policy"
)

// broken is a source with a mistake in it.
type broken struct{}

func (broken) Alerts(context.Context, time.Time) iter.Seq2[alert.Alert, error] {
	panic("an index out of range")
}

// TestAPanicIsRuns: whoever called Run meets the panic of any goroutine, and can
// restore what must be restored.
func TestAPanicIsRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, policy.Review)
		r.cfg.Source = broken{}
		eng, err := New(context.Background(), r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		met := make(chan any, 1)
		go func() {
			defer func() { met <- recover() }()
			_ = eng.Run(ctx)
		}()
		p, _ := (<-met).(string)
		if !strings.HasPrefix(p, "an index out of range\n") || !strings.Contains(p, "crash_test.go") {
			t.Errorf("met %q", p)
		}
		cancel()
		close(eng.loop.applier.jobs) // a process would end here
	})
}
