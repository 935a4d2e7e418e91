package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/config"
	"selfprotect/policy"
)

const (
	awsRangesURL = "https://ip-ranges.amazonaws.com/ip-ranges.json"
	// maxRanges bounds the file: it has about 2 MB.
	maxRanges = 32 << 20
	// oldRanges is the age at which the file is warned of.
	oldRanges = 90 * 24 * time.Hour
)

// rangesPath is where the ranges of AWS are kept: beside the journal.
func rangesPath(cfg *config.Config) string {
	return filepath.Join(filepath.Dir(cfg.State.Path), "aws-ip-ranges.json")
}

// readRanges reads the file; an error when it is not there or not whole.
func readRanges(path string) (policy.AWSRanges, error) {
	st, err := os.Lstat(path)
	switch {
	case err != nil:
		return policy.AWSRanges{}, err
	case !st.Mode().IsRegular() || st.Mode().Perm()&0o022 != 0:
		return policy.AWSRanges{}, fmt.Errorf("%s must be a file that only you can write", path)
	case st.Size() > maxRanges:
		return policy.AWSRanges{}, fmt.Errorf("%s is too large", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return policy.AWSRanges{}, err
	}
	return policy.ParseAWSRanges(b)
}

// errNoRanges says that nobody has fetched the ranges yet. check warns of it.
var errNoRanges = errors.New("the address ranges of AWS's services are not there, so they are not guarded: selfprotect guard update fetches them")

// awsRanges gives the ranges of AWS's services; what is missing or old is an error
// beside what there is.
func (g *guardian) awsRanges() ([]policy.Guarded, error) {
	r, err := readRanges(rangesPath(g.cfg))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errNoRanges
	case err != nil:
		return nil, err
	case time.Since(r.Made) > oldRanges:
		return r.Entries, fmt.Errorf("the address ranges of AWS's services are of %s: selfprotect guard update renews them", r.Made.Format("2006-01-02"))
	}
	return r.Entries, nil
}

func newGuard(h Host) *cobra.Command {
	cmd := &cobra.Command{Use: "guard", Short: "Show what is never blocked, and why", Args: noArgs, Example: "selfprotect guard check 203.0.113.0/24",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newGuardUpdate(h), newGuardShow(h), newGuardCheck(h), newGuardOverride(h), newGuardOverrides(h))
	return cmd
}

func newGuardUpdate(h Host) *cobra.Command {
	o := newOptions(h)
	var file, url string
	cmd := &cobra.Command{
		Use: "update", Short: "Fetch the address ranges of AWS's own services", Args: noArgs,
		Long: `update fetches the file in which AWS publishes its address ranges and keeps it beside
the journal. What AWS rents to customers (service EC2) is not guarded. A file that
is not whole, older than the one that is there, or half as long is refused.`,
		Example: "selfprotect guard update\nselfprotect guard update --file ip-ranges.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(true)
			if err != nil {
				return err
			}
			var b []byte
			if file != "" {
				b, err = os.ReadFile(file)
			} else {
				b, err = fetchRanges(cmd.Context(), url)
			}
			if err != nil {
				return err
			}
			r, err := keepRanges(rangesPath(cfg), b)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%d ranges of %s, %d prefixes guarded\n", r.Ranges, r.Made.Format("2006-01-02 15:04"), len(r.Entries))
			}
			return err
		},
	}
	commonFlags(cmd, o)
	cmd.Flags().StringVar(&file, "file", "", "read the ranges from a file")
	cmd.Flags().StringVar(&url, "url", awsRangesURL, "fetch them from here (https)")
	return cmd
}

// fetchRanges gets the file: over TLS, without following anybody elsewhere.
func fetchRanges(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil || req.URL.Scheme != "https" {
		return nil, usageError(fmt.Errorf("%q is no https address", clean(url)))
	}
	c := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch the ranges: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch the ranges: %s", res.Status)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxRanges+1))
	if err == nil && len(b) > maxRanges {
		err = errors.New("fetch the ranges: too long")
	}
	return b, err
}

// keepRanges puts the file in place of the one that is there, at once or not at
// all.
func keepRanges(path string, b []byte) (policy.AWSRanges, error) {
	r, err := policy.ParseAWSRanges(b)
	if err != nil {
		return r, err
	}
	switch old, err := readRanges(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return r, err
	case r.Made.Before(old.Made):
		return r, fmt.Errorf("these ranges are of %s, older than those of %s that are there", r.Made.Format("2006-01-02"), old.Made.Format("2006-01-02"))
	case len(r.Entries) < len(old.Entries)/2:
		return r, fmt.Errorf("these are %d prefixes, less than half of the %d that are there; remove %s if that is right", len(r.Entries), len(old.Entries), path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return r, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".aws-ip-ranges-*") // 0600
	if err != nil {
		return r, err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(tmp.Name()))
	}
	return r, err
}

// guardNow is what is guarded without asking AWS or the alert source, less what is
// overridden; an override is a note too.
func guardNow(ctx context.Context, cfg *config.Config, env func(string) string) (*policy.Guard, []string) {
	g := &guardian{cfg: cfg, env: env}
	ranges, err := g.awsRanges()
	notes := []string{"the networks of the VPCs, our own addresses and the endpoints in use are guarded as well while the program runs"}
	if err != nil {
		notes = append(notes, err.Error())
	}
	over, err := overridesIn(ctx, cfg.State.Path)
	if err != nil {
		notes = append(notes, "what is overridden could not be read: "+err.Error())
	}
	var prefixes []netip.Prefix
	for _, x := range over {
		prefixes = append(prefixes, x.Prefix)
		notes = append(notes, overrideText(x))
	}
	return cfg.Policy().Guard.With(append(ranges, g.peer()...)...).Overriding(prefixes...), notes
}

func newGuardShow(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{Use: "show", Short: "List what is never blocked, and why", Args: noArgs, Example: "selfprotect guard show",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(true)
			if err != nil {
				return err
			}
			g, notes := guardNow(cmd.Context(), cfg, o.env)
			for _, e := range g.Entries() {
				ask := ""
				switch {
				case e.Ask:
					ask = " (asks)"
				case e.Overridable:
					ask = " (can be overridden)"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-24s %s%s\n", e.Prefix, clean(e.Why), ask)
			}
			for _, n := range notes {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", clean(n))
			}
			return nil
		}}
	commonFlags(cmd, o)
	return cmd
}

func newGuardCheck(h Host) *cobra.Command {
	o := newOptions(h)
	cmd := &cobra.Command{Use: "check CIDR", Short: "Say what forbids to block a prefix; exit 1 when something does", Args: cobra.ExactArgs(1),
		Example: "selfprotect guard check 203.0.113.0/24",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := netip.ParsePrefix(args[0])
			if a, aerr := netip.ParseAddr(args[0]); aerr == nil {
				p, err = netip.PrefixFrom(a, a.BitLen()), nil
			}
			if err != nil {
				return usageError(fmt.Errorf("%q is no address and no CIDR", clean(args[0])))
			}
			cfg, err := o.load(true)
			if err != nil {
				return err
			}
			g, notes := guardNow(cmd.Context(), cfg, o.env)
			for _, n := range notes {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", clean(n))
			}
			if err := g.Check(p); err != nil {
				if g.MayOverride(p) == nil {
					fmt.Fprintln(cmd.ErrOrStderr(), "note: a person may override that for this prefix alone: selfprotect guard override")
				}
				return &exitError{exitFailure, err}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s may be blocked, as far as can be said without AWS\n", p)
			return nil
		}}
	commonFlags(cmd, o)
	return cmd
}
