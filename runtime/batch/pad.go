package batch

import (
	"fmt"
	"slices"

	"github.com/claryhq/clary/runtime"
)

// A cut says which axis of an output is as long as which axis of an input.
type cut struct{ axis, input, of int }

// pads finds out what Options.Pad means for a session: for each input what its
// rows are padded with, nil where they are not, and for each output what is cut
// off again. Dimensions are the same where the model gives them one name.
func (s *Session) pads(pad map[string]any) error {
	if len(pad) == 0 {
		return nil
	}
	s.padding, s.cuts = make([]any, len(s.inputs)), make([][]cut, len(s.outputs))
	named := map[string]cut{}
	for i := range s.inputs {
		info := &s.inputs[i]
		one, ok := pad[info.Name]
		if !ok {
			continue
		}
		if runtime.DTypeOf(one) != info.DType || runtime.Len(one) != 1 {
			return fmt.Errorf("batch: the rows of %q are padded with a %v, not a %v", info.Name, runtime.DTypeOf(one), info.DType)
		}
		s.padding[i] = one
		for j := 1; j < len(info.Shape); j++ {
			if info.Shape[j] >= 0 {
				continue
			}
			if j >= len(info.Dims) || info.Dims[j] == "" {
				return fmt.Errorf("batch: dimension %d of %q is open and has no name: nobody knows which outputs are as long", j, info.Name)
			}
			named[info.Dims[j]] = cut{input: i, of: j}
		}
	}
	for name := range pad {
		if !slices.ContainsFunc(s.inputs, func(i runtime.Info) bool { return i.Name == name }) {
			return fmt.Errorf("batch: the model has no input %q whose rows could be padded", name)
		}
	}
	for i := range s.outputs {
		info := &s.outputs[i]
		for j := 1; j < min(len(info.Shape), len(info.Dims)); j++ {
			if c, ok := named[info.Dims[j]]; ok && info.Shape[j] < 0 {
				c.axis = j
				s.cuts[i] = append(s.cuts[i], c)
			}
		}
	}
	return nil
}

// padded reports whether the rows of input i may be padded.
func (s *Session) padded(i int) bool { return s.padding != nil && s.padding[i] != nil }

// consistent reports whether dimensions of one name are equal in a call. What
// is not would be an error alone, and might not be once it is padded.
func (s *Session) consistent(in []runtime.Tensor) bool {
	sizes := map[string]int{}
	for i := range in {
		for j, name := range s.inputs[i].Dims {
			if name == "" || s.inputs[i].Shape[j] >= 0 {
				continue
			}
			if size, ok := sizes[name]; ok && size != in[i].Shape[j] {
				return false
			}
			sizes[name] = in[i].Shape[j]
		}
	}
	return true
}

// filled is how many rows are run for so many: the next of Options.Fill.
func (s *Session) filled(rows int) int {
	for _, n := range s.options.Fill {
		if n >= rows && rows > 1 {
			return n
		}
	}
	return rows
}

// widest is the shape of input i that holds the rows of all calls.
func widest(shape []int, calls []*call, i, rows int) []int {
	shape = append(shape[:0], calls[0].in[i].Shape...)
	for _, c := range calls[1:] {
		for j, d := range c.in[i].Shape {
			shape[j] = max(shape[j], d)
		}
	}
	shape[0] = rows
	return shape
}

// shapeFor is the shape of output i for one call, whose inputs may have been
// padded to in.
func (s *Session) shapeFor(shape []int, t *runtime.Tensor, i int, c *call, in []runtime.Tensor) ([]int, error) {
	shape = append(append(shape[:0], c.rows), t.Shape[1:]...)
	if s.cuts == nil {
		return shape, nil
	}
	for _, k := range s.cuts[i] {
		if k.axis >= len(shape) || shape[k.axis] != in[k.input].Shape[k.of] {
			return shape, fmt.Errorf("batch: output %q has the shape %v for inputs that are padded to %v", t.Name, t.Shape, in[k.input].Shape)
		}
		shape[k.axis] = c.in[k.input].Shape[k.of]
	}
	return shape, nil
}

// box copies a box of that shape from src, an array of shape from, element on
// and after, into dst, an array of shape to, from element at on.
func box(dst any, to []int, at int, src any, from []int, on int, shape []int) {
	a, b := elements(to[1:]), elements(from[1:])
	if a == b && slices.Equal(to[1:], from[1:]) {
		move(dst, at, src, on, shape[0]*a)
		return
	}
	for i := range shape[0] {
		box(dst, to[1:], at+i*a, src, from[1:], on+i*b, shape[1:])
	}
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// move copies n elements of one type.
func move(dst any, at int, src any, on, n int) {
	if to, ok := dst.([]string); ok {
		copy(to[at:at+n], src.([]string)[on:])
		return
	}
	size := runtime.DTypeOf(dst).Size()
	copy(runtime.Bytes(dst)[at*size:(at+n)*size], runtime.Bytes(src)[on*size:])
}

// spread fills dst with one element.
func spread(dst, one any) {
	n := runtime.Len(dst)
	for have := 0; have < n; have = min(max(2*have, 1), n) {
		if have == 0 {
			move(dst, 0, one, 0, 1)
			continue
		}
		move(dst, have, dst, 0, min(have, n-have))
	}
}
