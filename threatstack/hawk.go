package threatstack

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// credentials is one Hawk identity. The key hides in a function, so that printing
// whatever holds it, with whatever verb, cannot show it.
type credentials struct {
	id, ext string
	key     func() []byte
}

func newCredentials(id string, key Secret, ext string) *credentials {
	return &credentials{id: id, ext: ext, key: func() []byte { return []byte(key) }}
}

// artifacts is what a Hawk MAC covers.
type artifacts struct {
	ts, nonce  string
	method     string
	resource   string // path and query exactly as sent
	host, port string
	hash, ext  string
}

const (
	macRequest  = "hawk.1.header"
	macResponse = "hawk.1.response"
)

var extEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`)

// normalized is the text under the MAC; every line ends with a newline.
func (a artifacts) normalized(kind string) string {
	return strings.Join([]string{
		kind, a.ts, a.nonce, strings.ToUpper(a.method), a.resource,
		strings.ToLower(a.host), a.port, a.hash, extEscaper.Replace(a.ext), "",
	}, "\n")
}

func (a artifacts) mac(key []byte, kind string) string { return hawkMAC(key, a.normalized(kind)) }

func hawkMAC(key []byte, text string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// payloadHash is Hawk's hash of a body; parameters of the content type do not count.
func payloadHash(contentType string, body []byte) string {
	mime, _, _ := strings.Cut(contentType, ";")
	h := sha256.New()
	h.Write([]byte("hawk.1.payload\n" + strings.ToLower(strings.TrimSpace(mime)) + "\n"))
	h.Write(body)
	h.Write([]byte("\n"))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// sign gives the Authorization header for one attempt, and the artifacts that
// the answer's signature refers to. The nonce is fresh. hash is that of the
// payload, "" when there is none.
func (c *credentials) sign(now time.Time, method string, u *url.URL, hash string) (string, artifacts) {
	a := artifacts{
		ts: strconv.FormatInt(now.Unix(), 10), nonce: rand.Text(),
		method: method, resource: u.RequestURI(), hash: hash, ext: c.ext,
	}
	a.host, a.port = hostPort(u)
	return c.header(a), a
}

func (c *credentials) header(a artifacts) string {
	hash := ""
	if a.hash != "" {
		hash = `", hash="` + a.hash
	}
	return `Hawk id="` + c.id + `", ts="` + a.ts + `", nonce="` + a.nonce + hash +
		`", ext="` + a.ext + `", mac="` + a.mac(c.key(), macRequest) + `"`
}

// hostPort gives host and port as the server sees them; the port of the scheme
// when the URL names none.
func hostPort(u *url.URL) (host, port string) {
	host, port = strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return host, port
}

var (
	errMAC         = errors.New("its signature is wrong")
	errPayloadHash = errors.New("its body does not match its signature")
	errNoHash      = errors.New("its signature does not cover the body")
)

// verifyResponse checks a Server-Authorization header against the request's
// artifacts and the body that arrived.
func (c *credentials) verifyResponse(header string, a artifacts, contentType string, body []byte) error {
	at, err := parseHawk(header, "mac", "hash", "ext")
	if err != nil {
		return err
	}
	a.hash, a.ext = at["hash"], at["ext"]
	if !equal(a.mac(c.key(), macResponse), at["mac"]) {
		return errMAC
	}
	if a.hash == "" {
		return errNoHash
	}
	if !equal(payloadHash(contentType, body), a.hash) {
		return errPayloadHash
	}
	return nil
}

// serverTime reads the server's clock from a WWW-Authenticate challenge. said
// tells whether it speaks of a stale timestamp, ok whether its tsm is genuine.
func (c *credentials) serverTime(challenge string) (t time.Time, said, ok bool) {
	at, err := parseHawk(challenge, "ts", "tsm", "error")
	if err != nil {
		return time.Time{}, false, false
	}
	said = at["ts"] != "" || strings.Contains(strings.ToLower(at["error"]), "stale")
	secs, err := strconv.ParseInt(at["ts"], 10, 64)
	if err != nil || secs < 0 || secs > maxTime.Unix() {
		return time.Time{}, said, false
	}
	if !equal(hawkMAC(c.key(), "hawk.1.ts\n"+at["ts"]+"\n"), at["tsm"]) {
		return time.Time{}, said, false
	}
	return time.Unix(secs, 0), said, true
}

// equal compares in constant time and by text, so that no second spelling of the
// same base64 passes.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

const maxHawkHeader = 4096

// parseHawk reads the attributes of a Hawk header: name="value", separated by
// commas, each name once and one of names.
func parseHawk(header string, names ...string) (map[string]string, error) {
	if len(header) > maxHawkHeader {
		return nil, errors.New("its signature header is too long")
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	if !strings.EqualFold(scheme, "hawk") {
		return nil, errors.New("its signature header is not Hawk's")
	}
	out := map[string]string{}
	for rest = strings.TrimSpace(rest); rest != ""; {
		name, after, found := strings.Cut(rest, `="`)
		value, tail, closed := strings.Cut(after, `"`)
		if !found || !closed || !attributeValue(value) {
			return nil, errors.New("its signature header is malformed")
		}
		if _, dup := out[name]; dup || !slices.Contains(names, name) {
			return nil, fmt.Errorf("its signature header has an attribute twice or an unknown one")
		}
		out[name] = value
		rest = strings.TrimLeft(tail, " \t")
		if rest == "" {
			break
		}
		if rest[0] != ',' {
			return nil, errors.New("its signature header is malformed")
		}
		if rest = strings.TrimLeft(rest[1:], " \t"); rest == "" {
			return nil, errors.New("its signature header is malformed")
		}
	}
	return out, nil
}

// attributeValue says whether s may stand between the quotes of a Hawk header:
// printable ASCII without quote and backslash.
func attributeValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}
