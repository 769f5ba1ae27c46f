package codec

import (
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// cells are elements by their size alone: strings as text, all others as the
// raw memory of their slice.
type cells struct {
	text []string
	raw  []byte
	size int // of an element of raw; 0 for text
}

func makeCells(d runtime.DType, n int) cells { return cellsOf(runtime.Make(d, n)) }

// cellsOf returns the elements of a tensor's Data.
func cellsOf(data any) cells {
	text, _ := data.([]string)
	return cells{text, runtime.Bytes(data), runtime.DTypeOf(data).Size()}
}

func (c cells) len() int {
	if c.size == 0 {
		return len(c.text)
	}
	return len(c.raw) / c.size
}

func (c cells) slice(from, to int) cells {
	if c.size == 0 {
		return cells{text: c.text[from:to:to]}
	}
	return cells{raw: c.raw[from*c.size : to*c.size : to*c.size], size: c.size}
}

// data returns the elements as a tensor's Data.
func (c cells) data(d runtime.DType) any {
	if c.size == 0 {
		return c.text
	}
	return runtime.View(d, c.raw)
}

// spread moves the elements at the front to where levels has max and zeroes
// the others.
func (c cells) spread(present int, levels []uint8, max uint8) {
	switch c.size {
	case 0:
		spreadOf(c.text, present, levels, max)
	case 1:
		spreadOf(c.raw, present, levels, max)
	case 2:
		spreadOf(view[uint16](c.raw), present, levels, max)
	case 4:
		spreadOf(view[uint32](c.raw), present, levels, max)
	case 8:
		spreadOf(view[uint64](c.raw), present, levels, max)
	}
}

func spreadOf[T any](dst []T, present int, levels []uint8, max uint8) {
	var zero T
	for i := len(dst) - 1; i >= present; i-- {
		if levels[i] == max {
			present--
			dst[i] = dst[present]
		} else {
			dst[i] = zero
		}
	}
}

// gather sets c to the elements of dict that h has the indices of.
func (c cells) gather(dict cells, h *hybrid) error {
	switch c.size {
	case 0:
		return gatherOf(c.text, dict.text, h)
	case 1:
		return gatherOf(c.raw, dict.raw, h)
	case 2:
		return gatherOf(view[uint16](c.raw), view[uint16](dict.raw), h)
	case 4:
		return gatherOf(view[uint32](c.raw), view[uint32](dict.raw), h)
	default:
		return gatherOf(view[uint64](c.raw), view[uint64](dict.raw), h)
	}
}

func gatherOf[T any](dst, dict []T, h *hybrid) error {
	var room [512]uint32
	for len(dst) > 0 {
		indices := room[:min(len(room), len(dst))]
		if err := readHybrid(h, indices); err != nil {
			return err
		}
		for i, k := range indices {
			if uint64(k) >= uint64(len(dict)) {
				return fmt.Errorf("index %d into a dictionary of %d values", k, len(dict))
			}
			dst[i] = dict[k]
		}
		dst = dst[len(indices):]
	}
	return nil
}

// pick sets c, but for its elements nulls, to the elements of dict at indices.
func (c cells) pick(dict cells, indices []int64, nulls []int) error {
	switch c.size {
	case 0:
		return pickOf(c.text, dict.text, indices, nulls)
	case 1:
		return pickOf(c.raw, dict.raw, indices, nulls)
	case 2:
		return pickOf(view[uint16](c.raw), view[uint16](dict.raw), indices, nulls)
	case 4:
		return pickOf(view[uint32](c.raw), view[uint32](dict.raw), indices, nulls)
	default:
		return pickOf(view[uint64](c.raw), view[uint64](dict.raw), indices, nulls)
	}
}

func pickOf[T any](dst, dict []T, indices []int64, nulls []int) error {
	for i, k := range indices {
		switch {
		case len(nulls) > 0 && nulls[0] == i:
			nulls = nulls[1:]
		case uint64(k) >= uint64(len(dict)):
			return fmt.Errorf("index %d into a dictionary of %d values", k, len(dict))
		default:
			dst[i] = dict[k]
		}
	}
	return nil
}

// concat appends b to a, which is of the same type.
func concat(a, b any) any {
	if text, ok := a.([]string); ok {
		return append(text, b.([]string)...)
	}
	switch d := runtime.DTypeOf(a); d.Size() {
	case 1:
		return runtime.View(d, append(runtime.Bytes(a), runtime.Bytes(b)...))
	case 2:
		return runtime.View(d, runtime.Bytes(append(viewOf[uint16](a), viewOf[uint16](b)...)))
	case 4:
		return runtime.View(d, runtime.Bytes(append(viewOf[uint32](a), viewOf[uint32](b)...)))
	default:
		return runtime.View(d, runtime.Bytes(append(viewOf[uint64](a), viewOf[uint64](b)...)))
	}
}

// weave lays columns of type d out side by side.
func weave(d runtime.DType, parts []*column, rows, width int) any {
	data := runtime.Make(d, rows*width)
	if text, ok := data.([]string); ok {
		weaveOf(text, parts, rows, width, func(data any) []string { return data.([]string) })
		return data
	}
	dst := runtime.Bytes(data)
	switch d.Size() {
	case 1:
		weaveOf(dst, parts, rows, width, runtime.Bytes)
	case 2:
		weaveOf(view[uint16](dst), parts, rows, width, viewOf[uint16])
	case 4:
		weaveOf(view[uint32](dst), parts, rows, width, viewOf[uint32])
	case 8:
		weaveOf(view[uint64](dst), parts, rows, width, viewOf[uint64])
	}
	return data
}

// weaveOf writes block after block of rows, so that what it writes at a time
// stays in the cache.
func weaveOf[T any](dst []T, parts []*column, rows, width int, of func(any) []T) {
	const block = 64
	src := make([][]T, len(parts))
	for i, p := range parts {
		src[i] = of(p.data)
	}
	for from := 0; from < rows; from += block {
		to := min(from+block, rows)
		at := from * width
		for i, p := range parts {
			if w := p.width; w == 1 {
				for j, v := range src[i][from:to] {
					dst[at+j*width] = v
				}
			} else {
				for r := from; r < to; r++ {
					copy(dst[at+(r-from)*width:], src[i][r*w:(r+1)*w])
				}
			}
			at += p.width
		}
	}
}

// view views memory that is aligned for T as T.
func view[T uint16 | uint32 | uint64](b []byte) []T {
	return runtime.View(runtime.DTypeOf([]T(nil)), b).([]T)
}

func viewOf[T uint16 | uint32 | uint64](data any) []T { return view[T](runtime.Bytes(data)) }
