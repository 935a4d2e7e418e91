// Package journal is the event log: compare and append, durable on return,
// chained by hash. The default keeps it in one SQLite file; any other store that
// passes the suite in journaltest will do.
//
// The protocol. A writer names the last record that it has seen. If the log has
// a newer one, nothing is written and the error is ErrConflict; the writer reads
// on, decides again, and tries again. So several processes share one log, and each
// of them sees the same records in the same order. An append writes all of its
// records or none. Any other error of an append leaves it open whether they were
// written: read, and see.
//
// A record is opaque JSON. Its hash is SHA-256 over the hash of the record before
// (32 zero bytes for the first), its number as 8 bytes big-endian, and the
// payload; Read verifies the chain as it goes, so a changed, missing or exchanged
// record is found at the first read.
//
// A lease names who may do something now. It is for order, not for safety: a
// holder that was asleep may still believe in it.
//
// A checkpoint is somebody's fold of the log up to a record. It is a cache, bound
// to the hash of that record, and may be lost.
package journal

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Seq is the number of a record; the first is 1. It is an alias so that other
// packages can state the contract in their own words.
type Seq = uint64

// Log is the contract.
type Log interface {
	// Append writes records after the one with the number after and gives the
	// number of the last. ErrConflict: the log has moved on, nothing was written.
	Append(ctx context.Context, after Seq, payloads ...[]byte) (Seq, error)
	// Read gives the records after the one with the number after, in order. The
	// payload is valid only during the call of fn; an error of fn ends it.
	Read(ctx context.Context, after Seq, fn func(seq Seq, payload []byte) error) error
	// Lease takes the name for the holder, or renews it, when it is free, has run
	// out, or is the holder's already; ttl <= 0 gives it back. It says whether the
	// holder has it now, else who has it and until when.
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (held bool, owner string, until time.Time, err error)
}

// ErrConflict says that the log has a newer record than the writer has seen.
var ErrConflict error = conflictError{}

// ErrNewer says that the file or a record was written by a newer program.
var ErrNewer = errors.New("the journal was written by a newer version of this program: run that version, or use another file")

type conflictError struct{}

func (conflictError) Error() string  { return "the journal has moved on" }
func (conflictError) Conflict() bool { return true }

// CorruptError says that the chain is broken.
type CorruptError struct {
	Seq Seq // the first record that does not fit
	Why string
}

// Error names the record.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("the journal is damaged at record %d: %s", e.Seq, e.Why)
}

// Hash is the link of the chain.
type Hash [sha256.Size]byte

// Chain gives the hash of a record from that of the one before it.
func Chain(prev Hash, seq Seq, payload []byte) Hash {
	h := sha256.New()
	h.Write(prev[:])
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], seq)
	h.Write(n[:])
	h.Write(payload)
	return Hash(h.Sum(nil))
}
