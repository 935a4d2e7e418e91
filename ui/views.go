package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// tabNames are the lists as configuration and state name them.
var tabNames = [tabCount]string{"alerts", "proposals", "blocks", "log"}

const (
	// firstView is the number of the first saved view; numberedViews have one.
	firstView, numberedViews = 5, 5
	maxViews                 = 20
	maxViewName              = 24
)

// View is a list as somebody likes to see it, under a name.
type View struct {
	Name   string `json:"name"`
	List   string `json:"list"` // alerts, proposals, blocks or log
	Filter string `json:"filter,omitempty"`
	arrangement
}

// NewView gives a view from its parts. Columns may be empty for the usual ones, so
// may sort, which is a column, with - before it for the other way round.
func NewView(name, list, filter, sort string, columns []string, grouped bool) View {
	s, reverse := strings.CutPrefix(sort, "-")
	return View{Name: name, List: list, Filter: filter, arrangement: arrangement{Sort: s, Reverse: reverse, Columns: columns, Grouped: grouped}}
}

// Mistake is what is wrong with one part of a view or of the key map.
type Mistake struct {
	Key        string // name, list, filter, sort, columns; of the key map the action
	Message    string
	Suggestion string
}

// Check says what is wrong with a view.
func (v View) Check() []Mistake {
	var out []Mistake
	if why := badViewName(v.Name); why != "" {
		out = append(out, Mistake{"name", why, ""})
	}
	t := slices.Index(tabNames[:], v.List)
	if t < 0 {
		return append(out, Mistake{"list", fmt.Sprintf("no list %q", v.List), "there are " + strings.Join(tabNames[:], ", ")})
	}
	if _, err := parseFilter(v.Filter); err != nil {
		out = append(out, Mistake{"filter", err.Error(), ""})
	}
	if v.Sort != "" && findColumn(tab(t), v.Sort) == nil {
		out = append(out, Mistake{"sort", noColumn(tab(t), v.Sort), ""})
	}
	if _, why := checkColumns(tab(t), v.Columns); why != "" {
		out = append(out, Mistake{"columns", why, ""})
	}
	return out
}

// CheckColumns says what is wrong with the columns of a list; empty when nothing is.
func CheckColumns(list string, names []string) string {
	t := slices.Index(tabNames[:], list)
	if t < 0 {
		return "there is no such list"
	}
	_, why := checkColumns(tab(t), names)
	return why
}

func badViewName(name string) string {
	switch {
	case name == "" || name != clean(name) || strings.ContainsAny(name, " \t"):
		return "a view needs a name without blanks"
	case width(name) > maxViewName:
		return fmt.Sprintf("a name has at most %d characters", maxViewName)
	case name == "save" || name == "delete":
		return fmt.Sprintf("%q is a word of the command", name)
	}
	return ""
}

func (v View) tab() tab { return tab(max(slices.Index(tabNames[:], v.List), 0)) }

// Store keeps what the console wants to find again in its next session: sorting,
// columns and views. A nil store keeps nothing.
type Store interface {
	// Load gives what was kept, nothing when there is none.
	Load() ([]byte, error)
	// Update replaces what is kept. When change says that the old text is damaged,
	// that is put aside.
	Update(change func(old []byte) (text []byte, damaged bool)) error
}

// kept is what a store holds.
type kept struct {
	Lists map[string]arrangement `json:"lists,omitempty"`
	Views []View                 `json:"views,omitempty"`
}

