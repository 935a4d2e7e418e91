package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"selfprotect/blocklist"
	"selfprotect/engine"
)

// typeIn types a text, key by key.
func (s *screen) typeIn(text string) {
	for _, r := range text {
		s.clock.advance(50 * time.Millisecond)
		if r == ' ' {
			s.send(tea.KeyPressMsg{Code: tea.KeySpace, Text: " "})
			continue
		}
		s.send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

// command runs a line of the palette.
func (s *screen) command(text string) {
	s.press(":")
	s.typeIn(text)
	s.press("enter")
}

// shown are the rows of the list on the screen.
func (s *screen) shown() []string { return s.m.list().ids }

// varied has alerts that differ in what can be looked for.
func varied() *engine.Snapshot {
	s := full()
	for i, a := range s.Alerts {
		a.Severity = 1 + i%3
		a.CreatedAt = t0.Add(-time.Duration(i) * time.Hour)
		a.Events = i
	}
	s.Alerts[1].Host, s.Alerts[1].Sightings[0].Evidence[0].User = "db-1", "postgres"
	s.Proposals[2].Weight, s.Proposals[2].Score = 300, blocklist.Score{Rule: 300}
	return s
}

func TestFilterFindsWhatIsAskedFor(t *testing.T) {
	for filter, want := range map[string]int{
		"": 10, "state:pending": 6, "state:refused": 1, "state:blocked|refused": 4, "!state:pending": 4, "pending": 6, "refused": 1,
		"host:db": 1, "user:postgres": 1, "postgres": 1, "!user:postgres": 9, "sev>=high": 4, "sev:low": 3, "age<2h": 2, "age>=8h": 2,
		"cidr:198.51.100.0/29": 6, "cidr:198.51.100.2": 1, "cidr:10.0.0.0/8": 1, "addr:113": 3, "events>7": 2, "port:443": 10, "dir:in": 0, "dir:out": 10,
		"process:curl cidr:203.0.113.0/24": 3, "alert:alert-10.": 1, "rule:wan": 10, "reason:rfc": 1, "what:outbound": 10, "container:9b8d": 10,
	} {
		s := newScreen(t, 160, 40)
		s.show(varied())
		s.press("/")
		s.typeIn(filter)
		s.press("enter")
		if n := len(s.shown()); n != want || s.m.prompt != nil {
			t.Errorf("%s shows %d rows, want %d\n%s", filter, n, want, s.frame())
		}
	}
	for list, cases := range map[string]map[string]int{
		"2": {"weight>=300": 1, "hosts:1": 6, "seen>1": 6, "seen>2": 0, "user:postgres": 1, "cidr:198.51.100.3/32": 1, "expires<1h": 0, "acl:0123456789": 6, "agent-1": 0, "host:agent-1": 6},
		"3": {"by:bob": 3, "expires<1d": 3, "expires>23h": 0, "state:blocked": 3, "state:approved": 3, "weight>0": 3, "cidr:203.0.113.2": 1},
		"4": {"event:fault": 1, "reason:key": 1, "fault": 1, "by:engine": 1, "state:error": 1, "entry": 1, "cidr:203.0.113.0/24": 0},
	} {
		for filter, want := range cases {
			s := newScreen(t, 160, 40)
			s.show(varied())
			s.press(list, "/")
			s.typeIn(filter)
			s.press("enter")
			if n := len(s.shown()); n != want {
				t.Errorf("list %s: %s shows %d rows, want %d", list, filter, n, want)
			}
		}
	}
}

// TestFilterMistakeLeavesTheList: while a filter is not understood the rows stay,
// enter does not take it, and the place is shown.
func TestFilterMistakeLeavesTheList(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(varied())
	s.press("/")
	s.typeIn("user:postgres")
	if len(s.shown()) != 1 {
		t.Fatal("the filter is not live")
	}
	s.send(tea.PasteMsg{Content: " wieght>3"})
	s.press("enter")
	s.expect(`no column "wieght"; did you mean weight?`)
	if len(s.shown()) != 1 || s.m.prompt == nil {
		t.Errorf("a mistake changes the list or is taken")
	}
	s.press("esc")
	if len(s.shown()) != 10 || s.m.filter != "" {
		t.Errorf("esc does not clear the filter")
	}
}

func TestFilterHistoryAndCompletion(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(varied())
	for _, f := range []string{"user:root", "host:web"} {
		s.press("/")
		s.m.prompt.set("")
		s.typeIn(f)
		s.press("enter")
	}
	s.press("esc", "/")
	s.typeIn("dra")
	for _, step := range []struct{ key, want string }{{"up", "host:web"}, {"up", "user:root"}, {"up", "user:root"}, {"down", "host:web"}, {"down", "dra"}, {"down", "dra"}} {
		s.press(step.key)
		if got := string(s.m.prompt.in.text); got != step.want {
			t.Errorf("%s gives %q, want %q", step.key, got, step.want)
		}
	}
	s.m.prompt.set("curl !wei")
	s.press("tab")
	if got := string(s.m.prompt.in.text); got != "curl !weight:" {
		t.Errorf("tab gives %q", got)
	}
	s.m.prompt.set("")
	s.send(tea.PasteMsg{Content: "198.51.100.3\x1b[31m"})
	if got := string(s.m.prompt.in.text); !strings.HasPrefix(got, "198.51.100.3") || strings.Contains(got, "\x1b") {
		t.Errorf("a paste gives %q", got)
	}
}

// TestFilterFollowsTheRows: a row passes or not by what it is now.
func TestFilterFollowsTheRows(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(varied())
	s.press("/")
	s.typeIn("user:postgres")
	s.press("enter")
	next := varied()
	next.Alerts = append([]*engine.AlertRow{alertRow("192.0.2.1/32", "new")}, next.Alerts...)
	next.Alerts[0].Sightings[0].Evidence[0].User = "postgres"
	changed := *next.Alerts[3]
	changed.Sightings = slices.Clone(changed.Sightings)
	e := changed.Sightings[0].Evidence[0]
	e.User = "postgres"
	changed.Sightings[0].Evidence = append(changed.Sightings[0].Evidence[:0:0], e)
	next.Alerts[3] = &changed
	s.show(next)
	if got := s.shown(); len(got) != 3 || got[0] != "alert-192.0.2.1/32" {
		t.Errorf("shows %q", got)
	}
	// The words of rows that are the same are not made anew; of others they are.
	f := s.m.factsOf()
	for i, a := range s.m.snap.Alerts {
		if f[i].row != a || f[i].text != alertText(a) || f[i].key != groupKey(&record{alert: a}) {
			t.Fatalf("row %d has the words of another", i)
		}
	}
}

func TestFactsFollowEveryChange(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.show(varied())
	s.m.factsOf()
	rows := varied().Alerts
	for _, next := range [][]*engine.AlertRow{rows, rows[3:], {rows[5], rows[1]}, slices.Concat([]*engine.AlertRow{alertRow("192.0.2.9/32", "x")}, rows[2:4], rows[7:], rows[:2]), nil, rows} {
		snap := varied()
		snap.Alerts = next
		s.show(snap)
		for i, f := range s.m.factsOf() {
			if f.row != next[i] || f.text != alertText(next[i]) {
				t.Fatalf("row %d has the words of another", i)
			}
		}
	}
}

func TestSort(t *testing.T) {
	s := newScreen(t, 160, 40)
	s.show(varied())
	s.press("j", "j")
	cursor := s.m.list().cursor
	s.press("o", "o", "o") // state, age, severity
	s.expect("SEV↓", "sorted by sev, highest first")
	if s.m.list().cursor != cursor {
		t.Errorf("the cursor left its row")
	}
	last := int64(9)
	for _, id := range s.shown() {
		r := s.m.record(tabAlerts, id)
		if r.severity() > last {
			t.Fatalf("not sorted: %q", s.shown())
		}
		last = r.severity()
	}
	down := slices.Clone(s.shown())
	s.press("O")
	s.expect("SEV↑")
	if s.shown()[0] == down[0] || s.m.list().cursor != cursor {
		t.Errorf("not reversed, or the cursor left its row")
	}
	s.command("sort -addr")
	if got := s.m.record(tabAlerts, s.shown()[0]); got.alert.Sightings[0].Addr.String() != "203.0.113.3" {
		t.Errorf("first is %s", got.alert.ID)
	}
	s.command("sort none")
	if s.m.look[tabAlerts].Sort != "" || s.shown()[0] != "alert-198.51.100.1/32" {
		t.Errorf("not in the usual order")
	}
	s.press("O")
	s.expect("the list is not sorted by a column")
	s.command("sort wait")
	s.expect("no column")
	// Every column of every list sorts, and a new snapshot is sorted too.
	for i, name := range tabNames {
		s.command(name)
		for _, c := range columnNames(tab(i)) {
			s.command("sort " + c)
			before := slices.Clone(s.shown())
			s.show(varied())
			if !slices.Equal(before, s.shown()) {
				t.Errorf("%s by %s moves", name, c)
			}
		}
	}
}

func TestColumns(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(varied())
	s.command("columns user, age addr")
	heads := strings.Split(s.frame(), "\n")[3]
	if f := strings.Fields(heads); f[0] != "USER" || f[1] != "AGE" || f[2] != "ADDRESS" {
		t.Errorf("heads are %q", heads)
	}
	s.expect("postgres")
	s.command("columns usr")
	s.expect(`no column "usr" here; did you mean user?`)
	s.command("columns user user")
	s.expect("there twice")
	s.command("columns default")
	s.expect("STATE", "the usual columns")
	for i, name := range tabNames {
		s.command(name)
		s.command("columns " + strings.Join(columnNames(tab(i)), " "))
		s.frame()
	}
}

// repeats is a snapshot with n more alerts of the first address.
func repeats(n int) *engine.Snapshot {
	s := full()
	for i := range n {
		a := alertRow("198.51.100.1/32", "again")
		a.ID = fmt.Sprint("more-", i)
		a.CreatedAt = t0.Add(-time.Duration(i) * time.Hour)
		s.Alerts = append(s.Alerts, a)
	}
	return s
}

func TestGroups(t *testing.T) {
	s := newScreen(t, 200, 40)
	s.show(repeats(30))
	s.press("t")
	s.expect("+31", "1 group by rule and address")
	if len(s.shown()) != 10 {
		t.Fatalf("shows %d rows", len(s.shown()))
	}
	s.press("g", "a") // a group acts as one
	if len(s.con.calls) != 1 || s.con.calls[0].id != full().Proposals[0].ID {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	s.press("enter")
	if len(s.shown()) != 41 {
		t.Fatalf("open it shows %d rows", len(s.shown()))
	}
	s.expect("-31")
	s.press("j", "j")
	s.send(tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}) // from a member
	if len(s.shown()) != 10 || !strings.HasPrefix(s.m.list().cursor, groupMark) {
		t.Errorf("closing shows %d rows, cursor %q", len(s.shown()), s.m.list().cursor)
	}
	// New members join, the group stays where it is, under the cursor.
	s.show(repeats(40))
	s.expect("+41")
	s.press("x")
	if s.m.marks[tabAlerts].len() != 41 {
		t.Errorf("marks %d rows", s.m.marks[tabAlerts].len())
	}
	s.press("t")
	if len(s.shown()) != 50 {
		t.Errorf("ungrouped it shows %d rows", len(s.shown()))
	}
	s.send(tea.KeyPressMsg{Code: tea.KeySpace, Text: " "})
	s.expect("no group on this row")
	for _, list := range []string{"2", "3", "4"} {
		s.press(list, "t")
		s.frame()
	}
}

func TestPaletteActsOnWhatWasShown(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press("2", "j", ":")
	want := full().Proposals[1]
	// While it is open the list stands still; the effect changes behind it.
	next := full()
	next.Proposals = next.Proposals[2:]
	s.show(next)
	s.typeIn("approve")
	s.press("enter")
	if len(s.con.calls) != 0 {
		t.Fatalf("decided what had changed: %+v", s.con.calls)
	}
	s.expect("row changed, look again")
	s.show(full())
	s.m.list().to(1)
	s.m.frame = ""
	s.frame()
	s.clock.advance(time.Second)
	s.command("approve")
	if len(s.con.calls) != 1 || s.con.calls[0].id != want.ID || s.con.calls[0].d.Effect != want.Digest {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	// A question stays a question.
	s.press("3")
	s.command("unblock")
	if s.m.dialog == nil || len(s.con.calls) != 1 {
		t.Fatalf("the palette is a way around the question")
	}
	s.press("esc")
	s.command("mode auto")
	if s.m.dialog == nil || len(s.con.calls) != 1 {
		t.Fatalf("the palette is a way around the typed word")
	}
	s.press("esc")
	s.command("mode observe")
	if len(s.con.calls) != 2 || s.con.calls[1].mode == 0 {
		t.Errorf("asked for %+v", s.con.calls)
	}
}

func TestPalette(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.show(full())
	s.press(":")
	s.typeIn("appr")
	s.expect("approve (a)", "it is blocked as shown")
	s.press("enter") // not named in full
	s.expect(`no command "appr"; did you mean approve?`)
	if len(s.con.calls) != 0 {
		t.Fatalf("a part of a name is taken")
	}
	s.press("tab")
	if got := string(s.m.prompt.in.text); got != "approve" {
		t.Errorf("tab gives %q", got)
	}
	s.press("esc")
	s.command("theme mono")
	if s.m.cfg.Theme != "mono" {
		t.Errorf("theme is %s", s.m.cfg.Theme)
	}
	s.command("acl web")
	s.command("acl nowhere")
	s.expect(`no network ACL "nowhere"`)
	s.command("goto 203.0.113.2")
	if s.m.tab != tabAlerts || s.m.list().cursor != "alert-203.0.113.2/32" {
		t.Errorf("went to %q of list %d", s.m.list().cursor, s.m.tab)
	}
	s.command("goto 192.0.2.0/24")
	s.expect("no row of 192.0.2.0/24")
	s.command("goto 198.51.100.250")
	s.expect("entry 50 of " + demoACL + " denies it")
	s.command("filter state:refused")
	if len(s.shown()) != 1 {
		t.Errorf("shows %d rows", len(s.shown()))
	}
	s.command("filter nope:1")
	s.expect("no column")
	s.command("filter") // without a text it opens the prompt
	s.press("esc")
	if len(s.shown()) != 10 {
		t.Errorf("shows %d rows", len(s.shown()))
	}
	s.command("blocks")
	if s.m.tab != tabBlocks {
		t.Errorf("list %d", s.m.tab)
	}
	s.press(":", "up")
	if got := string(s.m.prompt.in.text); got != "blocks" {
		t.Errorf("the last command is %q", got)
	}
	s.press("esc", ":")
	s.typeIn("pause now")
	s.press("enter")
	s.expect("pause takes nothing more")
}

// TestHelpIsSearched: the help holds every key as it is bound, and finds.
func TestHelpIsSearched(t *testing.T) {
	for _, w := range []int{45, 120} {
		s := newScreen(t, w, 24, func(c *Config) { c.Keys = map[string][]string{"group": {"ctrl+g"}} })
		s.show(full())
		all := strings.Join(strings.Fields(strings.Join(s.m.helpLines(), "\n")), " ")
		for _, b := range s.m.keys.list {
			if !strings.Contains(all, b.keyText()) {
				t.Errorf("the help lacks %s of %s", b.keyText(), b.action)
			}
		}
		s.press("?", "/")
		s.typeIn("rule and addr")
		s.expect("ctrl+g")
		s.expectNot("approve")
		s.press("enter", "esc")
		s.expect("approve")
		s.press("esc")
		if s.m.overlay != overlayNone {
			t.Errorf("esc does not close the help")
		}
	}
}

// TestFindingFrames are the frames of finding at four sizes.
func TestFindingFrames(t *testing.T) {
	for name, set := range map[string]func(s *screen){
		"find-filter":  func(s *screen) { s.press("/"); s.typeIn("sev>=med !user:postgres") },
		"find-mistake": func(s *screen) { s.press("/"); s.typeIn("curl wieght>120") },
		"find-sorted":  func(s *screen) { s.command("sort sev") },
		"find-grouped": func(s *screen) { s.show(repeats(30)); s.press("t", "g") },
		"find-open":    func(s *screen) { s.show(repeats(5)); s.press("t", "g", "enter", "j") },
		"find-palette": func(s *screen) { s.press(":"); s.typeIn("un"); s.press("tab") },
		"find-columns": func(s *screen) { s.press(":"); s.typeIn("columns age ") },
		"find-help":    func(s *screen) { s.press("?", "/"); s.typeIn("mark") },
		"find-views": func(s *screen) {
			s.command("filter sev>=high")
			s.command("view save urgent")
			s.press("2", "esc")
			s.command("filter weight>=300")
			s.command("view save heavy")
			s.press("esc", "5")
		},
		"find-prefix": func(s *screen) { s.press("*") },
	} {
		for _, size := range [][2]int{{45, 20}, {80, 24}, {120, 40}, {200, 60}} {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				s := newScreen(t, size[0], size[1])
				s.show(varied())
				set(s)
				golden(t, fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), s.frame())
			})
		}
	}
}

