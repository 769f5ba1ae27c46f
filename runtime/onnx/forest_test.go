package onnx

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/claryhq/clary/runtime"
)

// A wood is a forest in the making: trees of three leaves each on two features.
type wood struct {
	classes int
	weights []float32 // of each leaf, classes in order
	packed  bool
	labels  []byte
	more    [][]byte // attributes
}

const woodTrees = 30

// woods is a graph of a forest whose leaves speak for one class, or two; change
// may alter it.
func woods(change func(*wood)) graphSpec {
	w := &wood{classes: 4, labels: intsAttribute("classlabels_int64s", 10, 20, 30, 40)}
	r := rand.New(rand.NewPCG(1, 2))
	w.weights = make([]float32, woodTrees*3*w.classes)
	for leaf := 0; leaf < len(w.weights); leaf += w.classes {
		w.weights[leaf+r.IntN(w.classes)] = 1.0 / woodTrees
		w.weights[leaf+r.IntN(w.classes)] = r.Float32() / woodTrees
	}
	if change != nil {
		change(w)
	}
	return graphSpec{
		nodes:  messages(op("ai.onnx.ml", "TreeEnsembleClassifier", names("x"), names("label", "scores"), w.attributes()...)),
		inputs: messages(info("x", runtime.Float32, nil, 2)), outputs: messages(info("label", runtime.Int64, nil), info("scores", runtime.Float32, nil, w.classes)),
	}
}

