package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"selfprotect/config"
	"selfprotect/firewall/nacl"
	"selfprotect/policy"
	"selfprotect/threatstack"
)

// guardian looks up the addresses that must not be blocked because this program,
// its operator or the hosts that it protects depend on them.
type guardian struct {
	cfg    *config.Config
	source *threatstack.Client
	aws    *nacl.Backend
	env    func(string) string
	asked  time.Time // when the agents were listed last
}

func newGuardian(cfg *config.Config, s *threatstack.Client, b *nacl.Backend, env func(string) string) *guardian {
	return &guardian{cfg: cfg, source: s, aws: b, env: env}
}

// guarded gives what was found; the error names what could not be looked up.
func (g *guardian) guarded(ctx context.Context) ([]policy.Guarded, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	out := g.peer()
	var errs []error
	if g.cfg.Guard.Resolve {
		found, err := g.endpoints(ctx)
		out, errs = append(out, found...), append(errs, err)
	}
	if g.cfg.Guard.Agents {
		found, err := g.agents(ctx)
		out, errs = append(out, found...), append(errs, err)
	}
	ranges, err := g.awsRanges()
	if errors.Is(err, errNoRanges) {
		err = nil
	}
	return append(out, ranges...), errors.Join(append(errs, err)...)
}

// one guards one address. Loopback is guarded anyway.
func one(a netip.Addr, why string) []policy.Guarded {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() {
		return nil
	}
	return []policy.Guarded{{Prefix: netip.PrefixFrom(a, a.BitLen()), Why: why}}
}

// peer is the other end of the SSH session in which the operator sits.
func (g *guardian) peer() []policy.Guarded {
	for _, name := range []string{"SSH_CONNECTION", "SSH_CLIENT"} {
		text, _, _ := strings.Cut(strings.TrimSpace(g.env(name)), " ")
		if a, err := netip.ParseAddr(text); err == nil {
			return one(a, "the peer of this SSH session")
		}
	}
	return nil
}

// endpoints resolves the hosts that this program itself speaks to.
func (g *guardian) endpoints(ctx context.Context) ([]policy.Guarded, error) {
	hosts := g.aws.Endpoints()
	if u, err := url.Parse(g.cfg.ThreatStack.BaseURL); err == nil {
		hosts = append(hosts, u.Hostname())
	}
	var out []policy.Guarded
	var errs []error
	for _, h := range hosts {
		if a, err := netip.ParseAddr(h); err == nil {
			out = append(out, one(a, "the service at "+h)...)
			continue
		}
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", h)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s does not resolve", h))
			continue
		}
		for _, a := range addrs {
			out = append(out, one(a, "the service at "+h)...)
		}
	}
	return out, errors.Join(errs...)
}

// agents gives the public addresses of the hosts that are watched. They are
// listed once a day; those that alerts name come on top.
func (g *guardian) agents(ctx context.Context) ([]policy.Guarded, error) {
	var err error
	if time.Since(g.asked) > 24*time.Hour {
		if _, err = g.source.OnlineAgents(ctx); err == nil {
			g.asked = time.Now()
		} else {
			err = fmt.Errorf("the agents could not be listed: %w", err)
		}
	}
	var out []policy.Guarded
	for _, a := range g.source.Status().Public {
		out = append(out, one(a, "a public address of a watched host")...)
	}
	for i := range out { // an address that is the host's no more may be an attacker's
		out[i].Overridable = true
	}
	return out, err
}
