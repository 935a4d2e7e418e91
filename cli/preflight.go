package cli

import (
	"context"
	"errors"
	"fmt"

	"selfprotect/firewall/nacl"
	"selfprotect/threatstack"
)

// preflight asks each service once before a run without a screen. What a person
// must mend is an error with a sentence; a service that cannot be reached now is
// not: the engine goes on trying.
func (p *parts) preflight(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	if err := p.preflightSource(ctx); err != nil {
		return credentialError(err)
	}
	if _, err := p.aws.Read(ctx); err != nil && needsPerson(err) {
		return credentialError(err)
	}
	for _, perm := range p.aws.Probe(ctx) {
		if !perm.Allowed && needsPerson(perm.Err) {
			return credentialError(fmt.Errorf("%s on %s: %s", perm.Action, perm.ACL, perm.Sentence))
		}
	}
	return nil
}

// preflightSource looks for the watched rules.
func (p *parts) preflightSource(ctx context.Context) error {
	for _, w := range p.cfg.Watches {
		r, err := p.source.Rule(ctx, w.Rule)
		var e *threatstack.Error
		switch {
		case err == nil && !r.Enabled:
			p.log.Warn("the watched rule is not enabled", "rule", w.Rule)
		case errors.As(err, &e) && e.Kind == threatstack.NotFound:
			return fmt.Errorf("there is no rule %s in this organization: check the id of the watched rule (rule = … or --watchrule)", clean(w.Rule))
		case isAPICredential(err):
			return err
		}
	}
	return nil
}

// needsPerson says that trying again does not help.
func needsPerson(err error) bool {
	return nacl.CredentialError(err) || errors.Is(err, nacl.ErrNoSuchACL)
}
