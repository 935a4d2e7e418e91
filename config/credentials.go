package config

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"gopkg.in/ini.v1"
)

// Credentials are what signs requests to Threat Stack.
type Credentials struct {
	OrganizationID string
	UserID         string
	APIKey         Secret
	// From names the places that they were found in.
	From string
	// Warnings are things an operator should mend, such as a file that others may read.
	Warnings []string
}

// CredentialsError says what is missing or wrong, never what is there.
type CredentialsError struct {
	Missing []string // such as TS_API_KEY
	Looked  []string // the places, with what was found there
	Reason  string   // why a place was refused; Missing is empty then
	Err     error
}

// Error gives one sentence.
func (e *CredentialsError) Error() string {
	if e.Reason != "" {
		return "threat stack credentials: " + e.Reason
	}
	verb := " is missing"
	if len(e.Missing) > 1 {
		verb = " are missing"
	}
	return "threat stack credentials: " + and(e.Missing) + verb + "; looked in " + strings.Join(e.Looked, ", ")
}

// Unwrap gives the cause.
func (e *CredentialsError) Unwrap() error { return e.Err }

func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// part is one of the three values.
type part struct {
	variable, key string // of the environment, of the INI file
	value, from   string
}

// collector fills the parts place by place; the first place that has one wins.
type collector struct {
	parts    []part
	looked   []string
	warnings []string
}

// Credentials looks in the environment (TS_ORGANIZATION_ID, TS_USER_ID,
// TS_API_KEY), then in threatstack.key_file, then in the INI file
// threatstack.credentials (section default: ts_org, ts_user, ts_key). Each value
// comes from the first place that has it. A place is read only when something is
// still missing. An error is a *CredentialsError.
func (c *Config) Credentials() (Credentials, error) {
	k := &collector{parts: []part{
		{variable: "TS_ORGANIZATION_ID", key: "ts_org"},
		{variable: "TS_USER_ID", key: "ts_user"},
		{variable: "TS_API_KEY", key: "ts_key"},
	}}
	k.take("the environment", func(p part) string { return c.env(p.variable) })
	k.looked = append(k.looked, "the environment")
	if err := k.keyFile(c.ThreatStack.KeyFile); err != nil {
		return Credentials{}, err
	}
	if err := k.iniFile(c.ThreatStack.Credentials, c.ThreatStack.Credentials != defaults("", c.home).ThreatStack.Credentials); err != nil {
		return Credentials{}, err
	}
	if m := k.missing(); len(m) > 0 {
		return Credentials{}, &CredentialsError{Missing: m, Looked: k.looked}
	}
	return k.credentials()
}

func (k *collector) missing() (names []string) {
	for _, p := range k.parts {
		if p.value == "" {
			names = append(names, p.variable)
		}
	}
	return names
}

// take fills what is missing from one place.
func (k *collector) take(from string, get func(part) string) {
	for i := range k.parts {
		p := &k.parts[i]
		if v := strings.TrimSpace(get(*p)); p.value == "" && v != "" {
			p.value, p.from = v, from
		}
	}
}

// keyFile reads a file that holds the API key alone, or all in INI form.
func (k *collector) keyFile(path string) error {
	if path == "" || len(k.missing()) == 0 {
		return nil
	}
	data, _, err := readOwned(path, othersAny)
	if err != nil {
		return &CredentialsError{Reason: err.Error(), Err: err}
	}
	k.looked = append(k.looked, path)
	text := strings.TrimSpace(string(data))
	if strings.HasPrefix(text, "[") || strings.Contains(text, "ts_key") {
		return k.ini(path, data)
	}
	if text == "" || strings.ContainsAny(text, "\n\r") {
		return &CredentialsError{Reason: path + ": must hold the API key on one line, or [default] with ts_org, ts_user and ts_key"}
	}
	k.take(path, func(p part) string {
		if p.key == "ts_key" {
			return text
		}
		return ""
	})
	return nil
}

// iniFile reads the file of the Threat Stack tools. Those create it readable for
// all, so that is a warning only; that others may write it is not.
func (k *collector) iniFile(path string, required bool) error {
	if path == "" || len(k.missing()) == 0 {
		return nil
	}
	data, mode, err := readOwned(path, othersWrite)
	if errors.Is(err, fs.ErrNotExist) && !required {
		k.looked = append(k.looked, path+" (does not exist)")
		return nil
	}
	if err != nil {
		return &CredentialsError{Reason: err.Error(), Err: err}
	}
	if mode.Perm()&0o044 != 0 {
		k.warnings = append(k.warnings, path+" may be read by others; run: chmod 600 "+path)
	}
	k.looked = append(k.looked, path)
	return k.ini(path, data)
}

// ini takes the values of section default, or of no section.
func (k *collector) ini(path string, data []byte) error {
	file, err := ini.LoadSources(ini.LoadOptions{
		IgnoreInlineComment: true, IgnoreContinuation: true, InsensitiveKeys: true, AllowBooleanKeys: true,
	}, data)
	if err != nil { // its text quotes the file, so it goes no further
		return &CredentialsError{Reason: path + ": cannot be read as an INI file; write [default] and lines such as ts_org = …"}
	}
	for _, name := range []string{"default", ini.DefaultSection} {
		section, err := file.GetSection(name)
		if err != nil {
			continue
		}
		k.take(path, func(p part) string {
			if !section.HasKey(p.key) {
				return ""
			}
			return section.Key(p.key).Value()
		})
	}
	return nil
}

// credentials checks the shape of the parts and joins them.
func (k *collector) credentials() (Credentials, error) {
	var from []string
	for _, p := range k.parts {
		// Blanks and quotes would break the Authorization header that they are put in.
		if strings.ContainsFunc(p.value, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return Credentials{}, &CredentialsError{Reason: p.variable + " from " + p.from + " holds a blank, a quote or a character that is not ASCII"}
		}
		if !slices.Contains(from, p.from) {
			from = append(from, p.from)
		}
	}
	if k.parts[0].from != k.parts[1].from {
		k.warnings = append(k.warnings, "the organization id is from "+k.parts[0].from+", the user id from "+k.parts[1].from)
	}
	return Credentials{
		OrganizationID: k.parts[0].value, UserID: k.parts[1].value, APIKey: NewSecret(k.parts[2].value),
		From: strings.Join(from, ", "), Warnings: k.warnings,
	}, nil
}