// TestPaletteProperty: whatever comes while the palette is open, an action acts on
// what the frame before it highlighted and on nothing else, only when that is still
// so, and what asks with a key asks here too.
func TestPaletteProperty(t *testing.T) {
	asks := map[string]bool{"unblock": true, "restore": true, "undo": true}
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{rt: rt, s: newScreen(t, rapid.IntRange(40, 200).Draw(rt, "w"), 40)}
		s := w.s
		s.show(w.snapshot())
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			s.clock.advance(time.Second)
			s.press(rapid.SampledFrom(strings.Fields("1 2 3 j j k t o O G g esc")).Draw(rt, "key"))
			if s.m.dialog != nil || s.m.overlay != overlayNone {
				s.press("esc")
			}
			s.clock.advance(time.Second)
			shown, before := s.m.drawn, len(s.con.calls)
			s.press(":")
			for range rapid.IntRange(0, 2).Draw(rt, "snapshots") {
				s.show(w.snapshot())
			}
			action := rapid.SampledFrom([]string{"approve", "deny", "unblock", "pin", "restore", "undo", "sort age", "columns age addr", "group", "filter 198", "mode auto"}).Draw(rt, "action")
			s.typeIn(action)
			s.send(keyMsg("enter"))
			for _, c := range s.con.calls[before:] {
				i := slices.IndexFunc(shown.targets, func(x target) bool { return x.block == c.id })
				if i < 0 || asks[action] || c.mode != 0 {
					rt.Fatalf("%s decided %s %s; shown was %+v", action, c.d.Verb, c.id, shown.targets)
				}
				if live := newIndex(s.m.live).target(c.id); live == nil || live.digest != c.d.Effect || live.state != shown.targets[i].state {
					rt.Fatalf("%s decided what is not there any more: %s", action, c.id)
				}
			}
			if s.m.dialog != nil {
				s.press("esc")
			}
		}
	})
}

