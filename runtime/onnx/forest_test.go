package onnx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/claryhq/clary/runtime"
)

// A wood is a TreeEnsembleClassifier in the making.
type wood struct {
	ints   map[string][]int
	floats map[string][]float32
	modes  []string
	packed bool
	more   [][]byte // attributes: the labels, at first
}

const woodTrees, woodFeatures = 30, 5

// grown is a wood of random trees as converters write them: each leaf has a
// weight for every class, of which most are zero, and with two classes one for
// the second alone, as class 0.
func grown(classes int) *wood { return grownTrees(classes, woodTrees) }

func grownTrees(classes, trees int) *wood {
	w := &wood{ints: map[string][]int{}, floats: map[string][]float32{}}
	labels := make([]int, classes)
	for i := range labels {
		labels[i] = 10 * (i + 1)
	}
	w.more = [][]byte{intsAttribute("classlabels_int64s", labels...)}
	r := rand.New(rand.NewPCG(1, 2))
	for tree := range trees {
		w.tree(r, tree, classes)
	}
	return w
}

func (w *wood) int(name string, v int) int {
	w.ints[name] = append(w.ints[name], v)
	return len(w.ints[name]) - 1
}

func (w *wood) tree(r *rand.Rand, tree, classes int) {
	id := 0
	var node func(depth int) int
	node = func(depth int) int {
		me := id
		id++
		w.int("nodes_treeids", tree)
		w.int("nodes_nodeids", me)
		w.int("nodes_featureids", r.IntN(woodFeatures))
		yes, no := w.int("nodes_truenodeids", 0), w.int("nodes_falsenodeids", 0)
		w.floats["nodes_values"] = append(w.floats["nodes_values"], r.Float32())
		if depth > 0 && r.IntN(depth+2) > 1 || depth > 8 {
			w.modes = append(w.modes, "LEAF")
			w.leaf(r, tree, me, classes)
			return me
		}
		w.modes = append(w.modes, "BRANCH_LEQ")
		left := node(depth + 1)
		right := node(depth + 1)
		w.ints["nodes_truenodeids"][yes], w.ints["nodes_falsenodeids"][no] = left, right
		return me
	}
	node(0)
}

func (w *wood) leaf(r *rand.Rand, tree, node, classes int) {
	if classes == 2 {
		w.vote(tree, node, 0, float32(r.IntN(3))*r.Float32()/woodTrees)
		return
	}
	weights := make([]float32, classes)
	weights[r.IntN(classes)] = 1.0 / woodTrees
	if r.IntN(2) > 0 {
		weights[r.IntN(classes)] = r.Float32() / woodTrees
	}
	for class, v := range weights {
		w.vote(tree, node, class, v)
	}
}

func (w *wood) vote(tree, node, class int, weight float32) {
	w.int("class_treeids", tree)
	w.int("class_nodeids", node)
	w.int("class_ids", class)
	w.floats["class_weights"] = append(w.floats["class_weights"], weight)
}

func (w *wood) attributes() [][]byte {
	all := append([][]byte{stringsAttribute("nodes_modes", w.modes...)}, w.more...)
	for name, v := range w.ints {
		if !w.packed {
			all = append(all, intsAttribute(name, v...))
			continue
		}
		var b []byte
		for _, i := range v {
			b = protowire.AppendVarint(b, uint64(i))
		}
		all = append(all, attribute(name, 7, message(8, b)))
	}
	for name, v := range w.floats {
		a := attribute(name, 6)
		for i := range v {
			if !w.packed {
				a = protowire.AppendFixed32(protowire.AppendTag(a, 7, protowire.Fixed32Type), math.Float32bits(v[i]))
			}
		}
		if w.packed {
			a = attribute(name, 6, message(7, runtime.Bytes(v)))
		}
		all = append(all, a)
	}
	return all
}

// graph is a classifier of rows that is this wood, with its labels' Cast.
func (w *wood) graph() graphSpec {
	return graphSpec{
		nodes: messages(op("ai.onnx.ml", "TreeEnsembleClassifier", names("x"), names("made", "scores"), w.attributes()...),
			op("", "Cast", names("made"), names("label"), intAttribute("to", int(runtime.Int64)))),
		inputs: messages(info("x", runtime.Float32, nil, woodFeatures)), outputs: messages(info("label", runtime.Int64, nil), info("scores", runtime.Float32, nil, nil)),
	}
}

