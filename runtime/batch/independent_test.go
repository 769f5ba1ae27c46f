package batch_test

import (
	"context"
	"math"
	"testing"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
)

func TestIndependent(t *testing.T) {
	if err := batch.Independent(t.Context(), &model{}, true); err == nil {
		t.Error("a model that refuses negative numbers passed on random ones")
	}
	if err := batch.Independent(t.Context(), &absolute{}, true); err != nil {
		t.Errorf("independent rows: %v", err)
	}
	if err := batch.Independent(t.Context(), &absolute{model{mixes: true}}, true); err == nil {
		t.Error("rows that depend on the first passed")
	}
}

// absolute takes any number.
type absolute struct{ model }

func (a *absolute) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	x := in[0].Data.([]float32)
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = max(v, -v)
	}
	return a.model.Run(ctx, []runtime.Tensor{{Name: "x", Shape: in[0].Shape, Data: y}}, out)
}

// Without exactness the last bits of numbers may differ, but a NaN beside a
// number is another answer.
func TestIndependentKnowsNaN(t *testing.T) {
	for what, c := range map[string]struct {
		second float32 // how the second row's answer is multiplied where there are two
		exact  bool
		passes bool
	}{
		"the same": {1, true, true}, "the last bit": {1 + 1.0/(1<<23), false, true}, "the last bit, exactly": {1 + 1.0/(1<<23), true, false},
		"a thousandth": {1.001, false, false}, "NaN": {float32(math.NaN()), false, false}, "infinity": {float32(math.Inf(1)), false, false},
	} {
		if err := batch.Independent(t.Context(), &second{by: c.second}, c.exact); (err == nil) != c.passes {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// second multiplies its rows from the second on.
type second struct {
	model
	by float32
}

func (s *second) Outputs() []runtime.Info {
	return []runtime.Info{{Name: "y", DType: runtime.Float32, Shape: []int{-1, 2}}}
}

func (s *second) Run(_ context.Context, in, _ []runtime.Tensor) ([]runtime.Tensor, error) {
	y := append([]float32{}, in[0].Data.([]float32)...)
	for i := 2; i < len(y); i++ {
		y[i] *= s.by
	}
	return []runtime.Tensor{{Name: "y", Shape: in[0].Shape, Data: y}}, nil
}

// What has no open first dimension everywhere cannot be merged.
func TestIndependentWantsOpenFirstDimensions(t *testing.T) {
	open, fixed := runtime.Info{Name: "x", DType: runtime.Float32, Shape: []int{-1, 2}}, runtime.Info{Name: "x", DType: runtime.Float32, Shape: []int{4, 2}}
	for what, c := range map[string]struct{ in, out []runtime.Info }{
		"a fixed batch":      {[]runtime.Info{fixed}, []runtime.Info{open}},
		"a fixed answer":     {[]runtime.Info{open}, []runtime.Info{fixed}},
		"one of two fixed":   {[]runtime.Info{open, fixed}, []runtime.Info{open}},
		"rank 0":             {[]runtime.Info{open}, []runtime.Info{{Name: "y", DType: runtime.Float32}}},
		"no known rank":      {[]runtime.Info{open}, []runtime.Info{{Name: "y", DType: runtime.Float32, Unranked: true}}},
		"a sequence":         {[]runtime.Info{open}, []runtime.Info{{Name: "y", Kind: runtime.KindSequence}}},
		"nothing to be told": {nil, []runtime.Info{open}},
	} {
		if err := batch.Independent(t.Context(), &described{in: c.in, out: c.out}, true); err == nil {
			t.Errorf("%s passed", what)
		}
	}
}

// described says what it is told to say of itself.
type described struct {
	second
	in, out []runtime.Info
}

func (d *described) Inputs() []runtime.Info  { return d.in }
func (d *described) Outputs() []runtime.Info { return d.out }
