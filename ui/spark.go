package ui

import (
	"fmt"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// dayHours is how far back the sparklines go.
const dayHours = 24

// dayCounts are alerts and blocks for each of the last 24 hours, oldest first.
type dayCounts struct {
	of     *engine.Snapshot
	until  time.Time
	alerts [dayHours]int
	blocks [dayHours]int
}

// countDay counts what a snapshot holds of the day before until.
func countDay(s *engine.Snapshot, until time.Time) dayCounts {
	c := dayCounts{of: s, until: until}
	add := func(to *[dayHours]int, at time.Time) {
		ago := int(until.Sub(at) / time.Hour)
		if at.IsZero() || at.After(until) {
			ago = 0
		}
		if ago < dayHours && !at.IsZero() {
			to[dayHours-1-ago]++
		}
	}
	for _, a := range s.Alerts {
		add(&c.alerts, a.CreatedAt)
	}
	for _, b := range s.Blocks {
		if b.State != blocklist.Refused && !b.Cover {
			add(&c.blocks, b.DecidedAt)
		}
	}
	return c
}

// sparkline draws counts with so many cells, which divides 24.
func (m *Model) sparkline(counts [dayHours]int, cells int) (text string, total int) {
	sums := make([]int, cells)
	most := 0
	for i, n := range counts {
		at := i * cells / dayHours
		sums[at] += n
		total += n
		most = max(most, sums[at])
	}
	levels := m.gl.levels
	for _, n := range sums {
		at := 0
		if n > 0 {
			at = 1 + (n*(len(levels)-2)+most/2)/most
			at = min(max(at, 1), len(levels)-1)
		}
		text += levels[at]
	}
	return text, total
}

// day shows the alerts and blocks of the last 24 hours in at most so many cells;
// nothing where there is no room.
func (m *Model) day(room int) []seg {
	if m.snap == nil || room < 50 {
		return nil
	}
	if until := m.now.Truncate(time.Minute); m.counts.of != m.snap || !m.counts.until.Equal(until) {
		m.counts = countDay(m.snap, until)
	}
	for _, cells := range []int{dayHours, dayHours / 2} {
		alerts, a := m.sparkline(m.counts.alerts, cells)
		blocks, b := m.sparkline(m.counts.blocks, cells)
		out := []seg{{m.th.dim, "  24h: alerts "}, {m.th.spark, alerts}, {m.th.dim, fmt.Sprintf(" %d  blocks ", a)}, {m.th.spark, blocks}, {m.th.dim, fmt.Sprintf(" %d ", b)}}
		if segWidth(out) <= room {
			return out
		}
	}
	return nil
}
