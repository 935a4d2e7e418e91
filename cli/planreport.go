package cli

import (
	"fmt"
	"strings"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
	"selfprotect/firewall"
)

// planReport is a plan in the form that programs read. Its keys are a contract.
type planReport struct {
	Time      time.Time      `json:"time"`
	Mode      string         `json:"mode"`
	ACLs      []planACL      `json:"acls"`
	Proposals []planProposal `json:"proposals"`
	Warnings  []string       `json:"warnings,omitempty"`
	Faults    []string       `json:"faults,omitempty"`
}

type planACL struct {
	ACL       string            `json:"acl"`
	Name      string            `json:"name,omitempty"`
	Quota     int               `json:"quota"`
	QuotaFrom string            `json:"quota_from"`
	Budgets   []firewall.Budget `json:"budgets"`
	Changes   []firewall.Change `json:"changes"`
	Entries   []planEntry       `json:"entries"`
	Waiting   []planWaiting     `json:"waiting"`
	Error     string            `json:"error,omitempty"`
}

type planEntry struct {
	firewall.Entry
	Owner    string         `json:"owner"`
	Effect   string         `json:"effect"`
	Serves   []blocklist.ID `json:"serves,omitempty"`
	Weight   int            `json:"weight,omitempty"`
	Innocent int64          `json:"innocent,omitempty"`
	Expires  time.Time      `json:"expires,omitzero"`
}

type planWaiting struct {
	CIDR      string          `json:"cidr"`
	Direction string          `json:"direction"`
	Weight    int             `json:"weight"`
	Score     blocklist.Score `json:"score"`
	Missed    int             `json:"missed,omitempty"`
	Next      bool            `json:"next,omitempty"`
	Reason    string          `json:"reason"`
}

type planProposal struct {
	Block     blocklist.ID    `json:"block"`
	CIDR      string          `json:"cidr"`
	Direction string          `json:"direction"`
	Widening  bool            `json:"widening,omitempty"`
	Weight    int             `json:"weight"`
	Score     blocklist.Score `json:"score"`
	Reasons   []string        `json:"reasons"`
	Effects   []string        `json:"effects"`
}

func newPlanReport(s *engine.Snapshot) planReport {
	r := planReport{Time: s.At.UTC(), Mode: min(s.Base, s.Ceiling).String(), ACLs: []planACL{}, Proposals: []planProposal{}}
	for _, a := range s.ACLs {
		r.ACLs = append(r.ACLs, newPlanACL(a))
	}
	for _, p := range s.Proposals {
		x := planProposal{Block: p.ID, CIDR: p.Prefix.String(), Direction: p.Direction.String(), Widening: p.Cover,
			Weight: p.Score.Total(), Score: p.Score, Reasons: p.Reasons}
		for _, st := range p.Steps {
			x.Effects = append(x.Effects, stepText(st))
		}
		r.Proposals = append(r.Proposals, x)
	}
	for _, p := range s.Problems {
		text := p.Text
		if p.Hint != "" {
			text += " (" + p.Hint + ")"
		}
		if p.Severity == engine.Info {
			continue
		}
		r.Warnings = append(r.Warnings, text)
	}
	for _, src := range s.Sources {
		if src.Err != "" {
			r.Faults = append(r.Faults, "alerts could not be read: "+src.Err)
		}
	}
	for _, a := range s.ACLs {
		if a.Err != "" {
			r.Faults = append(r.Faults, a.ID+" could not be read: "+a.Err)
		}
	}
	return r
}

func newPlanACL(a *engine.ACLView) planACL {
	out := planACL{ACL: a.ID, Name: a.Name, Quota: a.Quota, QuotaFrom: a.QuotaFrom, Budgets: a.Budgets, Changes: a.Changes, Error: a.Err,
		Entries: []planEntry{}, Waiting: []planWaiting{}}
	for _, e := range a.Entries {
		x := planEntry{Entry: e.Entry, Owner: string(e.Owner), Effect: "allow", Serves: e.Serves, Weight: e.Weight, Innocent: e.Innocent, Expires: e.Expires}
		if e.Deny {
			if x.Effect = e.Effect.String(); x.Effect == "" {
				x.Effect = "effective"
			}
		}
		out.Entries = append(out.Entries, x)
	}
	for _, w := range a.Waiting {
		out.Waiting = append(out.Waiting, planWaiting{CIDR: w.Prefix.String(), Direction: w.Direction.String(), Weight: w.Weight,
			Score: w.Score, Missed: w.Missed, Next: w.Next, Reason: w.Why})
	}
	return out
}

