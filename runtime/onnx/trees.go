package onnx

// #include "forest.h"
import "C"

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"unsafe"

	"github.com/claryhq/clary/runtime"
)

// trees are a forest laid out as forest.h says: of each tree the two nodes that
// a branch leads to side by side, followed by those behind the one for yes.
type trees struct {
	classes  int
	features int // how many a row must have at least
	shift    int // of a branch's link
	binary   bool
	roots    []uint32
	nodes    []treeNode
	votes    []uint32
	shared   map[string]uint32 // where votes that several leaves have are
	labels   []int64
	names    []byte
	todo     []spot // what plant has still to lay out
}

// A spot is where a node of the tree that is being read is to be.
type spot struct{ node, slot uint32 }

type treeNode struct{ value, link uint32 }

// What is remembered of votes to share them: forests whose leaves each know a
// class have few, and others do not gain.
const maxShared = 1 << 12

func newTrees(f *forest) *trees {
	return &trees{classes: f.count(), binary: f.count() == 2, shared: map[string]uint32{}, labels: f.labels, names: f.named()}
}

// fit finds how many bits the features take, and whether there is room. What a
// leaf says of a feature is nothing.
func (t *trees) fit(f *forest) (bool, error) {
	most, n := uint64(0), 0
	ids, modes := newNumbers(f.file, f.size, f.nodes[2], 8), newTexts(f.file, f.size, f.modes)
	for ; ; n++ {
		leaf, there, err := modes.next("BRANCH_LEQ", "LEAF")
		if err != nil {
			return false, err
		}
		if !there {
			break
		}
		id, _, err := ids.next()
		if err != nil {
			return false, err
		}
		if leaf == 0 {
			most = max(most, id)
		}
	}
	if most >= math.MaxInt32 || n == 0 || n >= math.MaxInt32 || f.names != nil && t.names == nil {
		return false, nil
	}
	t.features, t.shift = int(most)+1, bits.Len64(most)
	t.nodes = make([]treeNode, 0, n+n/16+2)
	return true, nil
}

// A grower reads a forest tree by tree.
type grower struct {
	nodes   [6]*numbers // see forestNodes
	values  *numbers
	modes   *texts
	ids     [3]*numbers // see forestIDs
	weights *numbers
	tree    []branch // the one that is being read
	id      uint64   // its own
	votes   []uint32 // of the leaf that is being read

	next struct { // the node that follows
		id, node uint64
		branch   branch
		there    bool
	}
	vote struct { // the vote that follows
		tree, node, class uint64
		weight            float32
		there             bool
	}
}

// A branch is a node as the file has it: a leaf, if yes is 0.
type branch struct {
	feature, yes, no uint64
	threshold        uint32
	votes            uint32
	voted, seen      bool
}

// grow reads all trees, and reports whether all are as our operator has them.
func (t *trees) grow(ctx context.Context, f *forest) (bool, error) {
	g := &grower{values: newNumbers(f.file, f.size, f.values, 7), modes: newTexts(f.file, f.size, f.modes), weights: newNumbers(f.file, f.size, f.weight, 7)}
	for i, a := range f.nodes {
		g.nodes[i] = newNumbers(f.file, f.size, a, 8)
	}
	for i, a := range f.ids {
		g.ids[i] = newNumbers(f.file, f.size, a, 8)
	}
	ok, err := g.readNode()
	if ok && err == nil {
		ok, err = g.readVote()
	}
	for ok && err == nil && g.next.there {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if ok, err = g.readTree(); ok && err == nil {
			ok, err = t.count(g)
		}
		ok = ok && err == nil && t.plant(g.tree)
	}
	return ok && !g.vote.there && len(t.roots) > 0, err
}

// readNode reads the next node, and reports whether it is one that we know.
func (g *grower) readNode() (bool, error) {
	var v [6]uint64
	for i, n := range g.nodes {
		id, there, err := n.next()
		if err != nil {
			return false, err
		}
		if i == 0 {
			g.next.there = there
		} else if there != g.next.there && i < 5 {
			return false, nil // as many of each there must be: ONNX Runtime says so
		}
		v[i] = id
	}
	value, some, err := g.values.next()
	if err != nil {
		return false, err
	}
	mode, named, err := g.modes.next("BRANCH_LEQ", "LEAF")
	if err != nil || some != g.next.there || named != g.next.there || mode < 0 || v[5] != 0 {
		return false, err
	}
	g.next.id, g.next.node = v[0], v[1]
	g.next.branch = branch{feature: v[2], threshold: uint32(value)}
	if mode == 0 {
		g.next.branch.yes, g.next.branch.no = v[3], v[4]
		return v[3] != 0 && v[4] != 0 || !g.next.there, nil // 0 is the root
	}
	return true, nil
}

// readVote reads the next vote, and reports whether it is one that adds up to
// the same with us: neither negative nor subnormal, as that is an option of
// ONNX Runtime's.
func (g *grower) readVote() (bool, error) {
	var v [3]uint64
	w, there, err := g.weights.next()
	for i := range g.ids {
		if err != nil {
			return false, err
		}
		var some bool
		if v[i], some, err = g.ids[i].next(); some != there {
			return false, err
		}
	}
	g.vote.there, g.vote.tree, g.vote.node, g.vote.class = there, v[0], v[1], v[2]
	g.vote.weight = math.Float32frombits(uint32(w))
	return !there || g.vote.weight == 0 || g.vote.weight >= 0x1p-126 && g.vote.weight <= math.MaxFloat32, err
}

