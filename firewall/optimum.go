package firewall

import "sort"

// This file finds the best use of a number of slots: at most K disjoint prefixes
// that serve the most weight, less the price of the innocent addresses that they
// deny. It is BLOCK-SOME of Soldo, Argyraki and Markopoulou ("Optimal
// Source-Based Filtering of Malicious Traffic", IEEE/ACM Transactions on
// Networking 20(2), 2012), solved exactly by dynamic programming over the tree of
// longest common prefixes:
//
//   - Only the at most 2N-1 nodes of that tree can matter: a chosen prefix may be
//     narrowed to the common prefix of the items in it, which serves as much and
//     denies no more.
//   - best(v, f), for f slots below node v, is the better of taking v itself and of
//     the best split of f between its children.
//   - The merge at v costs min(K, left) x min(K, right) steps, which sums up to
//     O(N K) over the tree.

// item is one wanted prefix; items are sorted by key and distinct.
type item struct {
	key
	weight    int64 // with what counts for pins and for being denied already
	age       int64 // the larger the earlier its turn among equals
	count     int64 // candidates that it stands for
	installed bool  // an entry of ours denies exactly it and may stay
}

// value is what a choice is worth. hi is the weight served less the price of
// innocents; lo decides between equals: more candidates, fewer writes, older ones.
type value struct{ hi, lo int64 }

func (a value) plus(b value) value { return value{a.hi + b.hi, a.lo + b.lo} }

func (a value) over(b value) bool { return a.hi > b.hi || a.hi == b.hi && a.lo > b.lo }

// worth is the value of taking exactly the item.
func (it item) worth() value {
	v := value{hi: it.weight, lo: it.count*oneCount + it.age}
	if it.installed {
		v.lo += oneWrite
	} else {
		v.lo -= oneWrite
	}
	return v
}

// The parts of value.lo: ages sum up to less than 1<<35, writes are fewer than
// 1<<7, counts fewer than 1<<18.
const (
	oneWrite = int64(1) << 37
	oneCount = int64(1) << 44
	maxAge   = int64(1)<<17 - 1
	maxItems = 1 << 18
	// maxWeight bounds the weight of one candidate, maxCost the price of one prefix:
	// above every sum of weights, below one pin.
	maxWeight = int64(1)<<22 - 1
	maxCost   = int64(1) << 41
	onePin    = int64(1) << 42
)

// rules says which prefixes may be taken beside the items themselves.
type rules struct {
	family   Family
	price    int64 // of one innocent address, for IPv6 of one innocent /64
	minBits  int   // the shortest prefix
	cap      int64 // the most innocents in one prefix
	covers   []key // prefixes inside which the cap does not hold
	allowed  func(key) bool
	existing map[key]bool // entries of ours that may stay
}

// lengths says which prefix lengths occur; most nodes need no look-up then.
func lengths(keys map[key]bool) (out [129]bool) {
	for k := range keys {
		out[k.bits] = true
	}
	return out
}

// node is a node of the tree, in post-order.
type node struct {
	key
	from, to    int32 // its items
	left, right int32 // its children, -1 for none
	splits      int32 // where its choices begin
	size        int32 // slots that make a difference below it, at most K
}

// sum is what the items below a node have together.
type sum struct {
	weight, age, count int64
	// covered counts the addresses (for IPv6 the whole /64s) that items deny;
	// exact says that items deny every address of the node.
	covered int64
	exact   bool
}

// optimum is one run of the dynamic program.
type optimum struct {
	items  []item
	k      int
	r      rules
	known  [129]bool // lengths of existing entries
	nodes  []node
	splits []uint8
	values []value // a stack of tables, the deepest open one last
	merged []value
}

// taken marks in splits that the node itself is chosen.
const taken = 255

// maxSlots is the largest number of slots that is told apart.
const maxSlots = 200

// pick is a chosen prefix and the range of the items that it serves.
type pick struct {
	key
	from, to int
}

// solve runs the program for up to k slots.
func solve(items []item, k int, r rules) *optimum {
	o := &optimum{items: items, k: min(k, maxSlots), r: r, known: lengths(r.existing)}
	if len(items) == 0 || o.k <= 0 {
		return o
	}
	o.nodes = make([]node, 0, 2*len(items))
	o.splits = make([]uint8, 0, 5*len(items))
	o.node(0, len(items))
	return o
}

// node solves the items from a up to b and leaves its table on the stack. It
// gives the index of the node.
func (o *optimum) node(a, b int) (int32, sum) {
	n := node{key: o.items[a].key, from: int32(a), to: int32(b), left: -1, right: -1}
	var s sum
	own := true
	base := len(o.values)
	if b-a == 1 {
		o.values = append(o.values, value{}, value{})
		o.splits = append(o.splits, 0, 0)
	} else {
		n.key = n.common(o.items[b-1].key)
		own = n.bits == o.items[a].bits
		s = o.below(&n, own)
	}
	if own {
		it := o.items[a]
		s = sum{s.weight + it.weight, s.age + it.age, s.count + it.count, units(o.r.family, n.bits), true}
	}
	n.size = int32(len(o.values) - base - 1)
	n.splits = int32(len(o.splits)) - n.size - 1
	if v, ok := o.take(n, s, own); ok {
		for f := int32(1); f <= n.size; f++ {
			if at := base + int(f); v.over(o.values[at]) {
				o.values[at], o.splits[n.splits+f] = v, taken
			}
		}
	}
	o.nodes = append(o.nodes, n)
	return int32(len(o.nodes) - 1), s
}

