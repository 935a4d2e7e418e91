package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"selfprotect/config"
	"selfprotect/engine"
	"selfprotect/firewall/nacl"
	"selfprotect/policy"
	"selfprotect/threatstack"
)

// preflight asks each service once before a run without a screen. What a person
// must mend is an error with a sentence; a service that cannot be reached now is
// not: the engine goes on trying. The warnings do not stand in the way of a run.
func (p *parts) preflight(ctx context.Context) (warnings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	var rules, aws []error
	var wg sync.WaitGroup
	wg.Go(func() { rules, warnings = p.rules(ctx) })
	wg.Go(func() {
		if _, err := p.aws.Read(ctx); needsPerson(err) {
			aws = []error{err}
		} else if p.mayWrite() {
			aws = p.permissions(ctx)
		}
	})
	wg.Wait()
	if err := errors.Join(append(rules, aws...)...); err != nil {
		return warnings, credentialError(err)
	}
	return warnings, nil
}

// checks is preflight for the console, which starts at once and shows what it
// finds. What the engine's own reads say is left to them.
func (p *parts) checks(ctx context.Context) []engine.Problem {
	ctx, cancel := context.WithTimeout(ctx, 2*quick)
	defer cancel()
	var out []engine.Problem
	add := func(s engine.Severity, text string) {
		out = append(out, engine.Problem{Severity: s, Since: time.Now(), Text: clean(text)})
	}
	errs, warnings := p.rules(ctx)
	if !p.readOnly {
		errs = append(errs, p.permissions(ctx)...)
	}
	for _, err := range errs {
		if !isAPICredential(err) {
			add(engine.Fault, err.Error())
		}
	}
	for _, w := range warnings {
		add(engine.Warning, w)
	}
	return out
}

// rules looks for the watched rules.
func (p *parts) rules(ctx context.Context) (errs []error, warnings []string) {
	for _, w := range p.cfg.Watches {
		r, err := p.source.Rule(ctx, w.Rule)
		var e *threatstack.Error
		switch {
		case err == nil && !r.Enabled:
			warnings = append(warnings, fmt.Sprintf("the watched rule %s is not enabled: no alert will arise", clean(w.Rule)))
		case errors.As(err, &e) && e.Kind == threatstack.NotFound:
			errs = append(errs, fmt.Errorf("there is no rule %s in this organization: check the id of the watched rule (rule = … or --watchrule)", clean(w.Rule)))
		case isAPICredential(err):
			return append(errs, err), warnings
		}
	}
	return errs, warnings
}

// permissions asks by DryRun what may be changed.
func (p *parts) permissions(ctx context.Context) []error {
	var errs []error
	for _, perm := range p.aws.Probe(ctx) {
		if !perm.Allowed && needsPerson(perm.Err) {
			errs = append(errs, fmt.Errorf("%s on %s: %s", perm.Action, perm.ACL, perm.Sentence))
		}
	}
	return errs
}

// mayWrite says whether a run without a screen, in which nobody raises a mode, may
// come to write: to observe, the right to read is enough.
func (p *parts) mayWrite() bool { return !p.readOnly && highestMode(p.cfg) > policy.Observe }

// highestMode is the highest that any watch has.
func highestMode(c *config.Config) policy.Mode {
	var top policy.Mode
	for _, w := range c.Watches {
		mode := w.Mode
		if mode == 0 {
			mode = c.Mode
		}
		top = max(top, mode)
	}
	return top
}

// needsPerson says that trying again does not help.
func needsPerson(err error) bool {
	return nacl.CredentialError(err) || errors.Is(err, nacl.ErrNoSuchACL)
}