// readTree reads the nodes of the next tree, which are numbered as they come.
func (g *grower) readTree() (ok bool, err error) {
	later := len(g.tree) > 0
	if later && g.next.id <= g.id {
		return false, nil
	}
	g.id, g.tree = g.next.id, g.tree[:0]
	for ok = true; ok && err == nil && g.next.there && g.next.id == g.id; ok, err = g.readNode() {
		if g.next.node != uint64(len(g.tree)) {
			return false, nil
		}
		g.tree = append(g.tree, g.next.branch)
	}
	return ok, err
}

// count reads the votes of a tree's leaves. Those of zero are left out, of
// which converters write one for each class that a leaf does not know; with two
// classes there is a vote for the second alone, which is called class 0.
func (t *trees) count(g *grower) (bool, error) {
	for g.vote.there && g.vote.tree == g.id {
		node := g.vote.node
		if node >= uint64(len(g.tree)) || g.tree[node].yes != 0 || g.tree[node].voted {
			return false, nil
		}
		votes := append(g.votes[:0], 0)
		least := uint64(0)
		for g.vote.there && g.vote.tree == g.id && g.vote.node == node {
			if g.vote.class < least || g.vote.class >= uint64(t.classes) || t.binary && g.vote.class != 0 {
				return false, nil // of two votes for one class the order would count
			}
			least = g.vote.class + 1
			if g.vote.weight > 0 {
				votes[0]++
				votes = append(votes, uint32(g.vote.class), math.Float32bits(g.vote.weight))
			}
			if ok, err := g.readVote(); !ok || err != nil {
				return false, err
			}
		}
		if votes[0] == 0 && !t.binary || len(t.votes)+len(votes) > math.MaxUint32 {
			return false, nil // of a row without votes, which class has the most is ONNX Runtime's to say
		}
		g.tree[node].votes, g.tree[node].voted = t.place(votes), true
		g.votes = votes
	}
	return true, nil
}

// place returns where votes are, once for all leaves that have the same.
func (t *trees) place(votes []uint32) uint32 {
	at, known := t.shared[string(runtime.Bytes(votes))]
	if !known {
		at = uint32(len(t.votes))
		t.votes = append(t.votes, votes...)
		if len(t.shared) < maxShared {
			t.shared[string(runtime.Bytes(votes))] = at
		}
	}
	return at
}

// plant lays out a tree, and reports whether it is one: every node reached from
// the root, once.
func (t *trees) plant(tree []branch) bool {
	root := uint32(len(t.nodes))
	t.roots, t.nodes = append(t.roots, root), append(t.nodes, treeNode{}, treeNode{}) // two, so that pairs stay in a cache line
	reached := 0
	for t.todo = append(t.todo[:0], spot{0, root}); len(t.todo) > 0; reached++ {
		s := t.todo[len(t.todo)-1]
		t.todo = t.todo[:len(t.todo)-1]
		b := &tree[s.node]
		if b.seen {
			return false
		}
		b.seen = true
		if b.yes == 0 {
			if !b.voted {
				return false
			}
			t.nodes[s.slot] = treeNode{value: b.votes}
			continue
		}
		if b.yes >= uint64(len(tree)) || b.no >= uint64(len(tree)) {
			return false
		}
		pair := uint32(len(t.nodes))
		link := uint64(pair-s.slot)<<t.shift | b.feature
		if link > math.MaxUint32 {
			return false // too many features for so large a tree
		}
		t.nodes[s.slot] = treeNode{b.threshold, uint32(link)}
		t.nodes = append(t.nodes, treeNode{}, treeNode{})
		t.todo = append(t.todo, spot{uint32(b.no), pair + 1}, spot{uint32(b.yes), pair})
	}
	return reached == len(tree)
}

// bytes is what the forest takes of memory.
func (t *trees) bytes() int64 {
	const head = 512
	return head + int64(4*len(t.roots)+8*len(t.nodes)+4*len(t.votes)+8*t.classes+len(t.names))
}

// native gives the forest to all as the i-th.
func (t *trees) native(all *C.clary_forests, i int) error {
	var text *C.char
	if len(t.names) > 0 {
		text = (*C.char)(unsafe.Pointer(unsafe.SliceData(t.names)))
	}
	f := C.clary_forest_new(all, C.size_t(i), C.size_t(len(t.roots)), C.size_t(len(t.nodes)), C.size_t(len(t.votes)), C.size_t(t.classes), text, C.size_t(len(t.names)))
	if f == nil {
		return fmt.Errorf("%w: %d nodes of trees", runtime.ErrMemory, len(t.nodes))
	}
	f.features, f.shift, f.binary = C.uint32_t(t.features), C.uint32_t(t.shift), C.bool(t.binary)
	fill(unsafe.Pointer(f.roots), t.roots)
	fill(unsafe.Pointer(f.nodes), t.nodes)
	fill(unsafe.Pointer(f.votes), t.votes)
	fill(unsafe.Pointer(f.labels), t.labels)
	return nil
}

func fill[T any](to unsafe.Pointer, from []T) {
	if len(from) > 0 {
		copy(unsafe.Slice((*T)(to), len(from)), from)
	}
}
