package post

import (
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// scores finds the output that a step computes with: floating-point numbers,
// in rows of several where wide is set.
func scores(in []runtime.Info, name string, wide bool) (int, error) {
	i, err := find(in, name)
	if err != nil {
		return 0, err
	}
	info := &in[i]
	switch {
	case info.Kind != runtime.KindTensor:
		return 0, fmt.Errorf("output %q is a sequence or a map, and a tensor is wanted", info.Name)
	case !info.DType.Float():
		return 0, fmt.Errorf("output %q is %v, and floating-point numbers are wanted", info.Name, info.DType)
	case wide && !info.Unranked && len(info.Shape) < 2:
		return 0, tooFlat(info.Name, len(info.Shape))
	}
	return i, nil
}

func tooFlat(name string, rank int) error {
	return fmt.Errorf("output %q has rank %d, and rows of several values are wanted: rank 2 or more", name, rank)
}

// axisOf returns the dimension that axis means in a tensor of that rank: 0 the
// last, a negative one counted from the end. The first dimension counts the
// rows.
func axisOf(name string, axis, rank int) (int, error) {
	if rank < 2 {
		return 0, tooFlat(name, rank)
	}
	at := axis
	switch {
	case axis == 0:
		at = rank - 1
	case axis < 0:
		at = rank + axis
	}
	if at < 1 || at >= rank {
		return 0, fmt.Errorf("output %q has no axis %d: its axes are 1 to %d, behind that of the rows", name, axis, rank-1)
	}
	return at, nil
}

// plannedAxis is axisOf while a model that leaves the rank open is planned.
func plannedAxis(info *runtime.Info, axis int) (at int, err error) {
	if info.Unranked {
		return -1, nil
	}
	return axisOf(info.Name, axis, len(info.Shape))
}

// A walk goes over the vectors of a tensor along one axis.
type walk struct {
	n      int // elements of a vector
	stride int // between them
	outer  int // times
}

func walkOf(shape []int, axis int) walk {
	w := walk{n: shape[axis], stride: 1, outer: 1}
	for _, d := range shape[:axis] {
		w.outer *= d
	}
	for _, d := range shape[axis+1:] {
		w.stride *= d
	}
	return w
}

// each calls f with where each vector begins, in the order of a tensor from
// which the axis is gone.
func (w walk) each(f func(at int)) {
	for o := range w.outer {
		for s := range w.stride {
			f(o*w.n*w.stride + s)
		}
	}
}

// without returns a shape from which the axis is gone.
func without[T any](shape []T, axis int) []T {
	if axis >= len(shape) {
		return nil
	}
	return append(append([]T{}, shape[:axis]...), shape[axis+1:]...)
}

// load reads the elements of data at at, at+stride, ... into dst. data is of a
// floating-point type; float64 holds each of them exactly.
func load(dst []float64, data any, at, stride int) {
	switch s := data.(type) {
	case []float32:
		for i := range dst {
			dst[i] = float64(s[at+i*stride])
		}
	case []float64:
		for i := range dst {
			dst[i] = s[at+i*stride]
		}
	case []runtime.F16:
		loadSmall(dst, s, at, stride)
	case []runtime.BF16:
		loadSmall(dst, s, at, stride)
	case []runtime.F8E4M3FN:
		loadSmall(dst, s, at, stride)
	case []runtime.F8E4M3FNUZ:
		loadSmall(dst, s, at, stride)
	case []runtime.F8E5M2:
		loadSmall(dst, s, at, stride)
	case []runtime.F8E5M2FNUZ:
		loadSmall(dst, s, at, stride)
	}
}

func loadSmall[T interface{ Float32() float32 }](dst []float64, s []T, at, stride int) {
	for i := range dst {
		dst[i] = float64(s[at+i*stride].Float32())
	}
}

// store is load's reverse; each value is rounded once, to the nearest, ties to
// even.
func store(data any, at, stride int, src []float64) {
	switch s := data.(type) {
	case []float32:
		storeAs(s, at, stride, src, func(v float64) float32 { return float32(v) })
	case []float64:
		storeAs(s, at, stride, src, func(v float64) float64 { return v })
	case []runtime.F16:
		storeAs(s, at, stride, src, runtime.ToF16)
	case []runtime.BF16:
		storeAs(s, at, stride, src, runtime.ToBF16)
	case []runtime.F8E4M3FN:
		storeAs(s, at, stride, src, runtime.ToF8E4M3FN)
	case []runtime.F8E4M3FNUZ:
		storeAs(s, at, stride, src, runtime.ToF8E4M3FNUZ)
	case []runtime.F8E5M2:
		storeAs(s, at, stride, src, runtime.ToF8E5M2)
	case []runtime.F8E5M2FNUZ:
		storeAs(s, at, stride, src, runtime.ToF8E5M2FNUZ)
	}
}

func storeAs[T any](s []T, at, stride int, src []float64, round func(float64) T) {
	for i, v := range src {
		s[at+i*stride] = round(v)
	}
}
