package threatstack

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"selfprotect/alert"
)

const maxFields = 64

// decodeAlert reads one alert. An error means that the alert has no usable id or
// is no object; anything else that is odd is counted in the alert itself.
func decodeAlert(raw json.RawMessage) (alert.Alert, error) {
	o, err := decodeObject(raw)
	if err != nil {
		return alert.Alert{}, err
	}
	a := alert.Alert{
		ID: o.id("id"), RuleID: o.id("ruleId"), RulesetID: o.id("rulesetId"), AgentID: o.id("agentId"),
		Title: o.text("title"), DataSource: o.text("dataSource", "type"), Dismissed: o.bool("isDismissed"),
	}
	if a.ID == "" {
		return alert.Alert{}, errors.New("no usable id")
	}
	var odd notes
	if a.CreatedAt, err = parseTime(o.str("createdAt")); err != nil {
		odd.add("createdAt: %v", err)
	}
	if n, present, ok := o.integer("severity", 1, 3); ok {
		a.Severity = int(n)
	} else if present {
		odd.add("severity is not 1, 2 or 3")
	}
	a.Fields = decodeFields(o["aggregates"], &odd)
	a.Skipped, a.SkippedWhy = odd.n, odd.why
	return a, nil
}

// decodeFields reads aggregates: an object of field and value, or an array of
// objects that name both.
func decodeFields(v json.RawMessage, odd *notes) []alert.Field {
	if len(v) == 0 || v[0] == 'n' {
		return nil
	}
	var out []alert.Field
	add := func(name string, v json.RawMessage) { out = addField(out, name, v, odd) }
	if list, err := elements(v); err == nil {
		for _, el := range list {
			o, err := decodeObject(el)
			if err != nil {
				odd.add("aggregates: %v", err)
				continue
			}
			if name := o.str("fieldName", "name", "field"); name != "" {
				add(name, o["value"])
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(o)) {
				add(name, o[name])
			}
		}
	} else if o, err := decodeObject(v); err == nil {
		for _, name := range slices.Sorted(maps.Keys(o)) {
			add(name, o[name])
		}
	} else {
		odd.add("aggregates: %v", err)
	}
	slices.SortFunc(out, func(a, b alert.Field) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	if len(out) > maxFields {
		odd.add("more than %d aggregated values", maxFields)
		out = out[:maxFields]
	}
	return out
}

// addField adds the value under name, each one when it is an array.
func addField(out []alert.Field, name string, v json.RawMessage, odd *notes) []alert.Field {
	if s, ok := scalar(v); ok {
		return append(out, alert.Field{Name: raw(name), Value: raw(s)})
	}
	if len(v) == 0 || v[0] == 'n' {
		return out
	}
	list, err := elements(v)
	if err != nil {
		odd.add("aggregates: %s is no plain value", clip(name, 40))
		return out
	}
	for _, el := range list {
		if s, ok := scalar(el); ok {
			out = append(out, alert.Field{Name: raw(name), Value: raw(s)})
		} else {
			odd.add("aggregates: %s is no plain value", clip(name, 40))
		}
	}
	return out
}
