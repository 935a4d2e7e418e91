package engine

import (
	"fmt"
	"runtime/debug"
)

// crash carries a panic of one of the engine's goroutines to the loop, which panics
// with it: so whoever called Run meets it and can give the terminal back.
type crash chan string

// pass hands a panic on. It is deferred.
func (c crash) pass() {
	p := recover()
	if p == nil {
		return
	}
	select {
	case c <- fmt.Sprintf("%v\n%s", p, debug.Stack()):
	default: // another one was first
	}
}
