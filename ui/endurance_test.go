package ui

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/engine"
)

// heap gives the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// TestMillionAlerts lets a million alerts pass through a console that shows ten
// thousand, with problems that come and go, keys, resizes and a mask: at the end it
// holds no more memory and no more goroutines than at the start.
func TestMillionAlerts(t *testing.T) {
	const shown, batch, total = 10_000, 8_000, 1_000_000
	s := newScreen(t, 120, 40)
	base := full()
	rows := busy(shown).Alerts
	var early uint64
	var goroutines int
	for n := 0; n < total; n += batch {
		fresh := make([]*engine.AlertRow, 0, shown)
		for i := range batch {
			a := *rows[i%6]
			a.ID, a.Host = fmt.Sprintf("a-%d", n+i), "web-1"
			a.SeenAt = t0.Add(time.Duration(n+i) * time.Millisecond)
			fresh = append(fresh, &a)
		}
		rows = append(fresh, rows[:shown-batch]...)
		next := *base
		next.Alerts, next.Version = rows, uint64(n)
		if n%(5*batch) == 0 {
			next.Problems = []engine.Problem{{Severity: engine.Fault, Text: fmt.Sprintf("poll %d failed", n)}, {Severity: engine.Warning, Text: fmt.Sprintf("another %c", 'a'+n/batch%26)}}
		}
		s.clock.advance(10 * time.Second)
		s.show(&next)
		switch n / batch % 8 {
		case 1:
			s.press("j", "2", "k", "1")
		case 2:
			s.send(tea.WindowSizeMsg{Width: 60 + n/batch%150, Height: 20 + n/batch%40})
		case 3, 5:
			s.press("M")
		}
		if n == total/5 { // not masked, as at the end
			early, goroutines = heap(), runtime.NumGoroutine()
		}
	}
	if s.m.mask != nil {
		s.press("M")
	}
	late := heap()
	t.Logf("heap %.1f MB after a fifth, %.1f MB at the end", float64(early)/1e6, float64(late)/1e6)
	if late > early+early/10+1<<20 {
		t.Errorf("the heap grows: %d bytes after a fifth, %d at the end", early, late)
	}
	runtime.KeepAlive(s)
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, before %d", n, goroutines)
	}
}
