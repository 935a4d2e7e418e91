package engine

import (
	"net/netip"
	"time"

	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// Snapshot is everything that a screen shows, as it was at one moment. It is
// immutable: whoever receives it may keep it and read it from any goroutine, and
// nobody writes to it or to anything it points to.
type Snapshot struct {
	Version uint64 // grows by one with each snapshot of this process
	At      time.Time

	// Base is the mode for watches without one of their own; Ceiling is the
	// highest mode that is allowed now. CeilingWhy and CeilingBy tell who lowered
	// it and why; Stopped says that a limit did it, not a person.
	Base, Ceiling         policy.Mode
	CeilingWhy, CeilingBy string
	Stopped               bool
	StoppedFor            []string // ACLs for which alone auto mode stopped itself
	ReadOnly              bool     // this process never writes to AWS
	Guarded               bool     // what must never be blocked was looked up, as far as it could be
	GuardShrunk           string   // why the guard is not believed, and nothing created or replaced
	Holder                string   // another process that applies changes now; empty: this one

	// JournalErr says why the journal fails, cleaned; empty when it works.
	JournalErr string

	Sources []SourceStatus
	ACLs    []*ACLView
	// Alerts are newest first, at most the engine's bound.
	Alerts []*AlertRow
	// Proposals wait for a decision: highest weight first, then oldest.
	Proposals []*Proposal
	// Blocks are every block that is in force or ended lately, newest decision first.
	Blocks []*BlockView
	// Log is what was decided and done, newest last, bounded.
	Log []LogLine
	// Problems are what is wrong now, worst first; empty when all is well.
	Problems []Problem
	// Allowances are the prefixes that a person wants never blocked, sorted.
	Allowances []blocklist.Allowance
	// Overrides are the prefixes for which a person overrides the guard, sorted.
	Overrides []blocklist.Override
	// Calls are the calls that change an ACL, of every process on the journal, newest
	// last, bounded.
	Calls []CallLine
	// Access says who we are for AWS, one for each account and region; empty while
	// that is not known.
	Access []Access
	// Counts since the start of the process, for the header and for metrics.
	Counts Counts
}

// CallLine is one call that changes an ACL.
type CallLine struct {
	ID    string // of the write
	At    time.Time
	Ended time.Time // when its outcome was known; zero before
	ACL   string
	// Command is the call, and Undo what takes it back, as AWS CLI commands.
	Command, Undo string
	Outcome       string // sent, present, absent, unknown, not sent
	Reason        string // cleaned; why it was made, then what went wrong
}

// Access is an identity at AWS.
type Access struct {
	Region, Account, ARN string    // cleaned
	Expires              time.Time // of the credentials; zero: unknown, or without an end
	Err                  string    // one cleaned sentence; empty when AWS accepts them
	CheckedAt            time.Time
}

// SourceStatus is how an alert source does.
type SourceStatus struct {
	Name     string
	LastOK   time.Time // zero before the first good poll
	LastTry  time.Time
	NextPoll time.Time
	Polling  bool
	Err      string // one sentence, cleaned; empty when the last poll was good
	Budget   int    // requests left in this minute; -1 unknown
	Requests int    // sent since the start of the process
	Skipped  int    // alerts and events that could not be understood
	Unsigned bool   // answers are accepted without signature
	// ClockOffset is how far the source's clock is ahead of ours, as far as it said.
	ClockOffset time.Duration
	Watches     []WatchView
}

// WatchView is a watched rule.
type WatchView struct {
	RuleID, Name string
	Mode         policy.Mode // in effect now
}

// Owner says whose an entry is.
type Owner string

const (
	Ours      Owner = "ours"
	Foreign   Owner = "foreign"
	SystemOwn Owner = "default" // the undeletable default deny
)

// ACLView is one network ACL.
type ACLView struct {
	ID, Name, Account, Region, VPC string // Name is cleaned
	Subnets                        []string
	ReadAt                         time.Time // zero before the first good read
	Err                            string    // why the last read failed; empty when it was good
	Warnings                       []string
	Entries                        []EntryView // by direction, then number
	Budgets                        []firewall.Budget
	// Quota is the number of entries for each direction and family, and where that
	// number comes from, in words.
	Quota     int
	QuotaFrom string
	// Changes are what the plan would do now, in order.
	Changes []firewall.Change
	// Waiting are the blocks that found no slot, best first, with the reason.
	Waiting []WaitingView
	// Drifted are entries of ours that somebody removed.
	Drifted []DriftView
	// InFlight counts writes whose outcome is not yet known.
	InFlight int
	// Quarantined are numbers that must rest, with the time until.
	Quarantined map[int]time.Time
}

// EntryView is one entry with what we know of it.
type EntryView struct {
	firewall.Entry
	Owner Owner
	// Block is the block behind an entry of ours; empty for one that is about to
	// be removed.
	Block   blocklist.ID
	Expires time.Time
	// Serves are the blocks that an entry of ours serves, best first; Weight is
	// what they weigh together, Expires when the last of them ends.
	Serves []blocklist.ID
	Weight int
	Pinned bool // one of them is
	// Innocent counts the addresses (for IPv6 the /64s) that it denies beside them.
	Innocent int64
	// Effect says by first match what a deny does where it stands.
	Effect firewall.Effect
	// Foreign entries inside our number range are worth a look.
	InRange bool
}

// WaitingView is a block without a slot.
type WaitingView struct {
	Block     blocklist.ID
	Prefix    netip.Prefix
	Direction firewall.Direction
	Weight    int
	Score     blocklist.Score
	Missed    int // alerts that named it while it was left out
	Why       string
	Next      bool // it comes in when one slot more is free
	Shadowed  bool // no number could make it work
}

// DriftView is an entry of ours that is gone.
type DriftView struct {
	Block     blocklist.ID
	Prefix    netip.Prefix
	Direction firewall.Direction
	Number    int
	Since     time.Time
}

// AlertRow is one alert with what became of its addresses.
type AlertRow struct {
	blocklist.AlertNote
	RuleName  string // cleaned
	Sightings []blocklist.Sighting
	SeenAt    time.Time // when this program first saw it
	// Archive is set while a person has taken it out of the list of those to look at.
	Archive *blocklist.Archive
}

// Extent gives how much is known of the alert, to which archiving it is bound.
func (a *AlertRow) Extent() blocklist.Extent { return blocklist.ExtentOf(a.AlertNote, a.Sightings) }

// Proposal is a block that waits for a decision, with the exact effect that an
// approval has now.
type Proposal struct {
	blocklist.Block
	Score    blocklist.Score // its weight now, number by number
	RuleName string
	// Digest binds an approval to what is shown here: pass it in Decision.Effect.
	Digest string
	// Steps are what would happen, one for each ACL and direction.
	Steps []Step
	// Blocked says why it cannot be approved right now, such as stale data; empty
	// when it can.
	Blocked string
}

// Step is the effect of an approval on one ACL in one direction.
type Step struct {
	ACL       string
	Direction firewall.Direction
	Prefix    netip.Prefix
	// Op is the change that the plan would make, 0 when it would make none.
	Op     firewall.Op
	Number int // would be used now; not part of the digest
	// Entry is the prefix of the entry that would serve it, when it is another one;
	// Innocent counts what that denies beside what is wanted.
	Entry    netip.Prefix
	Innocent int64
	// Displaces are the prefixes that lose their slots, Admits those that a widening
	// lets in.
	Displaces, Admits []netip.Prefix
	// Note says why nothing would change: waits for a slot, already denied by
	// entry 50, shadowed by allow 1.
	Note string
	// SlotsAfter is what is left for this direction and family afterwards.
	SlotsAfter int
}

// BlockView is a block that was decided.
type BlockView struct {
	blocklist.Block
	Score    blocklist.Score // its weight now, number by number
	RuleName string
	// Presence says for each ACL and direction where the entry stands.
	Presence []Presence
}

// Presence is one entry of a block.
type Presence struct {
	ACL       string
	Direction firewall.Direction
	Number    int          // 0 when there is none
	Entry     netip.Prefix // of the entry that serves it, when it is a wider one
	Innocent  int64        // what that denies beside what is wanted
	Next      bool         // waiting, and comes in when one slot more is free
	Status    string       // present, writing, waiting, covered, drifted, unknown, removed, removing, failed, none
	Note      string
}

// Severity of a log line or problem.
type Severity string

const (
	Info    Severity = "info"
	Warning Severity = "warning"
	Fault   Severity = "error"
)

// LogLine is one thing that happened.
type LogLine struct {
	// ID grows by one with each line of this process; a gap means that lines were dropped.
	ID        uint64
	Seq       uint64 // of the journal record, 0 when it is not recorded
	At        time.Time
	Severity  Severity
	Event     string // such as proposed or blocked; docs/operating.md explains each
	Text      string // one cleaned line
	Actor     string
	Block     blocklist.ID
	Prefix    netip.Prefix
	ACL       string
	Alert     string
	RuleID    string
	Direction firewall.Direction
	Number    int
	Undo      string // the AWS CLI command that takes a write back
	Reason    string
	// Shortfall is set in a waiting line about a whole list of an ACL.
	Shortfall *firewall.Budget
}

// Problem is something wrong that a person should know.
type Problem struct {
	Severity Severity
	Since    time.Time
	Text     string // what is wrong, one sentence
	Hint     string // what to do
}

// Counts are totals since the start of the process.
type Counts struct {
	Polls, Alerts, Proposed, Blocked, Unblocked, Refused, Denied, Writes, Faults int
}