// below solves the children of a node, own when the node is an item itself, and
// leaves one table for both.
func (o *optimum) below(n *node, own bool) sum {
	a, b, base := int(n.from), int(n.to), len(o.values)
	if own {
		a++
	}
	split := a + sort.Search(b-a, func(i int) bool { return o.items[a+i].bit(n.bits) })
	if split == a || split == b {
		var s sum
		n.left, s = o.node(a, b)
		o.copySplits(len(o.values) - base)
		return s
	}
	var l, r sum
	n.left, l = o.node(a, split)
	mid := len(o.values)
	n.right, r = o.node(split, b)
	o.merge(base, mid)
	return o.joined(*n, l, r)
}

// copySplits gives a node with one child the choice to hand all its slots down.
func (o *optimum) copySplits(size int) {
	for f := range size {
		o.splits = append(o.splits, uint8(f))
	}
}

// merge replaces two tables on the stack by the best split between them.
func (o *optimum) merge(base, mid int) {
	left, right := o.values[base:mid], o.values[mid:]
	size := min(o.k, len(left)+len(right)-2)
	o.merged = o.merged[:0]
	for f := range size + 1 {
		from := max(0, f-len(right)+1)
		best, at := left[from].plus(right[f-from]), from
		for i := from + 1; i <= f && i < len(left); i++ {
			if v := left[i].plus(right[f-i]); v.over(best) {
				best, at = v, i
			}
		}
		o.merged = append(o.merged, best)
		o.splits = append(o.splits, uint8(at))
	}
	o.values = append(o.values[:base], o.merged...)
}

// joined sums up two children.
func (o *optimum) joined(n node, l, r sum) sum {
	s := sum{weight: l.weight + r.weight, age: l.age + r.age, count: l.count + r.count, covered: l.covered + r.covered}
	half := n.bits + 1
	s.exact = l.exact && r.exact && o.nodes[n.left].bits == half && o.nodes[n.right].bits == half
	if s.exact {
		s.covered = units(o.r.family, n.bits)
	}
	return s
}

// take gives the value of choosing the node itself, when that is allowed.
func (o *optimum) take(n node, s sum, own bool) (value, bool) {
	v := value{hi: s.weight, lo: s.count*oneCount + s.age}
	if o.exists(n, own) {
		v.lo += oneWrite
	} else {
		v.lo -= oneWrite
	}
	if own {
		return v, true
	}
	if n.bits < o.r.minBits {
		return v, false
	}
	if s.exact {
		return v, true
	}
	innocent := innocents(o.r.family, n.bits, s)
	if innocent > o.r.cap && !o.excepted(n.key) || !o.r.allowed(n.key) {
		return v, false
	}
	v.hi -= cost(innocent, o.r.price)
	return v, true
}

func (o *optimum) exists(n node, own bool) bool {
	if own {
		return o.items[n.from].installed
	}
	return o.known[n.bits] && o.r.existing[n.key]
}

func (o *optimum) excepted(k key) bool {
	for _, c := range o.r.covers {
		if c.covers(k) {
			return true
		}
	}
	return false
}

// units counts the addresses of a prefix, for IPv6 its whole /64s.
func units(f Family, n int) int64 {
	switch {
	case f == IPv4:
		return int64(1) << (32 - n)
	case n > 64:
		return 0
	}
	return int64(1) << min(62, 64-n)
}

// innocents counts what a prefix denies beside its items: addresses, for IPv6
// the /64s in which an address is denied that no item names.
func innocents(f Family, n int, s sum) int64 {
	switch {
	case s.exact:
		return 0
	case f == IPv6 && n > 64:
		return 1
	}
	return units(f, n) - s.covered
}

func cost(innocent, price int64) int64 {
	if price <= 0 {
		return 0
	}
	if innocent > maxCost/price {
		return maxCost
	}
	return innocent * price
}

// best gives the value of the best choice for k slots.
func (o *optimum) best(k int) value {
	if len(o.values) == 0 || k <= 0 {
		return value{}
	}
	return o.values[min(k, len(o.values)-1)]
}

// picks reads the best choice for k slots back, sorted by address.
func (o *optimum) picks(k int) []pick {
	if len(o.nodes) == 0 {
		return nil
	}
	var out []pick
	var read func(i int32, f int32)
	read = func(i int32, f int32) {
		n := o.nodes[i]
		if f = min(f, n.size); f <= 0 {
			return
		}
		s := o.splits[n.splits+f]
		if s == taken {
			out = append(out, pick{n.key, int(n.from), int(n.to)})
			return
		}
		if n.left >= 0 {
			read(n.left, int32(s))
		}
		if n.right >= 0 {
			read(n.right, f-int32(s))
		}
	}
	read(int32(len(o.nodes)-1), int32(k))
	return out
}
