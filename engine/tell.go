package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"selfprotect/alert"
	"selfprotect/blocklist"
	"selfprotect/firewall"
	"selfprotect/policy"
)

// maxLines bounds the log that a snapshot carries.
const maxLines = 1_000

// line adds one line to the log. Of several polls in a row only the last stays.
func (l *loop) line(ln LogLine) {
	v := &l.view
	v.lineID++
	ln.ID = v.lineID
	if ln.At.IsZero() {
		ln.At = l.now()
	}
	if n := len(v.lines); n > 0 && ln.Event == "poll" && v.lines[n-1].Event == "poll" && ln.Severity == v.lines[n-1].Severity {
		v.lines[n-1] = ln
	} else {
		v.lines = append(v.lines, ln)
	}
	if len(v.lines) > maxLines+maxLines/4 {
		v.lines = slices.Clone(v.lines[len(v.lines)-maxLines:])
	}
	v.linesChanged = true
	v.dirty = true
}

// tell makes a line of a recorded event. Events of a start are history, not news.
func (l *loop) tell(seq uint64, e blocklist.Event) {
	ln := LogLine{Seq: seq, At: e.At, Severity: Info, Actor: clean(e.Actor), Reason: clean(e.Reason), Block: e.Block}
	var b blocklist.Block
	if e.Block != "" {
		b, _ = l.list.Block(e.Block)
		ln.Prefix, ln.RuleID, ln.Direction = b.Prefix, b.RuleID, toFirewall(b.Direction)
		if len(b.Targets) == 1 {
			ln.ACL = b.Targets[0].ACL
		}
		if len(b.Alerts) > 0 {
			ln.Alert = b.Alerts[0]
		}
	}
	c := &l.view.counts
	bump := func(n *int) { l.bump(n, e) }
	switch e.Kind {
	case blocklist.Observed:
		bump(&c.Alerts)
		return
	case blocklist.Sighted:
		l.tellSighted(ln, e)
		return
	case blocklist.Dismissed:
		l.tellDismissed(ln, e)
		return
	case blocklist.Archived, blocklist.Unarchived:
		l.tellArchived(ln, e)
		return
	case blocklist.Proposed:
		bump(&c.Proposed)
		ln.Event, ln.Text = "proposed", fmt.Sprintf("%s %s proposed", b.What(), b.Direction)
		ln.Reason = first(b.Reasons)
	case blocklist.Denied:
		bump(&c.Denied)
		ln.Event, ln.Text = tellLife(e, b, ln.Actor)
	case blocklist.Approved, blocklist.Revoked, blocklist.Undid, blocklist.Restored, blocklist.Expired, blocklist.Pinned,
		blocklist.Unpinned, blocklist.Snoozed, blocklist.Woken:
		ln.Event, ln.Text = tellLife(e, b, ln.Actor)
	case blocklist.Overridden, blocklist.Enforced:
		tellOverridden(&ln, e)
	case blocklist.Allowed, blocklist.Disallowed:
		tellAllowed(&ln, e)
	case blocklist.Adopted:
		l.tellAdopted(&ln, e)
	case blocklist.ModeSet:
		tellMode(&ln, e)
	case blocklist.Drifted, blocklist.Returned:
		l.tellDrift(&ln, e)
	case blocklist.Started:
		l.view.started[e.WriteID] = *e.Write
		l.callStarted(e)
		return
	case blocklist.Settled:
		l.callSettled(e)
		l.tellSettled(ln, e)
		return
	default:
		return
	}
	l.line(ln)
}

// tellTime is how a line gives the end of something.
const tellTime = "2006-01-02 15:04 MST"

// tellLife says what has become of a block by the word of somebody.
func tellLife(e blocklist.Event, b blocklist.Block, actor string) (event, text string) {
	switch e.Kind {
	case blocklist.Approved:
		return "approved", fmt.Sprintf("%s approved by %s until %s", b.What(), actor, e.Expires.UTC().Format(tellTime))
	case blocklist.Denied:
		return "denied", fmt.Sprintf("%s denied by %s", b.What(), actor)
	case blocklist.Revoked:
		return "revoked", fmt.Sprintf("%s revoked by %s", b.What(), actor)
	case blocklist.Undid:
		return "undone", fmt.Sprintf("the last decision about %s is taken back by %s: it is %s again", b.What(), actor, b.State)
	case blocklist.Restored:
		return "approved", fmt.Sprintf("%s to be put back, says %s", b.Prefix, actor)
	case blocklist.Expired:
		return "expired", fmt.Sprintf("%s expired", b.What())
	case blocklist.Pinned:
		return "pinned", fmt.Sprintf("%s pinned by %s: it comes before everything and does not expire", b.Prefix, actor)
	case blocklist.Unpinned:
		return "unpinned", fmt.Sprintf("%s unpinned by %s; it ends %s", b.Prefix, actor, e.Expires.UTC().Format(tellTime))
	case blocklist.Snoozed:
		return "snoozed", fmt.Sprintf("%s put off by %s until %s", b.What(), actor, e.Expires.UTC().Format(tellTime))
	case blocklist.Woken:
		return "woken", fmt.Sprintf("%s asked again, says %s", b.What(), actor)
	}
	return "", ""
}

