package codec

import (
	"fmt"
	"math"

	"github.com/claryhq/clary/runtime"
)

// Convert returns data, a tensor's Data, as elements of type dst by the rules
// of docs/types.md. Every value is kept exactly, but that a float is rounded to
// the nearest of a narrower float type; what cannot be kept is an error that
// names the value and its index. Data of that type already is returned as it
// is, not copied.
func Convert(dst runtime.DType, data any) (any, error) {
	src := runtime.DTypeOf(data)
	if src == dst && src.Known() {
		return data, nil
	}
	switch {
	case !src.Known() || !dst.Known():
		return nil, fmt.Errorf("no conversion from %v to %v", src, dst)
	case src == runtime.Bool, src == runtime.String, dst == runtime.String:
		return nil, fmt.Errorf("%v where %v is wanted", src, dst)
	}
	out := runtime.Make(dst, runtime.Len(data))
	var at int
	var why refusal
	switch out := out.(type) {
	case []float32:
		at, why = from(out, data, wholeToFloat32, floatTo32)
	case []float64:
		at, why = from(out, data, wholeToFloat64, keep)
	case []int64:
		at, why = from(out, data, signedOf[int64], floatToSigned[int64])
	case []int32:
		at, why = from(out, data, signedOf[int32], floatToSigned[int32])
	case []int16:
		at, why = from(out, data, signedOf[int16], floatToSigned[int16])
	case []int8:
		at, why = from(out, data, signedOf[int8], floatToSigned[int8])
	case []uint64:
		at, why = from(out, data, unsignedOf[uint64], floatToUnsigned[uint64])
	case []uint32:
		at, why = from(out, data, unsignedOf[uint32], floatToUnsigned[uint32])
	case []uint16:
		at, why = from(out, data, unsignedOf[uint16], floatToUnsigned[uint16])
	case []uint8:
		at, why = from(out, data, unsignedOf[uint8], floatToUnsigned[uint8])
	case []bool:
		at, why = from(out, data, wholeToBool, floatToBool)
	case []runtime.F16:
		at, why = fromSmall(out, data, runtime.ToF16)
	case []runtime.BF16:
		at, why = fromSmall(out, data, runtime.ToBF16)
	case []runtime.F8E4M3FN:
		at, why = fromSmall(out, data, runtime.ToF8E4M3FN)
	case []runtime.F8E4M3FNUZ:
		at, why = fromSmall(out, data, runtime.ToF8E4M3FNUZ)
	case []runtime.F8E5M2:
		at, why = fromSmall(out, data, runtime.ToF8E5M2)
	case []runtime.F8E5M2FNUZ:
		at, why = fromSmall(out, data, runtime.ToF8E5M2FNUZ)
	}
	if why != accepted {
		value := string(appendNumbers(nil, data, at, at+1))
		return nil, fmt.Errorf("element %d: %s", at, why.explain(dst, value))
	}
	return out, nil
}

// from fills dst from a slice of any number type: whole takes a sign and a
// magnitude, float the value of any float type. It returns the index of the
// first element that is refused.
func from[T any](dst []T, data any, whole func(neg bool, m uint64) (T, refusal), float func(float64) (T, refusal)) (int, refusal) {
	switch src := data.(type) {
	case []float64:
		return each(dst, src, float)
	case []float32:
		return each(dst, src, func(v float32) (T, refusal) { return float(float64(v)) })
	case []runtime.F16:
		return eachSmall(dst, src, float)
	case []runtime.BF16:
		return eachSmall(dst, src, float)
	case []runtime.F8E4M3FN:
		return eachSmall(dst, src, float)
	case []runtime.F8E4M3FNUZ:
		return eachSmall(dst, src, float)
	case []runtime.F8E5M2:
		return eachSmall(dst, src, float)
	case []runtime.F8E5M2FNUZ:
		return eachSmall(dst, src, float)
	case []int64:
		return eachSigned(dst, src, whole)
	case []int32:
		return eachSigned(dst, src, whole)
	case []int16:
		return eachSigned(dst, src, whole)
	case []int8:
		return eachSigned(dst, src, whole)
	case []uint64:
		return eachUnsigned(dst, src, whole)
	case []uint32:
		return eachUnsigned(dst, src, whole)
	case []uint16:
		return eachUnsigned(dst, src, whole)
	case []uint8:
		return eachUnsigned(dst, src, whole)
	}
	return 0, wantsNumber
}

