package engine

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"testing"

	"selfprotect/firewall"
	"selfprotect/firewall/firewalltest"
	"selfprotect/firewall/nacl"
	"selfprotect/sim"
)

// simWall is EC2 in a simulation, as the oracle and the people of the world see it.
type simWall interface {
	ACL(id string) firewall.ACL
	Ours(id string) []firewall.Entry
	Edit(id string, edit func(*firewall.ACL))
	HandOver(id string, d firewall.Direction, number int)
	Writes() []firewalltest.Call
	setQuota(n int) // 0: the default
	client(w *simWorld) Firewall
}

// memoryWall is EC2 in memory: most seeds run on it, as it is fast.
type memoryWall struct{ *firewalltest.Memory }

func (m memoryWall) setQuota(n int)            { m.Quota = n }
func (m memoryWall) client(*simWorld) Firewall { return m.Memory }

// wireWall is the server of package sim, spoken to by the real client: requests are
// signed, sent, refused, lost and read back as bytes. No socket is in between.
type wireWall struct {
	w       *simWorld
	server  *sim.EC2
	guarded []netip.Prefix
	foreign map[string][]firewall.Entry
	writes  []firewalltest.Call
}

func newWireWall(w *simWorld, acls ...firewall.ACL) *wireWall {
	m := &wireWall{w: w, server: sim.NewEC2(sim.EC2Config{Seed: w.seed}), foreign: map[string][]firewall.Entry{}}
	m.server.AddVPC("vpc-1", netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8:ffff::/56"))
	for _, a := range acls {
		m.server.AddACL(sim.ACL{ID: a.ID, VPC: "vpc-1", Entries: toWire(a.Entries)})
		m.foreign[a.ID] = m.ACL(a.ID).Entries
	}
	return m
}

func toWire(entries []firewall.Entry) []sim.Entry {
	var out []sim.Entry
	for _, e := range entries {
		if !e.Default() {
			out = append(out, sim.Entry{Number: e.Number, Egress: e.Direction == firewall.Egress, Allow: !e.Deny, Prefix: e.Prefix, Protocol: "-1"})
		}
	}
	return out
}

// ACL gives an ACL as it is.
func (m *wireWall) ACL(id string) firewall.ACL {
	a := firewall.ACL{ID: id, VPC: "vpc-1"}
	for _, e := range m.server.Entries(id) {
		x := firewall.Entry{Number: e.Number, Direction: firewall.Ingress, Deny: !e.Allow, Protocol: firewall.AllProtocols, Prefix: e.Prefix}
		if e.Egress {
			x.Direction = firewall.Egress
		}
		a.Entries = append(a.Entries, x)
	}
	a.Sort()
	return a
}

// Ours gives the entries that came by a call.
func (m *wireWall) Ours(id string) []firewall.Entry {
	return slices.DeleteFunc(m.ACL(id).Entries, func(e firewall.Entry) bool { return slices.Contains(m.foreign[id], e) })
}

// Edit changes an ACL as a person would.
func (m *wireWall) Edit(id string, edit func(*firewall.ACL)) {
	a := m.ACL(id)
	before := slices.Clone(a.Entries)
	edit(&a)
	if err := m.server.Edit(id, func(x *sim.ACL) { x.Entries = toWire(a.Entries) }); err != nil {
		m.w.fail("edit: %v", err)
	}
	m.foreign[id] = slices.DeleteFunc(m.foreign[id], func(e firewall.Entry) bool { return !slices.Contains(a.Entries, e) })
	for _, e := range a.Entries {
		if !slices.Contains(before, e) {
			m.foreign[id] = append(m.foreign[id], e)
		}
	}
}

// HandOver says that an entry is not foreign any more.
func (m *wireWall) HandOver(id string, d firewall.Direction, number int) {
	m.foreign[id] = slices.DeleteFunc(m.foreign[id], func(e firewall.Entry) bool { return e.Direction == d && e.Number == number })
}

// Writes gives the write calls so far.
func (m *wireWall) Writes() []firewalltest.Call { return m.writes }

func (m *wireWall) setQuota(n int) {
	if n == 0 {
		n = firewall.DefaultQuota
	}
	m.server.SetQuota(n)
}

// client is the real client of one process. The server is all that is not real.
func (m *wireWall) client(w *simWorld) Firewall {
	cfg := nacl.Config{HTTP: &http.Client{Transport: sim.Transport(m.server)}}
	for _, id := range simACLs {
		cfg.Targets = append(cfg.Targets, nacl.Target{ACL: id, Region: "us-east-1"})
	}
	b, err := nacl.Open(context.Background(), cfg)
	if err != nil {
		w.fail("open: %v", err)
	}
	return wireClient{m, b}
}

type wireClient struct {
	wall    *wireWall
	backend *nacl.Backend
}

// Read lets the server have the fault that the world draws.
func (c wireClient) Read(ctx context.Context) ([]firewall.ACL, error) {
	w := c.wall.w
	w.count("read over the wire")
	f := w.wallFault(firewalltest.Call{Read: true})
	faults := sim.EC2Faults{Actions: []string{"DescribeNetworkAcls"}}
	switch {
	case f.Err != nil && w.chance(0.5):
		faults.Throttle.Next = 1
	case f.Err != nil:
		faults.Lost.Next = 1
	case f.Stale > 0:
		faults.Stale.Next, faults.StaleBy, faults.StaleExact = 1, f.Stale, true
	}
	c.wall.server.SetFaults(faults)
	acls, err := c.backend.Read(ctx)
	if f.Err != nil && err == nil {
		w.fail("a read that the server refused succeeds")
	}
	return acls, err
}

// Do is Read for a change; it holds first that nobody asks for what no correct
// program asks for.
func (c wireClient) Do(ctx context.Context, id string, change firewall.Change) error {
	w := c.wall.w
	w.count("write over the wire")
	call := firewalltest.Call{ACL: id, Change: change}
	c.wall.writes = append(c.wall.writes, call)
	c.wall.check(id, change)
	f := w.wallFault(call)
	faults := w.wireFaults(f)
	c.wall.server.SetFaults(faults)
	err := c.backend.Do(ctx, id, change)
	var refused, want *firewall.RefusedError
	errors.As(err, &refused)
	if errors.As(f.Err, &want) && (refused == nil || refused.Throttled != want.Throttled || refused.Permission != want.Permission) {
		w.fail("the server refuses %s (%v), the client says %v", change, want, err)
	}
	if refused != nil && faults.Lost.Next+faults.Late.Next > 0 {
		w.fail("the answer to %s was lost, the client says that it was refused: %v", change, err)
	}
	return err
}

// wireFaults gives the server the fault of one write.
func (w *simWorld) wireFaults(f firewalltest.Fault) (out sim.EC2Faults) {
	once := sim.Chance{Next: 1}
	var refused *firewall.RefusedError
	switch {
	case f.Late > 0:
		out.Late, out.LateBy = once, f.Late
	case f.Lost && w.chance(0.5):
		out.InternalApplied = once
	case f.Lost:
		out.Lost = once
	case errors.As(f.Err, &refused) && refused.Throttled:
		out.Throttle = once
	case refused != nil && refused.Code == "AuthFailure":
		out.Expired = true
	case refused != nil:
		out.Denied = []string{"CreateNetworkAclEntry", "ReplaceNetworkAclEntry", "DeleteNetworkAclEntry"}
	case f.Err != nil && w.chance(0.5):
		out.Reset = once
	case f.Err != nil:
		out.Internal = once
	}
	return out
}

// check reports misuse, in the words of firewalltest.Memory.
func (m *wireWall) check(id string, c firewall.Change) {
	if c.Op != firewall.Delete {
		for _, g := range m.guarded {
			if g.Overlaps(c.Prefix) {
				m.w.Errorf("%s: %s: denies the guarded %s", id, c, g)
			}
		}
	}
	for _, e := range m.foreign[id] {
		if c.Op != firewall.Create && e.Direction == c.Direction && e.Number == c.Number {
			m.w.Errorf("%s: %s: the entry is not ours: %v", id, c, e)
		}
	}
}

// TestMain gives the AWS SDK an environment of its own. It must try a read once: a
// pause between two tries is drawn at random, and a seed would not replay.
func TestMain(m *testing.M) {
	known := sim.DefaultCredential()
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": known.AccessKeyID, "AWS_SECRET_ACCESS_KEY": known.SecretAccessKey, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_CA_BUNDLE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ENDPOINT_URL_EC2": "https://ec2.test", "AWS_ENDPOINT_URL": "", "AWS_MAX_ATTEMPTS": "1",
	} {
		if err := os.Setenv(k, v); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
