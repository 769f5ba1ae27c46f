package codec

import (
	"fmt"
	"strconv"

	"github.com/claryhq/clary/runtime"
)

// A number is a decimal literal as it was scanned: mant * 10^exp, exactly
// unless more is set.
type number struct {
	mant  uint64 // its first 19 significant digits
	exp   int
	neg   bool
	more  bool // digits other than zero follow mant's
	whole bool // written with neither a point nor an exponent
}

// A grammar says how numbers may be written, and what stands between them.
type grammar byte

// The grammars are strict, and for each byte that separates numbers a loose one.
const (
	strict grammar = 0   // as JSON does (RFC 8259, section 6), with commas between
	loose  grammar = ',' // also +1, 007, .5 and 5., as people and programs write CSV
)

// comma is the byte between two numbers.
func (g grammar) comma() byte {
	if g == strict {
		return ','
	}
	return byte(g)
}

// maxExponent bounds a written exponent: it is far beyond what the digits of a
// body that fits in memory can make up for.
const maxExponent = 1 << 40

// scanNumber reads the number that begins at b[i] and returns where it ends; i
// when there is none. It does not look at what follows.
func scanNumber(b []byte, i int, g grammar) (n number, end int) {
	start := i
	if i >= len(b) {
		return n, start
	}
	var sign int // without a branch: signs are hard to predict
	if n.neg = b[i] == '-'; n.neg || g != strict && b[i] == '+' {
		sign = 1
	}
	i += sign
	first := i
	var mant uint64 // more than 19 digits wrap: see below
	if i+1 < len(b) && b[i+1] == '.' && b[i]-'0' <= 9 {
		mant = uint64(b[i] - '0')
		i++
	} else {
		mant, i = scanDigits(b, i, 0)
	}
	digits := i - first
	if g == strict && (digits == 0 || digits > 1 && b[first] == '0') {
		return n, start
	}
	n.whole = true
	if i < len(b) && b[i] == '.' {
		n.whole = false
		i++
		point := i
		mant, i = scanDigits(b, i, mant)
		n.exp = point - i
		digits += i - point
		if i == point && g == strict {
			return n, start
		}
	}
	if digits == 0 {
		return n, start
	}
	last := i
	if i < len(b) && b[i]|0x20 == 'e' {
		n.whole = false
		e, after := scanExponent(b, i+1)
		if after < 0 {
			return n, start
		}
		n.exp += e
		i = after
	}
	n.mant = mant
	if digits > 19 {
		n = long(n, b[first:last])
	}
	return n, i
}

// scanDigits appends the digits at b[i:] to mant, eight at a time, and returns
// where they end.
func scanDigits(b []byte, i int, mant uint64) (uint64, int) {
	for len(b)-i >= 8 {
		v, k := digitsOf(b[i:])
		mant = mant*smallPowers[k] + eight(v<<(64-8*k)) // zeros before the digits
		i += int(k)
		if k < 8 {
			return mant, i
		}
	}
	for i < len(b) && b[i]-'0' <= 9 {
		mant = mant*10 + uint64(b[i]-'0')
		i++
	}
	return mant, i
}

var smallPowers = [9]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}

// eight returns the number that v's bytes are the digits of, the lowest byte
// being the first.
func eight(v uint64) uint64 {
	v = v*10 + v>>8 // each even byte: a pair
	return (v&0x000000ff000000ff*(100+1e6<<32) + v>>16&0x000000ff000000ff*(1+1e4<<32)) >> 32
}

// scanExponent reads an optional sign and digits; after is -1 without digits.
func scanExponent(b []byte, i int) (e, after int) {
	neg := false
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		neg = b[i] == '-'
		i++
	}
	start := i
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		if e < maxExponent {
			e = e*10 + int(b[i]-'0')
		}
	}
	if i == start {
		return 0, -1
	}
	if neg {
		e = -e
	}
	return e, i
}

// long returns n with mant, exp and more from digits with at most one point
// among them, more of them than a uint64 holds.
func long(n number, digits []byte) number {
	n.mant = 0
	kept := 0
	for _, c := range digits {
		switch {
		case c == '.':
		case kept == 19:
			n.more = n.more || c != '0'
			n.exp++ // exp counts this digit, mant does not hold it
		default:
			n.mant = n.mant*10 + uint64(c-'0')
			if n.mant != 0 {
				kept++
			}
		}
	}
	return n
}

// A refusal says why a value does not become an element; accepted is none.
type refusal uint8

const (
	accepted refusal = iota
	notNumber
	notWhole
	outOfRange
	identifier
	notBool
	notFinite
	wantsString
	wantsNumber
	wantsBool
)

// explain returns the refusal of text for an element of type d as a sentence
// for whoever sent it.
func (w refusal) explain(d runtime.DType, text string) string {
	text = clip(text)
	switch w {
	case notNumber:
		return fmt.Sprintf("%s is not a number, and %v is wanted", text, d)
	case notWhole:
		return fmt.Sprintf("%s is not a whole number, and %v is wanted", text, d)
	case outOfRange:
		return fmt.Sprintf("%s is outside the range of %v, %s", text, d, rangeOf(d))
	case identifier:
		return fmt.Sprintf("the integer %s is beyond 2^53, where %v would change it; write it with a decimal point to have it rounded", text, d)
	case notBool:
		return fmt.Sprintf("%s is not a bool: true, false, 0 or 1", text)
	case notFinite:
		return fmt.Sprintf("%s cannot be %v, which is finite only", text, d)
	case wantsString:
		return fmt.Sprintf("%s is not a string, and string is wanted; quote it", text)
	case wantsNumber:
		return fmt.Sprintf("%s where a number (%v) is wanted", text, d)
	case wantsBool:
		return fmt.Sprintf("%s where a bool is wanted", text)
	}
	return "accepted"
}

// rangeOf returns the smallest and the largest value of d.
func rangeOf(d runtime.DType) string {
	switch size := 8 * d.Size(); {
	case d == runtime.Float64:
		return "-1.7976931348623157e+308 to 1.7976931348623157e+308"
	case d.Float():
		largest := appendFloat32(nil, largestOf(d))
		return fmt.Sprintf("-%s to %s", largest, largest)
	case d == runtime.Uint8, d == runtime.Uint16, d == runtime.Uint32, d == runtime.Uint64:
		return fmt.Sprintf("0 to %d", ^uint64(0)>>(64-size))
	default:
		return fmt.Sprintf("%d to %d", int64(-1)<<(size-1), int64(^uint64(0)>>(65-size)))
	}
}

// clip shortens text so that an error stays readable.
func clip(text string) string {
	if len(text) > 40 {
		text = text[:37] + "..."
	}
	for _, c := range text {
		if c < ' ' || c == '\ufffd' || c == 0x7f {
			return strconv.QuoteToASCII(text)
		}
	}
	return text
}
