package post

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// A column is an output as a step reads it: the whole, or one value of each
// row. A row of a single value, [N,1], is that value.
type column struct {
	at   int          // which output
	pick int          // which value of the last axis; -1: all
	info runtime.Info // what it is
}

// read finds an output by its name, or by its name with the place of a value
// behind it, as in "probabilities[1]".
func read(in []runtime.Info, name string) (column, error) {
	at, err := find(in, name)
	if err == nil {
		c := column{at: at, pick: -1, info: in[at]}
		if n := len(c.info.Shape); c.info.Kind == runtime.KindTensor && n == 2 && c.info.Shape[1] == 1 {
			c.pick = 0
			c.info = picked(c.info)
		}
		return c, nil
	}
	bracket := strings.LastIndexByte(name, '[')
	if bracket < 1 || name[len(name)-1] != ']' {
		return column{}, err
	}
	base := name[:bracket]
	pick, number := strconv.Atoi(name[bracket+1 : len(name)-1])
	if number != nil || pick < 0 {
		return column{}, err
	}
	if at, err = find(in, base); err != nil {
		return column{}, err
	}
	info := in[at]
	switch last := len(info.Shape) - 1; {
	case info.Kind != runtime.KindTensor:
		return column{}, fmt.Errorf("output %q is a sequence or a map, which has no columns", base)
	case info.Unranked:
	case last < 1:
		return column{}, tooFlat(base, last+1)
	case info.Shape[last] >= 0 && pick >= info.Shape[last]:
		return column{}, fmt.Errorf("%s: output %q has %d values a row, the first is [0]", name, base, info.Shape[last])
	}
	return column{at: at, pick: pick, info: picked(info)}, nil
}

// picked returns info with one value in the place of the last axis.
func picked(info runtime.Info) runtime.Info {
	if last := len(info.Shape) - 1; last >= 0 {
		info.Shape, info.Dims = without(info.Shape, last), without(info.Dims, last)
	}
	info.Labels = nil
	return info
}

// of returns the column of the outputs of one run.
func (c column) of(ts []runtime.Tensor) (runtime.Tensor, error) {
	t := ts[c.at]
	if c.pick < 0 {
		return t, nil
	}
	last := len(t.Shape) - 1
	if last < 1 {
		return t, tooFlat(t.Name, last+1)
	}
	if c.pick >= t.Shape[last] {
		return t, fmt.Errorf("output %q has %d values a row, and number %d is wanted", t.Name, t.Shape[last], c.pick)
	}
	t.Data = every(t.Data, c.pick, t.Shape[last])
	t.Shape = slices.Clone(t.Shape[:last])
	return t, nil
}

// every returns the elements of data at from, from+step, ...
func every(data any, from, step int) any {
	if step == 1 {
		return data
	}
	if s, ok := data.([]string); ok {
		list := make([]string, 0, len(s)/step)
		for ; from < len(s); from += step {
			list = append(list, s[from])
		}
		return list
	}
	d := runtime.DTypeOf(data)
	size, src := d.Size(), runtime.Bytes(data)
	picked := runtime.Make(d, len(src)/size/step)
	dst := runtime.Bytes(picked)
	for i := 0; i < len(dst); i += size {
		copy(dst[i:i+size], src[(from+i/size*step)*size:])
	}
	return picked
}

// Fields makes the outputs those that a reply's fields are made of, and no
// others, in that order (contract §11.2). They lose their Labels, which would
// give a classifier's rows another form than that of their fields.
type Fields []Field

// A Field is an output under the name of a field.
type Field struct {
	Name   string
	Output string // "name[1]" is the second value of each row; a row of one value is that value
}

func (s Fields) plan(in []runtime.Info) ([]runtime.Info, apply, error) {
	out, sources := make([]runtime.Info, len(s)), make([]column, len(s))
	for i, f := range s {
		var err error
		if sources[i], err = read(in, f.Output); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out[i] = sources[i].info
		out[i].Name, out[i].Labels = f.Name, nil
	}
	return out, func(ts []runtime.Tensor) ([]runtime.Tensor, error) {
		made := make([]runtime.Tensor, len(s))
		for i, f := range s {
			var err error
			if made[i], err = sources[i].of(ts); err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			made[i].Name = f.Name
		}
		return made, nil
	}, nil
}
