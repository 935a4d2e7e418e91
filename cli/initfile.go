package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// write puts the file in its place, after it was read as a run would read it.
func (o *initOptions) write(text string) error {
	old := ""
	if _, err := os.Lstat(o.output); err == nil {
		if old, err = keep(o.output); err != nil {
			return err
		}
	}
	if err := writeFile(o.output, text, old != ""); err != nil {
		if old != "" {
			err = errors.Join(err, os.Remove(old))
		}
		return err
	}
	fmt.Fprintf(o.out, "\nwrote %s (mode 0600)\n", homely(o.output))
	if old != "" {
		fmt.Fprintf(o.out, "the one before is %s\n", homely(old))
	}
	return nil
}

// keep links a file to the first free name beside it.
func keep(path string) (string, error) {
	for i := range 1000 {
		old := path + ".bak"
		if i > 0 {
			old = fmt.Sprintf("%s.bak.%d", path, i)
		}
		if err := os.Link(path, old); !errors.Is(err, os.ErrExist) {
			return old, err
		}
	}
	return "", errors.New("too many old files beside it")
}

// writeFile writes a file of mode 0600 whole or not at all. One that is there is
// replaced only when that is wanted.
func writeFile(path, text string, replace bool) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".selfprotect-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if rerr := os.Remove(tmp.Name()); err == nil && !errors.Is(rerr, os.ErrNotExist) {
			err = rerr
		}
	}()
	_, err = io.WriteString(tmp, text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if replace {
		return os.Rename(tmp.Name(), path)
	}
	return os.Link(tmp.Name(), path)
}

// bare takes the name of a temporary file from an error.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
