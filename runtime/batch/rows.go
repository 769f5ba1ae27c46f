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
	return rows, rows < s.options.Rows && (s.padding == nil || s.consistent(in))
}

// sameRows reports whether the rows of two mergeable calls have the same
// shapes, or are padded to the same.
func (s *Session) sameRows(a, b []runtime.Tensor) bool {
	for i := range a {
		if !s.padded(i) && !slices.Equal(a[i].Shape[1:], b[i].Shape[1:]) {
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

// join lays input i of all calls one behind the other in t, padded where that
// is wanted, and behind them copies of the first row up to so many rows.
func (s *Session) join(t *runtime.Tensor, memory *slab, calls []*call, i, rows int) {
	first := &calls[0].in[i]
	t.Shape = widest(t.Shape, calls, i, rows)
	each := elements(t.Shape[1:])
	t.Data = memory.of(first.DType(), each*rows)
	if s.padded(i) {
		spread(t.Data, s.padding[i])
	}
	at := 0
	for _, c := range calls {
		in := &c.in[i]
		box(t.Data, t.Shape, at*each, in.Data, in.Shape, 0, in.Shape)
		at += in.Shape[0]
	}
	for ; at < rows; at++ {
		move(t.Data, at*each, t.Data, 0, each)
	}
}

// room returns a slice of n elements of d, data itself where it is one.
func room(data any, d runtime.DType, n int) any {
	if runtime.DTypeOf(data) == d && runtime.Len(data) == n {
		return data
	}
	return runtime.Make(d, n)
}

// split gives each call its rows of the outputs, which the inputs in gave.
func (s *Session) split(out []runtime.Tensor, calls []*call, in []runtime.Tensor) error {
	rows := in[0].Shape[0]
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
			t, o := &out[i], &c.out[i]
			shape, err := s.shapeFor(o.Shape, t, i, c, in)
			if err != nil {
				return err
			}
			o.Name, o.Shape = t.Name, shape
			o.Data = room(o.Data, t.DType(), elements(shape))
			box(o.Data, shape, 0, t.Data, t.Shape, at*elements(t.Shape[1:]), shape)
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
