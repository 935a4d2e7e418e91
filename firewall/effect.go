package firewall

import (
	"cmp"
	"fmt"
	"slices"

	"go4.org/netipx"
)

// EffectKind says what first match leaves of a deny.
type EffectKind uint8

const (
	// Effective: every packet of some address of it meets this entry first.
	Effective EffectKind = iota
	// PartlyShadowed: an allow with a lower number matches a part first.
	PartlyShadowed
	// Shadowed: allows with lower numbers match everything first.
	Shadowed
	// Redundant: denies with lower numbers deny all of it already.
	Redundant
)

// Effect is what a deny does where it stands.
type Effect struct {
	Kind EffectKind
	By   int // the lowest number of the entries in its way, 0 when effective
}

// String gives empty when the deny is effective, else what is in its way.
func (e Effect) String() string {
	switch e.Kind {
	case PartlyShadowed:
		return fmt.Sprintf("partly effective: allow %d matches first for a part", e.By)
	case Shadowed:
		return fmt.Sprintf("not effective: allow %d matches first", e.By)
	case Redundant:
		return fmt.Sprintf("redundant: deny %d covers it", e.By)
	}
	return ""
}

// EffectOf evaluates the list up to an entry, as AWS does: what earlier entries
// of all protocols match never reaches it, and of what they let through a part is
// shadowed. Entries of one protocol or port match only some packets, so they
// shadow in part at most and make nothing redundant.
func (a ACL) EffectOf(e Entry) Effect {
	if !e.Deny || e.Default() || !e.Prefix.IsValid() {
		return Effect{}
	}
	w := walk{rest: e}
	w.left.AddPrefix(e.Prefix.Masked())
	for _, o := range a.before(e) {
		w.meet(o)
	}
	return w.effect()
}

// before gives the entries that are looked at before e and overlap it.
func (a ACL) before(e Entry) []Entry {
	var out []Entry
	for _, o := range a.Entries {
		if o.Direction == e.Direction && o.Number < e.Number && o.Prefix.IsValid() && o.Prefix.Overlaps(e.Prefix) {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(x, y Entry) int { return cmp.Compare(x.Number, y.Number) })
	return out
}

// walk follows the addresses of an entry through the entries before it.
type walk struct {
	rest        Entry
	left        netipx.IPSetBuilder // what no earlier entry has decided wholly
	allow, deny int                 // the first that decided something
}

func (w *walk) meet(o Entry) {
	set, err := w.left.IPSet()
	if err != nil || !set.OverlapsPrefix(o.Prefix) {
		return
	}
	switch {
	case !o.Deny:
		w.allow = cmp.Or(w.allow, o.Number)
	case o.Protocol == AllProtocols:
		w.deny = cmp.Or(w.deny, o.Number)
	}
	if o.Protocol == AllProtocols {
		w.left.RemovePrefix(o.Prefix)
	}
}

func (w *walk) effect() Effect {
	set, err := w.left.IPSet()
	empty := err == nil && len(set.Ranges()) == 0
	switch {
	case empty && w.allow == 0:
		return Effect{Redundant, w.deny}
	case empty && w.deny == 0:
		return Effect{Shadowed, w.allow}
	case w.allow != 0:
		return Effect{PartlyShadowed, w.allow}
	}
	return Effect{}
}
