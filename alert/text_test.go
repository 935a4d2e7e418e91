package alert

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	marks := strings.Repeat("\u0301", 6)
	for _, c := range []struct{ name, raw, want string }{
		{"empty", "", ""},
		{"plain", "curl -s https://example.com/ ~!", "curl -s https://example.com/ ~!"},
		{"escape sequence", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"title", "\x1b]0;gone\x07", `\x1b]0;gone\x07`},
		{"tab CR LF BS NUL DEL", "a\tb\r\nc\b\x00\x7f", `a\x09b\x0d\x0ac\x08\x00\x7f`},
		{"C1 as code point", "\u009b31m\u0085", "<U+009B>31m<U+0085>"},
		{"C1 as byte", "\x9b31m", `\x9b31m`},
		{"invalid UTF-8", "a\xff\xc3(\xed\xa0\x80", `a\xff\xc3(\xed\xa0\x80`},
		{"overlong", "\xc0\x9b", `\xc0\x9b`},
		{"the replacement character itself", "\ufffd", "\ufffd"},
		{"bidi", "\u202e\u2066\u200f\u061c", "<U+202E><U+2066><U+200F><U+061C>"},
		{"zero width", "a\u200b\u200c\u200d\u2060\ufeffb", "a<U+200B><U+200C><U+200D><U+2060><U+FEFF>b"},
		{"separators", "\u2028\u2029", "<U+2028><U+2029>"},
		{"tags", "\U000e0001\U000e0041\U000e007f", "<U+E0001><U+E0041><U+E007F>"},
		{"variation selectors", "\u2764\ufe0f\U000e0100", "\u2764<U+FE0F><U+E0100>"},
		{"soft hyphen and joiner", "\u00ad\u034f", "<U+00AD><U+034F>"},
		{"private, unassigned, noncharacter", "\ue000\u0378\ufdd0\U0010ffff", "<U+E000><U+0378><U+FDD0><U+10FFFF>"},
		{"spaces", " \u00a0\u2003\u3000\u1680", " <U+00A0><U+2003><U+3000><U+1680>"},
		{"blank letters", "\u3164\uffa0\u115f\u2800", "<U+3164><U+FFA0><U+115F><U+2800>"},
		{"languages", "Grüße, 世界, שלום, नमस्ते, e\u0301", "Grüße, 世界, שלום, नमस्ते, e\u0301"},
		{"emoji in parts", "👩\u200d🚒", "👩<U+200D>🚒"},
		{"pile of marks", "e" + marks, "e" + marks[:8] + "<U+0301>\u0301"},
		{"vowels that join", "ก" + strings.Repeat("\u0e33", 5), "ก" + strings.Repeat("\u0e33", 4) + "<U+0E33>"},
		{"Hangul in parts", "\u1112\u1161\u11ab\u1100\u1173\u11af", "\u1112\u1161\u11ab\u1100\u1173\u11af"},
		{"a row of Hangul initials", strings.Repeat("\u1100", 6), strings.Repeat("\u1100", 5) + "<U+1100>"},
		{"a conjunct of five", "र्त्स्न्य", "र्त्स्न्य"},
		{"an endless conjunct", strings.Repeat("क\u094d", 5), strings.Repeat("क\u094d", 4) + "क<U+094D>"},
		{"endless prefixes", strings.Repeat("\u0d4e", 6), strings.Repeat("\u0d4e", 5) + "<U+0D4E>"},
		{"skin tones", "👍" + strings.Repeat("🏽", 5), "👍" + strings.Repeat("🏽", 4) + "<U+1F3FD>"},
		{"mark first", "\u0301a", "<U+0301>a"},
		{"an escape as text", `\x1b <U+202E>`, `\x1b <U+202E>`},
	} {
		if got := Clean(c.raw); string(got) != c.want {
			t.Errorf("%s: Clean(%q) = %q, want %q", c.name, c.raw, got, c.want)
		}
	}
}

