package cli

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"selfprotect/engine"
)

// tellSystemd tells a service manager a state, if one has started us. It looks at the
// environment of the process itself.
func tellSystemd(states ...string) {
	for _, s := range states {
		_, _ = daemon.SdNotify(false, s) // nobody listens: nobody needs to know
	}
}

// watchdog tells the service manager that the engine is alive, as long as it is. One
// that is not told is started anew.
func watchdog(alive func() bool) (stop func()) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every <= 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		t := time.NewTicker(every / 3)
		defer t.Stop()
		for {
			if alive() {
				tellSystemd(daemon.SdNotifyWatchdog)
			}
			select {
			case <-t.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// systemdStatus is the line that systemctl status shows.
func systemdStatus(s *engine.Snapshot) string {
	text := fmt.Sprintf("mode %s, %d proposals wait, %d things wrong", min(s.Base, s.Ceiling), len(s.Proposals), len(s.Problems))
	if len(s.Problems) > 0 {
		text += ": " + s.Problems[0].Text
	}
	return "STATUS=" + text
}
