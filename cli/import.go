package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/config"
	"selfprotect/journal"
)

func newImport(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Read an export into the journal", Args: oneArg("a file that export has written"),
		Long: `import checks an export to its end (the chain of hashes, the number of
records, and that this version understands each of them) and only then
writes it to the journal: all or nothing. The journal must be new, or hold
nothing but the beginning of the export, which is then continued; any other
is left as it is.

What is ours in the network ACLs is what the journal says: stop every
process on the old journal before you go on with the new one.`,
		Example: "selfprotect import journal.jsonl --state ~/.local/state/selfprotect/journal.db",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := o.load(true)
			if err != nil {
				return err
			}
			return importFrom(cmd, cfg, args[0])
		},
	}
	commonFlags(cmd, o)
	return cmd
}

func importFrom(cmd *cobra.Command, cfg *config.Config, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := checkExport(f, cfg); err != nil {
		return fmt.Errorf("nothing was imported: %s: %w", clean(from), err)
	}
	_, statErr := os.Stat(cfg.State.Path)
	j, err := journal.Open(cfg.State.Path)
	if err != nil {
		return err
	}
	had, now, err := extendBy(cmd.Context(), j, f)
	err = errors.Join(err, j.Close())
	if err != nil {
		if errors.Is(statErr, fs.ErrNotExist) && had == 0 {
			err = errors.Join(err, removeJournal(cfg.State.Path))
		}
		return fmt.Errorf("nothing was imported: %w", err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d records imported into %s, which has %d now\n", now-had, cfg.State.Path, now)
	return nil
}

// removeJournal takes away a journal that was just made and holds nothing.
func removeJournal(path string) error {
	for _, side := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + side); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Remove(path)
}

// begin goes back to the first line of an export.
func begin(f *os.File) (*bufio.Scanner, transferHead, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, transferHead{}, err
	}
	in := scanLines(f)
	h, err := readHead(in)
	return in, h, err
}

// checkExport reads an export to its end: each record must follow the one before,
// and be an event that fits what came before.
func checkExport(f *os.File, cfg *config.Config) error {
	in, h, err := begin(f)
	if err != nil {
		return err
	}
	list := blocklist.New(blocklist.Config{MaxTTL: cfg.Limits.MaxTTL})
	var n journal.Seq
	var prev journal.Hash
	for r, err := range readExport(in, h) {
		if err == nil {
			err = r.Verify(n, prev)
		}
		if err != nil {
			return err
		}
		n, prev = r.Seq, r.Hash
		e, err := blocklist.Decode(r.Payload)
		if err == nil {
			err = list.Apply(e)
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", r.Seq, err)
		}
	}
	return nil
}

// extendBy writes what the journal lacks of an export; it gives how many records
// it had and has.
func extendBy(ctx context.Context, j *journal.SQLite, f *os.File) (had, now uint64, err error) {
	had, hash, err := j.Tail(ctx)
	if err != nil {
		return 0, 0, err
	}
	in, h, err := begin(f)
	if err != nil {
		return had, had, err
	}
	now, err = j.Extend(ctx, had, following(had, hash, readExport(in, h)))
	switch {
	case errors.Is(err, journal.ErrConflict):
		return had, had, fmt.Errorf("%s is in use: stop what runs on it first", j.Path())
	case err != nil:
		return had, had, err
	}
	return had, now, nil
}

// following gives the records after the first n, the last of which must be the one
// with this hash: then those before are the same too.
func following(n uint64, hash journal.Hash, all iter.Seq2[journal.Record, error]) iter.Seq2[journal.Record, error] {
	return func(yield func(journal.Record, error) bool) {
		var seen uint64
		for r, err := range all {
			switch {
			case err != nil:
			case r.Seq < n:
				continue
			case r.Seq == n && r.Hash != hash:
				err = fmt.Errorf("the journal holds %d records that are not the beginning of this export: it is left as it is", n)
			case r.Seq == n:
				seen = n
				continue
			case seen < n:
				err = errors.New("its records are out of order")
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		if seen < n {
			yield(journal.Record{}, fmt.Errorf("the journal holds %d records, more than the export: it is left as it is", n))
		}
	}
}
