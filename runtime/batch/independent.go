package batch

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/claryhq/clary/runtime"
)

// Independent finds out whether the rows of a model's inputs can be merged: the
// first dimension of every input and output is open, and two random rows give
// the same run together as each alone, to the last bit where exact, else
// within 1e-6 of the largest value. An error says what speaks against it.
func Independent(ctx context.Context, s runtime.Session, exact bool) error {
	for _, list := range [][]runtime.Info{s.Inputs(), s.Outputs()} {
		for _, info := range list {
			if info.Kind != runtime.KindTensor || info.Unranked || len(info.Shape) == 0 || info.Shape[0] >= 0 {
				return fmt.Errorf("batch: the first dimension of %q is not open", info.Name)
			}
		}
	}
	if len(s.Inputs()) == 0 {
		return fmt.Errorf("batch: the model has no input")
	}
	random := rand.New(rand.NewPCG(1, 1))
	var both, rows [2][]runtime.Tensor // both[0] are the rows together
	for _, info := range s.Inputs() {
		shape := append([]int{2}, info.Shape[1:]...)
		n := 1
		for i, d := range shape[1:] {
			if d < 0 {
				shape[i+1] = 2
			}
			n *= shape[i+1]
		}
		if n > 1<<26 {
			return fmt.Errorf("batch: a row of %q has %d elements", info.Name, n)
		}
		data := runtime.Make(info.DType, 2*n)
		fill(data, random)
		whole := runtime.Tensor{Name: info.Name, Shape: shape, Data: data}
		both[0] = append(both[0], whole)
		for i := range rows {
			var t runtime.Tensor
			part(&t, &whole, i, 1, 2)
			rows[i] = append(rows[i], t)
		}
	}
	together, err := s.Run(ctx, both[0], nil)
	if err != nil {
		return err
	}
	for i := range rows {
		alone, err := s.Run(ctx, rows[i], nil)
		if err != nil {
			return err
		}
		for j := range alone {
			t := &together[j]
			if len(t.Shape) == 0 || t.Shape[0] != 2 {
				return fmt.Errorf("batch: output %q has the shape %v for two rows", t.Name, t.Shape)
			}
			var want runtime.Tensor
			part(&want, t, i, 1, 2)
			if !alike(want, alone[j], exact) {
				return fmt.Errorf("batch: a row's %q depends on the row beside it", t.Name)
			}
		}
	}
	return nil
}

// fill writes random elements: small ones, which integers that count
// something allow.
func fill(data any, r *rand.Rand) {
	switch s := data.(type) {
	case []float32:
		for i := range s {
			s[i] = float32(r.NormFloat64())
		}
	case []float64:
		for i := range s {
			s[i] = r.NormFloat64()
		}
	case []runtime.F16:
		for i := range s {
			s[i] = runtime.ToF16(r.NormFloat64())
		}
	case []runtime.BF16:
		for i := range s {
			s[i] = runtime.ToBF16(r.NormFloat64())
		}
	case []int64:
		for i := range s {
			s[i] = r.Int64N(2)
		}
	case []string:
		for i := range s {
			s[i] = string(rune('a' + r.IntN(26)))
		}
	default:
		// One byte in each element's first is a small number of every type.
		b := runtime.Bytes(data)
		for i, width := 0, len(b)/max(runtime.Len(data), 1); i < len(b); i += width {
			b[i] = byte(r.IntN(2))
		}
	}
}

// alike reports whether two tensors hold the same.
func alike(a, b runtime.Tensor, exact bool) bool {
	if a.DType() != b.DType() || runtime.Len(a.Data) != runtime.Len(b.Data) {
		return false
	}
	if s, ok := a.Data.([]string); ok {
		for i, v := range b.Data.([]string) {
			if s[i] != v {
				return false
			}
		}
		return true
	}
	if string(runtime.Bytes(a.Data)) == string(runtime.Bytes(b.Data)) {
		return true
	}
	if x, ok := a.Data.([]float32); ok && !exact {
		return near(x, b.Data.([]float32))
	}
	return false
}

func near(a, b []float32) bool {
	largest := 0.0
	for _, v := range a {
		if d := math.Abs(float64(v)); d <= math.MaxFloat32 {
			largest = max(largest, d)
		}
	}
	for i := range a {
		same := a[i] == b[i] || a[i] != a[i] && b[i] != b[i]
		if d := math.Abs(float64(a[i]) - float64(b[i])); !same && !(d <= 1e-6*largest) {
			return false // a NaN beside a number too
		}
	}
	return true
}
