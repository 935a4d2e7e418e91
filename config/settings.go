package config

import (
	"fmt"
	"net/netip"
	"net/url"
	gopath "path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"selfprotect/firewall"
	"selfprotect/policy"
)

// schema is what may stand in one table.
type schema struct {
	settings []setting
	tables   map[string]*schema
	// arrays makes one more element of an array of tables.
	arrays map[string]func() *element
	// free takes a key that no setting names; nil refuses them.
	free func(key string) setting
}

// element is one element of an array of tables.
type element struct {
	schema
	required string // the key that must be given
	id       *string
}

// defaults gives the configuration that nobody has touched.
func defaults(stateDir, home string) Config {
	c := Config{
		Mode: policy.Review,
		ThreatStack: ThreatStack{
			BaseURL:      "https://api.threatstack.com",
			PollInterval: 10 * time.Second, RequestsPerMinute: 120,
			Overlap: 30 * time.Minute, Window: time.Hour, Timeout: 30 * time.Second,
		},
		Limits: Limits{
			AutoPerMinute: 20, AutoPerHour: 60, AutoOverall: 120, GuardHits: 5, AutoShare: 50, AutoResidency: time.Hour, AutoPace: 10 * time.Minute, TTL: day, MaxTTL: 30 * day,
			ShortestPrefixV4: 24, ShortestPrefixV6: 64,
			InnocentPrice: 5, Margin: 20,
			Settle: 5 * time.Minute, RequestExpiry: 15 * time.Minute, ReadInterval: 30 * time.Second,
		},
		Guard: Guard{Private: policy.RefusePrivate, Resolve: true, Agents: true},
		Log:   Log{Level: "info", MaxSizeMB: 10, MaxBackups: 5},
		UI:    UI{Theme: "auto", FPS: 20, Notify: "auto", ASCII: "auto", Mouse: "off"},
	}
	if stateDir != "" {
		c.State.Path = stateDir + "/journal.db"
		c.Log.Path = stateDir + "/selfprotect.log"
	}
	if home != "" {
		c.ThreatStack.Credentials = home + "/.threatstack/credentials"
	}
	return c
}

// schema binds every key of the file to its place in the Config.
func (l *loader) schema() *schema {
	c := l.config
	return &schema{
		settings: []setting{mode("mode", &c.Mode)},
		tables: map[string]*schema{
			"threatstack": {settings: l.threatstack(&c.ThreatStack)},
			"limits":      {settings: limits(&c.Limits)},
			"guard":       {settings: guard(&c.Guard)},
			"state":       {settings: []setting{path("path", &c.State.Path, l.home)}},
			"log": {settings: []setting{
				path("path", &c.Log.Path, l.home),
				choice("level", &c.Log.Level, "debug", "info", "warn", "error"),
				integer("max_size_mb", &c.Log.MaxSizeMB, 1, 1000),
				integer("max_backups", &c.Log.MaxBackups, 1, 100),
			}},
			"metrics": {settings: []setting{
				text("address", &c.Metrics.Address, checkAddress),
				boolean("allow_remote", &c.Metrics.AllowRemote),
			}},
			"ui": {settings: append([]setting{
				theme(&c.UI.Theme),
				integer("fps", &c.UI.FPS, 10, 60),
			}, presence(&c.UI)...),
				tables: map[string]*schema{"columns": {settings: columns(&c.UI.Columns)}},
				arrays: map[string]func() *element{"view": func() *element { return viewElement(&l.addView().value) }}},
			"keys": {free: func(action string) setting { return keys(action, c) }},
		},
		arrays: map[string]func() *element{
			"watch":  func() *element { return watchElement(&l.addWatch().value) },
			"acl":    func() *element { return aclElement(&l.addACL().value) },
			"notify": func() *element { return notifyElement(&l.addNotify().value, l.home) },
		},
	}
}

func theme(p *string) setting {
	return choice("theme", p, "auto", "light", "dark", "mono", "safe", "ansi")
}

// presence is how the console makes itself known beside its screen.
func presence(u *UI) []setting {
	return []setting{
		list("production", &u.Production, parsePattern, func(s string) string { return s }),
		choice("notify", &u.Notify, "auto", "bell", "osc", "off"),
		choice("ascii", &u.ASCII, "auto", "on", "off"),
		choice("mouse", &u.Mouse, "off", "wheel"),
	}
}

