package codec_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func TestDataOfTheRightTypeIsNotCopied(t *testing.T) {
	x := []float32{1, 2}
	got, err := codec.Convert(runtime.Float32, x)
	if err != nil || &got.([]float32)[0] != &x[0] {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := codec.Convert(runtime.String, []string{"a"}); err != nil || got.([]string)[0] != "a" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestConvertNamesTheElementThatItRefuses(t *testing.T) {
	_, err := codec.Convert(runtime.Uint8, []int64{0, 255, 256, 257})
	if err == nil || !strings.Contains(err.Error(), "element 2: 256 is outside the range of uint8, 0 to 255") {
		t.Error(err)
	}
	for _, bad := range []any{nil, 5, []int{1}, []complex128{1}} {
		if got, err := codec.Convert(runtime.Float32, bad); err == nil {
			t.Errorf("%T became %v", bad, got)
		}
	}
	if _, err := codec.Convert(runtime.Undefined, []float32{1}); err == nil {
		t.Error("float32 became undefined")
	}
}

// value returns data[0] as a rational number, exactly; not ok when it is not
// finite.
func value(data any) (*big.Rat, bool) {
	switch s := data.(type) {
	case []int64:
		return new(big.Rat).SetInt64(s[0]), true
	case []uint64:
		return new(big.Rat).SetInt(new(big.Int).SetUint64(s[0])), true
	case []float64:
		r := new(big.Rat).SetFloat64(s[0])
		return r, r != nil
	case []bool:
		if s[0] {
			return big.NewRat(1, 1), true
		}
		return new(big.Rat), true
	}
	return nil, false
}

// widest returns data as int64, uint64 or float64, whichever holds it exactly.
func widest(t *testing.T, data any) any {
	d := runtime.DTypeOf(data)
	to := runtime.Float64
	switch {
	case d == runtime.Bool:
		return data
	case d == runtime.Uint64:
		to = runtime.Uint64
	case d.Integer():
		to = runtime.Int64
	}
	wide, err := codec.Convert(to, data)
	if err != nil {
		t.Fatalf("%v does not widen to %v: %v", data, to, err)
	}
	return wide
}

// From every number type to every other, over values at the edges of all: what
// is accepted is the value itself, or from or to a float the nearest.
func TestEveryConversionKeepsTheValue(t *testing.T) {
	var numbers []runtime.DType
	for d := runtime.DType(1); d < 32; d++ {
		if d.Float() || d.Integer() {
			numbers = append(numbers, d)
		}
	}
	edges := []float64{0, math.Copysign(0, -1), 1, -1, 2, 0.5, 1.5, -2.25, 127, 128, -128, -129, 255, 256, 32767, 32768, -32768, -32769, 65504, 65535, 65536, 70000,
		1<<24 + 1, 1<<31 - 1, 1 << 31, -1 << 31, -1<<31 - 1, 1<<32 - 1, 1 << 32, 1 << 53, 1<<53 + 2, 1 << 62, 1 << 63, -1 << 63, 1 << 64, 1e30, 3.4028235e38, 3.5e38, 1e300, 1e-10, 5e-324, 448, 464, 465, 57344, 61440}
	accepted, refused := 0, 0
	for _, from := range numbers {
		for _, edge := range edges {
			src, err := codec.Convert(from, []float64{edge})
			if err != nil {
				continue
			}
			before, _ := value(widest(t, src))
			for _, to := range append(numbers, runtime.Bool) {
				dst, err := codec.Convert(to, src)
				if err != nil {
					refused++
					if to == from {
						t.Fatalf("%v %v: %v", from, src, err)
					}
					continue
				}
				accepted++
				after, ok := value(widest(t, dst))
				switch {
				case !ok:
					t.Errorf("%v %v became %v %v", from, src, to, dst)
				case !to.Float() && after.Cmp(before) != 0:
					t.Errorf("%v %v became %v %v", from, src, to, dst)
				case to.Float() && from.Integer() && before.Num().BitLen() > 54:
					t.Errorf("%v %v became %v %v", from, src, to, dst)
				case to == runtime.Float64 && after.Cmp(before) != 0:
					t.Errorf("%v %v became %v %v", from, src, to, dst)
				case to == runtime.Float32:
					if f, _ := before.Float32(); f != dst.([]float32)[0] {
						t.Errorf("%v %v became %v %v, not %v", from, src, to, dst, f)
					}
				}
			}
		}
	}
	if accepted < 2000 || refused < 1000 {
		t.Errorf("%d accepted, %d refused", accepted, refused)
	}
}
