package ui

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// errNoAllow says that the engine behind the console keeps no allowances.
var errNoAllow = errors.New("this console cannot keep what is never blocked")

// allowing makes prefixes never blocked until a time; zero is without an end.
func allowing(until time.Time) action {
	return action{name: "allow", done: "never blocked from now on", until: until, loose: true,
		whyNot: func(m *Model, t target) string {
			switch {
			case m.live != nil && m.live.ReadOnly:
				return "this console is read-only"
			case !t.prefix.IsValid():
				return "no address is on this row"
			}
			return ""
		},
		exec: func(ctx context.Context, c engine.Console, t target, d blocklist.Decision) error {
			e, ok := c.(engine.Allower)
			if !ok {
				return errNoAllow
			}
			return e.Allow(ctx, blocklist.Allowance{Prefix: t.prefix, Actor: d.Actor, Reason: d.Reason, Expires: d.Until})
		}}
}

// allow asks for how long an address is never blocked, then why.
func (m *Model) allow() tea.Cmd {
	c, ok := m.choose(allowing(time.Time{}))
	if !ok {
		return nil
	}
	return m.askAllow(c)
}

func (m *Model) askAllow(c choice) tea.Cmd {
	end := func(key, text string, d time.Duration) option {
		at := time.Time{}
		if d > 0 {
			at = m.now.Add(d)
			text += ", until " + m.until(at)
		}
		return option{key, text, "", func(m *Model) tea.Cmd { return m.askAllowWhy(c, at) }}
	}
	choices := []option{end("1", "one day", 24*time.Hour), end("7", "a week", 7*24*time.Hour), end("3", "30 days", 30*24*time.Hour), end("n", "without an end", 0)}
	if c.alone() {
		choices = append(choices, option{"c", "another CIDR than this one", "", func(m *Model) tea.Cmd { return m.askAllowCIDR(c.ok[0].prefix) }})
	}
	return m.askOne(allowTitle(c), m.allowText(c), choices)
}

func allowTitle(c choice) string {
	if n := len(c.ok); n > 1 {
		return fmt.Sprintf("Never block %d: %s to %s?", n, c.ok[0].cidr, c.ok[n-1].cidr)
	}
	return "Never block " + c.ok[0].cidr + "?"
}

// allowText says what an allowance ends.
func (m *Model) allowText(c choice) []string {
	var out []string
	for _, t := range c.ok {
		out = append(out, m.endsBy(t.prefix)...)
	}
	if len(out) == 0 {
		out = []string{"Nothing waits for it and nothing blocks it now."}
	}
	if len(c.ok) > 1 {
		for _, t := range c.ok {
			out = append(out, "allows "+t.cidr)
		}
	}
	for _, l := range c.left {
		out = append(out, "left out: "+l.cidr+": "+l.why)
	}
	return out
}

// endsBy names the proposals and blocks that end when a prefix is allowed.
func (m *Model) endsBy(p netip.Prefix) []string {
	var out []string
	for _, x := range m.snap.Proposals {
		if x.Prefix.Overlaps(p) {
			out = append(out, fmt.Sprintf("ends the proposal %s %s", x.What(), x.Direction))
		}
	}
	for _, b := range m.snap.Blocks {
		if b.State == blocklist.Active && b.Prefix.Overlaps(p) {
			out = append(out, fmt.Sprintf("ends the block %s %s: its deny entries are removed", b.What(), b.Direction))
		}
	}
	return out
}

// askAllowCIDR takes another CIDR than the one of the row, such as its network.
func (m *Model) askAllowCIDR(p netip.Prefix) tea.Cmd {
	in := &input{label: "CIDR", max: 50, paste: true, text: []rune(p.String())}
	in.lacks = func(s string) string {
		if _, err := netip.ParsePrefix(s); err != nil {
			return "that is no CIDR; esc cancels"
		}
		return ""
	}
	return m.askText("Never block which CIDR?", []string{"A wider one ends every proposal and block that it touches."}, in, "go on", func(m *Model, s string) tea.Cmd {
		q, err := netip.ParsePrefix(s)
		if err != nil {
			return nil
		}
		q = q.Masked()
		return m.askAllow(choice{ok: []target{addressTarget(q)}})
	})
}

