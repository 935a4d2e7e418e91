package sim

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// hawkWindow is how far the time of a Hawk request may lie from the server's.
const hawkWindow = time.Minute

// hawkRequest is what a MAC covers.
type hawkRequest struct {
	ts, nonce, hash, ext, mac, id string
	method, target, host, port    string
}

var hawkAttribute = regexp.MustCompile(`^\s*(\w+)="([^"\\]*)"\s*$`)

// parseHawk reads an Authorization header; it gives Hawk's own words on failure.
func parseHawk(r *http.Request) (hawkRequest, string) {
	h := hawkRequest{method: r.Method, target: r.RequestURI}
	h.host, h.port = hostPort(r)
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Hawk") {
		return h, "Unauthorized"
	}
	fields := map[string]*string{"id": &h.id, "ts": &h.ts, "nonce": &h.nonce, "hash": &h.hash, "ext": &h.ext, "mac": &h.mac}
	for part := range strings.SplitSeq(rest, ",") {
		m := hawkAttribute.FindStringSubmatch(part)
		if m == nil {
			return h, "Bad header format"
		}
		field, ok := fields[m[1]]
		if !ok {
			return h, "Unknown attribute: " + m[1]
		}
		delete(fields, m[1]) // each once
		*field = m[2]
	}
	if h.id == "" || h.ts == "" || h.nonce == "" || h.mac == "" {
		return h, "Missing attributes"
	}
	return h, ""
}

// hostPort gives host and port as the caller addressed them.
func hostPort(r *http.Request) (host, port string) {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, port = r.Host, pick(r.TLS != nil, "443", "80")
	}
	return strings.ToLower(host), port
}

// sign gives the MAC of kind header or response.
func (h hawkRequest) sign(kind, key string) string {
	ext := strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(h.ext)
	lines := []string{"hawk.1." + kind, h.ts, h.nonce, strings.ToUpper(h.method), h.target, h.host, h.port, h.hash, ext, ""}
	return mac(key, strings.Join(lines, "\n"))
}

func mac(key, text string) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func payloadHash(contentType string, body []byte) string {
	media, _, _ := strings.Cut(contentType, ";")
	sum := sha256.Sum256(fmt.Appendf(nil, "hawk.1.payload\n%s\n%s\n", strings.ToLower(strings.TrimSpace(media)), body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// authenticate checks a request in Hawk's order: header, credentials, MAC,
// payload, nonce, time; and at last the organization. It gives Hawk's words on
// failure. The caller holds the lock.
func (s *ThreatStack) authenticate(r *http.Request, body []byte, now time.Time) (hawkRequest, string) {
	h, problem := parseHawk(r)
	switch {
	case problem != "":
		return h, problem
	case h.id != s.config.UserID:
		return h, "Unknown credentials"
	case !equal(h.sign("header", s.config.APIKey), h.mac):
		return h, "Bad mac"
	case h.hash == "" && len(body) > 0:
		return h, "Missing required payload hash"
	case h.hash != "" && !equal(payloadHash(r.Header.Get("Content-Type"), body), h.hash):
		return h, "Bad payload hash"
	}
	if s.replayed(h, now) {
		return h, "Invalid nonce"
	}
	ts, err := strconv.ParseInt(h.ts, 10, 64)
	if err != nil || time.Unix(ts, 0).Sub(now).Abs() > hawkWindow {
		return h, staleTimestamp
	}
	if h.ext != s.config.OrganizationID {
		return h, wrongOrganization
	}
	return h, ""
}

const (
	staleTimestamp    = "Stale timestamp"
	wrongOrganization = "Unknown organization"
)

// replayed tells whether a nonce was seen with its time before, and remembers
// it for as long as the time can be accepted.
func (s *ThreatStack) replayed(h hawkRequest, now time.Time) bool {
	for len(s.nonceOrder) > 0 && now.Sub(s.nonceOrder[0].at) > 2*hawkWindow {
		delete(s.nonces, s.nonceOrder[0].key)
		s.nonceOrder = s.nonceOrder[1:]
	}
	key := h.ts + " " + h.nonce
	if s.nonces[key] {
		return true
	}
	s.nonces[key] = true
	s.nonceOrder = append(s.nonceOrder, seenNonce{key, now})
	return false
}

type seenNonce struct {
	key string
	at  time.Time
}

// challenge gives the WWW-Authenticate header of a refusal. Only a stale time
// carries the server's, under a MAC.
func (s *ThreatStack) challenge(problem string, now time.Time) string {
	switch problem {
	case "Unauthorized":
		return "Hawk"
	case staleTimestamp:
		ts := strconv.FormatInt(now.Unix(), 10)
		return fmt.Sprintf(`Hawk ts="%s", tsm="%s", error="%s"`, ts, mac(s.config.APIKey, "hawk.1.ts\n"+ts+"\n"), problem)
	}
	return fmt.Sprintf(`Hawk error="%s"`, problem)
}

// authorization gives the Server-Authorization header of an answer.
func (h hawkRequest) authorization(key, contentType string, body []byte, f ThreatStackFaults) string {
	h.hash, h.ext = payloadHash(contentType, body), ""
	if f.WrongHash {
		h.hash = payloadHash(contentType, append([]byte("not "), body...))
	}
	signature := h.sign("response", key)
	if f.WrongMAC {
		signature = h.sign("response", key+"?")
	}
	return fmt.Sprintf(`Hawk mac="%s", hash="%s"`, signature, h.hash)
}
