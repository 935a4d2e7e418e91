package threatstack

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

const (
	docKey = "werxhqb98rpaxn39848xrunpaw3489ruxnpa98w4rxn"
	docID  = "dh37fgj492je"
)

func TestVectorsOfTheHawkDocumentation(t *testing.T) {
	a := artifacts{ts: "1353832234", nonce: "j4h3g2", method: "get", resource: "/resource/1?b=1&a=2", host: "Example.com", port: "8000",
		ext: "some-app-ext-data"}
	if got, want := a.mac([]byte(docKey), macRequest), "6R4rV5iE+NPoym+WwjeHzjAGXUtLNIxmo1vpMofpLAE="; got != want {
		t.Errorf("GET: %s, want %s", got, want)
	}
	a.method, a.hash = "POST", payloadHash("text/plain", []byte("Thank you for flying Hawk"))
	if want := "Yi9LfIIFRtBEPt74PVmbTF/xVAwPn7ub15ePICfgnuY="; a.hash != want {
		t.Errorf("hash: %s, want %s", a.hash, want)
	}
	if got, want := a.mac([]byte(docKey), macRequest), "aSe1DERmZuRl3pI36/9BdZmnErTw3sNzOOAUlfeKjVw="; got != want {
		t.Errorf("POST: %s, want %s", got, want)
	}
	header := newCredentials(docID, docKey, a.ext).header(a)
	for _, part := range []string{`Hawk id="dh37fgj492je"`, `hash="` + a.hash + `"`, `mac="aSe1DERmZuRl3pI36/9BdZmnErTw3sNzOOAUlfeKjVw="`} {
		if !strings.Contains(header, part) {
			t.Errorf("header %s lacks %s", header, part)
		}
	}

	r := artifacts{ts: "1362336900", nonce: "eb5S_L", method: "POST", resource: "/resource/4?filter=a", host: "example.com", port: "8080"}
	c := newCredentials(docID, docKey, "")
	answer := `Hawk mac="XIJRsMl/4oL+nn+vKoeVZPdCHXB4yJkNnBbTbHFZUYE=", hash="f9cDF/TDm7TkYRLnGwRMfeDzT6LixQVLvrIKhh0vgmM=", ext="response-specific"`
	if err := c.verifyResponse(answer, r, "text/plain", []byte("some reply")); err != nil {
		t.Errorf("answer: %v", err)
	}
	if err := c.verifyResponse(answer, r, "text/plain", []byte("some replY")); !errors.Is(err, errPayloadHash) {
		t.Errorf("answer with another body: %v", err)
	}
	if err := c.verifyResponse(strings.Replace(answer, "XIJR", "XIJS", 1), r, "text/plain", []byte("some reply")); !errors.Is(err, errMAC) {
		t.Errorf("answer with another mac: %v", err)
	}
}

func TestVectorsInTheShapeOfTheService(t *testing.T) {
	key := []byte(testKey)
	a := artifacts{ts: "1700000000", nonce: "abc123", method: "GET", host: "api.threatstack.com", port: "443", ext: testOrg,
		resource: "/v2/alerts?status=active&from=2023-11-14&until=2023-11-15"}
	if got, want := a.mac(key, macRequest), "FciMpUDWY5NWEEepR6mjOmAQsx7BR+04k+Vy0El5MV4="; got != want {
		t.Errorf("GET: %s, want %s", got, want)
	}
	p := a
	p.method, p.resource = "POST", "/v2/alerts/dismiss"
	p.hash = payloadHash("Application/JSON; charset=utf-8", []byte(`{"ids":["7788eda0-e674-11ec-bb21-e7b597cd71fd"],"dismissReason":"MAINTENANCE"}`))
	if want := "SSj9pSv8O6o4xExxXOm3l5f2+rCyAzQ2rg0G9PDd9OQ="; p.hash != want {
		t.Errorf("hash: %s, want %s", p.hash, want)
	}
	if got, want := p.mac(key, macRequest), "BsJC6u1SIi/Lhyzgn/l9ageFMY0uFoZPItH+lgoBWW4="; got != want {
		t.Errorf("POST: %s, want %s", got, want)
	}
	c := newCredentials(testID, testKey, testOrg)
	answer := `Hawk mac="V3X6o9rkOWudlDVdVlO4BiWXJdx6uo3I74T1YG/iFdk=", hash="0gDBFESTe1VoXQqKEZIuPvBwgUAbhBZS2kgdNhAKFp8="`
	if err := c.verifyResponse(answer, a, "application/json", []byte(`{"alerts":[],"token":null}`)); err != nil {
		t.Errorf("answer: %v", err)
	}
	ts, said, ok := c.serverTime(`Hawk ts="1700000000", tsm="IQHnpRilVH7WRkO2Non+d2md0dYseJaQ0iQehdeVe9w=", error="Stale timestamp"`)
	if !said || !ok || ts.Unix() != 1700000000 {
		t.Errorf("server time: %v %v %v", ts, said, ok)
	}
	if _, said, ok := c.serverTime(`Hawk ts="1700000001", tsm="IQHnpRilVH7WRkO2Non+d2md0dYseJaQ0iQehdeVe9w=", error="Stale timestamp"`); ok || !said {
		t.Errorf("a forged server time: said %v, ok %v", said, ok)
	}
}

