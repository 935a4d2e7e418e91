package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// sideFiles are what SQLite keeps beside the file while it is in use.
var sideFiles = [...]string{"-wal", "-shm"}

// makeDir makes the directory and what is missing above it, 0700 whatever the
// umask, and refuses one in which others could exchange our file.
func makeDir(dir string) error {
	st, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		if parent := filepath.Dir(dir); parent != dir {
			if err := makeAbove(parent); err != nil {
				return err
			}
		}
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			// The umask may have taken bits away.
			return errors.Join(os.Chmod(dir, 0o700), syncDir(filepath.Dir(dir)))
		}
		if !errors.Is(err, os.ErrExist) {
			return err
		}
		st, err = os.Stat(dir) // another process was faster
		if err != nil {
			return err
		}
		return checkDir(dir, st)
	}
	if err != nil {
		return err
	}
	return checkDir(dir, st)
}

// makeAbove is makeDir for a directory further up, which may be anybody's.
func makeAbove(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return makeDir(dir)
}

func checkDir(dir string, st os.FileInfo) error {
	if !st.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	// With the sticky bit others can add files but not exchange ours.
	if st.Mode().Perm()&0o022 != 0 && st.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("others may write in the directory %s (%#o): run chmod go-w %s", dir, st.Mode().Perm(), dir)
	}
	return nil
}

// checkFiles refuses a journal, or a file beside it, that is not ours alone.
func checkFiles(path string) error {
	if err := private(path); err != nil {
		return err
	}
	for _, side := range sideFiles {
		if err := private(path + side); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func private(path string) error {
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if st.Mode()&os.ModeSymlink != 0 {
		return fmt.Errorf("%s is a symbolic link: links are not followed, name the file itself", path)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s may be read or written by others (%#o): run chmod 600 %s", path, st.Mode().Perm(), path)
	}
	return nil
}

// create makes a new journal at path. It is made whole under another name and
// then linked into its place, so that a file that exists is always complete and
// an empty one is always damage; of two processes that do this at once, one wins.
func create(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, side := range sideFiles {
		// SQLite would replay the log of the lost file into the new one.
		if _, err := os.Lstat(path + side); err == nil {
			return fmt.Errorf("%s is missing but %s%s is there: put the file back, or move the other one away", path, path, side)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	tmp := f.Name()
	// The umask may have taken bits away; SQLite gives its side files the
	// permissions of this one.
	err = errors.Join(f.Chmod(0o600), f.Close())
	if err == nil {
		err = initialize(tmp)
	}
	if err == nil {
		err = os.Link(tmp, path)
	}
	for _, side := range append([]string{""}, sideFiles[:]...) {
		if rerr := os.Remove(tmp + side); !errors.Is(rerr, os.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	if errors.Is(err, os.ErrExist) {
		return nil // another process was faster, and its file is as good
	}
	return errors.Join(err, syncDir(filepath.Dir(path)))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
