package notify

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWebhook holds that the library delivers to a real server, and what is said when
// that refuses or is gone.
func TestWebhook(t *testing.T) {
	var body, kind string
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		body, kind = string(b), r.Header.Get("Content-Type")
		w.WriteHeader(status)
	}))
	open := func(suffix string) Sender {
		t.Helper()
		out, err := Open("generic+" + s.URL + "/T0K3N" + suffix)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if err := open("").Send("a < b\nc"); err != nil || body != "a < b\nc" {
		t.Errorf("plain: %v, %q", err, body)
	}
	var got struct{ Message string }
	if err := open("?template=json").Send("hello"); err != nil || json.Unmarshal([]byte(body), &got) != nil ||
		got.Message != "hello" || !strings.HasPrefix(kind, "application/json") {
		t.Errorf("JSON: %v, %q, %q", err, body, kind)
	}
	status = http.StatusForbidden
	if err := open("").Send("x"); err == nil || explain(err) != "the receiver answered with status 403" {
		t.Errorf("refused: %v", err)
	}
	gone := open("")
	s.Close()
	if err := gone.Send("x"); err == nil || !strings.HasPrefix(explain(err), "no connection to the receiver: dial tcp 127.0.0.1:") || strings.Contains(explain(err), "T0K3N") {
		t.Errorf("gone: %v", err)
	}
}
