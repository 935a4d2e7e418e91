package ui

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"selfprotect/policy"
)

// command is what can be typed at the palette. Every binding is one by its name;
// those here take something more.
type command struct {
	name, args, help string
	// choices are what may follow, as far as it can be listed.
	choices func(m *Model, typed string) []match
	run     func(m *Model, arg string) tea.Cmd
}

// match is one thing that the palette offers.
type match struct {
	text string // the whole line when it is taken
	show string // its name with what must follow
	help string
	why  string // why not now; empty when it is possible
}

// commands are those that take something more than a key could say. A command is
// never a way around a question: it does what the key does.
func commands() []command {
	words := func(names ...string) func(*Model, string) []match {
		return func(*Model, string) []match { return plainMatches(names) }
	}
	return []command{
		{"filter", "TEXT", "show only rows that match; without a text all of them", nil, (*Model).commandFilter},
		{"sort", "[-]COLUMN", "sort the list; - is the other way round, none the usual order", sortChoices, (*Model).commandSort},
		{"columns", "COLUMN ...", "choose the columns and their order; default for the usual ones", columnChoices, (*Model).commandColumns},
		{"view", "NAME", "open a saved view; view save NAME keeps the list as it is now, view delete NAME forgets one", viewChoices, (*Model).commandView},
		{"acl", "NAME", "show a network ACL, by its name or id", aclChoices, (*Model).commandACL},
		{"goto", "CIDR", "go to the row of an address or prefix", nil, (*Model).commandGoto},
		{"mode", "MODE", "observe or review at once; auto asks for the typed word", words("observe", "review", "auto"), (*Model).commandMode},
		{"theme", "NAME", "change the colours for this session", words(themeNames()...), (*Model).commandTheme},
	}
}

func themeNames() []string { return []string{"auto", "light", "dark", "mono", "safe", "ansi"} }

func findCommand(name string) *command {
	for _, c := range commands() {
		if c.name == name {
			return &c
		}
	}
	return nil
}

// openPalette opens the palette. What it does is about the row that the frame
// before it highlighted.
func (m *Model) openPalette() tea.Cmd {
	m.openPrompt(promptCommand, "")
	return nil
}

// complete finds what may be meant by what is typed.
func (m *Model) complete() {
	p := m.prompt
	p.typed, p.pick, p.err = string(p.in.text), -1, nil
	name, arg, args := strings.Cut(strings.TrimLeft(p.typed, " "), " ")
	if args {
		p.found = nil
		if c := findCommand(name); c != nil && c.choices != nil {
			p.found = narrowed(c.choices(m, arg), arg, name+" ")
		}
		return
	}
	p.found = narrowed(m.allCommands(), name, "")
}

// allCommands lists every command and every action.
func (m *Model) allCommands() []match {
	var out []match
	for _, c := range commands() {
		out = append(out, match{c.name, c.name + " " + c.args, c.help, ""})
	}
	for _, b := range m.keys.list {
		if findCommand(b.action) != nil {
			continue
		}
		show := b.action
		if len(b.keys) > 0 {
			show += " (" + b.keys[0] + ")"
		}
		out = append(out, match{b.action, show, b.help, b.why(m)})
	}
	slices.SortStableFunc(out, func(a, b match) int { return strings.Compare(a.text, b.text) })
	return out
}

// narrowed gives what begins with a text, then what holds it, and what is not
// possible now last; lead stands before each.
func narrowed(all []match, text, lead string) []match {
	text = lower(text)
	var first, second, third []match
	for _, x := range all {
		at := strings.Index(lower(x.text), text)
		x.text = lead + x.text
		switch {
		case at == 0:
			first = append(first, x)
		case at > 0:
			second = append(second, x)
		case text != "" && strings.Contains(lower(x.help), text):
			third = append(third, x)
		}
	}
	all = slices.Concat(first, second, third)
	possible := func(x match) bool { return x.why == "" }
	return append(slices.DeleteFunc(slices.Clone(all), func(x match) bool { return !possible(x) }), slices.DeleteFunc(all, possible)...)
}

func plainMatches(names []string) []match {
	out := make([]match, len(names))
	for i, n := range names {
		out[i] = match{text: n, show: n}
	}
	return out
}

// pickMatch moves among what is offered and writes it on the line.
func (m *Model) pickMatch(d int) {
	p := m.prompt
	n := len(p.found)
	if n == 0 {
		return
	}
	if p.pick < 0 && d < 0 {
		p.pick = 0
	}
	p.pick = (p.pick + d + n) % n
	p.set(p.found[p.pick].text)
}

