package post

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/claryhq/clary/runtime"
)

// XGBoost makes the outputs what AWS's XGBoost container answers with
// (contract §11.5): score without Keys, else one output for each of them, of
//
//	predicted_label  the class
//	labels           the classes
//	probability      of the second class of two, of the best of more
//	probabilities    of every class
//	raw_score        as probability
//	raw_scores       as probabilities
//	predicted_score  a regression's value
//
// A key that is none of these, or says nothing of this kind of model, is NaN in
// every row. The model is a classifier when it has an output of
// floating-point rows of several values, which are taken for its
// probabilities.
type XGBoost struct {
	Keys []string
}

func (s XGBoost) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	b, err := boosterOf(in)
	if err != nil {
		return nil, nil, err
	}
	keys := s.Keys
	if len(keys) == 0 {
		keys = []string{"score"}
	}
	out := make([]runtime.Info, len(keys))
	for i, key := range keys {
		out[i] = b.describe(key)
	}
	return out, func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		scores, err := b.scores.of(ts)
		if err != nil {
			return nil, err
		}
		if len(scores.Shape) == 0 || b.classifier && (len(scores.Shape) != 2 || scores.Shape[1] == 0) {
			return nil, fmt.Errorf("output %q of shape %v is no row of probabilities, nor one value a row", scores.Name, scores.Shape)
		}
		made := make([]runtime.Tensor, len(keys))
		for i, key := range keys {
			if made[i], err = b.make(key, scores, ts); err != nil {
				return nil, err
			}
			made[i].Name = key
		}
		return made, nil
	}, nil
}

// A booster is what XGBoost finds out about a model.
type booster struct {
	classifier bool
	scores     column        // its probabilities, or a regression's value
	label      int           // the output that is a classifier's class; -1: none
	class      runtime.DType // of that output
	classes    any           // []int64 or []string; nil: counted from 0
}

func boosterOf(in []runtime.Info) (booster, error) {
	b := booster{label: slices.IndexFunc(in, func(i runtime.Info) bool {
		return i.Kind == runtime.KindTensor && len(i.Shape) == 1 && (i.DType == runtime.Int64 || i.DType == runtime.String)
	})}
	if b.label >= 0 {
		b.class = in[b.label].DType
	}
	for at := range in {
		info := &in[at]
		if info.Kind != runtime.KindTensor || !info.DType.Float() || len(info.Shape) > 2 {
			continue
		}
		b.classifier = len(info.Shape) == 2 && info.Shape[1] != 1
		var err error
		b.scores, err = read(in, info.Name)
		b.classes = classes(info.Labels)
		return b, err
	}
	return b, fmt.Errorf("XGBoost's replies are made of an output of floating-point numbers, one or several a row, and there is %s", names(in))
}

// classes returns labels as the numbers that they all are, else as they are.
func classes(labels []string) any {
	if labels == nil {
		return nil
	}
	numbers := make([]int64, len(labels))
	for i, l := range labels {
		n, err := strconv.ParseInt(l, 10, 64)
		if err != nil {
			return labels
		}
		numbers[i] = n
	}
	return numbers
}

// describe says what make makes.
func (b booster) describe(key string) runtime.Info {
	row := b.scores.info
	row.Name, row.Labels = key, nil
	one := row
	if b.classifier {
		one.Shape, one.Dims = without(row.Shape, 1), without(row.Dims, 1)
	}
	switch {
	case !b.knows(key):
		one.DType = runtime.Float32
	case key == "predicted_label" && b.label >= 0:
		one.DType = b.class
	case key == "predicted_label":
		one.DType = b.classType()
	case key == "labels":
		row.DType = b.classType()
		return row
	case key == "probabilities", key == "raw_scores", key == "score" && b.classifier && row.Shape[1] != 2:
		return row
	}
	return one
}

func (b booster) classType() runtime.DType {
	if _, ok := b.classes.([]string); ok {
		return runtime.String
	}
	return runtime.Int64
}

// knows reports whether key says something of the model.
func (b booster) knows(key string) bool {
	switch key {
	case "score":
		return true
	case "predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores":
		return b.classifier
	case "predicted_score":
		return !b.classifier
	}
	return false
}

// make makes the output for key of the outputs ts of one run.
func (b booster) make(key string, scores runtime.Tensor, ts []runtime.Tensor) (runtime.Tensor, error) {
	rows := scores.Shape[0]
	binary := b.classifier && scores.Shape[1] == 2
	switch {
	case !b.knows(key):
		missing := make([]float32, rows)
		for i := range missing {
			missing[i] = float32(math.NaN())
		}
		return runtime.Tensor{Shape: []int{rows}, Data: missing}, nil
	case key == "predicted_label" && b.label >= 0:
		return ts[b.label], nil
	case key == "predicted_label":
		return b.best(scores)
	case key == "labels":
		return b.labels(scores.Shape), nil
	case key == "probability", key == "raw_score", key == "score" && binary:
		if binary {
			return runtime.Tensor{Shape: []int{rows}, Data: every(scores.Data, 1, 2)}, nil
		}
		return greatestOf(scores), nil
	}
	return scores, nil
}

// best returns the class of the greatest of each row's probabilities.
func (b booster) best(scores runtime.Tensor) (runtime.Tensor, error) {
	places := make([]int64, 0, scores.Shape[0])
	eachRow(scores, func(v []float64) { places = append(places, int64(greatest(v))) })
	t := runtime.Tensor{Shape: scores.Shape[:1], Data: places}
	var err error
	switch list := b.classes.(type) {
	case []string:
		t.Data, err = named(places, list)
	case []int64:
		for i, p := range places {
			places[i] = list[p]
		}
	}
	return t, err
}

// labels returns the classes once for each row.
func (b booster) labels(shape []int) runtime.Tensor {
	t := runtime.Tensor{Shape: shape}
	switch list := b.classes.(type) {
	case []string:
		t.Data = slices.Repeat(list, shape[0])
	case []int64:
		t.Data = slices.Repeat(list, shape[0])
	default:
		one := make([]int64, shape[1])
		for i := range one {
			one[i] = int64(i)
		}
		t.Data = slices.Repeat(one, shape[0])
	}
	return t
}

// greatestOf returns the greatest value of each row.
func greatestOf(t runtime.Tensor) runtime.Tensor {
	data, n := runtime.Make(t.DType(), t.Shape[0]), 0
	eachRow(t, func(v []float64) {
		p := greatest(v)
		store(data, n, 1, v[p:p+1])
		n++
	})
	return runtime.Tensor{Shape: t.Shape[:1], Data: data}
}

// eachRow calls f with the values of each row of a table.
func eachRow(t runtime.Tensor, f func(v []float64)) {
	w := walkOf(t.Shape, 1)
	v := make([]float64, w.n)
	w.each(func(from int) {
		load(v, t.Data, from, 1)
		f(v)
	})
}
