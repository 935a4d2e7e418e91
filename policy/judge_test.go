package policy

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"selfprotect/alert"
)

const (
	out = alert.Outbound
	in  = alert.Inbound
)

// sample is a policy with one ACL for each choice of directions.
func sample() Config {
	return Config{
		Mode: Review,
		Watches: []Watch{
			{RuleID: "rule-base"},
			{RuleID: "rule-auto", Mode: Auto, TTL: time.Hour, Weight: 50},
			{RuleID: "rule-observe", Mode: Observe},
			{RuleID: "rule-egress", Mode: Auto, ACLs: []string{"acl-out"}},
		},
		Targets: []Target{
			{"acl-out", []alert.Direction{out}},
			{"acl-in", []alert.Direction{in}},
			{"acl-both", []alert.Direction{in, out, in}},
		},
		Guard: NewGuard(append(BuiltIn(RefusePrivate), Guarded{Prefix: pfx("198.51.100.0/24"), Why: "partner", Ask: true})),
	}
}

func mustNew(t interface{ Fatal(...any) }, cfg Config) *Policy {
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestJudge(t *testing.T) {
	type row struct {
		name      string
		rule      string
		addr      string
		dir       alert.Direction
		dismissed bool
		probe     bool
		ceiling   Mode
		want      Action
		reason    string // is part of a reason
		targets   string
	}
	both := "acl-both[outbound inbound] "
	for _, c := range []row{
		{name: "unknown rule", rule: "rule-x", addr: "203.0.113.7", dir: out, want: Ignore, reason: "not watched"},
		{name: "unknown rule, guarded", rule: "rule-x", addr: "10.0.0.1", dir: out, want: Ignore, reason: "not watched"},
		{name: "no address", rule: "rule-auto", dir: out, want: Ignore, reason: "no address"},
		{name: "dismissed", rule: "rule-auto", addr: "203.0.113.7", dir: out, dismissed: true, want: Ignore, reason: "dismissed"},
		{name: "dismissed and guarded", rule: "rule-auto", addr: "10.0.0.1", dir: out, dismissed: true, want: Ignore, reason: "dismissed"},
		{name: "guarded in auto", rule: "rule-auto", addr: "10.0.0.1", dir: out, want: Refuse, reason: "guarded: private (RFC 1918) (10.0.0.0/8)"},
		{name: "guarded in review", rule: "rule-base", addr: "::1", dir: out, want: Refuse, reason: "loopback"},
		{name: "guarded in observe", rule: "rule-observe", addr: "169.254.169.254", dir: out, want: Refuse, reason: "metadata"},
		{name: "guarded, mapped", rule: "rule-auto", addr: "::ffff:127.0.0.1", dir: out, want: Refuse, reason: "loopback"},
		{name: "guarded, NAT64", rule: "rule-auto", addr: "64:ff9b::10.0.0.1", dir: out, want: Refuse, reason: "NAT64"},
		{name: "guarded probe", rule: "rule-auto", addr: "10.0.0.1", dir: out, probe: true, want: Refuse, reason: "guarded"},
		{name: "guarded without target", rule: "rule-egress", addr: "10.0.0.1", dir: in, want: Refuse, reason: "guarded"},
		{name: "probe", rule: "rule-auto", addr: "203.0.113.7", dir: out, probe: true, want: Ignore, reason: "port 0"},
		{name: "no target", rule: "rule-egress", addr: "203.0.113.7", dir: in, want: Ignore, reason: `"ingress" to directions of the [[acl]] acl-out`},
		{name: "no direction", rule: "rule-auto", addr: "203.0.113.7", want: Ignore, reason: "direction is not known"},
		{name: "observe", rule: "rule-observe", addr: "203.0.113.7", dir: out, want: Ignore, reason: "observe mode: would block 203.0.113.7/32", targets: both + "acl-out[outbound]"},
		{name: "observe, soft", rule: "rule-observe", addr: "198.51.100.9", dir: out, want: Ignore, reason: "observe mode: would ask to block 198.51.100.9/32", targets: both + "acl-out[outbound]"},
		{name: "review", rule: "rule-base", addr: "203.0.113.7", dir: out, want: Ask, reason: "review", targets: both + "acl-out[outbound]"},
		{name: "review, soft", rule: "rule-base", addr: "198.51.100.9", dir: out, want: Ask, reason: "partner", targets: both + "acl-out[outbound]"},
		{name: "auto", rule: "rule-auto", addr: "203.0.113.7", dir: out, want: Block, reason: "auto", targets: both + "acl-out[outbound]"},
		{name: "auto, inbound", rule: "rule-auto", addr: "203.0.113.7", dir: in, want: Block, reason: "auto", targets: both + "acl-in[inbound]"},
		{name: "auto, IPv6", rule: "rule-auto", addr: "2001:db8::7", dir: out, want: Block, reason: "auto", targets: both + "acl-out[outbound]"},
		{name: "auto, mapped", rule: "rule-auto", addr: "::ffff:203.0.113.7", dir: out, want: Block, reason: "auto", targets: both + "acl-out[outbound]"},
		{name: "auto, zone", rule: "rule-auto", addr: "2001:db8::7%eth0", dir: out, want: Block, reason: "auto", targets: both + "acl-out[outbound]"},
		{name: "auto, soft", rule: "rule-auto", addr: "198.51.100.9", dir: out, want: Ask, reason: "never without asking: partner (198.51.100.0/24)", targets: both + "acl-out[outbound]"},
		{name: "auto, one ACL", rule: "rule-egress", addr: "203.0.113.7", dir: out, want: Block, reason: "auto", targets: "acl-out[outbound]"},
		{name: "auto under a review ceiling", rule: "rule-auto", addr: "203.0.113.7", dir: out, ceiling: Review, want: Ask, reason: "review", targets: both + "acl-out[outbound]"},
		{name: "auto under an observe ceiling", rule: "rule-auto", addr: "203.0.113.7", dir: out, ceiling: Observe, want: Ignore, reason: "observe", targets: both + "acl-out[outbound]"},
		{name: "observe under a high ceiling", rule: "rule-observe", addr: "203.0.113.7", dir: out, ceiling: Auto, want: Ignore, reason: "observe", targets: both + "acl-out[outbound]"},
	} {
		p := mustNew(t, sample())
		if c.ceiling != 0 {
			p = p.WithModes(Review, c.ceiling)
		}
		ind := alert.Indicator{Direction: c.dir, ProbeOnly: c.probe}
		if c.addr != "" {
			ind.Addr = netip.MustParseAddr(c.addr)
		}
		v := p.Judge(alert.Alert{RuleID: c.rule, Dismissed: c.dismissed}, ind)
		var targets []string
		for _, x := range v.Targets {
			var words []string
			for _, d := range x.Directions {
				words = append(words, d.String())
			}
			targets = append(targets, x.ACL+"["+strings.Join(words, " ")+"]")
		}
		if v.Action != c.want || !strings.Contains(strings.Join(v.Reasons, "; "), c.reason) || strings.Join(targets, " ") != c.targets {
			t.Errorf("%s: %s, %q, targets %v; want %s, %q, %s", c.name, v.Action, v.Reasons, targets, c.want, c.reason, c.targets)
		}
		if want := ind.Addr.Unmap().WithZone(""); ind.Addr.IsValid() && v.Prefix != netip.PrefixFrom(want, want.BitLen()) {
			t.Errorf("%s: prefix %s", c.name, v.Prefix)
		}
	}
}

func TestReasonsAreClean(t *testing.T) {
	cfg := sample()
	cfg.Guard = cfg.Guard.With(Guarded{Prefix: pfx("203.0.113.7/32"), Why: "host \x1b[2J"}, Guarded{Prefix: pfx("203.0.113.8/32"), Why: "\u202ename", Ask: true})
	p := mustNew(t, cfg)
	for _, addr := range []string{"203.0.113.7", "203.0.113.8"} {
		v := p.Judge(alert.Alert{RuleID: "rule-auto"}, alert.Indicator{Addr: netip.MustParseAddr(addr), Direction: out})
		if got := strings.Join(v.Reasons, " "); strings.ContainsAny(got, "\x1b\u202e") || !strings.Contains(got, `\x1b`) && !strings.Contains(got, "<U+202E>") {
			t.Errorf("reasons %q", got)
		}
	}
	if err := p.Guard(pfx("203.0.113.7/32")); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("error %q", err)
	}
}

