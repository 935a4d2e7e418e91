package config

import (
	"encoding/json"
	"net/netip"
	"testing"

	"selfprotect/policy"
)

func TestPolicy(t *testing.T) {
	file := `mode = "auto"
[[watch]]
rule = "rule-1"
name = "one"
mode = "review"
ttl = "2h"
weight = 50
acls = ["p"]
[[watch]]
rule = "rule-2"
[[acl]]
id = "acl-0000000b"
name = "p"
directions = ["ingress", "egress"]
[[acl]]
id = "acl-0000000a"
directions = ["ingress"]
[limits]
ttl = "12h"
[guard]
never_block = ["203.0.113.0/24"]
`
	c, err := Load(Options{Path: write(t, "config.toml", file), Home: "/home/op"})
	if err != nil {
		t.Fatal(err)
	}
	extra := policy.Guarded{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Why: "agent"}
	p := c.Policy(extra)
	got, err := json.Marshal([]any{p.Mode, p.TTL, p.Watches, p.Targets})
	if err != nil {
		t.Fatal(err)
	}
	want := `["auto",43200000000000,[` +
		`{"RuleID":"rule-1","Name":"one","Mode":"review","TTL":7200000000000,"Weight":50,"ACLs":["acl-0000000b"]},` +
		`{"RuleID":"rule-2","Name":"","Mode":"unset","TTL":0,"Weight":10,"ACLs":null}],` +
		`[{"acl":"acl-0000000b","directions":["outbound","inbound"]},{"acl":"acl-0000000a","directions":["inbound"]}]]`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := policy.New(p); err != nil {
		t.Error(err)
	}
	for s, free := range map[string]bool{
		"203.0.113.9/32": false, "198.51.100.7/32": false, "10.1.1.1/32": false, "192.0.2.1/32": true,
	} {
		if err := p.Guard.Check(netip.MustParsePrefix(s)); (err == nil) != free {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	x := Limits{ShortestPrefixV4: 28, ShortestPrefixV6: 64}
	for s, ok := range map[string]bool{
		"192.0.2.1/32": true, "192.0.2.0/28": true, "192.0.2.0/27": false, "0.0.0.0/0": false,
		"2001:db8::/64": true, "2001:db8::/63": false, "::/0": false,
	} {
		if err := x.CheckPrefix(netip.MustParsePrefix(s)); (err == nil) != ok {
			t.Errorf("%s: %v", s, err)
		}
	}
}