func tellMode(ln *LogLine, e blocklist.Event) {
	ln.Event, ln.Text = "mode", fmt.Sprintf("mode %s, says %s", e.Mode, ln.Actor)
	if e.Actor != blocklist.EngineActor {
		return
	}
	ln.Severity, ln.Text = Warning, "auto mode stopped itself; mode review"
	if e.ACL != "" {
		ln.ACL, ln.Text = e.ACL, "auto mode stopped itself for "+e.ACL
	}
}

// bump counts an event, unless it is history.
func (l *loop) bump(n *int, e blocklist.Event) {
	if !e.At.Before(l.startedAt) {
		*n++
	}
}

// tellSighted tells of an address that is guarded, or that only observe mode keeps
// from a proposal, once for each alert.
func (l *loop) tellSighted(ln LogLine, e blocklist.Event) {
	s := e.Sighting
	switch {
	case s.Again:
		return
	case s.Outcome == blocklist.OutcomeRefused:
		l.bump(&l.view.counts.Refused, e)
		ln.Event, ln.Severity, ln.Text = "refused", Warning, fmt.Sprintf("%s refused", s.Addr)
	case s.Observing:
		ln.Event, ln.Text = "observed", fmt.Sprintf("%s %s only observed", s.Addr, s.Direction)
	default:
		return
	}
	ln.Prefix = netip.PrefixFrom(s.Addr, s.Addr.BitLen())
	ln.Direction, ln.Alert = toFirewall(s.Direction), s.Alert
	if st, ok := l.list.Alert(s.Alert); ok {
		ln.RuleID = st.Note.RuleID
	}
	ln.Reason = first(s.Reasons)
	l.line(ln)
}

func (l *loop) tellDrift(ln *LogLine, e blocklist.Event) {
	w := e.Write
	ln.Event, ln.ACL, ln.Number, ln.Prefix, ln.Direction = "drift", w.ACL, w.Number, w.Prefix, toFirewall(w.Direction)
	ln.Severity, ln.Text = Warning, fmt.Sprintf("entry %d (%s) of %s was removed by somebody else; it waits for a decision", w.Number, w.Prefix, w.ACL)
	if e.Kind == blocklist.Returned {
		ln.Severity, ln.Text = Info, fmt.Sprintf("entry %d (%s) of %s is there after all", w.Number, w.Prefix, w.ACL)
	}
}

// tellSettled tells of a write that is settled.
func (l *loop) tellSettled(ln LogLine, e blocklist.Event) {
	w, ok := l.view.started[e.WriteID]
	if !ok {
		return
	}
	a := l.acl(w.ACL)
	told := a != nil && a.told[e.WriteID]
	if e.Outcome != blocklist.Unknown {
		delete(l.view.started, e.WriteID)
		if a != nil {
			a.forget(e.WriteID)
		}
	}
	l.fillWrite(&ln, w)
	switch {
	case e.Outcome == blocklist.Present && w.Op != blocklist.OpDelete:
		l.bump(&l.view.counts.Blocked, e)
		ln.Event, ln.Text = "blocked", fmt.Sprintf("%s denied by entry %d of %s (%s), read back", w.Prefix, w.Number, w.ACL, ln.Direction)
		if w.Op == blocklist.OpReplace {
			ln.Text += " in place of " + w.Old.String()
		}
		ln.Text += l.servedText(w)
	case e.Outcome == blocklist.Absent && w.Op == blocklist.OpDelete && !told:
		l.bump(&l.view.counts.Unblocked, e)
		ln.Event, ln.Text = "unblocked", removedText(w)
	case e.Outcome == blocklist.Absent && w.Op != blocklist.OpDelete:
		ln.Event, ln.Severity, ln.Text = "fault", Warning, fmt.Sprintf("%s of %s at number %d of %s did not take effect", w.Op, w.Prefix, w.Number, w.ACL)
	default:
		return
	}
	l.line(ln)
}

func (l *loop) fillWrite(ln *LogLine, w blocklist.Write) {
	ln.ACL, ln.Number, ln.Prefix, ln.Direction, ln.Undo = w.ACL, w.Number, w.Prefix, toFirewall(w.Direction), clean(w.Undo)
	if b, ok := l.blockFor(w.ACL, w.Direction, w.Prefix); ok {
		ln.Block, ln.RuleID = b.ID, b.RuleID
		if len(b.Alerts) > 0 {
			ln.Alert = b.Alerts[0]
		}
	}
}