// enterCommand does what is typed: only what is named in full.
func (m *Model) enterCommand(text string) tea.Cmd {
	p := m.prompt
	name, arg, _ := strings.Cut(text, " ")
	arg = strings.TrimSpace(arg)
	c, b := findCommand(name), m.keys.byAction[name]
	switch {
	case text == "":
		m.cancelPrompt()
		return nil
	case c != nil && (arg != "" || b == nil):
		b = nil
	case b != nil && arg != "":
		p.err = &queryError{len(name) + 1, name + " takes nothing more"}
		return nil
	case b == nil:
		p.err = &queryError{0, m.noCommand(name)}
		return nil
	}
	m.pastOf(promptCommand).add(text)
	m.prompt = nil
	m.drawn = p.drawn
	var cmd tea.Cmd
	if b != nil {
		cmd = m.run(b, name)
	} else {
		cmd = c.run(m, arg)
	}
	m.thaw()
	return cmd
}

func (m *Model) noCommand(name string) string {
	var known []string
	for _, x := range m.allCommands() {
		known = append(known, x.text)
	}
	if n := nearest(name, known); n != "" {
		return fmt.Sprintf("no command %q; did you mean %s?", name, n)
	}
	return fmt.Sprintf("no command %q; tab lists them", name)
}

// matchLines are what the palette offers, at most n lines.
func (m *Model) matchLines(n int) []string {
	p := m.prompt
	if p == nil || p.kind != promptCommand || len(p.found) == 0 || n < 1 {
		return nil
	}
	from := max(0, min(p.pick-n/2, len(p.found)-n))
	shown := p.found[from:min(from+n, len(p.found))]
	wide := 0
	for _, x := range shown {
		wide = max(wide, width(x.show))
	}
	wide = min(wide, m.w/2)
	var out []string
	for i, x := range shown {
		name, help, sign := m.th.key, m.th.plain, "  "
		if x.why != "" {
			name, help = m.th.dim, m.th.dim
			x.help = "not now: " + x.why
		}
		if from+i == p.pick {
			name, sign = m.th.focus, m.gl.pick+" "
		}
		out = append(out, line(m.w, seg{name, " " + sign + fit(x.show, wide)}, seg{help, "  " + clean(x.help)}))
	}
	title := fmt.Sprintf("%d of %d", len(shown), len(p.found))
	return append([]string{m.rule(m.w, "commands", false, title)}, out...)
}

// withMatches puts what the palette offers over the lowest lines of the lists.
func (m *Model) withMatches(lines []string) []string {
	list := m.matchLines(min(8, len(lines)/2))
	copy(lines[max(len(lines)-len(list), 0):], list)
	return lines
}

func (m *Model) commandFilter(arg string) tea.Cmd {
	if err := m.setFilter(arg); err != nil {
		m.say(err.Error(), true)
		return nil
	}
	m.pastOf(promptFilter).add(arg)
	return nil
}

func sortChoices(m *Model, _ string) []match {
	return plainMatches(append([]string{"none"}, columnNames(m.tab)...))
}

func (m *Model) commandSort(arg string) tea.Cmd {
	name, reverse := strings.CutPrefix(lower(arg), "-")
	if name == "none" || name == "" {
		m.sortBy("", false)
		return nil
	}
	c := findColumn(m.tab, name)
	if c == nil {
		m.say(noColumn(m.tab, name), true)
		return nil
	}
	m.sortBy(c.name, reverse)
	return nil
}

// noColumn says that a list has no such column, and which was probably meant.
func noColumn(t tab, name string) string {
	names := columnNames(t)
	if n := nearest(name, names); n != "" {
		return fmt.Sprintf("no column %q here; did you mean %s?", clean(name), n)
	}
	return fmt.Sprintf("no column %q here; there are %s", clean(name), strings.Join(names, ", "))
}

func columnChoices(m *Model, typed string) []match {
	before := ""
	if i := strings.LastIndexByte(typed, ' '); i >= 0 {
		before = typed[:i+1]
	}
	names := columnNames(m.tab)
	if before == "" {
		names = append(names, "default")
	}
	var out []match
	for _, n := range names {
		if !slices.Contains(strings.Fields(before), n) {
			out = append(out, match{text: before + n, show: n})
		}
	}
	return out
}

