package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"

	"selfprotect/alert"
	"selfprotect/config"
	"selfprotect/engine"
	"selfprotect/firewall/nacl"
	"selfprotect/journal"
	"selfprotect/policy"
	"selfprotect/threatstack"
)

// parts are the whole program, put together.
type parts struct {
	cfg      *config.Config
	log      *slog.Logger
	source   *threatstack.Client
	aws      *nacl.Backend
	journal  *journal.SQLite
	engine   *engine.Engine
	actor    string
	guards   *guardian
	readOnly bool
	*followers
}

// build puts the program together. It asks nothing of any service.
func build(ctx context.Context, cfg *config.Config, o *options, log *slog.Logger) (*parts, error) {
	p, pol, err := prepare(ctx, cfg, o, log)
	if err != nil {
		return nil, err
	}
	if err := p.open(ctx, pol, o); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// open opens the journal and makes the engine, which folds it.
func (p *parts) open(ctx context.Context, pol *policy.Policy, o *options) (err error) {
	if p.journal, err = journal.Open(p.cfg.State.Path); err != nil {
		return err
	}
	if p.engine, err = engine.New(ctx, engineConfig(p.cfg, p, pol, o)); err != nil {
		return err
	}
	p.log.Info("started", "version", buildVersion().String(), "journal", p.cfg.State.Path, "mode", p.cfg.Mode.String())
	return nil
}

// prepare makes all parts but the journal and the engine, which two runs must not
// have at once.
func prepare(ctx context.Context, cfg *config.Config, o *options, log *slog.Logger) (*parts, *policy.Policy, error) {
	p := &parts{cfg: cfg, log: log, actor: person(o.env), readOnly: o.readOnly}
	var err error
	if p.followers, err = newFollowers(cfg, p.actor, p.receiverNews); err != nil {
		return nil, nil, err
	}
	if p.source, err = newSource(cfg); err != nil {
		return nil, nil, err
	}
	if p.aws, err = newFirewall(ctx, cfg, o.readOnly); err != nil {
		return nil, nil, err
	}
	pol, err := policy.New(cfg.Policy())
	if err != nil {
		return nil, nil, usageError(err)
	}
	p.guards = newGuardian(cfg, p.source, p.aws, o.env)
	return p, pol, nil
}

// receiverNews writes to the log when a receiver of notifications begins to fail.
func (p *parts) receiverNews(receiver, problem string) {
	if problem != "" {
		p.log.Warn("notifications fail", "receiver", clean(receiver), "reason", problem)
		return
	}
	p.log.Info("notifications arrive again", "receiver", clean(receiver))
}

func (p *parts) close() {
	if p.journal != nil {
		if err := p.journal.Close(); err != nil {
			p.log.Error("close the journal", "error", err)
		}
	}
}

func newSource(cfg *config.Config) (*threatstack.Client, error) {
	creds, err := cfg.Credentials()
	if err != nil {
		return nil, err
	}
	cfg.Warnings = append(cfg.Warnings, creds.Warnings...)
	ts := cfg.ThreatStack
	rules := make([]string, len(cfg.Watches))
	for i, w := range cfg.Watches {
		rules[i] = w.Rule
	}
	c, err := threatstack.New(threatstack.Config{
		BaseURL: ts.BaseURL, OrganizationID: creds.OrganizationID, UserID: creds.UserID, APIKey: threatstack.Secret(creds.APIKey.Reveal()),
		RuleIDs: rules, RequestsPerMinute: ts.RequestsPerMinute, Overlap: ts.Overlap, Window: ts.Window,
		AllowUnsigned: ts.AllowUnsigned, Timeout: ts.Timeout,
	})
	if err != nil {
		return nil, usageError(err)
	}
	return c, nil
}

func newFirewall(ctx context.Context, cfg *config.Config, readOnly bool) (*nacl.Backend, error) {
	c := nacl.Config{ReadOnly: readOnly, AppID: "selfprotect"}
	for _, a := range cfg.ACLs {
		c.Targets = append(c.Targets, nacl.Target{ACL: a.ID, Region: a.Region, Profile: a.Profile, Role: a.Role, Directions: a.Directions})
	}
	return nacl.Open(ctx, c)
}

func engineConfig(cfg *config.Config, p *parts, pol *policy.Policy, o *options) engine.Config {
	c := engine.Config{
		Source: p.source, SourceName: "threatstack", Health: p.health, Firewall: p.firewall(), Journal: p.journal, Checkpoints: p.journal,
		Policy: pol, Guarded: p.guards.guarded, Checks: p.checksFor(o), Access: p.access, Dismiss: cfg.ThreatStack.Dismiss, ReadOnly: o.readOnly, NoPoll: o.noPoll,
		PollInterval: cmp.Or(o.pollInterval, cfg.ThreatStack.PollInterval), ReadInterval: cmp.Or(o.readInterval, cfg.Limits.ReadInterval),
		Settle: cfg.Limits.Settle, RequestExpiry: cfg.Limits.RequestExpiry, MaxTTL: cfg.Limits.MaxTTL,
		Limits: engine.AutoLimits{PerMinute: cfg.Limits.AutoPerMinute, PerHour: cfg.Limits.AutoPerHour, Overall: cfg.Limits.AutoOverall,
			GuardHits: cfg.Limits.GuardHits, Share: cfg.Limits.AutoShare, Residency: cfg.Limits.AutoResidency, Pace: cfg.Limits.AutoPace},
		Slots: engine.Slots{Margin: cfg.Limits.Margin, Price: cfg.Limits.InnocentPrice, Collateral: cfg.Limits.Collateral,
			MinBits4: cfg.Limits.ShortestPrefixV4, MinBits6: cfg.Limits.ShortestPrefixV6},
		Holder: fmt.Sprintf("%s:%d", p.actor, os.Getpid()),
	}
	for _, a := range cfg.ACLs {
		c.ACLs = append(c.ACLs, engine.ACLConfig{ID: a.ID, Name: a.Name, Low: a.Numbers.Low, High: a.Numbers.High, Quota: a.Quota, Reserve: a.Reserve})
	}
	return c
}

// firewall counts what is asked of AWS, in a run that somebody follows.
func (p *parts) firewall() engine.Firewall {
	if p.followers == nil {
		return p.aws
	}
	return p.metrics.Firewall(p.aws)
}

// checksFor gives the checks of a console; a run without one has made them before.
func (p *parts) checksFor(o *options) func(context.Context) []engine.Problem {
	if o.lineMode() {
		return nil
	}
	return p.checks
}

// access says who we are for AWS.
func (p *parts) access(ctx context.Context) []engine.Access {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	var out []engine.Access
	for _, id := range p.aws.Identity(ctx) {
		a := engine.Access{Region: clean(id.Region), Account: clean(id.Account), ARN: clean(id.ARN), Expires: id.Expires, CheckedAt: time.Now()}
		if nacl.CredentialError(id.Err) { // that STS cannot be reached now says nothing of them
			a.Err = clean(id.Err.Error())
		}
		out = append(out, a)
	}
	return out
}

// health is what the source knows of itself.
func (p *parts) health() engine.SourceHealth {
	s := p.source.Status()
	return engine.SourceHealth{Budget: s.BudgetLeft, Requests: s.Requests, ClockOffset: s.ClockOffset, Skipped: s.SkippedAlerts + s.SkippedEvents + s.Dropped,
		Unsigned: p.cfg.ThreatStack.AllowUnsigned && !s.Signed}
}

// openLog opens the log file, 0600 in a directory 0700, turned over by size.
func openLog(c config.Log) (*slog.Logger, func(), error) {
	if err := makeLog(c.Path); err != nil {
		return nil, nil, fmt.Errorf("log: %w", err)
	}
	w := &lumberjack.Logger{Filename: c.Path, MaxSize: c.MaxSizeMB, MaxBackups: c.MaxBackups}
	var level slog.Level
	if err := level.UnmarshalText([]byte(cmp.Or(c.Level, "info"))); err != nil {
		return nil, nil, fmt.Errorf("log: %w", err)
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), func() { _ = w.Close() }, nil
}

// makeLog makes the file where there is none, and takes others' rights to it.
// Turning over renames the file, so anything else than a file is refused.
func makeLog(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return usageError(fmt.Errorf("%s is no regular file", path))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// record writes a line of the engine to the log file.
func record(log *slog.Logger, l engine.LogLine) {
	level := slog.LevelInfo
	switch {
	case l.Severity == engine.Fault:
		level = slog.LevelError
	case l.Severity == engine.Warning:
		level = slog.LevelWarn
	case l.Event == "poll":
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{slog.String("event", l.Event)}
	add := func(k, v string) {
		if v != "" {
			attrs = append(attrs, slog.String(k, v))
		}
	}
	if l.Prefix.IsValid() {
		add("cidr", l.Prefix.String())
	}
	add("acl", l.ACL)
	add("actor", l.Actor)
	add("rule", string(alert.Clean(l.RuleID)))
	add("alert", string(alert.Clean(l.Alert)))
	add("reason", l.Reason)
	log.LogAttrs(context.Background(), level, l.Text, attrs...)
}

// quick is how long a start-up question to a service may take.
const quick = 10 * time.Second