func TestSignCoversWhatIsSent(t *testing.T) {
	c := newCredentials(testID, testKey, testOrg)
	for raw, want := range map[string]string{
		"https://API.threatstack.com/v2/alerts?b=2&a=1#part": "/v2/alerts?b=2&a=1 api.threatstack.com 443",
		"http://localhost/x%2Fy?from=2023-11-14T00%3A00":     "/x%2Fy?from=2023-11-14T00%3A00 localhost 80",
		"http://127.0.0.1:8443/":                             "/ 127.0.0.1 8443",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		_, a := c.sign(time.Unix(1700000000, 0), "GET", u, "")
		if got := a.resource + " " + a.host + " " + a.port; got != want {
			t.Errorf("%s signs %q, want %q", raw, got, want)
		}
		if _, b := c.sign(time.Unix(1700000000, 0), "GET", u, ""); a.nonce == b.nonce {
			t.Error("a nonce came twice")
		}
	}
}

func TestEveryBitCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ -~]{1,30}`)
		a := artifacts{
			ts: rapid.StringMatching(`[0-9]{10}`).Draw(t, "ts"), nonce: text.Draw(t, "nonce"), method: "GET",
			resource: "/" + text.Draw(t, "path") + "?" + text.Draw(t, "query"), host: rapid.StringMatching(`[a-z.]{1,20}`).Draw(t, "host"),
			port: rapid.StringMatching(`[0-9]{1,5}`).Draw(t, "port"), ext: text.Draw(t, "ext"),
		}
		body := []byte(text.Draw(t, "body"))
		a.hash = payloadHash("application/json", body)
		c := newCredentials(testID, testKey, testOrg)
		b := a
		field := rapid.SampledFrom([]*string{&b.ts, &b.nonce, &b.method, &b.resource, &b.host, &b.port, &b.hash, &b.ext}).Draw(t, "field")
		raw := []byte(*field)
		// The case bit of a letter in method or host is no difference in Hawk.
		bit := byte(1) << rapid.SampledFrom([]int{0, 1, 2, 3, 4, 6}).Draw(t, "bit")
		raw[rapid.IntRange(0, len(raw)-1).Draw(t, "at")] ^= bit
		*field = string(raw)
		if a.mac(c.key(), macRequest) == b.mac(c.key(), macRequest) {
			t.Fatalf("%+v and %+v have the same MAC", a, b)
		}
		// The same change in an answer's header or the request it belongs to is refused.
		header := fmt.Sprintf(`Hawk mac="%s", hash="%s", ext="x"`, withExt(a, "x").mac(c.key(), macResponse), a.hash)
		if err := c.verifyResponse(header, a, "application/json", body); err != nil {
			t.Fatalf("a good answer: %v", err)
		}
		b.hash, b.ext = a.hash, a.ext // these two come from the answer
		if b != a && c.verifyResponse(header, b, "application/json", body) == nil {
			t.Fatal("an answer to another request passed")
		}
		i := rapid.IntRange(0, len(header)-1).Draw(t, "in header")
		forged := []byte(header)
		forged[i] ^= bit
		if !strings.EqualFold(string(forged), header) && !sameAttributes(string(forged), header) &&
			c.verifyResponse(string(forged), a, "application/json", body) == nil {
			t.Fatalf("%s passed", forged)
		}
	})
}

func withExt(a artifacts, ext string) artifacts { a.ext = ext; return a }

// sameAttributes says whether two headers differ only in space between attributes.
func sameAttributes(a, b string) bool {
	x, err1 := parseHawk(a, "mac", "hash", "ext")
	y, err2 := parseHawk(b, "mac", "hash", "ext")
	return err1 == nil && err2 == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

func TestParseHawkRefuses(t *testing.T) {
	for _, h := range []string{
		"", "Hawk", "Basic x", `Hawk mac="a`, `Hawk mac=a`, `Hawk mac="a" hash="b"`, `Hawk mac="a",`, `Hawk mac="a", mac="b"`,
		`Hawk mac="a\b"`, `Hawk mac="a\"b"`, `Hawk nope="a"`, "Hawk mac=\"a\nb\"", `Hawk mac="` + strings.Repeat("a", 5000) + `"`, `Hawk , mac="a"`,
	} {
		at, err := parseHawk(h, "mac", "hash", "ext")
		if err == nil && len(at) > 0 {
			t.Errorf("%.60q gives %v", h, at)
		}
	}
}

