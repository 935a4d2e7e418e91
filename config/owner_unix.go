//go:build unix

package config

import (
	"io/fs"
	"syscall"
)

// owner gives the user id of a file, -1 when it is unknown.
func owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}
