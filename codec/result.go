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

// A Room is memory for what Decode returns of a small body, which is then good
// until the Room is used again. The zero value is ready.
type Room struct {
	result result
	data   any // a view of result's data
}

// result returns where to put what a small body holds.
func (r *Request) result() *result {
	if r.Room != nil {
		return &r.Room.result
	}
	return new(result)
}

// elements is that of a result, for which the Room's view of the data is used
// where it fits.
func (r *Request) elements(to *result, d runtime.DType, n int) elements {
	if r.Room == nil {
		return to.elements(d, n)
	}
	if runtime.DTypeOf(r.Room.data) != d || runtime.Len(r.Room.data) != n {
		e := to.elements(d, n)
		if n*d.Size() <= len(to.data) {
			r.Room.data = e.data
		}
		return e
	}
	return elements{dtype: d, data: r.Room.data}
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
