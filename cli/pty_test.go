package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
)

// hostileTexts are what an attacker might put into a name, a path or a title.
func hostileTexts() []string {
	var out []string
	add := func(s ...string) { out = append(out, s...) }
	for c := range rune(0x20) { // every control character, alone and in a word
		add(string(c)+"x", "a"+string(c)+"b")
	}
	for c := rune(0x7f); c < 0xa0; c++ { // DEL and C1, as runes and as bytes
		add("a"+string(c)+"b", "a"+string([]byte{byte(c)})+"b")
	}
	for _, csi := range []string{"\x1b[", "\u009b", "\x9b"} {
		for _, end := range []string{"2J", "H", "31m", "?1049l", "?25l", "6n", "c", "10;10H", "1000D", "?1000h", "!p", "20t", ">c", "5i", "4h"} {
			add("x" + csi + end + "y")
		}
	}
	for _, osc := range []string{"\x1b]", "\u009d", "\x9d"} {
		for _, body := range []string{"0;owned", "52;c;b3duZWQ=", "8;;http://evil.example/", "9;owned", "777;notify;a;b", "1337;File=:", "4;1;?"} {
			add("x"+osc+body+"\x07y", "x"+osc+body+"\x1b\\y")
		}
	}
	add("\x1bP1$r0m\x1b\\", "\x1b_Gi=1\x1b\\", "\x1b^pm\x1b\\", "\x1bXsos\x1b\\", "\x1bc", "\x1b(0lqk", "\x1b#8", "\x1bE", "\x1bM")
	for _, r := range []rune{0x200b, 0x200c, 0x200d, 0x2060, 0xfeff, 0x00ad, 0x034f, 0x061c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e,
		0x2066, 0x2067, 0x2068, 0x2069, 0x2028, 0x2029, 0x0085, 0x180e, 0x115f, 0x3164, 0xffa0, 0x2800, 0xfe0f, 0xfe00, 0xe0001, 0xe0041, 0xe007f, 0xe0100,
		0xfff9, 0xfffa, 0xfffb, 0xfffc, 0xfffd, 0xffff, 0xfdd0, 0x1ffff, 0xe000, 0xf8ff, 0x10ffff, 0x00a0, 0x2003, 0x3000, 0x202f, 0x205f} {
		add("a"+string(r)+"b", string(r))
	}
	add("\xff\xfe", "\xc0\xaf", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82", "\x80", "a\xc3", "\xf4\x90\x80\x80")
	for i := range 20 {
		add("z" + strings.Repeat("\u0301", i+1) + strings.Repeat("\u0336", i))
	}
	add("漢字漢字漢字", "한국어", "👨‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽", "❤️", "ﷺ", "﷽", "العربية", "עברית", "ไทย", "हिन्दी", "𝒳𝒴", "ｆｕｌｌ", "ﾊﾝｶｸ", "〰️")
	add("Approve 0.0.0.0/0? [y] yes", "y: approve 203.0.113.7/32", "AUTO", " READ-ONLY ", "│ +----+ │", "┌──────┐", "\n\n> y\n", "\r\ny\r\n", "203.0.113.0/24", "::/0", "0.0.0.0/0",
		"$(reboot)", "`id`", "; rm -rf /", "%s%s%n", "{{.}}", "../../etc/passwd", "<script>", "' OR 1=1", "\\x1b[2J", "<U+202E>", "=cmd|' /C calc'!A0", "\t\t\t", "    ", "")
	for n := 16; n <= 8192; n *= 2 {
		add(strings.Repeat("W", n), strings.Repeat("漢", n/2), strings.Repeat("\x1b[0m", n/4), strings.Repeat("e\u0301", n/2))
	}
	return out
}

// harmless are the control sequences that the console itself may send. A sequence
// from an alert that got through would be another one, or stand inside a text.
var harmless = regexp.MustCompile(`^(\x1b\[[0-9;:]*m|\x1b\[[0-9;]*[HJKABCDEFGXdbaefIZPLMT@S\x60]|\x1b\[\?[0-9;]+[hl]|\x1b\[\?[0-9]+\$p|\x1b\[[<>=?]?[0-9;]*[uc]|\x1b\[>[0-9;]*[mq]|\x1b\[[0-9 ]*q|\x1b\[[0-9;]*r|\x1b\[!p|\x1b\[\?5W|\x1b[=>78M]|\x1b\(B|\x1b\[[0-9;]*t|\x1b\][02];[ -~]*(\x07|\x1b\\)|\x1b\]9;(auto mode stopped itself|[a-z]+ stale|[0-9]+ alerts? of high severity|[0-9]+ proposals? waits? for you|, )+(: [0-9a-f.:/]+)?\x07|\x1b\]7501;[a-zA-Z0-9=:;+/. -]*(\x07|\x1b\\)|\x1b\]1[012];\?(\x07|\x1b\\)|\x1b\]11[012](\x07|\x1b\\)|\x1bP\+q[0-9a-fA-F]*\x1b\\|\x0f|\x0e)`)

// TestHostileTextOnATerminal sends every hostile text in every field of an alert
// to the real program in a real terminal, and looks at each byte that comes out
// and at the screen.
func TestHostileTextOnATerminal(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("there is no tmux here")
	}
	t.Parallel()
	texts := hostileTexts()
	if len(texts) < 300 {
		t.Fatalf("only %d texts", len(texts))
	}
	for _, size := range []struct {
		w, h int
		env  string
	}{{120, 40, "TERM=xterm-256color"}, {80, 24, "NO_COLOR=1"}, {60, 20, "TERM=screen"}} {
		t.Run(fmt.Sprintf("%dx%d", size.w, size.h), func(t *testing.T) {
			t.Parallel()
			v := newVictim(t)
			postHostile(t, v, texts)
			raw, screens := watch(t, v, size.w, size.h, size.env)
			for i, s := range screens {
				checkScreen(t, i, s, size.w, size.h)
			}
			if len(raw) < 2000 {
				t.Errorf("only %d bytes came out", len(raw))
			}
			checkBytes(t, raw)
		})
	}
}

