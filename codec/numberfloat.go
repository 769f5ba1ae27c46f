package codec

import (
	"math"
	"math/bits"
	"strconv"
	"unsafe"

	"github.com/claryhq/clary/runtime"
)

// toFloat64 returns the nearest float64, ties to even. text is what n was
// scanned from.
func toFloat64(n number, text []byte) (float64, refusal) {
	if n.whole && (n.mant > 1<<53 || n.exp > 0) {
		return 0, identifier
	}
	v := nearest(n, text)
	if math.IsInf(v, 0) {
		return 0, outOfRange
	}
	return v, accepted
}

// toFloat32 returns the nearest float32, rounded once.
func toFloat32(n number, text []byte) (float32, refusal) {
	v, why := toFloat64(n, text)
	if why != accepted {
		return 0, why
	}
	if halfway32(v) || math.Abs(v) < 0x1p-126 {
		v = nudge(v, n, text)
	}
	f := float32(v)
	if math.IsInf(float64(f), 0) {
		return 0, outOfRange
	}
	return f, accepted
}

// halfway32 reports whether v, no smaller than float32's normal numbers, lies
// exactly between two float32: only there does rounding to float64 first
// change the result.
func halfway32(v float64) bool { return math.Float64bits(v)&(1<<29-1) == 1<<28 }

// A smallFloat is one of the types that runtime converts through float64.
type smallFloat interface {
	runtime.F16 | runtime.BF16 | runtime.F8E4M3FN | runtime.F8E4M3FNUZ | runtime.F8E5M2 | runtime.F8E5M2FNUZ
	Float32() float32
}

// toSmallFloat returns toFloat32's like for one of the smaller types.
func toSmallFloat[T smallFloat](round func(float64) T) func(number, []byte) (T, refusal) {
	return func(n number, text []byte) (T, refusal) {
		v, why := toFloat64(n, text)
		if why != accepted {
			return 0, why
		}
		if math.Float64bits(v)&(1<<28-1) == 0 { // few enough bits to lie between two of T
			v = nudge(v, n, text)
		}
		return narrow(v, round)
	}
}

// narrow rounds a finite v to T and refuses what becomes an infinity or NaN.
func narrow[T smallFloat](v float64, round func(float64) T) (T, refusal) {
	f := round(v)
	if w := f.Float32(); w-w != 0 {
		return 0, outOfRange
	}
	return f, accepted
}

// exactPowers are the powers of ten that a float64 holds exactly.
var exactPowers = [23]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// nearest returns n's nearest float64, an infinity beyond the largest.
func nearest(n number, text []byte) float64 {
	// One operation on two exact operands rounds once (Clinger 1990).
	if n.mant <= 1<<53 && n.exp >= -22 && n.exp <= 22 && !n.more {
		v := float64(n.mant)
		if n.exp < 0 {
			v /= exactPowers[-n.exp]
		} else {
			v *= exactPowers[n.exp]
		}
		return signed(v, n.neg)
	}
	if v, ok := multiply(n.mant, n.exp); ok {
		if !n.more {
			return signed(v, n.neg)
		}
		// The value lies between mant and mant+1.
		if w, ok := multiply(n.mant+1, n.exp); ok && v == w {
			return signed(v, n.neg)
		}
	}
	if len(text) > enoughDigits {
		text = n.shorten(text)
	}
	v, _ := strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), 64) // a range error comes with its infinity
	return v
}

// enoughDigits are more than any number halfway between two float64 has (768):
// of those that follow only matters whether they are zeros.
const enoughDigits = 780

// shorten returns the text of a number that rounds like n, which was scanned
// from text, in a form in which strconv can be trusted: of more than 800 digits
// in front of a point it loses the exponent.
func (n *number) shorten(text []byte) []byte {
	short := make([]byte, 0, enoughDigits+32)
	if n.neg {
		short = append(short, '-')
	}
	short = append(short, "0."...)
	kept := 0
	for _, c := range text {
		if c|0x20 == 'e' {
			break
		}
		if c-'0' > 9 || kept == 0 && c == '0' {
			continue
		}
		if kept < enoughDigits {
			short = append(short, c)
			kept++
		} else if c != '0' {
			short = append(short, '1')
			break
		}
	}
	exp := n.exp
	for m := n.mant; m > 0; m /= 10 {
		exp++
	}
	return strconv.AppendInt(append(short, 'e'), int64(exp), 10)
}

// signed returns v, which is not negative, or -v.
func signed(v float64, neg bool) float64 {
	var sign uint64
	if neg {
		sign = 1 << 63
	}
	return math.Float64frombits(math.Float64bits(v) | sign)
}

