package onnx

import (
	"bytes"
	"context"
	"io"
	"slices"

	"github.com/claryhq/clary/runtime"
)

// A forest is a TreeEnsembleClassifier node, as
// https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleClassifier.html
// describes it, that may become an operator of our own (forest.h): its trees
// take a quarter of the memory, are walked several at a time, and are close
// together, which counts where many models are in turn cold. Scores and labels
// are the same bits.
//
// The operator is for what converters of scikit-learn's forests and trees
// write. All else is left to ONNX Runtime: other inputs than float32, other
// questions than less or equal, base values, transforms, negative weights.
type forest struct {
	file   io.ReaderAt
	size   int64
	op     operator
	casts  []operator // of its labels to int64, which they are
	labels []int64
	names  []string // instead of labels
	ids    [3]protoField
	nodes  [6]protoField
	modes  protoField
	weight protoField // class_weights
	values protoField // nodes_values
}

// The attributes of integers that say how the trees are: of the votes in their
// leaves, and of their nodes. Only the last may be missing.
var (
	forestIDs   = [3]string{"class_treeids", "class_nodeids", "class_ids"}
	forestNodes = [6]string{"nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_missing_value_tracks_true"}
)

// The domain of our operators; a file that has one of that name is left as it is.
const ownDomain = "clary"

// forests returns the forests of the main graph that may become our operator,
// as far as their nodes' inputs and outputs tell.
func (p *parser) forests() ([]forest, error) {
	if _, theirs := p.g.Opsets[ownDomain]; theirs || p.trees == 0 {
		return nil, nil
	}
	var found []forest
	floats := map[string]bool{} // the names of tensors that are of float32 for sure
	for _, in := range p.inputs {
		floats[in.Name] = in.DType == runtime.Float32 && in.Kind == runtime.KindTensor
	}
	err := p.operators(func(o operator) error {
		if len(o.inputs) == 0 || len(o.outputs) == 0 {
			return nil
		}
		floats[o.outputs[0]] = o.float(floats)
		switch {
		case o.is("ai.onnx.ml", "TreeEnsembleClassifier"):
			if len(o.inputs) == 1 && floats[o.inputs[0]] && len(o.outputs) == 2 && !slices.Contains(o.outputs, "") {
				found = append(found, forest{op: o})
			}
		case o.is("", "Cast") && o.to == int64(runtime.Int64):
			for i := range found {
				if found[i].op.outputs[0] == o.inputs[0] {
					found[i].casts = append(found[i].casts, o)
				}
			}
		}
		return nil
	})
	return found, err
}

// plant reads the forest and lays out its trees; nil where it has to be left as
// it is.
func (f *forest) plant(ctx context.Context) (*trees, error) {
	ok, err := f.read()
	if !ok || err != nil {
		return nil, err
	}
	t := newTrees(f)
	if ok, err = t.fit(f); ok && err == nil {
		ok, err = t.grow(ctx, f)
	}
	if !ok || err != nil {
		return nil, err
	}
	return t, nil
}

// read finds the attributes, and reports whether they are such as our operator
// knows.
func (f *forest) read() (bool, error) {
	r := newProtoReader(f.file, f.size)
	plain := true
	seen := map[string]bool{}
	for _, a := range f.op.attributes {
		name, err := r.name(a)
		if err != nil {
			return false, err
		}
		plain = plain && !seen[name] // of two, who knows which counts
		seen[name] = true
		switch name {
		case "nodes_modes":
			f.modes = a
		case "nodes_values":
			f.values = a
		case "nodes_hitrates":
		case "class_weights":
			f.weight = a
		case "classlabels_int64s", "classlabels_strings":
			err = f.classes(r, a)
		case "post_transform":
			var transform string
			transform, err = r.string(a)
			plain = plain && (transform == "" || transform == "NONE")
		default:
			if i := slices.Index(forestIDs[:], name); i >= 0 {
				f.ids[i] = a
			} else if i := slices.Index(forestNodes[:], name); i >= 0 {
				f.nodes[i] = a
			} else {
				plain = false
			}
		}
		if err != nil {
			return false, err
		}
	}
	for _, a := range slices.Concat(f.ids[:], f.nodes[:5], []protoField{f.modes, f.values, f.weight}) {
		plain = plain && a.end > 0
	}
	one := (len(f.labels) > 0) != (len(f.names) > 0)
	return plain && one && f.count() >= 2, nil
}

// classes reads the classes' labels, or their names.
func (f *forest) classes(r *protoReader, a protoField) error {
	return r.fields(a.start, a.end, func(v protoField) (err error) {
		switch {
		case v.num == 8:
			f.labels, err = r.ints(f.labels, v)
		case v.is(9):
			var name string
			name, err = r.text(v)
			f.names = append(f.names, name)
		}
		return err
	})
}

// count is how many classes there are.
func (f *forest) count() int { return max(len(f.labels), len(f.names)) }

// edits put the operator, for which the session holds trees at that index, in
// the node's place, and take away what its labels need not go through.
func (f *forest) edits(index int) []stretch {
	name, of := "Forest", f.op
	if len(f.names) > 0 {
		name = "NamedForest"
	}
	const attributeInt = 2
	node := message(1, message(1, []byte(of.inputs[0])), message(2, []byte(of.outputs[0])), message(2, []byte(of.outputs[1])), message(4, []byte(name)),
		message(5, message(1, []byte("index")), number(3, index), number(20, attributeInt)), message(7, []byte(ownDomain)))
	edits := []stretch{{of.node.tag, of.node.end, node}}
	if len(f.labels) > 0 {
		for _, c := range f.casts {
			edits = append(edits, stretch{c.node.tag, c.node.end, passing(c.inputs[0], c.outputs[0])})
		}
	}
	return edits
}

// named is the classes' names as C has them; nil where one cannot be said so.
func (f *forest) named() []byte {
	var text []byte
	for _, name := range f.names {
		if bytes.IndexByte([]byte(name), 0) >= 0 {
			return nil
		}
		text = append(append(text, name...), 0)
	}
	return text
}

// name returns an attribute's name, without going through its values, which may
// be millions.
func (r *protoReader) name(a protoField) (name string, err error) {
	for off := a.start; off < a.end; {
		f, next, err := r.field(off, a.end)
		if err != nil || f.is(1) {
			if err == nil {
				name, err = r.text(f)
			}
			return name, err
		}
		off = next
	}
	return "", nil
}

// string returns what an attribute of one string says.
func (r *protoReader) string(a protoField) (s string, err error) {
	err = r.fields(a.start, a.end, func(f protoField) (err error) {
		if f.is(4) {
			s, err = r.text(f)
		}
		return err
	})
	return s, err
}
