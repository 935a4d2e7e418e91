package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"selfprotect/engine"
	"selfprotect/firewall/nacl"
	"selfprotect/threatstack"
)

// preflight asks each service once before a run without a screen. What a person
// must mend is an error with a sentence; a service that cannot be reached now is
// not: the engine goes on trying.
func (p *parts) preflight(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	_, err := p.aws.Read(ctx)
	if !needsPerson(err) {
		err = nil
	}
	errs := append(p.rules(ctx), err)
	if err == nil {
		errs = append(errs, p.permissions(ctx)...)
	}
	if err := errors.Join(errs...); err != nil {
		return credentialError(err)
	}
	return nil
}

// checks is preflight for the console, which starts at once and shows what it
// finds. What the engine's own reads say is left to them.
func (p *parts) checks(ctx context.Context) []engine.Problem {
	ctx, cancel := context.WithTimeout(ctx, 2*quick)
	defer cancel()
	var out []engine.Problem
	for _, err := range append(p.rules(ctx), p.permissions(ctx)...) {
		if !isAPICredential(err) {
			out = append(out, engine.Problem{Severity: engine.Fault, Since: time.Now(), Text: clean(err.Error())})
		}
	}
	return out
}

// rules looks for the watched rules.
func (p *parts) rules(ctx context.Context) []error {
	var errs []error
	for _, w := range p.cfg.Watches {
		r, err := p.source.Rule(ctx, w.Rule)
		var e *threatstack.Error
		switch {
		case err == nil && !r.Enabled:
			p.log.Warn("the watched rule is not enabled", "rule", w.Rule)
		case errors.As(err, &e) && e.Kind == threatstack.NotFound:
			errs = append(errs, fmt.Errorf("there is no rule %s in this organization: check the id of the watched rule (rule = … or --watchrule)", clean(w.Rule)))
		case isAPICredential(err):
			return append(errs, err)
		}
	}
	return errs
}

// permissions asks by DryRun what may be changed.
func (p *parts) permissions(ctx context.Context) []error {
	var errs []error
	if p.readOnly {
		return nil
	}
	for _, perm := range p.aws.Probe(ctx) {
		if !perm.Allowed && needsPerson(perm.Err) {
			errs = append(errs, fmt.Errorf("%s on %s: %s", perm.Action, perm.ACL, perm.Sentence))
		}
	}
	return errs
}

// needsPerson says that trying again does not help.
func needsPerson(err error) bool {
	return nacl.CredentialError(err) || errors.Is(err, nacl.ErrNoSuchACL)
}
