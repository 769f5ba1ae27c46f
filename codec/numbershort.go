package codec

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// A decimal is digits * 10^exp.
type decimal struct {
	digits uint64
	exp    int
}

// shortest32 returns the decimal of the fewest digits that reads back as f, and
// of those the nearest to it; zeros may follow the digits. f is finite and
// greater than zero.
//
// This is Raffaello Giulietti's Schubfach ("The Schubfach way to render
// doubles", 2022): of the multiples of a power of ten at most one lies between
// the halves below and above f, or at least one of the next power's does. A
// number is held as four times its multiple of 10^k, cut off but for a last bit
// that is odd if anything was.
func shortest32(f float32) decimal {
	b := math.Float32bits(f)
	c, q := uint64(b&(1<<23-1)), int(b>>23)
	uneven := c == 0 && q > 1 // the float below is nearer than the one above
	if q > 0 {
		c |= 1 << 23
	} else {
		q = 1
	}
	q -= 150
	k := tensIn(q, uneven)
	g := powersOfTen[-k-minPower][0] + 1
	half := uint64(2) << (uint(q+bitsIn(-k)+1) & 63)
	v := half / 2 * c * 4
	below := v - half
	if uneven {
		below += half / 2
	}
	return fewest(cut32(g, below)+c&1, cut32(g, v), cut32(g, v+half)-c&1, k)
}

// cut32 returns the upper part of g*v, its last bit odd if anything was cut off.
func cut32(g, v uint64) uint64 {
	hi, lo := bits.Mul64(g, v)
	if lo>>32 > 1 {
		hi |= 1
	}
	return hi
}

// shortest64 is shortest32 for a float64; not ok where that needs a power of
// ten beyond the table.
func shortest64(v float64) (d decimal, ok bool) {
	b := math.Float64bits(v)
	c, q := b&(1<<52-1), int(b>>52)
	uneven := c == 0 && q > 1
	if q > 0 {
		c |= 1 << 52
	} else {
		q = 1
	}
	q -= 1075
	k := tensIn(q, uneven)
	if -k < minPower || -k > maxPower {
		return decimal{}, false
	}
	g := &powersOfTen[-k-minPower]
	low, carry := bits.Add64(g[1], 1, 0)
	high := g[0] + carry
	half := uint64(2) << (uint(q+bitsIn(-k)+1) & 63)
	scaled := half / 2 * c * 4
	below := scaled - half
	if uneven {
		below += half / 2
	}
	return fewest(cut64(high, low, below)+c&1, cut64(high, low, scaled), cut64(high, low, scaled+half)-c&1, k), true
}

// cut64 is cut32 for a g of 128 bits.
func cut64(high, low, v uint64) uint64 {
	mid, _ := bits.Mul64(low, v)
	hi, lo := bits.Mul64(high, v)
	lo, carry := bits.Add64(lo, mid, 0)
	hi += carry
	if lo > 1 {
		hi |= 1
	}
	return hi
}

// tensIn returns floor(log10(2^q)), or of 3/4 of that if uneven.
func tensIn(q int, uneven bool) int {
	n := q * 1262611 // log10(2) in 22 bits
	if uneven {
		n -= 524031 // log10(4/3)
	}
	return n >> 22
}

// bitsIn returns floor(log2(10^k)).
func bitsIn(k int) int { return k * 1741647 >> 19 }

// fewest chooses between the multiples of 10^k next to v, or of 10^(k+1) where
// exactly one of them is within the bounds. All three are scaled. It is written
// without branches, which no data could foretell.
func fewest(lower, v, upper uint64, k int) decimal {
	s := v >> 2
	t := s / 10 // at least 1: v has more than two digits
	down, up := lower <= 40*t, 40*t+40 <= upper
	shorter := down != up
	if up {
		t++
	}
	down, up = lower <= 4*s, 4*s+4 <= upper
	nearer := v&3+s&1 > 2 // or even
	if down == up {       // both or none
		up = nearer
	}
	if up {
		s++
	}
	if shorter {
		s = t
		k++
	}
	return decimal{s, k}
}

// A numberRoom is where the text of a number is written, with what is written
// beyond it: a sign, "0.", 6 zeros, 17 digits and 8 zeros at most.
type numberRoom [40]byte

// roomIn returns dst with room for a number behind it.
func roomIn(dst []byte) ([]byte, *numberRoom) {
	n := len(dst)
	if cap(dst)-n < len(numberRoom{}) {
		dst = slices.Grow(dst, len(numberRoom{}))
	}
	return dst, (*numberRoom)(dst[n : n+len(numberRoom{})])
}

