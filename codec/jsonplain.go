package codec

import (
	"bytes"

	"github.com/claryhq/clary/runtime"
)

// plainRows reads what most requests are, in half the time that jsonBody
// takes for a small one: {"instances":[[...],...]} or [[...],...], rows of plain
// numbers for the only input of a model, which takes a matrix of floats. ok is
// false for all other bodies, wrong ones among them: jsonBody reads those, and
// would read these to the same result.
func plainRows(b []byte, req *Request) (out []runtime.Tensor, ok bool) {
	if len(req.Want) != 1 {
		return nil, false
	}
	info := &req.Want[0]
	if info.DType != runtime.Float32 && info.DType != runtime.Float64 || len(info.Shape) != 2 || info.Kind != runtime.KindTensor {
		return nil, false
	}
	i, dialect, closing := plainStart(b)
	if i < 0 {
		return nil, false
	}
	r := new(result)
	e := r.elements(info.DType, min(bytes.Count(b[i:], comma)+1, len(b)/2+1))
	rows, width := 0, 0
	for {
		if i == len(b) || b[i] != '[' {
			return nil, false
		}
		before := e.n
		end, why := e.numbers(b, skipBlank(b, i+1, strict), strict)
		end = skipBlank(b, end, strict)
		if why != accepted || end == len(b) || b[end] != ']' || rows > 0 && e.n-before != width {
			return nil, false
		}
		rows, width = rows+1, e.n-before
		i = skipBlank(b, end+1, strict)
		if i == len(b) || b[i] != ',' {
			break
		}
		i = skipBlank(b, i+1, strict)
	}
	for _, c := range []byte(closing) {
		if i == len(b) || b[i] != c {
			return nil, false
		}
		i = skipBlank(b, i+1, strict)
	}
	r.dims[0], r.dims[1] = rows, width
	if shape := r.dims[:2:2]; i == len(b) && agree(info.Shape, shape) {
		req.Found = Found{Dialect: dialect}
		r.tensors[0] = runtime.Tensor{Name: info.Name, Shape: shape, Data: e.finish()}
		return r.tensors[:], true
	}
	return nil, false
}

var comma = []byte(",")

// plainStart returns where the first row begins, and what follows the last.
func plainStart(b []byte) (i int, d Dialect, closing string) {
	i = skipBlank(b, 0, strict)
	if i < len(b) && b[i] == '[' {
		return skipBlank(b, i+1, strict), Bare, "]"
	}
	const key = `"instances"`
	if i == len(b) || b[i] != '{' {
		return -1, 0, ""
	}
	if i = skipBlank(b, i+1, strict); len(b)-i < len(key) || string(b[i:i+len(key)]) != key {
		return -1, 0, ""
	}
	if i = skipBlank(b, i+len(key), strict); i == len(b) || b[i] != ':' {
		return -1, 0, ""
	}
	if i = skipBlank(b, i+1, strict); i == len(b) || b[i] != '[' {
		return -1, 0, ""
	}
	return skipBlank(b, i+1, strict), Rows, "]}"
}
