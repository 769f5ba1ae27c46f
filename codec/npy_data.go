package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/claryhq/clary/runtime"
)

// tensor returns a as the input that want describes; a want without a type
// takes a's own.
func (a npyArray) tensor(want runtime.Info) (runtime.Tensor, error) {
	t := runtime.Tensor{Name: want.Name, Shape: a.shape}
	d := a.dtype(want.DType)
	if d == runtime.Undefined {
		return t, errorf("NPY", "", "input %q takes %s, the array's elements are %d bytes of no type (V%d): send bfloat16 as V2 and float8 as V1 or uint8 to inputs of those types, else a plain number type", want.Name, want.DType, a.size, a.size)
	}
	if want.DType != runtime.Undefined {
		shape, err := fitShape(nil, &want, a.shape, false)
		if err != nil {
			return t, errorf("NPY", "", "input %q (%v): %v of %s", want.Name, want.DType, d, err)
		}
		t.Shape = shape
	}
	var err error
	switch {
	case d == runtime.String:
		t.Data, err = a.strings()
	case d == runtime.Bool && oddByte(a.data) >= 0:
		i := oddByte(a.data)
		err = errorf("NPY", fmt.Sprintf("element %d", i), "a bool is the byte %d, neither 0 nor 1", a.data[i])
	default:
		t.Data = a.numbers(d)
	}
	if err != nil || want.DType == runtime.Undefined {
		return t, err
	}
	if t.Data, err = Convert(want.DType, t.Data); err != nil {
		return t, errorf("NPY", "", "input %q: %s", want.Name, err)
	}
	return t, nil
}

// dtype returns the element type to read a as for an input of type want,
// Undefined where only a guess would say.
func (a npyArray) dtype(want runtime.DType) runtime.DType {
	float8 := want >= runtime.Float8E4M3FN && want <= runtime.Float8E5M2FNUZ
	switch bits := 8 * a.size; {
	case a.kind == 'S' || a.kind == 'U':
		return runtime.String
	case bits == 8 && float8 && strings.IndexByte("Vfu", a.kind) >= 0:
		return want
	case bits == 16 && a.kind == 'V' && (want == runtime.BFloat16 || want == runtime.Undefined):
		return runtime.BFloat16
	default:
		for _, t := range npyTypesOf {
			if t.kind == a.kind && t.dtype.Size() == a.size {
				return t.dtype
			}
		}
	}
	return runtime.Undefined
}

// npyTypesOf pairs the element types that numpy itself knows with its kinds.
var npyTypesOf = []struct {
	dtype runtime.DType
	kind  byte
}{
	{runtime.Float32, 'f'}, {runtime.Float64, 'f'}, {runtime.Float16, 'f'}, {runtime.Bool, 'b'},
	{runtime.Int8, 'i'}, {runtime.Int16, 'i'}, {runtime.Int32, 'i'}, {runtime.Int64, 'i'},
	{runtime.Uint8, 'u'}, {runtime.Uint16, 'u'}, {runtime.Uint32, 'u'}, {runtime.Uint64, 'u'},
}

// oddByte returns the index of the first byte that is neither 0 nor 1, or -1.
func oddByte(b []byte) int {
	return slices.IndexFunc(b, func(c byte) bool { return c > 1 })
}

// numbers returns a's elements in row-major order and the machine's byte
// order: a view of its data where that is so already.
func (a npyArray) numbers(d runtime.DType) any {
	if !a.swap && !a.transposed() {
		if v := runtime.View(d, a.data); v != nil {
			return v
		}
	}
	data := runtime.Make(d, a.n)
	a.copyTo(runtime.Bytes(data))
	return data
}

// strings returns a's elements as UTF-8 without the NULs that numpy pads
// with, all in one piece of memory.
func (a npyArray) strings() ([]string, error) {
	raw := a.data
	if a.swap || a.transposed() {
		raw = make([]byte, len(a.data))
		a.copyTo(raw)
	}
	data := make([]string, a.n)
	var text strings.Builder
	text.Grow(len(raw) / 4)
	for i := range data {
		start := text.Len()
		if err := a.writeCell(&text, raw[i*a.size:(i+1)*a.size]); err != nil {
			return nil, errorf("NPY", fmt.Sprintf("element %d", i), "%s", err)
		}
		data[i] = text.String()[start:]
	}
	return data, nil
}

// writeCell writes one string's text.
func (a npyArray) writeCell(text *strings.Builder, cell []byte) error {
	if a.kind == 'S' {
		cell = bytes.TrimRight(cell, "\x00")
		if !utf8.Valid(cell) {
			return fmt.Errorf("a string is not UTF-8")
		}
		text.Write(cell)
		return nil
	}
	for len(cell) > 0 && binary.LittleEndian.Uint32(cell[len(cell)-4:]) == 0 {
		cell = cell[:len(cell)-4]
	}
	for ; len(cell) > 0; cell = cell[4:] {
		c := binary.LittleEndian.Uint32(cell)
		if c > utf8.MaxRune || !utf8.ValidRune(rune(c)) {
			return fmt.Errorf("a string holds %#x, which is no character", c)
		}
		text.WriteRune(rune(c))
	}
	return nil
}

// transposed reports whether a's elements lie in another order than ours.
func (a npyArray) transposed() bool {
	long := 0
	for _, d := range a.shape {
		if d > 1 {
			long++
		}
	}
	return a.fortran && long > 1 && a.n > 0
}

// copyTo writes a's data in row-major order and little-endian.
func (a npyArray) copyTo(dst []byte) {
	if a.transposed() {
		transpose(dst, a.data, a.shape, a.size)
	} else {
		copy(dst, a.data)
	}
	if !a.swap {
		return
	}
	unit := a.size
	if a.kind == 'U' {
		unit = 4
	}
	switch unit {
	case 2:
		for i := 0; i < len(dst); i += 2 {
			binary.LittleEndian.PutUint16(dst[i:], binary.BigEndian.Uint16(dst[i:]))
		}
	case 4:
		for i := 0; i < len(dst); i += 4 {
			binary.LittleEndian.PutUint32(dst[i:], binary.BigEndian.Uint32(dst[i:]))
		}
	case 8:
		for i := 0; i < len(dst); i += 8 {
			binary.LittleEndian.PutUint64(dst[i:], binary.BigEndian.Uint64(dst[i:]))
		}
	}
}

// transpose copies elements of size bytes from column-major src to row-major
// dst. The shape has no zero and is not of rank 0.
func transpose(dst, src []byte, shape []int, size int) {
	last := len(shape) - 1
	strides := make([]int, len(shape)) // of src, in bytes
	for i, stride := 0, size; i < len(shape); i++ {
		strides[i] = stride
		stride *= shape[i]
	}
	index := make([]int, last)
	for from := 0; len(dst) > 0; {
		j, step := from, strides[last]
		switch run := dst[:shape[last]*size]; size {
		case 4:
			for i := 0; i < len(run); i, j = i+4, j+step {
				*(*[4]byte)(run[i:]) = *(*[4]byte)(src[j:])
			}
		case 8:
			for i := 0; i < len(run); i, j = i+8, j+step {
				*(*[8]byte)(run[i:]) = *(*[8]byte)(src[j:])
			}
		default:
			for i := 0; i < len(run); i, j = i+size, j+step {
				copy(run[i:i+size], src[j:j+size])
			}
		}
		dst = dst[shape[last]*size:]
		for i := last - 1; i >= 0; i-- {
			from += strides[i]
			if index[i]++; index[i] < shape[i] {
				break
			}
			from -= index[i] * strides[i]
			index[i] = 0
		}
	}
}
