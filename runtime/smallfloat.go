package runtime

import "math"

// The small floating-point types hold their bits; Float32 gives the value,
// which float32 always represents exactly.
type (
	F16        uint16 // IEEE 754 binary16
	BF16       uint16 // the upper half of a float32
	F8E4M3FN   uint8  // no infinities, one NaN pattern for each sign
	F8E4M3FNUZ uint8  // no infinities, no negative zero: 0x80 is NaN
	F8E5M2     uint8  // IEEE-like, with infinities
	F8E5M2FNUZ uint8  // no infinities, no negative zero: 0x80 is NaN
)

// Float32 returns f's value.
func (f F16) Float32() float32 {
	sign, exp, frac := uint32(f>>15)<<31, int(f>>10&0x1f), uint32(f&0x3ff)
	switch {
	case exp == 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	case exp == 0:
		v := float32(frac) * 0x1p-24
		if sign != 0 {
			v = -v
		}
		return v
	}
	return math.Float32frombits(sign | uint32(exp-15+127)<<23 | frac<<13)
}

// Float32 returns f's value.
func (f BF16) Float32() float32 { return math.Float32frombits(uint32(f) << 16) }

// Float32 returns f's value.
func (f F8E4M3FN) Float32() float32 { return float8(uint8(f), e4m3fn) }

// Float32 returns f's value.
func (f F8E4M3FNUZ) Float32() float32 { return float8(uint8(f), e4m3fnuz) }

// Float32 returns f's value.
func (f F8E5M2) Float32() float32 { return float8(uint8(f), e5m2) }

// Float32 returns f's value.
func (f F8E5M2FNUZ) Float32() float32 { return float8(uint8(f), e5m2fnuz) }

// ToF16 rounds to the nearest F16, ties to even; what is too large becomes an
// infinity. It takes a float64 so that text is rounded once.
func ToF16(v float64) F16 {
	bits, inf := round(v, binary16)
	if inf {
		bits |= 0x7c00
	}
	if math.IsNaN(v) {
		return 0x7e00
	}
	return F16(bits)
}

// ToBF16 rounds like [ToF16].
func ToBF16(v float64) BF16 {
	bits, inf := round(v, bfloat16)
	if inf {
		bits |= 0x7f80
	}
	if math.IsNaN(v) {
		return 0x7fc0
	}
	return BF16(bits)
}

// ToF8E4M3FN rounds like [ToF16], but what is too large becomes NaN: the type
// has no infinity.
func ToF8E4M3FN(v float64) F8E4M3FN {
	bits, over := round(v, e4m3fn)
	if over || math.IsNaN(v) {
		return F8E4M3FN(bits&0x80 | 0x7f)
	}
	return F8E4M3FN(bits)
}

// ToF8E4M3FNUZ rounds like [ToF8E4M3FN].
func ToF8E4M3FNUZ(v float64) F8E4M3FNUZ { return F8E4M3FNUZ(roundFNUZ(v, e4m3fnuz)) }

// ToF8E5M2 rounds like [ToF16].
func ToF8E5M2(v float64) F8E5M2 {
	bits, inf := round(v, e5m2)
	if inf {
		bits |= 0x7c
	}
	if math.IsNaN(v) {
		return 0x7e
	}
	return F8E5M2(bits)
}

// ToF8E5M2FNUZ rounds like [ToF8E4M3FN].
func ToF8E5M2FNUZ(v float64) F8E5M2FNUZ { return F8E5M2FNUZ(roundFNUZ(v, e5m2fnuz)) }

// A layout is a sign bit, an exponent and a fraction. max is the largest
// finite pattern without its sign.
type layout struct {
	fracBits, bias int
	max, sign      uint32
	fnuz, ieee     bool
}

var (
	binary16 = layout{fracBits: 10, bias: 15, max: 0x7bff, sign: 0x8000, ieee: true}
	bfloat16 = layout{fracBits: 7, bias: 127, max: 0x7f7f, sign: 0x8000, ieee: true}
	e4m3fn   = layout{fracBits: 3, bias: 7, max: 0x7e, sign: 0x80}
	e4m3fnuz = layout{fracBits: 3, bias: 8, max: 0x7f, sign: 0x80, fnuz: true}
	e5m2     = layout{fracBits: 2, bias: 15, max: 0x7b, sign: 0x80, ieee: true}
	e5m2fnuz = layout{fracBits: 2, bias: 16, max: 0x7f, sign: 0x80, fnuz: true}
)

// round returns v's nearest pattern in l, ties to even, and whether it lies
// beyond the largest finite one; then only the sign bit is set.
func round(v float64, l layout) (bits uint32, over bool) {
	var sign uint32
	if math.Signbit(v) {
		sign = l.sign
		v = -v
	}
	if math.IsNaN(v) {
		return sign, false
	}
	if math.IsInf(v, 0) {
		return sign, true
	}
	// The spacing of l's values around v: subnormals share the smallest one.
	_, exp := math.Frexp(v) // v = f * 2^exp, 0.5 <= f < 1
	ulp := max(exp-1, 1-l.bias) - l.fracBits
	n := uint64(math.RoundToEven(math.Ldexp(v, -ulp))) // exact scaling: v is normal or tiny
	if n == 0 {
		return sign, false
	}
	// n counts spacings; rounding up to a power of two carries by itself.
	biased := ulp + l.fracBits + l.bias - 1
	pattern := uint64(biased)<<l.fracBits + n
	if pattern > uint64(l.max) {
		return sign, true
	}
	return sign | uint32(pattern), false
}

func roundFNUZ(v float64, l layout) uint8 {
	bits, over := round(v, l)
	switch {
	case over || math.IsNaN(v):
		return 0x80
	case bits == 0x80: // no negative zero
		return 0
	}
	return uint8(bits)
}

func float8(b uint8, l layout) float32 {
	neg, mag := b&0x80 != 0, uint32(b&0x7f)
	switch {
	case l.fnuz && b == 0x80, !l.fnuz && !l.ieee && mag > l.max:
		return float32(math.NaN())
	case l.ieee && mag > l.max:
		if mag == l.max+1 {
			return float32(math.Inf(1 - 2*int(b>>7)))
		}
		return float32(math.NaN())
	}
	exp, frac := int(mag>>l.fracBits), int(mag&(1<<l.fracBits-1))
	if exp == 0 {
		exp = 1
	} else {
		frac |= 1 << l.fracBits
	}
	v := float32(math.Ldexp(float64(frac), exp-l.bias-l.fracBits))
	if neg {
		v = -v
	}
	return v
}
