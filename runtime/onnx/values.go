package onnx

// #include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/claryhq/clary/runtime"
)

// ONNXType's members, onnxruntime_c_api.h.
const (
	typeTensor   = 1
	typeSequence = 2
	typeMap      = 3
)

// read copies v into t, reusing t's memory where it has enough of the type.
func (c *call) read(v *C.clary_value, t *runtime.Tensor) (err error) {
	switch v.kind {
	case typeTensor:
		return c.tensor(v, t)
	case typeSequence:
		t.Shape = nil
		t.Data, err = c.sequence(v.value)
		return err
	case typeMap:
		t.Shape = nil
		t.Data, err = c.mapping(v.value)
		return err
	}
	return fmt.Errorf("it is neither a tensor, a sequence nor a map (ONNX type %d)", v.kind)
}

func (c *call) tensor(v *C.clary_value, t *runtime.Tensor) error {
	rank := int(v.rank)
	if t.Shape = t.Shape[:0]; cap(t.Shape) < rank {
		t.Shape = make([]int, 0, rank)
	}
	for _, d := range unsafe.Slice(v.shape, rank) {
		t.Shape = append(t.Shape, int(d))
	}
	n, err := runtime.Elements(t.Shape)
	if err != nil {
		return err
	}
	d := runtime.DType(v._type)
	if !d.Known() {
		return fmt.Errorf("it has elements of %v, which are not served", d)
	}
	t.Data = resize(t.Data, d, n)
	if s, ok := t.Data.([]string); ok {
		return stringsOf(v.value, s)
	}
	if n > 0 {
		copy(runtime.Bytes(t.Data), unsafe.Slice((*byte)(v.data), n*d.Size()))
	}
	return nil
}

// stringsOf fills s with the elements of a string tensor. They share one
// allocation.
func stringsOf(v *C.OrtValue, s []string) error {
	if len(s) == 0 {
		return nil
	}
	var size C.size_t
	if err := take(C.clary_string_bytes(v, &size)); err != nil {
		return err
	}
	text, offsets := make([]byte, max(size, 1)), make([]C.size_t, len(s)+1)
	err := take(C.clary_strings(v, unsafe.Pointer(&text[0]), size, &offsets[0], C.size_t(len(s))))
	if err != nil {
		return err
	}
	offsets[len(s)] = size
	all := unsafe.String(&text[0], len(text))
	for i := range s {
		s[i] = all[offsets[i]:offsets[i+1]]
	}
	return nil
}

// sequence returns the elements of v: a []runtime.Map, or a []runtime.Tensor,
// which is also what an empty sequence is.
func (c *call) sequence(v *C.OrtValue) (any, error) {
	var n C.size_t
	if err := take(C.clary_count(v, &n)); err != nil {
		return nil, err
	}
	tensors, maps := []runtime.Tensor{}, []runtime.Map(nil)
	for i := range int(n) {
		t, err := c.element(v, i)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		if m, ok := t.Data.(runtime.Map); ok {
			maps = append(maps, m)
		} else {
			tensors = append(tensors, t)
		}
	}
	if maps != nil {
		return maps, nil
	}
	return tensors, nil
}

func (c *call) mapping(v *C.OrtValue) (m runtime.Map, err error) {
	keys, err := c.element(v, 0)
	if err != nil {
		return m, err
	}
	values, err := c.element(v, 1)
	return runtime.Map{Keys: keys.Data, Values: values.Data}, err
}

// element copies element i of a sequence, or a map's keys (0) or values (1).
func (c *call) element(v *C.OrtValue, i int) (t runtime.Tensor, err error) {
	var e C.clary_value
	if err := take(C.clary_element(c.c, v, C.int(i), &e)); err != nil {
		return t, err
	}
	defer C.clary_drop(c.c, e.value)
	err = c.read(&e, &t)
	return t, err
}

// resize returns data cut or extended to n elements where it is a slice of d
// with the room, else a new slice.
func resize(data any, d runtime.DType, n int) any {
	if runtime.DTypeOf(data) != d {
		return runtime.Make(d, n)
	}
	if runtime.Len(data) == n {
		return data // as it is, without boxing it anew
	}
	switch s := data.(type) {
	case []float32:
		return fit(s, n)
	case []float64:
		return fit(s, n)
	case []int64:
		return fit(s, n)
	case []int32:
		return fit(s, n)
	case []string:
		return fit(s, n)
	case []bool:
		return fit(s, n)
	case []uint8:
		return fit(s, n)
	case []int8:
		return fit(s, n)
	case []uint16:
		return fit(s, n)
	case []int16:
		return fit(s, n)
	case []uint32:
		return fit(s, n)
	case []uint64:
		return fit(s, n)
	case []runtime.F16:
		return fit(s, n)
	case []runtime.BF16:
		return fit(s, n)
	}
	return runtime.Make(d, n)
}

func fit[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return make([]T, n)
}
