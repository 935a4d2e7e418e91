// Package blocklist is the life of every block, told as events.
//
// [List.Observe] and [List.Decide] look at the state and answer with events;
// nothing changes until the events were written to the journal and given to
// [List.Apply], the only mutator. So the state is a fold of the journal: a
// restart, a second process and a test all come to the same list by applying
// the same records.
//
// A block is one prefix in one direction on one set of ACLs; its [ID] is that
// effect, so a replay or a duplicate meets the block that is already there. It
// is proposed; approved, by a person or by auto mode; in force until its time to
// live runs out or a person revokes it; or denied. [List.Wanted] is the set of
// prefixes that should be denied at a time. What lies in the ACLs is a second
// matter: the [Ledger] knows each entry that we started to write and how each
// write was settled, and is the only ground on which an entry counts as ours.
//
// Writes follow one order: a started event is durable, then the request is
// sent, then the ACL is read back, then a settled event says present, absent or
// unknown. The exact entry in one read is proof that it is there. Its absence
// counts only when every read over the settle window lacks it, and until the
// request can no longer land its number is quarantined.
//
// The package is pure: no I/O, no clock, sorted output.
package blocklist

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"selfprotect/alert"
	"selfprotect/policy"
)

// Version is the version of the records that this program writes.
const Version = 3

// ErrNewer says that a record was written by a newer program.
var ErrNewer = errors.New("the journal holds records of a newer version: run the newer program, or point [state] path at another file")

// Kind says what an event is about.
type Kind string

const (
	// Observed: an alert was delivered for the first time, or has grown.
	Observed Kind = "observed"
	// Sighted: an alert names an address; Outcome says what became of it.
	Sighted Kind = "sighted"
	// Proposed, Approved, Denied, Revoked, Expired: the life of a block.
	Proposed Kind = "proposed"
	Approved Kind = "approved"
	Denied   Kind = "denied"
	Revoked  Kind = "revoked"
	Expired  Kind = "expired"
	// Pinned and Unpinned: a person wants a block before everything and without an
	// end, or no longer.
	Pinned   Kind = "pinned"
	Unpinned Kind = "unpinned"
	// Undid: a person takes the last decision about a block back.
	Undid Kind = "undone"
	// Restored: a person wants entries back that somebody removed.
	Restored Kind = "restored"
	// Snoozed and Woken: a person puts a proposal off until Expires, or no longer.
	Snoozed Kind = "snoozed"
	Woken   Kind = "woken"
	// Allowed and Disallowed: a person wants a prefix never blocked, or no longer.
	Allowed    Kind = "allowed"
	Disallowed Kind = "disallowed"
	// Overridden and Enforced: the guard is overridden for a prefix by a person until
	// Expires, or no longer.
	Overridden Kind = "overridden"
	Enforced   Kind = "enforced"
	// Adopted: a person makes an entry of somebody else ours. With a Proposal it
	// brings a block of its prefix into force.
	Adopted Kind = "adopted"
	// Dismissed: the source was told that an alert is dealt with.
	Dismissed Kind = "dismissed"
	// Archived and Unarchived: a person takes an alert out of the list of those to look
	// at, or brings it back. It comes back by itself when it grows.
	Archived   Kind = "archived"
	Unarchived Kind = "unarchived"
	// Started and Settled: one write to one ACL.
	Started Kind = "started"
	Settled Kind = "settled"
	// Drifted: an entry of ours is not there any more, and it was not us.
	// Returned: it is there after all. Gone: every read over the settle window
	// lacked it, so what appears there later somebody else has made.
	Drifted  Kind = "drifted"
	Returned Kind = "returned"
	Gone     Kind = "gone"
	// Marked: everything that the source shows up to Through has been read.
	Marked Kind = "marked"
	// GuardSized: so many prefixes are guarded; a guard that is much smaller later is
	// not believed.
	GuardSized Kind = "guard"
	// ModeSet: the ceiling of the mode was set, by a person or by a limit.
	ModeSet Kind = "mode"
)

