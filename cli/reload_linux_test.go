package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"selfprotect/config"
)

// TestTerminalGone holds that a terminal is told from one that has gone, which makes a
// SIGHUP an end.
func TestTerminalGone(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there is no /dev/ptmx here")
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r := &reloader{terminals: terminals(null, slave, strings.NewReader(""))}
	if len(r.terminals) != 1 || r.terminalGone() {
		t.Errorf("%d terminals, gone %t", len(r.terminals), r.terminalGone())
	}
	if err := master.Close(); err != nil {
		t.Fatal(err)
	}
	if !r.terminalGone() {
		t.Error("the terminal is gone and nobody sees it")
	}
	if (&reloader{}).terminalGone() {
		t.Error("gone though there never was one")
	}
}

// TestDifferences holds that each key that differs is told, and no secret.
func TestDifferences(t *testing.T) {
	load := func(text string) *config.Config {
		t.Helper()
		path := t.TempDir() + "/config.toml"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Options{Path: path, Home: "/home/op", Partial: true})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const receiver = "[[notify]]\nname = \"soc\"\nurl = \"generic+https://hooks.example.com/%s\"\n"
	old := load("mode = \"auto\"\n[limits]\nttl = \"2h\"\n" + fmt.Sprintf(receiver, "T0K3N"))
	now := load("[metrics]\naddress = \"127.0.0.1:1\"\n[[acl]]\nid = \"acl-0123456789abcdef0\"\n" + fmt.Sprintf(receiver, "0TH3R"))
	got := strings.Join(differences(old, now), "\n")
	for _, want := range []string{"limits.ttl: 24h, was 2h", "mode: review, was auto", "metrics.address: 127.0.0.1:1, was not set",
		"notify[soc].url: another secret", "acl[acl-0123456789abcdef0].rule_numbers: new, 1-99"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "T0K3N") || strings.Contains(got, "0TH3R") {
		t.Errorf("a secret is told: %s", got)
	}
	back := strings.Join(differences(now, old), "\n")
	if !strings.Contains(back, "acl[acl-0123456789abcdef0].id: gone, was acl-0123456789abcdef0") {
		t.Errorf("what is gone is not told: %s", back)
	}
	if d := differences(old, old); len(d) != 0 {
		t.Errorf("the same differs: %v", d)
	}
}
