package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"selfprotect/firewall"
	"selfprotect/policy"
)

// source gives one source of a configuration.
func source(t testing.TB, c *Config, key string) Source {
	t.Helper()
	for _, s := range c.Sources() {
		if s.Key == key {
			return s
		}
	}
	t.Fatalf("no source for %s", key)
	return Source{}
}

func TestLabFlags(t *testing.T) {
	c, err := Load(Options{
		Home:  "/home/op",
		Flags: Flags{Mode: "auto", WatchRules: []string{"rule-1"}, ACLs: []string{"acl-01234567"}, PollInterval: "1s"},
		Env:   env("AWS_DEFAULT_REGION", "us-west-2"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.File != "" || c.Mode != policy.Auto || c.ThreatStack.PollInterval != time.Second {
		t.Errorf("%+v", c)
	}
	if w := c.Watches; len(w) != 1 || !reflect.DeepEqual(w[0], Watch{Rule: "rule-1", Weight: 10}) {
		t.Errorf("%+v", w)
	}
	want := ACL{ID: "acl-01234567", Region: "us-west-2", Directions: []firewall.Direction{firewall.Egress}, Numbers: Range{1, 99}}
	if a := c.ACLs; len(a) != 1 || !reflect.DeepEqual(a[0], want) {
		t.Errorf("%+v", a)
	}
	if c.ACLs[0].Usable() != 20 {
		t.Errorf("usable %d", c.ACLs[0].Usable())
	}
	for key, from := range map[string]string{
		"mode": "flag --mode", "threatstack.poll_interval": "flag --poll-interval",
		"watch[rule-1].rule": "flag --watchrule", "watch[rule-1].weight": "default",
		"acl[acl-01234567].id": "flag --aws-acl-id", "acl[acl-01234567].region": "environment AWS_DEFAULT_REGION",
		"acl[acl-01234567].rule_numbers": "default",
	} {
		if s := source(t, c, key); s.From != from {
			t.Errorf("%s is from %s, want %s", key, s.From, from)
		}
	}
	if s := c.Sources(); !slices.IsSortedFunc(s, func(a, b Source) int { return strings.Compare(a.Key, b.Key) }) {
		t.Error("sources are not sorted")
	}
}

func TestFlagMistakes(t *testing.T) {
	_, err := Load(Options{
		Home: "/home/op",
		Flags: Flags{Mode: "auto!", WatchRules: []string{"a b"}, ACLs: []string{"", "acl-01234567", "acl-01234568"}, PollInterval: "500ms",
			Region: "here", Profile: "\x1b[2J", State: "x\x00", Log: "~/x", LogLevel: "loud", Theme: "pink"},
		Env: env("TS_API_ENDPOINT", "https://u:hunter2@x"),
	})
	var ps Problems
	if !errors.As(fmt.Errorf("load: %w", err), &ps) {
		t.Fatal(err)
	}
	want := []string{
		"--aws-acl-id: must not be empty or hold control characters",
		`--log-level: must be "debug", "info", "warn" or "error", found "loud"`,
		`--mode: must be "review", "auto" or "observe", found "auto!"; did you mean "auto"?`,
		"--poll-interval: must be from 1s to 1h, found 500ms",
		"--profile: must not be empty or hold control characters",
		`--region: must be an AWS region, found "here"; write it like eu-west-1`,
		"--state: must not be empty or hold control characters",
		`--theme: must be "auto", "light", "dark", "mono", "safe" or "ansi", found "pink"`,
		"--watchrule: must be the id of a rule: at most 200 characters, no blanks",
		"TS_API_ENDPOINT: must not hold a user or password; set TS_USER_ID and TS_API_KEY",
	}
	if got := err.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s", got)
	}
}

// Each row sets one key in some of the places; the first of them wins.
func TestPrecedence(t *testing.T) {
	file := minimal + "region = \"eu-west-1\"\n[threatstack]\nbase_url = \"https://file.example/\"\npoll_interval = \"20s\"\n[state]\npath = \"/file.db\"\n"
	file = "mode = \"observe\"\n" + file
	region := "acl[acl-0123456789abcdef0].region"
	for _, x := range []struct {
		name, file  string
		flags       Flags
		env         []string
		key, value  string
		from, atEnd string
	}{
		{name: "default", file: minimal, key: "mode", value: "review", from: "default"},
		{name: "file", file: file, key: "mode", value: "observe", from: "file", atEnd: ":1"},
		{name: "flag over file", file: file, flags: Flags{Mode: "auto"}, key: "mode", value: "auto", from: "flag --mode"},
		{name: "url default", file: minimal, key: "threatstack.base_url", value: "https://api.threatstack.com", from: "default"},
		{name: "url file", file: file, key: "threatstack.base_url", value: "https://file.example", from: "file", atEnd: ":8"},
		{name: "url host", file: file, env: []string{"TS_HOST", "host.example:8443"}, key: "threatstack.base_url", value: "https://host.example:8443", from: "environment TS_HOST"},
		{name: "url endpoint", file: file, env: []string{"TS_HOST", "host.example", "TS_API_ENDPOINT", "http://127.0.0.1:80/"}, key: "threatstack.base_url", value: "http://127.0.0.1:80", from: "environment TS_API_ENDPOINT"},
		{name: "empty variable", file: file, env: []string{"TS_API_ENDPOINT", ""}, key: "threatstack.base_url", value: "https://file.example", from: "file", atEnd: ":8"},
		{name: "region of the file stays", file: file, env: []string{"AWS_REGION", "us-east-2"}, key: region, value: "eu-west-1", from: "file", atEnd: ":6"},
		{name: "region flag", file: file, flags: Flags{Region: "us-east-1"}, key: region, value: "us-east-1", from: "flag --region"},
		{name: "region environment", file: minimal, env: []string{"AWS_DEFAULT_REGION", "us-west-1", "AWS_REGION", "us-east-2"}, key: region, value: "us-east-2", from: "environment AWS_REGION"},
		{name: "region open", file: minimal, key: region, value: "", from: "default"},
		{name: "state default", file: minimal, key: "state.path", value: "/home/op/.local/state/selfprotect/journal.db", from: "default"},
		{name: "state XDG", file: minimal, env: []string{"XDG_STATE_HOME", "/state"}, key: "state.path", value: "/state/selfprotect/journal.db", from: "default"},
		{name: "state relative XDG", file: minimal, env: []string{"XDG_STATE_HOME", "state"}, key: "state.path", value: "/home/op/.local/state/selfprotect/journal.db", from: "default"},
		{name: "state file", file: file, key: "state.path", value: "/file.db", from: "file", atEnd: ":11"},
		{name: "state flag", file: file, flags: Flags{State: "~/s.db"}, key: "state.path", value: "/home/op/s.db", from: "flag --state"},
		{name: "poll flag", file: file, flags: Flags{PollInterval: "2s"}, key: "threatstack.poll_interval", value: "2s", from: "flag --poll-interval"},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := write(t, "config.toml", x.file)
			c, err := Load(Options{Path: p, Home: "/home/op", Flags: x.flags, Env: env(x.env...)})
			if err != nil {
				t.Fatal(err)
			}
			want := Source{x.key, x.value, strings.Replace(x.from, "file", p, 1) + x.atEnd}
			if got := source(t, c, x.key); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestFindsTheFile(t *testing.T) {
	dir := t.TempDir()
	put := func(name, mode string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(minimal+"name = \""+mode+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	home := put(".config/selfprotect/config.toml", "home")
	xdg := put("xdg/selfprotect/config.toml", "xdg")
	variable := put("variable.toml", "variable")
	flag := put("flag.toml", "flag")
	for _, x := range []struct {
		path string
		env  []string
		want string
	}{
		{want: home},
		{env: []string{"XDG_CONFIG_HOME", dir + "/xdg"}, want: xdg},
		{env: []string{"XDG_CONFIG_HOME", dir + "/xdg", "SELFPROTECT_CONFIG", variable}, want: variable},
		{path: flag, env: []string{"SELFPROTECT_CONFIG", variable}, want: flag},
	} {
		c, err := Load(Options{Path: x.path, Env: env(append(x.env, "HOME", dir)...)})
		if err != nil || c.File != x.want {
			t.Errorf("%v: %+v, %v", x, c, err)
		}
	}
	gone := filepath.Join(dir, "gone.toml")
	for _, o := range []Options{{Path: gone}, {Env: env("SELFPROTECT_CONFIG", gone)}} {
		o.Home = dir
		if _, err := Load(o); err == nil || err.Error() != gone+": does not exist" {
			t.Errorf("%v", err)
		}
	}
}

func TestFlagsChoose(t *testing.T) {
	file := `[[watch]]
rule = "rule-1"
name = "one"
mode = "auto"
[[watch]]
rule = "rule-2"
acls = ["b", "acl-0000000a"]
[[acl]]
id = "acl-0000000a"
quota = 30
reserve = 3
[[acl]]
id = "acl-0000000b"
name = "b"
directions = ["ingress", "egress"]
rule_numbers = [5, 50]
`
	load := func(f Flags) (*Config, error) {
		return Load(Options{Path: write(t, "config.toml", file), Home: "/home/op", Flags: f})
	}
	c, err := load(Flags{})
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Watches; len(w) != 2 || !slices.Equal(w[1].ACLs, []string{"acl-0000000a", "acl-0000000b"}) || w[0].ACLs != nil {
		t.Errorf("%+v", w)
	}
	if a := c.ACLs; a[0].Usable() != 27 || a[1].Numbers != (Range{5, 50}) ||
		!slices.Equal(a[1].Directions, []firewall.Direction{firewall.Egress, firewall.Ingress}) {
		t.Errorf("%+v", a)
	}
	c, err = load(Flags{WatchRules: []string{"one", "rule-9", "rule-1"}, ACLs: []string{"b", "acl-0000000c", "b"}, Profile: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Watches; len(w) != 2 || w[0].Mode != policy.Auto || w[1].Rule != "rule-9" {
		t.Errorf("%+v", w)
	}
	if a := c.ACLs; len(a) != 2 || a[0].ID != "acl-0000000b" || a[1].ID != "acl-0000000c" || a[0].Profile != "ops" {
		t.Errorf("%+v", a)
	}
	for _, s := range c.Sources() {
		if strings.Contains(s.Key, "rule-2") || strings.Contains(s.Key, "0000000a") {
			t.Errorf("%+v is of an element that was not chosen", s)
		}
	}
	// A limited watch is not widened, and not silently narrowed.
	_, err = load(Flags{WatchRules: []string{"rule-2"}, ACLs: []string{"acl-0000000a"}})
	if err == nil || !strings.HasSuffix(err.Error(), `:7: watch.acls: "b" is not among the ACLs that --aws-acl-id chooses`) {
		t.Errorf("%v", err)
	}
}

func TestInlineTables(t *testing.T) {
	file := "watch = [{ rule = \"rule-1\" }, { rule = \"rule-2\", ttl = \"1h\" }]\nacl = [\n  { id = \"acl-0000000a\" },\n]\nui.fps = 20\n"
	p := write(t, "config.toml", file)
	c, err := Load(Options{Path: p, Home: "/home/op"})
	if err != nil || len(c.Watches) != 2 || c.Watches[1].TTL != time.Hour || c.UI.FPS != 20 {
		t.Fatalf("%+v, %v", c, err)
	}
	if s := source(t, c, "acl[acl-0000000a].id"); s.From != p+":3" {
		t.Errorf("%+v", s)
	}
}

func TestPartial(t *testing.T) {
	c, err := Load(Options{Home: "/home/op", Partial: true})
	if err != nil || c.Mode != policy.Review || len(c.Watches)+len(c.ACLs) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Load(Options{Home: "/home/op"}); err == nil {
		t.Error("a configuration that watches nothing was accepted")
	}
	_, err = Load(Options{Partial: true})
	if err == nil || !strings.HasPrefix(err.Error(), "state.path: no home directory is known") {
		t.Errorf("%v", err)
	}
}

func TestWarnings(t *testing.T) {
	file := minimal + "rule_numbers = [1, 5]\nquota = 40\n[threatstack]\nallow_unsigned = true\n"
	c, err := Load(Options{Path: write(t, "config.toml", file), Home: "/home/op"})
	if err != nil || len(c.Warnings) != 3 || !slices.IsSorted(c.Warnings) {
		t.Errorf("%v, %v", c, err)
	}
	for _, host := range []string{"localhost:1", "127.0.0.1", "[::1]:9"} {
		c, err := Load(Options{Home: "/home/op", Partial: true, Env: env("TS_API_ENDPOINT", "http://"+host)})
		if err != nil || len(c.Warnings) != 0 {
			t.Errorf("%s: %v, %v", host, c.Warnings, err)
		}
	}
}

func TestNeverBlock(t *testing.T) {
	file := minimal + "[guard]\nnever_block = [\"192.0.2.77/24\", \"2001:db8::1\", \"::ffff:10.1.2.3/112\", \"192.0.2.0/24\"]\n"
	c, err := Load(Options{Path: write(t, "config.toml", file), Home: "/home/op"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range c.NeverBlock() {
		if g.Why != "never_block in the config" || g.Ask {
			t.Errorf("%+v", g)
		}
		got = append(got, g.Prefix.String())
	}
	want := []string{"10.1.0.0/16", "192.0.2.0/24", "2001:db8::1/128"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if s := source(t, c, "guard.never_block").Value; s != strings.Join(want, ", ") {
		t.Errorf("shown as %s", s)
	}
}

func TestDurationsComeBack(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"30d": 30 * day, "1d": day, "1d12h": 36 * time.Hour, "90s": 90 * time.Second, "0d": 0, "1h30m": 90 * time.Minute,
	} {
		if d, err := ParseDuration(s); err != nil || d != want {
			t.Errorf("%s: %v, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "d", "-1d", "1.5d", "1d-1h", "1d+1h", "1d2d", "106752d", "106751d24h", "1 d", "10", "1w", "+1d"} {
		if d, err := ParseDuration(s); err == nil {
			t.Errorf("%q is %v", s, d)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Min(0).Draw(t, "d"))
		if rapid.Bool().Draw(t, "round") {
			d = d.Truncate(rapid.SampledFrom([]time.Duration{day, time.Hour, time.Minute, time.Second}).Draw(t, "unit"))
		}
		if back, err := ParseDuration(FormatDuration(d)); err != nil || back != d {
			t.Fatalf("%v is written %s and read as %v, %v", d, FormatDuration(d), back, err)
		}
	})
}

func TestDistance(t *testing.T) {
	for _, x := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"tll", "ttl", 1}, {"auot", "auto", 1}, {"kitten", "sitting", 3}, {"polling", "poll_interval", 7}} {
		if d, e := distance(x.a, x.b), distance(x.b, x.a); d != x.want || e != x.want {
			t.Errorf("%q to %q: %d and %d, want %d", x.a, x.b, d, e, x.want)
		}
	}
	if w := nearest("x", []string{"ttl", "mode"}); w != "" {
		t.Errorf("x is near %s", w)
	}
}

// Whatever the bytes, Load gives a valid configuration or problems with lines.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(uncommented(example)))
	files, err := filepath.Glob("testdata/mistakes/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	p := filepath.Join(f.TempDir(), "config.toml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Options{Path: p, Home: "/home/op"})
		if err == nil {
			checkValid(t, c)
			return
		}
		var ps Problems
		if !errors.As(err, &ps) || len(ps) == 0 || c != nil {
			t.Fatalf("%v, %v", c, err)
		}
		for _, x := range ps {
			lacks := x.Key == "watch" || x.Key == "acl" || len(data) > maxFile
			if x.File != p || x.Line < 1 && !lacks || x.Line > 1+strings.Count(string(data), "\n") {
				t.Errorf("%+v", x)
			}
			if strings.ContainsFunc(x.Message+x.Key+x.Suggestion, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("%q would disturb a terminal", x.String())
			}
		}
	})
}

// checkValid asks of a configuration what the rest of the program relies on.
func checkValid(t testing.TB, c *Config) {
	t.Helper()
	x, p := c.Limits, c.Policy()
	if c.Mode.String() == "unset" || len(c.Watches) == 0 || len(c.ACLs) == 0 || c.State.Path == "" || x.TTL <= 0 || x.TTL > x.MaxTTL ||
		x.Settle < 5*time.Minute || x.RequestExpiry < 15*time.Minute || c.ThreatStack.PollInterval < 5*time.Second {
		t.Errorf("%+v", c)
	}
	for i, a := range c.ACLs {
		if !aclID.MatchString(a.ID) || a.Usable() < 2 || a.Usable() > 40 || a.Numbers.Low < 1 || a.Numbers.High > firewall.MaxNumber ||
			a.Numbers.Low > a.Numbers.High || len(a.Directions) == 0 || p.Targets[i].ACL != a.ID || len(p.Targets[i].Directions) != len(a.Directions) {
			t.Errorf("%+v", a)
		}
	}
	for _, w := range c.Watches {
		if w.Rule == "" || w.Weight < 1 || w.TTL < 0 || w.TTL > x.MaxTTL {
			t.Errorf("%+v", w)
		}
	}
}
