package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// The encodings of values.
const (
	plainEncoding           = 0
	plainDictionaryEncoding = 2
	rleEncoding             = 3
	deltaEncoding           = 5
	deltaLengthEncoding     = 6
	deltaBytesEncoding      = 7
	dictionaryEncoding      = 8
	byteStreamSplitEncoding = 9
)

var (
	errCutOff  = errors.New("a page is cut off, or malformed")
	errNotUTF8 = errors.New("the text is not UTF-8")
)

// readValues fills dst with the values of a page.
func (r *parquetColumn) readValues(dst cells, encoding int, b []byte) error {
	n := dst.len()
	switch {
	case n == 0:
		return nil
	case encoding == plainEncoding:
		return r.readPlain(dst, b)
	case encoding == dictionaryEncoding || encoding == plainDictionaryEncoding:
		return r.readIndices(dst, b)
	case encoding == rleEncoding && dst.size == 1:
		run, _, err := prefixed(b)
		if err != nil {
			return err
		}
		return readHybrid(&hybrid{b: run, width: 1}, dst.raw)
	case encoding == deltaEncoding && dst.size == 4 && r.leaf.stored.Integer():
		_, err := readDelta(view[uint32](dst.raw), b)
		return err
	case encoding == deltaEncoding && dst.size == 8 && r.leaf.stored.Integer():
		_, err := readDelta(view[uint64](dst.raw), b)
		return err
	case encoding == deltaLengthEncoding && dst.size == 0:
		return r.readDeltaLength(dst.text, b)
	case encoding == deltaBytesEncoding && dst.size == 0:
		return r.readDeltaBytes(dst.text, b)
	case encoding == byteStreamSplitEncoding && dst.size > 1:
		if len(b) < len(dst.raw) {
			return errCutOff
		}
		for k := range dst.size {
			for i, v := range b[k*n : (k+1)*n] {
				dst.raw[i*dst.size+k] = v
			}
		}
		return nil
	}
	return fmt.Errorf("%v values in encoding %d", r.leaf.stored, encoding)
}

// readPlain reads values in the plain encoding.
func (r *parquetColumn) readPlain(dst cells, b []byte) error {
	switch {
	case dst.size == 0:
		return r.readPlainText(dst.text, b)
	case dst.size == 1: // bools are bits
		if len(b) < (len(dst.raw)+7)/8 {
			return errCutOff
		}
		for i := range dst.raw {
			dst.raw[i] = b[i/8] >> (i % 8) & 1
		}
	case copy(dst.raw, b) < len(dst.raw):
		return errCutOff
	}
	return nil
}

// readPlainText reads strings, each behind its length, all in one piece of
// memory.
func (r *parquetColumn) readPlainText(dst []string, b []byte) error {
	if err := r.take(len(b), 1); err != nil {
		return err
	}
	text := string(b)
	for i := range dst {
		if len(b) < 4 {
			return errCutOff
		}
		n := binary.LittleEndian.Uint32(b)
		if b = b[4:]; uint64(n) > uint64(len(b)) {
			return errCutOff
		}
		from := len(text) - len(b)
		dst[i] = text[from : from+int(n)]
		if !utf8.ValidString(dst[i]) {
			return errNotUTF8
		}
		b = b[n:]
	}
	return nil
}

// readIndices reads values as indices into the chunk's dictionary.
func (r *parquetColumn) readIndices(dst cells, b []byte) error {
	if len(b) == 0 || b[0] > 32 {
		return errCutOff
	}
	h := hybrid{b: b[1:], width: int(b[0])}
	return dst.gather(r.dict, &h)
}

// A hybrid reads the run-length and bit-packing hybrid.
type hybrid struct {
	b     []byte
	width int // bits of a value

	left  int    // values of the run that are not read
	value uint32 // of a repeated one
	run   []byte // of a bit-packed one; nil for a repeated one
	bit   int    // its next value
}

// next reads the header of the next run.
func (h *hybrid) next() error {
	header, n := binary.Uvarint(h.b)
	if n <= 0 {
		return errCutOff
	}
	h.b = h.b[n:]
	size := uint64(h.width+7) / 8
	if header&1 == 1 {
		groups := header >> 1
		if size = groups * uint64(h.width); groups > 1<<31 || size > uint64(len(h.b)) {
			return errCutOff
		}
		h.left, h.run, h.bit = int(groups)*8, h.b[:size:size], 0
	} else {
		if size > uint64(len(h.b)) {
			return errCutOff
		}
		h.left, h.run, h.value = int(min(header>>1, 1<<40)), nil, 0
		for i, c := range h.b[:size] {
			h.value |= uint32(c) << (8 * i)
		}
	}
	h.b = h.b[size:]
	return nil
}

// only reports whether the next n values are one run of v. Nothing is read.
func (h hybrid) only(v uint32, n int) bool {
	return h.next() == nil && h.left >= n && h.run == nil && h.value == v
}

// readHybrid fills dst.
func readHybrid[T uint8 | uint32](h *hybrid, dst []T) error {
	for len(dst) > 0 {
		for h.left == 0 {
			if err := h.next(); err != nil {
				return err
			}
		}
		n := min(h.left, len(dst))
		if h.run != nil {
			unpack(dst[:n], h.run, h.bit, h.width)
			h.bit += n * h.width
		} else {
			for i := range dst[:n] {
				dst[i] = T(h.value)
			}
		}
		h.left -= n
		dst = dst[n:]
	}
	return nil
}