// planted reports how many forests of a file become our operator.
func planted(t *testing.T, path string) int {
	t.Helper()
	g, err := Read(path, "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := g.edit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer e.free()
	for _, f := range e.trees {
		sound(t, f)
	}
	return len(e.trees)
}

// sound fails where the operator would look beside a forest's memory, or never
// come to a leaf.
func sound(t *testing.T, f *trees) {
	t.Helper()
	for _, root := range f.roots {
		steps := 0
		for todo := []uint32{root}; len(todo) > 0; steps++ {
			i := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if int(i) >= len(f.nodes) || steps > len(f.nodes) {
				t.Fatalf("node %d of %d after %d steps", i, len(f.nodes), steps)
			}
			n := f.nodes[i]
			if yes := n.link >> f.shift; yes > 0 {
				if feature := n.link & (1<<f.shift - 1); int(feature) >= f.features {
					t.Fatalf("node %d asks about feature %d of %d", i, feature, f.features)
				}
				todo = append(todo, i+yes, i+yes+1)
				continue
			}
			if int(n.value) >= len(f.votes) || int(n.value)+2*int(f.votes[n.value]) >= len(f.votes) {
				t.Fatalf("the votes of node %d are at %d of %d", i, n.value, len(f.votes))
			}
			for v := f.votes[n.value+1:][:2*f.votes[n.value]]; len(v) > 0; v = v[2:] {
				if int(v[0]) >= f.classes {
					t.Fatalf("node %d votes for class %d of %d", i, v[0], f.classes)
				}
			}
		}
	}
}

// A forest whose trees and votes are as the operator has them becomes one, any
// other is left to ONNX Runtime; the answers are the same bits either way.
func TestForests(t *testing.T) {
	transform := func(name string) []byte { return append(attribute("post_transform", 3), message(4, []byte(name))...) }
	weight := func(v float32) func(*wood) { return func(w *wood) { w.floats["class_weights"][5] = v } }
	type change = func(*wood)
	for name, c := range map[string]struct {
		classes int
		change  change
		ours    bool
	}{
		"as converters write it": {4, nil, true},
		"of two classes":         {2, nil, true},
		"packed":                 {4, func(w *wood) { w.packed = true }, true},
		"transformed by nothing": {4, func(w *wood) { w.more = append(w.more, transform("NONE")) }, true},
		"with hit rates":         {4, func(w *wood) { w.floats["nodes_hitrates"] = make([]float32, len(w.modes)) }, true},
		"of nothing missing":     {4, func(w *wood) { w.ints["nodes_missing_value_tracks_true"] = make([]int, len(w.modes)) }, true},
		"with zeros below zero": {4, func(w *wood) {
			for i, v := range w.floats["class_weights"] {
				if v == 0 {
					w.floats["class_weights"][i] = float32(math.Copysign(0, -1))
				}
			}
		}, true},
		"with leaves that name features": {4, func(w *wood) {
			for i, mode := range w.modes {
				if mode == "LEAF" {
					w.ints["nodes_featureids"][i] = 1000
				}
			}
		}, true},
		"of three hundred":        {300, nil, true},
		"of NaN":                  {4, func(w *wood) { w.floats["nodes_values"][0] = float32(math.NaN()) }, true},
		"with a negative weight":  {4, weight(-0.25), false},
		"with a subnormal weight": {4, weight(1e-40), false},
		"with a weight of NaN":    {4, weight(float32(math.NaN())), false},
		"with a missing value": {4, func(w *wood) {
			w.ints["nodes_missing_value_tracks_true"] = append(make([]int, len(w.modes)-1), 1)
		}, false},
		"transformed": {4, func(w *wood) { w.more = append(w.more, transform("SOFTMAX")) }, false},
		"with base values": {4, func(w *wood) {
			w.more = append(w.more, attribute("base_values", 6, message(7, runtime.Bytes([]float32{0, 0.5, 0, 0}))))
		}, false},
		"with another question":              {4, func(w *wood) { w.modes[slices.Index(w.modes, "BRANCH_LEQ")] = "BRANCH_LT" }, false},
		"of two classes with votes for both": {2, func(w *wood) { w.ints["class_ids"][3] = 1 }, false},
		"of two classes with votes for class 1": {2, func(w *wood) {
			for i := range w.ints["class_ids"] {
				w.ints["class_ids"][i] = 1
			}
		}, false},
		"with classes in no order": {4, func(w *wood) { w.ints["class_ids"][0], w.ints["class_ids"][1] = 1, 0 }, false},
		"with a leaf for nobody":   {4, func(w *wood) { clear(w.floats["class_weights"][8:12]) }, false},
		"with a leaf of two groups": {4, func(w *wood) {
			n := w.ints["class_nodeids"]
			n[3], n[4] = n[4], n[3]
		}, false},
		"with trees in no order": {4, func(w *wood) {
			for _, name := range []string{"nodes_treeids", "class_treeids"} {
				for i, tree := range w.ints[name] {
					w.ints[name][i] = woodTrees - tree
				}
			}
		}, false},
		"with nodes that count from one": {4, func(w *wood) {
			for name, of := range w.ints {
				if name == "nodes_nodeids" || name == "class_nodeids" || name == "nodes_truenodeids" || name == "nodes_falsenodeids" {
					for i := range of {
						of[i]++
					}
				}
			}
		}, false},
		"with a node that nothing leads to": {4, func(w *wood) {
			w.ints["nodes_truenodeids"][0] = w.ints["nodes_falsenodeids"][0]
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := grown(c.classes)
			if c.change != nil {
				c.change(w)
			}
			path := write(t, file(w.graph().bytes()))
			if n := planted(t, path); (n == 1) != c.ours {
				t.Fatalf("%d forests are ours, want %t", n, c.ours)
			}
			sameScores(t, path, c.ours)
		})
	}
}

// sameScores runs a model as it is and as it is opened, with numbers of rows
// that the operator goes about in different ways, and fails where a bit of their
// outputs differs. Ours adds up in one order with any number of threads, which
// ONNX Runtime's does not.
func sameScores(t *testing.T, path string, ours bool) {
	t.Helper()
	judge, opened := open1(t, path, Options{unedited: true}), []*Session{open1(t, path, Options{})}
	if ours {
		opened = append(opened, open1(t, path, Options{IntraOp: 2}))
	}
	r := rand.New(rand.NewPCG(5, 6))
	value := func() float32 {
		if r.IntN(50) == 0 {
			return float32([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0}[r.IntN(4)])
		}
		return r.Float32()
	}
	for _, rows := range []int{1, 1, 1, 1, 1, 1, 0, 2, 7, 8, 9, 63, 64, 65, 200, 1000} {
		x := make([]float32, rows*woodFeatures)
		for i := range x {
			x[i] = value()
		}
		in := tensor(x, rows, woodFeatures)
		want := run1(t, judge, in)
		for _, s := range opened {
			got := run1(t, s, in)
			for i := range want {
				if !slices.Equal(got[i].Shape, want[i].Shape) || !same(got[i].Data, want[i].Data) {
					t.Fatalf("%s of %d rows: %.200s, want %.200s", want[i].Name, rows, fmt.Sprint(got[i].Data), fmt.Sprint(want[i].Data))
				}
			}
		}
	}
}

func same(a, b any) bool {
	if s, ok := a.([]string); ok {
		return slices.Equal(s, b.([]string))
	}
	return bytes.Equal(runtime.Bytes(a), runtime.Bytes(b))
}

func TestForestsOfNames(t *testing.T) {
	for _, c := range []struct {
		names []string
		ours  bool
	}{
		{[]string{"setosa", "", "virginica"}, true},
		{[]string{"no", "yes"}, true},
		{[]string{"a\x00b", "b", "c"}, false},
	} {
		w := grown(len(c.names))
		w.more = [][]byte{stringsAttribute("classlabels_strings", c.names...)}
		g := w.graph()
		g.nodes = messages(op("ai.onnx.ml", "TreeEnsembleClassifier", names("x"), names("label", "scores"), w.attributes()...))
		g.outputs[0] = info("label", runtime.String, nil)
		path := write(t, file(g.bytes()))
		if n := planted(t, path); (n == 1) != c.ours {
			t.Errorf("%q: %d forests are ours, want %t", c.names, n, c.ours)
		}
		sameScores(t, path, c.ours)
	}
}

// Only what is given float32 for sure becomes ours, and nothing where the file
// has operators of our domain's name.
func TestWhichForestsAreOurs(t *testing.T) {
	scaled := func(g *graphSpec, by ...[]byte) {
		w := grown(3)
		g.nodes = append(by, op("ai.onnx.ml", "TreeEnsembleClassifier", names("scaled"), names("label", "scores"), w.attributes()...))
	}
	scaler := op("ai.onnx.ml", "Scaler", names("x"), names("half"), attribute("offset", 6, message(7, runtime.Bytes([]float32{0.5}))), attribute("scale", 6, message(7, runtime.Bytes([]float32{2}))))
	for name, c := range map[string]struct {
		change func(*graphSpec)
		extra  []byte
		ours   int
	}{
		"behind a Scaler": {func(g *graphSpec) { scaled(g, scaler, op("", "Identity", names("half"), names("scaled"))) }, nil, 1},
		"two of them": {func(g *graphSpec) {
			g.nodes = append(g.nodes, op("ai.onnx.ml", "TreeEnsembleClassifier", names("x"), names("second", "more"), grown(2).attributes()...))
			g.outputs = append(g.outputs, info("second", runtime.Int64, nil), info("more", runtime.Float32, nil, 2))
		}, nil, 2},
		"behind a float": {func(g *graphSpec) {
			scaled(g, op("", "Cast", names("x"), names("scaled"), intAttribute("to", int(runtime.Float32))))
			g.inputs = messages(info("x", runtime.Float32, nil, woodFeatures))
		}, nil, 1},
		"behind what is not known":     {func(g *graphSpec) { scaled(g, op("", "Abs", names("x"), names("scaled"))) }, nil, 0},
		"with an import of our domain": {func(g *graphSpec) {}, message(8, message(1, []byte(ownDomain)), number(2, 1)), 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := grown(3).graph()
			c.change(&g)
			path := write(t, file(g.bytes(), c.extra))
			if n := planted(t, path); n != c.ours {
				t.Fatalf("%d forests are ours, want %d", n, c.ours)
			}
			sameScores(t, path, c.ours > 0)
		})
	}
	if n := planted(t, filepath.Join(models, "iris", "model.onnx")); n != 1 { // as scikit-learn's converter wrote it
		t.Errorf("%d forests of iris are ours, want 1", n)
	}
	g := grown(3).graph()
	g.inputs = messages(info("x", runtime.Float64, nil, woodFeatures))
	if n := planted(t, write(t, file(g.bytes()))); n != 0 {
		t.Error("a forest of doubles is ours")
	}
}

