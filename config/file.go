package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxFile bounds what is read of any file, in bytes.
const maxFile = 256 << 10

// fileError says what is wrong with a file.
type fileError struct {
	path, message string
	err           error
}

func (e *fileError) Error() string { return e.path + ": " + e.message }

func (e *fileError) Unwrap() error { return e.err }

// plain gives the message without the path, for a place that names it anyway.
func plain(err error) string {
	var fe *fileError
	if errors.As(err, &fe) {
		return fe.message
	}
	return err.Error()
}

// Permission bits that a file must not have.
const (
	othersWrite fs.FileMode = 0o022
	othersAny   fs.FileMode = 0o077
)

// readConfigFile reads a file that nobody else may write.
func readConfigFile(path string) ([]byte, error) {
	data, _, err := readOwned(path, othersWrite)
	return data, err
}

// readOwned reads a regular file that is ours or root's. A symbolic link must be
// ours too, as its owner chooses what is read.
func readOwned(path string, forbidden fs.FileMode) ([]byte, fs.FileMode, error) {
	link, err := os.Lstat(path)
	if err != nil {
		return nil, 0, explain(path, err)
	}
	if link.Mode()&fs.ModeSymlink != 0 {
		if m := refuseOwner(owner(link), os.Geteuid()); m != "" {
			return nil, 0, &fileError{path: path, message: "is a symbolic link that " + m}
		}
	}
	// A pipe would block in Open, so the kind is looked at before; the rest is
	// asked of the open file, which nobody can exchange.
	if info, err := os.Stat(path); err != nil {
		return nil, 0, explain(path, err)
	} else if !info.Mode().IsRegular() {
		return nil, 0, &fileError{path: path, message: "is not a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, explain(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, explain(path, err)
	}
	if m := refuse(path, info.Mode(), owner(info), os.Geteuid(), forbidden); m != "" {
		return nil, 0, &fileError{path: path, message: m}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, 0, explain(path, err)
	}
	if len(data) > maxFile {
		return nil, 0, &fileError{path: path, message: fmt.Sprintf("is larger than %d bytes", maxFile)}
	}
	return data, info.Mode(), nil
}

// refuse says why a file of this mode and owner must not be trusted, and what to
// do; empty means that it may be.
func refuse(path string, mode fs.FileMode, uid, euid int, forbidden fs.FileMode) string {
	if m := refuseOwner(uid, euid); m != "" {
		return m
	}
	if !mode.IsRegular() {
		return "is not a regular file"
	}
	switch bad := mode.Perm() & forbidden; {
	case bad&0o022 != 0:
		return fmt.Sprintf("may be written by others (mode %04o); run: chmod 600 %s", mode.Perm(), path)
	case bad != 0:
		return fmt.Sprintf("may be read by others (mode %04o); run: chmod 600 %s", mode.Perm(), path)
	}
	return ""
}

// refuseOwner trusts ourselves and root. A negative uid is unknown.
func refuseOwner(uid, euid int) string {
	if uid < 0 || uid == 0 || uid == euid {
		return ""
	}
	return fmt.Sprintf("belongs to another user (uid %d); chown it to yourself or root", uid)
}

// explain puts the usual errors in plain words; the cause stays to be found.
func explain(path string, err error) error {
	m := "cannot be read"
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		m = "does not exist"
	case errors.Is(err, fs.ErrPermission):
		m = "may not be read by this user"
	case errors.As(err, &pe):
		m += ": " + pe.Err.Error()
	}
	return &fileError{path, m, err}
}