// stepText says what an approval would do on one ACL.
func stepText(s engine.Step) string {
	if s.Op == 0 {
		return fmt.Sprintf("= %s of %s: %s", s.Direction, s.ACL, s.Note)
	}
	entry := s.Prefix
	if s.Entry.IsValid() {
		entry = s.Entry
	}
	t := fmt.Sprintf("%s %s %d deny %s on %s", s.Op, s.Direction, s.Number, entry, s.ACL)
	if len(s.Displaces) > 0 {
		t += fmt.Sprintf(", displaces %v", s.Displaces)
	}
	if len(s.Admits) > 0 {
		t += fmt.Sprintf(", lets in %v", s.Admits)
	}
	if s.Innocent > 0 {
		t += ", denies " + firewall.Innocent(s.Innocent, firewall.FamilyOf(s.Prefix)) + " too"
	}
	return t
}

// pending says that something would change or awaits a decision.
func (r planReport) pending() bool {
	for _, a := range r.ACLs {
		if len(a.Changes) > 0 {
			return true
		}
	}
	return len(r.Proposals) > 0
}

// text is the form for people.
func (r planReport) text() string {
	var b strings.Builder
	for _, a := range r.ACLs {
		a.write(&b)
	}
	if len(r.Proposals) > 0 {
		fmt.Fprintf(&b, "awaiting a decision: %d\n", len(r.Proposals))
	}
	for _, p := range r.Proposals {
		what := p.CIDR
		if p.Widening {
			what = "widening to " + what
		}
		fmt.Fprintf(&b, "  %s %s, weight %s\n", what, p.Direction, p.Score)
		for _, e := range p.Effects {
			fmt.Fprintf(&b, "    %s\n", e)
		}
		for _, why := range p.Reasons {
			fmt.Fprintf(&b, "    because %s\n", clean(why))
		}
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	if !r.pending() && len(r.Faults) == 0 {
		b.WriteString("nothing to do\n")
	}
	return b.String()
}

func (a planACL) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s", a.ACL)
	if a.Name != "" {
		fmt.Fprintf(b, " %s", a.Name)
	}
	if a.Error != "" {
		fmt.Fprintf(b, ": %s\n", a.Error)
		return
	}
	fmt.Fprintf(b, ": quota %d (%s)\n", a.Quota, a.QuotaFrom)
	for _, x := range a.Budgets {
		fmt.Fprintf(b, "  %s %s: %d slots, %d of ours, %d free; %s\n", x.Direction, x.Family, x.Slots, x.Ours, x.Free, x.Shortfall())
	}
	fmt.Fprintf(b, "  changes: %d\n", len(a.Changes))
	for _, c := range a.Changes {
		fmt.Fprintf(b, "    %s: %s\n", c, c.Reason)
	}
	b.WriteString("  entries:\n")
	for _, e := range a.Entries {
		e.write(b)
	}
	if len(a.Waiting) > 0 {
		fmt.Fprintf(b, "  waiting: %d\n", len(a.Waiting))
	}
	for _, w := range a.Waiting {
		mark := ""
		if w.Next {
			mark = ", next up"
		}
		if w.Missed > 0 {
			mark += fmt.Sprintf(", named %d times since", w.Missed)
		}
		fmt.Fprintf(b, "    %s %s, weight %s%s: %s\n", w.Direction, w.CIDR, w.Score, mark, w.Reason)
	}
}

func (e planEntry) write(b *strings.Builder) {
	verb, number := "allow", fmt.Sprint(e.Number)
	if e.Deny {
		verb = "deny"
	}
	if e.Default() {
		number = "*"
	}
	fmt.Fprintf(b, "    %-7s %5s %-5s %-20s %s", e.Direction, number, verb, e.Prefix, e.Owner)
	if e.Deny && !e.Default() {
		fmt.Fprintf(b, ", %s", e.Effect)
	}
	if n := len(e.Serves); n > 0 {
		fmt.Fprintf(b, ", weight %d", e.Weight)
		if n > 1 {
			fmt.Fprintf(b, " for %d blocks", n)
		}
	}
	if e.Innocent > 0 {
		fmt.Fprintf(b, ", denies %s", firewall.Innocent(e.Innocent, firewall.FamilyOf(e.Prefix)))
	}
	b.WriteString("\n")
}
