package batch

import (
	"fmt"
	"slices"

	"github.com/claryhq/clary/runtime"
)

// mergeable returns the rows of a call, 1 where they are not known, and
// whether it may be merged with others: it has the inputs in the model's order
// and of its types, each with as many rows. What a model would refuse is left
// to it, alone.
func (s *Session) mergeable(in []runtime.Tensor) (rows int, ok bool) {
	if s.options.Rows < 2 || len(in) != len(s.inputs) || len(in) == 0 {
		return 1, false
	}
	for i := range in {
		t, want := &in[i], &s.inputs[i]
		if t.Name != "" && t.Name != want.Name || t.DType() != want.DType || len(t.Shape) != len(want.Shape) || len(t.Shape) == 0 {
			return 1, false
		}
		n := 1
		for j, d := range t.Shape {
			if d <= 0 || j > 0 && want.Shape[j] >= 0 && d != want.Shape[j] {
				return 1, false
			}
			n *= d
		}
		if n != runtime.Len(t.Data) || i > 0 && t.Shape[0] != rows {
			return 1, false
		}
		rows = t.Shape[0]
	}
	return rows, rows < s.options.Rows
}

// sameRows reports whether the rows of two mergeable calls have the same
// shapes.
func sameRows(a, b []runtime.Tensor) bool {
	for i := range a {
		if !slices.Equal(a[i].Shape[1:], b[i].Shape[1:]) {
			return false
		}
	}
	return true
}

// A slab is memory for tensors of several sizes.
type slab struct{ whole any }

// of returns a slice of n elements of d in it.
func (s *slab) of(d runtime.DType, n int) any {
	if runtime.DTypeOf(s.whole) != d || runtime.Len(s.whole) < n {
		s.whole = runtime.Make(d, max(n, 2*runtime.Len(s.whole)))
	}
	if text, ok := s.whole.([]string); ok {
		return text[:n]
	}
	return runtime.View(d, runtime.Bytes(s.whole)[:n*d.Size()])
}

// join lays input i of all calls one behind the other in t.
func join(t *runtime.Tensor, memory *slab, calls []*call, i, rows int) {
	first := &calls[0].in[i]
	t.Shape = append(append(t.Shape[:0], rows), first.Shape[1:]...)
	n := runtime.Len(first.Data) / first.Shape[0] * rows
	t.Data = memory.of(first.DType(), n)
	at := 0
	for _, c := range calls {
		at += place(t.Data, at, c.in[i].Data)
	}
}

// room returns a slice of n elements of d, data itself where it is one.
func room(data any, d runtime.DType, n int) any {
	if runtime.DTypeOf(data) == d && runtime.Len(data) == n {
		return data
	}
	return runtime.Make(d, n)
}

// place copies src into dst from element at on, and returns how many there
// were.
func place(dst any, at int, src any) int {
	if to, ok := dst.([]string); ok {
		return copy(to[at:], src.([]string))
	}
	n := runtime.Len(src)
	if n > 0 {
		from := runtime.Bytes(src)
		copy(runtime.Bytes(dst)[at*(len(from)/n):], from)
	}
	return n
}

// split gives each call its rows of the outputs.
func split(out []runtime.Tensor, calls []*call, rows int) error {
	for i := range out {
		if out[i].Kind() != runtime.KindTensor || len(out[i].Shape) == 0 || out[i].Shape[0] != rows {
			return fmt.Errorf("batch: output %q has the shape %v for %d rows", out[i].Name, out[i].Shape, rows)
		}
	}
	at := 0
	for _, c := range calls {
		if cap(c.out) < len(out) {
			c.out = append(make([]runtime.Tensor, 0, len(out)), c.out...)
		}
		c.out = c.out[:len(out)]
		for i := range out {
			part(&c.out[i], &out[i], at, c.rows, rows)
		}
		at += c.rows
	}
	return nil
}

// part copies n rows of t from row at on into dst, whose memory is used where
// it fits.
func part(dst, t *runtime.Tensor, at, n, rows int) {
	each := runtime.Len(t.Data) / rows
	dst.Name = t.Name
	dst.Shape = append(append(dst.Shape[:0], n), t.Shape[1:]...)
	dst.Data = room(dst.Data, t.DType(), n*each)
	if from, ok := t.Data.([]string); ok {
		copy(dst.Data.([]string), from[at*each:(at+n)*each])
		return
	}
	b := runtime.Bytes(t.Data)
	size := len(b) / rows
	copy(runtime.Bytes(dst.Data), b[at*size:(at+n)*size])
}
