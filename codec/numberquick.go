package codec

import (
	"encoding/binary"
	"math/bits"
)

// quickWindow is what quickFloat looks at: a sign, 7 digits, a point, 24 digits
// and what is read beyond.
const quickWindow = 40

// quickFloat reads the numbers that bodies are full of, [-]ddd[.ddd] with at
// most 7 digits before the point and 19 in all, eight digits at a time and with
// hardly a branch that data could mislead. It returns the nearest float64 and
// where the number ends; i when b[i:] begins with anything else or is shorter
// than quickWindow: scanNumber knows all the rest.
func quickFloat(b []byte, i int) (v float64, end int) {
	if len(b)-i < quickWindow {
		return 0, i
	}
	s := b[i : i+quickWindow]
	j := 0
	neg := s[0] == '-'
	if neg {
		j = 1
	}
	word, whole := digitsOf(s[j:])
	if whole-1 >= 7 || whole > 1 && s[j] == '0' {
		return 0, i
	}
	mant := eight(word << (64 - 8*whole))
	j += int(whole)
	exp := uint(0)
	if s[j] == '.' {
		j++
		word, exp = digitsOf(s[j:])
		mant = mant*smallPowers[exp] + eight(word<<(64-8*exp))
		j += int(exp)
		for n := exp; n == 8 && exp < 24; exp += n {
			word, n = digitsOf(s[j:])
			mant = mant*smallPowers[n] + eight(word<<(64-8*n))
			j += int(n)
		}
		if exp == 0 || exp+whole > 19 {
			return 0, i
		}
	}
	if c := s[j]; c-'0' <= 9 || c|0x20 == 'e' || c == '.' {
		return 0, i
	}
	if mant <= 1<<53 {
		return signed(float64(mant)/exactPowers[exp], neg), i + j
	}
	v, ok := multiply(mant, -int(exp))
	if !ok {
		return 0, i
	}
	return signed(v, neg), i + j
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
