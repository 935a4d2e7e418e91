package config

import (
	"regexp"
	"strings"

	"selfprotect/firewall"
	"selfprotect/policy"
)

// Choices are what a first configuration says beside the defaults.
type Choices struct {
	Mode    policy.Mode // 0: the default
	BaseURL string      // of the alert API; empty: the default
	State   string      // path of the journal; empty: the default
	Log     string      // path of the log; empty: the default
	Watches []Watch     // rule and name are written
	ACLs    []ACL       // id, name, region, profile, role, and directions when there are any, are written
}

var (
	exampleHeader = regexp.MustCompile(`^#?(\[\[?)([a-z_]+)\]\]?$`)
	exampleKey    = regexp.MustCompile(`^#?([a-z_0-9]+) = `)
)

// keyValue is a key with its value in TOML; an empty value leaves the key as it is.
type keyValue struct{ key, value string }

// Annotated gives a file with these choices: the example, its comments and all,
// with what was chosen in the place of what it shows. A name that cannot be
// written, or that was written before, is left out.
func Annotated(c Choices) string {
	top := []keyValue{{"mode", tomlText(modeName(c.Mode))}}
	plain := map[string][]keyValue{
		"threatstack": {{"base_url", tomlText(c.BaseURL)}}, "state": {{"path", tomlText(c.State)}}, "log": {{"path", tomlText(c.Log)}},
	}
	var watches, acls [][]keyValue
	taken := map[string]bool{}
	for _, w := range c.Watches {
		watches = append(watches, []keyValue{{"rule", tomlText(w.Rule)}, {"name", tomlText(usableName(w.Name, taken, checkName))}})
	}
	clear(taken)
	for _, a := range c.ACLs {
		acls = append(acls, []keyValue{{"id", tomlText(a.ID)}, {"name", tomlText(usableName(a.Name, taken, checkACLName))},
			{"region", tomlText(a.Region)}, {"profile", tomlText(a.Profile)}, {"role", tomlText(a.Role)}, {"directions", tomlList(a.Directions)}})
	}
	var out strings.Builder
	section, values, more := "", top, [][]keyValue(nil)
	for line := range strings.Lines(Example()) {
		text := strings.TrimSuffix(line, "\n")
		if m := exampleHeader.FindStringSubmatch(text); m != nil {
			section, values, more = m[2], plain[m[2]], nil
			switch {
			case section == "watch" && len(watches) > 0:
				values, more = watches[0], watches[1:]
				text = strings.TrimPrefix(text, "#")
			case section == "acl" && len(acls) > 0:
				values, more = acls[0], acls[1:]
				text = strings.TrimPrefix(text, "#")
			}
		}
		if text == "" {
			writeElements(&out, section, more)
			more = nil
		}
		out.WriteString(chosenLine(text, values) + "\n")
	}
	writeElements(&out, section, more)
	return out.String()
}

// chosenLine gives a line of the example with the value that was chosen for its key.
func chosenLine(line string, values []keyValue) string {
	m := exampleKey.FindStringSubmatch(line)
	if m == nil {
		return line
	}
	for _, v := range values {
		if v.key == m[1] && v.value != "" {
			return v.key + " = " + v.value
		}
	}
	return line
}

// writeElements writes further elements of an array of tables, without the comments
// that the first one has.
func writeElements(b *strings.Builder, name string, elements [][]keyValue) {
	for _, e := range elements {
		b.WriteString("\n[[" + name + "]]\n")
		for _, v := range e {
			if v.value != "" {
				b.WriteString(v.key + " = " + v.value + "\n")
			}
		}
	}
}

func modeName(m policy.Mode) string {
	if m == 0 {
		return ""
	}
	return m.String()
}

// usableName gives a name that the file may hold, cut to its bound, or nothing.
func usableName(name string, taken map[string]bool, check func(string) []mistake) string {
	const most = 64
	if r := []rune(name); len(r) > most {
		name = string(r[:most-1]) + "…"
	}
	if name == "" || taken[name] || check(name) != nil {
		return ""
	}
	taken[name] = true
	return name
}

// tomlList writes directions; none have no form.
func tomlList(ds []firewall.Direction) string {
	if len(ds) == 0 {
		return ""
	}
	var words []string
	for _, d := range ds {
		words = append(words, tomlText(d.String()))
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// tomlText quotes a text that has no control characters, as everything has that the
// file may hold; an empty one has no form.
func tomlText(s string) string {
	if s == "" {
		return ""
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
