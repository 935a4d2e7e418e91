package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"pgregory.net/rapid"

	"selfprotect/blocklist"
	"selfprotect/journal"
)

// cmdHead1 holds that a file is for its owner alone and begins with the head of an
// export.
func cmdHead1(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(only(ts, args, "head1 FILE"))
	st, err := os.Stat(path)
	ts.Check(err)
	if st.Mode().Perm() != 0o600 {
		ts.Fatalf("%s has mode %o", path, st.Mode().Perm())
	}
	first, _, _ := strings.Cut(ts.ReadFile(path), "\n")
	if !strings.HasPrefix(first, `{"selfprotect_export":1,"records":`) {
		ts.Fatalf("the first line is %s", first)
	}
}

// cmdSameExport holds that two exports hold the same records.
func cmdSameExport(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: sameexport FILE FILE")
	}
	_, a, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	_, b, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	if a != b || a == "" {
		ts.Fatalf("the exports differ:\n%s\n%s", a, b)
	}
}

// cmdDamage copies an export with one character of a record changed.
func cmdDamage(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: damage FROM TO")
	}
	b := []byte(ts.ReadFile(args[0]))
	at := bytes.LastIndex(b, []byte(`"actor":"`)) + len(`"actor":"`)
	b[at]++
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o600))
}

// cmdNewer adds a record to a journal that only a newer version understands.
func cmdNewer(ts *testscript.TestScript, _ bool, args []string) {
	j, err := journal.Open(ts.MkAbs(only(ts, args, "newer JOURNAL")))
	ts.Check(err)
	n, err := j.Head(context.Background())
	ts.Check(err)
	_, err = j.Append(context.Background(), n, fmt.Appendf(nil, `{"v":%d,"kind":"foretold"}`, blocklist.Version+1))
	ts.Check(errors.Join(err, j.Close()))
}

// TestWriteNew: an export is whole, for its owner alone, and never written over
// anything.
func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	full := errors.New("the disk is full")
	err := writeNew(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, full)
	})
	if !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("a full disk leaves %v, %v", left, err)
	}
	whole := func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }
	if err := writeNew(path, whole); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(path, func(w io.Writer) error { return full }); err == nil || errors.Is(err, full) {
		t.Errorf("over a file that exists: %v", err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if b, err := os.ReadFile(path); string(b) != "whole" || err != nil {
		t.Errorf("it holds %q, %v", b, err)
	}
}

// TestExportComesBack: whatever a record holds, an export gives it back to the byte.
func TestExportComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var records []journal.Record
		var prev journal.Hash
		payloads := rapid.SliceOf(rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte {
			return fmt.Appendf(nil, `{"v":1, "reason":%q,"html":"<&>"}`, s)
		}))).Draw(rt, "payloads")
		for i, p := range payloads {
			r := journal.Record{Seq: uint64(i + 1), Version: 1, At: rapid.Int64().Draw(rt, "at"), Payload: append([]byte{}, p...)}
			r.Seal(prev)
			prev = r.Hash
			records = append(records, r)
		}
		given := func(yield func(journal.Record, error) bool) {
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
		}
		var b bytes.Buffer
		if err := writeExport(&b, transferHead{Format: 1, Records: uint64(len(records)), Head: hex.EncodeToString(prev[:])}, given); err != nil {
			rt.Fatal(err)
		}
		in := scanLines(&b)
		h, err := readHead(in)
		if err != nil {
			rt.Fatal(err)
		}
		var n uint64
		prev = journal.Hash{}
		for r, err := range readExport(in, h) {
			if err == nil {
				err = r.Verify(n, prev)
			}
			if err != nil {
				rt.Fatal(err)
			}
			if !bytes.Equal(r.Payload, records[n].Payload) {
				rt.Fatalf("%q came back as %q", records[n].Payload, r.Payload)
			}
			n, prev = r.Seq, r.Hash
		}
		if n != uint64(len(records)) {
			rt.Fatalf("%d of %d came back", n, len(records))
		}
	})
}