// Event is one record. Which fields are set depends on the kind.
type Event struct {
	V      int       `json:"v"`
	Kind   Kind      `json:"kind"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor,omitempty"`  // engine, auto, or a person as user@host
	Reason string    `json:"reason,omitempty"` // why, in the actor's words

	Alert    *AlertNote   `json:"alert,omitempty"`    // observed; dismissed, archived, unarchived: its id
	Sighting *Sighting    `json:"sighting,omitempty"` // sighted
	Block    ID           `json:"block,omitempty"`    // the block concerned
	Proposal *Proposal    `json:"proposal,omitempty"` // proposed, adopted
	Expires  time.Time    `json:"expires,omitzero"`   // approved, denied, unpinned, snoozed, allowed, overridden, adopted
	Prefix   netip.Prefix `json:"prefix,omitzero"`    // allowed, disallowed, overridden, enforced
	Effect   string       `json:"effect,omitempty"`   // approved: digest of what was shown
	Write    *Write       `json:"write,omitempty"`    // started, drifted, returned, gone, adopted
	WriteID  string       `json:"write_id,omitempty"` // started, settled
	Outcome  WriteOutcome `json:"outcome,omitempty"`  // settled
	Source   string       `json:"source,omitempty"`   // marked
	Through  time.Time    `json:"through,omitzero"`   // marked
	Mode     policy.Mode  `json:"mode,omitzero"`      // mode
	ACL      string       `json:"acl,omitempty"`      // mode: of this ACL alone
	Count    int          `json:"count,omitempty"`    // guard
	// Escalated says of an archived alert that it was handed to somebody else.
	Escalated bool `json:"escalated,omitempty"`
}

// Encode gives the event as a record.
func (e Event) Encode() ([]byte, error) {
	e.V = Version
	return json.Marshal(e)
}

// Decode reads a record. A record of a newer version is ErrNewer.
func Decode(b []byte) (Event, error) {
	var v struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return Event{}, fmt.Errorf("read record: %w", err)
	}
	if v.V > Version {
		return Event{}, fmt.Errorf("record of version %d: %w", v.V, ErrNewer)
	}
	var e Event
	if err := json.Unmarshal(b, &e); err != nil {
		return Event{}, fmt.Errorf("read record: %w", err)
	}
	return e, nil
}

// AlertNote is what the list keeps of an alert.
type AlertNote struct {
	ID        string     `json:"id"`
	RuleID    string     `json:"rule,omitempty"`
	Title     alert.Text `json:"title,omitempty"`
	Severity  int        `json:"severity,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	AgentID   string     `json:"agent,omitempty"`
	Host      alert.Text `json:"host,omitempty"`
	Events    int        `json:"events,omitempty"`
	Skipped   int        `json:"skipped,omitempty"`
	Complete  bool       `json:"complete,omitempty"`
	// Note says in plain words why an alert leads to nothing, such as "no address".
	Note string `json:"note,omitempty"`
}

// Outcome says what became of an address that an alert names.
type Outcome string

const (
	OutcomeProposed Outcome = "proposed" // a block was proposed (or blocked, in auto mode)
	OutcomeKnown    Outcome = "known"    // a block of it is already proposed or in force
	OutcomeDenied   Outcome = "denied"   // a person denied it before
	OutcomeRefused  Outcome = "refused"  // the guard forbids it
	OutcomeIgnored  Outcome = "ignored"  // policy has no use for it
)

// Sighting is one address in one alert.
type Sighting struct {
	Alert     string           `json:"alert"`
	Addr      netip.Addr       `json:"addr"`
	Direction alert.Direction  `json:"direction"`
	Outcome   Outcome          `json:"outcome"`
	Block     ID               `json:"block,omitempty"`
	Events    int              `json:"events,omitempty"`
	Reasons   []string         `json:"reasons,omitempty"`
	Evidence  []alert.Evidence `json:"evidence,omitempty"`
	// Weight is what the rule and the severity of this alert weigh.
	Weight int `json:"weight,omitempty"`
	// LeftOut says that the block was in force and had no slot on some ACL.
	LeftOut bool `json:"left_out,omitempty"`
	// Again says that the alert has named the address before: there is only more
	// evidence now, or another outcome.
	Again bool `json:"again,omitempty"`
	// Observing says that it was ignored for observe mode alone: see [List.Observing].
	Observing bool `json:"observing,omitempty"`
}

// Write is one change to one ACL as the journal knows it.
type Write struct {
	ACL       string          `json:"acl"`
	Op        string          `json:"op"` // create, replace, delete
	Direction alert.Direction `json:"direction"`
	Number    int             `json:"number"`
	Prefix    netip.Prefix    `json:"prefix"`
	Old       netip.Prefix    `json:"old,omitzero"`
	// Undo is the AWS CLI command that takes the write back, so that neither this
	// program nor its journal is needed for that.
	Undo string `json:"undo,omitempty"`
}

// WriteOutcome is how a write was settled.
type WriteOutcome string

const (
	// Present: the entry that a create or replace makes was read back.
	Present WriteOutcome = "present"
	// Absent: the entry is not there, by the settle rule or by the service's
	// definite word and a read that agrees.
	Absent WriteOutcome = "absent"
	// Unknown: the answer was ambiguous; the number is quarantined.
	Unknown WriteOutcome = "unknown"
	// NotSent: the request never left this program.
	NotSent WriteOutcome = "not sent"
)
