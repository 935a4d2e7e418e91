package engine

import (
	"context"
	"errors"
	"iter"
	"time"

	"selfprotect/alert"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// Source is where alerts come from.
type Source interface {
	// Alerts gives every alert that was created after since or that may still
	// gain events, each as often as it has something new; it overlaps, so alerts
	// come again. An alert whose events are not read yet is not Complete and will
	// come again in a later call. An error ends the iteration and means that the
	// source could not be read to the end: nothing is concluded from it. An error
	// with a method RetryIn() time.Duration says how long to leave the source alone.
	Alerts(ctx context.Context, since time.Time) iter.Seq2[alert.Alert, error]
}

// Firewall reads and changes network ACLs.
type Firewall interface {
	// Read gives the ACLs that could be read; the error joins a
	// *firewall.TargetError for each of the others.
	Read(ctx context.Context) ([]firewall.ACL, error)
	// Do makes one change. A *firewall.RefusedError means that it was not made and
	// will not be; any other error means that the outcome is unknown.
	Do(ctx context.Context, aclID string, c firewall.Change) error
}

// Journal is the compare-and-append event log.
type Journal interface {
	// Append writes the records after the one with the number after, all or none,
	// durable on return. An error with a method Conflict() bool that gives true
	// says that the log has moved on; any other error means that it is unknown
	// whether they were written.
	Append(ctx context.Context, after uint64, records ...[]byte) (uint64, error)
	Read(ctx context.Context, after uint64, fn func(seq uint64, record []byte) error) error
	// Lease takes or renews the right to do what name stands for; ttl <= 0 gives it back.
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (held bool, owner string, until time.Time, err error)
}

// Checkpoints keep a fold of the journal so that a start need not read all of
// it. They are a cache: losing them costs time, nothing else.
type Checkpoints interface {
	SaveCheckpoint(ctx context.Context, seq uint64, state []byte) error
	LoadCheckpoint(ctx context.Context) (seq uint64, state []byte, ok bool, err error)
}

// Resumer is a Source that wants to know, at the start, which alerts the
// journal knows already.
type Resumer interface {
	Resume(known []alert.Alert)
}

// Repeater is a Source that remembers what it has given. Again makes it give once
// more what it gave last, because it could not be recorded.
type Repeater interface {
	Again()
}

// SourceHealth is what a source knows of itself beyond its answers.
type SourceHealth struct {
	Budget   int // requests left in this minute, -1 unknown
	Requests int // sent since the start of the process
	Skipped  int
	Unsigned bool
	// ClockOffset is how far the source's clock is ahead of ours, as far as it said.
	ClockOffset time.Duration
}

// ACLConfig is what the engine must know of one ACL.
type ACLConfig struct {
	ID, Name  string
	Low, High int // our number range
	Quota     int // 0: what the ACL says was read, else firewall.DefaultQuota
	Reserve   int // entries of the quota that stay free for others
}

// Slots says how scarce slots are given out.
type Slots struct {
	Margin     int // how much more a newcomer must weigh than what it displaces
	Price      int // weight that an innocent address (for IPv6 a /64) costs
	Collateral int // the most innocent addresses of one entry without asking
	// MinBits4 and MinBits6 are the shortest prefixes that entries are widened to;
	// 0: the defaults of firewall.
	MinBits4, MinBits6 int
}

// AutoLimits stop auto mode. Zero means the default.
type AutoLimits struct {
	PerMinute int // blocks for each ACL, default 20
	PerHour   int // default 60
	// Overall bounds the blocks of all ACLs in an hour; default twice PerHour.
	Overall int
	// GuardHits is how many different addresses the guard may refuse in ten minutes;
	// default 5.
	GuardHits int
	// Share is the most that auto mode gives of an ACL's slots to one rule, one host
	// or one network (/24, IPv6 /48), in percent; 0: all.
	Share int
	// Residency is how long an entry stays before auto mode may give its slot to
	// another one, and Pace how long auto mode waits after it has done so; what a
	// person has approved stays. 0: no such bound.
	Residency, Pace time.Duration
}

// Config is what an Engine is made from.
type Config struct {
	Source     Source
	SourceName string
	// Health is asked after each poll; may be nil.
	Health func() SourceHealth

	Firewall Firewall
	ACLs     []ACLConfig

	Journal     Journal
	Checkpoints Checkpoints // may be nil

	Policy *policy.Policy
	// Guarded gives the prefixes that must be guarded beside those of the policy
	// and of the ACLs' VPCs: resolved endpoints, agents, the SSH peer. It is
	// called at the start and every ten minutes, and may take long. What it gives
	// is used even when it also gives an error. May be nil.
	Guarded func(ctx context.Context) ([]policy.Guarded, error)

	// Dismiss has alerts dismissed at a Source that is a Dismisser, once the entries of
	// their blocks were read back.
	Dismiss bool

	// Checks asks the services for what a person must mend, such as a rule that
	// does not exist or a missing permission. It is called at the start, and again
	// every minute as long as it finds something. May be nil.
	Checks func(ctx context.Context) []Problem

	// Access says who we are for AWS and until when. It is called at the start and
	// every minute. May be nil.
	Access func(ctx context.Context) []Access

	PollInterval  time.Duration // 0: DefaultPollInterval
	ReadInterval  time.Duration // 0: DefaultReadInterval
	Settle        time.Duration // 0: DefaultSettle
	RequestExpiry time.Duration // 0: DefaultRequestExpiry
	Stale         time.Duration // 0: DefaultStale
	MaxTTL        time.Duration // 0: 30 days
	DenyMemory    time.Duration // how long a no is remembered; 0: 30 days
	Limits        AutoLimits
	Slots         Slots
	MaxAlerts     int // rows kept; 0: 10,000

	// Holder names this process in leases and for other operators: user@host:pid.
	Holder   string
	ReadOnly bool // never write to AWS, never take a lease
	// NoPoll: the source is never asked. For a command that only decides something:
	// an alert that it recorded would be no news any more to a process that acts on it.
	NoPoll bool

	// Now is the wall clock; nil: the machine's.
	Now func() time.Time
}

var errConfig = errors.New("engine is not configured whole")

// withDefaults fills in what is zero and says what is missing.
func (c Config) withDefaults() (Config, error) {
	if c.Source == nil || c.Firewall == nil || c.Journal == nil || c.Policy == nil || c.Holder == "" {
		return c, errConfig
	}
	day := 24 * time.Hour
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&c.PollInterval, DefaultPollInterval)
	def(&c.ReadInterval, DefaultReadInterval)
	def(&c.Settle, DefaultSettle)
	def(&c.RequestExpiry, DefaultRequestExpiry)
	def(&c.Stale, DefaultStale)
	def(&c.MaxTTL, 30*day)
	def(&c.DenyMemory, 30*day)
	if c.Limits.PerMinute <= 0 {
		c.Limits.PerMinute = 20
	}
	if c.Limits.PerHour <= 0 {
		c.Limits.PerHour = 60
	}
	if c.Limits.Overall <= 0 {
		c.Limits.Overall = 2 * c.Limits.PerHour
	}
	if c.Limits.GuardHits <= 0 {
		c.Limits.GuardHits = 5
	}
	if c.MaxAlerts <= 0 {
		c.MaxAlerts = 10_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.SourceName == "" {
		c.SourceName = "alerts"
	}
	return c, nil
}