// parsePattern reads a pattern for names: path.Match's, without a slash's meaning.
func parsePattern(s string) (string, []mistake) {
	if s == "" || len(s) > 100 {
		return s, wrong("must hold names or patterns, found %s", found(s))
	}
	if _, err := gopath.Match(s, ""); err != nil {
		return s, instead(wrong("is no pattern: %s", found(s)), `write it like "prod*" or "123456789012"`)
	}
	return s, nil
}

func (l *loader) threatstack(t *ThreatStack) []setting {
	return []setting{
		text("base_url", &t.BaseURL, checkURL).then(&t.BaseURL, trimURL),
		path("credentials", &t.Credentials, l.home),
		path("key_file", &t.KeyFile, l.home),
		duration("poll_interval", &t.PollInterval, 5*time.Second, time.Hour),
		integer("requests_per_minute", &t.RequestsPerMinute, 1, 200),
		duration("overlap", &t.Overlap, time.Minute, day),
		duration("window", &t.Window, time.Minute, day),
		boolean("allow_unsigned", &t.AllowUnsigned),
		duration("timeout", &t.Timeout, time.Second, 5*time.Minute),
		boolean("dismiss", &t.Dismiss),
	}
}

func limits(x *Limits) []setting {
	return []setting{
		integer("auto_per_minute", &x.AutoPerMinute, 1, 1000),
		integer("auto_per_hour", &x.AutoPerHour, 1, 10_000),
		integer("auto_overall_per_hour", &x.AutoOverall, 1, 10_000),
		integer("auto_guard_hits", &x.GuardHits, 1, 1000),
		integer("auto_share", &x.AutoShare, 1, 100),
		duration("auto_residency", &x.AutoResidency, time.Minute, day),
		duration("auto_pace", &x.AutoPace, time.Minute, day),
		duration("ttl", &x.TTL, time.Minute, 365*day),
		duration("max_ttl", &x.MaxTTL, time.Minute, 365*day),
		integer("shortest_prefix_v4", &x.ShortestPrefixV4, 24, 32),
		integer("shortest_prefix_v6", &x.ShortestPrefixV6, 56, 128),
		integer("collateral", &x.Collateral, 0, 255),
		integer("innocent_price", &x.InnocentPrice, 0, 1000),
		integer("margin", &x.Margin, 0, 1000),
		duration("settle", &x.Settle, 5*time.Minute, day),
		duration("request_expiry", &x.RequestExpiry, 15*time.Minute, day),
		// Nothing may be approved on data older than two minutes.
		duration("read_interval", &x.ReadInterval, 5*time.Second, time.Minute),
	}
}

func guard(g *Guard) []setting {
	private := string(g.Private)
	s := choice("private", &private, string(policy.RefusePrivate), string(policy.AskPrivate))
	return []setting{
		list("never_block", &g.NeverBlock, parsePrefix, netip.Prefix.String),
		{"private", func(v any) []mistake {
			m := s.set(v)
			g.Private = policy.PrivateRule(private)
			return m
		}, s.show},
		boolean("resolve", &g.Resolve),
		boolean("agents", &g.Agents),
	}
}

func watchElement(w *Watch) *element {
	return &element{required: "rule", id: &w.Rule, schema: schema{settings: []setting{
		text("rule", &w.Rule, checkRule),
		text("name", &w.Name, checkName),
		mode("mode", &w.Mode),
		duration("ttl", &w.TTL, time.Minute, 365*day),
		integer("weight", &w.Weight, 1, 1000),
		list("acls", &w.ACLs, plainText, func(s string) string { return s }).atLeastOne("leave the key out for every ACL"),
	}}}
}

func aclElement(a *ACL) *element {
	return &element{required: "id", id: &a.ID, schema: schema{settings: []setting{
		text("id", &a.ID, checkACLID),
		text("name", &a.Name, checkACLName),
		text("region", &a.Region, checkRegion),
		text("profile", &a.Profile, checkName),
		text("role", &a.Role, checkRole),
		list("directions", &a.Directions, parseDirection, firewall.Direction.String).atLeastOne(`write ["egress"]`),
		ruleNumbers("rule_numbers", &a.Numbers),
		integer("quota", &a.Quota, 0, firewall.MaxQuota),
		integer("reserve", &a.Reserve, 0, firewall.MaxQuota),
	}}}
}

