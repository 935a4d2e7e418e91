// Command selfprotect makes a cloud protect itself: it polls alerts, finds the
// network addresses in them, and blocks each one with a deny entry in an AWS
// network ACL, by itself or after an operator has approved it.
package main

import (
	"os"

	"selfprotect/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Process()))
}
