package codec

import (
	"math"
	"strconv"

	"github.com/claryhq/clary/runtime"
)

// appendFloat64 appends the shortest text that reads back as v, in the form of
// encoding/json but for two things: what is beyond 2^53 has an exponent, since
// without one it would read as an integer that a float cannot be trusted
// with, and negative zero is -0.0, since Python reads -0 as an integer and
// loses its sign. NaN and the infinities are written bare.
func appendFloat64(dst []byte, v float64) []byte {
	abs := math.Abs(v)
	if whole := int64(abs); abs <= 1<<53 && abs != 0 && float64(whole) == abs {
		return strconv.AppendInt(dst, int64(v), 10)
	}
	if !(abs > 0 && abs <= math.MaxFloat64) {
		return appendSpecial(dst, v)
	}
	d, ok := shortest64(abs)
	if !ok {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	dst, room := roomIn(dst)
	if abs >= 1e-6 && abs <= 1<<53 {
		return dst[:len(dst)+d.write17(room, v < 0)]
	}
	return dst[:len(dst)+d.writeExponent(room, v < 0)]
}

// appendFloat32 is appendFloat64 for the shortest text that reads back as a
// float32.
func appendFloat32(dst []byte, f float32) []byte {
	abs := math.Float32frombits(math.Float32bits(f) &^ (1 << 31))
	if abs >= 1e-6 && abs <= 1<<53 {
		if whole := int64(abs); float32(whole) == abs && whole < 1<<24 {
			return strconv.AppendInt(dst, int64(f), 10)
		}
		d := shortest32(abs)
		dst, room := roomIn(dst)
		return dst[:len(dst)+d.write9(room, f < 0)]
	}
	if abs > 0 && abs <= math.MaxFloat32 {
		d := shortest32(abs)
		dst, room := roomIn(dst)
		return dst[:len(dst)+d.writeExponent(room, f < 0)]
	}
	return appendSpecial(dst, float64(f))
}

// appendSpecial appends a zero or what is not finite.
func appendSpecial(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.Signbit(v):
		dst = append(dst, '-')
	}
	switch {
	case v != 0:
		return append(dst, "Infinity"...)
	case math.Signbit(v):
		return append(dst, "0.0"...)
	}
	return append(dst, '0')
}

// appendNumbers appends data[from:to], numbers or bools of any type, separated
// by commas. NaN and the infinities are written bare.
func appendNumbers(dst []byte, data any, from, to int) []byte {
	switch s := data.(type) {
	case []float32:
		return appendEach(dst, s[from:to], appendFloat32)
	case []float64:
		return appendEach(dst, s[from:to], appendFloat64)
	case []int64:
		return appendEach(dst, s[from:to], appendSigned)
	case []int32:
		return appendEach(dst, s[from:to], appendSigned)
	case []int16:
		return appendEach(dst, s[from:to], appendSigned)
	case []int8:
		return appendEach(dst, s[from:to], appendSigned)
	case []uint64:
		return appendEach(dst, s[from:to], appendUnsigned)
	case []uint32:
		return appendEach(dst, s[from:to], appendUnsigned)
	case []uint16:
		return appendEach(dst, s[from:to], appendUnsigned)
	case []uint8:
		return appendEach(dst, s[from:to], appendUnsigned)
	case []bool:
		return appendEach(dst, s[from:to], strconv.AppendBool)
	case []runtime.F16:
		return appendEach(dst, s[from:to], appendSmallFloat)
	case []runtime.BF16:
		return appendEach(dst, s[from:to], appendSmallFloat)
	case []runtime.F8E4M3FN:
		return appendEach(dst, s[from:to], appendSmallFloat)
	case []runtime.F8E4M3FNUZ:
		return appendEach(dst, s[from:to], appendSmallFloat)
	case []runtime.F8E5M2:
		return appendEach(dst, s[from:to], appendSmallFloat)
	case []runtime.F8E5M2FNUZ:
		return appendEach(dst, s[from:to], appendSmallFloat)
	}
	return dst
}

func appendEach[T any](dst []byte, s []T, one func([]byte, T) []byte) []byte {
	for i, v := range s {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = one(dst, v)
	}
	return dst
}

func appendSigned[T int8 | int16 | int32 | int64](dst []byte, v T) []byte {
	return strconv.AppendInt(dst, int64(v), 10)
}

func appendUnsigned[T uint8 | uint16 | uint32 | uint64](dst []byte, v T) []byte {
	return strconv.AppendUint(dst, uint64(v), 10)
}

func appendSmallFloat[T smallFloat](dst []byte, v T) []byte {
	return appendFloat32(dst, v.Float32())
}