func TestJudgeWeightAndTTL(t *testing.T) {
	p := mustNew(t, sample())
	for _, c := range []struct {
		rule             string
		severity, weight int
		ttl              time.Duration
	}{
		{"rule-base", 0, 100, DefaultTTL}, {"rule-base", 1, 120, DefaultTTL}, {"rule-base", 2, 110, DefaultTTL}, {"rule-base", 3, 100, DefaultTTL},
		{"rule-auto", 1, 520, time.Hour}, {"rule-auto", -7, 500, time.Hour}, {"rule-auto", 99, 500, time.Hour},
	} {
		v := p.Judge(alert.Alert{RuleID: c.rule, Severity: c.severity}, alert.Indicator{Addr: netip.MustParseAddr("203.0.113.7"), Direction: out})
		if v.Weight != c.weight || v.TTL != c.ttl {
			t.Errorf("%s, severity %d: weight %d, time to live %s", c.rule, c.severity, v.Weight, v.TTL)
		}
	}
}

// TestJudgeNeverGoesTooFar states the safety of Judge as rules of its own.
func TestJudgeNeverGoesTooFar(t *testing.T) {
	modes := rapid.SampledFrom([]Mode{0, Observe, Review, Auto, Auto + 1, 200})
	rapid.Check(t, func(t *rapid.T) {
		cfg := sample()
		p := mustNew(t, cfg)
		base, ceiling := modes.Draw(t, "base"), modes.Draw(t, "ceiling")
		q := p.WithModes(base, ceiling)
		a := alert.Alert{RuleID: rapid.SampledFrom([]string{"", "rule-x", "rule-base", "rule-auto", "rule-observe", "rule-egress"}).Draw(t, "rule"),
			Dismissed: rapid.Bool().Draw(t, "dismissed"), Severity: rapid.IntRange(-1, 4).Draw(t, "severity")}
		text := rapid.SampledFrom([]string{"203.0.113.7", "2001:db8::7", "10.0.0.1", "::ffff:10.0.0.1", "198.51.100.9", "0.0.0.0", "fe80::1"}).Draw(t, "addr")
		ind := alert.Indicator{Addr: netip.MustParseAddr(text), Direction: alert.Direction(rapid.IntRange(0, 3).Draw(t, "direction")), ProbeOnly: rapid.Bool().Draw(t, "probe")}
		v := q.Judge(a, ind)
		_, soft := cfg.Guard.Soft(v.Prefix)
		guarded := q.Guard(v.Prefix) != nil
		switch {
		case len(v.Reasons) == 0 || v.Action < Ignore || v.Action > Block:
			t.Fatalf("verdict %+v", v)
		case (v.Action == Ask || v.Action == Block) && (guarded || a.Dismissed || ind.ProbeOnly || len(v.Targets) == 0 || v.TTL <= 0 || ceiling < Review || ceiling > Auto):
			t.Fatalf("%s for %+v under %v", v.Action, ind, ceiling)
		case v.Action == Block && (soft || ceiling != Auto || q.ModeOf(a.RuleID) != Auto):
			t.Fatalf("blocks %s by itself under %v", v.Prefix, ceiling)
		case v.Action == Refuse && !guarded:
			t.Fatalf("refuses %s", v.Prefix)
		}
		for _, x := range v.Targets {
			if !slices.Contains(x.Directions, ind.Direction) {
				t.Fatalf("target %v for %v", x, ind.Direction)
			}
		}
		if again := p.WithGuard(nil).Judge(a, ind); again.Action == Ask || again.Action == Block {
			t.Fatalf("without a guard: %s", again.Action)
		}
	})
}