// fromSmall is from for one of the small float types.
func fromSmall[T smallFloat](dst []T, data any, round func(float64) T) (int, refusal) {
	return from(dst, data, func(neg bool, m uint64) (T, refusal) {
		v, why := wholeToFloat64(neg, m)
		if why != accepted {
			return 0, why
		}
		return narrow(v, round)
	}, func(v float64) (T, refusal) {
		f := round(v)
		if v == v && math.IsInf(float64(f.Float32()), 0) != math.IsInf(v, 0) || v == v && f.Float32() != f.Float32() {
			return 0, outOfRange
		}
		return f, accepted
	})
}

func each[T, S any](dst []T, src []S, convert func(S) (T, refusal)) (int, refusal) {
	for i, s := range src {
		v, why := convert(s)
		if why != accepted {
			return i, why
		}
		dst[i] = v
	}
	return 0, accepted
}

func eachSmall[T any, S smallFloat](dst []T, src []S, float func(float64) (T, refusal)) (int, refusal) {
	return each(dst, src, func(s S) (T, refusal) { return float(float64(s.Float32())) })
}

func eachSigned[T any, S int8 | int16 | int32 | int64](dst []T, src []S, whole func(bool, uint64) (T, refusal)) (int, refusal) {
	return each(dst, src, func(s S) (T, refusal) {
		if s < 0 {
			return whole(true, -uint64(s))
		}
		return whole(false, uint64(s))
	})
}

func eachUnsigned[T any, S uint8 | uint16 | uint32 | uint64](dst []T, src []S, whole func(bool, uint64) (T, refusal)) (int, refusal) {
	return each(dst, src, func(s S) (T, refusal) { return whole(false, uint64(s)) })
}

func keep(v float64) (float64, refusal) { return v, accepted }

func wholeToFloat64(neg bool, m uint64) (float64, refusal) {
	if m > 1<<53 {
		return 0, identifier
	}
	return signed(float64(m), neg), accepted
}

func wholeToFloat32(neg bool, m uint64) (float32, refusal) {
	v, why := wholeToFloat64(neg, m)
	return float32(v), why
}

func floatTo32(v float64) (float32, refusal) {
	f := float32(v)
	if math.IsInf(float64(f), 0) && !math.IsInf(v, 0) {
		return 0, outOfRange
	}
	return f, accepted
}

// wholeOf returns the sign and magnitude of a float that is a whole number.
func wholeOf(v float64) (neg bool, m uint64, why refusal) {
	switch abs := math.Abs(v); {
	case abs-abs != 0:
		return false, 0, notFinite
	case abs != math.Trunc(abs):
		return false, 0, notWhole
	case abs >= 1<<64:
		return false, 0, outOfRange
	default:
		return v < 0, uint64(abs), accepted
	}
}

func floatToSigned[T int8 | int16 | int32 | int64](v float64) (T, refusal) {
	neg, m, why := wholeOf(v)
	if why != accepted {
		return 0, why
	}
	return signedOf[T](neg, m)
}

func floatToUnsigned[T uint8 | uint16 | uint32 | uint64](v float64) (T, refusal) {
	neg, m, why := wholeOf(v)
	if why != accepted {
		return 0, why
	}
	return unsignedOf[T](neg, m)
}

func wholeToBool(neg bool, m uint64) (bool, refusal) {
	if m > 1 || neg && m == 1 {
		return false, notBool
	}
	return m == 1, accepted
}

func floatToBool(v float64) (bool, refusal) {
	neg, m, why := wholeOf(v)
	if why != accepted {
		return false, notBool
	}
	return wholeToBool(neg, m)
}
