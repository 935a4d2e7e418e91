package threatstack

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"

	"selfprotect/alert"
)

const maxAgentAddrs = 256

func decodeAgent(v json.RawMessage) (alert.Agent, error) {
	o, err := decodeObject(v)
	if err != nil {
		return alert.Agent{}, err
	}
	a := alert.Agent{ID: o.id("id"), Hostname: o.text("hostname", "name")}
	if a.ID == "" {
		return alert.Agent{}, errors.New("no usable id")
	}
	ips, err := o.obj("ipAddresses")
	if err != nil {
		return alert.Agent{}, errors.New("ipAddresses is not an object")
	}
	a.Private = rawAll(ips.strs("private", maxAgentAddrs))
	a.ReportedAt, _ = parseTime(o.str("lastReportedAt")) // zero when it cannot be read
	a.Public = rawAll(ips.strs("public", maxAgentAddrs))
	return a, nil
}

func rawAll(in []string) []string {
	for i, s := range in {
		in[i] = raw(strings.TrimSpace(s))
	}
	return in
}

// bareAddr reads an address that may carry a prefix length, and unmaps it.
func bareAddr(s string) (netip.Addr, bool) {
	s, _, _ = strings.Cut(s, "/")
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}
