package ui

import (
	"errors"
	"strings"
	"testing"
)

// memory is a store in memory.
type memory struct {
	text    []byte
	err     error
	updates int
	damaged bool
}

func (s *memory) Load() ([]byte, error) { return s.text, s.err }

func (s *memory) Update(change func([]byte) ([]byte, bool)) error {
	if s.err != nil {
		return s.err
	}
	s.updates++
	s.text, s.damaged = change(s.text)
	return nil
}

// keepNow runs what keys asked to keep.
func (s *screen) keepNow() {
	if cmd := s.m.storing(); cmd != nil {
		s.m.Update(cmd())
	}
}

func TestViews(t *testing.T) {
	store := &memory{}
	fixed := NewView("weighty", "proposals", "weight>=300", "-addr", []string{"addr", "weight"}, false)
	with := func(c *Config) { c.Store, c.Views = store, []View{fixed} }
	s := newScreen(t, 160, 40, with)
	s.show(varied())
	s.expect("5 weighty 1")
	s.press("/")
	s.typeIn("sev>=high")
	s.press("enter", "o", "t")
	s.command("view save urgent")
	s.expect("saved as urgent, on key 6", "6 urgent 4")
	// What belongs to the view ends with it.
	s.press("esc", "t", "o", "2")
	s.press("6")
	if s.m.tab != tabAlerts || s.m.filter != "sev>=high" || !s.m.look[tabAlerts].Grouped || s.m.look[tabAlerts].Sort != "state" {
		t.Fatalf("the view shows list %d, %q, %+v", s.m.tab, s.m.filter, s.m.look[tabAlerts])
	}
	s.expect("▸6 urgent 4")
	s.press("o")
	s.expect("▸6 urgent* 4")
	s.press("1")
	if s.m.filter != "" || s.m.look[tabAlerts].Grouped || s.m.look[tabAlerts].Sort != "age" {
		t.Fatalf("the list shows %q, %+v", s.m.filter, s.m.look[tabAlerts])
	}
	s.press("5")
	if s.m.tab != tabProposals || len(s.shown()) != 1 {
		t.Fatalf("view 5 shows %d rows of list %d", len(s.shown()), s.m.tab)
	}
	// A decision in a view is about its row.
	s.clock.advance(toastTime)
	s.press("a")
	if len(s.con.calls) != 1 || s.con.calls[0].id != varied().Proposals[2].ID {
		t.Fatalf("asked for %+v", s.con.calls)
	}
	s.press("7")
	s.expect("no saved view has that number")
	s.command("view delete weighty")
	s.expect("stands in the configuration")
	s.command("view save a b")
	s.expect("a name without blanks")
	s.command("view urgnt")
	s.expect("did you mean urgent?")
	// The counts follow the rows.
	next := varied()
	next.Alerts = next.Alerts[1:]
	s.show(next)
	s.expect("6 urgent 3")
	s.command("view delete urgent")
	s.expectNot("6 urgent")
}

func TestViewsAreKept(t *testing.T) {
	store := &memory{}
	s := newScreen(t, 160, 40, func(c *Config) { c.Store = store })
	s.show(varied())
	s.m.commandFilter("sev>=high")
	s.m.saveView("urgent")
	s.m.sortBy("sev", true)
	s.keepNow()
	// Another console keeps something of its own.
	o := newScreen(t, 160, 40, func(c *Config) { c.Store = store })
	o.m.tab = tabBlocks
	o.m.saveView("mine")
	o.keepNow()
	s.m.saveView("again")
	s.keepNow()
	n := newScreen(t, 160, 40, func(c *Config) { c.Store = store })
	n.show(varied())
	n.expect("5 urgent 4", "6 mine 3", "7 again 4", "SEV↑")
}

// TestDamagedStore: what cannot be read is named and left out, the rest is taken,
// and it is put aside before it is written over.
func TestDamagedStore(t *testing.T) {
	for text, want := range map[string]string{
		"{":        "damaged",
		"\x00\xff": "damaged",
		`{"views":[{"name":"x","list":"nowhere"}]}`:                       "view x",
		`{"views":[7,{"name":"ok","list":"log"}]}`:                        "view",
		`{"views":[{"name":"b","list":"alerts","filter":"nope:1"}]}`:      "view b",
		`{"lists":{"alerts":{"sort":"nope"}},"views":[]}`:                 "the order of alerts",
		`{"views":[{"name":"a\u001b[31m","list":"alerts"}]}`:              "view a",
		`{"lists":{"alerts":{"columns":["age","age"]}}}`:                  "the order of alerts",
		`{"views":[{"name":"t","list":"log"},{"name":"t","list":"log"}]}`: "view t",
		`{"lists":[]}`: "damaged",
	} {
		store := &memory{text: []byte(text)}
		s := newScreen(t, 160, 40, func(c *Config) { c.Store = store })
		s.show(varied())
		if !strings.Contains(s.m.toast.text, want) || !s.m.toast.bad {
			t.Errorf("%s: says %q", text, s.m.toast.text)
		}
		if strings.Contains(text, `"ok"`) && s.m.viewAt("ok") < 0 {
			t.Errorf("%s: the good view is left out too", text)
		}
		s.m.saveView("new")
		s.keepNow()
		if k, err := readKept(store.text); err != nil || len(k.Views) == 0 || !store.damaged {
			t.Errorf("%s: kept as %q (%v)", text, store.text, err)
		}
	}
	s := newScreen(t, 160, 40, func(c *Config) { c.Store = &memory{err: errors.New("no room")} })
	s.show(varied())
	s.m.saveView("new")
	s.keepNow()
	s.m.frame = ""
	s.expect("not kept for the next session: no room")
}

func FuzzKept(f *testing.F) {
	f.Add([]byte(`{"lists":{"alerts":{"sort":"sev","reverse":true}},"views":[{"name":"x","list":"log","filter":"a:b"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, _ := readKept(data)
		for _, v := range k.Views {
			if len(v.Check()) > 0 {
				t.Fatalf("takes %+v", v)
			}
		}
	})
}
