package onnx

import (
	"bytes"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/claryhq/clary/runtime"
)

// A cut takes a ZipMap from the end of a graph. Converters of classifiers put
// one there to turn the [N, C] probabilities into N maps from class to
// probability, which cost more to make and to take apart than the classifier
// itself. The node becomes an Identity, which ONNX Runtime removes, so that the
// output keeps its name and is the tensor.
type cut struct {
	output   int          // index among the graph's outputs
	info     runtime.Info // of the tensor
	declared runtime.Info // of the maps
	input    string       // the tensor that the ZipMap takes
	node     protoField   // where the ZipMap is
	decl     protoField   // where its output is declared
}

// A zipMap is a ZipMap node as
// https://onnx.ai/onnx/operators/onnx_aionnxml_ZipMap.html describes it.
type zipMap struct {
	inputs, outputs, labels []string
}

// cuts returns the ZipMaps that can be cut: those whose input another node
// makes and whose output is the graph's and nobody else's. Only graphs that
// have one are read a second time.
func (p *parser) cuts() ([]cut, error) {
	if len(p.zipmaps) == 0 {
		return nil, nil
	}
	used, made, values, err := p.names()
	if err != nil {
		return nil, err
	}
	var cuts []cut
	for _, f := range p.zipmaps {
		z, err := p.zipMap(f)
		if err != nil {
			return nil, err
		}
		if len(z.inputs) != 1 || len(z.outputs) != 1 || len(z.labels) == 0 || !made[z.inputs[0]] || used[z.outputs[0]] {
			continue
		}
		i := slices.IndexFunc(p.outputs, func(o output) bool { return o.info.Name == z.outputs[0] })
		if i < 0 || p.outputs[i].info.Kind != runtime.KindSequence {
			continue
		}
		info := runtime.Info{
			Name: z.outputs[0], DType: runtime.Float32, Labels: z.labels,
			Shape: []int{-1, len(z.labels)}, Dims: []string{"", ""},
		}
		if in, known := values[z.inputs[0]]; known && !in.Unranked {
			if len(in.Shape) != 2 {
				continue // a ZipMap of one row without an axis of rows
			}
			info.Shape[0], info.Dims[0] = in.Shape[0], in.Dims[0]
		}
		cuts = append(cuts, cut{i, info, p.outputs[i].info, z.inputs[0], f, p.outputs[i].field})
	}
	return cuts, nil
}

// names returns the names that nodes of the main graph and of the graphs inside
// it use and make, and the types that it states of intermediate values.
func (p *parser) names() (used, made map[string]bool, values map[string]runtime.Info, err error) {
	used, made, values = map[string]bool{}, map[string]bool{}, map[string]runtime.Info{}
	var graph, node, attribute func(f protoField) error
	graph = func(f protoField) error {
		switch {
		case f.is(1):
			return p.message(f, node)
		case f.is(13):
			info, err := p.info(f)
			values[info.Name] = info
			return err
		}
		return nil
	}
	node = func(f protoField) error {
		switch {
		case f.is(1):
			name, err := p.r.text(f)
			used[name] = true
			return err
		case f.is(2):
			name, err := p.r.text(f)
			made[name] = true
			return err
		case f.is(5):
			return p.message(f, attribute)
		}
		return nil
	}
	attribute = func(f protoField) error {
		if f.is(6) || f.is(11) {
			return p.message(f, graph)
		}
		return nil
	}
	err = p.message(p.g.main, graph)
	return used, made, values, err
}

func (p *parser) zipMap(f protoField) (z zipMap, err error) {
	text := func(dst *[]string, f protoField) error {
		s, err := p.r.text(f)
		*dst = append(*dst, s)
		return err
	}
	err = p.message(f, func(f protoField) error {
		switch {
		case f.is(1):
			return text(&z.inputs, f)
		case f.is(2):
			return text(&z.outputs, f)
		case f.is(5): // classlabels_int64s or classlabels_strings: it has no other attributes
			var ints []int64
			err := p.message(f, func(f protoField) (err error) {
				switch f.num {
				case 8:
					ints, err = p.r.ints(ints, f)
				case 9:
					err = text(&z.labels, f)
				}
				return err
			})
			for _, v := range ints {
				z.labels = append(z.labels, strconv.FormatInt(v, 10))
			}
			return err
		}
		return nil
	})
	return z, err
}

// The opset whose Identity a graph of ai.onnx.ml alone is given: any would do.
const identityOpset = 13

// message returns a length-delimited field.
func message(num protowire.Number, content ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), bytes.Join(content, nil))
}

func number(num protowire.Number, v int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(v))
}

// edits put the Identity into the ZipMap's place, and the tensor into that of
// the maps among the declarations.
func (c cut) edits() []stretch {
	return []stretch{{c.node.tag, c.node.end, passing(c.input, c.info.Name)}, {c.decl.tag, c.decl.end, c.declaration()}}
}

// passing is a NodeProto that gives what it takes another name: ONNX Runtime
// removes it where it can.
func passing(input, output string) []byte {
	return message(1, message(1, []byte(input)), message(2, []byte(output)), message(4, []byte("Identity")))
}

// declaration is the ValueInfoProto of the output that is a tensor now.
func (c cut) declaration() []byte {
	var dims []byte
	for i, d := range c.info.Shape {
		switch {
		case d >= 0:
			dims = append(dims, message(1, number(1, d))...)
		case c.info.Dims[i] != "":
			dims = append(dims, message(1, message(2, []byte(c.info.Dims[i])))...)
		default:
			dims = append(dims, message(1)...)
		}
	}
	tensor := message(1, number(1, int(runtime.Float32)), message(2, dims))
	return message(12, message(1, []byte(c.info.Name)), message(2, tensor))
}
