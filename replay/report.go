package replay

import (
	"cmp"
	"slices"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// Report is what would have been done. Its keys are a contract.
type Report struct {
	From           time.Time `json:"from"`
	Until          time.Time `json:"until"`
	Mode           string    `json:"mode"`
	Alerts         int       `json:"alerts"`
	Dismissed      int       `json:"dismissed"`       // of these, dismissed at the source since
	WithoutAddress int       `json:"without_address"` // of these, without an address that could be blocked

	Blocked int `json:"blocked"` // addresses, by the most that would have been done about each
	Asked   int `json:"asked"`
	Refused int `json:"refused"`
	Ignored int `json:"ignored"`
	Waited  int `json:"waited"` // of the blocked, or approved, those that had no slot for a time
	// FalseAlarms are blocked or asked, and every alert that named them was dismissed.
	FalseAlarms int `json:"false_alarms"`

	Periods   []Period  `json:"periods"`
	Lists     []List    `json:"lists"`
	Stops     []Stop    `json:"stops"`
	Addresses []Outcome `json:"addresses"` // by result, then the heaviest first
}

// Period is one line of the report. Slots are those of the list that was nearest to
// its end.
type Period struct {
	From    time.Time `json:"from"`
	Alerts  int       `json:"alerts"`
	Blocked int       `json:"blocked"` // new blocks
	Asked   int       `json:"asked"`   // new proposals
	Refused int       `json:"refused"` // sightings of guarded addresses
	Waiting int       `json:"waiting"` // the most at a time
	Used    int       `json:"used"`
	Slots   int       `json:"slots"`
}

func (p *Period) evaluated(waiting, used, slots int) {
	p.Waiting = max(p.Waiting, waiting)
	if tighter(used, slots, p.Used, p.Slots) {
		p.Used, p.Slots = used, slots
	}
}

// List is one direction and family of an ACL.
type List struct {
	ACL         string             `json:"acl"`
	Direction   firewall.Direction `json:"direction"`
	Family      firewall.Family    `json:"family"`
	Slots       int                `json:"slots"` // for us, at the end
	PeakUsed    int                `json:"peak_used"`
	PeakWanted  int                `json:"peak_wanted"`
	PeakWaiting int                `json:"peak_waiting"` // the shortfall
	PeakAt      time.Time          `json:"peak_at,omitzero"`
}

// Stop is when auto mode would have stopped itself.
type Stop struct {
	At  time.Time `json:"at"`
	Why string    `json:"why"`
}

// What would have become of an address.
const (
	Blocked = "blocked"
	Asked   = "asked"
	Refused = "refused"
	Ignored = "ignored"
)

var order = []string{Blocked, Asked, Refused, Ignored}

// Outcome is what would have become of one address.
type Outcome struct {
	CIDR      string          `json:"cidr"`
	Direction string          `json:"direction"`
	Result    string          `json:"result"`
	First     time.Time       `json:"first"`
	Last      time.Time       `json:"last"`
	Alerts    int             `json:"alerts"`
	Dismissed int             `json:"dismissed,omitempty"` // of these
	Blocks    int             `json:"blocks,omitempty"`    // how many times it was proposed or blocked
	Hosts     int             `json:"hosts,omitempty"`
	Weight    int             `json:"weight,omitempty"` // when it was named last
	Score     blocklist.Score `json:"score,omitzero"`
	Reasons   []string        `json:"reasons"`
	Waited    bool            `json:"waited,omitempty"`
	// WaitsAtEnd says that it has no slot at the end, and WhyWaits why it had none last.
	WaitsAtEnd bool   `json:"waits_at_end,omitempty"`
	WhyWaits   string `json:"why_waits,omitempty"`

	key key
}

func (r *run) period(t time.Time) *Period {
	i := int(t.Sub(r.start) / r.cfg.Period)
	return &r.out.Periods[max(0, min(i, len(r.out.Periods)-1))]
}

// tally counts what came of one address of one alert.
func (r *run) tally(t time.Time, a alert.Alert, in alert.Indicator, v policy.Verdict, events []blocklist.Event, dismissed bool, p *Period) {
	k := key{in.Direction, v.Prefix.Addr()}
	o := r.found[k]
	if o == nil {
		o = &Outcome{CIDR: v.Prefix.String(), Direction: in.Direction.String(), First: t.UTC(), key: k}
		r.found[k] = o
	}
	o.Last = t.UTC()
	o.Alerts++
	if dismissed {
		o.Dismissed++
	}
	if result := resultOf(v.Action); o.Result == "" || slices.Index(order, result) <= slices.Index(order, o.Result) {
		o.Result, o.Reasons = result, v.Reasons
	}
	if v.Action == policy.Refuse {
		p.Refused++
	}
	for _, e := range events {
		if e.Kind != blocklist.Proposed {
			continue
		}
		r.refs[e.Block] = k
		o.Blocks++
		if v.Action == policy.Block {
			p.Blocked++
		} else {
			p.Asked++
		}
	}
	if v.Action == policy.Block || v.Action == policy.Ask {
		if b, ok := r.list.Block(blocklist.MakeID(in.Direction, v.Prefix, v.Targets)); ok {
			o.Score, o.Hosts = b.Score(t), len(b.Hosts)
			o.Weight = o.Score.Total()
		}
	}
}

func resultOf(a policy.Action) string {
	switch a {
	case policy.Block:
		return Blocked
	case policy.Ask:
		return Asked
	case policy.Refuse:
		return Refused
	}
	return Ignored
}

// finish sums up and sorts.
func (r *run) finish() {
	r.out.Addresses = []Outcome{}
	for _, o := range r.found {
		if o.Reasons == nil {
			o.Reasons = []string{}
		}
		r.out.Addresses = append(r.out.Addresses, *o)
		wanted := o.Result == Blocked || o.Result == Asked
		if o.Waited {
			r.out.Waited++
		}
		if wanted && o.Dismissed == o.Alerts {
			r.out.FalseAlarms++
		}
		switch o.Result {
		case Blocked:
			r.out.Blocked++
		case Asked:
			r.out.Asked++
		case Refused:
			r.out.Refused++
		default:
			r.out.Ignored++
		}
	}
	slices.SortFunc(r.out.Addresses, func(a, b Outcome) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Result), slices.Index(order, b.Result)), cmp.Compare(b.Weight, a.Weight),
			cmp.Compare(b.Alerts, a.Alerts), a.key.addr.Compare(b.key.addr), cmp.Compare(a.key.dir, b.key.dir))
	})
	r.out.Lists, r.out.Stops = []List{}, slices.Concat([]Stop{}, r.out.Stops)
	for _, a := range r.acls {
		r.out.Lists = append(r.out.Lists, a.lists...)
	}
}
