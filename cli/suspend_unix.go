//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// jobControl says whether somebody would wake us after a stop: a shell of the same
// session that has made us a job. The only program of a terminal has none; stopped,
// it would hang.
func jobControl() bool {
	ours, err := unix.Getsid(0)
	if err != nil {
		return false
	}
	theirs, err := unix.Getsid(os.Getppid())
	group, groupErr := unix.Getpgid(os.Getppid())
	return err == nil && groupErr == nil && ours == theirs && group != unix.Getpgrp()
}
