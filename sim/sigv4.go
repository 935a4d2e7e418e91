package sim

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signatureLife is how far the time of a signature may lie from the server's.
const signatureLife = 15 * time.Minute

const (
	signedAlgorithm = "AWS4-HMAC-SHA256"
	amzTime         = "20060102T150405Z"
)

// scope is the credential part of an Authorization header, and what was signed.
type scope struct {
	keyID, date, region, service string
	headers                      []string
}

// parseScope reads an Authorization header of Signature Version 4.
func parseScope(header string) (scope, bool) {
	rest, ok := strings.CutPrefix(header, signedAlgorithm+" ")
	if !ok {
		return scope{}, false
	}
	attributes := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return scope{}, false
		}
		attributes[key] = value
	}
	parts := strings.Split(attributes["Credential"], "/")
	if len(parts) != 5 || parts[4] != "aws4_request" || attributes["SignedHeaders"] == "" || attributes["Signature"] == "" {
		return scope{}, false
	}
	return scope{parts[0], parts[1], parts[2], parts[3], strings.Split(attributes["SignedHeaders"], ";")}, true
}

// authenticate checks the signature of a request that arrived at the given time:
// its form, the key, the time and the signature itself. It gives the signing time.
func (s *EC2) authenticate(r *http.Request, body []byte, f form, arrived time.Time) (Credential, time.Time, *apiError) {
	none, d := Credential{}, dialectOf(f.service)
	sc, ok := parseScope(r.Header.Get("Authorization"))
	if !ok {
		return none, arrived, d.unsigned.because("The request lacks a valid signature.")
	}
	i := slices.IndexFunc(s.config.Credentials, func(c Credential) bool { return c.AccessKeyID == sc.keyID })
	signed, err := time.Parse(amzTime, r.Header.Get("X-Amz-Date"))
	switch {
	case i < 0:
		return none, arrived, d.unknownKey.because("AWS was not able to validate the provided access credentials")
	case err != nil:
		return none, arrived, fail(http.StatusBadRequest, "IncompleteSignature", "Date must be in ISO-8601 basic format.")
	case arrived.Sub(signed) > signatureLife:
		return none, arrived, s.skewed(d.tooOld, "Request has expired.")
	case signed.Sub(arrived) > signatureLife:
		return none, arrived, s.skewed(d.tooNew, "The signature is not yet current.")
	}
	who := s.config.Credentials[i]
	if s.faults.Expired || !who.Expires.IsZero() && !arrived.Before(who.Expires) {
		return none, arrived, d.expired.because("The security token included in the request is expired")
	}
	if sc.service != d.service || sc.region != s.config.Region || sc.date != signed.Format("20060102") ||
		r.Header.Get("X-Amz-Security-Token") != who.SessionToken || !matches(r, body, sc, who, signed) {
		return none, arrived, d.wrong.because("The request signature we calculated does not match the signature you provided.")
	}
	return who, signed, nil
}

func (s *EC2) skewed(t trouble, message string) *apiError {
	if s.faults.SkewCode != "" {
		t.code = s.faults.SkewCode
	}
	return t.because("%s", message)
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// matches signs the request once more, with the headers that the caller signed
// and no others, and compares.
func matches(r *http.Request, body []byte, sc scope, who Credential, signed time.Time) bool {
	again := &http.Request{
		Method: r.Method,
		URL:    &url.URL{Scheme: "https", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery},
		Host:   r.Host,
		Header: http.Header{},
	}
	for _, name := range sc.headers {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = int64(len(body))
		default:
			again.Header[http.CanonicalHeaderKey(name)] = slices.Clone(r.Header.Values(name))
		}
	}
	sum := sha256.Sum256(body)
	creds := aws.Credentials{AccessKeyID: who.AccessKeyID, SecretAccessKey: who.SecretAccessKey, SessionToken: who.SessionToken}
	err := v4.NewSigner().SignHTTP(r.Context(), creds, again, hex.EncodeToString(sum[:]), sc.service, sc.region, signed)
	return err == nil && subtle.ConstantTimeCompare([]byte(again.Header.Get("Authorization")), []byte(r.Header.Get("Authorization"))) == 1
}