// write9 writes ±d, which has at most 9 digits and lies between 1e-7 and 1e17,
// without an exponent and without zeros at its end, and returns how long that
// is.
func (d decimal) write9(b *numberRoom, neg bool) int {
	i := b.sign(neg)
	n := digitsIn(d.digits)
	point := n + d.exp // digits in front of it
	if point <= 0 {
		i = b.small(i, point)
	}
	v := d.digits * tens[9-n]
	upper := v / 1e8
	rest := digits8(v - upper*1e8)
	n = 9 - bits.LeadingZeros64(rest)/8
	rest |= zeros8
	b[i] = byte('0' + upper)
	binary.LittleEndian.PutUint64(b[i+1:], rest)
	switch {
	case point <= 0:
		return i + n
	case point < n:
		b[i+point] = '.'
		binary.LittleEndian.PutUint64(b[i+point+1:], rest>>(8*(point-1)&63))
		return i + n + 1
	}
	binary.LittleEndian.PutUint64(b[i+9:], zeros8)
	return i + point
}

// write17 is write9 for at most 17 digits.
func (d decimal) write17(b *numberRoom, neg bool) int {
	i := b.sign(neg)
	n := digitsIn(d.digits)
	point := n + d.exp
	if point <= 0 {
		i = b.small(i, point)
	}
	v := d.digits * tens[17-n]
	upper := v / 1e8
	b[i] = byte('0' + upper/1e8)
	middle, rest := digits8(upper%1e8), digits8(v-upper*1e8)
	n = 17 - bits.LeadingZeros64(rest)/8
	if rest == 0 {
		n = 9 - bits.LeadingZeros64(middle)/8
	}
	binary.LittleEndian.PutUint64(b[i+1:], middle|zeros8)
	binary.LittleEndian.PutUint64(b[i+9:], rest|zeros8)
	switch {
	case point <= 0:
		return i + n
	case point < n:
		copy(b[i+point+1:i+18], b[i+point:i+17])
		b[i+point] = '.'
		return i + n + 1
	}
	return i + point
}

// writeExponent writes ±d, which has at most 17 digits, with an exponent:
// 1.5e-7, 1e+21.
func (d decimal) writeExponent(b *numberRoom, neg bool) int {
	i := b.sign(neg)
	n := digitsIn(d.digits)
	exp := n + d.exp - 1
	v := d.digits * tens[17-n]
	upper := v / 1e8
	b[i], b[i+1] = byte('0'+upper/1e8), '.'
	middle, rest := digits8(upper%1e8), digits8(v-upper*1e8)
	n = 17 - bits.LeadingZeros64(rest)/8
	if rest == 0 {
		n = 9 - bits.LeadingZeros64(middle)/8
	}
	binary.LittleEndian.PutUint64(b[i+2:], middle|zeros8)
	binary.LittleEndian.PutUint64(b[i+10:], rest|zeros8)
	if i += n; n > 1 {
		i++ // the point
	}
	b[i], b[i+1] = 'e', '+'
	if exp < 0 {
		b[i+1], exp = '-', -exp
	}
	i += 2
	if exp >= 10 {
		b[i] = byte('0' + exp/10) // below 100, as the table of powers is
		i++
	}
	b[i] = byte('0' + exp%10)
	return i + 1
}

// sign writes a minus, which counts if neg.
func (b *numberRoom) sign(neg bool) int {
	b[0] = '-'
	if neg {
		return 1
	}
	return 0
}

// small writes what stands in front of the digits of a number less than one.
func (b *numberRoom) small(i, point int) int {
	binary.LittleEndian.PutUint64(b[i:], zeros8)
	b[i+1] = '.'
	return i + 2 - point
}

const zeros8 = 0x3030303030303030

// digits8 returns the eight digits of v, the first in the lowest byte. It cuts
// into halves, quarters and eighths, the quotients below what they leave.
func digits8(v uint64) uint64 {
	q := v / 1e4
	v = v<<32 - q*(1e4<<32-1)
	q = v * 10486 >> 20 & 0x7f0000007f // by 100
	v = v<<16 - q*(100<<16-1)
	q = v * 103 >> 10 & 0x000f000f000f000f // by 10
	return v<<8 - q*(10<<8-1)
}

// digitsIn returns how many digits v, which is not zero, has.
func digitsIn(v uint64) int {
	n := bits.Len64(v) * 1233 >> 12 // log10(2) in 12 bits: that many or one more
	if v >= tens[n] {
		n++
	}
	return n
}

var tens = [20]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}
