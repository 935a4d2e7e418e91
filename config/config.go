// Package config turns flags, the environment and a TOML file into validated
// values.
//
// The protocol: [Load] finds the file, refuses it when somebody else could have
// written it, decodes it, and sets every key from the first of flags,
// environment, file and default that names it. It goes on after a mistake, so
// that one run reports all of them, as [Problems] sorted by line. A key that
// the program does not know is a mistake, never ignored: a misspelt safety key
// must not leave the program less safe than its operator believes.
//
// Every value remembers where it came from ([Config.Sources]). Secrets are no
// part of the file; [Config.Credentials] reads them from the environment or
// from files of their own into the type [Secret], which no formatting verb and
// no encoder prints. No error of this package contains a secret, and a value
// that might be one in the wrong place is described, not quoted.
//
// A Config is not changed after Load and may be read from several goroutines.
package config

import (
	"cmp"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"selfprotect/firewall"
	"selfprotect/policy"
)

// Options are the inputs of Load.
type Options struct {
	// Path is the file that --config names. When it is empty the file is
	// $SELFPROTECT_CONFIG, then selfprotect/config.toml below $XDG_CONFIG_HOME or
	// ~/.config; only the last may be absent.
	Path  string
	Flags Flags
	// Env looks a variable up, empty when unset; nil is an empty environment.
	Env func(string) string
	// Home is the home directory; empty means $HOME.
	Home string
	// NoFile reads no file, for a command that is about to write one.
	NoFile bool
	// Partial accepts a configuration without a watch or an ACL, for commands
	// that do not need them.
	Partial bool
	// Receiver says what is wrong with the URL and the template of a [[notify]];
	// both empty when nothing is. It must not quote the URL. Nil accepts all.
	Receiver func(url, template string) (badURL, badTemplate string)
	// Console checks what only the console knows: names of actions, keys, columns,
	// and filters. Without it their shapes alone are checked.
	Console Console
}

// Flags are the settings of the command line; empty means not given.
type Flags struct {
	Mode string
	// WatchRules and ACLs choose: when given, only these are used, each with the
	// settings that the file has for it. They may be ids or names of the file.
	WatchRules []string
	ACLs       []string
	// Region and Profile hold for every ACL.
	Region  string
	Profile string
	// PollInterval may go down to a second, unlike the file's.
	PollInterval string
	State        string // path of the journal
	Log          string // path of the log
	LogLevel     string
	Theme        string
}

// Config is a validated configuration.
type Config struct {
	File string // the file that was read, empty when there is none
	Mode policy.Mode

	ThreatStack ThreatStack
	Watches     []Watch // in the order of the file, or of the flags
	ACLs        []ACL   // likewise
	Limits      Limits
	Guard       Guard
	State       State
	Log         Log
	Metrics     Metrics
	Notify      []Notify // in the order of the file
	UI          UI
	// Keys are the operator's keys for actions of the console.
	Keys map[string][]string

	// Warnings are legal settings that an operator should know of.
	Warnings []string

	sources []Source
	env     func(string) string
	home    string
}

// ThreatStack says how the alerts are polled.
type ThreatStack struct {
	BaseURL           string // no trailing slash
	Credentials       string // path of an INI file
	KeyFile           string // path of a file of mode 0600; empty: none
	PollInterval      time.Duration
	RequestsPerMinute int
	Overlap           time.Duration // how far a poll looks back
	Window            time.Duration // how long an alert may gain events
	AllowUnsigned     bool          // accept answers without a Hawk signature
	Timeout           time.Duration // of one request
	Dismiss           bool          // alerts at the source, once their blocks were read back
}

// Watch is one watched rule.
type Watch struct {
	Rule   string
	Name   string
	Mode   policy.Mode   // 0: the mode for all
	TTL    time.Duration // 0: the limit's
	Weight int
	ACLs   []string // ids; empty: all
}

// ACL is one network ACL that takes entries.
type ACL struct {
	ID      string
	Name    string
	Region  string // empty: the SDK's
	Profile string // empty: the SDK's
	Role    string // ARN; empty: none
	// Directions are sorted, at least one.
	Directions []firewall.Direction
	Numbers    Range
	Quota      int // for each direction and family, wins over what AWS says; 0: AWS's, else firewall.DefaultQuota
	Reserve    int // entries of the quota that are left to others
}

// Usable is the quota less the reserve: what a plan may count on.
func (a ACL) Usable() int { return cmp.Or(a.Quota, firewall.DefaultQuota) - a.Reserve }

// Range is a range of rule numbers, both ends included.
type Range struct{ Low, High int }

