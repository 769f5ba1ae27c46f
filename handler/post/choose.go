package post

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"github.com/claryhq/clary/runtime"
)

// Argmax puts the place of the greatest value along an axis before the output
// that it is of: an int64 from 0, or the class's name where the output has
// Labels and the axis is the last. Of equal values the first counts, and NaN
// counts as the greatest (numpy's rules).
type Argmax struct {
	Output string // "": the only output
	As     string // the new output's name; "": label
	Axis   int    // 0: the last; negative: counted from the end
}

func (s Argmax) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	at, err := scores(in, s.Output, true)
	if err != nil {
		return nil, nil, err
	}
	source := in[at]
	axis, err := plannedAxis(&source, s.Axis)
	if err != nil {
		return nil, nil, err
	}
	out := runtime.Info{Name: cmp.Or(s.As, "label"), DType: runtime.Int64, Unranked: source.Unranked}
	var labels []string
	if axis == len(source.Shape)-1 && source.Labels != nil {
		out.DType, labels = runtime.String, source.Labels
	}
	if axis > 0 {
		out.Shape, out.Dims = without(source.Shape, axis), without(source.Dims, axis)
	}
	return slices.Insert(in, at, out), func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		t := &ts[at]
		axis, err := axisOf(t.Name, s.Axis, len(t.Shape))
		if err != nil {
			return nil, err
		}
		w := walkOf(t.Shape, axis)
		if w.n == 0 && w.outer*w.stride > 0 {
			return nil, fmt.Errorf("output %q of shape %v has no values along axis %d to choose from", t.Name, t.Shape, axis)
		}
		v := make([]float64, w.n)
		places := make([]int64, 0, w.outer*w.stride)
		w.each(func(from int) {
			load(v, t.Data, from, w.stride)
			places = append(places, int64(greatest(v)))
		})
		data, err := named(places, labels)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", t.Name, err)
		}
		return slices.Insert(ts, at, runtime.Tensor{Name: out.Name, Shape: without(t.Shape, axis), Data: data}), nil
	}, nil
}

// greatest returns the index of the first of the greatest values.
func greatest(v []float64) int {
	best := 0
	for i, x := range v {
		if above(x, v[best]) {
			best = i
		}
	}
	return best
}

// above reports whether a comes before b: greater, or NaN where b is not.
func above(a, b float64) bool { return a > b || a != a && b == b }

// named returns places, or the names of the classes in those places where there
// are names.
func named(places []int64, labels []string) (any, error) {
	if labels == nil {
		return places, nil
	}
	list := make([]string, len(places))
	for i, p := range places {
		if p < 0 || p >= int64(len(labels)) {
			return nil, fmt.Errorf("class %d, and there are names for 0 to %d", p, len(labels)-1)
		}
		list[i] = labels[p]
	}
	return list, nil
}

// TopK puts two outputs in the place of one: labels, the places of its K
// greatest values along the last axis (int64 from 0, or the classes' names
// where the output has Labels), and scores, these values, the greatest first.
// Of equal values the first is first, and NaN counts as the greatest. A row of
// fewer than K values, which only a model that leaves their number open can
// have, gives them all.
type TopK struct {
	Output string // "": the only output
	K      int    // at least 1
}

func (s TopK) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	at, err := scores(in, s.Output, true)
	if err != nil {
		return nil, nil, err
	}
	source := in[at]
	labels := runtime.Info{Name: "labels", DType: runtime.Int64, Unranked: source.Unranked}
	if source.Labels != nil {
		labels.DType = runtime.String
	}
	if last := len(source.Shape) - 1; last > 0 {
		labels.Shape, labels.Dims = slices.Clone(source.Shape), slices.Clone(source.Dims)
		switch n := source.Shape[last]; {
		case n >= 0 && n < s.K:
			return nil, nil, fmt.Errorf("the %d greatest of output %q are wanted, and it has %d values", s.K, source.Name, n)
		case n >= 0:
			labels.Shape[last] = s.K
		}
	}
	values := labels
	values.Name, values.DType = "scores", source.DType
	return slices.Replace(in, at, at+1, labels, values), func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		t := &ts[at]
		if len(t.Shape) < 2 {
			return nil, tooFlat(t.Name, len(t.Shape))
		}
		last := len(t.Shape) - 1
		w := walkOf(t.Shape, last)
		k := min(s.K, w.n)
		shape := append(slices.Clone(t.Shape[:last]), k)
		places, data := make([]int64, 0, w.outer*k), runtime.Make(source.DType, w.outer*k)
		v, best := make([]float64, w.n), make([]int, 0, k+1)
		w.each(func(from int) {
			load(v, t.Data, from, 1)
			best = top(best[:0], v, k)
			for _, p := range best {
				store(data, len(places), 1, v[p:p+1])
				places = append(places, int64(p))
			}
		})
		chosen, err := named(places, source.Labels)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", t.Name, err)
		}
		return slices.Replace(ts, at, at+1,
			runtime.Tensor{Name: "labels", Shape: shape, Data: chosen},
			runtime.Tensor{Name: "scores", Shape: slices.Clone(shape), Data: data}), nil
	}, nil
}

// top appends to best, which is empty, the places of the k greatest of v.
func top(best []int, v []float64, k int) []int {
	for i, x := range v {
		if len(best) == k && (k == 0 || !above(x, v[best[k-1]])) {
			continue
		}
		at := sort.Search(len(best), func(j int) bool { return above(x, v[best[j]]) })
		best = slices.Insert(best, at, i)
		best = best[:min(len(best), k)]
	}
	return best
}

// Threshold puts a decision before the output that it is of: int64, 1 where the
// value is At or more, 0 where it is less or NaN. At is rounded to the output's
// type before. A row of a single value, [N,1], becomes the value [N].
type Threshold struct {
	Output string // "": the only output; "name[1]": the second value of each row
	As     string // the new output's name; "": label
	At     float64
}

func (s Threshold) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	source, err := read(in, s.Output)
	if err != nil {
		return nil, nil, err
	}
	if _, err := scores(in, in[source.at].Name, false); err != nil {
		return nil, nil, err
	}
	bound := runtime.Make(in[source.at].DType, 1)
	store(bound, 0, 1, []float64{s.At})
	var at [1]float64
	load(at[:], bound, 0, 1)

	out := source.info
	out.Name, out.DType, out.Labels = cmp.Or(s.As, "label"), runtime.Int64, nil
	return slices.Insert(in, source.at, out), func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		t, err := source.of(ts)
		if err != nil {
			return nil, err
		}
		decided := make([]int64, runtime.Len(t.Data))
		var v [1]float64
		for i := range decided {
			if load(v[:], t.Data, i, 1); v[0] >= at[0] {
				decided[i] = 1
			}
		}
		return slices.Insert(ts, source.at, runtime.Tensor{Name: out.Name, Shape: t.Shape, Data: decided}), nil
	}, nil
}
