package networks

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/claryhq/clary/runtime"
)

// A graph collects a GraphProto's fields as they are encoded. The numbers of
// the fields are onnx.proto's: https://onnx.ai/onnx/repo-docs/IR.html
type graph struct {
	name    string
	random  *rand.Rand
	float16 bool
	values  int // how many names were given

	nodes        []byte
	initializers []byte
	inputs       []byte
	outputs      []byte
}

// What the file declares: old enough for every runtime in use.
const (
	irVersion = 8
	opset     = 13
)

func newGraph(o Options) *graph {
	return &graph{name: o.Graph, random: rand.New(rand.NewPCG(o.Seed, 0)), float16: o.Float16}
}

// fresh returns a name that nothing has yet.
func (g *graph) fresh() string {
	g.values++
	return "v" + strconv.Itoa(g.values)
}

// node adds an operator and returns the name of its one output.
func (g *graph) node(op string, inputs []string, attributes ...[]byte) string {
	out := g.fresh()
	var b []byte
	for _, in := range inputs {
		b = text(b, 1, in)
	}
	b = text(b, 2, out)
	b = text(b, 3, op+"_"+out)
	b = text(b, 4, op)
	for _, a := range attributes {
		b = message(b, 5, a)
	}
	g.nodes = message(g.nodes, 1, b)
	return out
}

// A conv is a convolution's sizes.
type conv struct {
	in, out, kernel, stride, pad int
	bias                         bool
}

func (g *graph) convolution(x string, c conv) string {
	inputs := []string{x, g.weights(2, c.out, c.in, c.kernel, c.kernel)}
	if c.bias {
		inputs = append(inputs, g.constant(0.01, c.out))
	}
	return g.node("Conv", inputs, integers("kernel_shape", c.kernel, c.kernel),
		integers("strides", c.stride, c.stride), integers("pads", c.pad, c.pad, c.pad, c.pad))
}

func (g *graph) relu(x string) string { return g.node("Relu", []string{x}) }

func (g *graph) softmax(x string) string {
	return g.node("Softmax", []string{x}, integer("axis", 1))
}

func (g *graph) maxPool(x string, kernel, stride, pad int) string {
	return g.node("MaxPool", []string{x}, integers("kernel_shape", kernel, kernel),
		integers("strides", stride, stride), integers("pads", pad, pad, pad, pad))
}

// weights adds a tensor of normal random numbers whose variance is gain over
// what each output sums up: 2 keeps the scale through a ReLU (He et al.,
// arXiv 1502.01852).
func (g *graph) weights(gain float64, shape ...int) string {
	inputs := 1
	for _, d := range shape[1:] {
		inputs *= d
	}
	deviation := math.Sqrt(gain / float64(inputs))
	return g.tensor(shape, func() float64 { return g.random.NormFloat64() * deviation })
}

// constant adds a vector of n equal numbers.
func (g *graph) constant(v float64, n int) string {
	return g.tensor([]int{n}, func() float64 { return v })
}

// tensor adds an initializer, its bytes in raw_data.
func (g *graph) tensor(shape []int, next func() float64) string {
	name := g.fresh()
	n := 1
	var b []byte
	for _, d := range shape {
		n *= d
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), uint64(d))
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), uint64(g.dtype()))
	b = text(b, 8, name)
	raw := make([]byte, 0, n*g.dtype().Size())
	for range n {
		if g.float16 {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(runtime.ToF16(next())))
		} else {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(next())))
		}
	}
	g.initializers = message(g.initializers, 5, message(b, 9, raw))
	return name
}

// float32s adds a vector that is float32 in any network.
func (g *graph) float32s(values ...float64) string {
	half := g.float16
	g.float16 = false
	defer func() { g.float16 = half }()
	i := -1
	return g.tensor([]int{len(values)}, func() float64 { i++; return values[i] })
}

func (g *graph) dtype() runtime.DType {
	if g.float16 {
		return runtime.Float16
	}
	return runtime.Float32
}

// input declares an input: shape is as "[N,3,224,224]", a letter being an open
// dimension.
func (g *graph) input(name, shape string) { g.inputs = message(g.inputs, 11, g.info(name, shape)) }

func (g *graph) output(name, shape string) { g.outputs = message(g.outputs, 12, g.info(name, shape)) }

// info returns a ValueInfoProto.
func (g *graph) info(name, shape string) []byte {
	var dims []byte
	for d := range strings.SplitSeq(strings.Trim(shape, "[]"), ",") {
		var dim []byte
		if n, err := strconv.ParseUint(d, 10, 32); err == nil {
			dim = protowire.AppendVarint(protowire.AppendTag(dim, 1, protowire.VarintType), n)
		} else {
			dim = text(dim, 2, d)
		}
		dims = message(dims, 1, dim)
	}
	tensor := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(g.dtype()))
	return message(text(nil, 1, name), 2, message(nil, 1, message(tensor, 2, dims)))
}

// write writes the ModelProto.
func (g *graph) write(w io.Writer) error {
	parts := [][]byte{g.nodes, text(nil, 2, g.name), g.initializers, g.inputs, g.outputs}
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > math.MaxInt32 {
		return fmt.Errorf("the graph has %d bytes; protobuf ends at 2 GiB", size)
	}
	head := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), irVersion)
	head = text(head, 2, "clary bench")
	head = message(head, 8, protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), opset))
	head = protowire.AppendVarint(protowire.AppendTag(head, 7, protowire.BytesType), uint64(size))
	for _, p := range append([][]byte{head}, parts...) {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// The types of an AttributeProto.
const (
	typeFloat    = 1
	typeInteger  = 2
	typeString   = 3
	typeIntegers = 7
)

func integer(name string, v int) []byte {
	b := protowire.AppendTag(text(nil, 1, name), 3, protowire.VarintType)
	return attributeType(protowire.AppendVarint(b, uint64(v)), typeInteger)
}

func integers(name string, values ...int) []byte {
	b := text(nil, 1, name)
	for _, v := range values {
		b = protowire.AppendVarint(protowire.AppendTag(b, 8, protowire.VarintType), uint64(v))
	}
	return attributeType(b, typeIntegers)
}

func word(name, v string) []byte {
	return attributeType(text(text(nil, 1, name), 4, v), typeString)
}

func float(name string, v float32) []byte {
	b := protowire.AppendTag(text(nil, 1, name), 2, protowire.Fixed32Type)
	return attributeType(protowire.AppendFixed32(b, math.Float32bits(v)), typeFloat)
}

func attributeType(b []byte, t uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, 20, protowire.VarintType), t)
}

// text appends a string field.
func text(b []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

// message appends a field that holds a message or bytes.
func message(b []byte, num protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), m)
}
