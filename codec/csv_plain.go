package codec

import (
	"bytes"

	"github.com/claryhq/clary/runtime"
)

// plainCSV reads what most requests are, in half the time that a csvScanner
// takes for a small one: rows of plain numbers for the only input of a model,
// which takes a matrix of floats. ok is false for all other bodies, wrong ones
// among them: a csvScanner reads those, and would read these to the same
// result.
func plainCSV(b []byte, req *Request, o csvOptions) (out []runtime.Tensor, ok bool) {
	if len(req.Want) != 1 || o.header || req.Options != nil && (req.Options.SparkML != nil || req.Options.Reply.Style == HuggingFace) {
		return nil, false
	}
	info := &req.Want[0]
	if !floatMatrix(info) || len(b) == 0 {
		return nil, false
	}
	g := grammar(o.comma)
	r := req.result()
	numbers := bytes.Count(b, []byte{o.comma}) + bytes.Count(b, newline)
	if b[len(b)-1] != '\n' {
		numbers++
	}
	e := req.elements(r, info.DType, min(numbers, len(b)/2+1))
	rows, width := 0, 0
	for i := 0; i < len(b); rows++ {
		before := e.n
		end, why := e.numbers(b, i, g)
		if why != accepted || rows > 0 && e.n-before != width {
			return nil, false
		}
		width = e.n - before
		if end+1 < len(b) && b[end] == '\r' {
			end++
		}
		if end < len(b) && b[end] != '\n' {
			return nil, false
		}
		i = end + 1
	}
	return r.matrix(info, &e, rows, width)
}

var newline = []byte("\n")

// floatMatrix reports whether the readers of plain rows know the input's type.
func floatMatrix(info *runtime.Info) bool {
	return (info.DType == runtime.Float32 || info.DType == runtime.Float64) && len(info.Shape) == 2 && info.Kind == runtime.KindTensor
}

// matrix returns the rows in e as the only input, if it takes that many.
func (r *result) matrix(info *runtime.Info, e *elements, rows, width int) (out []runtime.Tensor, ok bool) {
	r.dims[0], r.dims[1] = rows, width
	shape := r.dims[:2:2]
	if !agree(info.Shape, shape) {
		return nil, false
	}
	r.tensors[0] = runtime.Tensor{Name: info.Name, Shape: shape, Data: e.finish()}
	return r.tensors[:], true
}
