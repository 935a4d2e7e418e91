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
// A record is opaque bytes, JSON by custom. Its hash is SHA-256 over, without
// separators:
//
//	32 bytes  the hash of the record before; zeros for the first record
//	 8 bytes  its number, big-endian; the first is 1
//	 4 bytes  the version of the record format, big-endian; now 1
//	 8 bytes  the time of writing, nanoseconds since 1970 UTC, two's complement, big-endian
//	 rest     the payload
//
// Read verifies the chain as it goes, so a changed, missing or exchanged record
// is found at the first read that reaches it. The chain finds damage and careless
// edits. It is not a signature: who may write the file can also compute a new chain.
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

// Log is the contract. All methods may be called from several goroutines.
type Log interface {
	// Append writes records after the one with the number after (0: the log is
	// empty), all or none, durable on return, and gives the number of the last.
	// ErrConflict: after is not the last record, nothing was written. Without
	// payloads it only makes that comparison.
	Append(ctx context.Context, after Seq, payloads ...[]byte) (Seq, error)
	// Read gives the records after the one with the number after that the log
	// holds when the call begins, in order. It verifies the chain, and gives every
	// record before the first that does not fit. The payload is valid only during
	// the call of fn; an error of fn ends the call and is returned. fn may use the
	// log.
	Read(ctx context.Context, after Seq, fn func(seq Seq, payload []byte) error) error
	// Lease takes the name for the holder, or renews it, when it is free, has run
	// out, or is the holder's already; ttl <= 0 gives it back if the holder has it.
	// It says whether the holder has it now, else who has it ("" for nobody) and
	// until when.
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (held bool, owner string, until time.Time, err error)
}

// Checkpoints keep a fold of the log, so that a start need not read all of it.
type Checkpoints interface {
	// SaveCheckpoint keeps the state that follows from the records up to seq, which
	// must be in the log. The two with the highest numbers are kept.
	SaveCheckpoint(ctx context.Context, seq Seq, state []byte) error
	// LoadCheckpoint gives the newest state that is whole and whose record is still
	// in the chain; ok is false when there is none.
	LoadCheckpoint(ctx context.Context) (seq Seq, state []byte, ok bool, err error)
}

// ErrConflict says that the log has a newer record than the writer has seen. It
// has a method Conflict() bool that gives true.
var ErrConflict error = conflictError{}

// ErrNewer says that the file or a record was written by a newer program.
var ErrNewer = errors.New("the journal was written by a newer version of this program: run that version, or use another file")

// ErrCorrupt is what every *CorruptError is.
var ErrCorrupt = errors.New("the journal is damaged")

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
	return fmt.Sprintf("%v at record %d: %s", ErrCorrupt, e.Seq, e.Why)
}

// Unwrap gives ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// Version is the version of the record format that this package writes, and the
// newest that it reads.
const Version = 1

// Hash is the link of the chain.
type Hash [sha256.Size]byte

// Record is one link of the log, as a store keeps it.
type Record struct {
	Seq     Seq
	Version uint32
	At      int64 // nanoseconds since 1970 UTC
	Hash    Hash
	Payload []byte
}

// Seal sets the hash of the record from that of the one before it.
func (r *Record) Seal(prev Hash) { r.Hash = r.sum(prev) }

// Verify tells whether the record is the one that follows the record after, whose
// hash is prev. The error is ErrNewer or a *CorruptError.
func (r *Record) Verify(after Seq, prev Hash) error {
	if r.Seq != after+1 {
		return &CorruptError{Seq: after + 1, Why: "it is missing"}
	}
	if r.Version > Version {
		return fmt.Errorf("record %d has version %d: %w", r.Seq, r.Version, ErrNewer)
	}
	if r.sum(prev) != r.Hash {
		return &CorruptError{Seq: r.Seq, Why: "its hash does not fit: it, or the link to the one before, was changed"}
	}
	return nil
}

func (r *Record) sum(prev Hash) Hash {
	var head [sha256.Size + 8 + 4 + 8]byte
	copy(head[:], prev[:])
	binary.BigEndian.PutUint64(head[32:], r.Seq)
	binary.BigEndian.PutUint32(head[40:], r.Version)
	binary.BigEndian.PutUint64(head[44:], uint64(r.At))
	h := sha256.New()
	h.Write(head[:])
	h.Write(r.Payload)
	var sum Hash
	h.Sum(sum[:0])
	return sum
}
