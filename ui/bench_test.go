package ui

import (
	"fmt"
	"io"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
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
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += len(p)
	return len(p), nil
}

func (c *counter) bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// change is one kind of change of the screen, and the most bytes that it may send.
type change struct {
	name string
	most int
	send func(p *tea.Program, s *engine.Snapshot) *engine.Snapshot
}

// insertAlert gives a snapshot with one alert more on top.
func insertAlert(s *engine.Snapshot) *engine.Snapshot {
	next := *s
	a := *s.Alerts[3]
	a.ID = fmt.Sprint("new-", len(s.Alerts))
	next.Alerts = append([]*engine.AlertRow{&a}, s.Alerts...)
	return &next
}

// changes are the kinds; insert is the budget of a row that comes in on top.
func changes(insert int) []change {
	key := func(name string) func(*tea.Program, *engine.Snapshot) *engine.Snapshot {
		return func(p *tea.Program, s *engine.Snapshot) *engine.Snapshot { p.Send(keyMsg(name)); return s }
	}
	return []change{
		{"nothing", 0, func(p *tea.Program, s *engine.Snapshot) *engine.Snapshot { p.Send(snapshotMsg{s}); return s }},
		{"inserted row", insert, func(p *tea.Program, s *engine.Snapshot) *engine.Snapshot {
			s = insertAlert(s)
			p.Send(snapshotMsg{s})
			return s
		}},
		{"cursor down", 1200, key("j")}, // the row, the detail and the linked entry
		{"cursor up", 1200, key("k")},
		{"another list", 8000, key("2")},
		{"back to alerts", 8000, key("1")},
		{"help", 8000, key("?")},
	}
}

// bytesOf runs the real program in a bubble and gives for each kind of change the
// bytes that it sends in full colour. The console's own clock stands, so
// that no age changes beside.
func bytesOf(t *testing.T, theme string, w, h int) map[string]int {
	out := map[string]int{}
	synctest.Test(t, func(t *testing.T) {
		var to counter
		now := &clock{t: t0}
		updates := make(chan *engine.Snapshot)
		m := New(Config{Updates: updates, Console: &console{}, Theme: theme, Now: now.now, Location: time.UTC})
		p := tea.NewProgram(m, tea.WithInput(nil), tea.WithOutput(&to), tea.WithColorProfile(colorprofile.TrueColor), tea.WithWindowSize(w, h), tea.WithFPS(30), tea.WithoutSignalHandler())
		done := make(chan struct{})
		go func() { _, _ = p.Run(); close(done) }()
		snap := busy(200)
		p.Send(snapshotMsg{snap})
		time.Sleep(time.Second)
		out["start"] = to.bytes()
		for _, c := range changes(0) {
			before := to.bytes()
			snap = c.send(p, snap)
			time.Sleep(time.Second)
			synctest.Wait()
			out[c.name] = to.bytes() - before
		}
		p.Send(keyMsg("esc"))
		now.set(t0.Add(time.Second))
		time.Sleep(2 * time.Second)
		before := to.bytes()
		now.set(t0.Add(2 * time.Second))
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		out["a second passes"] = to.bytes() - before
		close(updates)
		p.Quit()
		<-done
		time.Sleep(2 * time.Second)
	})
	return out
}

// TestBytes holds the budget of what each kind of change sends to the terminal.
// Where the list has lines of its own an inserted row scrolls them. Beside the ACL
// no terminal can: what differs between a row and the next is sent for every line.
func TestBytes(t *testing.T) {
	for _, x := range []struct {
		theme        string
		w, h, insert int
	}{{"dark", 79, 24, 700}, {"dark", 120, 40, 1400}, {"ansi", 79, 24, 600}, {"ansi", 120, 40, 600}} {
		got := bytesOf(t, x.theme, x.w, x.h)
		for _, c := range append(changes(x.insert), change{name: "start", most: 12_000}, change{name: "a second passes", most: 100}) {
			t.Logf("%s %dx%d %-16s %5d bytes, at most %d", x.theme, x.w, x.h, c.name, got[c.name], c.most)
			if got[c.name] > c.most {
				t.Errorf("%s %dx%d: %s: %d bytes, the budget is %d", x.theme, x.w, x.h, c.name, got[c.name], c.most)
			}
			if c.most > 0 && got[c.name] == 0 {
				t.Errorf("%s %dx%d: %s: nothing was sent", x.theme, x.w, x.h, c.name)
			}
		}
	}
}

// processor gives the time that this process has used.
func processor() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// TestViewIsFlat holds that a frame costs no more with 100,000 alerts than with
// 1,000, as a ratio of processor time: other work on the machine does not count.
func TestViewIsFlat(t *testing.T) {
	cost := func(n int) time.Duration {
		s := newScreen(t, 120, 40)
		s.show(busy(n))
		runtime.GC()
		best := time.Hour
		for range 7 {
			before := processor()
			for range 40 {
				s.m.frame = ""
				s.m.View()
			}
			best = min(best, (processor()-before)/40)
		}
		return best
	}
	few, many := cost(1_000), cost(100_000)
	t.Logf("a frame costs %v with 1,000 alerts, %v with 100,000", few, many)
	if many > 2*few+50*time.Microsecond {
		t.Errorf("a frame costs %v with 100,000 alerts, %v with 1,000", many, few)
	}
}

// BenchmarkIdle reports the share of a core that a console takes at which nothing
// happens, in percent, at 120x40.
func BenchmarkIdle(b *testing.B) {
	for _, fps := range []int{30, 20} {
		b.Run(fmt.Sprint(fps, "fps"), func(b *testing.B) {
			m := New(Config{Updates: make(chan *engine.Snapshot), Console: &console{}, Theme: "dark"})
			p := tea.NewProgram(m, tea.WithInput(nil), tea.WithOutput(io.Discard), tea.WithColorProfile(colorprofile.TrueColor), tea.WithWindowSize(120, 40), tea.WithFPS(fps), tea.WithoutSignalHandler())
			done := make(chan struct{})
			go func() { _, _ = p.Run(); close(done) }()
			p.Send(snapshotMsg{busy(10_000)})
			time.Sleep(time.Second)
			runtime.GC()
			const watched = 5 * time.Second
			var used time.Duration
			for range b.N {
				before := processor()
				time.Sleep(watched)
				used += processor() - before
			}
			b.ReportMetric(100*float64(used)/float64(watched)/float64(b.N), "%core")
			p.Quit()
			<-done
		})
	}
}

// BenchmarkMemory reports the heap that console and snapshot hold together.
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var s *screen
			var before, after uint64
			for b.Loop() {
				s = nil
				before = heap()
				s = newScreen(b, 120, 40)
				s.show(busy(n))
				after = heap()
			}
			b.ReportMetric(float64(after-before)/1e6, "MB")
			runtime.KeepAlive(s)
		})
	}
}
