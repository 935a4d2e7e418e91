package alert

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseAddr(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"203.0.113.7", "203.0.113.7"},
		{" 203.0.113.7\n", "203.0.113.7"},
		{"10.1.1.5/24", "10.1.1.5"},
		{"203.0.113.7:443", "203.0.113.7"},
		{"203.0.113.7:0", "203.0.113.7"},
		{"2001:db8::1", "2001:db8::1"},
		{"2001:DB8:0:0::1", "2001:db8::1"},
		{"[2001:db8::1]:443", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"2001:db8::1/64", "2001:db8::1"},
		{"fe80::1%eth0", "fe80::1"},
		{"fe80::1%12/64", "fe80::1"},
		{"[fe80::1%eth0]:80", "fe80::1"},
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"::ffff:a00:1", "10.0.0.1"},
		{"::ffff:10.0.0.1/120", "10.0.0.1"},
		{"[::ffff:10.0.0.1]:22", "10.0.0.1"},
		{"::", "::"},
		{"0.0.0.0", "0.0.0.0"},
		{"::1", "::1"},
		{"64:ff9b::c000:201", "64:ff9b::c000:201"},
	} {
		got, ok := ParseAddr(c.in)
		if !ok || got.String() != c.want {
			t.Errorf("ParseAddr(%q) = %v, %v, want %s", c.in, got, ok, c.want)
		}
	}
	for _, in := range []string{
		"", " ", "-", "AWS Internal", "ec2.amazonaws.com", "localhost", "010.1.1.1", "10.1.1.01", "10.1", "167772161", "0x0a000001",
		"10.1.1.256", "10.1.1.5/33", "10.1.1.5/-1", "10.1.1.5/", "/24", "10.1.1.5/24/24", "10.1.1.5/024", "2001:db8::1/129", "10.1.1.5:99999",
		"10.1.1.5:443/24", "[10.1.1.5]", "[::1", "::1]", "10.1.1.5,10.1.1.6", "10.1.1.5 10.1.1.6", "2001:db8::1::2", "10.1.1.5\x00",
		"१०.१.१.५", "10。1.1.5", strings.Repeat("1", 1<<20), strings.Repeat("2001:", 20), "%eth0", "fe80::1%",
	} {
		if got, ok := ParseAddr(in); ok || got.IsValid() {
			t.Errorf("ParseAddr(%.40q) = %v, %v", in, got, ok)
		}
	}
}

func drawAddr(t *rapid.T) netip.Addr {
	if rapid.Bool().Draw(t, "v4") {
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "addr4")))
	}
	return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "addr16")))
}

// TestParseAddrReadsEveryForm holds that all ways of writing one address give it.
func TestParseAddrReadsEveryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAddr(t)
		port := strconv.Itoa(int(rapid.Uint16().Draw(t, "port")))
		bits := strconv.Itoa(rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
		forms := []string{a.String(), " " + a.String() + "\t", a.String() + "/" + bits, netip.AddrPortFrom(a, 0).String(), a.StringExpanded()}
		if a.Is4() {
			forms = append(forms, a.String()+":"+port, "::ffff:"+a.String(), "[::ffff:"+a.String()+"]:"+port)
		} else {
			forms = append(forms, "["+a.String()+"]:"+port, "["+a.String()+"]", a.String()+"%eth0", a.String()+"%3/"+bits)
		}
		for _, s := range forms {
			if got, ok := ParseAddr(s); !ok || got != a.Unmap() {
				t.Fatalf("ParseAddr(%q) = %v, %v, want %v", s, got, ok, a.Unmap())
			}
		}
	})
}

func checkParsed(t *testing.T, s string) {
	a, ok := ParseAddr(s)
	if ok != a.IsValid() {
		t.Fatalf("ParseAddr(%q) = %v, %v", s, a, ok)
	}
	if !ok {
		return
	}
	if a.Zone() != "" || a.Is4In6() {
		t.Fatalf("ParseAddr(%q) = %v keeps a zone or a mapping", s, a)
	}
	if back, ok := ParseAddr(a.String()); !ok || back != a {
		t.Fatalf("ParseAddr(%q) = %v, which reads as %v", s, a, back)
	}
	// Only what names exactly this address may give it.
	if !strings.ContainsAny(s, ":") && !strings.Contains(s, a.String()) {
		t.Fatalf("ParseAddr(%q) = %v", s, a)
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"203.0.113.7", "10.1.1.5/24", "[2001:db8::1]:443", "fe80::1%eth0/64", "::ffff:10.0.0.1", "AWS Internal", "010.0.0.1", "[", "%"} {
		f.Add(s)
	}
	f.Fuzz(checkParsed)
}

func BenchmarkParseAddr(b *testing.B) {
	for b.Loop() {
		_, _ = ParseAddr("203.0.113.7")
		_, _ = ParseAddr("AWS Internal")
	}
}