// FuzzFind types anything at the prompts: every frame fits its terminal, and
// nothing is decided without a question but what is named in full.
func FuzzFind(f *testing.F) {
	f.Add("/sev>=high \"a b\n:sort -age\no", uint8(120), uint8(40))
	f.Add(":columns age\t\t\n:view save x\n5:view delete x\nt \n", uint8(45), uint8(20))
	f.Add("/état:é\x1b:goto ::1\n?/mark\n\x1b", uint8(80), uint8(24))
	f.Fuzz(func(t *testing.T, keys string, w, h uint8) {
		s := newScreen(t, max(int(w), 1), max(int(h), 1), func(c *Config) { c.Store = &memory{} })
		s.show(hostile())
		special := map[rune]tea.KeyPressMsg{'\n': {Code: tea.KeyEnter}, '\t': {Code: tea.KeyTab}, 0x1b: {Code: tea.KeyEscape}, 0x7f: {Code: tea.KeyBackspace}, ' ': {Code: tea.KeySpace, Text: " "}, '^': {Code: tea.KeyUp}, '_': {Code: tea.KeyDown}}
		for _, r := range keys {
			k, ok := special[r]
			if !ok {
				k = tea.KeyPressMsg{Code: r, Text: string(r)}
			}
			s.clock.advance(200 * time.Millisecond)
			s.send(k)
		}
	})
}

