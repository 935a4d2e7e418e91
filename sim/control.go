package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// Control gives the handler of the paths under /_sim/ that the package
// documentation lists. Whoever reaches it rules the world: serve it on loopback
// only.
func (w *World) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/acl", func(rw http.ResponseWriter, _ *http.Request) { writeJSON(rw, aclsJSON(w.EC2.ACLs())) })
	mux.HandleFunc("GET /_sim/requests", func(rw http.ResponseWriter, _ *http.Request) {
		calls := w.EC2.Calls()
		writeJSON(rw, object{"threatstack": w.ThreatStack.Requests(), "ec2": object{"total": calls.Total, "writes": calls.Writes, "by_action": calls.ByAction}})
	})
	mux.HandleFunc("GET /_sim/fault", func(rw http.ResponseWriter, _ *http.Request) {
		writeJSON(rw, faults{w.EC2.Faults(), w.ThreatStack.Faults()})
	})
	mux.HandleFunc("POST /_sim/fault", posted(w.setFault))
	mux.HandleFunc("POST /_sim/quota", posted(w.setQuota))
	mux.HandleFunc("POST /_sim/alert", posted(w.injectAlert))
	mux.HandleFunc("POST /_sim/event", posted(w.injectEvent))
	return mux
}

type faults struct {
	EC2         EC2Faults         `json:"ec2"`
	ThreatStack ThreatStackFaults `json:"threatstack"`
}

func (w *World) setFault(_ *http.Request, body []byte) (any, error) {
	f := faults{w.EC2.Faults(), w.ThreatStack.Faults()}
	if err := decode(body, &f); err != nil {
		return nil, err
	}
	w.EC2.SetFaults(f.EC2)
	w.ThreatStack.SetFaults(f.ThreatStack)
	return f, nil
}

func (w *World) setQuota(_ *http.Request, body []byte) (any, error) {
	var in struct {
		Quota int `json:"quota"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if in.Quota < 1 {
		return nil, fmt.Errorf("quota %d is below 1", in.Quota)
	}
	w.EC2.SetQuota(in.Quota)
	return in, nil
}

func (w *World) injectAlert(_ *http.Request, body []byte) (any, error) {
	in := struct {
		Alert  Alert   `json:"alert"`
		Events []Event `json:"events"`
	}{Alert: Alert{RuleID: w.RuleID, RulesetID: w.RulesetID, AgentID: w.Agents[0].ID, Title: outboundRule}}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	id := w.ThreatStack.AddAlert(in.Alert)
	for _, e := range in.Events {
		w.ThreatStack.AddEvent(id, withDefaults(e))
	}
	return object{"id": id}, nil
}

func (w *World) injectEvent(r *http.Request, body []byte) (any, error) {
	var e Event
	if err := decode(body, &e); err != nil {
		return nil, err
	}
	id := r.URL.Query().Get("alert")
	if !w.ThreatStack.AddEvent(id, withDefaults(e)) {
		return nil, fmt.Errorf("no alert %q", id)
	}
	return object{"alert": id}, nil
}

// withDefaults makes an event that names no type a connect, which is what an
// event with a connection mostly is.
func withDefaults(e Event) Event {
	if e.Type == "" && e.Syscall == "" && e.EventType == "" {
		e.Type, e.Syscall = "connect", "connect"
	}
	return e
}

// posted serves a function of a body: its answer, or 400 with its error.
func posted(h func(*http.Request, []byte) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := h(r, body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, out)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", jsonType)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // whoever asked has gone
}

func aclsJSON(acls []ACL) []object {
	out := []object{}
	for _, a := range acls {
		entries := []object{}
		for _, e := range a.Entries {
			entries = append(entries, object{"number": e.Number, "egress": e.Egress, "action": e.action(), "cidr": e.Prefix.String(), "protocol": e.Protocol})
		}
		out = append(out, object{"id": a.ID, "vpc": a.VPC, "name": a.Name, "default": a.Default, "entries": entries})
	}
	return out
}

// decode reads JSON strictly, with texts such as "30s" in the place of the
// nanoseconds of a duration.
func decode(body []byte, v any) error {
	var tree any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	plain, err := json.Marshal(durations("", tree))
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	strict := json.NewDecoder(bytes.NewReader(plain))
	strict.DisallowUnknownFields()
	if err := strict.Decode(v); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	return nil
}

// durations turns the texts under the keys that hold durations into nanoseconds.
func durations(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			v[k] = durations(k, inner)
		}
	case string:
		if slices.Contains([]string{"late_by", "stale_by", "latency", "answer_latency", "clock_offset"}, key) {
			if d, err := time.ParseDuration(v); err == nil {
				return int64(d)
			}
		}
	}
	return v
}
