package onnx

import (
	"context"
	"encoding/binary"
	"math"
	"math/bits"
	"os"

	"github.com/claryhq/clary/runtime"
	"google.golang.org/protobuf/encoding/protowire"
)

// weights is how many bytes of constants ONNX Runtime holds once the model is
// open: what is in the file, beside it, and made by the graph.
func (g *Graph) weights() int64 { return satAdd(g.Size-g.taken, g.Made) }

// Peak estimates how many bytes opening the model takes at the most: the file
// as it is parsed, the weights, and the weights once more as operators pack
// them. Measured with ONNX Runtime 1.30 on networks whose weights are in the
// file or made by the graph: 2.8 to 3.1 times the weights, a small network's
// 4.2 times. A forest that becomes an operator of our own is there twice for a
// moment, and leaves more garbage. What ONNX Runtime takes once for the
// process is not in it.
func (g *Graph) Peak() int64 {
	w := float64(g.weights())
	return int64(min(1<<20+3.05*w+min(1.2*w, 6<<20)+5*float64(g.grown), math.MaxInt64/2))
}

// Steady estimates how many bytes an open model takes, before it has run.
func (g *Graph) Steady() int64 {
	return int64(min(400<<10+1.05*float64(g.weights())+float64(g.grown), math.MaxInt64/2))
}

// weigh finds out what becomes of the forests, which decides what they take.
func (g *Graph) weigh() error {
	if len(g.forests) == 0 {
		return nil
	}
	f, err := os.Open(g.path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil {
		_, _, err = g.edits(context.Background(), f, st.Size())
	}
	return err
}

// made collects what tells how large the constants are that a graph makes
// itself: an 80 KB file can expand to 100 MB.
type made struct {
	shapes map[string][]int64 // small integer constants, by name
	makers []maker
}

// A maker is a node that fills a tensor of a given shape.
type maker struct {
	shape string // the constant that says it
	size  int    // bytes of an element
}

// mostShapes bounds the constants that are kept as possible shapes.
const mostShapes = 1 << 16

// bytes adds up what all makers make whose shapes are constant.
func (m *made) bytes() (total int64) {
	for _, k := range m.makers {
		n := int64(k.size)
		shape, ok := m.shapes[k.shape]
		for _, d := range shape {
			if d < 0 {
				n = 0
			}
			n = satMul(n, d)
		}
		if ok {
			total = satAdd(total, n)
		}
	}
	return total
}

func satMul(a, b int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(max(b, 0)))
	if hi != 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

func satAdd(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// maker looks at a node for what it makes, by its operator: ConstantOfShape fills a shape with
// one value, Expand stretches a tensor to at least a shape, and Constant may
// be such a shape.
func (p *parser) maker(f protoField, op string) error {
	if op != "ConstantOfShape" && op != "Constant" && op != "Expand" {
		return nil
	}
	var inputs []string
	output := ""
	k := maker{size: 4} // ConstantOfShape makes float32 unless it says otherwise
	err := p.message(f, func(f protoField) error {
		switch {
		case f.is(1):
			name, err := p.r.text(f)
			inputs = append(inputs, name)
			return err
		case f.is(2):
			return p.str(&output, f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = p.message(f, func(f protoField) error {
		if !f.is(5) {
			return nil
		}
		return p.message(f, func(f protoField) error {
			switch {
			case f.is(5) && op == "Constant":
				return p.shapeTensor(f, output)
			case f.is(5) && op == "ConstantOfShape":
				return p.message(f, func(f protoField) error {
					if f.isInt(2) {
						k.size = max(dtype(f.value).Size(), 1)
					}
					return nil
				})
			}
			return nil
		})
	})
	switch {
	case op == "ConstantOfShape" && len(inputs) == 1:
		k.shape = inputs[0]
	case op == "Expand" && len(inputs) == 2:
		k.shape = inputs[1]
	default:
		return err
	}
	p.made.makers = append(p.made.makers, k)
	return err
}

// shapeTensor keeps a TensorProto's values where it may be a shape: a vector of
// few int64. Its name is its own where name is empty.
func (p *parser) shapeTensor(f protoField, name string) error {
	const most = maxRank*10 + 256 // bytes of such a tensor
	if f.end-f.start > most || len(p.made.shapes) >= mostShapes {
		return nil
	}
	var raw string
	var values []int64
	var kind runtime.DType
	err := p.message(f, func(f protoField) (err error) {
		switch {
		case f.isInt(2):
			kind = dtype(f.value)
		case f.num == 7:
			values, err = p.r.ints(values, f)
		case f.is(8) && name == "":
			name, err = p.r.text(f)
		case f.num == 9 && f.typ == protowire.BytesType:
			raw, err = p.r.text(f)
		}
		return err
	})
	if err != nil || kind != runtime.Int64 {
		return err
	}
	for b := []byte(raw); len(b) >= 8; b = b[8:] {
		values = append(values, int64(binary.LittleEndian.Uint64(b)))
	}
	p.made.shapes[name] = values
	return nil
}