func TestCleanBound(t *testing.T) {
	for _, c := range []struct {
		raw   string
		bound int
		want  string
	}{
		{"abcde", 5, "abcde"},
		{"abcdef", 5, "abcd…"},
		{"äbcde", 5, "äbcde"},
		{"äbcdef", 5, "äbcd…"},
		{"a\x1bb", 6, `a\x1bb`},
		{"a\x1bb", 5, `a…`},
		{"a\x1b", 5, `a\x1b`},
		{"\u202e", 8, "<U+202E>"},
		{"\u202e", 7, "…"},
		{"ab", 1, "…"},
		{"ab", 0, "…"},
		{"a", -3, "a"},
		{"", 0, ""},
	} {
		got := CleanN(c.raw, c.bound)
		if string(got) != c.want {
			t.Errorf("CleanN(%q, %d) = %q, want %q", c.raw, c.bound, got, c.want)
		}
		if again := CleanN(string(got), c.bound); again != got {
			t.Errorf("CleanN(%q, %d) again = %q", got, c.bound, again)
		}
	}
}

// checkText asserts what every Text promises, by lists of its own.
func checkText(t interface {
	Helper()
	Fatalf(string, ...any)
}, raw string, got Text) {
	t.Helper()
	if n := utf8.RuneCountInString(string(got)); n > MaxText {
		t.Fatalf("Clean(%.40q…) has %d runes", raw, n)
	}
	if !utf8.ValidString(string(got)) {
		t.Fatalf("Clean(%q) = %q is not UTF-8", raw, got)
	}
	marks := 0
	for i, r := range string(got) {
		if r != ' ' && (!unicode.IsPrint(r) || unicode.In(r, unicode.C, unicode.Z, unicode.Bidi_Control, unicode.Variation_Selector,
			unicode.Join_Control, unicode.Noncharacter_Code_Point, unicode.Other_Default_Ignorable_Code_Point)) {
			t.Fatalf("Clean(%q) = %q passes %U", raw, got, r)
		}
		if !unicode.Is(unicode.M, r) {
			marks = 0
			continue
		}
		if marks++; i == 0 || marks > maxMarks {
			t.Fatalf("Clean(%q) = %q: mark %U is the %d. in a row", raw, got, r, marks)
		}
	}
	if again := Clean(string(got)); again != got {
		t.Fatalf("Clean(%q) = %q, and again %q", raw, got, again)
	}
	if got == "" && raw != "" {
		t.Fatalf("Clean(%q) shows nothing", raw)
	}
	if n := utf8.RuneCountInString(raw); n <= MaxText && utf8.RuneCountInString(string(got)) < n && !strings.HasSuffix(string(got), "…") {
		t.Fatalf("Clean(%q) = %q drops runes unseen", raw, got)
	}
	for _, esc := range []string{"<U+", `\x`} {
		tail := strings.TrimSuffix(string(got), "…")
		if strings.HasSuffix(tail, esc) && !strings.Contains(raw, esc) {
			t.Fatalf("Clean(%q) = %q is cut inside an escape", raw, got)
		}
	}
	stored, err := json.Marshal(struct{ T Text }{got})
	if err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	var back struct{ T Text }
	if err := json.Unmarshal(stored, &back); err != nil || back.T != got {
		t.Fatalf("%q comes back from JSON as %q, %v", got, back.T, err)
	}
	var direct Text
	if err := direct.UnmarshalText([]byte(raw)); err != nil || direct != got {
		t.Fatalf("UnmarshalText(%q) = %q, %v; Clean gives %q", raw, direct, err, got)
	}
}

