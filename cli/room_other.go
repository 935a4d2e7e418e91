//go:build !linux && !darwin

package cli

import "errors"

// roomIn is not known here.
func roomIn(string) (free uint64, writable bool, err error) {
	return 0, false, errors.New("how much is free is not known on this system")
}
