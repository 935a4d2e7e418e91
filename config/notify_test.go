package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const aReceiver = "generic+https://hooks.example.com/T0K3N"

// receiver loads a [[notify]] with these keys beside its name.
func receiver(t *testing.T, mode os.FileMode, keys string, opts Options) (*Config, error) {
	t.Helper()
	opts.Path = write(t, "config.toml", "[[notify]]\nname = \"soc\"\n"+keys)
	if err := os.Chmod(opts.Path, mode); err != nil {
		t.Fatal(err)
	}
	opts.Home, opts.Partial = "/home/op", true
	return Load(opts)
}

// TestNotifyURL holds where the URL of a receiver is taken from, that others may not
// read it, and that nothing shows it.
func TestNotifyURL(t *testing.T) {
	file := write(t, "notify.url", aReceiver+"\n")
	open := write(t, "open.url", aReceiver)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		keys, env string
		mode      os.FileMode
		wrong     string
	}{
		{"url = \"" + aReceiver + "\"", "", 0o600, ""},
		{"url = \"" + aReceiver + "\"", "", 0o644, "chmod 600"},
		{"url_file = \"" + file + "\"", "", 0o644, ""},
		{"url_file = \"" + open + "\"", "", 0o600, "may be read by others"},
		{"", aReceiver, 0o644, ""},
		{"", "T0K3N", 0o644, "must be the URL of a receiver"},
		{"", "", 0o644, "is missing"},
	} {
		cfg, err := receiver(t, c.mode, c.keys, Options{Env: env(notifyURL, c.env)})
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%q, %q, %o: %v, want %q", c.keys, c.env, c.mode, err, c.wrong)
		}
		shown := fmt.Sprint(err)
		if err == nil {
			if got := cfg.Notify[0].URL.Reveal(); got != aReceiver {
				t.Errorf("%q gives %q", c.keys, got)
			}
			shown = fmt.Sprintf("%+v %#v %v", cfg.Notify, cfg.Notify, cfg.Sources())
		}
		if strings.Contains(shown, "T0K3N") {
			t.Errorf("%q: the secret is shown: %s", c.keys, shown)
		}
	}
}

// TestNotifyFromEnvironment holds that the variable alone makes a receiver.
func TestNotifyFromEnvironment(t *testing.T) {
	cfg, err := Load(Options{Home: filepath.Join(t.TempDir(), "home"), Partial: true, Env: env(notifyURL, aReceiver)})
	if err != nil || len(cfg.Notify) != 1 || cfg.Notify[0].Name != "environment" || len(cfg.Notify[0].Events) != len(NotifyEvents()) {
		t.Fatalf("%+v, %v", cfg, err)
	}
}

// TestReceiverIsAsked holds that what the program says of a URL or a template is a
// mistake with the line of its key.
func TestReceiverIsAsked(t *testing.T) {
	_, err := receiver(t, 0o600, "url = \""+aReceiver+"\"\ntemplate = \"{{\"", Options{Receiver: func(url, template string) (string, string) {
		return "no such service", "unexpected end in " + template
	}})
	for _, want := range []string{"config.toml:3: notify.url: no such service", "config.toml:4: notify.template: unexpected end in {{"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