func TestCleanHoldsForAnyText(t *testing.T) {
	odd := rapid.SampledFrom([]string{"\x1b", "\x9b", "\u009b", "\u202e", "\u200d", "\u0301", "\u0e31", "\u094d", "क", "ᄀ", "ᅡ", "ᆨ", "\U000e0041",
		"\ufe0f", "🏽", "🇪", "\u2028", "\xf0\x9f", "\xff", "…", "<U+", `\x1`, "a", " ", "\u0d4e", "\uff9e"})
	long := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(odd, 0, 200).Draw(t, "pieces"), "")
	})
	bytes := rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })
	text := rapid.OneOf(long, bytes, rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		raw := text.Draw(t, "raw") + text.Draw(t, "more")
		checkText(t, raw, Clean(raw))
		bound := rapid.IntRange(-1, 40).Draw(t, "bound")
		got := CleanN(raw, bound)
		if n := utf8.RuneCountInString(string(got)); n > max(bound, 1) {
			t.Fatalf("CleanN(%q, %d) = %q, %d runes", raw, bound, got, n)
		}
		if again := CleanN(string(got), bound); again != got {
			t.Fatalf("CleanN(%q, %d) = %q, and again %q", raw, bound, got, again)
		}
	})
}

// TestCleanEveryRune holds for each code point, after a letter, that it passes as
// it is or is shown as a plain escape.
func TestCleanEveryRune(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		got := string(Clean("a" + string(r)))
		shown := strings.HasPrefix(got[1:], `\x`) || strings.HasPrefix(got[1:], "<U+")
		passes := got == "a"+string(r)
		hide := !unicode.IsPrint(r) || unicode.In(r, unicode.Bidi_Control, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
		if passes == shown || hide && passes {
			t.Fatalf("%U is shown as %q", r, got)
		}
		if shown && !isPlain(got, MaxText) {
			t.Fatalf("%U: the escape %q is not plain", r, got)
		}
	}
}

func TestTextFromTamperedJSON(t *testing.T) {
	var a Alert
	raw := `{"title":"\u001b]52;c;eA==\u0007\u202etxt","events":[{"process":"a\u0000b","time":"2026-01-02T03:04:05Z"}],"skipped_why":["\r"]}`
	if err := json.Unmarshal([]byte(raw), &a); err != nil {
		t.Fatal(err)
	}
	if want := Text(`\x1b]52;c;eA==\x07<U+202E>txt`); a.Title != want {
		t.Errorf("title %q, want %q", a.Title, want)
	}
	if a.Events[0].Process != `a\x00b` || a.SkippedWhy[0] != `\x0d` {
		t.Errorf("process %q, skipped %q", a.Events[0].Process, a.SkippedWhy[0])
	}
	if a.Title.String() != string(a.Title) {
		t.Error("String differs from the text")
	}
}

// TestCleanCost holds that plain text is not copied, and that input beyond what is
// shown is not looked at: a text with an unreachable rest costs what its head does.
func TestCleanCost(t *testing.T) {
	plain := strings.Repeat("x", MaxText)
	if n := testing.AllocsPerRun(100, func() { _ = Clean(plain) }); n != 0 {
		t.Errorf("plain text allocates %v times", n)
	}
	for _, piece := range []string{"x", "\x1b", "\u0301", "ü", "\U000e0041", "\xff"} {
		head, all := strings.Repeat(piece, MaxText+1), strings.Repeat(piece, 1<<22)
		if Clean(head) != Clean(all) {
			t.Errorf("%q: the rest changes the text", piece)
		}
		// A walk over the whole would cost thousands of times more.
		if h, w := fastest(head), fastest(all); w > 100*h {
			t.Errorf("%q: megabytes cost %v, their head %v", piece, w, h)
		}
	}
}

func fastest(raw string) time.Duration {
	best := time.Hour
	for range 20 {
		start := time.Now()
		_ = Clean(raw)
		best = min(best, time.Since(start))
	}
	return max(best, 100*time.Nanosecond)
}

func BenchmarkClean(b *testing.B) {
	for name, raw := range map[string]string{
		"plain":    "curl -s https://example.com/install.sh",
		"language": strings.Repeat("Grüße aus München ", 10),
		"hostile":  strings.Repeat("\x1b[31m\u202e\u0301", 1<<17),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = Clean(raw)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[2J", "\u202e", "e\u0301\u0301\u0301\u0301\u0301\u0301", "\xff\xfe", strings.Repeat("\x00", 600), "…"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) { checkText(t, raw, Clean(raw)) })
}