// TestColumnsOfTheConfiguration: they are what a list comes with, until :columns.
func TestColumnsOfTheConfiguration(t *testing.T) {
	store := &memory{}
	with := func(c *Config) { c.Store, c.Columns = store, map[string][]string{"alerts": {"user", "age"}} }
	s := newScreen(t, 120, 40, with)
	s.show(varied())
	s.expect(" USER      AGE")
	s.m.commandColumns("addr age")
	s.keepNow()
	s = newScreen(t, 120, 40, with)
	s.show(varied())
	s.expect(" ADDRESS ")
	s.m.commandColumns("default")
	s.keepNow()
	s = newScreen(t, 120, 40, with)
	s.show(varied())
	s.expect(" USER      AGE")
}

// TestGotoLeavesAView: a row outside the view is found on its own list.
func TestGotoLeavesAView(t *testing.T) {
	s := newScreen(t, 120, 40, func(c *Config) { c.Views = []View{NewView("one", "proposals", "cidr:198.51.100.1", "", nil, false)} })
	s.show(varied())
	s.press("5")
	s.command("goto 198.51.100.4")
	if s.m.view != 0 || s.m.tab != tabProposals || s.m.list().cursor != string(varied().Proposals[3].ID) {
		t.Errorf("view %d, list %d, cursor %s", s.m.view, s.m.tab, s.m.list().cursor)
	}
	s.press("5")
	s.command("goto 203.0.113.3")
	if s.m.tab != tabBlocks || s.m.list().cursor != string(varied().Blocks[2].ID) {
		t.Errorf("list %d, cursor %s", s.m.tab, s.m.list().cursor)
	}
}
