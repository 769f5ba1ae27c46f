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
	if abs >= 1e-6 && abs <= 1<<53 {
		if abs == math.Trunc(abs) {
			return strconv.AppendInt(dst, int64(v), 10)
		}
		// Up to six decimals: fifteen digits or fewer name one float64.
		if scaled := math.Round(abs * 1e6); scaled < 1e15 && scaled/1e6 == abs {
			return appendDecimal(dst, math.Signbit(v), uint64(scaled), 6)
		}
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	return appendUnusual(dst, v, 64)
}

// appendFloat32 is appendFloat64 for the shortest text that reads back as a
// float32.
func appendFloat32(dst []byte, f float32) []byte {
	v := float64(f)
	abs := math.Abs(v)
	if abs >= float64(float32(1e-6)) && abs <= 1<<53 {
		if abs == math.Trunc(abs) && abs < 1<<24 {
			return strconv.AppendInt(dst, int64(v), 10)
		}
		// Up to four decimals: six digits or fewer name one float32.
		if scaled := math.Round(abs * 1e4); scaled < 1e6 && float32(scaled/1e4) == float32(abs) {
			return appendDecimal(dst, math.Signbit(v), uint64(scaled), 4)
		}
		return strconv.AppendFloat(dst, v, 'f', -1, 32)
	}
	return appendUnusual(dst, v, 32)
}

// appendUnusual appends zeros, what is tiny or huge, and what is not finite.
func appendUnusual(dst []byte, v float64, bitSize int) []byte {
	switch {
	case v == 0:
		if math.Signbit(v) {
			return append(dst, "-0.0"...)
		}
		return append(dst, '0')
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 0):
		if v < 0 {
			dst = append(dst, '-')
		}
		return append(dst, "Infinity"...)
	}
	dst = strconv.AppendFloat(dst, v, 'e', -1, bitSize)
	if n := len(dst); dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09 to e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// appendDecimal appends ±m / 10^decimals, which is not a whole number, without
// zeros at its end.
func appendDecimal(dst []byte, neg bool, m uint64, decimals int) []byte {
	for ; m%10 == 0; m /= 10 {
		decimals--
	}
	if neg {
		dst = append(dst, '-')
	}
	start := len(dst)
	dst = strconv.AppendUint(dst, m, 10)
	if point := len(dst) - start - decimals; point > 0 {
		dst = append(dst, 0)
		copy(dst[start+point+1:], dst[start+point:])
		dst[start+point] = '.'
	} else {
		n := 2 - point // "0." and zeros
		dst = append(dst, "0.000000"[:n]...)
		copy(dst[start+n:], dst[start:])
		copy(dst[start:], "0.000000"[:n])
	}
	return dst
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
