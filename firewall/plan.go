package firewall

import (
	"fmt"
	"net/netip"
	"time"
)

// Candidate is one prefix that should be denied in one direction.
type Candidate struct {
	Direction Direction
	Prefix    netip.Prefix
	Weight    int
	Pinned    bool
	Since     time.Time // when it was approved; the older one wins among equals
	Reason    string
	Ref       string // the caller's name for it, handed back in the plan
	// Held says that a write for it may still land: nothing is made for it, and an
	// entry of ours that denies it stays.
	Held bool
	// Waits, when set, is why it gets no entry now, whatever is free.
	Waits string
}

// Cover is a prefix inside which entries may deny innocent addresses, because
// somebody has said so.
type Cover struct {
	Direction Direction
	Prefix    netip.Prefix
}

// Owned is an entry that the journal says is ours. Both prefixes are possible
// while a replace is unsettled.
type Owned struct {
	Direction Direction
	Number    int
	Prefixes  []netip.Prefix
}

// Limits bound a plan.
type Limits struct {
	Quota     int // for each direction and family; 0 is DefaultQuota
	Low, High int // our number range; 0 and 0 is 1 to 99
	Owned     []Owned
	// Resting numbers must not be used or changed now, by direction. A resting
	// create may still land, so it also takes a slot of the family in Pending.
	Resting map[Direction]map[int]bool
	// Unsure numbers hold an entry of ours that a write may still remove or change:
	// it serves no candidate.
	Unsure map[Direction]map[int]bool
	// Pending counts, for each direction and family, creates whose outcome is unknown
	// and whose entry the live ACL does not show.
	Pending map[Direction]map[Family]int
	// Guard is asked for every create and replace; nil refuses them all.
	Guard func(netip.Prefix) error
	// AskFirst says that no entry may be widened over a prefix without asking; nil
	// is false for all.
	AskFirst func(netip.Prefix) bool
	// Margin is how much more a newcomer must weigh to displace what is denied
	// already.
	Margin int
	// Price is the weight that one innocent address costs when an entry is wider
	// than what it serves; for IPv6 one /64 in which an innocent address is denied.
	Price int
	// MinBits4 and MinBits6 are the shortest prefixes that entries are widened to;
	// 0 is DefaultMinBits4 and DefaultMinBits6. What is wanted itself may be shorter.
	MinBits4, MinBits6 int
	// Collateral is the most innocent addresses (or /64s) that one entry may deny
	// outside Covers. With 0 only prefixes are joined that are wanted whole.
	Collateral int
	Covers     []Cover
}

// The shortest prefixes that entries are widened to by default.
const (
	DefaultMinBits4 = 24
	DefaultMinBits6 = 64
)

// Budget is how the quota of one direction and family is used, and what it is too
// small for.
type Budget struct {
	Direction Direction `json:"direction"`
	Family    Family    `json:"family"`
	Quota     int       `json:"quota"`
	Foreign   int       `json:"foreign"` // the default deny included
	Ours      int       `json:"ours"`
	Pending   int       `json:"pending"` // creates that may still land
	Slots     int       `json:"slots"`   // what we may use at most: quota less foreign
	Free      int       `json:"free"`    // slots that are unused now

	Wanted  int `json:"wanted"`  // candidates, refused ones left out
	Kept    int `json:"kept"`    // of these, denied by an entry of ours, now or by this plan
	Covered int `json:"covered"` // denied already by entries of others
	Waiting int `json:"waiting"` // left out
	// CutOff is the weight of the lightest entry that keeps its slot, pinned ones
	// left out; 0 when nothing waits for a slot. A newcomer must weigh more by the
	// margin to displace it.
	CutOff int `json:"cut_off"`
}

// Shortfall says in one sentence what there is room for.
func (b Budget) Shortfall() string {
	s := fmt.Sprintf("%d wanted, %d kept", b.Wanted, b.Kept)
	if b.Covered > 0 {
		s += fmt.Sprintf(", %d denied by others", b.Covered)
	}
	s += fmt.Sprintf(", %d waiting", b.Waiting)
	if b.CutOff > 0 {
		s += fmt.Sprintf(", cut-off weight %d", b.CutOff)
	}
	return s
}

// Plan is the ordered way from the live ACL to the wanted one. It says what
// becomes of each candidate, in one of Kept, Coming, Covered, Left, Refused and
// Void, each sorted best first within a direction and family. It points to the
// candidates that were given, which must not change afterwards.
type Plan struct {
	ACL     string   `json:"acl"`
	Changes []Change `json:"changes"`
	Budgets []Budget `json:"budgets"`
	Kept    []Placed `json:"kept"`    // denied by an entry of ours that is there
	Coming  []Placed `json:"coming"`  // denied by an entry that the changes make
	Covered []Placed `json:"covered"` // denied already by an entry of somebody else
	Left    []Left   `json:"left"`    // left out, with the reason
	Refused []Left   `json:"refused"` // the guard forbids it
	Void    []Placed `json:"void"`    // its entry is there, but an allow with a lower number matches first
}

// Placed is a candidate and the entry that serves it, which may be wider.
type Placed struct {
	Candidate *Candidate `json:"candidate"`
	Entry     Entry      `json:"entry"`
	// Innocent counts the addresses (for IPv6 the /64s) that the entry denies and
	// nobody wants denied.
	Innocent int64  `json:"innocent,omitempty"`
	Note     string `json:"note,omitempty"`
}

// Left is a candidate that got no entry.
type Left struct {
	Candidate *Candidate `json:"candidate"`
	Why       string     `json:"why"`
	// Next says that it comes in when one slot more is free.
	Next bool `json:"next,omitempty"`
	// Shadowed says that no number could make a deny of it work.
	Shadowed bool `json:"shadowed,omitempty"`
}