// unpack reads values of width bits, at most 64, from the bit at of b on.
func unpack[T uint8 | uint32 | uint64](dst []T, b []byte, at, width int) {
	mask := uint64(1)<<width - 1
	i := 0
	for ; i < len(dst) && width <= 57 && at>>3+8 <= len(b); i++ {
		dst[i] = T(binary.LittleEndian.Uint64(b[at>>3:]) >> (at & 7) & mask)
		at += width
	}
	for ; i < len(dst); i++ {
		dst[i] = T(bitsAt(b, at, width))
		at += width
	}
}

// bitsAt returns the width bits, at most 64, of b from bit at on.
func bitsAt(b []byte, at, width int) (v uint64) {
	if width == 0 {
		return 0
	}
	for n := -(at & 7); n < width; n += 8 {
		c := uint64(b[at>>3])
		at += 8
		if n < 0 {
			v |= c >> -n
		} else {
			v |= c << n
		}
	}
	return v << (64 - width) >> (64 - width)
}

// readDelta fills dst with integers in the encoding DELTA_BINARY_PACKED:
// blocks of differences from one value to the next. It returns what follows.
func readDelta[T uint32 | uint64](dst []T, b []byte) (rest []byte, err error) {
	r := thriftReader{b: b} // whose numbers are the same
	block, minis, total, last := r.uint(), r.uint(), r.uint(), T(r.int())
	switch {
	case r.err != nil || total != uint64(len(dst)):
		return nil, errCutOff
	case block == 0 || block > 1<<20 || minis == 0 || minis > block || block%(minis*8) != 0:
		return nil, fmt.Errorf("delta blocks of %d values in %d", block, minis)
	}
	per := int(block / minis)
	if len(dst) > 0 {
		dst[0], dst = last, dst[1:]
	}
	for len(dst) > 0 {
		least := T(r.int())
		if uint64(len(r.b)-r.i) < minis {
			return nil, errCutOff
		}
		widths := r.b[r.i : r.i+int(minis)]
		r.i += int(minis)
		for _, width := range widths {
			size := per / 8 * int(width)
			if len(dst) == 0 {
				break // the widths that follow are there, their values not
			}
			if width > 64 || size > len(r.b)-r.i {
				return nil, errCutOff
			}
			packed := r.b[r.i : r.i+size]
			r.i += size
			n := min(per, len(dst))
			unpack(dst[:n], packed, 0, int(width))
			for i, delta := range dst[:n] {
				last += least + delta
				dst[i] = last
			}
			dst = dst[n:]
		}
	}
	if r.err != nil {
		return nil, errCutOff
	}
	return r.b[r.i:], nil
}

// readLengths reads n lengths in the encoding DELTA_BINARY_PACKED, whose sum
// is at most limit.
func readLengths(n int, b []byte, limit int) (lengths []uint32, sum int, rest []byte, err error) {
	// A length takes no bits where all are the same: n is within what was
	// taken for the column.
	lengths = make([]uint32, n)
	if rest, err = readDelta(lengths, b); err != nil {
		return nil, 0, nil, err
	}
	var carry, total uint64
	for _, l := range lengths {
		total, carry = bits.Add64(total, uint64(l), 0)
		if carry != 0 || total > uint64(limit) {
			return nil, 0, nil, errCutOff
		}
	}
	return lengths, int(total), rest, nil
}

// readDeltaLength reads strings in the encoding DELTA_LENGTH_BYTE_ARRAY: all
// lengths, then all text.
func (r *parquetColumn) readDeltaLength(dst []string, b []byte) error {
	lengths, sum, rest, err := readLengths(len(dst), b, len(b))
	if err != nil {
		return err
	}
	if sum > len(rest) {
		return errCutOff
	}
	if err := r.take(sum, 1); err != nil {
		return err
	}
	text := string(rest[:sum])
	for i, n := range lengths {
		dst[i], text = text[:n], text[n:]
		if !utf8.ValidString(dst[i]) {
			return errNotUTF8
		}
	}
	return nil
}

// readDeltaBytes reads strings in the encoding DELTA_BYTE_ARRAY: how much of
// the string before each begins with, then what follows in each.
func (r *parquetColumn) readDeltaBytes(dst []string, b []byte) error {
	const most = 1 << 40
	prefixes, shared, rest, err := readLengths(len(dst), b, most)
	if err != nil {
		return err
	}
	suffixes, own, rest, err := readLengths(len(dst), rest, len(rest))
	if err != nil {
		return err
	}
	if own > len(rest) {
		return errCutOff
	}
	if err := r.take(shared+own, 1); err != nil {
		return err
	}
	var text strings.Builder
	text.Grow(shared + own)
	before := ""
	for i := range dst {
		if uint64(prefixes[i]) > uint64(len(before)) {
			return errCutOff
		}
		from := text.Len()
		text.WriteString(before[:prefixes[i]])
		text.Write(rest[:suffixes[i]])
		rest = rest[suffixes[i]:]
		before = text.String()[from:]
		if dst[i] = before; !utf8.ValidString(before) {
			return errNotUTF8
		}
	}
	return nil
}
