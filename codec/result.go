package codec

import "github.com/claryhq/clary/runtime"

// A result is what the decoder of a small body returns, in one allocation: the
// tensor of a model's only input, its shape, and its elements where they are
// few.
type result struct {
	tensors [1]runtime.Tensor
	dims    [3]int
	data    [48]byte // 128 in all, a size that is allocated without loss
}

// A Room is memory for what Decode returns of a body that is read from text,
// which is then good until the Room is used again. The zero value is ready.
type Room struct {
	result result
	large  []byte // of elements that are too many for result
	data   any    // a view of result's data, or of large
}

// mostRoom is what a Room keeps.
const mostRoom = 1 << 20

// result returns where to put what a small body holds.
func (r *Request) result() *result {
	if r.Room != nil {
		return &r.Room.result
	}
	return new(result)
}

// elements is that of a result, or in the Room's memory where it fits.
func (r *Request) elements(to *result, d runtime.DType, n int) elements {
	if r == nil || r.Room == nil {
		return to.elements(d, n)
	}
	return r.Room.elements(to, d, n)
}

func (r *Room) elements(to *result, d runtime.DType, n int) elements {
	size := n * d.Size()
	switch {
	case runtime.DTypeOf(r.data) == d && runtime.Len(r.data) == n:
		return elements{dtype: d, data: r.data}
	case size == 0 || size > mostRoom:
		return to.elements(d, n)
	case size <= len(r.result.data):
		e := r.result.elements(d, n)
		r.data = e.data
		return e
	case size > len(r.large):
		r.large = runtime.Bytes(runtime.Make(runtime.Float64, (size+7)/8))
	}
	r.data = runtime.View(d, r.large[:size])
	return elements{dtype: d, data: r.data}
}

// elements returns an empty collection with room for n elements of type d, in r
// if they fit.
func (r *result) elements(d runtime.DType, n int) elements {
	if size := n * d.Size(); size > 0 && size <= len(r.data) {
		if data := runtime.View(d, r.data[:size:size]); data != nil {
			return elements{dtype: d, data: data}
		}
	}
	return newElements(d, n)
}