func (w *wood) attributes() [][]byte {
	ints, floats, modes := map[string][]int{}, map[string][]float32{}, []string(nil)
	node := func(tree, id, feature int, value float32, yes, no int, mode string) {
		for name, v := range map[string]int{"nodes_treeids": tree, "nodes_nodeids": id, "nodes_featureids": feature, "nodes_truenodeids": yes, "nodes_falsenodeids": no} {
			ints[name] = append(ints[name], v)
		}
		floats["nodes_values"] = append(floats["nodes_values"], value)
		modes = append(modes, mode)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for tree := range woodTrees {
		node(tree, 0, r.IntN(2), r.Float32(), 1, 2, "BRANCH_LEQ")
		node(tree, 1, 0, 0, 0, 0, "LEAF")
		node(tree, 2, r.IntN(2), r.Float32(), 3, 4, "BRANCH_LEQ")
		node(tree, 3, 0, 0, 0, 0, "LEAF")
		node(tree, 4, 0, 0, 0, 0, "LEAF")
		for leaf, id := range []int{1, 3, 4} {
			for class := range w.classes {
				ints["class_treeids"], ints["class_nodeids"] = append(ints["class_treeids"], tree), append(ints["class_nodeids"], id)
				ints["class_ids"] = append(ints["class_ids"], class)
				floats["class_weights"] = append(floats["class_weights"], w.weights[(tree*3+leaf)*w.classes+class])
			}
		}
	}
	all := append([][]byte{stringsAttribute("nodes_modes", modes...), w.labels}, w.more...)
	for name, v := range ints {
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
	for name, v := range floats {
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

func TestWeightsOfZeroAreCutFromForests(t *testing.T) {
	zeros := func(w *wood) (n int) {
		for _, v := range w.weights {
			if v == 0 {
				n++
			}
		}
		return n
	}
	softmax := append(attribute("post_transform", 3), message(4, []byte("SOFTMAX"))...)
	for name, c := range map[string]struct {
		change func(*wood)
		cut    bool
		stay   int // of the zeros
	}{
		"as converters write it": {nil, true, 0},
		"packed":                 {func(w *wood) { w.packed = true }, true, 0},
		"with a transform of nothing": {func(w *wood) {
			w.more = [][]byte{append(attribute("post_transform", 3), message(4, []byte("NONE"))...)}
		}, true, 0},
		"with a leaf of nothing": {func(w *wood) {
			clear(w.weights[8:12])
		}, true, 4},
		"with zeros below zero": {func(w *wood) {
			for i, v := range w.weights {
				if v == 0 {
					w.weights[i] = float32(math.Copysign(0, -1))
				}
			}
		}, true, 0},
		"with a negative weight": {func(w *wood) { w.weights[5] = -0.25 }, false, 0},
		"with a subnormal":       {func(w *wood) { w.weights[5] = 1e-40 }, false, 0},
		"with NaN":               {func(w *wood) { w.weights[5] = float32(math.NaN()) }, false, 0},
		"transformed":            {func(w *wood) { w.more = [][]byte{softmax} }, false, 0},
		"with base values": {func(w *wood) {
			w.more = [][]byte{attribute("base_values", 6, message(7, runtime.Bytes([]float32{0, 0.5, 0, 0})))}
		}, false, 0},
		"of two classes": {func(w *wood) {
			w.classes, w.weights, w.labels = 2, w.weights[:woodTrees*3*2], intsAttribute("classlabels_int64s", 10, 20)
		}, false, 0},
		"with hardly a zero": {func(w *wood) {
			for i := range w.weights[1:] {
				w.weights[i+1] += 0.01
			}
			w.weights[0] = 0
		}, false, 0},
		"without a zero": {func(w *wood) {
			for i := range w.weights {
				w.weights[i] += 0.01
			}
		}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var made *wood
			g := woods(func(w *wood) {
				if c.change != nil {
					c.change(w)
				}
				made = w
			})
			path := write(t, file(g.bytes()))
			read, err := Read(path, "")
			if err != nil {
				t.Fatal(err)
			}
			image, free, err := read.edited()
			if err != nil {
				t.Fatal(err)
			}
			defer free()
			if (image != nil) != c.cut {
				t.Fatalf("cut: %t, want %t", image != nil, c.cut)
			}
			if c.cut {
				if left, want := weightsIn(t, image), len(made.weights)-zeros(made)+c.stay; left != want {
					t.Errorf("%d weights are left of %d, want %d", left, len(made.weights), want)
				}
			}
			sameScores(t, open1(t, path, Options{}), open1(t, path, Options{unedited: true}))
		})
	}
}

// weightsIn counts the weights of the forest in a file, each of which must
// have its ids, and none of which could be cut.
func weightsIn(t *testing.T, b []byte) (n int) {
	t.Helper()
	p := newParser(newProtoReader(bytes.NewReader(b), int64(len(b))))
	if err := p.model(); err != nil || len(p.g.forests) != 1 {
		t.Fatalf("%d forests, %v", len(p.g.forests), err)
	}
	f := forest{file: bytes.NewReader(b), size: int64(len(b)), node: p.g.forests[0]}
	if edits, err := f.edits(); edits != nil || err != nil {
		t.Fatalf("what is cut already: %d edits, %v", len(edits), err)
	}
	var counts [4]int
	for i, field := range append(f.ids[:], f.weight) {
		num := protowire.Number(8)
		if i == 3 {
			num = 7
		}
		for values := newNumbers(f.file, f.size, field, num); ; counts[i]++ {
			if _, there, err := values.next(); err != nil {
				t.Fatal(err)
			} else if !there {
				break
			}
		}
	}
	if slices.Min(counts[:]) != slices.Max(counts[:]) {
		t.Fatalf("%v ids and weights", counts)
	}
	return counts[3]
}

// sameScores runs both with a thousand rows, one at a time and all together,
// and fails where a bit of their outputs differs.
func sameScores(t *testing.T, a, b *Session) {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 6))
	rows := make([]float32, 2000)
	for i := range rows {
		rows[i] = r.Float32()
	}
	compare := func(in runtime.Tensor) {
		t.Helper()
		x, y := run1(t, a, in), run1(t, b, in)
		for i := range x {
			if !slices.Equal(x[i].Shape, y[i].Shape) || !bytes.Equal(runtime.Bytes(x[i].Data), runtime.Bytes(y[i].Data)) {
				t.Fatalf("%s of %v: %v, want %v", x[i].Name, in.Data, x[i].Data, y[i].Data)
			}
		}
	}
	compare(tensor(rows, 1000, 2))
	for i := 0; i < len(rows); i += 2 {
		compare(tensor(rows[i:i+2], 1, 2))
	}
}
