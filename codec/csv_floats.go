package codec

import (
	"encoding/binary"
	"math"
)

// shortCells reads this row's next cells into dst, as many of them as are
// plain decimals whose digits a float64 holds exactly, such as -12.375: what
// nearly all numbers in CSV are. It leaves s.i at the comma or line end after
// the last one it took. Each is the nearest T, as scanNumber and toFloat32
// would have it in three times the time; all other cells are left to them.
func shortCells[T float32 | float64](s *csvScanner, dst []T) (n int) {
	b, comma, at := s.b, s.comma, s.i
	for i := at; n < len(dst); i++ {
		neg := false
		if i < len(b) && (b[i] == '-' || b[i] == '+') {
			neg = b[i] == '-'
			i++
		}
		var mant uint64
		start := i
		for i < len(b) && b[i]-'0' <= 9 {
			mant = mant*10 + uint64(b[i]-'0')
			i++
		}
		digits, decimals := i-start, 0
		if i < len(b) && b[i] == '.' {
			i++
			point := i
			if len(b)-i >= 8 {
				if v := binary.LittleEndian.Uint64(b[i:]) ^ 0x3030303030303030; (v+0x7676767676767676|v)&0x8080808080808080 == 0 {
					mant = mant*1e8 + eight(v)
					i += 8
				}
			}
			for i < len(b) && b[i]-'0' <= 9 {
				mant = mant*10 + uint64(b[i]-'0')
				i++
			}
			decimals = i - point
			digits += decimals
		}
		if digits == 0 || digits > 19 || mant > 1<<53 || i < len(b) && b[i] != comma && b[i] != '\n' && !s.atEnd(i) {
			break
		}
		v := float64(mant) / exactPowers[decimals] // of two exact operands: rounded once
		var zero T
		if _, ok := any(zero).(float32); ok && math.Float64bits(v)&(1<<29-1) == 1<<28 {
			break // exactly between two float32: the digits must tell
		}
		if neg {
			v = -v
		}
		dst[n] = T(v)
		n++
		at = i
		if i == len(b) || b[i] != comma {
			break
		}
	}
	s.i = at
	return n
}

// short reads what it can of the row's next n cells with [shortCells].
func (in *csvInput) short(s *csvScanner, n int) int {
	// A row that is too short may have no room; it is refused at its end.
	switch dst := in.data.(type) {
	case []float32:
		n = shortCells(s, dst[in.n:min(in.n+n, len(dst))])
	case []float64:
		n = shortCells(s, dst[in.n:min(in.n+n, len(dst))])
	default:
		return 0
	}
	in.n += n
	return n
}