func (m *Model) commandColumns(arg string) tea.Cmd {
	names := strings.FieldsFunc(lower(arg), func(r rune) bool { return r == ' ' || r == ',' })
	if len(names) == 0 || names[0] == "default" {
		m.look[m.tab].Columns = m.cfg.Columns[tabNames[m.tab]]
		m.rearranged()
		m.say("the usual columns", false)
		return nil
	}
	chosen, why := checkColumns(m.tab, names)
	if why != "" {
		m.say(why, true)
		return nil
	}
	m.look[m.tab].Columns = chosen
	m.rearranged()
	return nil
}

// checkColumns gives the names of columns as they are kept; why says what is wrong
// with them.
func checkColumns(t tab, names []string) (out []string, why string) {
	for _, n := range names {
		c := findColumn(t, n)
		switch {
		case c == nil:
			return nil, noColumn(t, n)
		case slices.Contains(out, c.name):
			return nil, fmt.Sprintf("column %q is there twice", c.name)
		}
		out = append(out, c.name)
	}
	return out, ""
}

func aclChoices(m *Model, _ string) []match {
	var out []match
	if m.snap == nil {
		return nil
	}
	for _, a := range m.snap.ACLs {
		name := a.ID
		if a.Name != "" {
			name = a.Name
		}
		out = append(out, match{text: name, show: name, help: a.ID + " " + a.Region})
	}
	return out
}

func (m *Model) commandACL(arg string) tea.Cmd {
	if m.snap != nil {
		for i, a := range m.snap.ACLs {
			if arg != "" && (arg == a.ID || arg == a.Name) {
				m.nextACL(i - m.acl)
				return nil
			}
		}
	}
	m.say(fmt.Sprintf("no network ACL %q", clean(arg)), true)
	return nil
}

// commandMode lowers the mode at once; raising it to auto takes the typed word in
// its own question.
func (m *Model) commandMode(arg string) tea.Cmd {
	mode, err := policy.ParseMode(lower(arg))
	switch {
	case err != nil:
		m.say("the modes are observe, review and auto", true)
		return nil
	case mode == policy.Auto:
		return m.openMode()
	}
	return m.setMode(mode)
}

func (m *Model) commandTheme(arg string) tea.Cmd {
	if !slices.Contains(themeNames(), arg) {
		m.say("the themes are "+strings.Join(themeNames(), ", "), true)
		return nil
	}
	m.cfg.Theme = arg
	m.restyle()
	return nil
}

// commandGoto goes to the row of an address or prefix: on the list on the screen,
// else, out of any view, on the first that has it.
func (m *Model) commandGoto(arg string) tea.Cmd {
	want, err := parseNet(arg)
	if err != nil {
		m.say(strings.TrimSuffix(quoted("", arg), " ")+" is no address or prefix", true)
		return nil
	}
	if m.gotoIn(m.tab, want) {
		return nil
	}
	m.leaveView()
	for _, t := range []tab{tabProposals, tabBlocks, tabAlerts, tabLog} {
		if m.gotoIn(t, want) {
			return nil
		}
	}
	text := "no row of " + want.String()
	if m.filter != "" {
		text += " passes the filter"
	}
	m.say(text+m.inACL(want), true)
	return nil
}

// gotoIn goes to a row of a list; false when it has none of that prefix.
func (m *Model) gotoIn(t tab, want netip.Prefix) bool {
	m.refillOne(t)
	for i, id := range m.lists[t].ids {
		r := m.record(t, m.leadOf(t, id))
		if s := (&rowSubject{m: m, rec: r}); r.empty() || !s.within(want) {
			continue
		}
		if t != m.tab {
			m.open(t)
		}
		m.pane = paneList
		m.list().follow = false
		m.list().to(i)
		m.movedAt, m.scroll[paneDetail] = m.now, 0
		return true
	}
	return false
}

// inACL says which entry of the network ACL on the screen holds a prefix.
func (m *Model) inACL(want netip.Prefix) string {
	a := m.currentACL()
	if a == nil {
		return ""
	}
	for _, e := range a.Entries {
		if e.Deny && e.Prefix.IsValid() && e.Prefix.Bits() > 0 && e.Prefix.Bits() <= want.Bits() && e.Prefix.Contains(want.Addr()) {
			return fmt.Sprintf("; entry %d of %s denies it", e.Number, a.ID)
		}
	}
	return ""
}
