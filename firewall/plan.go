package firewall

import (
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
	// Margin is how much more a newcomer must weigh to displace an entry that is
	// there.
	Margin int
}

// Budget is how the quota of one direction and family is used.
type Budget struct {
	Direction Direction `json:"direction"`
	Family    Family    `json:"family"`
	Quota     int       `json:"quota"`
	Foreign   int       `json:"foreign"` // the default deny included
	Ours      int       `json:"ours"`
	Pending   int       `json:"pending"` // creates that may still land
	Slots     int       `json:"slots"`   // what we may use at most: quota less foreign
	Free      int       `json:"free"`    // slots that are unused now
}

// Plan is the ordered way from the live ACL to the wanted one.
type Plan struct {
	ACL     string   `json:"acl"`
	Changes []Change `json:"changes"`
	Budgets []Budget `json:"budgets"`
	Kept    []Placed `json:"kept"`    // wanted and there already
	Covered []Placed `json:"covered"` // denied already by an entry of somebody else
	Left    []Left   `json:"left"`    // wanted, but left out, with the reason
	Refused []Left   `json:"refused"` // the guard forbids it
	Void    []Placed `json:"void"`    // there, but an allow with a lower number matches first
}

// Placed is a candidate and the entry that serves it.
type Placed struct {
	Candidate Candidate `json:"candidate"`
	Entry     Entry     `json:"entry"`
	Note      string    `json:"note,omitempty"`
}

// Left is a candidate that got no entry.
type Left struct {
	Candidate Candidate `json:"candidate"`
	Why       string    `json:"why"`
}
