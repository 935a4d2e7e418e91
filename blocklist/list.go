package blocklist

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"selfprotect/alert"
	"selfprotect/policy"
)

// Config bounds a List.
type Config struct {
	MaxTTL     time.Duration // longest time to live, repeats counted in
	DenyMemory time.Duration // how long a no is remembered
	MaxAlerts  int           // alerts kept
	// Keep is how long ended blocks are kept for their history.
	Keep time.Duration
}

func (c Config) withDefaults() Config {
	day := 24 * time.Hour
	c.MaxTTL = cmp.Or(c.MaxTTL, 30*day)
	c.DenyMemory = cmp.Or(c.DenyMemory, 30*day)
	c.MaxAlerts = cmp.Or(c.MaxAlerts, 10_000)
	c.Keep = cmp.Or(c.Keep, 30*day)
	return c
}

// List is the fold of the journal. The zero value is not usable; see New. It is
// not safe for concurrent use.
type List struct {
	cfg       Config
	blocks    map[ID]*Block
	alerts    map[string]*AlertState
	marks     map[string]time.Time
	past      map[pastKey]int // how many times a prefix was blocked before
	ledger    ledger
	auto      []autoApproval
	mode      ModeCeiling
	breaker   breaker
	allowed   map[netip.Prefix]Allowance
	overrides map[netip.Prefix]Override
	pruned    time.Time // when ended blocks were last looked through
}

type pastKey struct {
	Direction alert.Direction
	Prefix    netip.Prefix
}

// AlertState is one alert with what became of its addresses.
type AlertState struct {
	Note   AlertNote `json:"note"`
	SeenAt time.Time `json:"seen_at"`
	// Dismissed is when the source was told that it is dealt with; zero: it was not.
	Dismissed time.Time `json:"dismissed,omitzero"`
	// Archive is set while a person has taken it out of the list; never changed.
	Archive   *Archive   `json:"archive,omitempty"`
	Sightings []Sighting `json:"sightings,omitempty"` // sorted by direction, address
}

// ModeCeiling is the highest mode that is allowed, and who said so.
type ModeCeiling struct {
	Mode   policy.Mode `json:"mode,omitzero"` // 0: never set, no ceiling
	At     time.Time   `json:"at,omitzero"`
	Actor  string      `json:"actor,omitempty"`
	Reason string      `json:"reason,omitempty"`
}

// EngineActor is the actor of what the program does by itself; AutoActor of the
// blocks that auto mode approves.
const (
	EngineActor = "engine"
	AutoActor   = "auto"
)

type autoApproval struct {
	At   time.Time `json:"at"`
	ACLs []string  `json:"acls"`
}

// New gives an empty list.
func New(cfg Config) *List {
	return &List{
		cfg:     cfg.withDefaults(),
		blocks:  map[ID]*Block{},
		alerts:  map[string]*AlertState{},
		marks:   map[string]time.Time{},
		past:    map[pastKey]int{},
		allowed: map[netip.Prefix]Allowance{}, overrides: map[netip.Prefix]Override{},
		ledger: newLedger(),
	}
}

// Apply changes the list by one event that the journal holds. An event that does
// not fit the state is an error: then the journal was not written by this code.
func (l *List) Apply(e Event) error {
	switch e.Kind {
	case Observed:
		return l.applyObserved(e)
	case Sighted:
		return l.applySighted(e)
	case Dismissed:
		return l.applyDismissed(e)
	case Archived, Unarchived:
		return l.applyArchived(e)
	case Proposed:
		return l.applyProposed(e)
	case Approved, Denied, Revoked, Expired:
		return l.applyDecided(e)
	case Pinned, Unpinned:
		return l.applyPinned(e)
	case Undid:
		return l.applyUndid(e)
	case Snoozed, Woken:
		return l.applySnoozed(e)
	case Allowed, Disallowed:
		return l.applyAllowed(e)
	case Overridden, Enforced:
		return l.applyOverridden(e)
	case Adopted:
		return l.applyAdopted(e)
	case GuardSized:
		l.breaker.guarded = e.Count
		return nil
	case Started, Settled:
		return l.ledger.apply(e)
	case Gone:
		if e.Write != nil {
			l.breaker.gone(e.At, *e.Write)
		}
		return l.ledger.apply(e)
	case Drifted, Returned:
		if err := l.ledger.apply(e); err != nil {
			return err
		}
		l.spreadDrift(e)
		return nil
	case Restored:
		l.ledger.forgetDrift(l.blocks[e.Block])
		return nil
	case Marked:
		if e.Through.After(l.marks[e.Source]) {
			l.marks[e.Source] = e.Through
		}
		return nil
	case ModeSet:
		l.breaker.set(e)
		if e.ACL != "" {
			return nil
		}
		l.mode = ModeCeiling{Mode: e.Mode, At: e.At, Actor: e.Actor, Reason: e.Reason}
		return nil
	}
	return fmt.Errorf("event of unknown kind %q", e.Kind)
}

