package cli

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"selfprotect/blocklist"
	"selfprotect/journal"
)

// An export is a line that says what follows, then one line for each record of the
// journal, with the seal that chains it to the one before. A payload that is JSON
// on one line stands there as it is, byte for byte, any other as base64.

// transferFormat is the version of that form.
const transferFormat = 1

// transferHead is the first line. Its keys are a contract.
type transferHead struct {
	Format   int       `json:"selfprotect_export"`
	Records  uint64    `json:"records"`
	Head     string    `json:"head"`     // hash of the last record, hexadecimal
	Version  int       `json:"version"`  // of the events, the highest that may be among them
	Exported time.Time `json:"exported"` // when
	By       string    `json:"by"`       // the program and its version
}

// transferRecord is one of the lines after it.
type transferRecord struct {
	Seq     uint64          `json:"seq"`
	Version uint32          `json:"version"`
	At      int64           `json:"at"` // nanoseconds since 1970 UTC
	Hash    string          `json:"hash"`
	Event   json.RawMessage `json:"event,omitempty"`
	Payload []byte          `json:"payload,omitempty"`
}

// longestLine bounds a line of an export; the longest event is far shorter.
const longestLine = 16 << 20

// writeExport writes the records of a journal.
func writeExport(w io.Writer, head transferHead, records iter.Seq2[journal.Record, error]) error {
	out := bufio.NewWriter(w)
	if err := json.NewEncoder(out).Encode(head); err != nil {
		return err
	}
	for r, err := range records {
		if err != nil {
			return err
		}
		// By hand: an encoder would write the payload in its own way, and it would not
		// fit its hash any more.
		fmt.Fprintf(out, `{"seq":%d,"version":%d,"at":%d,"hash":"%s",`, r.Seq, r.Version, r.At, hex.EncodeToString(r.Hash[:]))
		if json.Valid(r.Payload) && bytes.Equal(bytes.TrimSpace(r.Payload), r.Payload) && !bytes.ContainsAny(r.Payload, "\n\r") {
			fmt.Fprintf(out, `"event":%s}`+"\n", r.Payload)
			continue
		}
		b, err := json.Marshal(r.Payload)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, `"payload":%s}`+"\n", b)
	}
	return out.Flush()
}

func hexOf(h journal.Hash) string { return hex.EncodeToString(h[:]) }

// errNoExport says that a file is something else.
var errNoExport = errors.New("this is no export of a journal")

// readHead reads the first line of an export.
func readHead(in *bufio.Scanner) (transferHead, error) {
	var h transferHead
	if !in.Scan() {
		return h, errors.Join(errNoExport, in.Err())
	}
	if err := json.Unmarshal(in.Bytes(), &h); err != nil || h.Format == 0 {
		return h, errNoExport
	}
	if h.Format > transferFormat || h.Version > blocklist.Version {
		return h, fmt.Errorf("the export is of a newer version (%s): import it with that version", clean(h.By))
	}
	return h, nil
}

// scanLines reads the lines of an export.
func scanLines(r io.Reader) *bufio.Scanner {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), longestLine)
	return in
}

// readExport gives the records that follow the first line. What does not fit the
// head, or is damaged, is an error; the seals are verified by whoever takes them.
func readExport(in *bufio.Scanner, h transferHead) iter.Seq2[journal.Record, error] {
	return func(yield func(journal.Record, error) bool) {
		var n uint64
		var last string
		for in.Scan() {
			n++
			r, hash, err := readRecord(in.Bytes())
			if err == nil && n > h.Records {
				err = fmt.Errorf("it has more than the %d records of its first line", h.Records)
			}
			if err != nil {
				yield(journal.Record{}, fmt.Errorf("line %d: %w", n+1, err))
				return
			}
			last = hash
			if !yield(r, nil) {
				return
			}
		}
		switch {
		case in.Err() != nil:
			yield(journal.Record{}, fmt.Errorf("line %d: %w", n+2, in.Err()))
		case n < h.Records:
			yield(journal.Record{}, fmt.Errorf("it ends after %d of %d records: it was cut off", n, h.Records))
		case n > 0 && last != h.Head:
			yield(journal.Record{}, errors.New("its last record is not the one that its first line names"))
		}
	}
}

func readRecord(line []byte) (journal.Record, string, error) {
	var t transferRecord
	if err := json.Unmarshal(line, &t); err != nil {
		return journal.Record{}, "", errors.New("it is no record")
	}
	r := journal.Record{Seq: t.Seq, Version: t.Version, At: t.At, Payload: t.Payload}
	if len(t.Event) > 0 {
		r.Payload = t.Event
	}
	hash, err := hex.DecodeString(t.Hash)
	if err != nil || len(hash) != len(r.Hash) {
		return r, "", errors.New("its hash is none")
	}
	copy(r.Hash[:], hash)
	return r, t.Hash, nil
}
