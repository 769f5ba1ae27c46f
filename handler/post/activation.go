package post

import (
	"cmp"
	"math"
	"slices"

	"github.com/claryhq/clary/runtime"
)

// Softmax turns the values along an axis into shares of 1. It computes in
// float64, with the greatest value subtracted first so that nothing overflows,
// and rounds each share once to the output's type. A vector that holds NaN or
// +Inf, or nothing but -Inf, becomes NaN.
type Softmax struct {
	Output string // "": the only output
	As     string // its new name; "": it keeps its own
	Axis   int    // 0: the last; negative: counted from the end
}

func (s Softmax) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	at, err := scores(in, s.Output, true)
	if err != nil {
		return nil, nil, err
	}
	if _, err := plannedAxis(&in[at], s.Axis); err != nil {
		return nil, nil, err
	}
	name := cmp.Or(s.As, in[at].Name)
	in[at].Name = name
	return in, func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		t := &ts[at]
		t.Name = name
		axis, err := axisOf(name, s.Axis, len(t.Shape))
		if err != nil {
			return nil, err
		}
		w := walkOf(t.Shape, axis)
		v := make([]float64, w.n)
		w.each(func(from int) {
			load(v, t.Data, from, w.stride)
			softmax(v)
			store(t.Data, from, w.stride, v)
		})
		return ts, nil
	}, nil
}

func softmax(v []float64) {
	if len(v) == 0 {
		return
	}
	greatest, sum := slices.Max(v), 0.0 // NaN if one is
	for i, x := range v {
		v[i] = math.Exp(x - greatest)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
}

// Sigmoid is 1/(1+exp(-x)) of every value, computed in float64 without
// overflow and rounded once to the output's type.
type Sigmoid struct {
	Output string // "": the only output
	As     string // its new name; "": it keeps its own
}

func (s Sigmoid) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	at, err := scores(in, s.Output, false)
	if err != nil {
		return nil, nil, err
	}
	name := cmp.Or(s.As, in[at].Name)
	in[at].Name = name
	return in, func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		t := &ts[at]
		t.Name = name
		var room [512]float64
		for n := runtime.Len(t.Data); n > 0; {
			v := room[:min(n, len(room))]
			n -= len(v)
			load(v, t.Data, n, 1)
			for i, x := range v {
				v[i] = sigmoid(x)
			}
			store(t.Data, n, 1, v)
		}
		return ts, nil
	}, nil
}

func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}