func (l *List) applyObserved(e Event) error {
	if e.Alert == nil || e.Alert.ID == "" {
		return fmt.Errorf("observed event without an alert")
	}
	st := l.alerts[e.Alert.ID]
	if st == nil {
		st = &AlertState{SeenAt: e.At}
		l.alerts[e.Alert.ID] = st
	}
	// A state that was handed out must not change under its reader.
	next := &AlertState{Note: *e.Alert, SeenAt: st.SeenAt, Dismissed: st.Dismissed, Sightings: st.Sightings}
	next.Archive = st.archiveAfter(next)
	l.alerts[e.Alert.ID] = next
	l.pruneAlerts()
	return nil
}

func (l *List) applySighted(e Event) error {
	s := e.Sighting
	if s == nil {
		return fmt.Errorf("sighted event without a sighting")
	}
	old := l.alerts[s.Alert]
	if old == nil {
		old = &AlertState{Note: AlertNote{ID: s.Alert, CreatedAt: e.At}, SeenAt: e.At}
	}
	st := &AlertState{Note: old.Note, SeenAt: old.SeenAt, Dismissed: old.Dismissed}
	fresh := true  // the alert has not named the address before
	counts := true // nor has it been counted for the block
	for _, o := range old.Sightings {
		if o.Addr == s.Addr && o.Direction == s.Direction {
			counts = o.Block != s.Block
			o, fresh = *s, false
		}
		st.Sightings = append(st.Sightings, o)
	}
	if fresh {
		st.Sightings = append(st.Sightings, *s)
		slices.SortFunc(st.Sightings, func(a, b Sighting) int {
			return cmp.Or(cmp.Compare(a.Direction, b.Direction), a.Addr.Compare(b.Addr))
		})
	}
	st.Archive = old.archiveAfter(st)
	l.alerts[s.Alert] = st
	if s.Outcome == OutcomeRefused && fresh {
		l.breaker.hit(e.At, s.Addr)
	}
	if b := l.blocks[s.Block]; b != nil && counts {
		b.Sightings++
		b.LastSeen = e.At
		b.Alerts = prependBounded(b.Alerts, s.Alert, MaxAlertsPerBlock)
		b.Hosts = addSorted(b.Hosts, st.Note.AgentID, MaxHostsPerBlock)
		if s.LeftOut {
			b.Missed++
		}
		if s.Weight > b.Weight {
			b.Weight, b.Severity = s.Weight, st.Note.Severity
		}
	}
	return nil
}

func prependBounded(list []string, s string, bound int) []string {
	out := append(make([]string, 0, min(len(list)+1, bound)), s)
	for _, o := range list {
		if o != s && len(out) < bound {
			out = append(out, o)
		}
	}
	return out
}

func addSorted(list []string, s string, bound int) []string {
	if s == "" || len(list) >= bound {
		return list
	}
	i, found := slices.BinarySearch(list, s)
	if found {
		return list
	}
	return slices.Insert(slices.Clone(list), i, s)
}

func (l *List) applyProposed(e Event) error {
	if e.Proposal == nil || e.Block == "" {
		return fmt.Errorf("proposed event without a proposal")
	}
	if b := l.blocks[e.Block]; b != nil && (b.State == Pending || b.State == Active) {
		return fmt.Errorf("%s is proposed while it is %s", e.Block, b.State)
	}
	l.blocks[e.Block] = &Block{ID: e.Block, Proposal: *e.Proposal, State: Pending, ProposedAt: e.At}
	l.pruneBlocks(e.At)
	return nil
}

func (l *List) applyDecided(e Event) error {
	b := l.blocks[e.Block]
	if b == nil {
		return fmt.Errorf("%s event for %s, which was never proposed", e.Kind, e.Block)
	}
	from := Pending
	if e.Kind == Revoked || e.Kind == Expired && !(b.Cover && b.State == Pending) {
		from = Active
	}
	if b.State != from {
		return fmt.Errorf("%s event for %s, which is %s", e.Kind, e.Block, b.State)
	}
	b.Before = b.standing()
	if e.Kind == Expired {
		b.Before = nil
	}
	b.State = map[Kind]State{Approved: Active, Denied: Refused, Revoked: Undone, Expired: Lapsed}[e.Kind]
	if e.Kind != Expired {
		b.DecidedBy, b.Why = e.Actor, e.Reason
	}
	b.DecidedAt = e.At
	b.Expires = e.Expires
	b.Pinned, b.PinnedBy = false, ""
	b.SnoozedUntil, b.SnoozedBy = time.Time{}, ""
	switch e.Kind {
	case Approved:
		if !b.Cover {
			l.past[pastKey{b.Direction, b.Prefix}]++
		}
		if e.Actor == AutoActor {
			l.noteAuto(e.At, b)
		}
	case Revoked, Expired:
		l.ledger.forgetDrift(b)
	}
	return nil
}

func (l *List) applyPinned(e Event) error {
	b := l.blocks[e.Block]
	if b == nil || b.State != Active || b.Pinned == (e.Kind == Pinned) {
		return fmt.Errorf("%s event for %s, which is not one that this can happen to", e.Kind, e.Block)
	}
	b.Before = b.standing()
	b.Pinned, b.PinnedBy = e.Kind == Pinned, e.Actor
	if !b.Pinned {
		b.PinnedBy, b.Expires = "", e.Expires
	}
	return nil
}

