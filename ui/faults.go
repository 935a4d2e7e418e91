package ui

import tea "charm.land/bubbletea/v2"

// Fault is a way in which the services behind a demo can be made to misbehave.
type Fault struct {
	Key  string // that chooses it
	Text string // what it does
	Do   func()
}

// faultKeys are there only where something can be broken.
func faultKeys(faults []Fault) []binding {
	if len(faults) == 0 {
		return nil
	}
	return []binding{{"faults", []string{"F"}, "demo", "", "let something go wrong with the simulated services, or make all well again", nil, (*Model).openFaults}}
}

func (m *Model) openFaults() tea.Cmd {
	var choices []option
	for _, f := range m.cfg.Faults {
		choices = append(choices, option{key: f.Key, text: f.Text, do: func(m *Model) tea.Cmd {
			f.Do()
			m.say(f.Text, false)
			return nil
		}})
	}
	return m.askOne("What shall go wrong?", []string{"These are simulated services: nothing real is touched."}, choices)
}