// readKept reads what a store holds. What is damaged or not understood is left out
// and named.
func readKept(data []byte) (kept, error) {
	var k kept
	if len(data) == 0 {
		return k, nil
	}
	var raw struct {
		Lists map[string]json.RawMessage `json:"lists"`
		Views []json.RawMessage          `json:"views"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return k, errors.New("what was kept of the last session is damaged: it is left aside")
	}
	var bad []string
	k.Lists = map[string]arrangement{}
	for _, name := range tabNames {
		v := View{Name: "x", List: name}
		if r := raw.Lists[name]; r == nil {
			continue
		} else if json.Unmarshal(r, &v.arrangement) != nil || len(v.Check()) > 0 {
			bad = append(bad, "the order of "+name)
			continue
		}
		k.Lists[name] = v.arrangement
	}
	for _, r := range raw.Views {
		var v View
		err := json.Unmarshal(r, &v)
		named := func(o View) bool { return o.Name == v.Name }
		if err != nil || len(v.Check()) > 0 || len(k.Views) >= maxViews || slices.ContainsFunc(k.Views, named) {
			bad = append(bad, "view "+cut(clean(v.Name), maxViewName))
			continue
		}
		k.Views = append(k.Views, v)
	}
	if bad != nil {
		return k, fmt.Errorf("not understood in what was kept, and left out: %s", strings.Join(bad, ", "))
	}
	return k, nil
}

// restoreKept takes in the configuration and what was kept.
func (m *Model) restoreKept() {
	for t, name := range tabNames {
		m.look[t].Columns = m.cfg.Columns[name]
		m.unfolded[t] = map[string]bool{}
	}
	m.views = slices.Clone(m.cfg.Views)
	m.fixedViews = len(m.views)
	if m.cfg.Store == nil {
		return
	}
	data, err := m.cfg.Store.Load()
	k := kept{}
	if err == nil {
		k, err = readKept(data)
	}
	if err != nil {
		m.say(clean(err.Error()), true)
	}
	for t, name := range tabNames {
		if look, ok := k.Lists[name]; ok {
			if look.Columns == nil {
				look.Columns = m.cfg.Columns[name]
			}
			m.look[t] = look
		}
	}
	for _, v := range k.Views {
		if m.viewAt(v.Name) < 0 && len(m.views) < maxViews {
			m.views = append(m.views, v)
		}
	}
}

// viewAt is the place of a view; -1 when there is none of that name.
func (m *Model) viewAt(name string) int {
	return slices.IndexFunc(m.views, func(v View) bool { return v.Name == name })
}

// keep lets the next session begin as the lists are arranged now. A view keeps
// nothing by itself: view save does.
func (m *Model) keep() {
	if m.view > 0 {
		return
	}
	look, name := m.look[m.tab], tabNames[m.tab]
	if slices.Equal(look.Columns, m.cfg.Columns[name]) {
		look.Columns = nil
	}
	m.store(func(k *kept) {
		if k.Lists == nil {
			k.Lists = map[string]arrangement{}
		}
		k.Lists[name] = look
	})
}

// store changes what is kept, on top of what another console may have kept since.
// It is done after the key, in a command.
func (m *Model) store(change func(*kept)) { m.changes = append(m.changes, change) }

// text is what a store holds, for people too.
func (k kept) text() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(k) // texts and truth values only
	return b.Bytes()
}

// storedMsg says how keeping went.
type storedMsg struct{ err error }

// storing gives the command that keeps what has changed; nil when nothing has.
func (m *Model) storing() tea.Cmd {
	changes, s := m.changes, m.cfg.Store
	m.changes = nil
	if len(changes) == 0 || s == nil {
		return nil
	}
	return func() tea.Msg {
		return storedMsg{s.Update(func(old []byte) ([]byte, bool) {
			k, err := readKept(old)
			for _, f := range changes {
				f(&k)
			}
			return k.text(), err != nil
		})}
	}
}

// outside is how the list was shown before a view was opened.
type outside struct {
	filter string
	query  query
	look   arrangement
}

// openView shows a saved view.
func (m *Model) openView(i int) tea.Cmd {
	if i < 0 || i >= len(m.views) {
		m.say("no view has that number; view save NAME keeps the list as it is now", true)
		return nil
	}
	m.leaveView()
	v := m.views[i]
	t := v.tab()
	m.before = outside{m.filter, m.query, m.look[t]}
	m.view = i + 1
	m.tab, m.pane, m.scroll[paneDetail] = t, paneList, 0
	m.look[t] = v.arrangement
	m.filter = strings.TrimSpace(v.Filter)
	m.query, _ = parseFilter(m.filter)
	m.list().follow = v.Sort == "" && t != tabProposals
	m.refill()
	return nil
}

// leaveView shows the lists again as they were before a view.
func (m *Model) leaveView() {
	if m.view == 0 {
		return
	}
	t := m.tab
	m.filter, m.query, m.look[t] = m.before.filter, m.before.query, m.before.look
	m.view = 0
	m.refill()
}

// viewFilter is the filter that belongs to what is open.
func (m *Model) viewFilter() string {
	if m.view > 0 {
		return strings.TrimSpace(m.views[m.view-1].Filter)
	}
	return ""
}

// changedView says whether the open view is shown otherwise than it was saved.
func (m *Model) changedView() bool {
	if m.view == 0 {
		return false
	}
	v, look := m.views[m.view-1], m.look[m.tab]
	return m.filter != strings.TrimSpace(v.Filter) || look.Sort != v.Sort || look.Reverse != v.Reverse || look.Grouped != v.Grouped || !slices.Equal(look.Columns, v.Columns)
}

// viewCounts says how many rows each view has now.
func (m *Model) viewCounts() []int {
	if m.tallyAt == m.snap && len(m.tally) == len(m.views) {
		return m.tally
	}
	m.tally, m.tallyAt = make([]int, len(m.views)), m.snap
	for i, v := range m.views {
		q, _ := parseFilter(v.Filter)
		m.tally[i] = m.counted(v.tab(), q)
	}
	return m.tally
}

func viewChoices(m *Model, typed string) []match {
	if rest, ok := strings.CutPrefix(typed, "delete "); ok {
		var out []match
		for _, v := range m.views[m.fixedViews:] {
			if strings.HasPrefix(v.Name, rest) {
				out = append(out, match{text: "delete " + v.Name, show: v.Name, help: v.help()})
			}
		}
		return out
	}
	var out []match
	for _, v := range m.views {
		out = append(out, match{text: v.Name, show: v.Name, help: v.help()})
	}
	return append(out, match{text: "save", show: "save NAME", help: "keep the list as it is now"}, match{text: "delete", show: "delete NAME", help: "forget a view"})
}

func (v View) help() string {
	text := v.List
	if v.Filter != "" {
		text += " /" + v.Filter
	}
	return text
}

func (m *Model) commandView(arg string) tea.Cmd {
	word, name, _ := strings.Cut(arg, " ")
	name = strings.TrimSpace(name)
	switch {
	case word == "save":
		m.saveView(name)
	case word == "delete":
		m.deleteView(name)
	case arg == "":
		m.say("name a view; view save NAME makes one", true)
	case m.viewAt(arg) < 0:
		text := fmt.Sprintf("no view %q", clean(arg))
		var known []string
		for _, v := range m.views {
			known = append(known, v.Name)
		}
		if n := nearest(arg, known); n != "" {
			text += "; did you mean " + n + "?"
		}
		m.say(text, true)
	default:
		return m.openView(m.viewAt(arg))
	}
	return nil
}

// saveView keeps the list on the screen, as it is, under a name.
func (m *Model) saveView(name string) {
	at := m.viewAt(name)
	if name == "" && m.view > 0 {
		at = m.view - 1
		name = m.views[at].Name
	}
	if why := badViewName(name); why != "" {
		m.say(why, true)
		return
	}
	v := View{Name: name, List: tabNames[m.tab], Filter: m.filter, arrangement: m.look[m.tab]}
	switch {
	case at >= 0 && at < m.fixedViews:
		m.say("view "+name+" stands in the configuration: change it there", true)
		return
	case at < 0 && len(m.views) >= maxViews:
		m.say(fmt.Sprintf("there are %d views, which is the most", maxViews), true)
		return
	case at >= 0:
		m.views[at] = v
	default:
		at = len(m.views)
		m.views = append(m.views, v)
	}
	m.tally = nil
	m.store(func(k *kept) {
		k.Views = slices.DeleteFunc(k.Views, func(o View) bool { return o.Name == name })
		k.Views = append(k.Views, v)
	})
	if at < numberedViews {
		m.say(fmt.Sprintf("saved as %s, on key %d", name, firstView+at), false)
	} else {
		m.say("saved as "+name+"; open it with :view "+name, false)
	}
}

func (m *Model) deleteView(name string) {
	at := m.viewAt(name)
	switch {
	case at < 0:
		m.say(fmt.Sprintf("no view %q", clean(name)), true)
		return
	case at < m.fixedViews:
		m.say("view "+name+" stands in the configuration: take it out there", true)
		return
	}
	if m.view == at+1 {
		m.leaveView()
	} else if m.view > at+1 {
		m.view--
	}
	m.views = slices.Delete(slices.Clone(m.views), at, at+1)
	m.tally = nil
	m.store(func(k *kept) {
		k.Views = slices.DeleteFunc(k.Views, func(o View) bool { return o.Name == name })
	})
	m.say("view "+name+" is forgotten", false)
}

// viewKeys open the saved views by their numbers.
func viewKeys() []binding {
	var out []binding
	for i := range numberedViews {
		key := fmt.Sprint(firstView + i)
		out = append(out, binding{"view-" + key, []string{key}, "lists", "", fmt.Sprintf("the saved view number %s", key), func(m *Model) string {
			if i < len(m.views) {
				return ""
			}
			return "no saved view has that number; :view save NAME makes one"
		}, func(m *Model) tea.Cmd { return m.openView(i) }})
	}
	return out
}
