package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"selfprotect/config"
	"selfprotect/firewall"
)

// A group that does not end is left behind, and says so.
func TestSectionIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		began := time.Now()
		got := section{groupAWS, func(context.Context, *checker) { <-free }}.within(context.Background(), time.Minute)
		if took := time.Since(began); len(got) != 1 || got[0].Result != resultFail || took > 2*time.Minute {
			t.Errorf("%+v after %s", got, took)
		}
		close(free)
	})
}

func TestRoom(t *testing.T) {
	for _, tt := range []struct {
		free     uint64
		writable bool
		err      error
		want     string
	}{
		{1 << 30, true, nil, resultOK},
		{lowDisk - 1, true, nil, resultFail},
		{1 << 30, false, nil, resultFail},
		{0, false, errors.New("gone"), resultWarn},
	} {
		c := &checker{}
		room(c, "disk", "/state", tt.free, tt.writable, tt.err)
		f := c.findings[0]
		if f.Result != tt.want || (f.Fix == "") != (f.Result == resultOK) {
			t.Errorf("%+v gives %+v", tt, f)
		}
	}
}

func TestCheckNumbers(t *testing.T) {
	allow := func(n int, p string) firewall.Entry {
		return firewall.Entry{Number: n, Direction: firewall.Egress, Protocol: firewall.AllProtocols, Prefix: netip.MustParsePrefix(p)}
	}
	deny := allow(5, "198.51.100.0/24")
	deny.Deny = true
	for _, tt := range []struct {
		name    string
		entries []firewall.Entry
		want    string
	}{
		{"above", []firewall.Entry{deny, allow(100, "0.0.0.0/0")}, resultOK},
		{"none", []firewall.Entry{deny}, resultWarn},
		{"among", []firewall.Entry{allow(50, "::/0")}, resultWarn},
		{"before", []firewall.Entry{allow(1, "0.0.0.0/0")}, resultFail},
		{"narrow", []firewall.Entry{allow(1, "203.0.113.0/24"), allow(100, "0.0.0.0/0")}, resultWarn},
	} {
		c := &checker{}
		checkNumbers(c, firewall.ACL{ID: "acl-1", Entries: tt.entries}, config.ACL{Directions: []firewall.Direction{firewall.Egress}, Numbers: config.Range{Low: 1, High: 99}})
		if len(c.findings) != 1 || c.findings[0].Result != tt.want {
			t.Errorf("%s: %+v", tt.name, c.findings)
		}
	}
}

// Whatever is found fits a narrow terminal, and a pipe gets it in one line.
func TestFindingsAreBroken(t *testing.T) {
	long := strings.Repeat("word ", 40) + "acl-0123456789abcdef0"
	var b strings.Builder
	writeWrapped(&b, "warn  "+strings.Repeat("x", whatWidth)+"  ", long, 80, resultStyle(resultOK).UnsetForeground())
	for l := range strings.Lines(b.String()) {
		if len([]rune(strings.TrimRight(l, "\n"))) > 80 {
			t.Errorf("too wide: %q", l)
		}
	}
	var pipe bytes.Buffer
	if err := printFindings(&pipe, []finding{{groupAWS, "what", resultFail, long, "mend it"}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(pipe.String(), long+"\n") || strings.Contains(pipe.String(), "\x1b") {
		t.Errorf("a pipe gets %q", pipe.String())
	}
}

// What to do is told from what happened.
func TestInTwo(t *testing.T) {
	for _, tt := range [][3]string{
		{"the AWS endpoint refuses connections: check the network", "the AWS endpoint refuses connections", "check the network"},
		{"/a/path: is a directory", "/a/path: is a directory", ""},
		{"plain", "plain", ""},
	} {
		if what, fix := inTwo(errors.New(tt[0])); what != tt[1] || fix != tt[2] {
			t.Errorf("%q gives %q and %q", tt[0], what, fix)
		}
	}
	if what, fix := inTwo(fmt.Errorf("alert API: self-test: stopped: %w", context.DeadlineExceeded)); what != "no answer in time" || fix == "" {
		t.Errorf("%q, %q", what, fix)
	}
	if what, fix := inTwo(&config.CredentialsError{Missing: []string{"TS_API_KEY"}, Looked: []string{"the environment"}}); what != "TS_API_KEY is missing; looked in the environment" || fix != "" {
		t.Errorf("%q, %q", what, fix)
	}
}