// Limits bound what the program does by itself and how long blocks live.
type Limits struct {
	AutoPerMinute    int // blocks for each ACL
	AutoPerHour      int
	AutoOverall      int           // blocks an hour for all ACLs together
	GuardHits        int           // addresses in ten minutes that the guard refuses
	AutoShare        int           // percent of an ACL's slots for one rule, host or network
	AutoResidency    time.Duration // how long an entry stays before auto mode may displace it
	AutoPace         time.Duration // between two entries that auto mode displaces
	TTL              time.Duration // of a first block
	MaxTTL           time.Duration
	ShortestPrefixV4 int // bits
	ShortestPrefixV6 int
	Collateral       int           // innocent addresses that one entry may deny without asking
	InnocentPrice    int           // weight that one innocent address costs
	Margin           int           // how much more a newcomer must weigh than what it displaces
	Settle           time.Duration // how long reads must agree that an entry is absent
	RequestExpiry    time.Duration // how long a write may still land
	ReadInterval     time.Duration // between reads of an ACL
}

// Guard says what must never be blocked, beside what is built in.
type Guard struct {
	NeverBlock []netip.Prefix // masked, sorted, without duplicates
	Private    policy.PrivateRule
	Resolve    bool // guard the addresses of the API and AWS endpoints
	Agents     bool // guard the addresses of the agents
}

// State says where the journal lies.
type State struct{ Path string }

// Log says where the log lies and how it grows.
type Log struct {
	Path       string
	Level      string // debug, info, warn, error
	MaxSizeMB  int
	MaxBackups int
}

// Metrics says where metrics and health are served.
type Metrics struct {
	Address     string // host:port; empty: nowhere
	AllowRemote bool   // the address may be another than loopback
}

// Notify is one receiver of notifications.
type Notify struct {
	Name     string
	URL      Secret // as the library shoutrrr writes it
	URLFile  string // a file of mode 0600 that holds the URL; empty: none
	Events   []string
	Template string        // of Go's text/template; empty: the program's own
	Every    time.Duration // at most one message in this time
}

// NotifyEvents are what a receiver may be told of.
func NotifyEvents() []string {
	return []string{"review", "blocked", "stopped", "drift", "stale", "credentials", "escalated"}
}

// UI says how the console looks.
type UI struct {
	Theme string // auto, light, dark, mono, safe, ansi
	FPS   int
	// Production are patterns of profiles, accounts and ACL names or ids that the
	// header marks; * stands for any text.
	Production []string
	Notify     string // auto, bell, osc, off
	ASCII      string // auto, on, off
	Mouse      string // off, wheel
	Columns    Columns
	Views      []View // in the order of the file
}

// Source says where the value of a key came from.
type Source struct {
	Key   string // such as threatstack.poll_interval
	Value string // redacted where it must be
	From  string // default, a file with line, an environment variable, a flag
}

// Sources gives every key with its value and where it came from, sorted by key.
func (c *Config) Sources() []Source { return slices.Clone(c.sources) }

// Load reads the configuration. An error is always [Problems].
func Load(opts Options) (*Config, error) {
	l := newLoader(opts)
	path, required := l.find()
	if path != "" && !opts.NoFile {
		l.read(path, required)
	}
	l.environment()
	l.flags()
	if !l.unread {
		l.choose()
		l.receivers()
		l.check()
	}
	if len(l.problems) > 0 {
		l.problems.sort()
		return nil, slices.Compact(l.problems)
	}
	return l.finish(), nil
}

// FilePath gives where Load looks for the file, whether it is there or not; empty
// when there is no such place.
func FilePath(opts Options) string {
	path, _ := newLoader(opts).find()
	return path
}

// find gives the path of the file, and whether it must be there.
func (l *loader) find() (path string, required bool) {
	if l.opts.Path != "" {
		return l.opts.Path, true
	}
	if p := l.env("SELFPROTECT_CONFIG"); p != "" {
		return p, true
	}
	dir := l.xdg("XDG_CONFIG_HOME", ".config")
	if dir == "" {
		return "", false
	}
	return filepath.Join(dir, "selfprotect", "config.toml"), false
}

// xdg gives a base directory. The XDG specification has relative paths ignored.
func (l *loader) xdg(name, below string) string {
	if p := l.env(name); filepath.IsAbs(p) {
		return p
	}
	if l.home == "" {
		return ""
	}
	return filepath.Join(l.home, below)
}

// read decodes the file and sets what it names.
func (l *loader) read(path string, required bool) {
	data, err := readConfigFile(path)
	if errors.Is(err, fs.ErrNotExist) && !required {
		return
	}
	l.config.File = path
	if err != nil {
		l.refuse(Problem{File: path, Message: plain(err)})
		l.unread = true
		return
	}
	l.decode(string(data))
}

// finish sorts what the loader gathered into the Config.
func (l *loader) finish() *Config {
	c := l.config
	for _, s := range l.sources {
		c.sources = append(c.sources, s)
	}
	slices.SortFunc(c.sources, func(a, b Source) int { return cmp.Compare(a.Key, b.Key) })
	slices.Sort(c.Warnings)
	return c
}