// spreadDrift carries the loss, or the return, of an entry that served several
// blocks over to each of them, so that each can be restored.
func (l *List) spreadDrift(e Event) {
	w := *e.Write
	own := driftKey{w.ACL, w.Direction, w.Prefix}
	if e.Kind == Returned {
		l.ledger.dropDrifts(func(d Drift) bool {
			return d.ACL == w.ACL && d.Direction == w.Direction && d.Number == w.Number && inside(w.Prefix, d.Prefix)
		})
		return
	}
	exact, spread := false, false
	for _, b := range l.blocks {
		if b.Cover || b.State != Active || !b.aimsAt(w.ACL, w.Direction) || !inside(w.Prefix, b.Prefix) {
			continue
		}
		if b.Prefix == w.Prefix {
			exact = true
			continue
		}
		spread = true
		l.ledger.drifts[driftKey{w.ACL, w.Direction, b.Prefix}] = Drift{ACL: w.ACL, Direction: w.Direction, Prefix: b.Prefix, Number: w.Number, Since: e.At}
	}
	if spread && !exact {
		delete(l.ledger.drifts, own)
	}
}

func (b *Block) aimsAt(acl string, d alert.Direction) bool {
	return slices.ContainsFunc(b.Targets, func(t policy.Target) bool { return t.ACL == acl && slices.Contains(t.Directions, d) })
}

// inside says that every address of q is in p.
func inside(p, q netip.Prefix) bool { return p.Bits() <= q.Bits() && p.Contains(q.Addr()) }

// noteAuto remembers an approval by auto mode for an hour.
func (l *List) noteAuto(at time.Time, b *Block) {
	keep := l.auto[:0]
	for _, a := range l.auto {
		if at.Sub(a.At) < time.Hour {
			keep = append(keep, a)
		}
	}
	l.auto = append(keep, autoApproval{At: at, ACLs: aclsOf(b.Targets)})
}

func aclsOf(targets []policy.Target) []string {
	out := make([]string, len(targets))
	for i, t := range targets {
		out[i] = t.ACL
	}
	return out
}

// AutoSince counts the approvals by auto mode for an ACL in the last d, at most
// an hour; for all ACLs when acl is empty.
func (l *List) AutoSince(now time.Time, d time.Duration, acl string) int {
	n := 0
	for _, a := range l.auto {
		if now.Sub(a.At) < d && (acl == "" || slices.Contains(a.ACLs, acl)) {
			n++
		}
	}
	return n
}

// Mark gives the time up to which everything that the source shows was read.
func (l *List) Mark(source string) time.Time { return l.marks[source] }

// Ceiling gives the highest mode that is allowed.
func (l *List) Ceiling() ModeCeiling { return l.mode }

// Alert gives what is known of an alert. The value must not be changed.
func (l *List) Alert(id string) (*AlertState, bool) {
	st, ok := l.alerts[id]
	return st, ok
}

// Alerts gives every alert that is kept, newest first. The values must not be
// changed.
func (l *List) Alerts() []*AlertState {
	out := make([]*AlertState, 0, len(l.alerts))
	for _, st := range l.alerts {
		out = append(out, st)
	}
	slices.SortFunc(out, newestFirst)
	return out
}

func newestFirst(a, b *AlertState) int {
	return cmp.Or(b.Note.CreatedAt.Compare(a.Note.CreatedAt), cmp.Compare(a.Note.ID, b.Note.ID))
}

// pruneAlerts drops the oldest when there are an eighth too many, so that the
// cost of sorting is spread.
func (l *List) pruneAlerts() {
	if len(l.alerts) <= l.cfg.MaxAlerts+l.cfg.MaxAlerts/8 {
		return
	}
	for _, st := range l.Alerts()[l.cfg.MaxAlerts:] {
		delete(l.alerts, st.Note.ID)
	}
}

// pruneBlocks drops blocks that ended long ago, at most once an hour.
func (l *List) pruneBlocks(now time.Time) {
	if now.Sub(l.pruned) < time.Hour {
		return
	}
	l.pruned = now
	for id, b := range l.blocks {
		ended := b.State == Lapsed || b.State == Undone || b.State == Refused && now.After(b.Expires)
		if ended && now.Sub(b.DecidedAt) > l.cfg.Keep {
			delete(l.blocks, id)
		}
	}
}

// Block gives a copy of one block.
func (l *List) Block(id ID) (Block, bool) {
	b := l.blocks[id]
	if b == nil {
		return Block{}, false
	}
	return *b, true
}

// Blocks gives copies of all blocks, sorted by id.
func (l *List) Blocks() []Block {
	out := make([]Block, 0, len(l.blocks))
	for _, b := range l.blocks {
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b Block) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// NextExpiry gives the earliest time at which a block that is in force ends;
// false when there is none.
func (l *List) NextExpiry() (time.Time, bool) {
	var next time.Time
	for _, b := range l.blocks {
		if b.State == Active && !b.Pinned && (next.IsZero() || b.Expires.Before(next)) {
			next = b.Expires
		}
	}
	return next, !next.IsZero()
}
