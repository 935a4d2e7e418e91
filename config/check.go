package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"selfprotect/firewall"
	"selfprotect/policy"
)

// choose narrows the watches and ACLs to those that flags name, and fills in
// what holds for all ACLs.
func (l *loader) choose() {
	l.unique()
	f := l.opts.Flags
	acls := chosen(l, f.ACLs, l.acls, selection[ACL]{"--aws-acl-id", "acl",
		func(a *ACL) (string, string) { return a.ID, a.Name },
		func() (*entry[ACL], *element) { e := l.addACL(); return e, aclElement(&e.value) }})
	watches := chosen(l, f.WatchRules, l.watches, selection[Watch]{"--watchrule", "watch",
		func(w *Watch) (string, string) { return w.Rule, w.Name },
		func() (*entry[Watch], *element) { e := l.addWatch(); return e, watchElement(&e.value) }})
	for _, e := range acls {
		l.complete(&e.value)
		l.config.ACLs = append(l.config.ACLs, e.value)
	}
	for _, e := range watches {
		l.resolve(e)
		l.config.Watches = append(l.config.Watches, e.value)
	}
}

// unique refuses elements of the file that are there twice.
func (l *loader) unique() {
	seen := map[string][]string{}
	once := func(kind, key, value string, path []string) {
		if value == "" {
			return
		}
		k := kind + "." + key + " " + value
		if first, ok := seen[k]; ok {
			l.mistakes(kind+"."+key, append(path[:len(path):len(path)], key),
				wrong("%q is there already, on line %d", value, l.lines.line(append(first, key)...)))
			return
		}
		seen[k] = path
	}
	for _, n := range l.notify {
		once("notify", "name", n.value.Name, n.path)
	}
	for _, w := range l.watches {
		once("watch", "rule", w.value.Rule, w.path)
		once("watch", "name", w.value.Name, w.path)
	}
	for _, a := range l.acls {
		once("acl", "id", a.value.ID, a.path)
		once("acl", "name", a.value.Name, a.path)
	}
}

// selection is how flags choose among the elements of one kind.
type selection[T any] struct {
	flag, kind string
	names      func(*T) (id, name string)
	add        func() (*entry[T], *element)
}

func (s selection[T]) match(e *entry[T], word string) bool {
	id, name := s.names(&e.value)
	return word != "" && (word == id || word == name)
}

// chosen gives the elements that flags name, made anew where the file has none,
// or all elements of the file when no flag is given.
func chosen[T any](l *loader, words []string, entries []*entry[T], s selection[T]) (out []*entry[T]) {
	if len(words) == 0 {
		return entries
	}
	for _, e := range entries {
		if !slices.ContainsFunc(words, func(w string) bool { return s.match(e, w) }) {
			id, _ := s.names(&e.value)
			l.forget(s.kind, id)
		}
	}
	for _, word := range words {
		same := func(e *entry[T]) bool { return s.match(e, word) }
		if slices.ContainsFunc(out, same) {
			continue
		}
		if i := slices.IndexFunc(entries, same); i >= 0 {
			out = append(out, entries[i])
			continue
		}
		made, e := s.add()
		from := "flag " + s.flag
		if m := e.settings[0].set(word); m != nil {
			l.refuse(Problem{Key: s.flag, Message: m[0].message, Suggestion: m[0].suggestion})
			continue
		}
		prefix := fmt.Sprintf("%s[%s].", s.kind, *e.id)
		l.remember(prefix, e.settings, "default")
		l.remember(prefix, e.settings[:1], from)
		out = append(out, made)
	}
	return out
}

// forget drops the sources of an element that no flag chooses.
func (l *loader) forget(kind, id string) {
	for key := range l.sources {
		if strings.HasPrefix(key, fmt.Sprintf("%s[%s].", kind, id)) {
			delete(l.sources, key)
		}
	}
}

// complete fills in what an ACL leaves to flags or to the environment. The
// environment only fills gaps: a region in the shell must not send an ACL of the
// file somewhere else.
func (l *loader) complete(a *ACL) {
	prefix := "acl[" + a.ID + "]."
	region := text("region", &a.Region, checkRegion)
	switch f := l.opts.Flags.Region; {
	case f != "":
		l.outside("--region", "flag --region", prefix, region, f)
	case a.Region != "":
	case l.env("AWS_REGION") != "":
		l.outside("AWS_REGION", "environment AWS_REGION", prefix, region, l.env("AWS_REGION"))
	case l.env("AWS_DEFAULT_REGION") != "":
		l.outside("AWS_DEFAULT_REGION", "environment AWS_DEFAULT_REGION", prefix, region, l.env("AWS_DEFAULT_REGION"))
	}
	if f := l.opts.Flags.Profile; f != "" {
		l.outside("--profile", "flag --profile", prefix, text("profile", &a.Profile, checkName), f)
	}
	slices.Sort(a.Directions)
}

// resolve turns the names in a watch into ids. A watch that is limited to ACLs is
// never widened: a reference to an ACL that flags left out is a mistake.
func (l *loader) resolve(e *entry[Watch]) {
	var ids []string
	for n, ref := range e.value.ACLs {
		at := append(e.path[:2:2], "acls", item(n))
		named := func(a ACL) bool { return a.ID == ref || a.Name == ref }
		i := slices.IndexFunc(l.config.ACLs, named)
		switch {
		case i >= 0 && slices.Contains(ids, l.config.ACLs[i].ID):
			l.mistakes("watch.acls", at, wrong("%q is there already", ref))
		case i >= 0:
			ids = append(ids, l.config.ACLs[i].ID)
		case slices.ContainsFunc(l.acls, func(e *entry[ACL]) bool { return named(e.value) }):
			l.mistakes("watch.acls", at, wrong("%q is not among the ACLs that --aws-acl-id chooses", ref))
		default:
			l.mistakes("watch.acls", at, l.noSuchACL(ref))
		}
	}
	slices.Sort(ids)
	e.value.ACLs = ids
}

