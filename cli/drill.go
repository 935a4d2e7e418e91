package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// drill is a fire drill against the simulated services.
type drill struct {
	*options
	address string
	count   int
	timeout time.Duration
	url     string // of the services
	acl     string // empty: any
}

func newDrill(h Host) *cobra.Command {
	d := &drill{options: newOptions(h)}
	cmd := &cobra.Command{
		Use: "drill", Short: "Fire drill: add an alert to the simulated services and time the block", Args: noArgs,
		Long: `drill adds an alert to the services of selfprotect demo --serve-only, waits until the
network ACL there denies its address, and prints how long that took. The program that
blocks must run beside it, in auto mode or with somebody who approves. With --count
each alert comes right after the block before it, so right after a poll: the times are
the longest, one poll interval.

It speaks to simulated services on this machine alone, and refuses anything else.
Exit codes: 0 denied, 1 not denied in time, 2 these are no simulated services.`,
		Example: `selfprotect demo --serve-only >env & sleep 1; . ./env
selfprotect --headless --mode auto --watchrule "$SELFPROTECT_DEMO_RULE" --aws-acl-id "$SELFPROTECT_DEMO_ACL" &
selfprotect drill --count 5`,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&d.path, "config", "", "configuration file")
	f.StringVar(&d.acl, "aws-acl-id", "", "id of the network ACL (default: any of the services)")
	f.StringVar(&d.address, "address", "", "address that the alert names (default: one of 203.0.113.0/24 that is not denied yet)")
	f.IntVar(&d.count, "count", 1, "how many alerts, one after the other")
	f.DurationVar(&d.timeout, "timeout", time.Minute, "how long to wait for each block")
	f.BoolVar(&d.json, "json", false, "write one JSON object for each block")
	return cmd
}

// drilled is one block of a drill.
type drilled struct {
	Address string  `json:"address"`
	Alert   string  `json:"alert"`
	ACL     string  `json:"acl"`
	Number  int     `json:"rule_number"`
	CIDR    string  `json:"cidr"`
	Seconds float64 `json:"seconds"`
}

func (d *drill) run(cmd *cobra.Command) error {
	if d.count < 1 || d.count > 100 || d.timeout <= 0 || d.address != "" && d.count > 1 {
		return usageError(errors.New("--count must be from 1 to 100, 1 with --address, and --timeout above 0"))
	}
	cfg, err := d.load(true)
	if err != nil {
		return err
	}
	d.url = cfg.ThreatStack.BaseURL
	if err := d.simulated(cmd.Context()); err != nil {
		return usageError(err)
	}
	var all []time.Duration
	for range d.count {
		took, err := d.once(cmd)
		if err != nil {
			return err
		}
		all = append(all, took)
	}
	if d.count > 1 && !d.json {
		slices.Sort(all)
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d blocks: median %.1f s, longest %.1f s\n", len(all), all[len(all)/2].Seconds(), all[len(all)-1].Seconds())
	}
	return err
}

// simulated refuses whatever is not the simulated services on this machine.
func (d *drill) simulated(ctx context.Context) error {
	for name, text := range map[string]string{"the alert API (TS_API_ENDPOINT)": d.url, "EC2 (AWS_ENDPOINT_URL_EC2)": d.ec2()} {
		if !loopbackURL(text) {
			return fmt.Errorf("a drill runs against selfprotect demo --serve-only alone, and %s is not on this machine; source the lines that it prints", name)
		}
	}
	if _, err := d.entries(ctx); err != nil {
		return fmt.Errorf("a drill runs against selfprotect demo --serve-only alone, and %s is something else: %w", d.url, err)
	}
	return nil
}

// ec2 is where the program beside us is taken to look for EC2: it shares our environment.
func (d *drill) ec2() string {
	if u := d.env("AWS_ENDPOINT_URL_EC2"); u != "" {
		return u
	}
	return d.env("AWS_ENDPOINT_URL")
}

func loopbackURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// once adds one alert and waits for its entry.
func (d *drill) once(cmd *cobra.Command) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), d.timeout)
	defer cancel()
	addr, err := d.pick(ctx)
	if err != nil {
		return 0, err
	}
	body := fmt.Sprintf(`{"events":[{"connection":{"dst_addr":%q,"dst_port":443}}]}`, addr)
	var made struct{ ID string }
	if err := d.ask(ctx, http.MethodPost, "/_sim/alert", body, &made); err != nil {
		return 0, fmt.Errorf("add an alert: %w", err)
	}
	began := time.Now()
	e, acl, err := d.await(ctx, addr)
	took := time.Since(began)
	switch {
	case cmd.Context().Err() != nil:
		return 0, cmd.Context().Err()
	case err != nil:
		return 0, fmt.Errorf("%s was not denied within %s: does selfprotect run against these services in auto mode, or does a proposal wait for somebody?", addr, d.timeout)
	}
	r := drilled{Address: addr.String(), Alert: clean(made.ID), ACL: clean(acl), Number: e.Number, CIDR: e.CIDR, Seconds: float64(took.Milliseconds()) / 1000}
	if d.json {
		return took, json.NewEncoder(cmd.OutOrStdout()).Encode(r)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s denied by entry %d of %s %.1f s after alert %s\n", r.Address, r.Number, r.ACL, r.Seconds, r.Alert)
	return took, err
}

// simACL is a network ACL as the control path of the services shows it.
type simACL struct {
	ID      string
	Entries []simEntry
}

type simEntry struct {
	Number int
	Egress bool
	Action string
	CIDR   string
}

// denies says whether an entry denies an address on the way out.
func (e simEntry) denies(a netip.Addr) bool {
	p, err := netip.ParsePrefix(e.CIDR)
	return err == nil && e.Egress && e.Action == "deny" && p.Bits() > 0 && p.Contains(a)
}

func (d *drill) entries(ctx context.Context) ([]simACL, error) {
	var acls []simACL
	err := d.ask(ctx, http.MethodGet, "/_sim/acl", "", &acls)
	return acls, err
}

// denied gives the entry that denies an address, if there is one.
func (d *drill) denied(ctx context.Context, a netip.Addr) (simEntry, string, bool, error) {
	acls, err := d.entries(ctx)
	for _, x := range acls {
		for _, e := range x.Entries {
			if e.denies(a) && (d.acl == "" || d.acl == x.ID) {
				return e, x.ID, true, nil
			}
		}
	}
	return simEntry{}, "", false, err
}

// pick gives an address that is not denied yet.
func (d *drill) pick(ctx context.Context) (netip.Addr, error) {
	if d.address != "" {
		a, err := netip.ParseAddr(d.address)
		if err != nil {
			return a, usageError(fmt.Errorf("%q is no address", clean(d.address)))
		}
		if _, _, found, err := d.denied(ctx, a); err != nil || found {
			return a, errors.Join(err, usageError(fmt.Errorf("%s is denied already: choose another --address", a)))
		}
		return a, nil
	}
	for last := range byte(200) {
		a := netip.AddrFrom4([4]byte{203, 0, 113, (last + byte(time.Now().UnixNano()/1e6)) % 250})
		if _, _, found, err := d.denied(ctx, a); err != nil || !found {
			return a, err
		}
	}
	return netip.Addr{}, errors.New("nearly all of 203.0.113.0/24 is denied already: start the services anew")
}

// await looks until the address is denied.
func (d *drill) await(ctx context.Context, a netip.Addr) (simEntry, string, error) {
	for {
		e, acl, found, err := d.denied(ctx, a)
		if found {
			return e, acl, nil
		}
		select {
		case <-ctx.Done():
			return e, "", errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ask speaks to a control path, of this machine alone: no proxy, no redirect.
func (d *drill) ask(ctx context.Context, method, path, body string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	c := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: quick}).DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(r)
	if err != nil {
		return errors.New("no answer")
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %d to %s", resp.StatusCode, path)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("its answer to %s is not what the services give", path)
	}
	return nil
}
