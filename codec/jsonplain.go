package codec

import (
	"bytes"
	"slices"

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
	if !floatMatrix(info) {
		return nil, false
	}
	i, dialect, closing := plainStart(b)
	if i < 0 {
		return nil, false
	}
	r := req.result()
	e := req.elements(r, info.DType, min(bytes.Count(b[i:], comma)+1, len(b)/2+1))
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
	if i < len(b) {
		return nil, false
	}
	if out, ok = r.matrix(info, &e, rows, width); ok {
		req.Found = Found{Dialect: dialect}
	}
	return out, ok
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

// appendPlainRows writes what most replies are, rows of floats of the only
// output, as the long way does. ok is false for all other replies.
func appendPlainRows(dst []byte, out []runtime.Tensor, r *Reply) (b []byte, ok bool) {
	if len(out) != 1 || r.Dialect != Rows || len(out[0].Shape) != 2 || r.style() != nil || len(r.Infos) == 1 && len(r.Infos[0].Labels) > 0 {
		return dst, false
	}
	data, ok := out[0].Data.([]float32)
	rows, width := out[0].Shape[0], out[0].Shape[1]
	if n, err := runtime.Elements(out[0].Shape); !ok || err != nil || n != len(data) {
		return dst, false
	}
	dst = slices.Grow(dst, len(`{"predictions":[]}`)+len(numberRoom{})+3*rows+14*len(data))
	dst = append(dst, `{"predictions":[`...)
	for i := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '[')
		for j, v := range data[i*width : (i+1)*width] {
			if j > 0 {
				dst = append(dst, ',')
			}
			if v-v == 0 {
				dst = appendFloat32(dst, v)
			} else {
				dst = jsonFloat64(dst, float64(v))
			}
		}
		dst = append(dst, ']')
	}
	return append(dst, ']', '}'), true
}
