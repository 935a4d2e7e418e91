package ui

import (
	"context"
	"fmt"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"selfprotect/engine"
)

// busy is a snapshot with n alerts.
func busy(n int) *engine.Snapshot {
	s := full()
	for i := len(s.Alerts); i < n; i++ {
		a := *s.Alerts[i%6]
		a.ID = fmt.Sprint("alert-", i)
		s.Alerts = append(s.Alerts, &a)
	}
	return s
}

// BenchmarkView draws a whole frame at 120x40; its cost does not grow with the
// number of alerts.
func BenchmarkView(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newScreen(b, 120, 40)
			s.show(busy(n))
			b.ReportAllocs()
			for b.Loop() {
				s.m.frame = ""
				s.m.View()
			}
		})
	}
}

// BenchmarkSnapshot takes a snapshot with 10,000 alerts.
func BenchmarkSnapshot(b *testing.B) {
	s := newScreen(b, 120, 40)
	snap := busy(10_000)
	b.ReportAllocs()
	for b.Loop() {
		s.m.Update(snapshotMsg{snap})
	}
}

// counter counts what is written to the terminal.
type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }

// BenchmarkBytes reports the bytes that a new alert on top costs, and those of a
// frame in which nothing has changed.
func BenchmarkBytes(b *testing.B) {
	for _, what := range []string{"inserted row", "nothing"} {
		b.Run(what, func(b *testing.B) {
			var out counter
			now := &clock{t0}
			m := New(Config{Updates: make(chan *engine.Snapshot), Console: &console{}, Theme: "dark", Now: now.now, Location: time.UTC})
			p := tea.NewProgram(m, tea.WithInput(nil), tea.WithOutput(&out), tea.WithColorProfile(colorprofile.TrueColor), tea.WithWindowSize(120, 40), tea.WithFPS(60), tea.WithoutSignalHandler(), tea.WithContext(context.Background()))
			done := make(chan struct{})
			go func() { _, _ = p.Run(); close(done) }()
			snap := busy(200)
			p.Send(snapshotMsg{snap})
			time.Sleep(200 * time.Millisecond)
			start := out.n
			for i := range b.N {
				if what == "inserted row" {
					next := *snap
					a := *snap.Alerts[i%len(snap.Alerts)]
					a.ID = fmt.Sprint("new-", i)
					next.Alerts = append([]*engine.AlertRow{&a}, snap.Alerts...)
					snap = &next
				}
				p.Send(snapshotMsg{snap})
				time.Sleep(30 * time.Millisecond)
			}
			b.ReportMetric(float64(out.n-start)/float64(b.N), "bytes/op")
			p.Quit()
			<-done
		})
	}
}

// BenchmarkFind arranges 100,000 alerts anew: a key typed at a filter, a column to
// sort by, groups; and a poll that brings one alert while a filter is in force.
func BenchmarkFind(b *testing.B) {
	const n = 100_000
	snap := busy(n)
	for i, a := range snap.Alerts {
		a.CreatedAt = t0.Add(-time.Duration(i) * time.Second)
	}
	for name, src := range map[string]string{"word": "curl", "column": "user:root", "state": "state:pending", "number": "age<2h", "cidr": "cidr:198.51.100.4/30", "none": "zzz"} {
		b.Run("filter-"+name, func(b *testing.B) {
			s := newScreen(b, 120, 40)
			s.show(snap)
			s.m.factsOf()
			b.ReportAllocs()
			for b.Loop() {
				s.m.filter = "-"
				s.m.setFilter(src)
			}
		})
	}
	for _, c := range []string{"age", "addr", "what", "state"} {
		b.Run("sort-"+c, func(b *testing.B) {
			s := newScreen(b, 120, 40)
			s.show(snap)
			b.ReportAllocs()
			for b.Loop() {
				s.m.sortBy(c, false)
			}
		})
	}
	b.Run("group", func(b *testing.B) {
		s := newScreen(b, 120, 40)
		s.show(snap)
		s.m.look[tabAlerts].Grouped = true
		s.m.factsOf()
		b.ReportAllocs()
		for b.Loop() {
			s.m.refillOne(tabAlerts)
		}
	})
	b.Run("poll", func(b *testing.B) {
		s := newScreen(b, 120, 40)
		s.show(snap)
		s.m.setFilter("curl")
		a := *snap.Alerts[0]
		a.ID = "new"
		next := *snap
		next.Alerts = append([]*engine.AlertRow{&a}, snap.Alerts...)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			s.show([]*engine.Snapshot{snap, &next}[i%2])
		}
	})
}
