package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/claryhq/clary/runtime"
)

// A parser collects from a ModelProto what a Graph needs. The numbers of the
// fields are onnx.proto's.
type parser struct {
	r            *protoReader
	g            *Graph
	depth        int
	inputs       []runtime.Info
	outputs      []output
	initializers map[string]bool
	locations    []string // of external data, as written, each once
	seen         map[string]bool
	zipmaps      []protoField // the main graph's ZipMap nodes
	trees        int          // how many TreeEnsembleClassifiers it has
	made         made
}

// An output of the main graph, and where it is declared.
type output struct {
	info  runtime.Info
	field protoField
}

func newParser(r *protoReader) *parser {
	return &parser{
		r:            r,
		g:            &Graph{Opsets: map[string]int64{}, Metadata: map[string]string{}},
		initializers: map[string]bool{},
		seen:         map[string]bool{},
		made:         made{shapes: map[string][]int64{}},
	}
}

// message walks the fields of the message that f holds, one level deeper.
func (p *parser) message(f protoField, visit func(protoField) error) error {
	if p.depth++; p.depth > maxDepth {
		return fmt.Errorf("its messages are nested over %d deep", maxDepth)
	}
	err := p.r.fields(f.start, f.end, visit)
	p.depth--
	return err
}

func (p *parser) str(dst *string, f protoField) (err error) {
	*dst, err = p.r.text(f)
	return err
}

func (p *parser) model() error {
	graphs := 0
	whole := protoField{end: p.r.size}
	err := p.message(whole, func(f protoField) error {
		switch {
		case f.isInt(1):
			p.g.IRVersion = int64(f.value)
		case f.is(2):
			return p.str(&p.g.Producer, f)
		case f.is(3):
			return p.str(&p.g.ProducerVersion, f)
		case f.is(4):
			return p.str(&p.g.Domain, f)
		case f.isInt(5):
			p.g.ModelVersion = int64(f.value)
		case f.is(6):
			return p.str(&p.g.Doc, f)
		case f.is(7):
			if graphs++; graphs > 1 {
				return errors.New("it has two graphs")
			}
			p.g.main = f
			return p.graph(f, true)
		case f.is(8):
			return p.opset(f)
		case f.is(14):
			k, v, err := p.entry(f)
			p.g.Metadata[k] = v
			return err
		case f.is(20): // training_info: two graphs
			return p.message(f, func(f protoField) error {
				if f.is(1) || f.is(2) {
					return p.graph(f, false)
				}
				return nil
			})
		case f.is(25):
			return p.function(f)
		}
		return nil
	})
	if err == nil && graphs == 0 {
		err = errors.New("it is not an ONNX model: it has no graph")
	}
	return err
}

func (p *parser) opset(f protoField) error {
	var domain string
	var version int64
	err := p.message(f, func(f protoField) error {
		switch {
		case f.is(1):
			return p.str(&domain, f)
		case f.isInt(2):
			version = int64(f.value)
		}
		return nil
	})
	if domain == "ai.onnx" {
		domain = ""
	}
	p.g.Opsets[domain] = version
	return err
}

// entry reads a StringStringEntryProto.
func (p *parser) entry(f protoField) (k, v string, err error) {
	err = p.message(f, func(f protoField) error {
		switch {
		case f.is(1):
			return p.str(&k, f)
		case f.is(2):
			return p.str(&v, f)
		}
		return nil
	})
	return k, v, err
}

// graph reads a GraphProto: of the main one everything, of any other only
// which external data it refers to.
func (p *parser) graph(f protoField, main bool) error {
	return p.message(f, func(f protoField) error {
		switch {
		case f.is(1):
			return p.node(f, main)
		case f.is(5):
			if err := p.shapeTensor(f, ""); err != nil {
				return err
			}
			return p.tensor(f, main)
		case f.is(15):
			return p.sparse(f, main)
		case !main:
		case f.is(2):
			return p.str(&p.g.Name, f)
		case f.is(11):
			info, err := p.info(f)
			p.inputs = append(p.inputs, info)
			return err
		case f.is(12):
			info, err := p.info(f)
			p.outputs = append(p.outputs, output{info, f})
			return err
		}
		return nil
	})
}

func (p *parser) function(f protoField) error {
	return p.message(f, func(f protoField) error {
		switch {
		case f.is(7):
			return p.node(f, false)
		case f.is(11):
			return p.attribute(f)
		}
		return nil
	})
}

