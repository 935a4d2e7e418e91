package config

import (
	_ "embed"
	"fmt"
	"net/netip"
	"slices"

	"selfprotect/firewall"
	"selfprotect/policy"
)

// Policy gives what a policy is made from. Its guard holds the built-in prefixes,
// those of the configuration, and extra ones that are known only at run time.
func (c *Config) Policy(extra ...policy.Guarded) policy.Config {
	entries := slices.Concat(policy.BuiltIn(c.Guard.Private), c.NeverBlock(), extra)
	p := policy.Config{Mode: c.Mode, TTL: c.Limits.TTL, Guard: policy.NewGuard(entries)}
	for _, w := range c.Watches {
		p.Watches = append(p.Watches, policy.Watch{
			RuleID: w.Rule, Name: w.Name, Mode: w.Mode, TTL: w.TTL, Weight: w.Weight, ACLs: w.ACLs,
		})
	}
	for _, a := range c.ACLs {
		t := policy.Target{ACL: a.ID}
		for i, d := range a.Directions {
			// An egress rule looks at destinations, which are what outbound traffic
			// speaks to.
			word := "outbound"
			if d == firewall.Ingress {
				word = "inbound"
			}
			t.Directions = append(t.Directions, 0)
			if err := t.Directions[i].UnmarshalText([]byte(word)); err != nil {
				panic(err) // unreachable unless the words change
			}
		}
		p.Targets = append(p.Targets, t)
	}
	return p
}

// NeverBlock gives guard.never_block, sorted.
func (c *Config) NeverBlock() []policy.Guarded {
	out := make([]policy.Guarded, 0, len(c.Guard.NeverBlock))
	for _, p := range c.Guard.NeverBlock {
		out = append(out, policy.Guarded{Prefix: p, Why: "never_block in the config"})
	}
	return out
}

// CheckPrefix refuses a prefix that is shorter than the limits allow.
func (x Limits) CheckPrefix(p netip.Prefix) error {
	shortest, key := x.ShortestPrefixV4, "v4"
	if !p.Addr().Unmap().Is4() {
		shortest, key = x.ShortestPrefixV6, "v6"
	}
	if p.Bits() < shortest {
		return fmt.Errorf("%s is wider than /%d, limits.shortest_prefix_%s", p, shortest, key)
	}
	return nil
}

//go:embed example.toml
var example string

// Example gives a file that documents every key with its default.
func Example() string { return example }
