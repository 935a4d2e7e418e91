package blocklist

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"selfprotect/alert"
	"selfprotect/policy"
)

// ID names a block by its effect: "outbound:203.0.113.7/32@acl-1+acl-2".
type ID string

// MakeID gives the id of a block.
func MakeID(d alert.Direction, p netip.Prefix, targets []policy.Target) ID {
	acls := make([]string, len(targets))
	for i, t := range targets {
		acls[i] = t.ACL
	}
	slices.Sort(acls)
	return ID(d.String() + ":" + p.Masked().String() + "@" + strings.Join(acls, "+"))
}

// State is where a block stands.
type State string

const (
	Pending State = "proposed" // waits for a decision
	Active  State = "approved" // wanted in its ACLs until it expires
	Refused State = "denied"   // a person said no; remembered until Expires
	Lapsed  State = "expired"  // its time ran out
	Undone  State = "revoked"  // a person took it back
)

// Proposal is the part of a block that does not change.
type Proposal struct {
	Direction alert.Direction `json:"direction"`
	Prefix    netip.Prefix    `json:"prefix"`
	Targets   []policy.Target `json:"targets"`
	TTL       time.Duration   `json:"ttl"`    // repeats already counted in
	Repeat    int             `json:"repeat"` // how many times it was blocked before
	Weight    int             `json:"weight"`
	RuleID    string          `json:"rule,omitempty"`
	Severity  int             `json:"severity,omitempty"`
	Reasons   []string        `json:"reasons,omitempty"`
	// Cover says that it is a grant to widen entries inside the prefix, no block.
	Cover bool `json:"cover,omitempty"`
}

// Effect is what an approval is bound to.
func (p Proposal) Effect() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s", p.Direction, p.Prefix, p.TTL)
	for _, t := range p.Targets {
		fmt.Fprintf(h, " %s%v", t.ACL, t.Directions)
	}
	if p.Cover {
		fmt.Fprint(h, " cover")
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// Block is one prefix and what became of it. Blocks handed out by a List are
// copies.
type Block struct {
	ID ID `json:"id"`
	Proposal
	State      State     `json:"state"`
	ProposedAt time.Time `json:"proposed_at"`
	DecidedAt  time.Time `json:"decided_at,omitzero"`
	DecidedBy  string    `json:"decided_by,omitempty"`
	Why        string    `json:"why,omitempty"`    // the reason given with the decision
	Expires    time.Time `json:"expires,omitzero"` // active: when it ends; denied: when the no is forgotten
	Sightings  int       `json:"sightings"`        // alerts that named it
	LastSeen   time.Time `json:"last_seen,omitzero"`
	Alerts     []string  `json:"alerts,omitempty"` // newest first, at most MaxAlertsPerBlock
	Hosts      []string  `json:"hosts,omitempty"`  // sorted agent ids, at most MaxHostsPerBlock
	Missed     int       `json:"missed,omitempty"` // alerts that named it while it was in force and had no slot
	// Pinned says that a person wants it before everything and without an end.
	Pinned   bool   `json:"pinned,omitempty"`
	PinnedBy string `json:"pinned_by,omitempty"`
	// SnoozedUntil is when a proposal that a person has put off is asked again.
	SnoozedUntil time.Time `json:"snoozed_until,omitzero"`
	SnoozedBy    string    `json:"snoozed_by,omitempty"`
	// Before is where it stood before the last decision; nil when that cannot be
	// taken back. ByHand says that a person has taken one back: auto mode leaves the
	// block alone.
	Before *Standing `json:"before,omitempty"`
	ByHand bool      `json:"by_hand,omitempty"`
}

// inForce says whether the block is wanted at a time.
func (b *Block) inForce(now time.Time) bool {
	return b.State == Active && (b.Pinned || now.Before(b.Expires))
}

// Bounds of what a block remembers.
const (
	MaxAlertsPerBlock = 16
	MaxHostsPerBlock  = 16
)

// Verb is what a decision does.
type Verb string

const (
	Approve Verb = "approve" // pending -> active
	Deny    Verb = "deny"    // pending -> denied
	Revoke  Verb = "revoke"  // active -> revoked: its entries are removed
	Restore Verb = "restore" // active, entry removed by a person: write it again
	Pin     Verb = "pin"     // active: before everything, and it does not expire
	Undo    Verb = "undo"    // the last decision is taken back
	Unpin   Verb = "unpin"   // active, pinned: its time to live starts anew
	Snooze  Verb = "snooze"  // pending: asked again at Until
	Wake    Verb = "wake"    // pending, snoozed: asked again now
)

// Decision is what a person, or auto mode, says about a block.
type Decision struct {
	Verb   Verb
	Actor  string // user@host, or auto
	Reason string
	Effect string    // digest of the effect that was shown; needed to approve
	Until  time.Time // snooze: when it is asked again
}

// Errors of Decide. Each is wrapped with the block's id.
var (
	ErrUnknownBlock  = errors.New("no such proposal")
	ErrDecided       = errors.New("already decided")
	ErrEffectChanged = errors.New("the effect has changed since it was shown; look again")
	ErrNotActive     = errors.New("it is not in force")
)
