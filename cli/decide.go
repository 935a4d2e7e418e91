package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// decisionLine is the form of a decision that programs read. Its keys are a
// contract.
type decisionLine struct {
	ID        string   `json:"id,omitempty"`
	CIDR      string   `json:"cidr,omitempty"`
	Direction string   `json:"direction,omitempty"`
	Result    string   `json:"result"` // approved, denied, …; shown when nothing was decided; failed
	Effects   []string `json:"effects,omitempty"`
	Effect    string   `json:"effect,omitempty"`
	Error     string   `json:"error,omitempty"`
	// Entries say where the entries stand.
	Entries []entryLine `json:"entries,omitempty"`
	// CarriedOutBy is the process that changes the network ACL.
	CarriedOutBy string `json:"carried_out_by,omitempty"`
}

type entryLine struct {
	ACL       string `json:"acl"`
	Direction string `json:"direction"`
	Number    int    `json:"rule_number,omitempty"`
	Status    string `json:"status"`
	Note      string `json:"note,omitempty"`
}

// tally is what has come of the parts of a command.
type tally struct {
	s            *session
	done, failed int
	shown        int
	why          error // the first failure
}

// say tells of one part: a line for people, or the object.
func (t *tally) say(l decisionLine, text string) {
	if t.s.o.json {
		_ = json.NewEncoder(t.s.out).Encode(l)
		return
	}
	fmt.Fprintln(t.s.out, text)
}

// fail tells of a part that failed.
func (t *tally) fail(l decisionLine, err error) {
	t.failed++
	if t.why == nil {
		t.why = err
	}
	l.Result, l.Error = "failed", clean(err.Error())
	if t.s.o.json {
		_ = json.NewEncoder(t.s.out).Encode(l)
		return
	}
	fmt.Fprintf(t.s.errs, "selfprotect: %s\n", clean(err.Error()))
}

// end is what the command ends with: what failed has been told.
func (t *tally) end() error {
	switch {
	case errors.Is(t.why, context.Canceled):
		return errors.Join(errSilent, t.why) // interrupted, which Main knows
	case t.failed > 0 && t.done > 0:
		return &exitError{exitPartial, errSilent}
	case t.failed > 0:
		return &exitError{exitCode(t.why), errSilent}
	case t.shown > 0:
		return &exitError{exitPending, errSilent}
	}
	return nil
}

func lineOf(b blocklist.Block) decisionLine {
	return decisionLine{ID: clean(string(b.ID)), CIDR: b.Prefix.String(), Direction: b.Direction.String()}
}

// decideAll makes one decision about every proposal that is meant.
func (o *reviewOptions) decideAll(ctx context.Context, s *session) error {
	t := &tally{s: s}
	found, err := o.meant(ctx, s, t)
	if err != nil {
		return err
	}
	if o.verb == blocklist.Approve {
		s.warnGuard()
		if err := s.readable(s.now); err != nil {
			return err
		}
		if o.decides() && len(found) > 0 {
			if err := s.mayCarryOut(ctx, true); err != nil {
				return err
			}
		}
	}
	if o.all && len(found) == 0 && !o.json {
		fmt.Fprintln(s.out, o.nothing(s))
	}
	var ids []blocklist.ID
	for _, p := range found {
		if o.decideOne(ctx, s, t, p) {
			ids = append(ids, p.ID)
		}
	}
	if t.shown > 0 && !o.json {
		how := "--yes"
		if o.verb == blocklist.Approve {
			how += ", or --effect and the digest,"
		}
		fmt.Fprintln(s.out, "nothing was decided; "+how+" does it")
	}
	if o.verb == blocklist.Approve && !o.noWait && len(ids) > 0 {
		t.await(ctx, ids)
	} else if o.verb == blocklist.Approve && len(ids) > 0 && !o.json {
		fmt.Fprintln(s.out, s.later())
	}
	return t.end()
}

// later says who carries out what nobody waits for.
func (s *session) later() string {
	if s.now.Holder != "" {
		return "recorded; " + s.who()
	}
	return "recorded; the next process that runs on this journal carries it out"
}

// decides says that the command goes beyond showing. What a no or a pause was named
// for needs no second word.
func (o *reviewOptions) decides() bool {
	return o.yes || len(o.effects) > 0 || o.verb != blocklist.Approve && !o.all
}

// meant gives the proposals that are meant; words that mean none have failed.
func (o *reviewOptions) meant(ctx context.Context, s *session, t *tally) ([]*engine.Proposal, error) {
	if o.all {
		return o.chosen(ctx, s)
	}
	var out []*engine.Proposal
	for _, word := range o.words {
		found := false
		for _, p := range s.now.Proposals {
			if !names(word, p.Block) {
				continue
			}
			found = true
			p, err := s.engine.Preview(ctx, p.ID)
			switch {
			case errors.Is(err, blocklist.ErrDecided):
				t.decided(ctx, word)
			case err != nil:
				return nil, err
			default:
				out = append(out, p)
			}
		}
		if !found {
			t.notPending(word)
		}
	}
	return out, nil
}

// decided tells that what a word means is no proposal any more; somebody was faster.
func (t *tally) decided(ctx context.Context, word string) {
	t.s.current(ctx, func(snap *engine.Snapshot) bool { return blockNamed(snap, word) != nil })
	t.notPending(word)
}

// notPending tells who has decided what a word means, or that it means nothing.
func (t *tally) notPending(word string) {
	b := blockNamed(t.s.last, word)
	if b == nil {
		t.fail(decisionLine{ID: clean(word)}, fmt.Errorf("%s: %w", clean(word), blocklist.ErrUnknownBlock))
		return
	}
	t.fail(lineOf(b.Block), alreadyError(b.Block))
}

