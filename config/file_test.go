//go:build unix

package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRefuse(t *testing.T) {
	const me = 1000
	for _, x := range []struct {
		mode       fs.FileMode
		uid, euid  int
		write, any string // what is said of a config file, and of a key file
	}{
		{0o600, me, me, "", ""},
		{0o400, me, me, "", ""},
		{0o600, 0, me, "", ""},
		{0o600, 0, 0, "", ""},
		{0o600, -1, me, "", ""},
		{0o644, me, me, "", "may be read by others (mode 0644); run: chmod 600 f"},
		{0o604, me, me, "", "may be read by others (mode 0604); run: chmod 600 f"},
		{0o601, me, me, "", "may be read by others (mode 0601); run: chmod 600 f"},
		{0o620, me, me, "may be written by others (mode 0620); run: chmod 600 f", "may be written by others (mode 0620); run: chmod 600 f"},
		{0o602, me, me, "may be written by others (mode 0602); run: chmod 600 f", "may be written by others (mode 0602); run: chmod 600 f"},
		{0o600, 33, me, "belongs to another user (uid 33); chown it to yourself or root", "belongs to another user (uid 33); chown it to yourself or root"},
		{0o600, me, 0, "belongs to another user (uid 1000); chown it to yourself or root", "belongs to another user (uid 1000); chown it to yourself or root"},
		{fs.ModeNamedPipe | 0o600, me, me, "is not a regular file", "is not a regular file"},
		{fs.ModeDir | 0o700, me, me, "is not a regular file", "is not a regular file"},
	} {
		if got := refuse("f", x.mode, x.uid, x.euid, othersWrite); got != x.write {
			t.Errorf("%v of %d for %d: %q, want %q", x.mode, x.uid, x.euid, got, x.write)
		}
		if got := refuse("f", x.mode, x.uid, x.euid, othersAny); got != x.any {
			t.Errorf("%v of %d for %d: %q, want %q", x.mode, x.uid, x.euid, got, x.any)
		}
	}
}

func TestConfigFileIsChecked(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.toml")
	if err := os.WriteFile(good, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("open.toml"), []byte(minimal), 0o600), os.Chmod(at("open.toml"), 0o666),
		os.WriteFile(at("big.toml"), []byte(strings.Repeat("#", maxFile+1)), 0o600),
		os.WriteFile(at("full.toml"), []byte(minimal+strings.Repeat("#", maxFile-len(minimal))), 0o600),
		os.Mkdir(at("dir.toml"), 0o700), syscall.Mkfifo(at("pipe.toml"), 0o600),
		os.Symlink(good, at("link.toml")), os.Symlink(at("open.toml"), at("openlink.toml")), os.Symlink(at("gone"), at("dangling.toml")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"good.toml": "", "link.toml": "", "full.toml": "",
		"open.toml":     "may be written by others (mode 0666); run: chmod 600 " + at("open.toml"),
		"openlink.toml": "may be written by others (mode 0666); run: chmod 600 " + at("openlink.toml"),
		"big.toml":      "is larger than 262144 bytes",
		"dir.toml":      "is not a regular file",
		"pipe.toml":     "is not a regular file",
		"dangling.toml": "does not exist",
	} {
		_, err := Load(Options{Path: at(name), Home: dir})
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != at(name)+": "+want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The default file may be absent, but not be unsafe.
	def := filepath.Join(home(t, 0o666, "selfprotect/config.toml", minimal))
	if _, err := Load(Options{Home: dir, Env: env("XDG_CONFIG_HOME", def)}); err == nil || !strings.Contains(err.Error(), "may be written by others") {
		t.Errorf("%v", err)
	}
}
