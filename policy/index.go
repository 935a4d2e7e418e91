package policy

import (
	"net/netip"
	"slices"
)

// index finds overlapping prefixes of one family. Two prefixes are apart or one
// lies in the other, so the entries, sorted by address and length, are trees in
// preorder: what is around a prefix are ancestors of the entry before it, and what
// is inside follows.
type index []node

type node struct {
	Guarded
	parent int // the nearest entry around it, -1 when there is none
}

// append adds an entry that is not less than those before.
func (x index) append(e Guarded) index {
	parent := len(x) - 1
	for parent >= 0 && !x[parent].Prefix.Contains(e.Prefix.Addr()) {
		parent = x[parent].parent
	}
	return append(x, node{e, parent})
}

// overlap gives the longest entry that contains p, else the first that lies in p.
func (x index) overlap(p netip.Prefix) (Guarded, bool) {
	after, _ := slices.BinarySearchFunc(x, p, func(n node, p netip.Prefix) int {
		if n.Prefix.Compare(p) <= 0 {
			return -1
		}
		return 1
	})
	for i := after - 1; i >= 0; i = x[i].parent {
		if x[i].Prefix.Contains(p.Addr()) {
			return x[i].Guarded, true
		}
	}
	if after < len(x) && p.Contains(x[after].Prefix.Addr()) {
		return x[after].Guarded, true
	}
	return Guarded{}, false
}