// node looks into a NodeProto's attributes for external data, and notes the
// main graph's ZipMaps and forests.
func (p *parser) node(f protoField, main bool) error {
	p.g.nodes++
	op, ml := "", false
	err := p.message(f, func(f protoField) (err error) {
		switch {
		case f.is(4):
			op, err = p.r.text(f)
		case f.is(5):
			err = p.attribute(f)
		case f.is(7):
			ml, err = p.r.equal(f, "ai.onnx.ml")
		}
		return err
	})
	switch {
	case !main || !ml:
	case op == "ZipMap":
		p.zipmaps = append(p.zipmaps, f)
	case op == "TreeEnsembleClassifier":
		p.trees++
	}
	if err == nil && !ml {
		err = p.maker(f, op)
	}
	return err
}

func (p *parser) attribute(f protoField) error {
	return p.message(f, func(f protoField) error {
		switch {
		case f.is(5), f.is(10):
			return p.tensor(f, false)
		case f.is(6), f.is(11):
			return p.graph(f, false)
		case f.is(22), f.is(23):
			return p.sparse(f, false)
		case f.isInt(8), f.num == 7 && f.typ == protowire.Fixed32Type: // ints and floats
			return errAlike
		}
		return nil
	})
}

func (p *parser) sparse(f protoField, main bool) error {
	return p.message(f, func(f protoField) error {
		switch {
		case f.is(1):
			return p.tensor(f, main)
		case f.is(2):
			return p.tensor(f, false)
		}
		return nil
	})
}

// tensor reads a TensorProto's name, if it is an initializer, and where its
// data lies. A location counts even where data_location does not say EXTERNAL.
func (p *parser) tensor(f protoField, initializer bool) error {
	return p.message(f, func(f protoField) error {
		switch {
		case f.is(8) && initializer:
			name, err := p.r.text(f)
			p.initializers[name] = true
			return err
		case f.is(13):
			k, v, err := p.entry(f)
			if k == "location" && !p.seen[v] {
				p.seen[v] = true
				p.locations = append(p.locations, v)
			}
			return err
		}
		return nil
	})
}

// info reads a ValueInfoProto.
func (p *parser) info(f protoField) (info runtime.Info, err error) {
	err = p.message(f, func(f protoField) error {
		switch {
		case f.is(1):
			return p.str(&info.Name, f)
		case f.is(2):
			return p.typ(f, &info)
		}
		return nil
	})
	return info, err
}

// Shapes of more dimensions than any operator takes are refused.
const maxRank = 64

// typ reads a TypeProto into info's Kind, DType and shape. A type that no
// Info describes leaves DType undefined.
func (p *parser) typ(f protoField, info *runtime.Info) error {
	return p.message(f, func(f protoField) error {
		switch {
		case f.is(1):
			info.Kind, info.Unranked = runtime.KindTensor, true
			return p.message(f, func(f protoField) error {
				switch {
				case f.isInt(1):
					info.DType = dtype(f.value)
				case f.is(2):
					return p.shape(f, info)
				}
				return nil
			})
		case f.is(4):
			return p.sequenceType(f, info)
		case f.is(5):
			return p.mapType(f, info)
		}
		return nil
	})
}

func dtype(v uint64) runtime.DType {
	if d := runtime.DType(v); uint64(d) == v {
		return d
	}
	return runtime.Undefined
}

func (p *parser) sequenceType(f protoField, info *runtime.Info) error {
	return p.message(f, func(f protoField) error {
		if !f.is(1) {
			return nil
		}
		var element runtime.Info
		err := p.typ(f, &element)
		info.Kind = runtime.KindSequence
		if element.Kind != runtime.KindSequence { // no Info describes a sequence of sequences
			info.DType = element.DType
		}
		return err
	})
}

func (p *parser) mapType(f protoField, info *runtime.Info) error {
	info.Kind = runtime.KindMap
	return p.message(f, func(f protoField) error {
		if !f.is(2) {
			return nil
		}
		var value runtime.Info
		err := p.typ(f, &value)
		if value.Kind == runtime.KindTensor {
			info.DType = value.DType
		}
		return err
	})
}

func (p *parser) shape(f protoField, info *runtime.Info) error {
	info.Unranked, info.Shape, info.Dims = false, nil, nil
	return p.message(f, func(f protoField) error {
		if !f.is(1) {
			return nil
		}
		if len(info.Shape) == maxRank {
			return fmt.Errorf("%q has over %d dimensions", info.Name, maxRank)
		}
		size, name := -1, ""
		err := p.message(f, func(f protoField) error {
			switch {
			case f.isInt(1):
				if size, name = int(f.value), ""; size < 0 {
					size = -1
				}
			case f.is(2):
				size = -1
				return p.str(&name, f)
			}
			return nil
		})
		info.Shape, info.Dims = append(info.Shape, size), append(info.Dims, name)
		return err
	})
}
