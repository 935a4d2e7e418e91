package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go4.org/netipx"
)

// AWSRanges are the address ranges of AWS's own services, from the file that AWS
// publishes at https://ip-ranges.amazonaws.com/ip-ranges.json (format: AWS General
// Reference, "AWS IP address ranges").
type AWSRanges struct {
	Made    time.Time // createDate of the file
	Ranges  int       // lines of the file
	Entries []Guarded
}

// customers are the services whose ranges hold addresses that customers rent:
// attackers live there too, so they are not guarded.
var customers = map[string]bool{"EC2": true}

type awsFile struct {
	SyncToken  string `json:"syncToken"`
	CreateDate string `json:"createDate"`
	V4         []struct {
		Prefix  netip.Prefix `json:"ip_prefix"`
		Service string       `json:"service"`
	} `json:"prefixes"`
	V6 []struct {
		Prefix  netip.Prefix `json:"ipv6_prefix"`
		Service string       `json:"service"`
	} `json:"ipv6_prefixes"`
}

// ParseAWSRanges reads the file. Guarded is what belongs to a service and to no
// customer. A file that is not whole is an error: half a guard is none.
func ParseAWSRanges(b []byte) (AWSRanges, error) {
	var f awsFile
	if err := json.Unmarshal(b, &f); err != nil {
		return AWSRanges{}, fmt.Errorf("read AWS ranges: %w", err)
	}
	made, err := time.Parse("2006-01-02-15-04-05", f.CreateDate)
	if err != nil || f.SyncToken == "" || len(f.V4) == 0 || len(f.V6) == 0 {
		return AWSRanges{}, errors.New("read AWS ranges: syncToken, createDate, prefixes or ipv6_prefixes is missing")
	}
	var own, rented netipx.IPSetBuilder
	add := func(p netip.Prefix, service string) error {
		if !p.IsValid() || p != p.Masked() || service == "" || p.Bits() < 8 {
			return fmt.Errorf("read AWS ranges: %q of %q makes no sense", p, service)
		}
		if customers[service] {
			rented.AddPrefix(p)
		} else {
			own.AddPrefix(p)
		}
		return nil
	}
	for _, r := range f.V4 {
		err = errors.Join(err, add(r.Prefix, r.Service))
	}
	for _, r := range f.V6 {
		err = errors.Join(err, add(r.Prefix, r.Service))
	}
	if err != nil {
		return AWSRanges{}, err
	}
	out := AWSRanges{Made: made, Ranges: len(f.V4) + len(f.V6)}
	theirs, err := rented.IPSet()
	if err != nil {
		return AWSRanges{}, fmt.Errorf("read AWS ranges: %w", err)
	}
	own.RemoveSet(theirs)
	set, err := own.IPSet()
	if err != nil {
		return AWSRanges{}, fmt.Errorf("read AWS ranges: %w", err)
	}
	why := "a service of AWS (published " + made.Format("2006-01-02") + ")"
	for _, p := range set.Prefixes() {
		out.Entries = append(out.Entries, Guarded{Prefix: p, Why: why, Overridable: true})
	}
	return out, nil
}
