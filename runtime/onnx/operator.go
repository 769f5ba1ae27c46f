package onnx

import (
	"slices"

	"github.com/claryhq/clary/runtime"
)

// An operator is a node of the main graph.
type operator struct {
	domain, name    string // "" is ai.onnx
	inputs, outputs []string
	attributes      []protoField
	to              int64 // a Cast's
	node            protoField
}

// operators calls visit with each node of the main graph, in order.
func (p *parser) operators(visit func(operator) error) error {
	return p.message(p.g.main, func(f protoField) error {
		if !f.is(1) {
			return nil
		}
		o, err := p.operator(f)
		if err != nil {
			return err
		}
		return visit(o)
	})
}

func (p *parser) operator(node protoField) (operator, error) {
	o := operator{node: node}
	text := func(dst *[]string, f protoField) error {
		s, err := p.r.text(f)
		*dst = append(*dst, s)
		return err
	}
	err := p.message(node, func(f protoField) error {
		switch {
		case f.is(1):
			return text(&o.inputs, f)
		case f.is(2):
			return text(&o.outputs, f)
		case f.is(4):
			return p.str(&o.name, f)
		case f.is(5):
			o.attributes = append(o.attributes, f)
		case f.is(7):
			return p.str(&o.domain, f)
		}
		return nil
	})
	if o.domain == "ai.onnx" {
		o.domain = ""
	}
	if err == nil && o.is("", "Cast") {
		o.to, err = p.castTo(o)
	}
	return o, err
}

func (o *operator) is(domain, name string) bool { return o.domain == domain && o.name == name }

// castTo is the type that a Cast makes.
func (p *parser) castTo(o operator) (to int64, err error) {
	for _, a := range o.attributes {
		name := ""
		err = p.message(a, func(f protoField) error {
			switch {
			case f.is(1):
				return p.str(&name, f)
			case f.isInt(3) && name == "to":
				to = int64(f.value)
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return to, nil
}

// Operators whose output is of float32 whatever they take, and those whose
// output is of the type of their first input.
var (
	floatMakers = []string{"Scaler", "Normalizer", "OneHotEncoder", "FeatureVectorizer"}
	sameMakers  = []string{"ArrayFeatureExtractor", "Imputer", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)

// float reports whether the first output is of float32 for sure, where these
// are the tensors of which that is known.
func (o *operator) float(floats map[string]bool) bool {
	switch {
	case o.is("", "Cast"):
		return o.to == int64(runtime.Float32)
	case o.domain == "ai.onnx.ml" && slices.Contains(floatMakers, o.name):
		return true
	case (o.domain == "ai.onnx.ml" || o.domain == "") && slices.Contains(sameMakers, o.name):
		return floats[o.inputs[0]]
	}
	return false
}
