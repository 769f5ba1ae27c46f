package codec

import (
	"slices"
	"testing"

	"github.com/claryhq/clary/runtime"
)

func TestShapesFitWhereThereIsNoDoubt(t *testing.T) {
	cases := []struct {
		want, have []int
		rows       bool
		fit        []int // nil: refused
	}{
		{[]int{-1, 4}, []int{2, 4}, false, []int{2, 4}},
		{[]int{-1, -1}, []int{2, 4}, true, []int{2, 4}},
		{[]int{-1, 4}, []int{2, 3}, false, nil},
		{[]int{2, 4}, []int{2, 4}, true, []int{2, 4}},
		{[]int{2, 4}, []int{1, 4}, true, nil},
		{[]int{-1, 4}, []int{4}, false, []int{1, 4}},
		{[]int{1, 4}, []int{4}, false, []int{1, 4}},
		{[]int{2, 4}, []int{4}, false, nil},
		{[]int{-1, 4}, []int{4}, true, nil},
		{[]int{-1}, []int{}, false, []int{1}},
		{[]int{-1, 1}, []int{3}, false, []int{3, 1}},
		{[]int{-1, 1}, []int{3}, true, []int{3, 1}},
		{[]int{-1, 1}, []int{1}, false, []int{1, 1}},
		{[]int{3}, []int{1, 3}, true, []int{3}},
		{[]int{3}, []int{2, 3}, true, nil},
		{[]int{-1}, []int{1, 3}, true, nil},
		{[]int{-1}, []int{1, 0}, true, nil},
		{[]int{}, []int{1}, true, []int{}},
		{[]int{}, []int{2}, true, nil},
		{[]int{-1, 4}, []int{0}, true, []int{0, 4}},
		{[]int{-1, -1, 3}, []int{0}, false, []int{0, 0, 3}},
		{[]int{-1, 4}, []int{1, 0}, true, nil},
		{[]int{-1, 0, 3}, []int{2, 0}, true, []int{2, 0, 3}},
		{[]int{4}, []int{0}, false, nil},
	}
	for _, c := range cases {
		got, err := fitShape([]int{7}, &runtime.Info{Shape: c.want}, c.have, c.rows)
		if (err != nil) != (c.fit == nil) || err == nil && !slices.Equal(got, append([]int{7}, c.fit...)) {
			t.Errorf("%v for %v (rows %v) is %v, %v; want %v", c.have, c.want, c.rows, got, err, c.fit)
		}
		if n, err := runtime.Elements(c.have); err == nil && c.fit != nil {
			if m, _ := runtime.Elements(c.fit); n != m {
				t.Errorf("%v has %d elements, %v has %d", c.have, n, c.fit, m)
			}
		}
	}
	if got, err := fitShape(nil, &runtime.Info{Unranked: true}, []int{2, 3}, false); err != nil || !slices.Equal(got, []int{2, 3}) {
		t.Errorf("an unranked input: %v, %v", got, err)
	}
}

func TestVectorsFillTheDimensionsBehindTheRows(t *testing.T) {
	cases := []struct{ want, have, fit []int }{
		{[]int{-1, 1, 28, 28}, []int{5, 784}, []int{5, 1, 28, 28}},
		{[]int{5, 2, 2}, []int{5, 4}, []int{5, 2, 2}},
		{[]int{4, 2, 2}, []int{5, 4}, nil},
		{[]int{-1, 2, 2}, []int{5, 5}, nil},
		{[]int{-1, -1, 2}, []int{5, 4}, nil},
		{[]int{-1, 4}, []int{5, 4}, []int{5, 4}},
		{[]int{-1, 2, 2}, []int{5, 2, 2}, []int{5, 2, 2}},
	}
	for _, c := range cases {
		got, err := fitFlat(nil, &runtime.Info{Shape: c.want}, c.have)
		if (err != nil) != (c.fit == nil) || !slices.Equal(got, c.fit) {
			t.Errorf("%v for %v is %v, %v; want %v", c.have, c.want, got, err, c.fit)
		}
	}
}

func TestAShapeInAnErrorNamesOpenDimensions(t *testing.T) {
	if got := shapeText([]int{-1, 3, -1}, []string{"batch", "", ""}); got != "[batch,3,?]" {
		t.Error(got)
	}
}
