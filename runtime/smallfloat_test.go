package runtime_test

import (
	"math"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// Every pattern of every small float comes back from its own value.
func TestSmallFloatsRoundTripEveryPattern(t *testing.T) {
	types := []struct {
		name    string
		n       int
		value   func(i int) float32
		pattern func(v float64) int
	}{
		{"float16", 1 << 16, func(i int) float32 { return runtime.F16(i).Float32() }, func(v float64) int { return int(runtime.ToF16(v)) }},
		{"bfloat16", 1 << 16, func(i int) float32 { return runtime.BF16(i).Float32() }, func(v float64) int { return int(runtime.ToBF16(v)) }},
		{"float8e4m3fn", 256, func(i int) float32 { return runtime.F8E4M3FN(i).Float32() }, func(v float64) int { return int(runtime.ToF8E4M3FN(v)) }},
		{"float8e4m3fnuz", 256, func(i int) float32 { return runtime.F8E4M3FNUZ(i).Float32() }, func(v float64) int { return int(runtime.ToF8E4M3FNUZ(v)) }},
		{"float8e5m2", 256, func(i int) float32 { return runtime.F8E5M2(i).Float32() }, func(v float64) int { return int(runtime.ToF8E5M2(v)) }},
		{"float8e5m2fnuz", 256, func(i int) float32 { return runtime.F8E5M2FNUZ(i).Float32() }, func(v float64) int { return int(runtime.ToF8E5M2FNUZ(v)) }},
	}
	for _, c := range types {
		for i := range c.n {
			v := c.value(i)
			if v != v {
				if w := c.value(c.pattern(float64(v))); w == w {
					t.Fatalf("%s %#x: NaN became %v", c.name, i, w)
				}
				continue
			}
			if got := c.pattern(float64(v)); got != i {
				t.Fatalf("%s %#x is %v, which rounds to %#x", c.name, i, v, got)
			}
		}
	}
}

func TestSmallFloatsRoundToNearestEven(t *testing.T) {
	cases := []struct {
		in   float64
		want runtime.F16
	}{
		{1 + 0x1p-11, 0x3c00}, {1 + 0x1.8p-10, 0x3c02}, {1 + 0x1.0000001p-11, 0x3c01},
		{65504, 0x7bff}, {65519.99, 0x7bff}, {65520, 0x7c00}, {-1e300, 0xfc00},
		{0x1p-25, 0}, {0x1.0001p-25, 1}, {0x1p-24, 1}, {math.Copysign(0, -1), 0x8000}, {5e-324, 0},
		{math.Inf(1), 0x7c00},
	}
	for _, c := range cases {
		if got := runtime.ToF16(c.in); got != c.want {
			t.Errorf("ToF16(%v) = %#x, want %#x", c.in, got, c.want)
		}
	}
	if got := runtime.ToF8E4M3FN(464); got != 0x7e {
		t.Errorf("ToF8E4M3FN(464) = %#x, want 448's 0x7e (a tie goes to even)", got)
	}
	if got := runtime.ToF8E4M3FN(465).Float32(); got == got {
		t.Errorf("ToF8E4M3FN(465) = %v, want NaN", got)
	}
}