func (l *loader) noSuchACL(ref string) []mistake {
	m := wrong("no [[acl]] has the id or name %s", found(ref))
	var known []string
	for _, e := range l.acls {
		known = append(known, e.value.ID)
		if e.value.Name != "" {
			known = append(known, e.value.Name)
		}
	}
	if w := nearest(ref, known); w != "" {
		return instead(m, "did you mean %q?", w)
	}
	return m
}

// check holds values against each other.
func (l *loader) check() {
	c, x := l.config, l.config.Limits
	at := func(table, key string, m []mistake) {
		l.mistakes(table+"."+key, []string{table, key}, m)
	}
	if x.TTL > x.MaxTTL {
		at("limits", "ttl", wrong("is longer than limits.max_ttl, %s", FormatDuration(x.MaxTTL)))
	}
	if x.AutoPerMinute > x.AutoPerHour {
		at("limits", "auto_per_minute", wrong("is more than limits.auto_per_hour, %d", x.AutoPerHour))
	}
	c.Guard.NeverBlock = sortPrefixes(c.Guard.NeverBlock)
	if s, ok := l.sources["guard.never_block"]; ok {
		s.Value = list("", &c.Guard.NeverBlock, parsePrefix, netip.Prefix.String).show()
		l.sources[s.Key] = s
	}
	for _, e := range l.watches {
		if w := e.value; w.TTL > x.MaxTTL {
			l.mistakes("watch.ttl", append(e.path[:2:2], "ttl"), wrong("is longer than limits.max_ttl, %s", FormatDuration(x.MaxTTL)))
		}
	}
	for _, e := range l.acls {
		l.checkACL(e)
	}
	l.checkAuto()
	l.checkMetrics()
	l.checkPresence()
	l.checkConsole()
	if c.State.Path == "" {
		l.refuse(Problem{Key: "state.path", Message: "no home directory is known", Suggestion: "set HOME, XDG_STATE_HOME or --state"})
	}
	if c.State.Path != "" && c.State.Path == c.Log.Path {
		at("log", "path", wrong("is the path of the journal"))
	}
}

func (l *loader) checkACL(e *entry[ACL]) {
	a := e.value
	key := func(k string) []string { return append(e.path[:2:2], k) }
	if a.Quota == 1 {
		l.mistakes("acl.quota", key("quota"), wrong("must be 0 for the default, or at least 2: AWS counts the default deny"))
		return
	}
	if a.Usable() < 2 {
		l.mistakes("acl.reserve", key("reserve"), wrong("leaves no entry of the quota of %d", a.Usable()+a.Reserve))
	}
	for i, d := range a.Directions {
		if slices.Contains(a.Directions[:i], d) {
			l.mistakes("acl.directions", key("directions"), wrong("%q is there already", d))
		}
	}
}

// checkAuto holds auto mode to what makes it safe.
func (l *loader) checkAuto() {
	c := l.config
	auto := func(w Watch) bool { return w.Mode == policy.Auto || w.Mode == 0 && c.Mode == policy.Auto }
	if c.Mode != policy.Auto && !slices.ContainsFunc(c.Watches, auto) {
		return
	}
	if g := c.Guard; !g.Resolve && !g.Agents && len(g.NeverBlock) == 0 {
		l.mistakes("guard.resolve", []string{"guard", "resolve"},
			instead(wrong("auto mode with nothing guarded beside the reserved ranges"),
				"leave guard.resolve or guard.agents on, or list your own addresses in guard.never_block"))
	}
}

// checkPresence refuses a configuration that watches nothing, and warns.
func (l *loader) checkPresence() {
	c := l.config
	f := l.opts.Flags
	if !l.opts.Partial && !l.tried["watch"] && len(f.WatchRules) == 0 {
		l.refuse(Problem{File: c.File, Key: "watch", Message: "no rule is watched", Suggestion: "add [[watch]] with a rule, give --watchrule, or let selfprotect config init ask"})
	}
	if !l.opts.Partial && !l.tried["acl"] && len(f.ACLs) == 0 {
		l.refuse(Problem{File: c.File, Key: "acl", Message: "no network ACL is named", Suggestion: "add [[acl]] with an id, or give --aws-acl-id"})
	}
	if c.ThreatStack.AllowUnsigned {
		c.Warnings = append(c.Warnings, "threatstack.allow_unsigned: answers without a signature are believed")
	}
	for _, a := range c.ACLs {
		if n := a.Numbers.High - a.Numbers.Low + 1; n < a.Usable()-2 {
			c.Warnings = append(c.Warnings, fmt.Sprintf("acl %s: the range of %d rule numbers is smaller than the quota of %d", a.ID, n, a.Usable()))
		}
		if a.Quota > firewall.DefaultQuota {
			c.Warnings = append(c.Warnings, fmt.Sprintf("acl %s: a quota of %d must have been granted by AWS; the default is %d", a.ID, a.Quota, firewall.DefaultQuota))
		}
	}
}
