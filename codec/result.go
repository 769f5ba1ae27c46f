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