// multiply returns the float64 nearest to mant * 10^exp from the upper bits of
// their product, after Eisel and Lemire ("Number Parsing at a Gigabyte per
// Second", 2021); not ok when those bits do not decide it, or exp is outside
// the table. Within it no result is subnormal or too large.
func multiply(mant uint64, exp int) (v float64, ok bool) {
	if mant == 0 || exp < minPower || exp > maxPower {
		return 0, mant == 0
	}
	power := &powersOfTen[exp-minPower]
	shift := bits.LeadingZeros64(mant)
	mant <<= shift
	hi, lo := bits.Mul64(mant, power[0])
	if hi&0x1ff == 0x1ff { // a carry from below would reach the bits that count
		mid, low := bits.Mul64(mant, power[1])
		var carry uint64
		lo, carry = bits.Add64(lo, mid, 0)
		hi += carry
		if hi&0x1ff == 0x1ff && lo == math.MaxUint64 && low+mant < mant {
			return 0, false
		}
	}
	top := hi >> 63
	m := hi >> (9 + top) // 53 bits and one to round by
	if m&3 == 1 && hi&0x1ff == 0 && lo == 0 {
		return 0, false // perhaps a tie
	}
	m = (m + m&1) >> 1
	e := uint64(exp*217706>>16+1086-shift) + top // floor(exp * log2(10)) and the bias
	if m == 1<<53 {
		m >>= 1
		e++
	}
	return math.Float64frombits(e<<52 | m&(1<<52-1)), true
}

// nudge moves v, n's nearest float64, to its neighbour towards n's value when
// it is not exactly that, so that a narrower type is rounded as if from the
// text. v is finite.
func nudge(v float64, n number, text []byte) float64 {
	if n.mant == 0 {
		return v
	}
	if n.mant <= 1<<53 && n.exp >= -22 && n.exp <= 0 && !n.more {
		// The remainder of an exact division is zero.
		if math.FMA(math.Abs(v), exactPowers[-n.exp], -float64(n.mant)) == 0 {
			return v
		}
	}
	if v == 0 { // not exactly: n is not zero
		return math.Copysign(math.SmallestNonzeroFloat64, v)
	}
	var buf [800]byte
	exact := strconv.AppendFloat(buf[:0], math.Abs(v), 'e', 766, 64) // every digit that a float64 can have
	e, _ := scanExponent(exact, 769)
	switch compareDigits(text, n, exact[:768], e) {
	case 1:
		return math.Nextafter(v, math.Copysign(math.Inf(1), v))
	case -1:
		return math.Nextafter(v, 0)
	}
	return v
}

// compareDigits compares the magnitude of the number n, scanned from text, with
// d.ddd * 10^e, whose first digit is not 0: -1, 0 or 1.
func compareDigits(text []byte, n number, exact []byte, e int) int {
	// n's first digit stands for 10^(digits of mant - 1 + exp).
	first := n.exp - 1
	for m := n.mant; m > 0; m /= 10 {
		first++
	}
	if first != e {
		if first > e {
			return 1
		}
		return -1
	}
	next := func(s []byte) (byte, []byte) { // the next digit, '0' for ever at the end
		if len(s) > 0 && s[0] == '.' {
			s = s[1:]
		}
		if len(s) == 0 || s[0]-'0' > 9 {
			return '0', nil
		}
		return s[0], s[1:]
	}
	for len(text) > 0 && (text[0] < '1' || text[0] > '9') {
		text = text[1:]
	}
	for len(text) > 0 || len(exact) > 0 {
		var a, b byte
		a, text = next(text)
		b, exact = next(exact)
		if a != b {
			if a > b {
				return 1
			}
			return -1
		}
	}
	return 0
}

// largestOf returns the largest finite value of a float type no wider than
// float32.
func largestOf(d runtime.DType) float32 {
	switch d {
	case runtime.Float16:
		return runtime.F16(0x7bff).Float32()
	case runtime.BFloat16:
		return runtime.BF16(0x7f7f).Float32()
	case runtime.Float8E4M3FN:
		return runtime.F8E4M3FN(0x7e).Float32()
	case runtime.Float8E4M3FNUZ:
		return runtime.F8E4M3FNUZ(0x7f).Float32()
	case runtime.Float8E5M2:
		return runtime.F8E5M2(0x7b).Float32()
	case runtime.Float8E5M2FNUZ:
		return runtime.F8E5M2FNUZ(0x7f).Float32()
	}
	return math.MaxFloat32
}

// nonFinite reads the three values that a number literal cannot express:
// NaN, Infinity and -Infinity.
func nonFinite(text []byte) (v float64, ok bool) {
	switch string(text) {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	return 0, false
}
