package post

import (
	"fmt"
	"slices"

	"github.com/claryhq/clary/runtime"
)

// Labels gives classes their names. To floating-point numbers, rows of one for
// each class, it says whose they are: Argmax and TopK give names then, and the
// encoders write them. Integers, which are classes counted from 0, become
// their names.
type Labels struct {
	Output string // "": the only output
	Names  []string
}

func (s Labels) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	at, err := find(in, s.Output)
	if err != nil {
		return nil, nil, err
	}
	info := &in[at]
	switch {
	case info.Kind == runtime.KindTensor && info.DType.Integer():
		info.DType = runtime.String
		return in, func(ts []runtime.Tensor) ([]runtime.Tensor, error) { return ts, s.rename(&ts[at]) }, nil
	case info.Kind == runtime.KindTensor && info.DType.Float():
	default:
		return nil, nil, fmt.Errorf("output %q is no tensor of numbers, and only they have classes to name", info.Name)
	}
	if _, err := scores(in, info.Name, true); err != nil {
		return nil, nil, err
	}
	if last := len(info.Shape) - 1; last > 0 && info.Shape[last] >= 0 && info.Shape[last] != len(s.Names) {
		return nil, nil, s.miscounted(info.Name, info.Shape[last])
	}
	info.Labels = s.Names
	return in, func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		t := &ts[at]
		if len(t.Shape) < 2 {
			return nil, tooFlat(t.Name, len(t.Shape))
		}
		if n := t.Shape[len(t.Shape)-1]; n != len(s.Names) {
			return nil, s.miscounted(t.Name, n)
		}
		return ts, nil
	}, nil
}

func (s Labels) miscounted(output string, n int) error {
	return fmt.Errorf("%d names for output %q, which has %d classes", len(s.Names), output, n)
}

// rename turns classes into their names.
func (s Labels) rename(t *runtime.Tensor) error {
	var places []int64
	switch data := t.Data.(type) {
	case []int64:
		places = data
	case []int32:
		places = widened(data)
	case []int16:
		places = widened(data)
	case []int8:
		places = widened(data)
	case []uint64:
		places = widened(data) // beyond int64 they are negative, which no class is
	case []uint32:
		places = widened(data)
	case []uint16:
		places = widened(data)
	case []uint8:
		places = widened(data)
	}
	list, err := named(places, s.Names)
	if err != nil {
		return fmt.Errorf("output %q: %w", t.Name, err)
	}
	t.Data = list
	return nil
}

func widened[T int8 | int16 | int32 | uint8 | uint16 | uint32 | uint64](data []T) []int64 {
	list := make([]int64, len(data))
	for i, v := range data {
		list[i] = int64(v)
	}
	return list
}

// Rename gives outputs other names, all at once: two can swap theirs.
type Rename []Renaming

// A Renaming is the old and the new name of one output.
type Renaming struct{ From, To string }

func (s Rename) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	places := make([]int, len(s))
	for i, r := range s {
		var err error
		if places[i], err = find(in, r.From); err != nil {
			return nil, nil, err
		}
		if slices.Contains(places[:i], places[i]) {
			return nil, nil, fmt.Errorf("output %q gets two names", r.From)
		}
	}
	for i, r := range s {
		in[places[i]].Name = r.To
	}
	return in, func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		for i, r := range s {
			ts[places[i]].Name = r.To
		}
		return ts, nil
	}, nil
}

// Drop leaves outputs out.
type Drop []string

func (s Drop) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	for _, name := range s {
		if _, err := find(in, name); err != nil {
			return nil, nil, err
		}
	}
	var rest Keep
	for i := range in {
		if !slices.Contains(s, in[i].Name) {
			rest = append(rest, in[i].Name)
		}
	}
	return rest.plan(in)
}

// Keep leaves these outputs, in this order, and no others.
type Keep []string

func (s Keep) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	places, out := make([]int, len(s)), make([]runtime.Info, len(s))
	for i, name := range s {
		at, err := find(in, name)
		if err != nil {
			return nil, nil, err
		}
		places[i], out[i] = at, in[at]
	}
	return out, func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		kept := make([]runtime.Tensor, len(places))
		for i, at := range places {
			kept[i] = ts[at]
		}
		return kept, nil
	}, nil
}
