package config

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// notifyURL is the variable that holds the URL of the receivers that name none.
const notifyURL = "SELFPROTECT_NOTIFY_URL"

func notifyElement(n *Notify, home string) *element {
	return &element{required: "name", id: &n.Name, schema: schema{settings: []setting{
		text("name", &n.Name, checkName),
		secret("url", &n.URL, checkReceiver),
		path("url_file", &n.URLFile, home),
		list("events", &n.Events, parseNotifyEvent, func(s string) string { return s }).atLeastOne("leave the key out for all of them"),
		multiline("template", &n.Template),
		duration("every", &n.Every, time.Second, day),
	}}}
}

func parseNotifyEvent(s string) (string, []mistake) { return s, oneOf(s, NotifyEvents()...) }

// secret is a text that is never quoted nor shown.
func secret(key string, p *Secret, check func(string) []mistake) setting {
	return setting{key, func(v any) []mistake {
		s, ok := v.(string)
		if !ok {
			return wrong("must be a text in quotes")
		}
		if m := check(s); m != nil {
			return m
		}
		*p = NewSecret(s)
		return nil
	}, func() string { return p.String() }}
}

// multiline is a text that may hold line feeds and tabs.
func multiline(key string, p *string) setting {
	return setting{key, func(v any) []mistake {
		s, ok := v.(string)
		if !ok {
			return wrong("must be a text in quotes, found %s", found(v))
		}
		if strings.TrimSpace(s) == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }) {
			return wrong("must not be empty or hold control characters")
		}
		*p = s
		return nil
	}, func() string { return *p }}
}

// checkReceiver accepts what has the form of a URL with a scheme.
func checkReceiver(s string) []mistake {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return instead(wrong("must be the URL of a receiver"), "write it like generic+https://hooks.example.com/path or slack://token@channel")
	}
	return nil
}

// receivers completes the receivers: each URL is from the first of url,
// url_file and the environment. The variable alone makes a receiver too.
func (l *loader) receivers() {
	fromEnv := l.env(notifyURL)
	if fromEnv != "" && checkReceiver(fromEnv) != nil {
		m := checkReceiver(fromEnv)[0]
		l.refuse(Problem{Key: notifyURL, Message: m.message, Suggestion: m.suggestion})
		return
	}
	if fromEnv != "" && len(l.notify) == 0 && !l.tried["notify"] {
		e := l.addNotify()
		e.value.Name = "environment"
		l.remember("notify[environment].", notifyElement(&e.value, l.home).settings, "default")
	}
	for _, e := range l.notify {
		n := &e.value
		l.receiverURL(e, fromEnv)
		if check := l.opts.Receiver; check != nil && !n.URL.IsZero() {
			badURL, badTemplate := check(n.URL.Reveal(), n.Template)
			if badURL != "" {
				l.mistakes("notify.url", append(e.path[:2:2], "url"), wrong("%s", badURL))
			}
			if badTemplate != "" {
				l.mistakes("notify.template", append(e.path[:2:2], "template"), wrong("%s", badTemplate))
			}
		}
		slices.Sort(n.Events)
		n.Events = slices.Compact(n.Events)
		l.config.Notify = append(l.config.Notify, *n)
	}
}

// receiverURL finds the URL of one receiver.
func (l *loader) receiverURL(e *entry[Notify], fromEnv string) {
	n := &e.value
	key := func(k string) []string { return append(e.path[:2:2], k) }
	set := func(url, from string) {
		n.URL = NewSecret(url)
		l.sources["notify["+n.Name+"].url"] = Source{Key: "notify[" + n.Name + "].url", Value: n.URL.String(), From: from}
	}
	switch {
	case !n.URL.IsZero():
		if m := l.config.File; m != "" && readableByOthers(m) {
			l.mistakes("notify.url", key("url"), instead(wrong("is a secret in a file that others may read"), "run: chmod 600 %s", m))
		}
	case n.URLFile != "":
		data, _, err := readOwned(n.URLFile, othersAny)
		text := strings.TrimSpace(string(data))
		switch {
		case err != nil:
			l.mistakes("notify.url_file", key("url_file"), wrong("%s", err))
		case checkReceiver(text) != nil:
			l.mistakes("notify.url_file", key("url_file"), wrong("%s does not hold the URL of a receiver on one line", n.URLFile))
		default:
			set(text, n.URLFile)
		}
	case fromEnv != "":
		set(fromEnv, "environment "+notifyURL)
	case !slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Key == "notify.url" }):
		l.mistakes("notify.url", e.path, instead(wrong("is missing"), "give url, url_file or %s", notifyURL))
	}
}

func readableByOthers(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&othersAny != 0
}

// checkAddress accepts host:port with a port number.
func checkAddress(s string) []mistake {
	host, port, err := net.SplitHostPort(s)
	n, portErr := strconv.Atoi(port)
	_, ipErr := netip.ParseAddr(host)
	if err != nil || portErr != nil || n < 0 || n > 65535 || host != "localhost" && ipErr != nil {
		return instead(wrong("must be an address with a port, found %s", found(s)), `write it like "127.0.0.1:9477" or "[::1]:9477"`)
	}
	return nil
}

// checkMetrics keeps metrics on this machine unless somebody has said otherwise.
func (l *loader) checkMetrics() {
	m := l.config.Metrics
	host, _, err := net.SplitHostPort(m.Address)
	if err != nil || loopback(host) || m.AllowRemote {
		return
	}
	l.mistakes("metrics.address", []string{"metrics", "address"},
		instead(wrong("%s is not loopback, and no password protects it", found(m.Address)), "set allow_remote = true beside it if that is meant"))
}