func TestARowTooShortForAForest(t *testing.T) {
	w := grown(3)
	g := w.graph()
	g.inputs = messages(info("x", runtime.Float32, nil, nil))
	s := opened(t, g, Options{})
	if _, err := s.Run(t.Context(), []runtime.Tensor{tensor(make([]float32, 8), 2, 4)}, nil); !errors.Is(err, runtime.ErrInput) {
		t.Errorf("4 values for 5 features: %v, want one of the input's", err)
	}
	run1(t, s, tensor(make([]float32, 10), 2, 5))
}

func TestOpeningAForestIsCancelled(t *testing.T) {
	path := write(t, file(grown(3).graph().bytes()))
	g, err := Read(path, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.edit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cancelled", err)
	}
}

// Our domain is imported by files that have an operator of ours, and no others:
// one that imports it already would import it twice.
func TestOurDomainIsImportedWhereItIsUsed(t *testing.T) {
	for name, c := range map[string]struct {
		graph graphSpec
		want  bool
	}{"a forest": {grown(3).graph(), true}, "a ZipMap": {classifier(nil), false}} {
		g, err := Read(write(t, file(c.graph.bytes())), "")
		if err != nil {
			t.Fatal(err)
		}
		e, err := g.edit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e.image == nil || bytes.Contains(e.image, message(8, message(1, []byte(ownDomain)), number(2, 1))) != c.want {
			t.Errorf("%s: %d bytes, imported %t", name, len(e.image), !c.want)
		}
		e.free()
	}
}
