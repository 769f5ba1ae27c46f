package codec_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// values makes random tensors: everything that a format must carry unchanged,
// the odd values more often than chance has them.
type values struct{ *rand.Rand }

func (v values) chance(p float64) bool { return v.Float64() < p }

func pick[T any](v values, choices ...T) T { return choices[v.IntN(len(choices))] }

// numbers are the types that most formats have, every also those that few do.
var (
	numbers = []runtime.DType{runtime.Float32, runtime.Float64, runtime.Float16, runtime.Int8, runtime.Int16, runtime.Int32, runtime.Int64,
		runtime.Uint8, runtime.Uint16, runtime.Uint32, runtime.Uint64, runtime.Bool}
	smallFloats = []runtime.DType{runtime.BFloat16, runtime.Float8E4M3FN, runtime.Float8E4M3FNUZ, runtime.Float8E5M2, runtime.Float8E5M2FNUZ}
	everyType   = slices.Concat(numbers, smallFloats, []runtime.DType{runtime.String})
)

// shape returns a small shape with at most one dimension of zero, the first
// dimension being rows unless that is negative.
func (v values) shape(rank, rows int) []int {
	shape := make([]int, rank)
	for i := range shape {
		shape[i] = 1 + v.IntN(5)
	}
	if rank > 0 && v.chance(.05) {
		shape[v.IntN(rank)] = 20 + v.IntN(400)
	}
	if rank > 0 && v.chance(.05) {
		shape[v.IntN(rank)] = 0
	}
	if rank > 0 && rows >= 0 {
		shape[0] = rows
	}
	return shape
}

// tensor returns a random tensor of that type and shape.
func (v values) tensor(name string, d runtime.DType, shape []int) runtime.Tensor {
	n, err := runtime.Elements(shape)
	if err != nil {
		panic(err)
	}
	data := runtime.Make(d, n)
	switch s := data.(type) {
	case []string:
		for i := range s {
			s[i] = v.text()
		}
	case []bool:
		for i := range s {
			s[i] = v.IntN(2) == 1
		}
	case []float32:
		form := v.IntN(8)
		for i := range s {
			s[i] = float32(v.float(form, math.MaxFloat32, math.SmallestNonzeroFloat32))
		}
		if form < 2 {
			v.bits(data)
		}
	case []float64:
		form := v.IntN(8)
		for i := range s {
			s[i] = v.float(form, math.MaxFloat64, math.SmallestNonzeroFloat64)
		}
		if form < 2 {
			v.bits(data)
		}
	default:
		v.bits(data)
		if !d.Float() && v.chance(.3) { // small numbers
			size, b := d.Size(), runtime.Bytes(data)
			for i := range b {
				if i%size > 0 || b[i] > 99 {
					b[i] = 0
				}
			}
		}
	}
	return runtime.Tensor{Name: name, Shape: shape, Data: data}
}

// bits makes data any bits at all.
func (v values) bits(data any) {
	b := runtime.Bytes(data)
	for i := range b {
		b[i] = byte(v.Uint32())
	}
}

// float returns a value of one of eight kinds.
func (v values) float(form int, most, least float64) float64 {
	switch form {
	case 2:
		return v.Float64()
	case 3:
		return float64(v.Float32())
	case 4:
		return float64(v.IntN(2000) - 1000)
	case 5:
		return math.Round(v.NormFloat64()*1e6) / math.Pow10(v.IntN(9))
	case 6:
		return v.NormFloat64() * math.Pow10(v.IntN(40)-20)
	}
	return pick(v, 0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), most, -most, least, -least, 1, .1, 1e-6, 9.999999e-7, 1e-7,
		123456.789, 1<<24, 1<<24+1, 1<<53, 1<<53+2, 1<<63, 1<<64, 1e15, 1e16, 1e21, 1e22, 1e23, 0x1p-126, 0x1p-149, 5e-324, 0x1p-1022)
}

var pieces = []string{"", "a", "setosa", "hello, world", `"`, `""`, "'", "\n", "\r\n", "\r", "\t", " ", "  ", `\`, `\n`, `\u0041`, "/", "1.5",
	"NaN", "true", "null", "-inf", "é", "ß", "日本語", "😀", "👩\u200d🔬", "e\u0301", "\u202e", "\u2028", "\u00a0", "\x7f", "\x1f", "\x01", "\b", "\f",
	"\x1b[0m", "\ufeff", "\uffff", "\U0010ffff", "\u0080", "\ud7ff", "\ue000", "{}", "[1,2]", ":", "#", ";", "|", "<b>", "&amp;", "=1+1", "\x00",
	"\u0301", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}

// text returns a string of any characters.
func (v values) text() string {
	var b strings.Builder
	for range pick(v, 0, 1, 1, 1, 2, 2, 3, 8) {
		b.WriteString(pick(v, pieces...))
	}
	return b.String()
}

// names returns n different names of outputs.
func (v values) names(n int) []string {
	names := []string{"y", "output", "label", "probabilities", "Größe", "a/b:0", "data 1", "outputs", "predictions", "名前", "t_0", `say "hi"`, "tab\tbed", `back\slash`, "😀"}
	v.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:n]
}

// rows returns how many rows a reply has.
func (v values) rows() int { return pick(v, 0, 1, 1, 1, 2, 2, 3, 7, 40) }

// rowOutputs are outputs of common rows with elements of the given types: now
// and then a classifier's.
func (v values) rowOutputs(types []runtime.DType) ([]runtime.Tensor, codec.Reply) {
	r := codec.Reply{Trailing: v.chance(.5)}
	rows, n := v.rows(), pick(v, 1, 1, 1, 2, 3, 5)
	names := v.names(n)
	if n == 2 && v.chance(.7) {
		labels := []string{"setosa", "vers\"i", "名前", "0", ""}[:1+v.IntN(5)]
		d := pick(v, runtime.Int64, runtime.String)
		r.Infos = []runtime.Info{{Name: names[0], DType: d}, {Name: names[1], DType: runtime.Float32, Labels: labels}}
		return []runtime.Tensor{v.tensor(names[0], d, []int{rows}), v.tensor(names[1], runtime.Float32, []int{rows, len(labels)})}, r
	}
	out := make([]runtime.Tensor, n)
	for i, name := range names {
		out[i] = v.tensor(name, pick(v, types...), v.shape(pick(v, 1, 2, 2, 3), rows))
	}
	return out, r
}

// outputs are outputs of any shapes.
func (v values) outputs(most int, types []runtime.DType) []runtime.Tensor {
	out := make([]runtime.Tensor, 1+v.IntN(most))
	for i, name := range v.names(len(out)) {
		out[i] = v.tensor(name, pick(v, types...), v.shape(v.IntN(5), -1))
	}
	return out
}