// blockNamed gives the newest block that was decided and that a word means.
func blockNamed(snap *engine.Snapshot, word string) *engine.BlockView {
	for _, b := range snap.Blocks { // newest decision first
		if names(word, b.Block) {
			return b
		}
	}
	return nil
}

// alreadyError says who has decided a block, and is blocklist.ErrDecided.
func alreadyError(b blocklist.Block) error { return &already{decidedBy(b)} }

type already struct{ text string }

func (a *already) Error() string { return a.text }
func (a *already) Unwrap() error { return blocklist.ErrDecided }

// decideOne shows the effect and decides; it says whether it did.
func (o *reviewOptions) decideOne(ctx context.Context, s *session, t *tally, p *engine.Proposal) bool {
	l := lineOf(p.Block)
	if o.verb == blocklist.Approve || !o.decides() {
		o.show(s, p)
		l.Effect, l.Effects = p.Digest, newProposalLine(p, nil).Effects
	}
	switch {
	case !o.decides():
		t.shown++
		if o.json {
			l.Result = "shown"
			t.say(l, "")
		}
		return false
	case len(o.effects) > 0 && !o.bound(p.Digest):
		t.fail(l, fmt.Errorf("%s: not approved: %w", p.Prefix, blocklist.ErrEffectChanged))
		return false
	}
	d := blocklist.Decision{Verb: o.verb, Reason: o.reason, Effect: p.Digest}
	if o.verb == blocklist.Snooze {
		d.Until = s.now.At.Add(o.until)
	}
	err := s.decide(ctx, p.ID, d)
	switch {
	case errors.Is(err, blocklist.ErrDecided):
		t.decided(ctx, string(p.ID))
		return false
	case errors.Is(err, blocklist.ErrEffectChanged):
		t.fail(l, fmt.Errorf("%s: not approved: %w", p.Prefix, blocklist.ErrEffectChanged))
		o.showAgain(ctx, s, p)
		return false
	case err != nil:
		t.fail(l, err)
		return false
	}
	t.done++
	l.Result = o.done
	text := fmt.Sprintf("%s %s %s", o.done, p.Prefix, p.Direction)
	if !d.Until.IsZero() {
		text += " until " + moment(d.Until)
	}
	if o.verb != blocklist.Approve || o.noWait {
		t.say(l, text)
	}
	return true
}

// bound says that the effect is one of those that were shown before.
func (o *reviewOptions) bound(digest string) bool {
	for _, e := range o.effects {
		if strings.HasPrefix(digest, strings.ToLower(e)) {
			return true
		}
	}
	return false
}

func (o *reviewOptions) show(s *session, p *engine.Proposal) {
	if o.json {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, weight %s\n", p.What(), p.Direction, p.Score)
	writeEffect(&b, p)
	fmt.Fprint(s.out, b.String())
}

// showAgain shows the effect as it is now.
func (o *reviewOptions) showAgain(ctx context.Context, s *session, p *engine.Proposal) {
	if now, err := s.engine.Preview(ctx, p.ID); err == nil {
		o.show(s, now)
	}
}

// await waits until the entries are where they should be, and tells of each block.
func (t *tally) await(ctx context.Context, ids []blocklist.ID) {
	if !t.s.o.json {
		fmt.Fprintln(t.s.out, "recorded; "+t.s.who())
	}
	snap, err := t.s.settled(ctx, ids)
	for _, id := range ids {
		b := blockView(snap, id)
		if b == nil {
			continue
		}
		l := lineOf(b.Block)
		l.Result, l.Entries, l.CarriedOutBy = string(b.State), entriesOf(b), clean(t.s.now.Holder)
		switch {
		case t.s.o.json:
			if err != nil {
				l.Error = clean(err.Error())
			}
			t.say(l, "")
		default:
			t.say(l, standsText(b))
		}
		if b.State == blocklist.Active && !standing(b) {
			t.failed++
		}
	}
	if err != nil {
		t.failed++
		t.why = err
		fmt.Fprintf(t.s.errs, "selfprotect: %s\n", clean(err.Error()))
	}
}

// standing says that a block in force is denied wherever it should be.
func standing(b *engine.BlockView) bool {
	return !slices.ContainsFunc(b.Presence, func(p engine.Presence) bool {
		return p.Status != "present" && p.Status != "covered" && !b.Cover
	})
}

// standsText says where the entries of a block stand, a line for each.
func standsText(b *engine.BlockView) string {
	var out []string
	for _, p := range b.Presence {
		entry := fmt.Sprintf("%s %d of %s", p.Direction, p.Number, p.ACL)
		if p.Entry.IsValid() {
			entry += fmt.Sprintf(" (%s)", p.Entry)
		}
		text := fmt.Sprintf("%s of %s: %s", p.Direction, p.ACL, p.Status)
		switch p.Status {
		case "present":
			text = "denied by " + entry + ", read back"
		case "removed":
			text = fmt.Sprintf("gone from %s of %s, read back", p.Direction, p.ACL)
		}
		if p.Note != "" {
			text += ", " + clean(p.Note)
		}
		out = append(out, wrap(fmt.Sprintf("%s %s", b.Prefix, text), "        "))
	}
	return strings.Join(out, "\n")
}

func entriesOf(b *engine.BlockView) []entryLine {
	var out []entryLine
	for _, p := range b.Presence {
		out = append(out, entryLine{ACL: p.ACL, Direction: p.Direction.String(), Number: p.Number, Status: p.Status, Note: clean(p.Note)})
	}
	return out
}

// lifetime gives a time to live as people read it.
func lifetime(d time.Duration) string {
	day := 24 * time.Hour
	switch {
	case d >= 2*day && d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}