// addressTarget is a prefix that need not be a block.
func addressTarget(p netip.Prefix) target {
	return target{block: blocklist.ID("address " + p.String()), cidr: p.String(), prefix: p}
}

func (m *Model) askAllowWhy(c choice, until time.Time) tea.Cmd {
	text := m.allowText(c)
	if until.IsZero() {
		text = append([]string{"Without an end: until a person takes it back."}, text...)
	} else {
		text = append([]string{"Until " + m.until(until) + "."}, text...)
	}
	return m.askText(allowTitle(c), text, reasonInput(), "never block it", func(m *Model, why string) tea.Cmd {
		return m.actOn(allowing(until), c, why)
	})
}

// openAllowed shows what is never blocked by the word of a person.
func (m *Model) openAllowed() tea.Cmd {
	m.overlay, m.allowAt, m.scroll[paneList] = overlayAllowed, "", 0
	return nil
}

func (m *Model) allowedPage() []string {
	list := m.allowances()
	if len(list) == 0 {
		return []string{line(m.w, seg{m.th.dim, "  nobody has said that an address must never be blocked; A on a row does. selfprotect guard show tells the rest"})}
	}
	at := m.allowIndex()
	var out []string
	for i, a := range list {
		end := "without an end"
		if !a.Expires.IsZero() {
			end = "until " + m.until(a.Expires) + ", " + spanLong(a.Expires.Sub(m.now)) + " left"
		}
		name := m.masked(a.Prefix.String())
		text := line(m.w, seg{m.th.bold, "  " + fit(name, max(width(name), 20)) + " "}, seg{m.th.plain, end},
			seg{m.th.dim, "  by " + clean(a.Actor) + " " + age(m.now, a.At) + " ago: " + m.masked(clean(a.Reason))})
		if i == at {
			text = m.th.cursor.text(fit(stripped(text), m.w))
			m.scroll[paneList] = min(max(m.scroll[paneList], i-m.bodyHeight()+2), i)
		}
		out = append(out, text)
	}
	return out
}

// allowances are those that the page is searched for.
func (m *Model) allowances() []blocklist.Allowance {
	var out []blocklist.Allowance
	for _, a := range m.snap.Allowances {
		if m.searched(a.Prefix.String() + " " + a.Actor + " " + a.Reason) {
			out = append(out, a)
		}
	}
	return out
}

func (m *Model) allowIndex() int {
	return max(slices.IndexFunc(m.allowances(), func(a blocklist.Allowance) bool { return a.Prefix.String() == m.allowAt }), 0)
}

func (m *Model) allowedKey(name string) tea.Cmd {
	list := m.allowances()
	i := m.allowIndex()
	switch name {
	case "j", "down":
		i++
	case "k", "up":
		i--
	case "enter", "d":
		if len(list) > 0 {
			return m.askDisallow(list[i])
		}
	default:
		m.closePage()
		return nil
	}
	if len(list) > 0 {
		m.allowAt = list[max(0, min(i, len(list)-1))].Prefix.String()
	}
	return nil
}

// askDisallow asks why an address may be blocked again.
func (m *Model) askDisallow(a blocklist.Allowance) tea.Cmd {
	text := []string{"It may be blocked again from then on. Blocks that it ended do not come back by themselves."}
	return m.askText("May "+a.Prefix.String()+" be blocked again?", text, reasonInput(), "may be blocked again", func(m *Model, why string) tea.Cmd {
		return m.decide(addressTarget(a.Prefix), disallowing(), why)
	})
}

func disallowing() action {
	return action{name: "allow blocking of", done: "may be blocked again:", exec: func(ctx context.Context, c engine.Console, t target, d blocklist.Decision) error {
		e, ok := c.(engine.Allower)
		if !ok {
			return errNoAllow
		}
		return e.Disallow(ctx, t.prefix, d.Actor, d.Reason)
	}}
}
