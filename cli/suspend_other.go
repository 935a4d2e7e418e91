//go:build !unix

package cli

// jobControl says whether somebody would wake us after a stop.
func jobControl() bool { return false }
