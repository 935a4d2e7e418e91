package metrics

import (
	"fmt"
	"net/http"
	"time"

	"selfprotect/engine"
)

// answer serves a verdict: 200 and ok, or 503 and a sentence for each thing wrong.
func (m *Metrics) answer(verdict func() []string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		wrong := verdict()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if len(wrong) == 0 {
			_, _ = w.Write([]byte("ok\n"))
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		for _, s := range wrong {
			_, _ = fmt.Fprintln(w, s)
		}
	}
}

// Health says what is stale or broken, one sentence each; nothing when all is well.
// At the start everything has as long as it may be stale.
func (m *Metrics) Health() []string { return m.health() }

func (m *Metrics) health() []string {
	s, ended := m.snapshot()
	if s == nil || ended {
		return []string{"the engine does not run"}
	}
	t := m.cfg.Now()
	var out []string
	if s.JournalErr != "" {
		out = append(out, "the journal fails: "+s.JournalErr)
	}
	for _, src := range s.Sources {
		if t.Sub(later(src.LastOK, m.began)) > m.cfg.Stale+m.cfg.PollInterval {
			out = append(out, sentence("the source "+label(src.Name)+" is stale: "+lastly("no good poll", src.LastOK, t), src.Err))
		}
	}
	for _, a := range s.ACLs {
		if t.Sub(later(a.ReadAt, m.began)) > m.cfg.Stale {
			out = append(out, sentence("network ACL "+label(a.ID)+" is stale: "+lastly("no good read", a.ReadAt, t), a.Err))
		}
	}
	return out
}

// ready says what has not been done once since the start.
func (m *Metrics) ready() []string {
	s, ended := m.snapshot()
	if s == nil || ended {
		return []string{"the engine does not run"}
	}
	out := m.health()
	if !s.Guarded {
		out = append(out, "what must never be blocked is still being looked up")
	}
	for _, src := range s.Sources {
		if src.LastOK.IsZero() {
			out = append(out, sentence("the source "+label(src.Name)+" has not answered yet", src.Err))
		}
	}
	for _, a := range s.ACLs {
		if a.ReadAt.IsZero() {
			out = append(out, sentence("network ACL "+label(a.ID)+" has not been read yet", a.Err))
		}
	}
	return out
}

// Alive says whether the engine still tells how it does; a watchdog asks it. ACLs
// are read at least once a minute, and each read, good or not, is told.
func (m *Metrics) Alive() bool {
	s, ended := m.snapshot()
	return s != nil && !ended && m.cfg.Now().Sub(s.At) < m.cfg.Stale+time.Minute
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func lastly(what string, at, now time.Time) string {
	if at.IsZero() {
		return what + " since the start"
	}
	return fmt.Sprintf("%s for %s", what, now.Sub(at).Round(time.Second))
}

func sentence(s, why string) string {
	if why != "" {
		s += " (" + why + ")"
	}
	return s
}

var _ engine.Firewall = counted{}
