package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"
)

// What the console needs to show everything side by side.
const (
	wantWidth  = 80
	wantHeight = 24
)

func checkTerminal(ctx context.Context, c *checker, env func(string) string, terminal bool) {
	if !terminal {
		c.ok("terminal", "standard output is none: a run would write lines (--headless)")
		return
	}
	checkSize(c)
	checkColours(c, env)
	locale := env("LC_ALL")
	for _, name := range []string{"LC_CTYPE", "LANG"} {
		if locale == "" {
			locale = env(name)
		}
	}
	if l := strings.ToUpper(locale); strings.Contains(l, "UTF-8") || strings.Contains(l, "UTF8") {
		c.ok("characters", "UTF-8 (%s)", locale)
	} else {
		c.warn("characters", fmt.Sprintf("the locale %q does not say UTF-8: frames and signs may come out wrong", locale), "export LC_ALL=C.UTF-8")
	}
	if env("TMUX") != "" {
		checkTmux(ctx, c)
	}
}

func checkSize(c *checker) {
	w, h, err := term.GetSize(os.Stdout.Fd())
	switch {
	case err != nil:
		c.warn("size", "it is not known: "+err.Error(), "try another terminal")
	case w < wantWidth || h < wantHeight:
		c.warn("size", fmt.Sprintf("%d by %d", w, h), fmt.Sprintf("make it at least %d by %d: smaller ones hide columns", wantWidth, wantHeight))
	default:
		c.ok("size", "%d by %d", w, h)
	}
}

func checkColours(c *checker, env func(string) string) {
	switch p := colorprofile.Detect(os.Stdout, os.Environ()); {
	case env("NO_COLOR") != "":
		c.ok("colours", "none, as NO_COLOR asks; signs say everything")
	case p >= colorprofile.ANSI:
		c.ok("colours", "%s", p)
	default:
		c.warn("colours", fmt.Sprintf("none (TERM=%s)", env("TERM")), "set TERM to what the terminal is, such as xterm-256color")
	}
}

// checkTmux asks the tmux around us for what it lets through.
func checkTmux(ctx context.Context, c *checker) {
	show := func(scope, option string) string {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "tmux", "show-options", scope, option).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	pass, clip := show("-Apqv", "allow-passthrough"), show("-sqv", "set-clipboard")
	switch {
	case pass == "" && clip == "":
		c.ok("tmux", "it does not say what it lets through")
	case pass == "off":
		c.warn("tmux", "it lets no notifications of the console through (allow-passthrough off)", "tmux set -g allow-passthrough on")
	default:
		c.ok("tmux", "allow-passthrough %s, set-clipboard %s", pass, clip)
	}
}
