package ui

import (
	"time"

	"selfprotect/engine"
)

// credentialsSoon is how long before their end credentials are warned of.
const credentialsSoon = 15 * time.Minute

// accounts are the AWS accounts that we are known to.
func (m *Model) accounts() []string {
	var out []string
	for _, a := range m.snap.Access {
		out = append(out, a.Account)
	}
	return out
}

// nextExpiry is the identity whose credentials end first; nil when none is known
// to end.
func nextExpiry(s *engine.Snapshot) *engine.Access {
	var first *engine.Access
	for i := range s.Access {
		if a := &s.Access[i]; !a.Expires.IsZero() && (first == nil || a.Expires.Before(first.Expires)) {
			first = a
		}
	}
	return first
}

func (m *Model) credentials(f freshForm) []seg {
	for _, a := range m.snap.Access {
		if a.Err != "" {
			return []seg{{m.th.bad, "AWS REFUSES US"}}
		}
	}
	a := nextExpiry(m.snap)
	if a == nil {
		return nil
	}
	left := a.Expires.Sub(m.now)
	word := "AWS login "
	switch {
	case left <= 0:
		return []seg{{m.th.bad, word + "ENDED " + age(m.now, a.Expires) + " ago"}}
	case left < credentialsSoon:
		return []seg{{m.th.warn, word + "ends in " + span(left)}}
	case f == freshLong:
		return []seg{{m.th.dim, word + spanLong(left) + " left"}}
	}
	return nil
}

// warning is what will go wrong soon; empty when nothing will.
func (m *Model) warning() string {
	if m.snap == nil {
		return ""
	}
	a := nextExpiry(m.snap)
	if a == nil || a.Expires.Sub(m.now) >= credentialsSoon {
		return ""
	}
	if left := a.Expires.Sub(m.now); left > 0 {
		return "the AWS credentials end in " + spanLong(left) + " " + m.gl.right + " log in again before; proposals wait, none is lost"
	}
	return "the AWS credentials have ended " + m.gl.right + " log in again; proposals wait, and work goes on by itself"
}