// servedText names the blocks that an entry serves when it is wider than each.
func (l *loop) servedText(w blocklist.Write) string {
	blocks := l.blocksInside(w.ACL, w.Direction, w.Prefix)
	if len(blocks) == 0 || len(blocks) == 1 && blocks[0].Prefix == w.Prefix {
		return ""
	}
	names := make([]string, 0, 3)
	for _, b := range blocks[:min(len(blocks), 3)] {
		names = append(names, b.Prefix.String())
	}
	s := ", one entry for " + strings.Join(names, ", ")
	if more := len(blocks) - len(names); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

func removedText(w blocklist.Write) string {
	return fmt.Sprintf("%s: entry %d of %s removed, read back", w.Prefix, w.Number, w.ACL)
}

// tellRemoved tells of deletes that the service carried out and that a read
// confirms, though the settle window has not passed.
func (l *loop) tellRemoved(a *aclState, rd blocklist.Reading) {
	for _, w := range l.list.Pending(a.cfg.ID) {
		there := rd.Seen[blocklist.Slot{Direction: w.Direction, Number: w.Number}] == w.Prefix
		if w.Op != blocklist.OpDelete || there || !a.answers[w.ID].Done || a.told[w.ID] || rd.At.Before(a.answers[w.ID].At) {
			continue
		}
		a.told[w.ID] = true
		l.view.counts.Unblocked++
		ln := LogLine{Severity: Info, Event: "unblocked", Text: removedText(w.Write)}
		l.fillWrite(&ln, w.Write)
		l.line(ln)
	}
}

// tellWaiting tells once of each block that found no slot.
func (l *loop) tellWaiting(a *aclState, plan firewall.Plan) {
	seen := map[string]bool{}
	for _, left := range plan.Left {
		key := left.Candidate.Direction.String() + " " + left.Candidate.Ref
		seen[key] = true
		if a.waiting[key] != "" {
			continue
		}
		a.waiting[key] = left.Why
		ln := LogLine{Severity: Warning, Event: "waiting", ACL: a.cfg.ID, Prefix: left.Candidate.Prefix, Direction: left.Candidate.Direction,
			Block: blocklist.ID(left.Candidate.Ref), Reason: left.Why, Text: fmt.Sprintf("%s waits on %s", left.Candidate.Prefix, a.cfg.ID)}
		if b, ok := l.list.Block(ln.Block); ok {
			ln.RuleID, ln.Alert = b.RuleID, first(b.Alerts)
		}
		l.line(ln)
	}
	for key := range a.waiting {
		if !seen[key] {
			delete(a.waiting, key)
		}
	}
	for _, b := range plan.Budgets {
		l.tellShortfall(a, b)
	}
}

// toldShortfall is what was last told of a list of an ACL.
type toldShortfall struct {
	waiting int
	at      time.Time
}

// shortfallEvery is how often a shortfall that goes on changing is told.
const shortfallEvery = time.Minute

// tellShortfall tells how many wait in one list of an ACL when that has changed.
func (l *loop) tellShortfall(a *aclState, b firewall.Budget) {
	key := fmt.Sprint(b.Direction, b.Family)
	last, t := a.shortfall[key], l.now()
	if last.waiting == b.Waiting || b.Waiting > 0 && t.Sub(last.at) < shortfallEvery {
		return
	}
	a.shortfall[key] = toldShortfall{b.Waiting, t}
	ln := LogLine{Severity: Warning, Event: "waiting", ACL: a.cfg.ID, Direction: b.Direction, Shortfall: &b,
		Text: fmt.Sprintf("%s %s %s: %s", a.cfg.ID, b.Direction, b.Family, b.Shortfall())}
	if b.Waiting == 0 {
		ln.Severity = Info
	}
	l.line(ln)
}

// blockFor finds the block in force, else the newest, behind an entry; of several
// that it serves the heaviest.
func (l *loop) blockFor(acl string, d alert.Direction, p netip.Prefix) (blocklist.Block, bool) {
	var best blocklist.Block
	found := false
	for _, b := range l.view.byPrefix(l)[p] {
		if b.Cover || !aimsAt(b, acl, d) {
			continue
		}
		if !found || b.State == blocklist.Active && best.State != blocklist.Active || b.State == best.State && b.DecidedAt.After(best.DecidedAt) {
			best, found = b, true
		}
	}
	if inner := l.blocksInside(acl, d, p); !found && len(inner) > 0 {
		return inner[0], true
	}
	return best, found
}

// blocksInside gives the blocks in force that an entry would serve, the heaviest
// first.
func (l *loop) blocksInside(acl string, d alert.Direction, p netip.Prefix) []blocklist.Block {
	var out []blocklist.Block
	if p.IsSingleIP() {
		for _, b := range l.view.byPrefix(l)[p] {
			if b.State == blocklist.Active && !b.Cover && aimsAt(b, acl, d) {
				out = append(out, b)
			}
		}
		return out
	}
	for _, b := range l.list.Blocks() {
		if b.State == blocklist.Active && !b.Cover && aimsAt(b, acl, d) && inside(p, b.Prefix) {
			out = append(out, b)
		}
	}
	t := l.now()
	slices.SortStableFunc(out, func(a, b blocklist.Block) int { return b.Score(t).Total() - a.Score(t).Total() })
	return out
}

func aimsAt(b blocklist.Block, acl string, d alert.Direction) bool {
	return slices.ContainsFunc(b.Targets, func(t policy.Target) bool { return t.ACL == acl && slices.Contains(t.Directions, d) })
}

func clean(s string) string { return string(alert.Clean(s)) }

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
