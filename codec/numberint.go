package codec

import (
	"math/bits"
	"unsafe"
)

// magnitude returns |n| when that is a whole number that a uint64 holds.
func magnitude(n number, text []byte) (uint64, refusal) {
	switch {
	case n.more:
		return longMagnitude(n, text)
	case n.exp == 0 || n.mant == 0:
		return n.mant, accepted
	case n.exp < 0:
		m := n.mant
		for e := n.exp; e < 0; e++ { // ends early: mant has at most 19 zeros
			if m%10 != 0 {
				return 0, notWhole
			}
			m /= 10
		}
		return m, accepted
	}
	m := n.mant
	for e := n.exp; e > 0; e-- {
		hi, lo := bits.Mul64(m, 10)
		if hi != 0 {
			return 0, outOfRange
		}
		m = lo
	}
	return m, accepted
}

// longMagnitude is magnitude for a number of more than 19 significant digits:
// a whole one that fits has exactly 20.
func longMagnitude(n number, text []byte) (uint64, refusal) {
	// The digits after mant's; those in front of the point number n.exp,
	// counted from mant's last.
	if n.exp <= 0 {
		return 0, notWhole
	}
	if n.exp > 1 {
		return 0, outOfRange // 21 digits or more, a fraction or not
	}
	var digit byte
	kept, zero := 0, true
	for _, c := range text {
		if c == 'e' || c == 'E' {
			break
		}
		if c-'0' > 9 || zero && c == '0' {
			continue
		}
		zero = false
		switch kept++; {
		case kept == 20:
			digit = c - '0'
		case kept > 20 && c != '0':
			return 0, notWhole
		}
	}
	hi, lo := bits.Mul64(n.mant, 10)
	lo, carry := bits.Add64(lo, uint64(digit), 0)
	if hi+carry != 0 {
		return 0, outOfRange
	}
	return lo, accepted
}

// toSigned returns n as a T, exactly or not at all.
func toSigned[T int8 | int16 | int32 | int64](n number, text []byte) (T, refusal) {
	m, why := magnitude(n, text)
	if why != accepted {
		return 0, why
	}
	return signedOf[T](n.neg, m)
}

// signedOf returns ±m as a T.
func signedOf[T int8 | int16 | int32 | int64](neg bool, m uint64) (T, refusal) {
	var zero T
	largest := uint64(1)<<(8*unsafe.Sizeof(zero)-1) - 1
	if neg {
		if m > largest+1 {
			return 0, outOfRange
		}
		return T(-m), accepted
	}
	if m > largest {
		return 0, outOfRange
	}
	return T(m), accepted
}

// toUnsigned returns n as a T, exactly or not at all.
func toUnsigned[T uint8 | uint16 | uint32 | uint64](n number, text []byte) (T, refusal) {
	m, why := magnitude(n, text)
	if why != accepted {
		return 0, why
	}
	return unsignedOf[T](n.neg, m)
}

// unsignedOf returns ±m as a T.
func unsignedOf[T uint8 | uint16 | uint32 | uint64](neg bool, m uint64) (T, refusal) {
	if neg && m != 0 || m > uint64(^T(0)) {
		return 0, outOfRange
	}
	return T(m), accepted
}

// toBool returns n as a bool: 0 or 1.
func toBool(n number, text []byte) (bool, refusal) {
	m, why := magnitude(n, text)
	if why != accepted || m > 1 || n.neg && m == 1 {
		return false, notBool
	}
	return m == 1, accepted
}
