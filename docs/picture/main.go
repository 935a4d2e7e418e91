// Command picture makes the pictures of the README from the real screen: it runs
// the demo in tmux, presses keys, reads the screen with its colours, and draws it.
//
//	go run ./docs/picture             # docs/console.png and docs/slots.png
//	go run ./docs/picture -theme safe -out /tmp
//
// It needs Go and tmux and nothing else; the font comes with a Go module.
package main

import (
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// scene is a picture: what to do until the screen is worth it.
type scene struct {
	name  string
	pace  float64
	quota int // entries that the network ACL may have; 0 leaves it
	steps []step
}

// step waits until the screen shows something, then presses keys.
type step struct {
	shows string // a regular expression; empty waits for nothing
	keys  []string
}

var errNever = errors.New("the screen never shows it")

func scenes() []scene {
	return []scene{
		{name: "console", pace: 3, steps: []step{
			{`Proposals ([6-9]|[1-9][0-9])`, []string{"2"}},
			{`\+ deny`, []string{"a"}},
			{`Blocks [1-9]`, []string{"a"}},
			{`Blocks [2-9]`, []string{"a", "g", "j"}},
			{`3 of [0-9]+, `, nil},
		}},
		{name: "slots", pace: 1.5, quota: 5, steps: []step{
			{`Proposals (9|[1-9][0-9])`, []string{"2", "*", "a", "a"}},
			{`y: approve|Approve`, []string{"y"}},
			{`What was done`, []string{"Escape", "3", "g"}},
			{`cut-off`, nil},
		}},
	}
}

func main() {
	theme := flag.String("theme", "dark", "theme of the console")
	out := flag.String("out", "docs", "folder of the pictures")
	w, h := flag.Int("w", 132, "columns"), flag.Int("h", 40, "lines")
	only := flag.String("only", "", "the name of one picture")
	flag.Parse()
	dir, err := os.MkdirTemp("", "picture-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = shootAll(dir, *only, *theme, *out, *w, *h)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// shootAll builds the program and makes the pictures.
func shootAll(dir, only, theme, out string, w, h int) error {
	program := filepath.Join(dir, "selfprotect")
	if out, err := exec.Command("go", "build", "-o", program, "selfprotect").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	for _, s := range scenes() {
		if only != "" && only != s.name {
			continue
		}
		if err := shoot(s, program, theme, filepath.Join(out, s.name+".png"), w, h); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// shoot plays a scene and draws its last screen.
func shoot(s scene, program, theme, path string, w, h int) error {
	dir := filepath.Dir(program)
	addr, err := freePort()
	if err != nil {
		return err
	}
	t := terminal{filepath.Join(dir, s.name)}
	defer t.close()
	line := fmt.Sprintf("env -i HOME=%s TMPDIR=%s USER=alice TERM=xterm-256color COLORTERM=truecolor LANG=C.UTF-8 %s demo --seed 1 --pace %g --theme %s --addr %s", dir, dir, program, s.pace, theme, addr)
	if err := t.start(w, h, line); err != nil {
		return err
	}
	if s.quota > 0 {
		if err := setQuota("http://"+addr, s.quota); err != nil {
			return err
		}
	}
	for _, x := range s.steps {
		if err := t.play(x); err != nil {
			return err
		}
	}
	screen, err := t.run("capture-pane", "-p", "-e", "-t", "x")
	if err != nil {
		return err
	}
	return save(path, drawScreen(parse(screen, w, h), theme == "light"))
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// setQuota sets how many entries the simulated network ACL may have, as soon as
// the demo answers.
func setQuota(url string, n int) error {
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var r *http.Response
		if r, err = http.Post(url+"/_sim/quota", "application/json", strings.NewReader(fmt.Sprintf(`{"quota":%d}`, n))); err == nil {
			_ = r.Body.Close()
			if r.StatusCode != http.StatusOK {
				return fmt.Errorf("quota: %s", r.Status)
			}
			return nil
		}
	}
	return err
}

func save(path string, img image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	return errors.Join(enc.Encode(f, img), f.Close())
}

// terminal is a tmux of our own with one window.
type terminal struct{ socket string }

func (t terminal) run(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-S", t.socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

func (t terminal) start(w, h int, line string) error {
	_, err := t.run("new-session", "-d", "-s", "x", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h), line)
	return err
}

func (t terminal) close() { _, _ = t.run("kill-server") }

func (t terminal) play(s step) error {
	re, err := regexp.Compile(s.shows)
	if err != nil {
		return err
	}
	shown := ""
	for end := time.Now().Add(90 * time.Second); !re.MatchString(shown); time.Sleep(100 * time.Millisecond) {
		if shown, err = t.run("capture-pane", "-p", "-t", "x"); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%w: %s\n%s", errNever, s.shows, shown)
		}
	}
	for _, k := range s.keys {
		if _, err := t.run("send-keys", "-t", "x", k); err != nil {
			return err
		}
		time.Sleep(700 * time.Millisecond) // a question listens once the keyboard is quiet
	}
	time.Sleep(1500 * time.Millisecond)
	return nil
}