// postHostile sends alerts in which every text stands in some field, and each
// field holds many of them.
func postHostile(t *testing.T, v *victim, texts []string) {
	t.Helper()
	fields := []string{"user", "exe", "command", "arguments", "containerId", "containerImage", "hostname", "vpc_id", "protocol"}
	per := 12
	for from := 0; from < len(texts); from += per {
		event := map[string]any{"connection": map[string]any{"dst_addr": fmt.Sprintf("203.0.113.%d", 1+from/per), "dst_port": 443}}
		alert := map[string]any{"title": "outbound"}
		for i, text := range texts[from:min(from+per, len(texts))] {
			f := fields[(i+from/per)%len(fields)]
			alert["title"] = alert["title"].(string) + " " + text
			old, _ := event[f].(string)
			event[f] = old + text
		}
		b, err := json.Marshal(map[string]any{"alert": map[string]any{"ruleId": v.world.RuleID, "rulesetId": v.world.RulesetID, "agentId": v.world.Agents[0].ID, "title": alert["title"]}, "events": []any{event}})
		if err != nil {
			t.Fatal(err)
		}
		var id struct{ ID string }
		if err := control(v.server.url+"/_sim/alert", string(b), &id); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
}

// watch runs the console in tmux, presses keys, and gives every byte that it sent
// and what the screen showed after each key.
func watch(t *testing.T, v *victim, w, h int, env string) (string, []string) {
	t.Helper()
	dir := t.TempDir()
	socket, raw := filepath.Join(dir, "tmux"), filepath.Join(dir, "raw")
	tmux := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("tmux", append([]string{"-S", socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %s: %v %s", args[0], err, out)
		}
		return string(out)
	}
	run := []string{"env", "-i"}
	run = append(append(run, v.env...), "TERM=xterm-256color", env, v.binary)
	run = append(run, v.args[1:]...)
	for i, word := range run {
		run[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		if word == "auto" {
			run[i] = "review"
		}
	}
	tmux("new-session", "-d", "-s", "x", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h), "sleep 100")
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", socket, "kill-server").Run() })
	tmux("set-option", "-g", "remain-on-exit", "on")
	tmux("pipe-pane", "-t", "x", "-o", "cat > "+raw)
	tmux("respawn-pane", "-k", "-t", "x", strings.Join(run, " "))
	for end := time.Now().Add(30 * time.Second); ; { // until alerts are shown
		shown := tmux("capture-pane", "-p", "-t", "x")
		if strings.Contains(shown, "203.0.113.") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nothing is shown:\n%s", shown)
		}
		time.Sleep(100 * time.Millisecond)
	}
	var screens []string
	for _, key := range []string{"", "j", "j", "2", "j", "m", "Escape", "3", "4", "k", "1", "G", "tab", "j", "?", "Escape", "!", "Escape", "/", "x", "Escape"} {
		if key != "" {
			tmux("send-keys", "-t", "x", key)
		}
		time.Sleep(400 * time.Millisecond)
		screens = append(screens, tmux("capture-pane", "-p", "-t", "x"))
	}
	tmux("send-keys", "-t", "x", "C-c")
	time.Sleep(500 * time.Millisecond)
	b, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), screens
}

// checkScreen holds that the frame stands: its first line says who we are, each
// line fits, and no character is one that shows nothing.
func checkScreen(t *testing.T, i int, s string, w, h int) {
	t.Helper()
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > h {
		t.Errorf("screen %d has %d lines", i, len(lines))
	}
	if !strings.HasPrefix(strings.TrimSpace(lines[0]), "selfprotect") {
		t.Errorf("screen %d begins with %q", i, lines[0])
	}
	for n, l := range lines {
		if got := lipgloss.Width(l); got > w {
			t.Errorf("screen %d, line %d is %d wide: %q", i, n, got, l)
		}
		for _, r := range l {
			if r != ' ' && (!unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r)) {
				t.Errorf("screen %d, line %d shows %U", i, n, r)
			}
		}
	}
}

// checkBytes holds that what came out is text and our own control sequences.
func checkBytes(t *testing.T, raw string) {
	t.Helper()
	if strings.Contains(raw, "]52;") || strings.Contains(raw, "\x1b]8;") || strings.Contains(raw, "owned\x07") {
		t.Error("a text from an alert speaks to the terminal")
	}
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRuneInString(raw[i:])
		switch {
		case r == '\n' || r == '\r' || r == '\b' || r == '\t' || r == '\x07':
			i++ // the renderer moves with these
		case r == 0x1b || r == 0x0f || r == 0x0e:
			m := harmless.FindString(raw[i:min(len(raw), i+200)])
			if m == "" {
				t.Errorf("byte %d: %q", i, raw[i:min(len(raw), i+40)])
				return
			}
			i += len(m)
		case r == utf8.RuneError && size == 1, r < 0x20, r >= 0x7f && r < 0xa0, !unicode.IsGraphic(r):
			t.Errorf("byte %d: %q", i, raw[i:min(len(raw), i+40)])
			return
		default:
			i += size
		}
	}
}
