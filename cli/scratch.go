package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"selfprotect/journal"
)

// scratch is a journal that begins with what a file holds and keeps what is
// appended in memory, so that a plan can be worked out without writing anything.
type scratch struct {
	file  *journal.SQLite // nil: there is no journal yet
	base  uint64          // the last record of the file
	extra [][]byte
}

// openScratch reads the journal of a path when there is one.
func openScratch(ctx context.Context, path string) (*scratch, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return &scratch{}, nil
	}
	file, err := journal.Open(path)
	if err != nil {
		return nil, err
	}
	s := &scratch{file: file}
	err = file.Read(ctx, 0, func(seq journal.Seq, _ []byte) error { s.base = uint64(seq); return nil })
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

func (s *scratch) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// errScratchMoved cannot happen while one engine alone writes.
var errScratchMoved = errors.New("the scratch journal has moved on")

// Append keeps the records in memory.
func (s *scratch) Append(_ context.Context, after uint64, records ...[]byte) (uint64, error) {
	if after != s.base+uint64(len(s.extra)) {
		return 0, errScratchMoved
	}
	s.extra = append(s.extra, records...)
	return s.base + uint64(len(s.extra)), nil
}

// Read gives the records of the file as it was, then those in memory.
func (s *scratch) Read(ctx context.Context, after uint64, fn func(uint64, []byte) error) error {
	if s.file != nil && after < s.base {
		err := s.file.Read(ctx, journal.Seq(after), func(seq journal.Seq, b []byte) error {
			if uint64(seq) > s.base {
				return nil
			}
			return fn(uint64(seq), b)
		})
		if err != nil {
			return err
		}
	}
	for i, b := range s.extra {
		if seq := s.base + uint64(i) + 1; seq > after {
			if err := fn(seq, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// Lease gives no right to write, and says who has it.
func (s *scratch) Lease(ctx context.Context, name, _ string, _ time.Duration) (held bool, owner string, until time.Time, err error) {
	if s.file != nil {
		owner, until, err = s.file.Holder(ctx, name)
	}
	return false, owner, until, err
}