// atLeastOne refuses an empty list.
func (s setting) atLeastOne(suggestion string) setting {
	return setting{s.key, func(v any) []mistake {
		if items, ok := v.([]any); ok && len(items) == 0 {
			return instead(wrong("must not be an empty list"), "%s", suggestion)
		}
		return s.set(v)
	}, s.show}
}

func plainText(s string) (string, []mistake) {
	if s == "" {
		return "", wrong("must not hold an empty text")
	}
	return s, nil
}

func parseDirection(s string) (firewall.Direction, []mistake) {
	m := oneOf(s, "egress", "ingress")
	d, _ := firewall.ParseDirection(s) // oneOf has let pass only words that parse
	return d, m
}

// ruleNumbers is "1-99" or [1, 99].
func ruleNumbers(key string, p *Range) setting {
	return setting{key, func(v any) []mistake {
		var low, high int64
		ok := false
		switch v := v.(type) {
		case string:
			a, b, cut := strings.Cut(v, "-")
			var err1, err2 error
			low, err1 = strconv.ParseInt(strings.TrimSpace(a), 10, 64)
			high, err2 = strconv.ParseInt(strings.TrimSpace(b), 10, 64)
			ok = cut && err1 == nil && err2 == nil
		case []any:
			if len(v) == 2 {
				var ok1, ok2 bool
				low, ok1 = v[0].(int64)
				high, ok2 = v[1].(int64)
				ok = ok1 && ok2
			}
		}
		if !ok {
			return instead(wrong("must be a range of rule numbers, found %s", found(v)), `write "1-99" or [1, 99]`)
		}
		if low < 1 || high > firewall.MaxNumber || low > high {
			return wrong("must be a rising range within 1 to %d, found %d to %d", firewall.MaxNumber, low, high)
		}
		*p = Range{int(low), int(high)}
		return nil
	}, func() string { return fmt.Sprintf("%d-%d", p.Low, p.High) }}
}

var (
	aclID     = regexp.MustCompile(`^acl-[0-9a-f]{8,17}$`)
	regionID  = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}$`)
	roleARN   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}$`)
	ruleID    = regexp.MustCompile(`^[!-~]{1,200}$`)
	plainName = regexp.MustCompile(`^[\pL\pN\pP\pS][\pL\pN\pP\pS ]{0,63}$`)
)

func shaped(s string, re *regexp.Regexp, what, example string) []mistake {
	if re.MatchString(s) {
		return nil
	}
	return instead(wrong("must be %s, found %s", what, found(s)), "write it like %s", example)
}

func checkACLID(s string) []mistake {
	return shaped(s, aclID, "the id of a network ACL", "acl-0123456789abcdef0")
}

func checkRegion(s string) []mistake { return shaped(s, regionID, "an AWS region", "eu-west-1") }

func checkRole(s string) []mistake {
	return shaped(s, roleARN, "the ARN of an IAM role", "arn:aws:iam::123456789012:role/selfprotect")
}

func checkRule(s string) []mistake {
	if ruleID.MatchString(s) && s != "." && s != ".." {
		return nil
	}
	return wrong("must be the id of a rule: at most 200 characters, no blanks")
}

func checkName(s string) []mistake {
	if plainName.MatchString(s) {
		return nil
	}
	return wrong("must be a name of at most 64 printable characters")
}

func checkACLName(s string) []mistake {
	if strings.HasPrefix(s, "acl-") {
		return wrong("must not begin with acl-, so that it cannot be taken for an id")
	}
	return checkName(s)
}

// checkURL accepts what requests can be sent to. It never quotes, as a URL may hold a password.
func checkURL(s string) []mistake {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || !slices.Contains([]string{"http", "https"}, u.Scheme):
		return instead(wrong("must be a URL with http or https and a host"), "write it like https://api.threatstack.com")
	case u.User != nil:
		return instead(wrong("must not hold a user or password"), "set TS_USER_ID and TS_API_KEY")
	case strings.ContainsAny(s, "?#"):
		return wrong("must not hold a query or a fragment")
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v2"):
		return instead(wrong("must not end with /v2"), "the program adds it itself")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return instead(wrong("must use https: plain http is accepted for loopback hosts only"),
			"anybody on the way could write alerts")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return wrong("names a port that is not from 1 to 65535")
		}
	}
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.Unmap().IsLoopback()
}

func trimURL(s string) string { return strings.TrimRight(s, "/") }