func TestModes(t *testing.T) {
	p := mustNew(t, sample())
	if b, c := p.Modes(); b != Review || c != Auto {
		t.Errorf("modes %v, %v", b, c)
	}
	for _, c := range []struct {
		base, ceiling              Mode
		forBase, forAuto, forWatch Mode
	}{
		{Review, Auto, Review, Auto, Observe}, {Auto, Auto, Auto, Auto, Observe}, {Auto, Review, Review, Review, Observe},
		{Observe, Auto, Observe, Auto, Observe}, {Auto, Observe, Observe, Observe, Observe}, {0, Auto, Observe, Auto, Observe},
		{Auto, 0, Observe, Observe, Observe}, {9, Auto, Observe, Auto, Observe}, {Auto, 9, Observe, Observe, Observe},
	} {
		q := p.WithModes(c.base, c.ceiling)
		if x, y, z := q.ModeOf("rule-base"), q.ModeOf("rule-auto"), q.ModeOf("rule-observe"); x != c.forBase || y != c.forAuto || z != c.forWatch {
			t.Errorf("base %v, ceiling %v: %v, %v, %v", c.base, c.ceiling, x, y, z)
		}
	}
	if b, c := p.Modes(); b != Review || c != Auto {
		t.Errorf("WithModes changed the policy: %v, %v", b, c)
	}
}

