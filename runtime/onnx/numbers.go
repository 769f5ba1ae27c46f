package onnx

import (
	"encoding/binary"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// numbers go through the values of a repeated field of a message, packed or
// not: integers, or the bits of float32.
type numbers struct {
	r      *protoReader
	num    protowire.Number
	tag    byte // of a value that is not packed
	at     int64
	packed int64 // where the packed field ends that at is in; 0: it is in none
	end    int64
}

func newNumbers(file io.ReaderAt, size int64, message protoField, num protowire.Number) *numbers {
	n := &numbers{r: newProtoReader(file, size), num: num, tag: byte(num<<3) | byte(protowire.VarintType), at: message.start, end: message.end}
	if num == 7 {
		n.tag = byte(num<<3) | byte(protowire.Fixed32Type)
	}
	return n
}

// next returns the next value; there is false after the last.
func (n *numbers) next() (v uint64, there bool, err error) {
	// Nearly all are one behind the other, each with its tag.
	if off := n.at - n.r.base; n.packed == 0 && off >= 0 && off+11 <= int64(len(n.r.buf)) && n.at+11 <= n.end && n.r.buf[off] == n.tag {
		b, size := n.r.buf[off+1:off+11], 0
		if n.num == 7 {
			v, size = uint64(binary.LittleEndian.Uint32(b)), 4
		} else {
			v, size = protowire.ConsumeVarint(b)
		}
		if size > 0 {
			n.at += 1 + int64(size)
			return v, true, nil
		}
	}
	for {
		if n.at < n.packed {
			v, err = n.value(n.packed)
			return v, err == nil, err
		}
		n.packed = 0
		if n.at >= n.end {
			return 0, false, nil
		}
		f, after, err := n.r.field(n.at, n.end)
		if err != nil {
			return 0, false, err
		}
		if f.num != n.num {
			n.at = after
			continue
		}
		switch {
		case f.typ == protowire.VarintType && n.num != 7:
			n.at = after
			return f.value, true, nil
		case f.typ == protowire.Fixed32Type && n.num == 7:
			n.at = f.start
			v, err = n.value(f.end)
			return v, err == nil, err
		case f.typ == protowire.BytesType:
			n.at, n.packed = f.start, f.end
		default: // protobuf ignores a field of another form
			n.at = after
		}
	}
}

// value reads one at n.at: of four bytes where the field is of floats.
func (n *numbers) value(end int64) (uint64, error) {
	b, err := n.r.at(n.at, 10)
	if err != nil {
		return 0, err
	}
	b = b[:min(int64(len(b)), end-n.at)]
	if n.num == 7 {
		bits, size := protowire.ConsumeFixed32(b)
		if size < 0 {
			return 0, wireError(size)
		}
		n.at += int64(size)
		return uint64(bits), nil
	}
	v, size := protowire.ConsumeVarint(b)
	if size < 0 {
		return 0, wireError(size)
	}
	n.at += int64(size)
	return v, nil
}

// A texts goes through the strings of an attribute that are all of a few known
// ones.
type texts struct {
	r       *protoReader
	at, end int64
}

func newTexts(file io.ReaderAt, size int64, message protoField) *texts {
	return &texts{r: newProtoReader(file, size), at: message.start, end: message.end}
}

// next returns which of the known the next string is, -1 if it is none; there
// is false after the last.
func (w *texts) next(known ...string) (which int, there bool, err error) {
	for w.at < w.end {
		f, after, err := w.r.field(w.at, w.end)
		if err != nil {
			return 0, false, err
		}
		w.at = after
		if !f.is(9) {
			continue
		}
		for i, word := range known {
			if is, err := w.r.equal(f, word); is || err != nil {
				return i, err == nil, err
			}
		}
		return -1, true, nil
	}
	return 0, false, nil
}
