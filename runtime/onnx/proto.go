package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds on what a file can make us hold or descend into. Protobuf's own
// parsers stop at 100 nested messages, so no file that ONNX Runtime accepts is
// deeper.
const (
	maxDepth   = 100
	maxStrings = 64 << 20 // bytes of names, documentation and metadata together
	windowSize = 32 << 10
)

var (
	errTruncated = errors.New("it ends in the middle of a field")
	errMalformed = errors.New("it is not a protobuf message")
)

// A protoReader walks the fields of protobuf messages in a file of any size,
// holding one window of it. What is not asked for, weights above all, is never
// read.
type protoReader struct {
	src   io.ReaderAt
	size  int64
	buf   []byte // the window
	base  int64  // its offset
	spent int    // bytes of strings returned so far
}

// A protoField is one field of a message. Of a length-delimited one, [start,
// end) is the content; tag is where the field itself begins.
type protoField struct {
	num             protowire.Number
	typ             protowire.Type
	value           uint64
	tag, start, end int64
}

func newProtoReader(src io.ReaderAt, size int64) *protoReader {
	return &protoReader{src: src, size: size, buf: make([]byte, 0, windowSize)}
}

// at returns what of the file is in the window from off on: at least n bytes,
// or all up to the end of the file. n is at most windowSize.
func (r *protoReader) at(off int64, n int) ([]byte, error) {
	have := r.base + int64(len(r.buf))
	if off < r.base || off >= have || (off+int64(n) > have && have < r.size) {
		want := min(windowSize, r.size-off)
		r.base, r.buf = off, r.buf[:want]
		if _, err := r.src.ReadAt(r.buf, off); err != nil && !errors.Is(err, io.EOF) {
			r.buf = r.buf[:0]
			return nil, err
		}
	}
	return r.buf[off-r.base:], nil
}

// errAlike is what a visit says of a number whose neighbours of the same field
// say nothing more: of millions, each with its tag, they are passed over.
var errAlike = errors.New("its neighbours are like it")

// fields calls visit for each field of the message in [start, end).
func (r *protoReader) fields(start, end int64, visit func(protoField) error) error {
	for off := start; off < end; {
		f, next, err := r.field(off, end)
		if err != nil {
			return err
		}
		switch err := visit(f); err {
		case nil:
		case errAlike:
			next = r.past(f, next, end)
		default:
			return err
		}
		off = next
	}
	return nil
}

// past returns where the numbers of f's field end that are at off, or earlier.
func (r *protoReader) past(f protoField, off, end int64) int64 {
	const least = 1 + binary.MaxVarintLen64
	tag := byte(f.num<<3) | byte(f.typ)
	for f.num < 16 {
		b, err := r.at(off, least)
		if err != nil {
			return off // and let who reads there say so
		}
		b = b[:min(int64(len(b)), end-off)]
		from := len(b)
		for len(b) >= least && b[0] == tag {
			size := 4
			if f.typ == protowire.VarintType {
				_, size = protowire.ConsumeVarint(b[1:])
			}
			if size < 0 {
				break
			}
			b = b[1+size:]
		}
		if from == len(b) {
			break
		}
		off += int64(from - len(b))
	}
	return off
}

func (r *protoReader) field(off, end int64) (f protoField, next int64, err error) {
	const most = 2 * 10 // a tag and a varint
	b, err := r.at(off, most)
	if err != nil {
		return f, 0, err
	}
	if int64(len(b)) > end-off {
		b = b[:end-off]
	}
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return f, 0, wireError(n)
	}
	f = protoField{num: num, typ: typ, tag: off}
	size, m := uint64(0), 0
	switch typ {
	case protowire.VarintType:
		f.value, m = protowire.ConsumeVarint(b[n:])
	case protowire.BytesType:
		size, m = protowire.ConsumeVarint(b[n:])
	case protowire.Fixed32Type:
		size = 4
	case protowire.Fixed64Type:
		size = 8
	default:
		return f, 0, errMalformed // groups: ONNX has none
	}
	if m < 0 {
		return f, 0, wireError(m)
	}
	f.start = off + int64(n+m)
	if size > uint64(end-f.start) {
		return f, 0, errTruncated
	}
	f.end = f.start + int64(size)
	return f, f.end, nil
}

func wireError(n int) error {
	if errors.Is(protowire.ParseError(n), io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return errMalformed
}

// text reads a string field.
func (r *protoReader) text(f protoField) (string, error) {
	n := f.end - f.start
	if n > int64(maxStrings-r.spent) {
		return "", fmt.Errorf("it has over %d MB of names and texts", maxStrings>>20)
	}
	r.spent += int(n)
	if n <= windowSize {
		b, err := r.at(f.start, int(n))
		if err != nil || n == 0 {
			return "", err
		}
		return string(b[:n]), nil
	}
	b := make([]byte, n)
	if _, err := r.src.ReadAt(b, f.start); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return string(b), nil
}

// equal reports whether a string field holds s, which is no longer than the
// window.
func (r *protoReader) equal(f protoField, s string) (bool, error) {
	if f.end-f.start != int64(len(s)) {
		return false, nil
	}
	b, err := r.at(f.start, len(s))
	return err == nil && string(b[:len(s)]) == s, err
}

// ints appends a repeated integer field's values, packed or not.
func (r *protoReader) ints(dst []int64, f protoField) ([]int64, error) {
	if f.typ == protowire.VarintType {
		return append(dst, int64(f.value)), nil
	}
	if f.typ != protowire.BytesType {
		return dst, nil
	}
	for off := f.start; off < f.end; {
		b, err := r.at(off, 10)
		if err != nil {
			return nil, err
		}
		v, n := protowire.ConsumeVarint(b[:min(int64(len(b)), f.end-off)])
		if n < 0 {
			return nil, wireError(n)
		}
		dst = append(dst, int64(v))
		off += int64(n)
	}
	return dst, nil
}

// is reports whether f is field num in the length-delimited form that strings
// and messages take. Protobuf ignores a field of another form.
func (f protoField) is(num protowire.Number) bool {
	return f.num == num && f.typ == protowire.BytesType
}

func (f protoField) isInt(num protowire.Number) bool {
	return f.num == num && f.typ == protowire.VarintType
}
