package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"selfprotect/blocklist"
	"selfprotect/journal"
	"selfprotect/policy"
)

// BenchmarkStart opens a journal of 1,000,000 records that has a checkpoint 5,000
// records before its end, as a kill would leave it.
func BenchmarkStart(b *testing.B) {
	const records, batch = 1_000_000, 5_000
	path := filepath.Join(b.TempDir(), "journal.db")
	log, err := journal.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	ctx, list, seq := context.Background(), blocklist.New(blocklist.Config{}), uint64(0)
	for seq < records {
		payloads := make([][]byte, batch)
		for i := range payloads {
			e := blocklist.Event{Kind: blocklist.Observed, At: time.Now().UTC(), Actor: "engine",
				Alert: &blocklist.AlertNote{ID: fmt.Sprint("alert-", (seq+uint64(i))%9_000), RuleID: rule, Title: "outbound", CreatedAt: time.Now().UTC()}}
			if seq < 10_000 {
				if err := list.Apply(e); err != nil {
					b.Fatal(err)
				}
			}
			payloads[i], _ = e.Encode()
		}
		if seq, err = log.Append(ctx, seq, payloads...); err != nil {
			b.Fatal(err)
		}
	}
	state, err := list.Save()
	if err != nil {
		b.Fatal(err)
	}
	if err := log.SaveCheckpoint(ctx, records-batch, state); err != nil {
		b.Fatal(err)
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	t := &testing.T{}
	r := newRig(t, policy.Review)
	for b.Loop() {
		log, err := journal.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		r.cfg.Journal, r.cfg.Checkpoints = log, log
		if _, err := New(ctx, r.cfg); err != nil {
			b.Fatal(err)
		}
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
