// Package ui is the console: it shows engine snapshots and sends decisions.
//
// The protocol. The engine hands out immutable snapshots; the model takes the
// newest, keeps cursors by id, and draws one frame from it. A key acts on what
// was highlighted in the last frame that was drawn: View notes the block and the
// digest of its effect, and a decision carries that digest. If the row or its
// effect has changed since, the decision is refused with "row changed, look
// again". A decision about several, marked or grouped, goes through one path: what
// does not fit or has changed is left out and named. Nothing opens by itself. A confirmation absorbs keys until input has
// been quiet, defaults to cancel, and is not answered by the key that opened it.
//
// Lists are filtered, sorted and grouped by what their rows are known by, never by
// their place: the cursor keeps its id, and a group acts for all its members. The
// palette runs the bindings of the key map: it acts on what the frame before it
// highlighted, and asks what the key would ask.
//
// Update never waits: decisions run in commands with a time limit. View reads no
// clock: the time was noted with the last message.
//
// Text from outside was cleaned where it came in; ids, which must stay as they
// are, are cleaned here. The console emits no other sequence than its own
// colours, those of the renderer, and those of clipboard.go and attention.go.
package ui

import (
	"context"
	"errors"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"selfprotect/engine"
)

// Config is what a console is made from.
type Config struct {
	Updates <-chan *engine.Snapshot // newest wins; closed when the engine ends
	Console engine.Console
	// Open gives Console and Updates when they take a moment to be had; nil when they
	// are there. Its error ends the console.
	Open    func() (engine.Console, <-chan *engine.Snapshot, error)
	Actor   string // who decides, user@host
	Title   string // such as demo; may be empty
	Theme   string // auto, light, dark, mono, safe or ansi
	ASCII   bool   // nothing beyond ASCII
	NoColor bool
	FPS     int // frames a second at most; 0 is 20
	// Now is the clock; nil is time.Now. Location is the zone of the times that are
	// shown; nil is time.Local.
	Now      func() time.Time
	Location *time.Location
	// LogPath and JournalPath are shown in the help.
	LogPath, JournalPath string
	Notice               string  // one line that is shown while nothing is wrong
	Faults               []Fault // what can be made to go wrong; of a demo alone
	// Production are patterns (path.Match) of profiles, accounts and ACL names or ids
	// that the header marks; Profiles are the AWS profiles in use.
	Production, Profiles []string
	Notify               Notify
	Suspend              bool   // there is a shell that wakes us after ctrl+z
	Mouse                string // wheel: the mouse wheel scrolls; else the mouse is the terminal's
	// Keys are the operator's own keys for actions, which win over the default ones.
	Keys map[string][]string
	// Columns are the operator's columns for lists; Views are the views of the
	// configuration; Store keeps what changes for the next session, nil for nothing.
	Columns map[string][]string
	Views   []View
	Store   Store
}

// NoColor says whether the environment asks for no colour: NO_COLOR with any
// value (no-color.org), or a terminal that has none.
func NoColor(env func(string) string) bool {
	return env("NO_COLOR") != "" || env("TERM") == "dumb"
}

// ASCII says whether the terminal cannot be trusted with more than ASCII: the Linux
// console, or a locale that is set and not UTF-8.
func ASCII(env func(string) string) bool {
	if env("TERM") == "linux" {
		return true
	}
	for _, k := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env(k)); v != "" {
			return !strings.Contains(v, "utf-8") && !strings.Contains(v, "utf8")
		}
	}
	return false
}

// Run shows the console until the operator quits or ctx is done. The terminal is
// restored in every case.
func Run(ctx context.Context, cfg Config, opts ...tea.ProgramOption) error {
	if cfg.FPS <= 0 {
		cfg.FPS = 20
	}
	opts = append([]tea.ProgramOption{tea.WithFPS(cfg.FPS), tea.WithoutSignalHandler()}, opts...)
	if cfg.NoColor {
		opts = append(opts, tea.WithColorProfile(colorprofile.Ascii))
	}
	m := New(cfg)
	p := tea.NewProgram(m, opts...)
	stop := context.AfterFunc(ctx, func() { p.Send(leaveMsg{}) })
	defer stop()
	_, err := p.Run()
	if err == nil || errors.Is(err, tea.ErrInterrupted) {
		return m.failed
	}
	return err
}
