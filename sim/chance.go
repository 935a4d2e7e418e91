package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// Chance says when a fault strikes: the next Next times that it could, and
// after that with probability Rate (0 to 1).
type Chance struct {
	Rate float64 `json:"rate,omitempty"`
	Next int     `json:"next,omitempty"`
}

// strikes draws from rng only where there is something to draw for, so that a
// fault that is off does not move the others.
func (c *Chance) strikes(rng *rand.Rand) bool {
	if c.Next > 0 {
		c.Next--
		return true
	}
	return c.Rate > 0 && rng.Float64() < c.Rate
}

// seeded gives a source of its own for each purpose of a seed.
func seeded(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }

const (
	purposeThreatStack uint64 = iota + 1
	purposeEC2
	purposeWorld
	purposeSteps
	purposeLater
)

// named tells whether a fault that is limited to names (none: not limited)
// covers name.
func named(names []string, name string) bool {
	return len(names) == 0 || slices.Contains(names, name)
}

// pause waits for d, less if ctx ends before, and tells whether it waited in full.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pauseOrAbort is pause for a handler: whose caller has gone has nobody to answer.
func pauseOrAbort(ctx context.Context, d time.Duration) {
	if !pause(ctx, d) {
		panic(http.ErrAbortHandler)
	}
}

// uuid gives an id in the form of a version 1 UUID.
func uuid(rng *rand.Rand) string {
	a, b := rng.Uint64(), rng.Uint64()
	return fmt.Sprintf("%08x-%04x-11%02x-%04x-%012x", uint32(a), uint16(a>>32), uint8(a>>48),
		0x8000|uint16(b)&0x3fff, b>>16)
}

// hexID gives n hex digits.
func hexID(rng *rand.Rand, n int) string {
	var out []byte
	for len(out) < n {
		out = fmt.Appendf(out, "%016x", rng.Uint64())
	}
	return string(out[:n])
}
