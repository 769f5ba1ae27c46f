package codec

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// quickWindow is what quickFloat looks at: a sign, 7 digits, a point, 24 digits
// and what is read beyond.
const quickWindow = 40

// quickFloat reads the numbers that bodies are full of, [-]ddd[.ddd] with at
// most 7 digits before the point and 19 in all, eight digits at a time and with
// hardly a branch that data could mislead. It returns the nearest float64, or
// for a single one within 4 of its last places, and how long the number is; 0
// when s begins with anything else: scanNumber knows all the rest.
func quickFloat(s *[quickWindow]byte, single bool) (v float64, n int) {
	j := 0
	neg := s[0] == '-'
	if neg {
		j = 1
	}
	mant, whole := uint64(s[j]-'0'), uint(1)
	if s[j+1] != '.' || mant > 9 { // most have one digit before the point
		var word uint64
		word, whole = digitsOf(s[j : j+8])
		if whole-1 >= 7 || whole > 1 && s[j] == '0' {
			return 0, 0
		}
		mant = eight(word << (64 - 8*whole))
	}
	j += int(whole)
	exp := uint(0)
	if s[j] == '.' {
		word, k := digitsOf(s[j+1 : j+9])
		mant = mant*smallPowers[k] + eight(word<<(64-8*k))
		exp = k
		j += 1 + int(k)
		for k == 8 && exp < 24 {
			word, k = digitsOf(s[j : j+8])
			mant = mant*smallPowers[k] + eight(word<<(64-8*k))
			exp += k
			j += int(k)
		}
		if exp == 0 || exp+whole > 19 {
			return 0, 0
		}
	}
	if c := s[j]; c-'0' <= 9 || c|0x20 == 'e' || c == '.' {
		return 0, 0
	}
	if single && mant < 1<<63 {
		// Three roundings: of mant, of the power, of their product.
		return signed(float64(int64(mant))*inversePowers[exp], neg), j
	}
	if mant <= 1<<53 {
		return signed(float64(mant)/exactPowers[exp], neg), j
	}
	v, ok := multiply(mant, -int(exp))
	if !ok {
		return 0, 0
	}
	return signed(v, neg), j
}

// quickSingle is quickFloat, for a single one, for the form that most numbers
// have: one digit, a point, at most 23 more. Whatever follows the digits counts
// as zeros up to sixteen of them, so that nothing depends on how many there
// are. It returns how long the number is, 0 where it has another form.
func quickSingle(s *[quickWindow]byte) (v float64, n int) {
	j := 0
	neg := s[0] == '-'
	if neg {
		j = 1
	}
	first := uint64(s[j] - '0')
	if first > 9 || s[j+1] != '.' {
		return 0, 0
	}
	upper, k := digitsThenZeros(s[j+2 : j+10])
	if k == 0 {
		return 0, 0
	}
	j += 2 + k
	lower, k := digitsThenZeros(s[j : j+8])
	j += k
	v = float64(int64(first*1e16 + eight(upper)*1e8 + eight(lower)))
	if k == 8 {
		var last uint64
		if last, k = digitsThenZeros(s[j : j+8]); k == 8 {
			return 0, 0
		}
		j += k
		v += float64(int64(eight(last))) * 1e-8
	}
	if c := s[j]; c|0x20 == 'e' || c == '.' {
		return 0, 0
	}
	return signed(v*1e-16, neg), j
}

// digitsThenZeros returns the values of the first eight bytes of b as digitsOf
// does, but zero for those after the last digit.
func digitsThenZeros(b []byte) (values uint64, n int) {
	values = binary.LittleEndian.Uint64(b) ^ 0x3030303030303030
	other := (values + 0x7676767676767676 | values) & 0x8080808080808080
	return values & (other&-other>>7 - 1), bits.TrailingZeros64(other) >> 3
}

// digitsOf returns the values of the first eight bytes of b, the first in the
// lowest byte, and how many of them are digits before one that is not.
func digitsOf(b []byte) (values uint64, n uint) {
	// A digit's byte becomes its value; any other has its top bit set in
	// other, or follows one that has.
	values = binary.LittleEndian.Uint64(b) ^ 0x3030303030303030
	other := (values + 0x7676767676767676 | values) & 0x8080808080808080
	return values, uint(bits.TrailingZeros64(other) >> 3)
}

// inversePowers are the powers of ten below one, as near as a float64 comes.
var inversePowers = [19]float64{1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16, 1e-17, 1e-18}

// unsure32 reports whether v, which is within 4 of its last places of a
// number, could round to another float32 than that: it is next to halfway
// between two.
func unsure32(v float64) bool { return (math.Float64bits(v)-(1<<28-8))&(1<<29-1) <= 16 }
