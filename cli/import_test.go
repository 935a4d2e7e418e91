package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"selfprotect/config"
	"selfprotect/journal"
)

// anExport gives an export of three records.
func anExport(t *testing.T) []byte {
	t.Helper()
	var prev journal.Hash
	var records []journal.Record
	for i, payload := range []string{
		`{"v":1,"kind":"mode","at":"2026-11-25T12:00:00Z","actor":"alice@soc","mode":"review"}`,
		`{"v":1,"kind":"guard","at":"2026-11-25T12:00:00Z","count":7}`,
		`{"v":3,"kind":"allowed","at":"2026-11-25T12:00:00Z","actor":"bob@soc","prefix":"203.0.113.0/24"}`,
	} {
		r := journal.Record{Seq: uint64(i + 1), Version: 1, At: int64(i), Payload: []byte(payload)}
		r.Seal(prev)
		prev = r.Hash
		records = append(records, r)
	}
	var b bytes.Buffer
	err := writeExport(&b, transferHead{Format: 1, Records: 3, Head: hexOf(prev), Version: 3}, func(yield func(journal.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDamagedExports: whatever becomes of a file, it is taken with its chain whole,
// or refused.
func TestDamagedExports(t *testing.T) {
	whole := anExport(t)
	dir := t.TempDir()
	taken, tries := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		b := bytes.Clone(whole)
		switch at := rapid.IntRange(0, len(b)-1).Draw(rt, "at"); rapid.IntRange(0, 4).Draw(rt, "damage") {
		case 0:
			b[at] = rapid.Byte().Draw(rt, "byte")
		case 1:
			b = b[:at]
		case 2:
			b = append(b[:at], b[min(len(b), at+rapid.IntRange(1, 40).Draw(rt, "lost")):]...)
		case 3:
			b = append(b, b[at:]...)
		}
		tries++
		path := filepath.Join(dir, fmt.Sprint(tries))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			rt.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			rt.Fatal(err)
		}
		defer f.Close()
		if checkExport(f, &config.Config{}) != nil {
			return
		}
		taken++
		j, err := journal.Open(path + ".db")
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = j.Close() }()
		_, n, err := extendBy(t.Context(), j, f)
		if err == nil {
			err = j.Verify(t.Context())
		}
		if err != nil || n != 3 {
			rt.Fatalf("checked, and then %d records, %v", n, err)
		}
	})
	if taken == 0 || taken == tries {
		t.Errorf("%d of %d are taken", taken, tries)
	}
}
