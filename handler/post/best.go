package post

import (
	"slices"

	"github.com/claryhq/clary/runtime"
)

// Best leaves of a classifier's outputs what a client of Hugging Face's
// containers expects: label, the name of its best class, and score, that
// class's value. Outputs none of which has Labels stay as they are.
type Best struct{}

func (Best) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	at := slices.IndexFunc(in, func(i runtime.Info) bool { return i.Labels != nil })
	if at < 0 {
		return in, func(ts []runtime.Tensor) ([]runtime.Tensor, error) { return ts, nil }, nil
	}
	label, score := in[at], in[at]
	if n := len(label.Shape); n > 0 {
		label.Shape, label.Dims = without(label.Shape, n-1), without(label.Dims, n-1)
		score.Shape, score.Dims = label.Shape, label.Dims
	}
	label.Name, label.DType, label.Labels = "label", runtime.String, nil
	score.Name, score.Labels = "score", nil
	top := TopK{Output: in[at].Name, K: 1}
	_, best, err := top.plan(slices.Clone(in))
	if err != nil {
		return nil, nil, err
	}
	return []runtime.Info{label, score}, func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		ts, err := best(ts)
		if err != nil {
			return nil, err
		}
		l, s := ts[at], ts[at+1]
		l.Name, s.Name = "label", "score"
		l.Shape = l.Shape[:len(l.Shape)-1]
		s.Shape = l.Shape
		return []runtime.Tensor{l, s}, nil
	}, nil
}
