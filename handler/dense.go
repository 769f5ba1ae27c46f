package handler

import (
	"fmt"

	"github.com/claryhq/clary/runtime"
	_ "go4.org/unsafe/assume-no-moving-gc" // gorgonia panics at start on today's Go with the version it asks for itself
	"gorgonia.org/tensor"
)

// Dense returns the i-th tensor as a gorgonia tensor over the same memory:
// what is written to one is seen in the other. Gorgonia has no tensors without
// elements and no float16, bfloat16 or float8; those are errors, as is an i
// out of range.
func (ts Tensors) Dense(i int) (*tensor.Dense, error) {
	if i < 0 || i >= len(ts) {
		return nil, fmt.Errorf("no tensor %d: there are %d", i, len(ts))
	}
	t := ts[i]
	if err := t.Check(); err != nil {
		return nil, err
	}
	switch t.DType() {
	case runtime.Float16, runtime.BFloat16, runtime.Float8E4M3FN, runtime.Float8E4M3FNUZ, runtime.Float8E5M2, runtime.Float8E5M2FNUZ:
		return nil, fmt.Errorf("tensor %q is %v, which gorgonia does not have: read its Data", t.Name, t.DType())
	}
	if runtime.Len(t.Data) == 0 {
		return nil, fmt.Errorf("tensor %q has shape %v and no elements, which gorgonia does not have: read its Data", t.Name, t.Shape)
	}
	if len(t.Shape) == 0 {
		// A shape of no dimensions over a backing would become a vector.
		return tensor.New(tensor.FromScalar(first(t.Data))), nil
	}
	return tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(t.Data)), nil
}

// FromDense returns d as a tensor named name. A row-major, whole d shares its
// memory; a view, a transposed or a column-major one is copied into row-major
// order. A masked tensor is refused: a mask has no place in a model's input.
func FromDense(name string, d *tensor.Dense) (runtime.Tensor, error) {
	switch {
	case d == nil:
		return runtime.Tensor{}, fmt.Errorf("tensor %q: the gorgonia tensor is nil", name)
	case d.IsMasked():
		return runtime.Tensor{}, fmt.Errorf("tensor %q: the gorgonia tensor is masked; fill the masked elements first", name)
	}
	t := runtime.Tensor{Name: name, Shape: append([]int(nil), d.Shape()...)}
	if d.IsScalar() {
		t.Shape = nil
		t.Data = slice1(d.ScalarValue())
	} else if d.DataOrder().IsColMajor() || d.RequiresIterator() || d.IsView() {
		// Materialize leaves column-major tensors as they are, so look first.
		data, err := rowMajor(d)
		if err != nil {
			return runtime.Tensor{}, fmt.Errorf("tensor %q: %w", name, err)
		}
		t.Data = data
	} else {
		t.Data = d.Data()
	}
	if err := t.Check(); err != nil {
		return runtime.Tensor{}, fmt.Errorf("from a gorgonia tensor of %v: %w", d.Dtype(), err)
	}
	return t, nil
}

// rowMajor copies d's elements in row-major order, whatever its layout.
func rowMajor(d *tensor.Dense) (any, error) {
	switch data := d.Data().(type) {
	case []float32:
		return gather(d, data)
	case []float64:
		return gather(d, data)
	case []int64:
		return gather(d, data)
	case []int32:
		return gather(d, data)
	case []int16:
		return gather(d, data)
	case []int8:
		return gather(d, data)
	case []uint64:
		return gather(d, data)
	case []uint32:
		return gather(d, data)
	case []uint16:
		return gather(d, data)
	case []uint8:
		return gather(d, data)
	case []bool:
		return gather(d, data)
	case []string:
		return gather(d, data)
	}
	return nil, fmt.Errorf("element type %v has no ONNX type", d.Dtype())
}

func gather[T any](d *tensor.Dense, data []T) (any, error) {
	shape, strides := d.Shape(), d.Strides()
	if len(strides) != len(shape) {
		return nil, fmt.Errorf("shape %v with strides %v is no dense tensor", shape, strides)
	}
	out := make([]T, 0, shape.TotalSize())
	index := make([]int, len(shape))
	for range shape.TotalSize() {
		at := 0
		for axis, i := range index {
			at += i * strides[axis]
		}
		if at < 0 || at >= len(data) {
			return nil, fmt.Errorf("shape %v with strides %v reaches past its %d elements", shape, strides, len(data))
		}
		out = append(out, data[at])
		for axis := len(index) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			index[axis] = 0
		}
	}
	return out, nil
}

func first(data any) any {
	switch s := data.(type) {
	case []float32:
		return s[0]
	case []float64:
		return s[0]
	case []int64:
		return s[0]
	case []int32:
		return s[0]
	case []int16:
		return s[0]
	case []int8:
		return s[0]
	case []uint64:
		return s[0]
	case []uint32:
		return s[0]
	case []uint16:
		return s[0]
	case []uint8:
		return s[0]
	case []bool:
		return s[0]
	case []string:
		return s[0]
	}
	return nil
}

func slice1(v any) any {
	switch x := v.(type) {
	case float32:
		return []float32{x}
	case float64:
		return []float64{x}
	case int64:
		return []int64{x}
	case int32:
		return []int32{x}
	case int16:
		return []int16{x}
	case int8:
		return []int8{x}
	case uint64:
		return []uint64{x}
	case uint32:
		return []uint32{x}
	case uint16:
		return []uint16{x}
	case uint8:
		return []uint8{x}
	case bool:
		return []bool{x}
	case string:
		return []string{x}
	}
	return nil
}
