//go:build linux || darwin

package cli

import "syscall"

// roomIn gives the free bytes of the disk of a directory, and whether this user may
// write in it.
func roomIn(dir string) (free uint64, writable bool, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false, err
	}
	const write, search = 2, 1
	return uint64(s.Bavail) * uint64(s.Bsize), syscall.Access(dir, write|search) == nil, nil
}
