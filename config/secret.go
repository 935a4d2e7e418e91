package config

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a text that no formatting verb and no encoder prints; only Reveal
// gives it. The zero value is empty.
type Secret struct {
	// A pointer, because fmt prints unexported fields without asking for their
	// methods, but follows no pointer below the top.
	text *string
}

// NewSecret hides a text.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal gives the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero says that the secret is empty.
func (s Secret) IsZero() bool { return s.text == nil }

// String gives [redacted], or nothing for an empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// Format prints String under every verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText gives String, so that JSON, XML and others redact too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue gives String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
