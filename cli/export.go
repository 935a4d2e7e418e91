package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/blocklist"
	"selfprotect/journal"
)

func newExport(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Write the journal to a file", Args: oneArg("a file to write, or - for standard output"),
		Long: `export writes every record of the journal, one JSON object a line, with the
chain of hashes and a first line that says how many there are and where the
chain ends. It changes nothing and needs no service. The file is new, of
mode 0600, and complete or not there; one that exists is never written over.`,
		Example: "selfprotect export /safe/place/journal.jsonl\nselfprotect export - | gzip > journal.jsonl.gz",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := o.load(true)
			if err != nil {
				return err
			}
			return export(cmd, cfg.State.Path, args[0])
		},
	}
	commonFlags(cmd, o)
	return cmd
}

// oneArg wants one argument and says what it is.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError(fmt.Errorf("name %s", what))
		}
		return nil
	}
}

// openHistory opens a journal to read it.
func openHistory(path string) (*journal.SQLite, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no journal at %s; --state names another", path)
	}
	return journal.OpenReadOnly(path)
}

func export(cmd *cobra.Command, from, to string) error {
	j, err := openHistory(from)
	if err != nil {
		return err
	}
	n, hash, err := j.Tail(cmd.Context())
	if err != nil {
		return errors.Join(err, j.Close())
	}
	head := transferHead{Format: transferFormat, Records: n, Head: hexOf(hash), Version: blocklist.Version,
		Exported: time.Now().UTC(), By: "selfprotect " + buildVersion().String()}
	write := func(w io.Writer) error { return writeExport(w, head, j.Records(cmd.Context(), n)) }
	if to == "-" {
		return errors.Join(write(cmd.OutOrStdout()), j.Close())
	}
	if err := errors.Join(writeNew(to, write), j.Close()); err != nil {
		return fmt.Errorf("nothing was exported: %w", err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d records written to %s\n", n, to)
	return nil
}

// writeNew makes a file that did not exist, of mode 0600, whole or not at all.
func writeNew(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists: it is not written over", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	err = errors.Join(f.Chmod(0o600), write(f))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Link(f.Name(), path) // unlike a rename it does not replace
	}
	return errors.Join(err, os.Remove(f.Name()))
}