func FuzzParseHawk(f *testing.F) {
	f.Add(`Hawk mac="a", hash="b", ext="c"`)
	f.Add(`Hawk ts="1", tsm="x", error="Stale timestamp"`)
	f.Fuzz(func(t *testing.T, h string) {
		at, err := parseHawk(h, "mac", "hash", "ext", "ts", "tsm", "error")
		for name, v := range at {
			if err == nil && (name == "" || strings.ContainsAny(v, "\"\\\n")) {
				t.Fatalf("%q gives %q=%q", h, name, v)
			}
		}
	})
}

func FuzzNormalized(f *testing.F) {
	f.Add("a\nb\\", "/x?y")
	f.Fuzz(func(t *testing.T, ext, resource string) {
		if strings.Contains(resource, "\n") {
			return
		}
		got := artifacts{ext: ext, resource: resource}.normalized(macRequest)
		if n := strings.Count(got, "\n"); n != 9 {
			t.Fatalf("%q has %d lines", got, n)
		}
		line := strings.Split(got, "\n")[8]
		if back := unescape(line); back != ext {
			t.Fatalf("ext %q reads back as %q", ext, back)
		}
	})
}

func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n").Replace(s)
}

func TestClock(t *testing.T) {
	for name, skew := range map[string]time.Duration{"ahead": 10 * time.Minute, "behind": -2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newAPI()
				s.skew = skew
				c := newClient(t, s)
				if err := c.SelfTest(context.Background()); err != nil {
					t.Fatal(err)
				}
				if n := s.count(); n != 2 {
					t.Errorf("%d requests, want a refused one and a good one", n)
				}
				if got := c.Status().ClockOffset; got != skew {
					t.Errorf("offset %v, want %v", got, skew)
				}
				if err := c.SelfTest(context.Background()); err != nil || s.count() != 3 {
					t.Errorf("the offset was not kept: %v, %d requests", err, s.count())
				}
			})
		})
	}
}

func TestForgedClockIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAPI()
		s.skew, s.badTSM = time.Hour, true
		c := newClient(t, s)
		err := c.SelfTest(context.Background())
		if kindOf(err) != Unauthorized || !strings.Contains(err.Error(), "clock") {
			t.Errorf("error %v", err)
		}
		if c.Status().ClockOffset != 0 || s.count() != 1 {
			t.Errorf("offset %v after %d requests", c.Status().ClockOffset, s.count())
		}
	})
}

func TestAnswersMustBeSigned(t *testing.T) {
	flip := func(_ int, _ *http.Request, resp *http.Response) {
		h := []byte(resp.Header.Get("Server-Authorization"))
		raw, _ := base64.StdEncoding.DecodeString(string(h[10:54]))
		raw[0] ^= 1
		copy(h[10:54], base64.StdEncoding.EncodeToString(raw))
		resp.Header.Set("Server-Authorization", string(h))
	}
	cases := []struct {
		name     string
		allow    bool
		unsigned bool
		after    func(int, *http.Request, *http.Response)
		want     Kind
	}{
		{name: "signed"},
		{name: "missing", unsigned: true, want: BadSignature},
		{name: "missing, allowed", unsigned: true, allow: true},
		{name: "wrong", after: flip, want: BadSignature},
		{name: "wrong, unsigned allowed", after: flip, allow: true, want: BadSignature},
		{name: "other content type", after: func(_ int, _ *http.Request, r *http.Response) { r.Header.Set("Content-Type", "text/html") }, want: BadSignature},
		{name: "twice", after: func(_ int, _ *http.Request, r *http.Response) {
			r.Header.Add("Server-Authorization", r.Header.Get("Server-Authorization"))
		}, want: BadSignature},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newAPI()
				s.add("a1", nil)
				s.unsigned, s.after = tc.unsigned, tc.after
				c := newClient(t, s, func(c *Config) { c.AllowUnsigned = tc.allow })
				got, err := run(c, time.Now())
				if kindOf(err) != tc.want {
					t.Fatalf("error %v, want kind %v", err, tc.want)
				}
				if tc.want != 0 && len(got) > 0 {
					t.Errorf("an unverified answer was used: %v", summary(got))
				}
				if tc.want == 0 && c.Status().Signed == tc.unsigned {
					t.Errorf("signed is %v", c.Status().Signed)
				}
			})
		})
	}
}
