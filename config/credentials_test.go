package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const lab = "[default]\nts_org = org-ini\nts_user = user-ini\nts_key = " + canary + "ini\n"

// home makes a home directory with files of a mode.
func home(t testing.TB, mode fs.FileMode, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		p := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	return dir
}

// credentialsCase is a set of places and what is found there. HOME stands for the
// home directory.
type credentialsCase struct {
	name     string
	mode     fs.FileMode
	files    []string
	toml     string
	env      []string
	org, key string
	from     string
	warning  string
	err      string
}

func credentialsCases() []credentialsCase {
	const ini, key = ".threatstack/credentials", "key"
	all := []string{"TS_ORGANIZATION_ID", "org", "TS_USER_ID", "user", "TS_API_KEY", canary}
	return []credentialsCase{
		{name: "environment", env: all, org: "org", key: canary, from: "the environment"},
		{name: "lab file", files: []string{ini, lab}, org: "org-ini", key: canary + "ini", from: "HOME/.threatstack/credentials"},
		{name: "lab file for all to read", mode: 0o644, files: []string{ini, lab}, org: "org-ini", key: canary + "ini", from: "HOME/.threatstack/credentials",
			warning: "HOME/.threatstack/credentials may be read by others; run: chmod 600 HOME/.threatstack/credentials"},
		{name: "lab file for all to write", mode: 0o666, files: []string{ini, lab},
			err: "HOME/.threatstack/credentials: may be written by others (mode 0666); run: chmod 600 HOME/.threatstack/credentials"},
		{name: "environment over file", mode: 0o666, files: []string{ini, lab}, env: all, org: "org", key: canary, from: "the environment"},
		{name: "part of each", files: []string{ini, lab}, env: all[:2], org: "org", key: canary + "ini", from: "the environment, HOME/.threatstack/credentials",
			warning: "the organization id is from the environment, the user id from HOME/.threatstack/credentials"},
		{name: "nothing", err: "TS_ORGANIZATION_ID, TS_USER_ID and TS_API_KEY are missing; looked in the environment, HOME/.threatstack/credentials (does not exist)"},
		{name: "one missing", env: all[:4], err: "TS_API_KEY is missing; looked in the environment, HOME/.threatstack/credentials (does not exist)"},
		{name: "blank variable", env: []string{"TS_ORGANIZATION_ID", " ", "TS_USER_ID", "u", "TS_API_KEY", canary},
			err: "TS_ORGANIZATION_ID is missing; looked in the environment, HOME/.threatstack/credentials (does not exist)"},
		{name: "section missing", files: []string{ini, "[other]\nts_org = o\nts_user = u\nts_key = " + canary},
			err: "TS_ORGANIZATION_ID, TS_USER_ID and TS_API_KEY are missing; looked in the environment, HOME/.threatstack/credentials"},
		{name: "no section, capitals, odd characters", files: []string{ini, "TS_ORG=org#1\nts_user: u;2\nTS_KEY=\"%(x)s" + canary + "\"\n"}, org: "org#1", key: "%(x)s" + canary,
			from: "HOME/.threatstack/credentials"},
		{name: "no INI", files: []string{ini, "[default\n" + canary},
			err: "HOME/.threatstack/credentials: cannot be read as an INI file; write [default] and lines such as ts_org = …"},
		{name: "other INI", files: []string{"x", lab}, toml: "credentials = \"HOME/x\"", org: "org-ini", key: canary + "ini", from: "HOME/x"},
		{name: "other INI gone", toml: "credentials = \"HOME/x\"", err: "HOME/x: does not exist"},
		{name: "key file", files: []string{key, canary + "\n"}, toml: "key_file = \"~/key\"", env: all[:4], org: "org", key: canary, from: "the environment, HOME/key"},
		{name: "key file over INI", files: []string{key, canary, ini, lab}, toml: "key_file = \"~/key\"", org: "org-ini", key: canary, from: "HOME/.threatstack/credentials, HOME/key"},
		{name: "key file in INI form", files: []string{key, lab}, toml: "key_file = \"~/key\"", org: "org-ini", key: canary + "ini", from: "HOME/key"},
		{name: "key file gone", toml: "key_file = \"~/key\"", env: all[:4], err: "HOME/key: does not exist"},
		{name: "key file empty", files: []string{key, " \n"}, toml: "key_file = \"~/key\"", env: all[:4],
			err: "HOME/key: must hold the API key on one line, or [default] with ts_org, ts_user and ts_key"},
		{name: "key file for others to read", mode: 0o640, files: []string{key, canary}, toml: "key_file = \"~/key\"", env: all[:4],
			err: "HOME/key: may be read by others (mode 0640); run: chmod 600 HOME/key"},
		{name: "key with a quote", env: []string{"TS_ORGANIZATION_ID", "o", "TS_USER_ID", "u", "TS_API_KEY", canary + "\"x"},
			err: "TS_API_KEY from the environment holds a blank, a quote or a character that is not ASCII"},
	}
}

func TestCredentials(t *testing.T) {
	for _, x := range credentialsCases() {
		t.Run(x.name, func(t *testing.T) {
			if x.mode == 0 {
				x.mode = 0o600
			}
			dir := home(t, x.mode, x.files...)
			in := func(s string) string { return strings.ReplaceAll(s, "HOME", dir) }
			c, err := Load(Options{Path: write(t, "config.toml", "[threatstack]\n"+in(x.toml)), Home: dir, Env: env(x.env...), Partial: true})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Credentials()
			if x.err != "" {
				var ce *CredentialsError
				if !errors.As(err, &ce) || err.Error() != "threat stack credentials: "+in(x.err) {
					t.Errorf("got %v", err)
				}
				if leaks(err.Error()) || got.OrganizationID != "" || !got.APIKey.IsZero() {
					t.Errorf("%v leaks, or came with %+v", err, got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.OrganizationID != x.org || got.APIKey.Reveal() != x.key || got.From != in(x.from) || strings.Join(got.Warnings, "; ") != in(x.warning) {
				t.Errorf("%+v, key right: %v", got, got.APIKey.Reveal() == x.key)
			}
		})
	}
}

func TestCredentialsErrorKeepsTheCause(t *testing.T) {
	c, err := Load(Options{Path: write(t, "config.toml", "[threatstack]\nkey_file = \"/nowhere/key\"\n"), Home: "/home/op", Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Credentials(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