func TestNewNamesAllMistakes(t *testing.T) {
	_, err := New(Config{
		Mode: 7, TTL: -time.Hour,
		Targets: []Target{{"acl-a", []alert.Direction{out}}, {"acl-a", []alert.Direction{in}}, {"", []alert.Direction{in}}, {"acl-b", nil}, {"acl-c", []alert.Direction{9}}},
		Watches: []Watch{{}, {RuleID: "r"}, {RuleID: "r"}, {RuleID: "m", Mode: 9}, {RuleID: "t", TTL: -1}, {RuleID: "w", Weight: -1},
			{RuleID: "h", Weight: MaxWeight + 1}, {RuleID: "n", ACLs: []string{"acl-z"}}},
	})
	if !errors.Is(err, ErrEmptyGuard) {
		t.Fatalf("error %v", err)
	}
	for _, part := range []string{"mode 7", "-1h0m0s is negative", "acl-a is named twice", "an ACL has no id", "acl-b has no direction", "acl-c: Direction(9)", "a watch names no rule",
		"rule r is watched twice", "rule m: ", "rule t: ", "rule w: ", "rule h: ", "acl-z, which is not configured"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %v", part, err)
		}
	}
	cfg := sample()
	cfg.Guard = cfg.Guard.With(Guarded{Why: "office"})
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "office") {
		t.Errorf("a broken guard gives %v", err)
	}
}

func TestPolicyNeverChanges(t *testing.T) {
	cfg := sample()
	p := mustNew(t, cfg)
	watches, targets := p.Watches(), p.Targets()
	cfg.Watches[3].ACLs[0], cfg.Targets[0].Directions[0], cfg.Targets[1].ACL = "acl-x", in, "acl-x"
	p.Watches()[3].ACLs[0] = "acl-y"
	p.Targets()[0].Directions[0] = 9
	v := p.Judge(alert.Alert{RuleID: "rule-auto"}, alert.Indicator{Addr: netip.MustParseAddr("203.0.113.7"), Direction: out})
	v.Targets[0].Directions[0] = 9
	p.WithGuard(nil).WithModes(Auto, Observe)
	if !reflect.DeepEqual(p.Watches(), watches) || !reflect.DeepEqual(p.Targets(), targets) || p.Guard(pfx("203.0.113.7/32")) != nil || p.GuardSet() != cfg.Guard {
		t.Errorf("the policy changed: %+v, %+v", p.Watches(), p.Targets())
	}
	want := []Target{{"acl-both", []alert.Direction{out, in}}, {"acl-in", []alert.Direction{in}}, {"acl-out", []alert.Direction{out}}}
	if !reflect.DeepEqual(targets, want) {
		t.Errorf("targets %v, want %v", targets, want)
	}
	if watches[0].TTL != DefaultTTL || watches[0].Weight != DefaultWeight || watches[1].RuleID != "rule-auto" {
		t.Errorf("watches %+v", watches)
	}
}

func TestWords(t *testing.T) {
	for _, m := range []Mode{Observe, Review, Auto} {
		var back Mode
		b, err := m.MarshalText()
		if err != nil || back.UnmarshalText(b) != nil || back != m {
			t.Errorf("%v comes back as %v, %v", m, back, err)
		}
	}
	for _, s := range []string{"", "AUTO", "unset", "auto "} {
		if m, err := ParseMode(s); err == nil || m != 0 {
			t.Errorf("ParseMode(%q) = %v, %v", s, m, err)
		}
	}
	var words []string
	for a := Action(0); a <= Block+1; a++ {
		words = append(words, a.String())
	}
	if got := strings.Join(words, " "); got != "Action(0) ignore refuse ask auto Action(5)" {
		t.Errorf("actions %s", got)
	}
}
