package runtime_test

import (
	"math"
	"testing"

	"github.com/claryhq/clary/runtime"
)

var every = []runtime.DType{runtime.Float32, runtime.Uint8, runtime.Int8, runtime.Uint16, runtime.Int16, runtime.Int32,
	runtime.Int64, runtime.String, runtime.Bool, runtime.Float16, runtime.Float64, runtime.Uint32, runtime.Uint64,
	runtime.BFloat16, runtime.Float8E4M3FN, runtime.Float8E4M3FNUZ, runtime.Float8E5M2, runtime.Float8E5M2FNUZ}

func TestEveryTypeIsMadeMeasuredAndViewed(t *testing.T) {
	for _, d := range every {
		data := runtime.Make(d, 6)
		if got := runtime.DTypeOf(data); got != d {
			t.Errorf("DTypeOf(Make(%v)) = %v", d, got)
		}
		if got := runtime.Len(data); got != 6 {
			t.Errorf("%v: Len = %d, want 6", d, got)
		}
		if err := (runtime.Tensor{Name: "x", Shape: []int{2, 3}, Data: data}).Check(); err != nil {
			t.Error(err)
		}
		if err := (runtime.Tensor{Name: "x", Shape: []int{2, 2}, Data: data}).Check(); err == nil {
			t.Errorf("%v: a shape of 4 over 6 elements passed", d)
		}
		if d == runtime.String {
			continue
		}
		raw := runtime.Bytes(data)
		if len(raw) != 6*d.Size() {
			t.Errorf("%v: %d bytes, want %d", d, len(raw), 6*d.Size())
		}
		raw[0] = 1
		if back := runtime.View(d, raw); runtime.DTypeOf(back) != d || runtime.Bytes(back)[0] != 1 {
			t.Errorf("%v: View is not the same memory", d)
		}
		if d.Size() > 1 && runtime.View(d, raw[1:1+d.Size()]) != nil {
			t.Errorf("%v: a view of unaligned memory", d)
		}
	}
	if runtime.Make(runtime.Undefined, 1) != nil || runtime.Make(14, 1) != nil || runtime.DType(200).Known() {
		t.Error("an unknown type was made")
	}
}

func TestElementsRefusesWhatAnIntCannotCount(t *testing.T) {
	for _, shape := range [][]int{{-1}, {math.MaxInt, 2}, {1 << 32, 1 << 32}, {0, -2}, {math.MaxInt, math.MaxInt, math.MaxInt}} {
		if n, err := runtime.Elements(shape); err == nil {
			t.Errorf("Elements(%v) = %d", shape, n)
		}
	}
	for _, c := range []struct {
		shape []int
		want  int
	}{{nil, 1}, {[]int{0}, 0}, {[]int{2, 3}, 6}, {[]int{math.MaxInt, 1}, math.MaxInt}, {[]int{1, 0, 5}, 0}} {
		if n, err := runtime.Elements(c.shape); err != nil || n != c.want {
			t.Errorf("Elements(%v) = %d, %v; want %d", c.shape, n, err, c.want)
		}
	}
}
